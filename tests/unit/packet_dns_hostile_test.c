/* The DNS forwarder against upstreams and applications that mean harm: answers to other questions,
 * loops, lengths that lie, and as many records as fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "packet_dns_rig.h"

#define WORST_MS_MAX 50 /* one message; 90 when pointers to pointers were followed, 2 since */

static struct rig rig;
static struct paper paper;
static struct ww_dns_ask ask;

static int start(void **state)
{
    (void)state;
    rig_start(&rig, WW_DNS_EMPTY);
    memset(&ask, 0, sizeof(ask));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

static struct ww_dns_stats stats(void)
{
    struct ww_dns_stats now;

    ww_dns_stats(rig.dns, &now);
    return now;
}

static void ask_for(const char *name, uint16_t type)
{
    assert_int_equal(rig_ask(&rig, &ask, name, type), WW_EAGAIN);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
}

/* The right answer still gets through. */
static void assert_still_waiting(void)
{
    size_t before = rig.replies;

    paper_answer(&paper, &rig.sent[0], ns_r_noerror);
    paper_a(&paper, 60, "93.184.216.34");
    rig_answer(&rig, &rig.sent[0], &paper);
    assert_int_equal(rig.replies, before + 1);
    assert_int_equal(rig.reply[3] & 0xf, ns_r_noerror);
}

static void test_answers_to_something_else_change_nothing(void **state)
{
    size_t letter = DNS_HEAD_BYTES + 1;

    (void)state;
    ask_for("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", ns_t_a);
    paper_a(&paper, 60, "93.184.216.34");
    for (size_t index = 0; index < 8; index++) {
        struct paper forged = paper;
        switch (index) {
        case 0:
            forged.bytes[0] ^= 1; /* another id */
            break;
        case 1:
            forged.bytes[2] &= 0x7f; /* a question */
            break;
        case 2:
            forged.bytes[letter] ^= 0x20; /* other letters */
            break;
        case 3:
            forged.bytes[letter] = 'b';
            break;
        case 4:
            forged.bytes[5] = 2; /* two questions */
            break;
        case 5:
            forged.bytes[5] = 0;
            break;
        case 6:
            forged.bytes[2] |= 0x28; /* another opcode */
            break;
        default:
            forged.size = 11;
        }
        rig_answer(&rig, &rig.sent[0], &forged);
    }
    ww_dns_answer(rig.dns, rig.sent[0].exchange + (1 << 8), paper.bytes, paper.size);
    assert_int_equal(rig.replies, 0);
    assert_int_equal(stats().bad, 8);
    assert_int_equal(rig.sent_count, 1);
    assert_still_waiting();
}

/* Every question has an id of its own, and letters of its own. */
static void test_what_is_sent_can_not_be_guessed(void **state)
{
    static struct ww_dns_ask asks[64];
    size_t same_id = 0, same_letters = 0;
    char name[64];

    (void)state;
    memset(asks, 0, sizeof(asks));
    for (size_t index = 0; index < 64; index++) {
        snprintf(name, sizeof(name), "thirty-two-letters-to-be-drawn.n%02zu.example", index);
        assert_int_equal(rig_ask(&rig, &asks[index], name, ns_t_a), WW_EAGAIN);
        const uint8_t *query = rig.sent[index].query;
        if (index) {
            same_id += rig_get16(query) == rig_get16(rig.sent[index - 1].query);
            same_letters +=
                memcmp(query + DNS_HEAD_BYTES, rig.sent[index - 1].query + DNS_HEAD_BYTES, 30) == 0;
        }
    }
    assert_true(same_id < 4);
    assert_int_equal(same_letters, 0);
}

/* Malformed, but with the right id and question: the next upstream is asked, and the application
 * never sees it. */
static void assert_refused(void)
{
    size_t before = rig.sent_count;

    rig_answer(&rig, rig_last(&rig), &paper);
    assert_int_equal(rig.replies, 0);
    assert_int_equal(rig.sent_count, before + 1);
    ww_dns_cancel(&ask);
}

static void test_names_that_point_in_circles(void **state)
{
    static const uint8_t itself[] = {0xc0, 0x0c + 41};

    (void)state;
    ask_for("circle.example", ns_t_cname);
    /* An owner that points at itself. */
    paper.bytes[7] = 1;
    paper.bytes[paper.size] = (uint8_t)(0xc0 | paper.size >> 8);
    paper.bytes[paper.size + 1] = (uint8_t)paper.size;
    memset(paper.bytes + paper.size + 2, 0, 10);
    paper.size += 12;
    assert_refused();
    /* A target that points at itself, and one behind the end. */
    ask_for("circle2.example", ns_t_cname);
    size_t at = paper.size + 12;
    paper_record(&paper, 1, NULL, ns_t_cname, 60, itself, sizeof(itself));
    paper.bytes[at + 1] = (uint8_t)at;
    assert_refused();
    ask_for("circle3.example", ns_t_cname);
    paper_record(&paper, 1, NULL, ns_t_cname, 60, "\xff\xff", 2);
    assert_refused();
    /* Into the head, which is another one in a reply. */
    ask_for("head.example", ns_t_cname);
    paper_record(&paper, 1, NULL, ns_t_cname, 60, "\xc0\x02", 2);
    assert_refused();
    ask_for("long.example", ns_t_mx);
    paper_record(&paper, 1, NULL, ns_t_mx, 60,
                 "\x00\x01\x05"
                 "abc",
                 6);
    assert_refused();
}

static void test_aliases_in_circles_and_without_end(void **state)
{
    char from[32], to[32];

    (void)state;
    /* a -> b -> a is what it is: nobody follows it here. */
    ask_for("a.example", ns_t_a);
    paper_cname(&paper, NULL, 60, "b.example");
    paper_cname(&paper, "b.example", 60, "a.example");
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_int_equal(rig.replies, 1);
    rig.replies = 0;
    ask_for("chain.example", ns_t_a);
    paper_cname(&paper, NULL, 60, "c0.example");
    for (size_t index = 0; index < WW_DNS_CHAIN_MAX; index++) {
        snprintf(from, sizeof(from), "c%zu.example", index);
        snprintf(to, sizeof(to), "c%zu.example", index + 1);
        paper_cname(&paper, from, 60, to);
    }
    rig.judged = 0;
    assert_refused();
    assert_int_equal(rig.judged, WW_DNS_CHAIN_MAX);
}

static void test_lengths_that_lie(void **state)
{
    (void)state;
    ask_for("short.example", ns_t_a);
    paper_record(&paper, 1, NULL, ns_t_a, 60, "\x01\x02\x03", 3);
    assert_refused();
    ask_for("cut.example", ns_t_a);
    paper_a(&paper, 60, "93.184.216.34");
    paper.size--;
    assert_refused();
    ask_for("more.example", ns_t_a);
    paper_a(&paper, 60, "93.184.216.34");
    paper.size++;
    assert_refused();
    ask_for("count.example", ns_t_a);
    paper_a(&paper, 60, "93.184.216.34");
    paper.bytes[6] = 0xff;
    assert_refused();
    ask_for("hint.example", 65);
    paper_record(&paper, 1, NULL, 65, 60, "\x00\x01\x00\x00\x04\x00\x05\x01\x02\x03\x04\x05", 12);
    assert_refused();
    ask_for("option.example", ns_t_a);
    paper_record(&paper, 1, NULL, ns_t_opt, 60, "", 0);
    assert_refused();
}

/* A name that begins in a time of life: it can be read now, and not when that is shorter. */
static void test_names_in_numbers_that_change(void **state)
{
    static const uint8_t pointer[] = {0xc0, DNS_HEAD_BYTES + 14 + 4 + 7};

    (void)state;
    ask_for("time.example", ns_t_cname);
    paper_record(&paper, 1, NULL, ns_t_a, 0x01000000, "\x5d\xb8\xd8\x22", 4);
    paper_record(&paper, 1, NULL, ns_t_cname, 60, pointer, sizeof(pointer));
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_int_equal(rig.replies, 1);
    assert_int_equal(rig.reply[3] & 0xf, ns_r_servfail);
}

/* 64 KiB of a chain of pointers, and names that go all the way. */
static void test_the_worst_message_costs_little(void **state)
{
    (void)state;
    ask_for("worst.example", ns_t_null);
    ww_dns_cancel(&ask);
    paper.bytes[2] |= 2; /* the message may be as long as a stream carries */
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_true(rig_last(&rig)->is_stream);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    static uint8_t chain[16000];
    size_t from = paper.size + 12;
    for (size_t at = 0; at < sizeof(chain); at += 2) {
        size_t to = at ? from + at - 2 : DNS_HEAD_BYTES;
        chain[at] = (uint8_t)(0xc0 | to >> 8);
        chain[at + 1] = (uint8_t)to;
    }
    paper_record(&paper, 1, NULL, ns_t_null, 60, chain, sizeof(chain));
    size_t last = from + sizeof(chain) - 2;
    uint8_t pointer[2] = {(uint8_t)(0xc0 | last >> 8), (uint8_t)last};
    for (size_t count = 0; count < WW_DNS_RECORDS_MAX - 1; count++) {
        size_t owner = paper.size;
        paper_record(&paper, 1, NULL, ns_t_ns, 60, pointer, sizeof(pointer));
        memcpy(paper.bytes + owner, pointer, 2);
    }
    clock_t before = clock();
    rig_answer(&rig, rig_last(&rig), &paper);
    unsigned took_ms = (unsigned)((clock() - before) * 1000 / CLOCKS_PER_SEC);
    print_message("the worst message took %u ms\n", took_ms);
    assert_true(took_ms < WORST_MS_MAX);
    assert_int_equal(stats().bad, 1);
    /* One more is too many. */
    ask_for("many.example", ns_t_a);
    for (size_t count = 0; count <= WW_DNS_RECORDS_MAX; count++)
        paper_a(&paper, 60, "93.184.216.34");
    assert_refused();
}

static void test_the_largest_message(void **state)
{
    static uint8_t text[DNS_MESSAGE_BYTES];
    struct ww_dns_ask whole = {.is_stream = true};

    (void)state;
    assert_int_equal(rig_ask(&rig, &whole, "large.example", ns_t_null), WW_EAGAIN);
    paper_answer(&paper, rig_last(&rig), ns_r_noerror);
    paper_record(&paper, 1, NULL, ns_t_null, 60, text, DNS_MESSAGE_BYTES - paper.size - 12);
    assert_int_equal(paper.size, DNS_MESSAGE_BYTES);
    rig_answer(&rig, rig_last(&rig), &paper);
    assert_int_equal(rig.replies, 1);
    assert_true(rig.reply[2] & 2); /* with EDNS of our own it no longer fits: cut, not wrong */
    assert_int_equal(stats().cached, 0);
}

/* Whatever an application sends: an answer, or nothing; never a question upstream that it has not
 * asked, and never a crash. */
static void test_questions_that_are_none(void **state)
{
    uint8_t good[WW_DNS_QUERY_BYTES], bad[WW_DNS_QUERY_BYTES + 1];
    size_t size = 0;

    (void)state;
    assert_int_equal(ww_dns_query("q.example", ns_t_a, 7, good, &size), 0);
    for (size_t cut = 0; cut < size; cut++) {
        int rc = rig_ask_message(&rig, &ask, good, cut);
        assert_true(cut < DNS_HEAD_BYTES ? rc == WW_EINVAL : rc == 0);
        assert_true(cut < DNS_HEAD_BYTES || (rig.reply[3] & 0xf) == ns_r_formerr);
    }
    struct {
        size_t at;
        uint8_t byte;
        unsigned code;
    } rows[] = {
        {2, 0x28, ns_r_notimpl}, /* an update */
        {5, 2, ns_r_formerr},    /* two questions, where there is one */
        {7, 1, ns_r_formerr},    /* an answer with it */
        {DNS_HEAD_BYTES, 0xc0, ns_r_formerr},
        {size - DNS_OPT_BYTES - 3, 252, ns_r_notimpl}, /* a whole zone */
        {size - DNS_OPT_BYTES - 1, 3, ns_r_refused},   /* CHAOS */
        {size - 5, 1, ns_r_notimpl},                   /* EDNS of another version */
    };
    for (size_t index = 0; index < WW_ARRAY_COUNT(rows); index++) {
        memcpy(bad, good, size);
        bad[rows[index].at] = rows[index].byte;
        assert_int_equal(rig_ask_message(&rig, &ask, bad, size), 0);
        assert_int_equal(rig.reply[3] & 0xf, rows[index].code);
        assert_int_equal(rig_get16(rig.reply), 7);
        /* With a question in it, it is the one that was asked, or dig does not take it. */
        if (rig_get16(rig.reply + 4))
            assert_memory_equal(rig.reply + DNS_HEAD_BYTES, bad + DNS_HEAD_BYTES,
                                size - DNS_HEAD_BYTES - DNS_OPT_BYTES);
    }
    memcpy(bad, good, size);
    bad[2] |= 0x80; /* an answer: nothing is answered, or two of us would do so for ever */
    assert_int_equal(rig_ask_message(&rig, &ask, bad, size), WW_EINVAL);
    assert_int_equal(rig.sent_count, 0);
}

/* No room anywhere: an application gets an answer all the same, or nothing, and nothing leaks. */
static void test_without_memory(void **state)
{
    (void)state;
    for (uint64_t failing = 1; failing < 12; failing++) {
        rig_stop(&rig);
        rig_start(&rig, WW_DNS_EMPTY);
        memset(&ask, 0, sizeof(ask));
        ww_alloc_fail_after(failing);
        int rc = rig_ask(&rig, &ask, "memory.example", ns_t_a);
        if (rc == WW_EAGAIN) {
            paper_answer(&paper, rig_last(&rig), ns_r_noerror);
            paper_a(&paper, 60, "93.184.216.34");
            rig_answer(&rig, rig_last(&rig), &paper);
        }
        ww_alloc_fail_after(0);
        assert_int_equal(rig.replies, 1);
    }
}

int main(void)
{
#define DNS_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        DNS_TEST(test_answers_to_something_else_change_nothing),
        DNS_TEST(test_what_is_sent_can_not_be_guessed),
        DNS_TEST(test_names_that_point_in_circles),
        DNS_TEST(test_aliases_in_circles_and_without_end),
        DNS_TEST(test_lengths_that_lie),
        DNS_TEST(test_names_in_numbers_that_change),
        DNS_TEST(test_the_worst_message_costs_little),
        DNS_TEST(test_the_largest_message),
        DNS_TEST(test_questions_that_are_none),
        DNS_TEST(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
