/* The ends, their line and the order of what happens. Relies on nothing but the state machine. */
#include "net_fast_sim.h"

#include <stdlib.h>
#include <string.h>

#define DATAGRAM_SALT 77777

/* --- the line --------------------------------------------------------------------------------- */

static bool is_earlier(const struct sim_record *a, const struct sim_record *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct sim *sim, size_t a, size_t b)
{
    struct sim_record other = sim->records[a];
    sim->records[a] = sim->records[b];
    sim->records[b] = other;
}

static void push(struct sim *sim, int to, uint64_t at_us, const uint8_t *data, size_t size,
                 enum ww_ecn mark)
{
    if (sim->count == sim->capacity) {
        sim->capacity = sim->capacity ? 2 * sim->capacity : 256;
        sim->records = realloc(sim->records, sim->capacity * sizeof *sim->records);
        assert_non_null(sim->records);
    }
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, data, size);
    size_t i = sim->count++;
    sim->records[i] =
        (struct sim_record){at_us, sim->order++, sim->ends[1 - to].records, to, size, copy, mark};
    for (; i && is_earlier(&sim->records[i], &sim->records[(i - 1) / 2]); i = (i - 1) / 2)
        swap(sim, i, (i - 1) / 2);
}

static struct sim_record pop(struct sim *sim)
{
    struct sim_record first = sim->records[0];
    sim->records[0] = sim->records[--sim->count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < sim->count; child++) {
            if (is_earlier(&sim->records[child], &sim->records[least]))
                least = child;
        }
        if (least == i)
            return first;
        swap(sim, i, least);
        i = least;
    }
}

static unsigned draw(struct sim *sim)
{
    return (unsigned)(ww_prng_next(&sim->prng) % 1000);
}

static bool on_record(void *arg, const uint8_t *record, size_t size, enum ww_ecn mark)
{
    struct sim_end *end = arg;
    struct sim *sim = end->sim;
    const struct sim_line *line = &sim->line;
    if (end->is_full)
        return false;
    end->records++;
    end->last_mark = mark;
    end->record_bytes += size;
    if (line->most && size > line->most)
        return true;
    uint64_t start_us = sim->now_us;
    if (line->bytes_per_ms) {
        start_us = WW_MAX(end->busy_us, sim->now_us);
        if ((start_us - sim->now_us) * line->bytes_per_ms / 1000 > line->queue_bytes)
            return true;
        start_us = end->busy_us = start_us + size * 1000 / line->bytes_per_ms;
    }
    if (sim->now_us >= line->down_from_us && sim->now_us < line->down_to_us)
        return true;
    for (unsigned copies = draw(sim) < line->twice ? 2 : 1; copies; copies--) {
        uint64_t at_us = start_us + line->delay_us;
        if (line->jitter_us)
            at_us += ww_prng_next(&sim->prng) % line->jitter_us;
        if (draw(sim) < line->late)
            at_us += line->late_us;
        if (draw(sim) >= line->loss)
            push(sim, !end->index, at_us, record, size, mark);
    }
    return true;
}

/* --- messages -----------------------------------------------------------------------------------
 */

size_t sim_message(const struct sim *sim, int end, uint64_t number, uint8_t *out)
{
    struct ww_prng prng;
    ww_prng_seed(&prng, number * 2 + (uint64_t)end + 1);
    size_t size = sim->message_bytes ? sim->message_bytes : 1 + ww_prng_next(&prng) % 20000;
    if (!sim->message_bytes && ww_prng_next(&prng) % 2)
        size = 1 + size % 60;
    if (number >= DATAGRAM_SALT)
        size = 8 + size % 3000;
    ww_prng_fill(&prng, out, size);
    if (number >= DATAGRAM_SALT)
        memcpy(out, &number, sizeof number);
    return size;
}

static void write_some(struct sim_end *end)
{
    static uint8_t bytes[WW_FAST_MESSAGE_BYTES_MAX];
    while (end->written < end->to_send) {
        size_t size = sim_message(end->sim, end->index, end->written, bytes);
        size_t head = size > 20 ? 20 : size;
        int code = ww_fast_write(end->fast, bytes, head, bytes + head, size - head);
        if (code == WW_EAGAIN)
            break;
        if (code == WW_ENOMEM)
            break;
        assert_int_equal(code, 0);
        end->written++;
    }
    for (int i = 0; i < 5 && end->datagrams_written < end->datagrams_to_send; i++) {
        size_t size =
            sim_message(end->sim, end->index, DATAGRAM_SALT + end->datagrams_written, bytes);
        /* Every second one may be sent from where it lies, with 10 bytes for heads before it. */
        static uint8_t own[10 + WW_FAST_MESSAGE_BYTES_MAX];
        memset(own, 0xee, 10);
        memcpy(own + 10, bytes + 7, size - 7);
        ww_fast_datagram(end->fast, bytes, 7, own + 10, size - 7, WW_ECN_NONE,
                         end->datagrams_written % 2 ? 10 : 0);
        end->datagrams_written++;
    }
}

static void take_some(struct sim_end *end)
{
    static uint8_t bytes[WW_FAST_MESSAGE_BYTES_MAX];
    uint8_t *data;
    size_t size;
    int code;
    if (end->is_slow && end->sim->now_us < end->take_us)
        return;
    while (ww_fast_take(end->fast, &data, &size, &code)) {
        assert_int_equal(sim_message(end->sim, !end->index, end->came, bytes), size);
        assert_memory_equal(data, bytes, size);
        end->came++;
        end->take_us = end->sim->now_us + 2000;
        if (end->is_slow)
            break;
    }
    if (code != WW_ENOMEM)
        assert_int_equal(code, 0);
    enum ww_ecn mark;
    while (ww_fast_take_datagram(end->fast, &data, &size, &mark)) {
        uint64_t number;
        memcpy(&number, data, sizeof number);
        assert_in_range(number, DATAGRAM_SALT, DATAGRAM_SALT + 1000000);
        assert_int_equal(sim_message(end->sim, !end->index, number, bytes), size);
        assert_memory_equal(data, bytes, size);
        end->datagrams_came++;
    }
}

/* --- turns --------------------------------------------------------------------------------------
 */

static void turn(struct sim_end *end)
{
    ww_fast_is_writable(end->fast);
    take_some(end);
    write_some(end);
    end->next_us = ww_fast_output(end->fast, end->sim->now_us);
    /* A timer that is due at once, again and again, would turn a core. */
    assert_true(end->next_us > end->sim->now_us);
    if (end->datagrams_written < end->datagrams_to_send || end->is_full || end->is_slow)
        end->next_us = WW_MIN(end->next_us, end->sim->now_us + 1000);
}

static bool is_done(const struct sim *sim)
{
    for (int i = 0; i < 2; i++) {
        struct ww_fast_stats stats;
        const struct sim_end *end = &sim->ends[i], *other = &sim->ends[!i];
        ww_fast_stats(end->fast, &stats);
        if (other->came < end->to_send || stats.in_flight_bytes ||
            end->datagrams_written < end->datagrams_to_send)
            return false;
    }
    return true;
}

bool sim_run(struct sim *sim, uint64_t until_us)
{
    for (int i = 0; i < 2; i++)
        turn(&sim->ends[i]);
    while (!is_done(sim) && !sim->code) {
        uint64_t next_us = WW_MIN(sim->ends[0].next_us, sim->ends[1].next_us);
        if (sim->count)
            next_us = WW_MIN(next_us, sim->records[0].at_us);
        if (next_us > until_us) {
            sim->now_us = until_us;
            return false;
        }
        sim->now_us = WW_MAX(sim->now_us, next_us);
        sim->moves++;
        bool heard[2] = {false, false};
        while (sim->count && sim->records[0].at_us <= sim->now_us) {
            struct sim_record record = pop(sim);
            struct sim_end *end = &sim->ends[record.to];
            bool is_old = sim->line.replay && record.number + sim->line.replay <= end->newest;
            uint8_t *room = record.number % 2 ? ww_fast_room(end->fast) : NULL;
            if (room)
                memcpy(room, record.data, record.size);
            int code = is_old ? 0
                              : ww_fast_input(end->fast, room ? room : record.data, record.size,
                                              record.mark, sim->now_us);
            end->refused += is_old;
            end->newest = WW_MAX(end->newest, record.number);
            sim->code = sim->code ? sim->code : code;
            heard[record.to] = true;
            free(record.data);
        }
        for (int i = 0; i < 2; i++) {
            if (heard[i] || sim->ends[i].next_us <= sim->now_us)
                turn(&sim->ends[i]);
        }
    }
    return !sim->code;
}

void sim_start(struct sim *sim, uint64_t seed, const struct sim_line *line, size_t record_bytes)
{
    static const struct ww_fast_callbacks CALLBACKS = {.record = on_record};
    memset(sim, 0, sizeof *sim);
    ww_prng_seed(&sim->prng, seed);
    sim->line = *line;
    sim->now_us = 1000000;
    for (int i = 0; i < 2; i++) {
        struct sim_end *end = &sim->ends[i];
        end->sim = sim;
        end->index = i;
        assert_int_equal(ww_fast_create(record_bytes, &CALLBACKS, end, &end->fast), 0);
    }
}

void sim_stop(struct sim *sim)
{
    for (int i = 0; i < 2; i++)
        ww_fast_destroy(sim->ends[i].fast);
    while (sim->count)
        free(pop(sim).data);
    free(sim->records);
}

void sim_acknowledge(struct ww_fast *fast, uint64_t largest, uint64_t from, uint64_t now_us)
{
    uint8_t ack[24] = {WW_FAST_ACK, 0, 0xff};
    uint64_t count = largest + 1 - from;
    for (size_t i = 0; i < 6; i++)
        ack[14 - i] = (uint8_t)(largest >> 8 * i);
    for (size_t i = 0; i < 4; i++)
        ack[23 - i] = (uint8_t)(count >> 8 * i);
    assert_int_equal(ww_fast_input(fast, ack, sizeof ack, WW_ECN_NONE, now_us), 0);
}
