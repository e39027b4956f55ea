/* Records from one thread to one other, in a ring of bytes: one puts, the other takes; neither ever
 * waits, locks or allocates. What was put is seen when it is published, once for many. Who is woken
 * when is ww/worker.h's.
 */
#pragma once
#include "ww/base.h"

struct ww_ring;

/* In front of each record. What isn't said here is for whoever puts and takes to say. */
struct ww_ring_head {
    uint64_t owner; /* whose it is; never 0 */
    uint32_t size;  /* of what follows */
    uint16_t number;
    uint8_t kind;
    bool flag;
};

/* bytes: a power of two, 64 KiB at least. WW_ENOMEM. */
int ww_ring_create(size_t bytes, struct ww_ring **ring);
void ww_ring_destroy(struct ww_ring *ring);

/* --- whoever puts */
/* Copies the record; false: it doesn't fit. */
bool ww_ring_put(struct ww_ring *ring, const struct ww_ring_head *head, const uint8_t *data);
/* Without a copy: where `most` bytes may be written, until the next call for this ring; NULL: there
 * is no room. What is committed is a record of head->size bytes of it; nothing has to be. */
uint8_t *ww_ring_reserve(struct ww_ring *ring, size_t most);
void ww_ring_commit(struct ww_ring *ring, const struct ww_ring_head *head);
/* Not more than half of it is in use. */
bool ww_ring_has_room(const struct ww_ring *ring);
/* Bytes that were put and not published yet. */
size_t ww_ring_unpublished(const struct ww_ring *ring);
/* False: there was nothing to publish. */
bool ww_ring_publish(struct ww_ring *ring);

/* --- whoever takes */
/* Sees what was published so far: ww_ring_take gives that, and nothing newer. */
void ww_ring_look(struct ww_ring *ring);
/* The next record, good until the next call; NULL: that was all. */
uint8_t *ww_ring_take(struct ww_ring *ring, struct ww_ring_head *head);
/* Nothing is published that was not taken. */
bool ww_ring_is_empty(const struct ww_ring *ring);
