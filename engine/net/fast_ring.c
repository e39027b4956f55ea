/* Bytes by their offset in a stream. A ring grows by doubling, so an idle connection has none and a
 * slow one a small one, which stays in the processor's cache.
 */
#include "fast_room.h"

#define FIRST_BYTES 16384

/* The piece at the offset, up to the ring's end. */
static size_t piece(const struct ww_fast_ring *ring, uint64_t offset, size_t size)
{
    return WW_MIN(size, ring->capacity - (size_t)(offset & (ring->capacity - 1)));
}

static uint8_t *at(const struct ww_fast_ring *ring, uint64_t offset)
{
    return ring->bytes + (offset & (ring->capacity - 1));
}

bool ww_fast_ring_reserve(struct ww_fast_ring *ring, uint64_t from, uint64_t to)
{
    struct ww_fast_ring larger;
    if (to - from <= ring->capacity)
        return true;
    larger.capacity = ring->capacity ? ring->capacity : FIRST_BYTES;
    while (larger.capacity < to - from)
        larger.capacity *= 2;
    larger.bytes = ww_buffer_alloc(larger.capacity);
    if (!larger.bytes)
        return false;
    for (size_t done = 0; done < ring->capacity;) {
        size_t part = piece(ring, from + done, ring->capacity - done);
        ww_fast_ring_put(&larger, from + done, at(ring, from + done), part);
        done += part;
    }
    ww_buffer_free(ring->bytes, ring->capacity);
    *ring = larger;
    return true;
}

void ww_fast_ring_put(struct ww_fast_ring *ring, uint64_t offset, const uint8_t *data, size_t size)
{
    size_t part = piece(ring, offset, size);
    memcpy(at(ring, offset), data, part);
    if (part < size)
        memcpy(ring->bytes, data + part, size - part);
}

void ww_fast_ring_get(const struct ww_fast_ring *ring, uint64_t offset, uint8_t *out, size_t size)
{
    size_t part = piece(ring, offset, size);
    memcpy(out, at(ring, offset), part);
    if (part < size)
        memcpy(out + part, ring->bytes, size - part);
}

uint8_t *ww_fast_ring_span(const struct ww_fast_ring *ring, uint64_t offset, size_t size)
{
    return piece(ring, offset, size) == size ? at(ring, offset) : NULL;
}

uint8_t *ww_fast_ring_lend(const struct ww_fast_ring *ring, uint64_t offset, size_t before,
                           size_t size)
{
    size_t place = (size_t)(offset & (ring->capacity - 1));
    return place >= before && piece(ring, offset, size) == size ? ring->bytes + place - before
                                                                : NULL;
}

void ww_fast_ring_free(struct ww_fast_ring *ring)
{
    ww_buffer_free(ring->bytes, ring->capacity);
    ring->bytes = NULL;
    ring->capacity = 0;
}
