/* Two ends of the fast lane in virtual time, over a line that loses, delays, overtakes, doubles and
 * pauses as a seed has it. Every message is checked: the reliable ones come once, in order, whole;
 * datagrams come whole or not at all.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fast.h"

struct sim_line {
    unsigned loss, twice, late; /* per 1,000 */
    uint64_t delay_us, jitter_us, late_us;
    uint64_t bytes_per_ms; /* 0: no limit; beyond what its queue holds is dropped */
    uint64_t queue_bytes;
    uint64_t down_from_us, down_to_us; /* nothing passes */
    size_t most;                       /* larger records don't pass; 0: all do */
    uint64_t replay; /* DTLS's window: what so many have overtaken is lost; 0: nothing is */
};

struct sim_end {
    struct sim *sim;
    int index;
    struct ww_fast *fast;
    uint64_t next_us;
    /* going out */
    uint64_t to_send, written; /* messages of the reliable class */
    uint64_t datagrams_to_send, datagrams_written;
    /* coming in */
    uint64_t came, datagrams_came;
    uint64_t busy_us; /* of the line that it sends on, until then */
    uint64_t records, record_bytes;
    uint64_t newest, refused; /* of the records that came, and how many were too old */
    enum ww_ecn last_mark;    /* of what was sent */
    bool is_full;             /* the record callback refuses */
    bool is_slow;             /* takes a message every 2 ms */
    uint64_t take_us;
    struct ww_prng content; /* of what is sent */
};

struct sim_record {
    uint64_t at_us;
    uint64_t order;
    uint64_t number; /* of its direction, from 1 */
    int to;
    size_t size;
    uint8_t *data;
    enum ww_ecn mark;
};

struct sim {
    struct ww_prng prng;
    uint64_t now_us;
    struct sim_line line;
    struct sim_end ends[2];
    struct sim_record *records; /* a heap */
    size_t count, capacity;
    uint64_t order;
    size_t message_bytes; /* 0: of all sizes */
    uint64_t moves;
    int code; /* of an end that failed */
};

void sim_start(struct sim *sim, uint64_t seed, const struct sim_line *line, size_t record_bytes);
void sim_stop(struct sim *sim);
/* Until everything reliable has come, and is known to have come; false when it hasn't by then. */
bool sim_run(struct sim *sim, uint64_t until_us);
/* The size and bytes of the n-th message of an end. */
size_t sim_message(const struct sim *sim, int end, uint64_t number, uint8_t *out);
/* Without a line: the packets from `from` to `largest` are acknowledged, which closes no window. */
void sim_acknowledge(struct ww_fast *fast, uint64_t largest, uint64_t from, uint64_t now_us);
