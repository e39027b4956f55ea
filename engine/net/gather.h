/* Bytes that lie in several places, as those of a record do that came in pieces: they are put
 * together where they are read, and so copied once. Borrowed.
 */
#pragma once
#include <string.h>

#include "ww/base.h"

struct ww_gather {
    const uint8_t *const *at; /* so many places … */
    size_t each; /* … with this many bytes each, at least 1; the last may have fewer */
    size_t size; /* of all */
};

/* offset: below the size. */
static inline uint8_t gather_byte(const struct ww_gather *from, size_t offset)
{
    return from->at[offset / from->each][offset % from->each];
}

/* size: up to all of them. */
static inline void gather_copy(const struct ww_gather *from, uint8_t *out, size_t size)
{
    for (size_t done = 0, i = 0; done < size; done += from->each, i++)
        memcpy(out + done, from->at[i], WW_MIN(from->each, size - done));
}
