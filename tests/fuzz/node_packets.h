/* Whole IP packets for the tunnel's targets, read and made by other code than the program's. */
#pragma once
#include <linux/virtio_net.h>

#include "ww/base.h"

#define PACKETS_BYTES_MAX 65536

/* Whether its lengths agree, and the sum of an IPv4 head is right. */
bool packets_have_form(const uint8_t *packet, size_t size);
/* Whether the transport's sum is right or, in a partial one (TCP and UDP only), that of the pseudo
 * header. A fragment's is not looked at. */
bool packets_have_sum(const uint8_t *packet, size_t size, bool is_partial);
/* Whether it is a router's word about another packet. */
bool packets_are_error(const uint8_t *packet, size_t size);
/* Whether it goes to this address: of IPv6, or IPv4 mapped. */
bool packets_are_to(const uint8_t *packet, size_t size, const uint8_t inner[2][16]);
/* Makes all of this right, as far as there is something. */
void packets_mend(uint8_t *packet, size_t size, bool is_partial);
/* Makes an answer of it: addresses and ports change places. */
void packets_turn(uint8_t *packet, size_t size);
/* Another source, or destination; IPv4 mapped. */
void packets_readdress(uint8_t *packet, size_t size, bool is_source, const uint8_t inner[2][16]);

/* Two ends that keep the borders of messages: a device, and the kernel behind it. */
void packets_device(int ends[2]);
/* Ends the run if it is false. */
void packets_check(bool holds);

/* A record of the script that an input is: its kind and flags, 2 bytes of size, and what follows.
 * False: there is no more. */
struct packets_record {
    unsigned kind; /* 0 to 3 */
    bool is_partial, is_ours, is_mended;
    bool is_followed; /* the next one comes in the same turn */
    const uint8_t *bytes;
    size_t size;
};
bool packets_next(const uint8_t **data, size_t *size, struct packets_record *record);
/* `base` with the record's bytes over it: the first says from where. */
size_t packets_overlay(const struct packets_record *record, const uint8_t *base, size_t base_size,
                       uint8_t *out);
