/* The datagram class: small messages share a record, large ones are cut in equal parts. What comes
 * in waits in a queue for its owner's turn; what doesn't fit is dropped and counted.
 */
#include "fast_room.h"

#define QUEUE_FIRST 16384
#define QUEUE_HEAD  5
/* A datagram that came in parts is queued as a record of its own. */
#define PART_AT (1 + FAST_LENGTH)

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

/* The record's own head and the message's are written before its payload, where it lies. */
static void send_in_place(struct ww_fast *fast, const uint8_t *head, size_t head_size,
                          const uint8_t *payload, size_t payload_size, enum ww_ecn mark)
{
    size_t before = 1 + FAST_LENGTH + head_size;
    uint8_t *record = (uint8_t *)(uintptr_t)payload - before;
    record[0] = WW_FAST_DATAGRAMS;
    number_put(record + 1, head_size + payload_size, FAST_LENGTH);
    memcpy(record + 1 + FAST_LENGTH, head, head_size);
    send(fast, record, before + payload_size, 1, mark);
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
                     const uint8_t *payload, size_t payload_size, enum ww_ecn mark, size_t room)
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
    fast->used_us = fast->now_us;
    /* Little more would fit into its record. */
    if (fast->pack_size == 0 && 2 * size > fast->pack_bytes &&
        room >= 1 + FAST_LENGTH + head_size) {
        send_in_place(fast, head, head_size, payload, payload_size, mark);
        return 0;
    }
    if (!fast->pack)
        fast->pack = ww_buffer_alloc(WW_FAST_RECORD_BYTES_MAX);
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
    return 0;
}

/* --- in ------------------------------------------------------------------------------------------
 *
 * The queue has the records as they came, each with a head: the record's bytes 4, mark 1.
 */

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
    more = ww_buffer_alloc(capacity);
    if (!more)
        return false;
    if (fast->queue_size)
        memcpy(more, fast->queue, fast->queue_size);
    ww_buffer_free(fast->queue, fast->queue_capacity);
    fast->queue = more;
    fast->queue_capacity = capacity;
    return true;
}

uint8_t *ww_fast_room(struct ww_fast *fast)
{
    /* Also for a datagram of which it may bring the last part: the queue doesn't move under it. */
    if (!fast->queue || !has_room(fast, QUEUE_HEAD + WW_MAX(WW_FAST_RECORD_BYTES_MAX,
                                                            PART_AT + WW_FAST_DATAGRAM_BYTES_MAX)))
        return NULL;
    return fast->queue + fast->queue_size + QUEUE_HEAD;
}

/* A record of so many messages, unless it was opened there. */
static void enqueue(struct ww_fast *fast, const uint8_t *record, size_t size, unsigned messages,
                    enum ww_ecn mark)
{
    bool is_there = fast->queue && record == fast->queue + fast->queue_size + QUEUE_HEAD;
    if (!is_there && !has_room(fast, QUEUE_HEAD + size)) {
        fast->stats.datagrams_dropped += messages;
        return;
    }
    uint8_t *entry = fast->queue + fast->queue_size;
    if (!is_there)
        memcpy(entry + QUEUE_HEAD, record, size);
    number_put(entry, size, 4);
    entry[4] = (uint8_t)mark;
    fast->queue_size += QUEUE_HEAD + size;
    fast->stats.datagrams_received += messages;
}

bool ww_fast_take_datagram(struct ww_fast *fast, uint8_t **data, size_t *size, enum ww_ecn *mark)
{
    uint8_t *at;
    if (fast->queue_at == fast->queue_size) {
        fast->queue_at = fast->queue_size = fast->queue_end = 0;
        return false;
    }
    at = fast->queue + fast->queue_at;
    if (fast->queue_at == fast->queue_end) {
        fast->queue_end += QUEUE_HEAD + (size_t)number_get(at, 4);
        fast->queue_mark = (enum ww_ecn)at[4];
        fast->queue_at += QUEUE_HEAD + 1;
        at += QUEUE_HEAD + 1;
    }
    *mark = fast->queue_mark;
    *size = (size_t)number_get(at, FAST_LENGTH);
    *data = at + FAST_LENGTH;
    fast->queue_at += FAST_LENGTH + *size;
    fast->used_us = fast->now_us;
    return true;
}

int ww_fast_on_datagrams(struct ww_fast *fast, const uint8_t *record, size_t size, enum ww_ecn mark)
{
    unsigned messages = 0;
    for (size_t at = 1; at < size; messages++) {
        size_t left = size - at;
        size_t length = left < FAST_LENGTH ? 0 : (size_t)number_get(record + at, FAST_LENGTH);
        if (length == 0 || length > left - FAST_LENGTH)
            return WW_EPROTOCOL;
        at += FAST_LENGTH + length;
    }
    if (messages)
        enqueue(fast, record, size, messages, mark);
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
        oldest->bytes = ww_alloc(1, PART_AT + WW_FAST_DATAGRAM_BYTES_MAX);
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
    memcpy(part->bytes + PART_AT + from, record + FAST_PART_HEAD, size);
    part->mark = part->have ? ww_ecn_join(part->mark, mark) : mark;
    part->have |= UINT32_C(1) << index;
    part->used = ++fast->part_uses;
    if (part->have != (uint32_t)((UINT64_C(1) << count) - 1))
        return 0;
    part->bytes[0] = WW_FAST_DATAGRAMS;
    number_put(part->bytes + 1, total, FAST_LENGTH);
    enqueue(fast, part->bytes, PART_AT + total, 1, part->mark);
    part->count = 0;
    part->used = 0;
    return 0;
}
