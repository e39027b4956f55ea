/* Sets of numbers as sorted ranges, and where their bound is kept. Searches are binary; what is
 * added is mostly at one of the two ends.
 */
#include "fast_room.h"

#define FIRST_CAPACITY 16

bool ww_fast_ranges_init(struct ww_fast_ranges *ranges, unsigned most)
{
    ranges->at = ww_alloc(FIRST_CAPACITY, sizeof *ranges->at);
    ranges->capacity = FIRST_CAPACITY;
    ranges->count = 0;
    ranges->most = most;
    return ranges->at != NULL;
}

void ww_fast_ranges_free(struct ww_fast_ranges *ranges)
{
    ww_free(ranges->at);
    ranges->at = NULL;
    ranges->count = ranges->capacity = 0;
}

/* The first range whose end is at or behind the value. */
static unsigned place(const struct ww_fast_ranges *ranges, uint64_t value)
{
    unsigned low = 0, high = ranges->count;
    if (high && ranges->at[high - 1].to < value)
        return high;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (ranges->at[middle].to < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool insert(struct ww_fast_ranges *ranges, unsigned index, uint64_t from, uint64_t to)
{
    if (ranges->count == ranges->most)
        return false;
    if (ranges->count == ranges->capacity) {
        unsigned capacity = WW_MIN(2 * ranges->capacity, ranges->most);
        struct ww_fast_range *more = ww_realloc(ranges->at, capacity, sizeof *more);
        if (!more)
            return false;
        ranges->at = more;
        ranges->capacity = capacity;
    }
    memmove(ranges->at + index + 1, ranges->at + index,
            (ranges->count - index) * sizeof *ranges->at);
    ranges->at[index] = (struct ww_fast_range){from, to};
    ranges->count++;
    return true;
}

bool ww_fast_ranges_add(struct ww_fast_ranges *ranges, uint64_t from, uint64_t to)
{
    unsigned index, last;
    if (from >= to)
        return true;
    index = place(ranges, from);
    if (index == ranges->count || ranges->at[index].from > to)
        return insert(ranges, index, from, to);
    /* Touches or overlaps some: all of them become one. */
    last = index;
    while (last + 1 < ranges->count && ranges->at[last + 1].from <= to)
        last++;
    ranges->at[index].from = WW_MIN(ranges->at[index].from, from);
    ranges->at[index].to = WW_MAX(ranges->at[last].to, to);
    memmove(ranges->at + index + 1, ranges->at + last + 1,
            (ranges->count - last - 1) * sizeof *ranges->at);
    ranges->count -= last - index;
    return true;
}

void ww_fast_ranges_cut(struct ww_fast_ranges *ranges, uint64_t below)
{
    unsigned gone = 0;
    while (gone < ranges->count && ranges->at[gone].to <= below)
        gone++;
    if (gone) {
        ranges->count -= gone;
        memmove(ranges->at, ranges->at + gone, ranges->count * sizeof *ranges->at);
    }
    if (ranges->count && ranges->at[0].from < below)
        ranges->at[0].from = below;
}

const struct ww_fast_range *ww_fast_ranges_find(const struct ww_fast_ranges *ranges, uint64_t value)
{
    unsigned index = place(ranges, value + 1);
    return index < ranges->count && ranges->at[index].from <= value ? &ranges->at[index] : NULL;
}

const struct ww_fast_range *ww_fast_ranges_after(const struct ww_fast_ranges *ranges,
                                                 uint64_t value)
{
    unsigned index = place(ranges, value);
    while (index < ranges->count && ranges->at[index].from < value)
        index++;
    return index < ranges->count ? &ranges->at[index] : NULL;
}
