/* The DNS forwarder against a virtual upstream: what is answered from the cache, what here, what is
 * tried again, and what of an answer is let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#include "packet_dns_rig.h"

static struct rig rig;
static struct paper paper;

static int start(void **state)
{
    (void)state;
    rig_start(&rig, WW_DNS_EMPTY);
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

static struct ww_dns_stats stats(void)
{
    struct ww_dns_stats now;

    ww_dns_stats(rig.dns, &now);
    return now;
}

/* Asks and lets one address be the answer. */
static void resolve(const char *name, uint32_t ttl, const char *address)
{
    struct ww_dns_ask ask = {0};

    assert_int_equal(rig_ask(&rig, &ask, name, strchr(address, ':') ? ns_t_aaaa : ns_t_a),
                     WW_EAGAIN);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper_a(&paper, ttl, address);
    rig_answer(&rig, rig_last(&rig), &paper);
}

static void test_an_answer_is_kept_and_its_letters_are_the_asker_s(void **state)
{
    struct ww_dns_ask ask = {0};
    uint8_t address[16];

    (void)state;
    resolve("Example.ORG", 300, "93.184.216.34");
    assert_reply(ns_r_noerror, "Example.ORG 300 IN A 93.184.216.34\n");
    assert_int_equal(rig_get16(rig.reply), 0x1234);
    assert_true(rig.sent[0].is_over);
    assert_int_equal(rig_ask(&rig, &ask, "eXample.org", ns_t_a), 0);
    assert_reply(ns_r_noerror, "eXample.org 300 IN A 93.184.216.34\n");
    assert_int_equal(rig.sent_count, 1);
    assert_int_equal(stats().hits, 1);
    /* Another type, and one with DNSSEC, are other questions. */
    assert_int_equal(rig_ask(&rig, &ask, "example.org", ns_t_aaaa), WW_EAGAIN);
    ww_dns_cancel(&ask);
    ww_address_map((const uint8_t[]){93, 184, 216, 34}, address);
    assert_string_equal(ww_dns_name_of(rig.dns, address), "example.org");
    address[15]++;
    assert_null(ww_dns_name_of(rig.dns, address));
    ww_dns_flush(rig.dns);
    assert_int_equal(rig_ask(&rig, &ask, "example.org", ns_t_a), WW_EAGAIN);
    ww_dns_cancel(&ask);
}

static void test_an_answer_ages_and_ends(void **state)
{
    struct ww_dns_ask ask = {0};
    unsigned ttl = 0;
    char text[256];

    (void)state;
    resolve("short.example", 2, "93.184.216.34");
    for (uint64_t until = ww_clock_mono_us() + 1100000; ww_clock_mono_us() < until;)
        ww_loop_turn(rig.loop, 20000);
    assert_int_equal(rig_ask(&rig, &ask, "short.example", ns_t_a), 0);
    rig_text(&rig, text, sizeof(text));
    assert_int_equal(sscanf(text, "short.example %u", &ttl), 1);
    assert_true(ttl <= 1);
    for (uint64_t until = ww_clock_mono_us() + 1000000; ww_clock_mono_us() < until;)
        ww_loop_turn(rig.loop, 20000);
    assert_int_equal(rig_ask(&rig, &ask, "short.example", ns_t_a), WW_EAGAIN);
    ww_dns_cancel(&ask);
    /* A time of life of 0 is honoured. */
    resolve("zero.example", 0, "93.184.216.34");
    assert_int_equal(rig_ask(&rig, &ask, "zero.example", ns_t_a), WW_EAGAIN);
    ww_dns_cancel(&ask);
}

static void test_what_is_not_there_is_kept_as_long_as_its_soa_says(void **state)
{
    struct ww_dns_ask ask = {0};

    (void)state;
    assert_int_equal(rig_ask(&rig, &ask, "no.example", ns_t_a), WW_EAGAIN);
    paper_answer(&paper, rig_last(&rig), ns_r_nxdomain);
    paper_soa(&paper, 900, 60);
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_reply(ns_r_nxdomain, "");
    assert_int_equal(rig_ask(&rig, &ask, "no.example", ns_t_a), 0);
    assert_int_equal(rig.sent_count, 1);
    /* Without one it is not kept (RFC 2308 section 5). */
    assert_int_equal(rig_ask(&rig, &ask, "nodata.example", ns_t_a), WW_EAGAIN);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_int_equal(rig_ask(&rig, &ask, "nodata.example", ns_t_a), WW_EAGAIN);
    ww_dns_cancel(&ask);
}

static void test_equal_questions_are_asked_once(void **state)
{
    struct ww_dns_ask asks[5] = {0};

    (void)state;
    for (size_t index = 0; index < 5; index++)
        assert_int_equal(
            rig_ask(&rig, &asks[index], index % 2 ? "JOIN.example" : "join.example", ns_t_a),
            WW_EAGAIN);
    assert_int_equal(rig.sent_count, 1);
    assert_int_equal(stats().joined, 4);
    ww_dns_cancel(&asks[2]);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper_a(&paper, 60, "93.184.216.34");
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_int_equal(rig.replies, 4);
    assert_int_equal(stats().waiting, 0);
}

static void test_room_is_bounded(void **state)
{
    static struct ww_dns_ask asks[WW_DNS_ASKS_MAX + 1];
    char name[32];

    (void)state;
    memset(asks, 0, sizeof(asks));
    for (size_t index = 0; index < WW_DNS_ASKS_MAX; index++) {
        snprintf(name, sizeof(name), "n%zu.example", index % WW_DNS_LOOKUPS_MAX);
        assert_int_equal(rig_ask(&rig, &asks[index], name, ns_t_a), WW_EAGAIN);
    }
    assert_int_equal(rig_ask(&rig, &asks[WW_DNS_ASKS_MAX], "n0.example", ns_t_a), 0);
    assert_reply(ns_r_servfail, "");
    ww_dns_cancel(&asks[0]);
    assert_int_equal(rig_ask(&rig, &asks[0], "other.example", ns_t_a), 0);
    assert_reply(ns_r_servfail, "");
    assert_int_equal(rig_ask(&rig, &asks[0], "n1.example", ns_t_a), WW_EAGAIN);
    assert_int_equal(stats().overflows, 2);
}

static void test_the_cache_is_bounded_by_least_use(void **state)
{
    static uint8_t text[12000];
    struct ww_dns_ask ask = {0};
    char name[32];

    (void)state;
    for (size_t index = 0; index < 400; index++) { /* 12 KiB each: 8 MiB hold some 700 */
        snprintf(name, sizeof(name), "t%zu.example", index);
        assert_int_equal(rig_ask(&rig, &ask, name, ns_t_null), WW_EAGAIN);
        paper_answer(&paper, rig_last(&rig), ns_r_noerror);
        paper_record(&paper, 1, NULL, ns_t_null, 600, text, sizeof(text));
        rig_answer(&rig, rig_last(&rig), &paper);
        rig.sent_count = 0;
    }
    for (size_t index = 400; index < 800; index++) {
        snprintf(name, sizeof(name), "t%zu.example", index);
        assert_int_equal(rig_ask(&rig, &ask, name, ns_t_null), WW_EAGAIN);
        paper_answer(&paper, rig_last(&rig), ns_r_noerror);
        paper_record(&paper, 1, NULL, ns_t_null, 600, text, sizeof(text));
        rig_answer(&rig, rig_last(&rig), &paper);
        assert_int_equal(rig_ask(&rig, &ask, "t0.example", ns_t_null), 0); /* used all the time */
        rig.sent_count = 0;
    }
    assert_true(stats().cached_bytes <= WW_DNS_CACHE_BYTES);
    assert_true(stats().cached > 600 && stats().cached < 700);
    assert_int_equal(rig_ask(&rig, &ask, "t1.example", ns_t_null), WW_EAGAIN);
    ww_dns_cancel(&ask);
}

static void test_names_with_a_meaning_are_never_asked_for(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        unsigned code;
        const char *lines;
    } rows[] = {
        {"localhost", ns_t_a, ns_r_noerror, "localhost 60 IN A 127.0.0.1\n"},
        {"a.LOCALHOST", ns_t_aaaa, ns_r_noerror, "a.LOCALHOST 60 IN AAAA ::1\n"},
        {"localhost", ns_t_mx, ns_r_noerror, ""},
        {"printer.local", ns_t_a, ns_r_nxdomain, ""},
        {"abc.onion", ns_t_aaaa, ns_r_nxdomain, ""},
        {"nas.home.arpa", ns_t_a, ns_r_nxdomain, ""},
        {"x.test", ns_t_a, ns_r_nxdomain, ""},
        {"x.invalid", ns_t_a, ns_r_nxdomain, ""},
        {"use-application-dns.net", ns_t_a, ns_r_nxdomain, ""},
        {"_dns.resolver.arpa", 64, ns_r_noerror, ""},
        {"wpad", ns_t_a, ns_r_nxdomain, ""},
        {"7.1.168.192.in-addr.arpa", ns_t_ptr, ns_r_nxdomain, ""},
        {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", ns_t_ptr,
         ns_r_nxdomain, ""},
    };
    static const char *const asked[] = {"localhosts.example", "local.example", "org",
                                        "8.8.8.8.in-addr.arpa", "1.168.192.in-addr.arpa.example"};
    static struct ww_dns_ask asks[WW_ARRAY_COUNT(asked)];

    (void)state;
    memset(asks, 0, sizeof(asks));
    for (size_t index = 0; index < WW_ARRAY_COUNT(rows); index++) {
        assert_int_equal(rig_ask(&rig, &asks[0], rows[index].name, rows[index].type), 0);
        assert_reply(rows[index].code, rows[index].lines);
    }
    assert_int_equal(rig.sent_count, 0);
    for (size_t index = 0; index < WW_ARRAY_COUNT(asked); index++)
        assert_int_equal(rig_ask(&rig, &asks[index], asked[index], ns_t_ns), WW_EAGAIN);
}

static void test_lists_and_the_judge(void **state)
{
    static const char text[] = "# ads\n0.0.0.0 ads.example ads2.example # two\n"
                               "127.0.0.1 localhost\n*.Tracker.example\r\nplain.example\n"
                               "||not^a name\n::1 six.example\n";
    char path[] = "/tmp/ww-dns-list-XXXXXX";
    struct ww_dns_ask ask = {0};
    struct ww_dns_lists *lists = NULL;
    size_t names = 0, skipped = 0;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0 && write(fd, text, sizeof(text) - 1) == sizeof(text) - 1);
    close(fd);
    assert_int_equal(ww_dns_lists_create(&lists), 0);
    assert_int_equal(ww_dns_lists_add(lists, path, &names, &skipped), 0);
    assert_true(ww_dns_use_lists(rig.dns, lists));
    unlink(path);
    assert_int_equal(names, 5);
    assert_int_equal(skipped, 1);
    for (size_t index = 0; index < 2; index++) {
        assert_int_equal(rig_ask(&rig, &ask, index ? "a.tracker.example" : "ADS2.example", ns_t_a),
                         0);
        assert_reply(ns_r_nxdomain, "");
        assert_memory_equal(rig.last_listed, "ww-dns-list-", 12);
    }
    assert_int_equal(rig_ask(&rig, &ask, "notads.example", ns_t_a), WW_EAGAIN);
    assert_string_equal(rig.last_listed, "");
    ww_dns_cancel(&ask);
    rig.blocked = "zero.example";
    rig.with = WW_DNS_ZERO;
    assert_int_equal(rig_ask(&rig, &ask, "zero.example", ns_t_aaaa), 0);
    assert_reply(ns_r_noerror, "zero.example 60 IN AAAA ::\n");
    assert_int_equal(rig_ask(&rig, &ask, "zero.example", 65), 0);
    assert_reply(ns_r_noerror, "");
    assert_int_equal(stats().blocked, 4);
}

/* A list with this text, as ww_dns_lists_add has it. */
static int read_text(struct ww_dns_lists *lists, const char *text)
{
    char path[] = "/tmp/ww-dns-list-XXXXXX";
    size_t names = 0, skipped = 0;
    int fd = mkstemp(path);

    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    int rc = ww_dns_lists_add(lists, path, &names, &skipped);
    unlink(path);
    return rc;
}

static struct ww_dns_lists *lists_of(const char *text)
{
    struct ww_dns_lists *lists = NULL;

    assert_int_equal(ww_dns_lists_create(&lists), 0);
    assert_int_equal(read_text(lists, text), 0);
    return lists;
}

static bool is_listed(const char *name)
{
    struct ww_dns_ask ask = {0};

    rig.last_listed[0] = '\0';
    rig_ask(&rig, &ask, name, ns_t_a);
    ww_dns_cancel(&ask);
    return rig.last_listed[0] != '\0';
}

static void test_other_lists_in_their_place(void **state)
{
    struct ww_dns_lists *lists = lists_of("one.example\ntwo.example\n");

    (void)state;
    assert_true(ww_dns_use_lists(rig.dns, lists));
    assert_true(is_listed("one.example") && is_listed("two.example"));
    assert_true(ww_dns_use_lists(rig.dns, lists_of("two.example\nthree.example\n")));
    assert_true(!is_listed("one.example") && is_listed("two.example") &&
                is_listed("three.example"));
    assert_int_equal(stats().listed, 2);
    assert_int_equal(stats().lists, 1);
    assert_int_equal(ww_dns_lists_create(&lists), 0);
    assert_true(ww_dns_use_lists(rig.dns, lists));
    assert_false(is_listed("two.example"));
}

static void test_lists_that_are_none(void **state)
{
    struct ww_dns_lists *lists = lists_of("one.example\n");
    size_t names = 0, skipped = 0;

    (void)state;
    assert_int_equal(ww_dns_lists_add(lists, "/nowhere/list", &names, &skipped), WW_ENOTFOUND);
    assert_int_equal(ww_dns_lists_add(lists, "/tmp", &names, &skipped), WW_EINVAL);
    /* What a server says instead of the list. */
    assert_int_equal(read_text(lists, "<html><body>\n<p>no such page</p>\n</html>\n"), WW_EINVAL);
    assert_int_equal(read_text(lists, "# nothing\n"), 0);
    /* All are on another list already. */
    assert_int_equal(read_text(lists, "<p>\none.example\n127.0.0.1 localhost\n"), 0);
    ww_dns_lists_destroy(lists);
}

static void test_a_name_behind_another_is_judged_too(void **state)
{
    struct ww_dns_ask ask = {0};

    (void)state;
    rig.blocked = "cloaked.tracker.example";
    rig.with = WW_DNS_BLOCK;
    for (size_t turn = 0; turn < 2; turn++) {
        assert_int_equal(rig_ask(&rig, &ask, "www.shop.example", ns_t_a), turn ? 0 : WW_EAGAIN);
        if (!turn) {
            paper_answer(&paper, rig_last(&rig), ns_r_noerror);
            paper_cname(&paper, NULL, 300, "Cloaked.Tracker.example");
            paper_record(&paper, 1, "cloaked.tracker.example", ns_t_a, 300, "\x5d\xb8\xd8\x22", 4);
            rig_answer(&rig, rig_last(&rig), &paper);
        }
        assert_reply(ns_r_nxdomain, "");
    }
    assert_int_equal(rig.sent_count, 1);
    assert_int_equal(stats().blocked, 1);
}

static void deny_with(enum ww_dns_denial denial, unsigned code)
{
    static const uint8_t hint[] = {0, 1, 0, 0, 4, 0, 8, 93, 184, 216, 34, 10, 0, 0, 1};
    static const char *const bad[] = {"10.1.2.3", "127.0.0.1", "0.0.0.0",       "169.254.169.254",
                                      "fd00::1",  "::1",       "::ffff:1.2.3.4"};
    struct ww_dns_ask ask = {0};
    char name[32];

    rig_stop(&rig);
    rig_start(&rig, denial);
    for (size_t index = 0; index < WW_ARRAY_COUNT(bad); index++) {
        snprintf(name, sizeof(name), "rebind%zu.example", index);
        resolve(name, 300, bad[index]);
        assert_reply(code, "");
    }
    assert_int_equal(rig_ask(&rig, &ask, "https.example", 65), WW_EAGAIN);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper_record(&paper, 1, NULL, 65, 300, hint, sizeof(hint));
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_reply(code, "");
    /* Behind an alias, and beside an address that is fine. */
    assert_int_equal(rig_ask(&rig, &ask, "alias.example", ns_t_a), WW_EAGAIN);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper_cname(&paper, NULL, 300, "b.example");
    paper_a(&paper, 300, "93.184.216.34");
    paper_record(&paper, 1, "b.example", ns_t_a, 300, "\x0a\x00\x00\x01", 4);
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_reply(code, "");
    assert_int_equal(stats().denied, WW_ARRAY_COUNT(bad) + 2);
    assert_int_equal(stats().names, 0);
}

static void test_answers_into_private_ranges_are_not_let_through(void **state)
{
    (void)state;
    deny_with(WW_DNS_EMPTY, ns_r_noerror);
    deny_with(WW_DNS_NXDOMAIN, ns_r_nxdomain);
    deny_with(WW_DNS_REFUSED, ns_r_refused);
    assert_int_equal(ww_dns_allow_private(rig.dns, "Corp.example"), 0);
    assert_int_equal(ww_dns_allow_private(rig.dns, "10.0.0.1"), WW_EINVAL);
    resolve("git.corp.example", 300, "10.1.2.3");
    assert_reply(ns_r_noerror, "git.corp.example 300 IN A 10.1.2.3\n");
    resolve("notcorp.example", 300, "10.1.2.3");
    assert_reply(ns_r_refused, "");
}

static void test_the_next_upstream_is_tried_and_stays(void **state)
{
    struct ww_dns_ask ask = {0};

    (void)state;
    assert_int_equal(rig_ask(&rig, &ask, "one.example", ns_t_a), WW_EAGAIN);
    assert_int_equal(rig_last(&rig)->upstream.kind, WW_TARGET_IPV4);
    ww_dns_failed(rig.dns, rig_last(&rig)->exchange, WW_ECONNREFUSED);
    assert_int_equal(rig.sent_count, 2);
    assert_true(rig.sent[0].is_over);
    assert_int_equal(rig_last(&rig)->upstream.kind, WW_TARGET_IPV6);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper_a(&paper, 60, "93.184.216.34");
    rig_answer(&rig, &rig.sent[0], &paper); /* late: it is over */
    assert_int_equal(rig.replies, 0);
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_int_equal(rig.replies, 1);
    assert_int_equal(rig_ask(&rig, &ask, "two.example", ns_t_a), WW_EAGAIN);
    assert_int_equal(rig_last(&rig)->upstream.kind, WW_TARGET_IPV6);
    /* All fail: SERVFAIL, and a new question starts afresh. */
    for (size_t count = 0; count < WW_DNS_TRIES_MAX; count++)
        ww_dns_failed(rig.dns, rig_last(&rig)->exchange, WW_EUNREACHABLE);
    assert_reply(ns_r_servfail, "");
    assert_int_equal(rig.sent_count, 3 + WW_DNS_TRIES_MAX - 1);
    assert_int_equal(rig_ask(&rig, &ask, "two.example", ns_t_a), WW_EAGAIN);
    ww_dns_cancel(&ask);
}

static void test_a_failure_of_a_resolver_is_tried_elsewhere_and_kept_shortly(void **state)
{
    struct ww_dns_ask ask = {0};

    (void)state;
    assert_int_equal(rig_ask(&rig, &ask, "broken.example", ns_t_a), WW_EAGAIN);
    for (size_t count = 0; count < WW_DNS_TRIES_MAX; count++) {
        assert_int_equal(rig.replies, 0);
        paper_answer(&paper, rig_last(&rig), ns_r_servfail);
        rig_answer(&rig, rig_last(&rig), &paper);
    }
    assert_reply(ns_r_servfail, "");
    assert_int_equal(rig_ask(&rig, &ask, "broken.example", ns_t_a), 0);
}

static void test_silence_ends(void **state)
{
    struct ww_dns_ask ask = {0};
    uint64_t since_us = ww_clock_mono_us();

    (void)state;
    assert_int_equal(rig_ask(&rig, &ask, "silent.example", ns_t_a), WW_EAGAIN);
    while (!rig.replies && ww_clock_mono_us() - since_us < 30000000)
        ww_loop_turn(rig.loop, 50000);
    assert_reply(ns_r_servfail, "");
    assert_true(ww_clock_mono_us() - since_us >= (WW_DNS_DEADLINE_MS - 100) * 1000ULL);
    assert_in_range(rig.sent_count, 2, WW_DNS_TRIES_MAX);
    assert_in_range(stats().timeouts, 2, WW_DNS_TRIES_MAX);
}

static void test_without_a_connection_it_waits(void **state)
{
    struct ww_dns_ask ask = {0};
    uint64_t since_us = ww_clock_mono_us();

    (void)state;
    rig.send_rc = WW_ENOCONTRACT;
    assert_int_equal(rig_ask(&rig, &ask, "early.example", ns_t_a), WW_EAGAIN);
    assert_int_equal(rig.sent_count, 0);
    rig.send_rc = 0;
    while (!rig.sent_count && ww_clock_mono_us() - since_us < 5000000)
        ww_loop_turn(rig.loop, 50000);
    assert_int_equal(rig.sent_count, 1);
    rig.send_rc = WW_EDENIED; /* the flow policy does not want it */
    ww_dns_failed(rig.dns, rig_last(&rig)->exchange, WW_ERESET);
    assert_reply(ns_r_servfail, "");
    unsigned why = 0;
    assert_int_equal(ww_dns_print_why(rig.reply, rig.reply_size, &why), 0);
    assert_int_equal(why, 22); /* RFC 8914: no reachable authority */
    assert_int_equal(ww_dns_print_why(rig.reply, rig.reply_size - 1, &why), WW_EINVAL);
}

/* A provider takes so many new flows a second: no reason to give up, nor to ask somebody else. */
static void test_a_limit_is_waited_for(void **state)
{
    struct ww_dns_ask ask = {0};
    uint64_t since_us = ww_clock_mono_us();

    (void)state;
    assert_int_equal(rig_ask(&rig, &ask, "limit.example", ns_t_a), WW_EAGAIN);
    for (size_t count = 1; count <= WW_DNS_TRIES_MAX + 1; count++) {
        assert_int_equal(rig.sent_count, count);
        assert_int_equal(rig_last(&rig)->upstream.kind, WW_TARGET_IPV4);
        ww_dns_failed(rig.dns, rig_last(&rig)->exchange, WW_ELIMIT);
        assert_int_equal(rig.sent_count, count);
        while (rig.sent_count == count && ww_clock_mono_us() - since_us < 7000000)
            ww_loop_turn(rig.loop, 20000);
    }
    assert_int_equal(rig.replies, 0);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper_a(&paper, 60, "93.184.216.34");
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_reply(ns_r_noerror, "limit.example 60 IN A 93.184.216.34\n");
}

static void test_a_cut_answer_is_fetched_in_a_stream(void **state)
{
    struct ww_dns_ask ask = {0}, long_ask = {.is_stream = true};
    static uint8_t text[3000];

    (void)state;
    assert_int_equal(rig_ask(&rig, &ask, "long.example", ns_t_null), WW_EAGAIN);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper.bytes[2] |= 2;
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_int_equal(rig.sent_count, 2);
    assert_true(rig_last(&rig)->is_stream);
    assert_int_equal(rig_last(&rig)->upstream.kind, WW_TARGET_IPV4);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper_record(&paper, 1, NULL, ns_t_null, 60, text, sizeof(text));
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_true(rig.reply[2] & 2); /* 1,232 bytes are what the asker takes in a datagram */
    assert_true(rig.reply_size < 100);
    assert_int_equal(rig_ask(&rig, &long_ask, "long.example", ns_t_null), 0);
    assert_false(rig.reply[2] & 2);
    assert_true(rig.reply_size > sizeof(text));
    assert_int_equal(stats().streams, 1);
}

int main(void)
{
#define DNS_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        DNS_TEST(test_an_answer_is_kept_and_its_letters_are_the_asker_s),
        DNS_TEST(test_an_answer_ages_and_ends),
        DNS_TEST(test_what_is_not_there_is_kept_as_long_as_its_soa_says),
        DNS_TEST(test_equal_questions_are_asked_once),
        DNS_TEST(test_room_is_bounded),
        DNS_TEST(test_the_cache_is_bounded_by_least_use),
        DNS_TEST(test_names_with_a_meaning_are_never_asked_for),
        DNS_TEST(test_lists_and_the_judge),
        DNS_TEST(test_other_lists_in_their_place),
        DNS_TEST(test_lists_that_are_none),
        DNS_TEST(test_a_name_behind_another_is_judged_too),
        DNS_TEST(test_answers_into_private_ranges_are_not_let_through),
        DNS_TEST(test_the_next_upstream_is_tried_and_stays),
        DNS_TEST(test_a_failure_of_a_resolver_is_tried_elsewhere_and_kept_shortly),
        DNS_TEST(test_silence_ends),
        DNS_TEST(test_without_a_connection_it_waits),
        DNS_TEST(test_a_limit_is_waited_for),
        DNS_TEST(test_a_cut_answer_is_fetched_in_a_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
