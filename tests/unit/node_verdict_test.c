/* The flow policy where flows open: asked once for a destination while its answer holds, again when
 * the policies are others; limits count open flows; the table is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge.h"

static struct edge edge;

static struct ww_policy_set *set_of(const char *body)
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
    if (body)
        assert_int_equal(ww_policy_live_create(set_of(body), NULL, NULL, &edge.policies.live), 0);
}

static uint64_t calls(void)
{
    struct ww_policy_counters counters;

    ww_policy_live_counters(edge.policies.live, WW_HOOK_FLOW_VERDICT, &counters);
    return counters.calls;
}

static int setup(void **state)
{
    (void)state;
    memset(&edge, 0, sizeof(edge));
    edge.role = WW_TRANSFER_PROVIDER;
    return ww_loop_create(&edge.loop);
}

static int teardown(void **state)
{
    (void)state;
    ww_policy_live_destroy(edge.policies.live);
    verdicts_clear(&edge.verdicts);
    ww_loop_destroy(edge.loop);
    return 0;
}

static struct ww_dest named(const char *name, uint16_t port)
{
    struct ww_dest dest = {.protocol = WW_DEST_TCP, .kind = WW_DEST_NAME, .port = port};

    snprintf(dest.name, sizeof(dest.name), "%s", name);
    return dest;
}

static int ask_and_end(const struct ww_dest *dest)
{
    struct verdict *verdict;
    int rc = verdict_ask(&edge, dest, &verdict);

    assert_true((rc == 0) == (verdict != NULL));
    verdict_end(&verdict);
    return rc;
}

/* For what is remembered. */
static void time_passes(uint64_t seconds)
{
    struct verdict *verdict, *next;

    HASH_ITER(hh, edge.verdicts.table, verdict, next)
    verdict->until_us -= seconds * 1000000;
}

static void test_asked_once_for_a_destination(void **state)
{
    struct ww_dest dest = named("Example.ORG", 443), same = named("example.org", 443);
    struct ww_dest other = named("example.org", 80), udp = named("example.org", 443);

    (void)state;
    use("assert(request.host == 'example.org' and request.side == 'provider') "
        "return { decision = 'allow', seconds = 3600 }");
    for (unsigned round = 0; round < 100; round++) {
        assert_int_equal(ask_and_end(&dest), 0);
        assert_int_equal(ask_and_end(&same), 0);
    }
    assert_int_equal(calls(), 1);
    udp.protocol = WW_DEST_UDP;
    assert_int_equal(ask_and_end(&other), 0);
    assert_int_equal(ask_and_end(&udp), 0);
    assert_int_equal(calls(), 3);
}

static void test_an_answer_ends(void **state)
{
    struct ww_dest dest = named("a.example", 443);

    (void)state;
    use("return { decision = 'allow', seconds = 1 }");
    assert_int_equal(ask_and_end(&dest), 0);
    assert_int_equal(ask_and_end(&dest), 0);
    assert_int_equal(calls(), 1);
    time_passes(1);
    assert_int_equal(ask_and_end(&dest), 0);
    assert_int_equal(calls(), 2);
    /* Other policies: what the old ones said holds no longer. */
    use("return { decision = 'allow', seconds = 3600 }");
    assert_int_equal(ask_and_end(&dest), 0);
    use("return { decision = 'deny', seconds = 3600, reason = 'no' }");
    assert_int_equal(ask_and_end(&dest), WW_EDENIED);
    assert_int_equal(ask_and_end(&dest), WW_EDENIED);
    assert_int_equal(calls(), 1);
    assert_int_equal(edge.verdicts.denied, 2);
}

static void test_addresses(void **state)
{
    struct ww_dest four = {.protocol = WW_DEST_UDP, .kind = WW_DEST_IPV4, .port = 53};
    struct ww_dest six = {.kind = WW_DEST_IPV6, .port = 53};

    (void)state;
    memcpy(four.address, "\x01\x02\x03\x04", 4);
    six.address[0] = 0x20;
    six.address[15] = 7;
    use("local known = request.kind == 'ipv4' and request.host == '1.2.3.4' "
        "and request.protocol == 'udp' "
        "or request.kind == 'ipv6' and request.host == '2000::7' and request.protocol == 'tcp' "
        "return { decision = known and request.port == 53 and 'allow' or 'deny' }");
    assert_int_equal(ask_and_end(&four), 0);
    assert_int_equal(ask_and_end(&six), 0);
    four.address[3] = 5;
    assert_int_equal(ask_and_end(&four), WW_EDENIED);
}

static void test_limit(void **state)
{
    struct ww_dest dest = named("a.example", 443), other = named("b.example", 443);
    struct verdict *open[3], *more;

    (void)state;
    use("return { decision = 'limit', max_flows = 3, seconds = 3600 }");
    for (unsigned index = 0; index < 3; index++)
        assert_int_equal(verdict_ask(&edge, &dest, &open[index]), 0);
    assert_int_equal(verdict_ask(&edge, &dest, &more), WW_ELIMIT);
    assert_null(more);
    assert_int_equal(ask_and_end(&other), 0);
    verdict_end(&open[1]);
    assert_null(open[1]);
    assert_int_equal(verdict_ask(&edge, &dest, &open[1]), 0);
    assert_int_equal(edge.verdicts.flows, 3);
    for (unsigned index = 0; index < 3; index++)
        verdict_end(&open[index]);
    assert_int_equal(edge.verdicts.flows, 0);
    assert_int_equal(edge.verdicts.limited, 1);
}

/* A client that calls one place by many names has one share of it; before a name is known, too. */
static void test_many_names_one_place(void **state)
{
    struct ww_dest dest = {.protocol = WW_DEST_TCP, .kind = WW_DEST_IPV4, .port = 443};
    struct verdict_about about = {.dest = &dest};
    struct verdict *open[4] = {NULL}, *other = NULL;
    static const char *names[4] = {NULL, "a.example", "b.example", "c.example"};

    (void)state;
    use("return { decision = 'limit', bytes_s = request.port == 80 and 2000000 or 1000000, "
        "max_flows = 4, seconds = 3600 }");
    for (unsigned i = 0; i < 4; i++) {
        about.name = names[i];
        assert_int_equal(verdict_ask_about(&edge, &about, &open[i]), 0);
        assert_int_equal(open[i]->bucket.bytes_s, 1000000);
    }
    about.name = "d.example";
    assert_int_equal(verdict_ask_about(&edge, &about, &other), WW_ELIMIT);
    assert_int_equal(calls(), 5);
    assert_true(ww_flow_bucket_take(&open[0]->bucket, 250000, 5));
    for (unsigned i = 0; i < 4; i++)
        assert_false(ww_flow_bucket_take(&open[i]->bucket, 1000, 5));
    ww_flow_bucket_give(&open[1]->bucket, 1000);
    assert_int_equal(ww_flow_bucket_take_some(&open[2]->bucket, 2000, 5), 1000);
    dest.port = 80;
    assert_int_equal(verdict_ask_about(&edge, &about, &other), 0); /* another place */
    assert_true(ww_flow_bucket_take(&other->bucket, 500000, 5));
    verdict_end(&other);
    for (unsigned i = 0; i < 4; i++)
        verdict_end(&open[i]);
}

/* A limit that the policy gives anew takes along the flows that are open under the old one. */
static void test_a_limit_changes_under_flows(void **state)
{
    struct ww_dest dest = {.protocol = WW_DEST_TCP, .kind = WW_DEST_IPV4, .port = 443};
    struct verdict_about about = {.dest = &dest, .name = "a.example"};
    struct verdict *first, *second, *more;

    (void)state;
    use("return { decision = 'limit', bytes_s = 1000000, max_flows = 9, seconds = 1 }");
    assert_int_equal(verdict_ask_about(&edge, &about, &first), 0);
    use("return { decision = 'limit', bytes_s = 400000, max_flows = 2, seconds = 3600 }");
    assert_int_equal(verdict_ask_about(&edge, &about, &second), 0);
    assert_ptr_equal(first, second);
    assert_true(ww_flow_bucket_take(&first->bucket, 100000, 5));
    assert_false(ww_flow_bucket_take(&first->bucket, 1000, 5));
    about.name = "b.example";
    assert_int_equal(verdict_ask_about(&edge, &about, &more), WW_ELIMIT);
    use("return { decision = 'allow', seconds = 3600 }");
    assert_int_equal(verdict_ask_about(&edge, &about, &more), 0);
    verdict_end(&more);
    about.name = "a.example";
    assert_int_equal(verdict_ask_about(&edge, &about, &more), 0);
    assert_true(ww_flow_bucket_take(&first->bucket, 100000, 5));
    verdict_end(&first);
    verdict_end(&second);
    verdict_end(&more);
    assert_int_equal(edge.verdicts.flows, 0);
    assert_null(edge.verdicts.places);
    use("return { decision = 'limit', seconds = 3600 }");
    ww_alloc_fail_after(1); /* the place */
    assert_int_equal(verdict_ask_about(&edge, &about, &more), WW_ENOMEM);
    ww_alloc_fail_after(0);
    assert_int_equal(verdict_ask_about(&edge, &about, &more), 0);
    verdict_end(&more);
}

/* What a flow's first packets say is another question, with its own answer. */
static void test_what_is_known(void **state)
{
    struct ww_dest dest = {.protocol = WW_DEST_TCP, .kind = WW_DEST_IPV4, .port = 443};
    struct verdict_about about = {.dest = &dest, .country = "IS", .network = 64500};
    struct verdict *verdict = NULL;

    (void)state;
    use("assert(request.country == 'IS' and request.network == 64500 and request.kind == 'ipv4') "
        "if request.name == '' then assert(request.application == '') "
        "return { decision = 'allow', seconds = 3600 } end "
        "return { decision = request.application == 'TLS' and 'limit' or 'deny', bytes_s = 5, "
        "seconds = 3600 }");
    assert_int_equal(verdict_ask_about(&edge, &about, &verdict), 0);
    assert_int_equal(verdict->bucket.bytes_s, 0);
    verdict_end(&verdict);
    about.name = "a.example";
    assert_int_equal(verdict_ask_about(&edge, &about, &verdict), WW_EDENIED);
    about.application = "TLS";
    assert_int_equal(verdict_ask_about(&edge, &about, &verdict), 0);
    assert_int_equal(verdict->bucket.bytes_s, 5);
    verdict_end(&verdict);
    assert_int_equal(calls(), 3);
    use("return { decision = request.protocol == 'icmp' and request.port == 0 and 'allow' or "
        "'deny' }");
    about.is_echo = true;
    dest.port = 0;
    assert_int_equal(verdict_ask_about(&edge, &about, &verdict), 0);
    verdict_end(&verdict);
}

/* Without a policy, or with one that fails, each side has its own fallback. */
static void test_fallback(void **state)
{
    struct ww_dest dest = named("a.example", 443);

    (void)state;
    use(NULL);
    assert_int_equal(ask_and_end(&dest), WW_EDENIED);
    edge.role = WW_TRANSFER_CLIENT;
    time_passes(1); /* no longer: the policy may be mended */
    assert_int_equal(ask_and_end(&dest), 0);
    use("error('no')");
    ww_log_set_level(WW_LOG_ERROR);
    assert_int_equal(ask_and_end(&dest), 0);
    edge.role = WW_TRANSFER_PROVIDER;
    time_passes(1);
    assert_int_equal(ask_and_end(&dest), WW_EDENIED);
}

static void test_bounded(void **state)
{
    struct ww_dest held = named("held.example", 1);
    struct verdict *verdict;

    (void)state;
    use("return { decision = 'allow', seconds = 3600 }");
    assert_int_equal(verdict_ask(&edge, &held, &verdict), 0);
    for (unsigned number = 0; number < 2 * WW_NODE_VERDICTS_MAX; number++) {
        char name[32];
        struct ww_dest dest;

        snprintf(name, sizeof(name), "host%u.example", number);
        dest = named(name, 443);
        assert_int_equal(ask_and_end(&dest), 0);
    }
    assert_int_equal(HASH_COUNT(edge.verdicts.table), WW_NODE_VERDICTS_MAX);
    assert_int_equal(verdict->flows, 1); /* that of an open flow stayed */
    verdict_end(&verdict);
    ww_alloc_fail_after(1);
    held.port = 2;
    assert_int_equal(ask_and_end(&held), WW_ENOMEM);
    ww_alloc_fail_after(0);
}

/* More are open than are remembered; when they end, the table is as small as before. */
static void test_shrinks_after_a_peak(void **state)
{
    enum { OPEN = WW_NODE_VERDICTS_MAX + 500 };
    static struct verdict *open[OPEN];

    (void)state;
    use("return { decision = 'allow', seconds = 3600 }");
    for (unsigned number = 0; number < OPEN; number++) {
        char name[32];
        struct ww_dest dest;

        snprintf(name, sizeof(name), "host%u.example", number);
        dest = named(name, 443);
        assert_int_equal(verdict_ask(&edge, &dest, &open[number]), 0);
    }
    assert_int_equal(HASH_COUNT(edge.verdicts.table), OPEN);
    for (unsigned number = 0; number < OPEN; number++)
        verdict_end(&open[number]);
    assert_int_equal(HASH_COUNT(edge.verdicts.table), WW_NODE_VERDICTS_MAX);
    assert_int_equal(edge.verdicts.flows, 0);
}

/* A client opens hundreds of flows a second, and may choose them to be denied. */
static void test_says_so_once_a_second(void **state)
{
    char log[16384] = "";
    int ends[2], before = dup(STDERR_FILENO);
    size_t lines = 0;

    (void)state;
    use("return { decision = 'deny', reason = 'not here' }");
    assert_int_equal(pipe(ends), 0);
    assert_true(before >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    ww_log_set_level(WW_LOG_INFO);
    for (uint16_t port = 1; port <= 64; port++) {
        struct ww_dest dest = named("there.example", port);

        assert_int_equal(ask_and_end(&dest), WW_EDENIED);
    }
    ww_log_set_level(WW_LOG_ERROR);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    close(ends[1]);
    assert_true(read(ends[0], log, sizeof(log) - 1) > 0);
    close(ends[0]);
    for (const char *at = log; (at = strstr(at, "not here")); at++)
        lines++;
    assert_int_equal(lines, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_asked_once_for_a_destination, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_answer_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_names_one_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_limit_changes_under_flows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fallback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shrinks_after_a_peak, setup, teardown),
        cmocka_unit_test_setup_teardown(test_says_so_once_a_second, setup, teardown),
    };

    ww_log_set_level(WW_LOG_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
