/* Flows of a node: what the user has blocked outlives a restart and acts at once; the footprint
 * adds up, by the hour and the day, within its bounds; flows of packets get verdicts once and once
 * more when their name is known. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "edge.h"
#include "flows_room.h"
#include "footprint.h"
#include "ww/inspect.h"

static struct edge edge;
static struct ww_call no_arguments;

static void start(void)
{
    assert_int_equal(ww_committer_create(edge.store, edge.loop, &edge.committer), 0);
    memset(&no_arguments, 0, sizeof(no_arguments));
    assert_int_equal(flows_start(&edge, &no_arguments), 0);
}

static void stop(void)
{
    flows_stop(&edge);
    ww_committer_destroy(edge.committer);
    edge.committer = NULL;
}

static int setup(void **state)
{
    (void)state;
    memset(&edge, 0, sizeof(edge));
    edge.role = WW_TRANSFER_CLIENT;
    if (ww_loop_create(&edge.loop) || ww_store_memory_create(&edge.store))
        return 1;
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stop();
    ww_policy_live_destroy(edge.policies.live);
    edge.policies.live = NULL;
    verdicts_clear(&edge.verdicts);
    ww_store_close(edge.store);
    ww_loop_destroy(edge.loop);
    return 0;
}

static struct ww_policy_set *compile(const char *body)
{
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;
    struct ww_policy_set *set = NULL;
    char text[1024];
    int size = snprintf(text, sizeof(text), "return { verdict = function(request) %s end }", body);

    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add(&sources, "flow.lua", text, (size_t)size), 0);
    if (ww_policy_set_create(&sources, NULL, &set, &fault))
        fail_msg("%u: %s", fault.line, fault.message);
    ww_policy_sources_deinit(&sources);
    return set;
}

static void use(const char *body)
{
    ww_policy_live_destroy(edge.policies.live);
    edge.policies.live = NULL;
    assert_int_equal(ww_policy_live_create(compile(body), NULL, NULL, &edge.policies.live), 0);
}

static int ask(const char *name, const char *application)
{
    struct ww_dest dest = {.protocol = WW_DEST_TCP, .kind = WW_DEST_NAME, .port = 443};
    struct verdict_about about = {.dest = &dest, .application = application};
    struct verdict *verdict;

    snprintf(dest.name, sizeof(dest.name), "%s", name);
    int rc = verdict_ask_about(&edge, &about, &verdict);
    verdict_end(&verdict);
    return rc;
}

static int ask_address(uint8_t last)
{
    struct ww_dest dest = {.protocol = WW_DEST_UDP, .kind = WW_DEST_IPV4, .port = 53};
    struct verdict *verdict;

    memcpy(dest.address, (uint8_t[]){192, 0, 2, last}, 4);
    int rc = verdict_ask(&edge, &dest, &verdict);
    verdict_end(&verdict);
    return rc;
}

static void test_blocked(void **state)
{
    (void)state;
    assert_int_equal(ask("www.example.org", NULL), 0);
    assert_int_equal(blocks_add(&edge, "Example.ORG.", NULL, NULL), 0);
    assert_int_equal(blocks_add(&edge, "example.org", NULL, NULL), WW_EEXIST);
    assert_int_equal(blocks_add(&edge, "192.0.2.128/25", NULL, NULL), 0);
    assert_int_equal(blocks_add(&edge, "youtube", NULL, NULL), 0);
    static const char *bad[] = {"", "a..b", ".example", "a b.example", "192.0.2.1/24\n", "x\"y"};
    for (size_t i = 0; i < WW_ARRAY_COUNT(bad); i++)
        assert_int_equal(blocks_add(&edge, bad[i], NULL, NULL), WW_EINVAL);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(ask("example.org", NULL), WW_EDENIED);
        assert_int_equal(ask("WWW.Example.org", NULL), WW_EDENIED);
        assert_int_equal(ask("notexample.org", NULL), 0);
        assert_int_equal(ask("other.example", "YouTube"), WW_EDENIED);
        assert_int_equal(ask("other.example", "TLS"), 0);
        assert_int_equal(ask_address(127), 0);
        assert_int_equal(ask_address(128), WW_EDENIED);
        stop(); /* and it is all there when the node is back */
        start();
    }
    assert_int_equal(blocks_remove(&edge, "other.org", NULL, NULL), WW_ENOTFOUND);
    assert_int_equal(blocks_remove(&edge, "EXAMPLE.org", NULL, NULL), 0);
    stop();
    start();
    assert_int_equal(ask("www.example.org", NULL), 0);
    assert_int_equal(ask_address(128), WW_EDENIED);
    char text[32];
    for (int i = 2; i < WW_FLOW_BLOCKS_MAX; i++) {
        snprintf(text, sizeof(text), "host%d.example", i);
        assert_int_equal(blocks_add(&edge, text, NULL, NULL), 0);
    }
    assert_int_equal(blocks_add(&edge, "more.example", NULL, NULL), WW_ELIMIT);
}

/* --- packets ---------------------------------------------------------------------------------- */

static uint8_t there = 34;

static enum ww_flow_pass send_text(struct flow_table *table, uint16_t port, const char *text,
                                   uint64_t now_us, struct ww_flow **flow)
{
    uint8_t bytes[512] = {0x45, 0, 0,   0, 0, 0, 0,  0,   64,  6,
                          0,    0, 192, 0, 0, 2, 93, 184, 216, there};
    size_t size = 40 + strlen(text);
    struct ww_ip ip;

    bytes[3] = (uint8_t)size;
    bytes[20] = (uint8_t)(port >> 8);
    bytes[21] = (uint8_t)port;
    bytes[23] = 80;
    bytes[27] = 1;
    bytes[32] = 5 << 4;
    bytes[33] = 0x18;
    memcpy(bytes + 40, text, strlen(text));
    assert_int_equal(ww_ip_judge(NULL, bytes, size, &ip, NULL), 0);
    struct ww_flow_packet packet = {&ip, bytes, size, true, WW_OFFLOAD_NONE};
    return ww_flows_packet(table->flows, &packet, now_us, flow);
}

#define REQUEST "GET / HTTP/1.1\r\nHost: bad.example\r\n\r\n"

static void test_once_and_when_named(void **state)
{
    struct flow_table *table = NULL;
    struct ww_policy_counters counters;
    struct ww_flow *flow = NULL;
    struct ww_hash peer = {{7}};

    (void)state;
    use("if request.name == 'bad.example' then return { decision = 'deny', seconds = 3600 } end "
        "assert(request.host == '93.184.216.34' and request.kind == 'ipv4') "
        "return { decision = 'limit', bytes_s = 1000000, max_flows = 2, seconds = 3600 }");
    assert_int_equal(flow_table_open(&edge, &peer, &table), 0);
    assert_int_equal(send_text(table, 1000, "", 1000000, &flow), WW_FLOW_PASS);
    assert_int_equal(flow->bucket->bytes_s, 1000000);
    for (int i = 0; i < 100; i++)
        assert_int_equal(send_text(table, 1000, "", 1000000, &flow), WW_FLOW_PASS);
    ww_policy_live_counters(edge.policies.live, WW_HOOK_FLOW_VERDICT, &counters);
    assert_int_equal(counters.calls, 1);
    assert_int_equal(send_text(table, 1001, "", 1000000, NULL), WW_FLOW_PASS);
    assert_int_equal(send_text(table, 1002, "", 1000000, NULL), WW_FLOW_REJECT); /* the third */
    assert_int_equal(send_text(table, 1000, REQUEST, 1000000, &flow), WW_FLOW_REJECT);
    assert_string_equal(flow->name, "bad.example");
    assert_null(flow->bucket);
    ww_policy_live_counters(edge.policies.live, WW_HOOK_FLOW_VERDICT, &counters);
    assert_int_equal(counters.calls, 2); /* and the second flow's and the third's were known */
    assert_int_equal(send_text(table, 1003, "", 1000000, NULL), WW_FLOW_PASS); /* there is room */
    assert_int_equal(blocks_add(&edge, "93.184.216.0/24", NULL, NULL), 0);
    flows_judge_again(&edge);
    assert_int_equal(send_text(table, 1003, "", 1000000, NULL), WW_FLOW_REJECT);
    flow_table_close(table);
    assert_int_equal(edge.verdicts.flows, 0);
}

#define FLOWS 40

static size_t denied_seen;

static void count_denied(struct edge *judged)
{
    const struct flow_table *table;

    LIST_FOREACH (table, &judged->flows->tables, link) {
        for (struct ww_flow *flow = NULL; (flow = ww_flows_next(table->flows, flow));)
            denied_seen += flow->is_denied;
    }
}

/* A reload of policies that fail: the ones before come back while open flows are judged again, and
 * nothing of what a provider then denies is cut. */
static void test_policies_that_fail_cut_nothing(void **state)
{
    struct flow_table *table;
    struct ww_hash peer = {{7}};

    (void)state;
    stop();
    edge.role = WW_TRANSFER_PROVIDER;
    edge.judged = count_denied;
    denied_seen = 0;
    use("return { decision = 'allow', seconds = 3600 }");
    start();
    assert_int_equal(flow_table_open(&edge, &peer, &table), 0);
    for (there = 0; there < FLOWS; there++)
        assert_int_equal(send_text(table, 1000, "", 1000000, NULL), WW_FLOW_PASS);
    assert_int_equal(ww_policy_live_swap(edge.policies.live, compile("error('no')")), 0);
    for (int i = 0; i < 5; i++)
        ww_loop_turn(edge.loop, 1000);
    assert_int_equal(denied_seen, 0);
    for (there = 0; there < FLOWS; there++)
        assert_int_equal(send_text(table, 1000, "", 1000000, NULL), WW_FLOW_PASS);
    there = 34;
    flow_table_close(table);
}

/* --- the footprint ---------------------------------------------------------------------------- */

struct sum {
    size_t rows, others;
    uint64_t up, down, last;
    char first[64];
};

static int add_row(void *arg, const struct footprint_row *row)
{
    struct sum *sum = arg;
    if (sum->rows++ == 0)
        snprintf(sum->first, sizeof(sum->first), "%s", row->key);
    sum->others += row->key[0] == '\0';
    sum->up += row->up;
    sum->down += row->down;
    return 0;
}

static struct sum sum_of(enum footprint_by by, bool days)
{
    struct sum sum = {0};
    assert_int_equal(footprint_visit(edge.flows->footprint, by, days, 0, add_row, &sum), 0);
    return sum;
}

static void test_footprint(void **state)
{
    struct ww_dest dest = {.protocol = WW_DEST_TCP, .kind = WW_DEST_NAME, .port = 443};
    const struct verdict verdict = {.decision = WW_HOOK_ALLOW};
    struct ww_hash peer = {{9}};
    uint64_t up = 0;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(dest.name, sizeof(dest.name), "Host%u.example", i % 1000);
        struct ww_flow *flow = flow_stream_open(&edge, &dest, &verdict);
        flow_set_peer(flow, &peer);
        ww_flows_count(flow, true, i, 1);
        ww_flows_count(flow, false, 10, 1);
        up += i;
        if (i % 100 == 0)
            flows_count_now(&edge); /* what is counted once is not counted again */
        if (i % 500 == 0)
            footprint_save(edge.flows->footprint);
        flow_stream_close(&edge, &flow);
        assert_null(flow);
    }
    for (int round = 0; round < 2; round++) {
        for (int days = 0; days < 2; days++) {
            struct sum hosts = sum_of(FOOTPRINT_HOST, days);
            assert_int_equal(hosts.rows, WW_FOOTPRINT_KEYS + 1);
            assert_int_equal(hosts.others, 1);
            assert_int_equal(hosts.up, up);
            assert_int_equal(hosts.down, 20000);
            struct sum providers = sum_of(FOOTPRINT_PROVIDER, days);
            assert_int_equal(providers.rows, 1);
            assert_int_equal(providers.up, up);
            assert_int_equal(sum_of(FOOTPRINT_COUNTRY, days).others, 1); /* nobody knows */
            assert_string_equal(sum_of(FOOTPRINT_APPLICATION, days).first, "unknown");
        }
        stop(); /* it goes on after a restart */
        start();
    }
    assert_string_equal(sum_of(FOOTPRINT_HOST, true).first, "host999.example");
    assert_int_equal(footprint_forget(edge.flows->footprint, NULL, NULL), 0);
    stop();
    start();
    assert_int_equal(sum_of(FOOTPRINT_HOST, true).rows, 0);
}

/* Records of long ago go, those that are kept stay; one that can't be read is left out. */
static void test_old_records_go(void **state)
{
    static const uint8_t row[] = {0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2};
    uint32_t hour = (uint32_t)(ww_clock_wall_ms() / 3600000);
    struct ww_store_batch *batch = NULL;

    (void)state;
    assert_int_equal(ww_store_batch_create(&batch), 0);
    for (uint32_t age = 1; age <= 100; age++) {
        uint8_t key[6] = {'F', 'h'};
        for (int i = 0; i < 4; i++)
            key[2 + i] = (uint8_t)((hour - age) >> (24 - 8 * i));
        ww_store_batch_put(batch, key, sizeof(key), row, age == 5 ? 7 : sizeof(row));
    }
    assert_int_equal(ww_store_write(edge.store, batch, true), 0);
    ww_store_batch_destroy(batch);
    assert_int_equal(sum_of(FOOTPRINT_HOST, false).rows, 99);
    footprint_prune(edge.flows->footprint);
    stop();
    start();
    /* The hour may end while this runs. */
    assert_in_range(sum_of(FOOTPRINT_HOST, false).rows, WW_FOOTPRINT_HOURS - 2,
                    WW_FOOTPRINT_HOURS - 1);
}

/* It would begin anew as its own child, and so on. */
static void test_this_program_is_not_started_again(void **state)
{
    struct ww_inspector_stats stats;
    struct ww_inspector *inspector;

    (void)state;
    assert_int_equal(ww_inspector_create(edge.loop, &inspector), 0);
    ww_inspector_stats(inspector, &stats);
    assert_int_equal(stats.pid, 0);
    assert_int_equal(stats.starts, 0);
    ww_inspector_destroy(inspector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_this_program_is_not_started_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blocked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_once_and_when_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policies_that_fail_cut_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_footprint, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_records_go, setup, teardown),
    };

    ww_log_set_level(WW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
