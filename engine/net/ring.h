/* Records from one thread to one other, in a ring of bytes: one puts, the other takes; neither ever
 * waits, locks or allocates. What was put is seen when it is published, once for many; the taker is
 * to be woken only if it has said that it rests.
 */
#pragma once
#include "ww/base.h"
#include "ww/ecn.h"

struct ww_ring;

/* In front of each record. */
struct ww_ring_head {
    uint64_t owner; /* a peer's id; never 0 */
    uint16_t size;  /* of what follows */
    uint16_t datagram_bytes;
    uint8_t mark; /* an enum ww_ecn */
    bool alone;
};

/* bytes: a power of two, 64 KiB at least. WW_ENOMEM. */
int ww_ring_create(size_t bytes, struct ww_ring **ring);
void ww_ring_destroy(struct ww_ring *ring);

/* --- whoever puts */
/* Copies the record; false: it doesn't fit. */
bool ww_ring_put(struct ww_ring *ring, const struct ww_ring_head *head, const uint8_t *data);
/* Not more than half of it is in use. */
bool ww_ring_has_room(const struct ww_ring *ring);
/* Bytes that were put and not published yet. */
size_t ww_ring_unpublished(const struct ww_ring *ring);
/* True: the taker rests, and is to be woken now. */
bool ww_ring_publish(struct ww_ring *ring);

/* --- whoever takes */
/* Sees what was published so far: ww_ring_take gives that, and nothing newer. */
void ww_ring_look(struct ww_ring *ring);
/* The next record, good until the next call; NULL: that was all. */
uint8_t *ww_ring_take(struct ww_ring *ring, struct ww_ring_head *head);
/* False: there is more, look again. True: nothing; whoever publishes is told to wake the taker. */
bool ww_ring_rest(struct ww_ring *ring);
