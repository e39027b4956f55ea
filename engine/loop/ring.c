/* See ww/ring.h. Two counters, of bytes ever published and of bytes ever taken; each is written by
 * one side, in one order for both threads (memory_order_seq_cst): ww/worker.h relies on it, so that
 * no wake is lost.
 */
#include "ww/ring.h"

#include <stdatomic.h>
#include <string.h>

#define STEP        sizeof(struct ww_ring_head) /* records begin at multiples of it */
#define CACHE_LINE  64
#define GIVE_BACK   16 /* the taker gives room back by this part of the ring */
#define OWNER_OF_NO 0  /* the rest up to the ring's end is skipped */

struct ww_ring {
    uint8_t *bytes;
    size_t capacity;
    uint8_t pad_common[CACHE_LINE];
    /* whoever puts */
    _Atomic uint64_t published;
    uint64_t put, published_last;
    uint8_t pad_put[CACHE_LINE];
    /* whoever takes */
    _Atomic uint64_t given_back;
    uint64_t taken, seen;
    uint8_t pad_take[CACHE_LINE];
};

_Static_assert(sizeof(struct ww_ring_head) == 16, "heads have one size, a power of two");

int ww_ring_create(size_t bytes, struct ww_ring **ring)
{
    struct ww_ring *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->bytes = ww_realloc(NULL, bytes, 1);
    made->capacity = bytes;
    if (!made->bytes) {
        ww_free(made);
        return WW_ENOMEM;
    }
    *ring = made;
    return 0;
}

void ww_ring_destroy(struct ww_ring *ring)
{
    if (!ring)
        return;
    ww_free(ring->bytes);
    ww_free(ring);
}

static uint64_t used(const struct ww_ring *ring)
{
    return ring->put - atomic_load(&ring->given_back);
}

static size_t bytes_of(size_t size)
{
    return STEP + ((size + STEP - 1) & ~(STEP - 1));
}

uint8_t *ww_ring_reserve(struct ww_ring *ring, size_t most)
{
    size_t at = (size_t)ring->put & (ring->capacity - 1), to_end = ring->capacity - at;
    size_t needs = bytes_of(most), skipped = needs > to_end ? to_end : 0;
    if (used(ring) + skipped + needs > ring->capacity)
        return NULL;
    if (skipped) {
        const struct ww_ring_head none = {.owner = OWNER_OF_NO};
        memcpy(ring->bytes + at, &none, sizeof none);
        at = 0;
    }
    ring->put += skipped;
    return ring->bytes + at + STEP;
}

void ww_ring_commit(struct ww_ring *ring, const struct ww_ring_head *head)
{
    size_t at = (size_t)ring->put & (ring->capacity - 1);
    memcpy(ring->bytes + at, head, sizeof *head);
    ring->put += bytes_of(head->size);
}

bool ww_ring_put(struct ww_ring *ring, const struct ww_ring_head *head, const uint8_t *data)
{
    uint8_t *to = ww_ring_reserve(ring, head->size);
    if (!to)
        return false;
    memcpy(to, data, head->size);
    ww_ring_commit(ring, head);
    return true;
}

bool ww_ring_has_room(const struct ww_ring *ring)
{
    return used(ring) <= ring->capacity / 2;
}

size_t ww_ring_unpublished(const struct ww_ring *ring)
{
    return (size_t)(ring->put - ring->published_last);
}

bool ww_ring_publish(struct ww_ring *ring)
{
    if (ring->put == ring->published_last)
        return false;
    ring->published_last = ring->put;
    atomic_store(&ring->published, ring->put);
    return true;
}

static void give_back(struct ww_ring *ring)
{
    atomic_store(&ring->given_back, ring->taken);
}

void ww_ring_look(struct ww_ring *ring)
{
    ring->seen = atomic_load(&ring->published);
}

uint8_t *ww_ring_take(struct ww_ring *ring, struct ww_ring_head *head)
{
    uint64_t kept = ring->taken - atomic_load_explicit(&ring->given_back, memory_order_relaxed);
    if (kept >= ring->capacity / GIVE_BACK)
        give_back(ring);
    while (ring->taken != ring->seen) {
        size_t at = (size_t)ring->taken & (ring->capacity - 1);
        memcpy(head, ring->bytes + at, sizeof *head);
        if (head->owner == OWNER_OF_NO) {
            ring->taken += ring->capacity - at;
            continue;
        }
        ring->taken += bytes_of(head->size);
        return ring->bytes + at + STEP;
    }
    give_back(ring); /* the ring's end may have been skipped for what didn't come yet */
    return NULL;
}

bool ww_ring_is_empty(const struct ww_ring *ring)
{
    return atomic_load(&ring->published) == ring->taken;
}
