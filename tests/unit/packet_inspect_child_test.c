/* The inspecting process: it may end at any time, and what it keeps is bounded. This program is it,
 * too: it executes itself. */
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "inspect_ndpi.h"
#include "inspect_room.h"
#include "packet_hello.h"
#include "packet_inspect_rig.h"

static struct ww_loop *loop;

/* --- that it may end -------------------------------------------------------------------------- */

static const struct inspect_how SOON = {
    .program = "/proc/self/exe", .answer_ms = 300, .again_ms = 50};

static void flows_go_on_when_it_is_killed(void **state)
{
    struct at at = {IPPROTO_UDP, 40000, 443, 0, false};
    struct ww_inspector *inspector;
    struct ww_flow *flow = NULL, *before = NULL;
    uint8_t bytes[1200], query[2048];
    unsigned named = 0;
    size_t size = hello_tls("www.youtube.com", query, sizeof(query));

    (void)state;
    assert_int_equal(inspect_create(loop, &SOON, &inspector), 0);
    struct ww_flows *flows = rig_make(inspector, &named);
    rig_ready(loop, inspector);
    hello_quic(NULL, bytes);
    int pid = rig_stats(inspector).pid;
    assert_int_equal(send_payload(flows, &at, bytes, sizeof(bytes), &before), WW_FLOW_PASS);
    rig_settle(loop, inspector);
    rig_stand_still(inspector);
    at.here++;
    assert_int_equal(send_payload(flows, &at, bytes, sizeof(bytes), &flow), WW_FLOW_PASS);
    kill(pid, SIGKILL);
    TURN_UNTIL(loop, rig_stats(inspector).missed == 1);
    assert_int_equal(rig_stats(inspector).waiting, 0);
    assert_null(flow->name);
    /* Without it: packets pass, and what is read here is known. */
    at = (struct at){IPPROTO_TCP, 40000, 443, 1, false};
    assert_int_equal(send_payload(flows, &at, query, size, &flow), WW_FLOW_PASS);
    assert_string_equal(flow->name, "www.youtube.com");
    rig_ready(loop, inspector);
    assert_int_equal(rig_stats(inspector).starts, 2);
    at = (struct at){IPPROTO_UDP, 40009, 443, 0, false};
    send_payload(flows, &at, bytes, sizeof(bytes), &flow);
    at.here = 40000; /* one that it had been asked about goes on */
    send_payload(flows, &at, bytes, sizeof(bytes), NULL);
    rig_settle(loop, inspector);
    assert_string_equal(flow->name, "example.com");
    assert_string_equal(before->name, "example.com");
    ww_flows_destroy(flows);
    assert_int_equal(ww_inspector_count(inspector), 0);
    ww_inspector_destroy(inspector);
}

/* One that stands still has a bounded queue, of which a client has its share, and is ended. */
static void one_that_stands_still_is_ended(void **state)
{
    struct at at = {IPPROTO_UDP, 1, 443, 0, false};
    struct ww_inspector *inspector;
    struct ww_flow *flow = NULL;
    uint8_t bytes[1200];
    unsigned named = 0;

    (void)state;
    assert_int_equal(inspect_create(loop, &SOON, &inspector), 0);
    struct ww_flows *flows = rig_make(inspector, &named), *other = rig_make(inspector, &named);
    rig_ready(loop, inspector);
    hello_quic(NULL, bytes);
    rig_stand_still(inspector);
    for (int i = 0; i < 2 * WW_INSPECT_ASKED_TABLE; i++, at.here++) /* small: all fit for anybody */
        assert_int_equal(send_payload(flows, &at, bytes, 100, &flow), WW_FLOW_PASS);
    assert_int_equal(rig_stats(inspector).waiting, WW_INSPECT_ASKED_TABLE);
    assert_int_equal(rig_stats(inspector).missed, WW_INSPECT_ASKED_TABLE);
    send_payload(other, &at, bytes, sizeof(bytes), &flow);
    assert_int_equal(rig_stats(inspector).waiting, WW_INSPECT_ASKED_TABLE + 1);
    ww_flows_destroy(flows); /* its questions are still open */
    uint64_t until_us = ww_clock_mono_us() + 8000000;
    while (rig_stats(inspector).starts < 2 && ww_clock_mono_us() < until_us) {
        ww_loop_turn(loop, 20000);
        at.here++;
        send_payload(other, &at, bytes, sizeof(bytes), &flow);
    }
    assert_int_equal(rig_stats(inspector).starts, 2);
    rig_settle(loop, inspector); /* what it was asked while it began may have waited for long */
    at.here++;
    send_payload(other, &at, bytes, sizeof(bytes), &flow);
    rig_settle(loop, inspector);
    assert_string_equal(flow->name, "example.com");
    ww_flows_destroy(other);
    ww_inspector_destroy(inspector);
}

/* Another flow has the place of one that was asked about: what is said of that one is for nobody.
 */
static void an_answer_is_for_its_own_flow(void **state)
{
    struct at at = {IPPROTO_UDP, 40000, 443, 0, false};
    struct ww_inspector *inspector;
    struct ww_flow *flow = NULL;
    uint8_t bytes[1200];
    unsigned named = 0;

    (void)state;
    assert_int_equal(ww_inspector_create(loop, &inspector), 0);
    struct ww_flows *gone = rig_make(inspector, &named);
    rig_ready(loop, inspector);
    rig_stand_still(inspector);
    hello_quic(NULL, bytes);
    send_payload(gone, &at, bytes, sizeof(bytes), NULL);
    ww_flows_destroy(gone);
    struct ww_flows *flows = rig_make(inspector, &named);
    memset(bytes, 0, sizeof(bytes));
    send_payload(flows, &at, bytes, 100, &flow);
    assert_int_equal(ww_inspector_count(inspector), 1);
    assert_int_equal(rig_stats(inspector).waiting, 2);
    kill(rig_stats(inspector).pid, SIGCONT);
    rig_settle(loop, inspector);
    assert_int_equal(named, 0);
    assert_null(flow->name);
    ww_flows_destroy(flows);
    ww_inspector_destroy(inspector);
}

/* More flows than it can follow: those that it was asked about have their answers. */
static void a_flood_has_some_names(void **state)
{
    struct at at = {IPPROTO_UDP, 1, 443, 0, false};
    struct ww_inspector *inspector;
    const struct ww_flow *flow = NULL;
    uint8_t bytes[1200];
    unsigned named = 0, names = 0;

    (void)state;
    assert_int_equal(ww_inspector_create(loop, &inspector), 0);
    struct ww_flows *flows = rig_make(inspector, &named);
    rig_ready(loop, inspector);
    hello_quic(NULL, bytes);
    rig_stand_still(inspector);
    for (int i = 0; i < 900; i++, at.here++)
        send_payload(flows, &at, bytes, sizeof(bytes), NULL);
    assert_int_equal(ww_inspector_count(inspector), WW_INSPECTIONS_TABLE);
    kill(rig_stats(inspector).pid, SIGCONT);
    rig_settle(loop, inspector);
    while ((flow = ww_flows_next(flows, flow)))
        names += flow->name != NULL;
    assert_int_equal(names, WW_INSPECT_ASKED_TABLE);
    assert_int_equal(rig_stats(inspector).missed, 900 - WW_INSPECT_ASKED_TABLE);
    ww_flows_destroy(flows);
    ww_inspector_destroy(inspector);
}

static void one_that_cannot_be_started(void **state)
{
    const struct inspect_how how = {.program = "/nowhere/at/all", .answer_ms = 300, .again_ms = 50};
    struct at at = {IPPROTO_UDP, 40000, 443, 0, false};
    struct ww_inspector *inspector;
    struct ww_flow *flow = NULL;
    uint8_t bytes[1200];
    unsigned named = 0;

    (void)state;
    assert_int_equal(inspect_create(loop, &how, &inspector), 0);
    struct ww_flows *flows = rig_make(inspector, &named);
    hello_quic(NULL, bytes);
    for (int i = 0; i < 2 * WW_INSPECT_PACKETS; i++)
        assert_int_equal(send_payload(flows, &at, bytes, sizeof(bytes), &flow), WW_FLOW_PASS);
    assert_int_equal(ww_inspector_count(inspector), 0); /* all that was kept of it is freed */
    assert_int_equal(rig_stats(inspector).missed, WW_INSPECT_PACKETS);
    assert_null(flow->name);
    ww_loop_turn(loop, 80000); /* it is tried again, in vain */
    assert_int_equal(rig_stats(inspector).starts, 0);
    ww_flows_destroy(flows);
    ww_inspector_destroy(inspector);
}

/* Each of a row waits twice as long as the one before. */
static void one_that_always_ends_is_started_seldom(void **state)
{
    const struct inspect_how how = {.program = "/bin/false", .answer_ms = 300, .again_ms = 20};
    struct ww_inspector *inspector;
    uint64_t begin_us = ww_clock_mono_us();

    (void)state;
    assert_int_equal(inspect_create(loop, &how, &inspector), 0);
    TURN_UNTIL(loop, rig_stats(inspector).starts == 5);
    assert_true(ww_clock_mono_us() - begin_us >= (20 + 40 + 80 + 160) * 1000);
    assert_false(rig_stats(inspector).is_ready);
    ww_inspector_destroy(inspector);
}

/* --- what it keeps ---------------------------------------------------------------------------- */

static size_t question(uint8_t *bytes, uint32_t flow, uint16_t slot, bool has_packet)
{
    static const uint8_t packet[44] = {0x45, 0,    0, 44, 0, 0,   0, 0, 64, 17,   0,
                                       0,    10,   0, 0,  1, 192, 0, 2, 1,  0x9c, 0x40,
                                       0x27, 0x0f, 0, 24, 0, 0,   1, 2, 3};
    struct inspect_head head = {flow, slot, 1000};

    inspect_head_write(&head, bytes);
    memcpy(bytes + INSPECT_HEAD_BYTES, packet, sizeof(packet));
    return INSPECT_HEAD_BYTES + (has_packet ? sizeof(packet) : 0);
}

static void what_it_keeps_is_bounded(void **state)
{
    uint8_t bytes[INSPECT_QUESTION_MAX], answer[INSPECT_ANSWER_BYTES];
    struct inspect_ndpi *ndpi;
    size_t size;

    (void)state;
    assert_int_equal(inspect_ndpi_create(&ndpi), 0);
    assert_int_equal(inspect_ndpi_count(ndpi), 0);
    for (uint32_t flow = 1; flow < 1000; flow++) {
        size_t asked = question(bytes, flow, (uint16_t)(flow % INSPECT_SLOTS), true);
        assert_int_equal(inspect_ndpi_answer(ndpi, bytes, asked, answer, &size), 0);
        assert_int_equal(size, 12);
    }
    assert_int_equal(inspect_ndpi_count(ndpi), INSPECT_SLOTS);
    size_t asked = question(bytes, 1000, 3, false);
    assert_int_equal(inspect_ndpi_answer(ndpi, bytes, asked, answer, &size), 0);
    assert_int_equal(size, 0);
    assert_int_equal(inspect_ndpi_count(ndpi), INSPECT_SLOTS - 1);
    for (int i = 0; i < WW_INSPECT_PACKETS; i++) {
        asked = question(bytes, 1001, 4, true);
        assert_int_equal(inspect_ndpi_answer(ndpi, bytes, asked, answer, &size), 0);
        assert_int_equal(inspect_ndpi_count(ndpi),
                         INSPECT_SLOTS - 1 - (i + 1 == WW_INSPECT_PACKETS));
    }
    asked = question(bytes, 1, INSPECT_SLOTS, true);
    assert_int_equal(inspect_ndpi_answer(ndpi, bytes, asked, answer, &size), WW_EMALFORMED);
    asked = question(bytes, 1, 1, true);
    assert_int_equal(inspect_ndpi_answer(ndpi, bytes, 15, answer, &size), WW_EMALFORMED);
    inspect_ndpi_destroy(ndpi);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flows_go_on_when_it_is_killed),
        cmocka_unit_test(one_that_stands_still_is_ended),
        cmocka_unit_test(an_answer_is_for_its_own_flow),
        cmocka_unit_test(a_flood_has_some_names),
        cmocka_unit_test(one_that_cannot_be_started),
        cmocka_unit_test(one_that_always_ends_is_started_seldom),
        cmocka_unit_test(what_it_keeps_is_bounded),
    };
    ww_inspect_main(argc, argv);
    if (ww_loop_create(&loop))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ww_loop_destroy(loop);
    return failed;
}
