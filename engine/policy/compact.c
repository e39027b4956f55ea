/* See compact.h. Relies on fields being described in the order of their places. */
#include "compact.h"

#include <string.h>

static void add_holes(const struct ww_policy_struct *type, size_t base,
                      struct ww_policy_shape *shape)
{
    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_field *field = &type->fields[index];

        if (field->kind == WW_FIELD_INNER)
            add_holes(field->type(), base + field->offset, shape);
        if (field->kind != WW_FIELD_LIST && field->kind != WW_FIELD_ORDER)
            continue;
        WW_REQUIRE(shape->hole_count < WW_POLICY_HOLES_MAX);
        shape->holes[shape->hole_count++] = (struct ww_policy_hole){
            .count_offset = (uint32_t)(base + field->count_offset),
            .offset = (uint32_t)(base + field->offset),
            .item_size =
                (uint32_t)(field->kind == WW_FIELD_LIST ? field->type()->size : sizeof(uint32_t)),
            .max = (uint32_t)field->max,
        };
    }
}

void ww_policy_shape_of(const struct ww_policy_struct *type, struct ww_policy_shape *shape)
{
    *shape = (struct ww_policy_shape){.size = (uint32_t)type->size};
    add_holes(type, 0, shape);
}

static uint32_t hole_end(const struct ww_policy_hole *hole)
{
    return hole->offset + hole->max * hole->item_size;
}

static uint32_t items_size(const struct ww_policy_hole *hole, const char *count_at)
{
    uint32_t count;

    memcpy(&count, count_at, sizeof(count));
    return WW_MIN(count, hole->max) * hole->item_size;
}

void ww_policy_compact(const struct ww_policy_shape *shape, const void *data,
                       struct ww_policy_pieces *pieces)
{
    const char *bytes = data;
    uint32_t at = 0, last_size;
    uint64_t eight;

    pieces->size = 0;
    pieces->count = 0;
    for (uint32_t index = 0; index <= shape->hole_count; index++) {
        const struct ww_policy_hole *hole = &shape->holes[index];
        bool more = index < shape->hole_count;
        uint32_t end = shape->size;

        if (more)
            end = hole->offset + items_size(hole, bytes + hole->count_offset);
        if (end > at) {
            pieces->items[pieces->count].at = at;
            pieces->items[pieces->count].size = end - at;
            pieces->size += end - at;
            pieces->count++;
        }
        at = more ? hole_end(hole) : at;
    }
    at = pieces->items[pieces->count - 1].at;
    last_size = pieces->items[pieces->count - 1].size;
    while (last_size >= sizeof(eight)) {
        memcpy(&eight, bytes + at + last_size - sizeof(eight), sizeof(eight));
        if (eight)
            break;
        last_size -= (uint32_t)sizeof(eight);
    }
    pieces->size -= pieces->items[pieces->count - 1].size - last_size;
    pieces->items[pieces->count - 1].size = last_size;
}

void ww_policy_compact_copy(const struct ww_policy_pieces *pieces, const void *data, char *kept)
{
    for (size_t index = 0; index < pieces->count; index++) {
        memcpy(kept, (const char *)data + pieces->items[index].at, pieces->items[index].size);
        kept += pieces->items[index].size;
    }
}

/* What is being read. */
struct reading {
    const char *kept;
    size_t left;
};

static void take(struct reading *reading, char *out, size_t size)
{
    size_t there = WW_MIN(reading->left, size);

    memcpy(out, reading->kept, there);
    memset(out + there, 0, size - there);
    reading->kept += there;
    reading->left -= there;
}

static void skip(struct reading *reading, size_t size)
{
    size = WW_MIN(reading->left, size);
    reading->kept += size;
    reading->left -= size;
}

void ww_policy_expand(const struct ww_policy_shape *shape, const char *kept, size_t kept_size,
                      void *data)
{
    struct reading reading = {.kept = kept, .left = kept_size};
    char *bytes = data;
    uint32_t at = 0;

    for (uint32_t index = 0; index < shape->hole_count; index++) {
        const struct ww_policy_hole *hole = &shape->holes[index];
        uint32_t size;

        take(&reading, bytes + at, hole->offset - at);
        size = items_size(hole, bytes + hole->count_offset);
        take(&reading, bytes + hole->offset, size);
        at = hole_end(hole);
        memset(bytes + hole->offset + size, 0, at - hole->offset - size);
    }
    take(&reading, bytes + at, shape->size - at);
}

size_t ww_policy_kept_at(const struct ww_policy_shape *shape, const char *kept, size_t kept_size,
                         size_t offset)
{
    size_t cut = 0;

    for (uint32_t index = 0; index < shape->hole_count; index++) {
        const struct ww_policy_hole *hole = &shape->holes[index];
        struct reading reading = {.kept = kept, .left = kept_size};
        char count[sizeof(uint32_t)];

        if (hole->offset >= offset)
            break;
        skip(&reading, hole->count_offset - cut);
        take(&reading, count, sizeof(count));
        cut += hole->max * hole->item_size - items_size(hole, count);
    }
    return offset - cut;
}
