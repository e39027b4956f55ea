/* Acknowledgement filtering (RFC 3449 5.2.1): of the acknowledgements of one TCP flow that are read
 * in one turn, only the last goes through the tunnel, for it says what the others do. Linux makes
 * one for each super-packet that it is given, so there are several. Pure: no descriptor, no clock,
 * no allocation.
 */
#pragma once

#include "segment.h"
#include "ww/tun.h"

#define WW_ACK_BYTES_MAX 84 /* vnet header, IPv6, TCP with a timestamp */

/* One that is held. */
struct ww_ack_slot {
    struct ww_segment_head head;
    size_t size; /* of `bytes`; 0: none is */
    uint8_t headroom[WW_TUN_HEADROOM];
    uint8_t bytes[WW_ACK_BYTES_MAX]; /* as it was read */
};
struct ww_acks {
    struct ww_ack_slot slots[WW_SEGMENT_SLOTS];
    uint64_t superseded; /* that were not told */
};

/* `start` is the vnet header, with the packet behind it and WW_TUN_HEADROOM writable bytes before
 * it, borrowed. False: no more, the device is gone. */
typedef bool (*ww_ack_fn)(void *arg, uint8_t *start, size_t size);
/* A packet was read, with its vnet header. False: it is to be told now; so that a flow stays in
 * order, what is held of it was told. True: it is held, and what was held of its flow was told or
 * is superseded. */
bool ww_ack_hold(struct ww_acks *acks, const uint8_t *start, size_t size, ww_ack_fn fn, void *arg);
/* What is held is told: at the end of a turn. */
void ww_ack_flush(struct ww_acks *acks, ww_ack_fn fn, void *arg);
