/* The table of flows: which packet is of which flow, how long one lives, and who makes room. A
 * model that is slow and plain says the same as the table. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "packet_flows_rig.h"

#define SECOND 1000000ULL

struct watcher {
    unsigned opened, named, closed;
    bool deny_port_25;
    struct ww_flow_bucket *bucket;
};

static int on_opened(void *arg, struct ww_flow *flow)
{
    struct watcher *watcher = arg;
    watcher->opened++;
    flow->bucket = watcher->bucket;
    return watcher->deny_port_25 && flow->there_port == 26 ? WW_EDENIED : 0;
}

static int on_named(void *arg, struct ww_flow *flow)
{
    struct watcher *watcher = arg;
    (void)flow;
    watcher->named++;
    return WW_EDENIED;
}

static void on_closed(void *arg, struct ww_flow *flow)
{
    struct watcher *watcher = arg;
    (void)flow;
    watcher->closed++;
}

static const struct ww_flow_callbacks CALLBACKS = {on_opened, on_named, on_closed};

static struct ww_flows *make(struct watcher *watcher, uint32_t flows_max)
{
    struct ww_flows_config config = {
        .flows_max = flows_max, .callbacks = &CALLBACKS, .arg = watcher};
    struct ww_flows *flows = NULL;
    assert_int_equal(ww_flows_create(&config, &flows), 0);
    return flows;
}

static enum ww_flow_pass go(struct ww_flows *flows, const struct shape *shape, uint64_t now_us,
                            struct ww_flow **flow)
{
    static uint8_t bytes[2048];
    struct ww_ip ip;
    size_t size = flows_packet(shape, bytes, &ip);
    struct ww_flow_packet packet = {&ip, bytes, size, !shape->is_incoming, WW_OFFLOAD_NONE};
    return ww_flows_packet(flows, &packet, now_us, flow);
}

static void both_directions_are_one_flow(void **state)
{
    struct watcher watcher = {0};
    struct ww_flows *flows = make(&watcher, 100);
    struct shape out = {.protocol = IPPROTO_UDP, .here = 4000, .there = 53, .payload = 10};
    struct shape in = {
        .protocol = IPPROTO_UDP, .here = 4000, .there = 53, .payload = 90, .is_incoming = true};
    struct shape other = {.protocol = IPPROTO_UDP, .here = 4001, .there = 53, .is_incoming = true};
    struct ww_flow *flow = NULL, *back = NULL;

    (void)state;
    assert_int_equal(go(flows, &in, SECOND, NULL), WW_FLOW_DROP);
    assert_int_equal(go(flows, &out, SECOND, &flow), WW_FLOW_PASS);
    assert_int_equal(go(flows, &in, 2 * SECOND, &back), WW_FLOW_PASS);
    assert_ptr_equal(flow, back);
    assert_int_equal(go(flows, &other, SECOND, &back), WW_FLOW_DROP);
    assert_null(back);
    assert_int_equal(flow->bytes[1], 38);
    assert_int_equal(flow->bytes[0], 118);
    assert_int_equal(flow->packets[0], 1);
    assert_int_equal(flow->first_us, SECOND);
    assert_int_equal(flow->last_us, 2 * SECOND);
    assert_int_equal(flow->here_port, 4000);
    assert_int_equal(flow->there_port, 53);
    assert_int_equal(flow->there[15], 8);
    out.protocol = IPPROTO_TCP; /* another protocol, another family: other flows */
    assert_int_equal(go(flows, &out, SECOND, &back), WW_FLOW_PASS);
    assert_ptr_not_equal(flow, back);
    out.is_v6 = true;
    assert_int_equal(go(flows, &out, SECOND, &back), WW_FLOW_PASS);
    assert_int_equal(watcher.opened, 3);
    ww_flows_destroy(flows);
    assert_int_equal(watcher.closed, 3);
}

static void each_state_has_its_time(void **state)
{
    static const struct {
        struct shape packets[5];
        uint64_t seconds;
    } lives[] = {
        {{{.protocol = IPPROTO_UDP}}, WW_FLOW_UDP_S},
        {{{.protocol = IPPROTO_UDP}, {.protocol = IPPROTO_UDP, .is_incoming = true}},
         WW_FLOW_UDP_BOTH_S},
        {{{.protocol = IPPROTO_ICMP, .here = 7, .there = 7}}, WW_FLOW_ICMP_S},
        {{{.protocol = IPPROTO_TCP, .flags = SYN}}, WW_FLOW_OPENING_S},
        {{{.protocol = IPPROTO_TCP, .flags = SYN},
          {.protocol = IPPROTO_TCP, .flags = SYN | ACK, .is_incoming = true},
          {.protocol = IPPROTO_TCP, .flags = ACK}},
         WW_FLOW_ESTABLISHED_S},
        {{{.protocol = IPPROTO_TCP, .flags = SYN},
          {.protocol = IPPROTO_TCP, .flags = RST | ACK, .is_incoming = true}},
         WW_FLOW_CLOSING_S},
        {{{.protocol = IPPROTO_TCP, .flags = SYN},
          {.protocol = IPPROTO_TCP, .flags = SYN | ACK, .is_incoming = true},
          {.protocol = IPPROTO_TCP, .flags = ACK | FIN}},
         WW_FLOW_ESTABLISHED_S},
        {{{.protocol = IPPROTO_TCP, .flags = SYN},
          {.protocol = IPPROTO_TCP, .flags = SYN | ACK, .is_incoming = true},
          {.protocol = IPPROTO_TCP, .flags = ACK | FIN},
          {.protocol = IPPROTO_TCP, .flags = ACK | FIN, .is_incoming = true},
          {.protocol = IPPROTO_TCP, .flags = ACK}},
         WW_FLOW_CLOSING_S},
    };

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(lives); i++) {
        struct watcher watcher = {0};
        struct ww_flows *flows = make(&watcher, 100);
        for (size_t j = 0; j < 5 && lives[i].packets[j].protocol; j++)
            assert_int_equal(go(flows, &lives[i].packets[j], SECOND, NULL), WW_FLOW_PASS);
        ww_flows_expire(flows, (1 + lives[i].seconds) * SECOND);
        assert_int_equal(ww_flows_count_open(flows), 1);
        ww_flows_expire(flows, (2 + lives[i].seconds) * SECOND);
        assert_int_equal(ww_flows_count_open(flows), 0);
        assert_int_equal(watcher.closed, 1);
        ww_flows_destroy(flows);
    }
}

static void a_port_is_used_again(void **state)
{
    struct watcher watcher = {0};
    struct ww_flows *flows = make(&watcher, 100);
    struct shape syn = {.protocol = IPPROTO_TCP, .flags = SYN, .here = 5000, .there = 80};
    struct shape reset = {
        .protocol = IPPROTO_TCP, .flags = RST, .here = 5000, .there = 80, .is_incoming = true};

    (void)state;
    assert_int_equal(go(flows, &syn, SECOND, NULL), WW_FLOW_PASS);
    assert_int_equal(go(flows, &syn, SECOND, NULL), WW_FLOW_PASS); /* sent again */
    assert_int_equal(watcher.opened, 1);
    assert_int_equal(go(flows, &reset, SECOND, NULL), WW_FLOW_PASS);
    assert_int_equal(go(flows, &syn, SECOND, NULL), WW_FLOW_PASS);
    assert_int_equal(watcher.opened, 2);
    assert_int_equal(watcher.closed, 1);
    ww_flows_destroy(flows);
}

static void the_least_makes_room(void **state)
{
    struct watcher watcher = {0};
    struct ww_flows *flows = make(&watcher, 4);
    struct shape held[4] = {
        {.protocol = IPPROTO_TCP, .flags = SYN, .here = 1, .there = 80},
        {.protocol = IPPROTO_UDP, .here = 2, .there = 53},
        {.protocol = IPPROTO_UDP, .here = 3, .there = 53},
        {.protocol = IPPROTO_ICMP, .here = 4, .there = 4},
    };
    struct shape more = {.protocol = IPPROTO_UDP, .here = 9, .there = 53};
    struct ww_flow what = {.protocol = IPPROTO_TCP, .there_port = 443};
    struct ww_flow *stream[4], *none = NULL, *flow = NULL;
    struct ww_flows_stats stats;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        go(flows, &held[i], (i + 1) * SECOND, NULL);
    go(flows, &held[1], 8 * SECOND, NULL); /* now the third is the older one */
    go(flows, &more, 9 * SECOND, NULL);    /* the echo goes */
    more.here = 10;
    go(flows, &more, 9 * SECOND, NULL); /* then the third */
    assert_int_equal(ww_flows_count_open(flows), 4);
    while ((flow = ww_flows_next(flows, flow)))
        assert_true(flow->here_port != 3 && flow->here_port != 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ww_flows_add_stream(flows, &what, "example.org", 10 * SECOND, &stream[i]),
                         0);
    assert_int_equal(ww_flows_add_stream(flows, &what, "example.org", 10 * SECOND, &none),
                     WW_ELIMIT);
    assert_int_equal(go(flows, &more, 11 * SECOND, &none), WW_FLOW_DROP);
    ww_flows_count(stream[0], true, 500, 12 * SECOND);
    assert_int_equal(stream[0]->bytes[1], 500);
    assert_string_equal(stream[0]->name, "example.org");
    ww_flows_expire(flows, 1000000 * SECOND);
    assert_int_equal(ww_flows_count_open(flows), 4);
    ww_flows_end_stream(flows, stream[0]);
    ww_flows_end_stream(flows, NULL);
    assert_int_equal(go(flows, &more, 11 * SECOND, &none), WW_FLOW_PASS);
    ww_flows_stats(flows, &stats);
    assert_int_equal(stats.pushed_out, 6);
    ww_flows_destroy(flows);
    assert_int_equal(watcher.closed, 11); /* streams too */
}

static void fragments_follow_the_first(void **state)
{
    struct watcher watcher = {0};
    struct ww_flows *flows = make(&watcher, 10);
    struct shape first = {
        .protocol = IPPROTO_UDP, .here = 1, .there = 53, .id = 7, .more = true, .payload = 8};
    struct shape later = {.protocol = IPPROTO_UDP, .id = 7, .offset = 16, .payload = 8};
    struct ww_flow *flow = NULL, *other = NULL;

    (void)state;
    assert_int_equal(go(flows, &later, SECOND, NULL), WW_FLOW_DROP);
    assert_int_equal(go(flows, &first, SECOND, &flow), WW_FLOW_PASS);
    assert_int_equal(go(flows, &later, SECOND, &other), WW_FLOW_PASS);
    assert_ptr_equal(flow, other);
    assert_int_equal(flow->packets[1], 2);
    later.id = 8;
    assert_int_equal(go(flows, &later, SECOND, NULL), WW_FLOW_DROP);
    later.id = 7;
    assert_int_equal(go(flows, &later, 20 * SECOND, NULL), WW_FLOW_DROP);
    ww_flows_expire(flows, 500 * SECOND); /* its index may be another flow's now */
    first.more = false;
    first.here = 2;
    go(flows, &first, 500 * SECOND, NULL);
    assert_int_equal(go(flows, &later, 500 * SECOND, NULL), WW_FLOW_DROP);
    ww_flows_destroy(flows);
}

/* Wherever the table's secret puts them. */
static void some_datagrams_push_out_none(void **state)
{
    struct watcher watcher = {0};
    struct shape first = {.protocol = IPPROTO_UDP, .here = 1, .there = 53, .more = true};
    struct shape later = {.protocol = IPPROTO_UDP, .offset = 16, .payload = 8}, flood = first;

    (void)state;
    for (flood.here = 2; flood.here < 202; flood.here++) {
        struct ww_flows *flows = make(&watcher, 10);
        bool is_flood = flood.here % 2; /* of another flow's: half of a set is left */
        for (flood.id = 1000; is_flood && flood.id < 3000; flood.id++)
            go(flows, &flood, 30 * SECOND, NULL);
        for (first.id = 1; first.id <= (is_flood ? 2 : 4); first.id++)
            assert_int_equal(go(flows, &first, 30 * SECOND + 1, NULL), WW_FLOW_PASS);
        while (is_flood && flood.id++ < 4000)
            go(flows, &flood, 30 * SECOND + 2, NULL);
        for (later.id = 1; later.id < first.id; later.id++)
            assert_int_equal(go(flows, &later, 30 * SECOND + 3, NULL), WW_FLOW_PASS);
        ww_flows_destroy(flows);
    }
}

static void denied_flows_are_rejected(void **state)
{
    struct watcher watcher = {.deny_port_25 = true};
    struct ww_flows *flows = make(&watcher, 10);
    struct shape syn = {.protocol = IPPROTO_TCP, .flags = SYN, .here = 1, .there = 26};
    struct shape good = {.protocol = IPPROTO_TCP, .flags = SYN, .here = 1, .there = 80};
    struct ww_flow *flow = NULL;
    uint32_t at = 0;
    size_t most = 1;

    (void)state;
    assert_int_equal(go(flows, &syn, SECOND, &flow), WW_FLOW_REJECT);
    assert_int_equal(flow->bytes[1], 0);
    assert_int_equal(flow->dropped, 1);
    for (int i = 1; i < WW_FLOW_REJECTS_PER_S; i++)
        assert_int_equal(go(flows, &syn, SECOND, NULL), WW_FLOW_REJECT);
    assert_int_equal(go(flows, &syn, SECOND, NULL), WW_FLOW_DROP); /* RFC 4443 wants a limit */
    assert_int_equal(watcher.opened, 1);
    assert_int_equal(go(flows, &good, SECOND, &flow), WW_FLOW_PASS);
    assert_true(ww_flows_judge_again(flows, &at, &most));
    assert_int_equal(watcher.named, 1);
    most = 9;
    assert_false(ww_flows_judge_again(flows, &at, &most));
    assert_int_equal(most, 8);
    assert_int_equal(watcher.named, 2);
    assert_int_equal(go(flows, &good, 3 * SECOND, &flow), WW_FLOW_REJECT);
    ww_flows_destroy(flows);
}

static void a_rate_holds(void **state)
{
    struct ww_flow_bucket bucket = {.bytes_s = 1000000};
    struct watcher watcher = {.bucket = &bucket};
    struct ww_flows *flows = make(&watcher, 10);
    struct shape data = {.protocol = IPPROTO_UDP, .here = 1, .there = 80, .payload = 972};
    uint64_t passed = 0;

    (void)state;
    /* Two flows offer 20 MB in ten seconds together. */
    for (uint64_t i = 0; i < 20000; i++) {
        data.here = (uint16_t)(1 + i % 2);
        if (go(flows, &data, SECOND + i * 500, NULL) == WW_FLOW_PASS)
            passed += 1000;
    }
    assert_in_range(passed, 10000000, 10000000 + 250000 + 1000);
    struct ww_flow_bucket slow = {.bytes_s = 1};
    assert_true(ww_flow_bucket_take(&slow, WW_FLOW_BURST_BYTES, SECOND));
    for (uint64_t i = 1; i < 1000; i++) /* parts of a byte add up */
        assert_false(ww_flow_bucket_take(&slow, 1, SECOND + i * 1000));
    assert_true(ww_flow_bucket_take(&slow, 1, 2 * SECOND));
    ww_flows_destroy(flows);
}

static void what_came_to_nothing_is_not_counted(void **state)
{
    struct ww_flow_bucket shared = {.bytes_s = 1000000};
    struct ww_flow_bucket bucket = {.bytes_s = shared.bytes_s, .shared = &shared};
    struct watcher watcher = {.bucket = &bucket};
    struct ww_flows *flows = make(&watcher, 10);
    struct shape data = {.protocol = IPPROTO_UDP, .here = 1, .there = 80, .payload = 972};
    static uint8_t bytes[2048];
    struct ww_flow *flow = NULL;
    struct ww_ip ip;

    (void)state;
    size_t size = flows_packet(&data, bytes, &ip);
    struct ww_flow_packet packet = {&ip, bytes, size, true, WW_OFFLOAD_NONE};
    /* It waits for many turns, and goes in the end. */
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ww_flows_packet(flows, &packet, SECOND, &flow), WW_FLOW_PASS);
        ww_flows_take_back(flow, &packet);
        assert_int_equal(flow->bytes[1], 0);
        assert_int_equal(flow->packets[1], 0);
    }
    assert_int_equal(ww_flows_packet(flows, &packet, SECOND, &flow), WW_FLOW_PASS);
    assert_int_equal(flow->bytes[1], 1000);
    assert_int_equal(flow->packets[1], 1);
    ww_flows_destroy(flows);
}

/* --- against a model -------------------------------------------------------------------------- */

#define MODEL_PORTS 3000

static void the_table_is_what_the_model_says(void **state)
{
    struct watcher watcher = {0};
    struct ww_flows *flows = make(&watcher, MODEL_PORTS);
    static uint64_t bytes[MODEL_PORTS], last[MODEL_PORTS];
    struct ww_flow *flow = NULL;
    struct ww_prng prng;
    uint64_t now_us = SECOND;
    size_t open = 0;

    (void)state;
    ww_prng_seed(&prng, 7);
    for (int step = 0; step < 200000; step++) {
        uint16_t port = (uint16_t)(ww_prng_next(&prng) % MODEL_PORTS);
        struct shape shape = {.protocol = IPPROTO_UDP, .here = (uint16_t)(port + 1), .there = 53};
        shape.payload = ww_prng_next(&prng) % 100;
        assert_int_equal(go(flows, &shape, now_us, NULL), WW_FLOW_PASS);
        open += last[port] == 0;
        bytes[port] += 28 + shape.payload;
        last[port] = now_us / SECOND;
        now_us += ww_prng_next(&prng) % (SECOND / 4);
        if (step % 64)
            continue;
        for (int turn = 0; turn < 20; turn++)
            ww_flows_expire(flows, now_us);
        for (size_t i = 0; i < MODEL_PORTS; i++) {
            if (last[i] && now_us / SECOND - last[i] > WW_FLOW_UDP_S)
                last[i] = bytes[i] = 0, open--;
        }
        assert_int_equal(ww_flows_count_open(flows), open);
    }
    while ((flow = ww_flows_next(flows, flow)))
        assert_int_equal(flow->bytes[1], bytes[flow->here_port - 1]);
    ww_flows_destroy(flows);
}

static void each_failing_allocation(void **state)
{
    struct shape shape = {.protocol = IPPROTO_UDP, .there = 53};

    (void)state;
    for (uint64_t n = 1;; n++) {
        struct watcher watcher = {0};
        struct ww_flows_config config = {
            .flows_max = 1000, .callbacks = &CALLBACKS, .arg = &watcher};
        struct ww_flows *flows = NULL;
        bool is_complete = true;

        ww_alloc_fail_after(n);
        if (ww_flows_create(&config, &flows)) {
            ww_alloc_fail_after(0);
            continue;
        }
        for (shape.here = 1; shape.here < 600; shape.here++)
            is_complete &= go(flows, &shape, SECOND, NULL) == WW_FLOW_PASS;
        ww_alloc_fail_after(0);
        ww_flows_destroy(flows);
        assert_int_equal(watcher.opened, watcher.closed);
        if (is_complete)
            return;
    }
}

/* No allocation in a packet of a known flow. Its time is a benchmark's: tests/bench/flow. */
static void a_known_flow_allocates_nothing(void **state)
{
    struct watcher watcher = {0};
    struct ww_flows *flows = make(&watcher, 1000);
    struct shape shape = {.protocol = IPPROTO_TCP, .flags = ACK, .here = 1, .there = 443};

    (void)state;
    go(flows, &shape, SECOND, NULL);
    shape.here = 2;
    go(flows, &shape, SECOND, NULL);
    uint64_t before = ww_alloc_count();
    for (uint64_t i = 0; i < 10000; i++) {
        shape.here = (uint16_t)(1 + i % 2);
        shape.is_incoming = i % 3 == 0;
        assert_int_equal(go(flows, &shape, SECOND + i * 1000, NULL), WW_FLOW_PASS);
    }
    assert_int_equal(ww_alloc_count(), before);
    ww_flows_destroy(flows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_are_one_flow),
        cmocka_unit_test(each_state_has_its_time),
        cmocka_unit_test(a_port_is_used_again),
        cmocka_unit_test(the_least_makes_room),
        cmocka_unit_test(fragments_follow_the_first),
        cmocka_unit_test(some_datagrams_push_out_none),
        cmocka_unit_test(denied_flows_are_rejected),
        cmocka_unit_test(a_rate_holds),
        cmocka_unit_test(what_came_to_nothing_is_not_counted),
        cmocka_unit_test(the_table_is_what_the_model_says),
        cmocka_unit_test(each_failing_allocation),
        cmocka_unit_test(a_known_flow_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
