/* The datagram class: small messages share a record, large ones are cut in equal parts. What comes
 * in waits in a queue for its owner's turn; what doesn't fit is dropped and counted.
 */
#include "fast_room.h"

#define QUEUE_FIRST 16384
#define QUEUE_HEAD  3 /* of each that came: length 2, mark 1 */

/* --- out -------------------------------------------------------------------------------------- */

static bool send(struct ww_fast *fast, const uint8_t *record, size_t size, unsigned messages,
                 enum ww_ecn mark)
{
    if (fast->callbacks.record(fast->arg, record, size, mark)) {
        fast->stats.datagrams_sent += messages;
        return true;
    }
    fast->stats.datagrams_dropped += messages;
    return false;
}

void ww_fast_send_packed(struct ww_fast *fast)
{
    if (fast->pack_size)
        send(fast, fast->pack, fast->pack_size, fast->pack_count, fast->pack_mark);
    fast->pack_size = fast->pack_count = 0;
}

/* Copies `size` bytes from `from` on of head and payload taken together. */
static void gather(uint8_t *out, size_t from, size_t size, const uint8_t *head, size_t head_size,
                   const uint8_t *payload)
{
    size_t part = from < head_size ? WW_MIN(size, head_size - from) : 0;
    if (part)
        memcpy(out, head + from, part);
    if (part < size)
        memcpy(out + part, payload + (from + part - head_size), size - part);
}

static int send_parts(struct ww_fast *fast, const uint8_t *head, size_t head_size,
                      const uint8_t *payload, size_t payload_size, enum ww_ecn mark)
{
    size_t total = head_size + payload_size, most = fast->record_bytes - FAST_PART_HEAD;
    size_t count = (total + most - 1) / most, part = (total + count - 1) / count;
    uint32_t id = fast->part_id++;
    uint8_t part_record[WW_FAST_RECORD_BYTES_MAX];
    if (count > WW_FAST_PARTS_MAX)
        return WW_ETOOBIG;
    for (size_t index = 0; index < count; index++) {
        size_t from = index * part, size = WW_MIN(part, total - from);
        part_record[0] = WW_FAST_PART;
        number_put(part_record + 1, id, 4);
        number_put(part_record + 5, total, 2);
        part_record[7] = (uint8_t)index;
        part_record[8] = (uint8_t)count;
        gather(part_record + FAST_PART_HEAD, from, size, head, head_size, payload);
        /* Records of one size leave in one system call: the last is filled up. */
        memset(part_record + FAST_PART_HEAD + size, 0, part - size);
        if (!send(fast, part_record, FAST_PART_HEAD + part, index + 1 == count, mark))
            return WW_EAGAIN;
    }
    return 0;
}

size_t ww_fast_datagram_room(const struct ww_fast *fast)
{
    return fast->pack_bytes - 1 - FAST_LENGTH;
}

/* It begins a record of its own. One that can be marked and one that can't share none, unless both
 * fit into one datagram: small ones, whatever they are, cost less together than a mark is worth. */
static bool is_apart(const struct ww_fast *fast, size_t size, enum ww_ecn mark)
{
    size_t with = fast->pack_size + FAST_LENGTH + size;
    return with > fast->pack_bytes || (with > fast->record_bytes && fast->pack_size > 0 &&
                                       (mark == WW_ECN_NONE) != (fast->pack_mark == WW_ECN_NONE));
}

int ww_fast_datagram(struct ww_fast *fast, const uint8_t *head, size_t head_size,
                     const uint8_t *payload, size_t payload_size, enum ww_ecn mark)
{
    size_t size = head_size + payload_size;
    if (size == 0)
        return WW_EINVAL;
    if (size > WW_FAST_DATAGRAM_BYTES_MAX)
        return WW_ETOOBIG;
    if (is_apart(fast, size, mark))
        ww_fast_send_packed(fast);
    if (1 + FAST_LENGTH + size > fast->pack_bytes)
        return send_parts(fast, head, head_size, payload, payload_size, mark);
    if (!fast->pack)
        fast->pack = ww_realloc(NULL, WW_FAST_RECORD_BYTES_MAX, 1);
    if (!fast->pack) {
        fast->stats.datagrams_dropped++;
        return WW_EAGAIN;
    }
    if (fast->pack_size == 0)
        fast->pack[fast->pack_size++] = WW_FAST_DATAGRAMS;
    fast->pack_mark = fast->pack_count ? ww_ecn_share(fast->pack_mark, mark) : mark;
    number_put(fast->pack + fast->pack_size, size, FAST_LENGTH);
    gather(fast->pack + fast->pack_size + FAST_LENGTH, 0, size, head, head_size, payload);
    fast->pack_size += FAST_LENGTH + size;
    fast->pack_count++;
    fast->used_us = fast->now_us;
    return 0;
}

/* --- in --------------------------------------------------------------------------------------- */

static bool has_room(struct ww_fast *fast, size_t size)
{
    size_t capacity = fast->queue_capacity ? fast->queue_capacity : QUEUE_FIRST;
    uint8_t *more;
    while (capacity < fast->queue_size + size)
        capacity *= 2;
    if (capacity == fast->queue_capacity)
        return true;
    if (capacity > WW_FAST_QUEUE_BYTES_MAX)
        return false;
    more = ww_realloc(fast->queue, capacity, 1);
    if (!more)
        return false;
    fast->queue = more;
    fast->queue_capacity = capacity;
    return true;
}

static void enqueue(struct ww_fast *fast, const uint8_t *data, size_t size, enum ww_ecn mark)
{
    if (!has_room(fast, QUEUE_HEAD + size)) {
        fast->stats.datagrams_dropped++;
        return;
    }
    number_put(fast->queue + fast->queue_size, size, FAST_LENGTH);
    fast->queue[fast->queue_size + FAST_LENGTH] = (uint8_t)mark;
    memcpy(fast->queue + fast->queue_size + QUEUE_HEAD, data, size);
    fast->queue_size += QUEUE_HEAD + size;
    fast->stats.datagrams_received++;
}

bool ww_fast_take_datagram(struct ww_fast *fast, const uint8_t **data, size_t *size,
                           enum ww_ecn *mark)
{
    if (fast->queue_at == fast->queue_size) {
        fast->queue_at = fast->queue_size = 0;
        return false;
    }
    *size = (size_t)number_get(fast->queue + fast->queue_at, FAST_LENGTH);
    *mark = (enum ww_ecn)fast->queue[fast->queue_at + FAST_LENGTH];
    *data = fast->queue + fast->queue_at + QUEUE_HEAD;
    fast->queue_at += QUEUE_HEAD + *size;
    fast->used_us = fast->now_us;
    return true;
}

int ww_fast_on_datagrams(struct ww_fast *fast, const uint8_t *record, size_t size, enum ww_ecn mark)
{
    size_t at = 1;
    while (at < size) {
        if (size - at < FAST_LENGTH)
            return WW_EPROTOCOL;
        size_t length = (size_t)number_get(record + at, FAST_LENGTH);
        at += FAST_LENGTH;
        if (length == 0 || length > size - at)
            return WW_EPROTOCOL;
        enqueue(fast, record + at, length, mark);
        at += length;
    }
    return 0;
}

/* The entry of this datagram: its own, a free one, or the one that was used the longest ago. */
static struct fast_part *find_part(struct ww_fast *fast, uint32_t id, uint16_t total, uint8_t count)
{
    struct fast_part *oldest = &fast->parts[0];
    for (size_t i = 0; i < WW_ARRAY_COUNT(fast->parts); i++) {
        struct fast_part *part = &fast->parts[i];
        if (part->count && part->id == id && part->total == total && part->count == count)
            return part;
        if (part->used < oldest->used)
            oldest = part;
    }
    if (!oldest->bytes)
        oldest->bytes = ww_alloc(1, WW_FAST_DATAGRAM_BYTES_MAX);
    if (!oldest->bytes)
        return NULL;
    fast->stats.parts_dropped += oldest->count > 0;
    oldest->id = id;
    oldest->total = total;
    oldest->count = count;
    oldest->have = 0;
    return oldest;
}

int ww_fast_on_part(struct ww_fast *fast, const uint8_t *record, size_t size, enum ww_ecn mark)
{
    if (size <= FAST_PART_HEAD)
        return WW_EPROTOCOL;
    uint32_t id = (uint32_t)number_get(record + 1, 4);
    size_t total = (size_t)number_get(record + 5, 2);
    size_t index = record[7], count = record[8];
    size -= FAST_PART_HEAD;
    if (count < 2 || count > WW_FAST_PARTS_MAX || index >= count ||
        total > WW_FAST_DATAGRAM_BYTES_MAX)
        return WW_EPROTOCOL;
    size_t each = (total + count - 1) / count, from = index * each;
    if (from >= total || size != each)
        return WW_EPROTOCOL;
    size = WW_MIN(each, total - from);
    struct fast_part *part = find_part(fast, id, (uint16_t)total, (uint8_t)count);
    if (!part) {
        fast->stats.parts_dropped++;
        return 0;
    }
    memcpy(part->bytes + from, record + FAST_PART_HEAD, size);
    part->mark = part->have ? ww_ecn_join(part->mark, mark) : mark;
    part->have |= UINT32_C(1) << index;
    part->used = ++fast->part_uses;
    if (part->have != (uint32_t)((UINT64_C(1) << count) - 1))
        return 0;
    enqueue(fast, part->bytes, total, part->mark);
    part->count = 0;
    part->used = 0;
    return 0;
}
