/* Inside of the room: a hook's input or result as it is kept, without the room that its lists don't
 * use: a ranking has room for 256 providers, and mostly a few. Takes as long as what is used is
 * large.
 *
 * Kept are, in order of their places, all bytes but those behind the last item of each list or
 * order; and none behind the last eight that are not all zero.
 */
#pragma once
#include "fields.h"

#define WW_POLICY_HOLES_MAX 4 /* lists and orders of one struct, those of inner ones included */

struct ww_policy_hole {
    uint32_t count_offset, offset, item_size, max;
};

/* Where a struct has lists. */
struct ww_policy_shape {
    uint32_t size;
    uint32_t hole_count;
    struct ww_policy_hole holes[WW_POLICY_HOLES_MAX]; /* by place */
};

/* The pieces of one struct that are kept. */
struct ww_policy_pieces {
    size_t size; /* of all */
    size_t count;
    struct {
        uint32_t at, size;
    } items[WW_POLICY_HOLES_MAX + 1];
};

void ww_policy_shape_of(const struct ww_policy_struct *type, struct ww_policy_shape *shape);
void ww_policy_compact(const struct ww_policy_shape *shape, const void *data,
                       struct ww_policy_pieces *pieces);
/* Copies pieces->size bytes. */
void ww_policy_compact_copy(const struct ww_policy_pieces *pieces, const void *data, char *kept);
/* Fills the struct again, shape->size bytes: with zeros where nothing was kept. */
void ww_policy_expand(const struct ww_policy_shape *shape, const char *kept, size_t kept_size,
                      void *data);
/* Where the byte at `offset` of the struct is among those kept; `offset` is in no list,
 * or where one begins. It may be kept_size or more: then it is zero. */
size_t ww_policy_kept_at(const struct ww_policy_shape *shape, const char *kept, size_t kept_size,
                         size_t offset);
