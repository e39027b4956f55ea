/* The fast lane: frames of transfer straight in DTLS records, without SCTP. A pure state machine:
 * no clock, no socket, no loop; its owner (fast_peer.c) hands it what arrived and the time, and
 * gets records to send. Layout of the records: docs/internals/fast.md.
 *
 * Two classes of messages:
 *   reliable - one stream of bytes in which each message has its length in front; cut into
 *              numbered packets as large as the path carries, whatever the messages' ends are;
 *              acknowledged, sent again, in order; RFC 9002 finds losses, RFC 9438 sets the rate;
 *   datagram - as they are, several in a record, or one in several parts. Never sent again.
 *
 * Memory is bounded: two rings of WW_FAST_WINDOW_BYTES at most, which grow as they are needed and
 * go when they are idle; nothing is allocated per packet.
 */
#pragma once
#include "ww/base.h"
#include "ww/ecn.h"
#include "ww/limits.h"

/* First byte of a record. SCTP packets begin with their source port, 5000: 0x13. */
enum ww_fast_kind {
    WW_FAST_DATAGRAMS = 1,
    WW_FAST_PART = 2,
    WW_FAST_DATA = 3,
    WW_FAST_ACK = 4,
    WW_FAST_PROBE = 5,
    WW_FAST_PROBE_ANSWER = 6,
    WW_FAST_REPORT = 7, /* of wide records (pieces.h) */
    WW_FAST_MARKS = 8,  /* of congestion (marks.h) */
    WW_FAST_ACK_AFTER = 9,
};
#define WW_FAST_KIND_MAX 15 /* kinds that are not known yet are dropped */

struct ww_fast;

struct ww_fast_callbacks {
    /* Sends one record of that size, with that mark where the path carries any. False: no room for
     * it now, nothing was sent. */
    bool (*record)(void *arg, const uint8_t *record, size_t size, enum ww_ecn mark);
};

struct ww_fast_stats {
    uint64_t packets_sent, packets_lost, bytes_again; /* reliable class, going out */
    uint64_t packets_received, packets_useless;       /* coming in; useless: twice, or no room */
    uint64_t datagrams_sent, datagrams_received;
    uint64_t datagrams_dropped; /* no room, going out or coming in */
    uint64_t parts_dropped;     /* of datagrams that never came whole */
    uint64_t unknown;           /* records of a kind that is not known */
    uint64_t timeouts;
    uint64_t marked;       /* times that the rate was lowered for a mark */
    uint64_t window_bytes; /* of congestion, now */
    uint64_t in_flight_bytes;
    uint32_t rtt_us;     /* smoothed; 0: not measured yet */
    uint32_t pack_bytes; /* a record of data or datagrams, at most */
};

/* record_bytes: the largest plaintext of a record, WW_FAST_RECORD_BYTES_MIN to 16,384. WW_ENOMEM.
 */
int ww_fast_create(size_t record_bytes, const struct ww_fast_callbacks *callbacks, void *arg,
                   struct ww_fast **fast);
void ww_fast_destroy(struct ww_fast *fast);

/* Queues a message for the reliable class (head followed by payload). WW_EAGAIN: no room; then
 * ww_fast_is_writable tells when there is. WW_ETOOBIG, WW_EINVAL (an empty one), WW_ENOMEM. */
int ww_fast_write(struct ww_fast *fast, const uint8_t *head, size_t head_size,
                  const uint8_t *payload, size_t payload_size);
/* Once, after a WW_EAGAIN, when half of the room is free again. */
bool ww_fast_is_writable(struct ww_fast *fast);
/* The most bytes that such a message may have to be in one record. */
size_t ww_fast_datagram_room(const struct ww_fast *fast);
/* A message of the datagram class: sent, or put into the record that ww_fast_output sends, whose
 * mark it shares (ww_ecn_share). `room`: as of ww_peer_send_datagram. WW_EAGAIN: dropped.
 * WW_ETOOBIG, WW_EINVAL. */
int ww_fast_datagram(struct ww_fast *fast, const uint8_t *head, size_t head_size,
                     const uint8_t *payload, size_t payload_size, enum ww_ecn mark, size_t room);

/* Where the next record may be opened, of up to WW_FAST_RECORD_BYTES_MAX, so that its datagrams
 * needn't be copied: good until the next call. NULL: anywhere else. */
uint8_t *ww_fast_room(struct ww_fast *fast);
/* A record came, with that mark; what it was opened in is the queue's from now on. 0, or
 * WW_EPROTOCOL: the other side breaks the protocol. */
int ww_fast_input(struct ww_fast *fast, const uint8_t *record, size_t size, enum ww_ecn mark,
                  uint64_t now_us);
/* The next message that came, until false; *data is good, and writable, until the next call of any
 * function. A broken one is a WW_EPROTOCOL in *code. */
bool ww_fast_take(struct ww_fast *fast, uint8_t **data, size_t *size, int *code);
/* *mark: of the record that it came in. */
bool ww_fast_take_datagram(struct ww_fast *fast, uint8_t **data, size_t *size, enum ww_ecn *mark);

/* Sends what is due and may be sent. To be called after all of the above, and at the time that it
 * returns (UINT64_MAX: never). */
uint64_t ww_fast_output(struct ww_fast *fast, uint64_t now_us);

/* Records of the reliable class came with CE: as if one that was sent a round trip ago were lost
 * (RFC 9002 7.1). However often it is said, the rate is lowered once a round trip. */
void ww_fast_congested(struct ww_fast *fast, uint64_t now_us);
/* Another path: what was learnt of the last one is forgotten, and what is on its way is taken for
 * lost without blame. */
void ww_fast_path(struct ww_fast *fast, size_t record_bytes, uint64_t now_us);
/* The path carries records of this size from now on (or no longer carries larger ones). */
void ww_fast_resize(struct ww_fast *fast, size_t record_bytes);
/* Records of data and datagrams may be this long, up to WW_FAST_RECORD_BYTES_MAX, for they go over
 * several datagrams; less than the others' size: as those. ww_fast_resize ends it. */
void ww_fast_widen(struct ww_fast *fast, size_t pack_bytes);
/* Timeouts in a row without any acknowledgement. */
unsigned ww_fast_silent_timeouts(const struct ww_fast *fast);
/* The smoothed round trip; 0: not measured yet. */
uint32_t ww_fast_trip_us(const struct ww_fast *fast);
void ww_fast_stats(const struct ww_fast *fast, struct ww_fast_stats *stats);
