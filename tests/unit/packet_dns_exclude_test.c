/* Names that the policy excludes from the tunnel: the forwarder gives nobody their answer before
 * the addresses are excluded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "packet_dns_rig.h"

#define NAME "outside.example"

static struct rig rig;
static struct paper paper;

static int start(void **state)
{
    (void)state;
    rig_start(&rig, WW_DNS_EMPTY);
    rig.blocked = NAME;
    rig.with = WW_DNS_EXCLUDE;
    rig.exclude_rc = WW_EAGAIN;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

static void assert_reply(unsigned code, const char *lines)
{
    char text[4096];

    assert_int_equal(rig_text(&rig, text, sizeof(text)), code);
    assert_string_equal(text, lines);
}

/* Asks; the answer has this address, behind an alias. */
static void ask(struct ww_dns_ask *ask, const char *name, const char address[4])
{
    assert_int_equal(rig_ask(&rig, ask, name, ns_t_a), WW_EAGAIN);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper_cname(&paper, NULL, 300, "cdn.example");
    paper_record(&paper, 1, "cdn.example", ns_t_a, 300, address, 4);
    rig_answer(&rig, rig_last(&rig), &paper);
}

static void test_an_answer_waits_until_its_addresses_are_excluded(void **state)
{
    struct ww_dns_ask first = {0}, second = {0};

    (void)state;
    ask(&first, NAME, "\x5d\xb8\xd8\x22");
    assert_int_equal(rig.replies, 0);
    assert_string_equal(rig.excluded, NAME);
    assert_int_equal(rig.excluded_count, 1);
    assert_int_equal(rig.excluded_s, 300);
    assert_memory_equal(rig.excluded_last, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x5d\xb8\xd8\x22", 16);
    assert_int_equal(rig_ask(&rig, &second, NAME, ns_t_a), WW_EAGAIN); /* it joins */
    ww_dns_excluded(rig.dns, rig.hold + 256, 0);                       /* another's */
    assert_int_equal(rig.replies, 0);
    ww_dns_excluded(rig.dns, rig.hold, 0);
    assert_int_equal(rig.replies, 2);
    assert_reply(ns_r_noerror, NAME " 300 IN CNAME cdn.example\ncdn.example 300 IN A "
                                    "93.184.216.34\n");
    ww_dns_excluded(rig.dns, rig.hold, 0);
    assert_int_equal(rig_ask(&rig, &first, NAME, ns_t_a), 0);
    assert_int_equal(rig.sent_count, 1);
}

static void test_what_can_t_be_excluded_is_not_found(void **state)
{
    struct ww_dns_ask asked = {0};

    (void)state;
    ask(&asked, NAME, "\x5d\xb8\xd8\x22");
    ww_dns_excluded(rig.dns, rig.hold, WW_ENOTFOUND);
    assert_reply(ns_r_servfail, "");
    rig.exclude_rc = WW_ELIMIT;
    ask(&asked, NAME, "\x5d\xb8\xd8\x22");
    assert_int_equal(rig.replies, 2);
    assert_reply(ns_r_servfail, "");
    rig.exclude_rc = 0; /* they are already */
    ask(&asked, NAME, "\x5d\xb8\xd8\x22");
    assert_int_equal(rig.replies, 3);
    assert_reply(ns_r_noerror, NAME " 300 IN CNAME cdn.example\ncdn.example 300 IN A "
                                    "93.184.216.34\n");
}

static void test_private_addresses_are_never_excluded(void **state)
{
    struct ww_dns_ask asked = {0};

    (void)state;
    ask(&asked, NAME, "\xc0\xa8\x01\x01");
    assert_int_equal(rig.hold, 0);
    assert_reply(ns_r_noerror, "");
}

static void test_only_the_name_that_is_asked_for_counts(void **state)
{
    struct ww_dns_ask asked = {0};

    (void)state;
    rig.blocked = "cdn.example";
    ask(&asked, "inside.example", "\x5d\xb8\xd8\x22");
    assert_int_equal(rig.hold, 0);
    assert_int_equal(rig.replies, 1);
    /* A tracker behind an excluded name is blocked. */
    rig.with = WW_DNS_BLOCK;
    ask(&asked, "other.example", "\x5d\xb8\xd8\x22");
    assert_reply(ns_r_nxdomain, "");
}

static void test_an_answer_of_before_is_none_for_an_excluded_name(void **state)
{
    struct ww_dns_ask asked = {0};

    (void)state;
    rig.with = WW_DNS_ALLOW;
    ask(&asked, NAME, "\x5d\xb8\xd8\x22");
    assert_int_equal(rig.replies, 1);
    rig.with = WW_DNS_EXCLUDE;
    ask(&asked, NAME, "\x5d\xb8\xd8\x22");
    assert_int_equal(rig.replies, 1);
    ww_dns_excluded(rig.dns, rig.hold, 0);
    assert_int_equal(rig.replies, 2);
}

/* The policy has changed while the question was under way. */
static void test_a_name_that_is_not_excluded_any_more(void **state)
{
    struct ww_dns_ask asked = {0};

    (void)state;
    assert_int_equal(rig_ask(&rig, &asked, NAME, ns_t_a), WW_EAGAIN);
    rig.with = WW_DNS_ALLOW;
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper_record(&paper, 1, NAME, ns_t_a, 300, "\x5d\xb8\xd8\x22", 4);
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_int_equal(rig.hold, 0);
    assert_int_equal(rig.replies, 1);
    assert_reply(ns_r_servfail, "");
}

static void test_more_addresses_than_fit_are_no_answer(void **state)
{
    struct ww_dns_ask asked = {0};

    (void)state;
    assert_int_equal(rig_ask(&rig, &asked, NAME, ns_t_a), WW_EAGAIN);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    for (unsigned n = 0; n <= WW_DNS_EXCLUDED_MAX; n++) {
        const uint8_t address[4] = {93, 184, 216, (uint8_t)n};
        paper_record(&paper, 1, NULL, ns_t_a, 300, address, 4);
    }
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_int_equal(rig.hold, 0);
    ww_dns_cancel(&asked);
}

static void test_it_may_end_while_answers_are_held(void **state)
{
    struct ww_dns_ask asked = {0};

    (void)state;
    ask(&asked, NAME, "\x5d\xb8\xd8\x22");
    assert_int_not_equal(rig.hold, 0);
}

#define EXCLUDE_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXCLUDE_TEST(test_an_answer_waits_until_its_addresses_are_excluded),
        EXCLUDE_TEST(test_what_can_t_be_excluded_is_not_found),
        EXCLUDE_TEST(test_private_addresses_are_never_excluded),
        EXCLUDE_TEST(test_only_the_name_that_is_asked_for_counts),
        EXCLUDE_TEST(test_an_answer_of_before_is_none_for_an_excluded_name),
        EXCLUDE_TEST(test_a_name_that_is_not_excluded_any_more),
        EXCLUDE_TEST(test_more_addresses_than_fit_are_no_answer),
        EXCLUDE_TEST(test_it_may_end_while_answers_are_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
