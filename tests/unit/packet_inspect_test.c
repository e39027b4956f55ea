/* Names and applications of flows, from first packets as OpenSSL, RFC 9001 and resolvers make
 * them, whole, in pieces, out of order, and made to mislead. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "inspect_read.h"
#include "packet_hello.h"
#include "packet_inspect_rig.h"

static struct ww_loop *loop;
static struct ww_inspector *inspector;
static char denied_name[300];
static unsigned named_count;

static int on_named(void *arg, struct ww_flow *flow)
{
    (void)arg;
    named_count++;
    return flow->name && strcmp(flow->name, denied_name) == 0 ? WW_EDENIED : 0;
}

static const struct ww_flow_callbacks CALLBACKS = {.named = on_named};

static struct ww_flows *make(void)
{
    struct ww_flows_config config = {
        .flows_max = 1000, .inspector = inspector, .callbacks = &CALLBACKS};
    struct ww_flows *flows = NULL;
    assert_int_equal(ww_flows_create(&config, &flows), 0);
    named_count = 0;
    return flows;
}

static void settle(void)
{
    rig_settle(loop, inspector);
}

/* --- readers ---------------------------------------------------------------------------------- */

static void a_hello_is_read_wherever_it_is_cut(void **state)
{
    uint8_t bytes[2048];
    char name[WW_NAME_BYTES_MAX + 1];
    size_t size = hello_tls("WWW.Example.ORG", bytes, sizeof(bytes));

    (void)state;
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(inspect_read_tls(bytes, cut, name), WW_EAGAIN);
    assert_int_equal(inspect_read_tls(bytes, size, name), 0);
    assert_string_equal(name, "www.example.org");
    size = hello_tls(NULL, bytes, sizeof(bytes));
    assert_int_equal(inspect_read_tls(bytes, size, name), 0);
    assert_string_equal(name, "");
    bytes[0] = 23;
    assert_int_equal(inspect_read_tls(bytes, size, name), WW_EMALFORMED);
}

static void a_hello_in_many_records(void **state)
{
    uint8_t bytes[2048], split[8192];
    char name[WW_NAME_BYTES_MAX + 1];
    size_t size = hello_tls("example.org", bytes, sizeof(bytes)), used = 0;

    (void)state;
    for (size_t at = 5; at < size; at += 3) { /* three bytes in each */
        uint8_t count = (uint8_t)WW_MIN((size_t)3, size - at);
        memcpy(split + used, (uint8_t[]){22, 3, 1, 0, count}, 5);
        memcpy(split + used + 5, bytes + at, count);
        used += 5 + count;
    }
    assert_int_equal(inspect_read_tls(split, used, name), 0);
    assert_string_equal(name, "example.org");
}

static void names_that_no_host_has(void **state)
{
    static const char *bad[] = {"a..example",  "a.example..", "..",  ".example",
                                "a b.example", "ex%ample",    "a/b", "[::1]"};
    uint8_t bytes[2048];
    char name[WW_NAME_BYTES_MAX + 1], longest[256];

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(bad); i++) {
        size_t size = hello_tls(bad[i], bytes, sizeof(bytes));
        assert_int_equal(inspect_read_tls(bytes, size, name), 0);
        assert_string_equal(name, "");
    }
    memset(longest, 'a', sizeof(longest));
    for (size_t i = 50; i < 250; i += 50)
        longest[i] = '.';
    longest[255] = '\0';
    size_t size = hello_tls(longest, bytes, sizeof(bytes));
    assert_int_equal(inspect_read_tls(bytes, size, name), 0);
    assert_string_equal(name, longest); /* in full */
    /* A second server name in the greeting: who knows which one the other end takes. */
    size = hello_tls("good.example", bytes, sizeof(bytes));
    const uint8_t *found = memmem(bytes, size, "good.example", 12), *at = found - 9;
    uint8_t twice[2048];
    size_t before = (size_t)(at - bytes), length = 9 + 12, extensions = 0;
    memcpy(twice, bytes, before + length);
    memcpy(twice + before + length, at, size - before);
    memcpy(twice + before + length + 9, "evil", 4);
    extensions = before - 2; /* OpenSSL puts the name first, or behind one of five bytes */
    while (((size_t)twice[extensions] << 8 | twice[extensions + 1]) != size - extensions - 2)
        extensions--;
    size_t grown[3] = {3, 7, extensions};
    for (int i = 0; i < 3; i++) {
        size_t value = ((size_t)twice[grown[i]] << 8 | twice[grown[i] + 1]) + length;
        twice[grown[i]] = (uint8_t)(value >> 8);
        twice[grown[i] + 1] = (uint8_t)value;
    }
    assert_int_equal(inspect_read_tls(twice, size + length, name), 0);
    assert_string_equal(name, "");
}

static void requests_say_their_host(void **state)
{
    static const struct {
        const char *text, *name;
        int rc;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: Example.org\r\n\r\n", "example.org", 0},
        {"GET / HTTP/1.1\r\nA: b\r\nhost:example.org:8080 \r\n\r\n", "example.org", 0},
        {"GET / HTTP/1.1\nHost: example.org\n\n", "example.org", 0},
        {"GET http://a.example/x HTTP/1.1\r\nHost: b.example\r\n\r\n", "a.example", 0},
        {"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n", "", 0},
        {"GET / HTTP/1.0\r\n\r\n", "", 0},
        {"GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "", 0},
        {"GET / HTTP/1.1\r\nHost: example.org\r\n", "", WW_EAGAIN},
        {"PROPFIND", "", WW_EAGAIN},
        {"GET / FTP/1.1\r\n\r\n", "", WW_EMALFORMED},
        {"SSH-2.0-OpenSSH_9.2\r\n", "", WW_EMALFORMED},
        {"get / HTTP/1.1\r\n\r\n", "", WW_EMALFORMED},
    };
    char name[WW_NAME_BYTES_MAX + 1];

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        const uint8_t *bytes = (const uint8_t *)rows[i].text;
        assert_int_equal(inspect_read_http(bytes, strlen(rows[i].text), name), rows[i].rc);
        if (rows[i].rc == 0)
            assert_string_equal(name, rows[i].name);
    }
}

#define QUERY "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"

static void queries_say_their_name(void **state)
{
    static const uint8_t query[] = QUERY "\3WWW\7example\3org\0\0\1\0\1";
    static const uint8_t stream[] = "\0\x21" QUERY "\3www\7example\3org\0\0\1\0\1";
    static const uint8_t pointer[] = QUERY "\xc0\x0c\0\0\1\0\1";
    static const uint8_t dotted[] = QUERY "\3a.b\0\0\1\0\1";
    char name[WW_NAME_BYTES_MAX + 1];

    (void)state;
    assert_int_equal(inspect_read_dns(query, sizeof(query) - 1, false, name), 0);
    assert_string_equal(name, "www.example.org");
    assert_int_equal(inspect_read_dns(stream, sizeof(stream) - 1, true, name), 0);
    assert_string_equal(name, "www.example.org");
    assert_int_equal(inspect_read_dns(stream, 20, true, name), WW_EAGAIN);
    assert_int_equal(inspect_read_dns(query, 20, false, name), WW_EMALFORMED);
    assert_int_equal(inspect_read_dns(pointer, sizeof(pointer) - 1, false, name), WW_EMALFORMED);
    assert_int_equal(inspect_read_dns(dotted, sizeof(dotted) - 1, false, name), WW_EMALFORMED);
}

/* --- flows ------------------------------------------------------------------------------------ */

static void segments_in_any_order(void **state)
{
    struct at at = {IPPROTO_TCP, 40000, 443, 0xfffffff0, false};
    uint8_t bytes[2048];
    size_t size = hello_tls("www.youtube.com", bytes, sizeof(bytes));
    struct ww_flows *flows = make();
    struct ww_flow *flow = NULL;

    (void)state;
    send_payload(flows, &at, bytes, 50, &flow);
    at.sequence += 150;
    send_payload(flows, &at, bytes + 150, size - 150, &flow);
    assert_null(flow->name);
    at.sequence -= 120; /* overlaps both */
    send_payload(flows, &at, bytes + 30, 140, &flow);
    assert_string_equal(flow->name, "www.youtube.com");
    assert_int_equal(flow->name_from, WW_FLOW_NAME_TLS);
    ww_flows_destroy(flows);

    flows = make();
    at.sequence = 1;
    send_payload(flows, &at, bytes, size, &flow);
    assert_string_equal(flow->name, "www.youtube.com"); /* at once */
    assert_int_equal(named_count, 1);
    settle();
    assert_string_equal(flow->application, "YouTube"); /* later */
    assert_int_equal(named_count, 2);
    assert_int_equal(ww_inspector_count(inspector), 0); /* all is known: it is freed */
    ww_flows_destroy(flows);
}

static void send_syn(struct ww_flows *flows, const struct at *at, struct ww_flow **flow)
{
    rig_flags = 2;
    assert_int_equal(send_payload(flows, at, "", 0, flow), WW_FLOW_PASS);
    rig_flags = 0x18;
}

/* Segments that the other end will not take, sent to have no name, or another one. */
static void what_is_not_the_beginning_hides_no_name(void **state)
{
    static const int32_t lies[] = {-1000, -1, 8192, 100000, INT32_MAX};
    struct at at = {IPPROTO_TCP, 40000, 443, 0xfffffff0, false};
    uint8_t bytes[2048], lie[2048];
    size_t size = hello_tls("www.youtube.com", bytes, sizeof(bytes));
    size_t lie_size = hello_tls("fine.example", lie, sizeof(lie));

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(lies); i++) {
        struct ww_flows *flows = make();
        struct ww_flow *flow = NULL;
        uint32_t first = at.sequence + 1;

        at.sequence -= 77; /* another connection's, that came to nothing */
        send_syn(flows, &at, &flow);
        at.sequence += 77;
        send_syn(flows, &at, &flow);
        if (i % 2) { /* a last one, that has a wrong sum; the answer says which one counts */
            at.sequence -= 77;
            send_syn(flows, &at, &flow);
            at.sequence = first;
            at.is_incoming = true;
            rig_flags = 0x12;
            send_payload(flows, &at, "", 0, &flow);
            rig_flags = 0x18;
            at.is_incoming = false;
        }
        for (int turn = 0; turn < 3 * WW_INSPECT_PACKETS; turn++) {
            at.sequence = first + (uint32_t)lies[i] - (lies[i] < 0 ? (uint32_t)lie_size : 0);
            send_payload(flows, &at, lie, lie_size, &flow);
            assert_null(flow->name);
        }
        at.sequence = first;
        send_payload(flows, &at, bytes, size, &flow);
        assert_string_equal(flow->name, "www.youtube.com");
        at.sequence = first - 1;
        ww_flows_destroy(flows);
    }
}

/* One client's flows push out its own only. */
static void each_client_has_its_share(void **state)
{
    struct at at = {IPPROTO_TCP, 1, 443, 1, false};
    struct ww_flows *flows = make(), *other = make();
    uint8_t bytes[2048];
    size_t size = hello_tls("www.youtube.com", bytes, sizeof(bytes));
    struct ww_flow *flow = NULL, *flood = NULL;

    (void)state;
    send_payload(flows, &at, bytes, 100, &flow);
    for (int i = 0; i < 3 * WW_INSPECTIONS_MAX; i++, at.here++)
        send_payload(other, &at, "\1\2\3", 3, &flood);
    assert_int_equal(ww_inspector_count(inspector), 1 + WW_INSPECTIONS_TABLE);
    at.here = 1;
    at.sequence = 101;
    send_payload(flows, &at, bytes + 100, size - 100, &flow);
    assert_string_equal(flow->name, "www.youtube.com");
    ww_flows_destroy(flows);
    ww_flows_destroy(other);
    assert_int_equal(ww_inspector_count(inspector), 0);
}

static void a_name_may_have_its_flow_denied(void **state)
{
    struct at at = {IPPROTO_TCP, 40000, 443, 1, false};
    uint8_t bytes[2048];
    size_t size = hello_tls("bad.example", bytes, sizeof(bytes));
    struct ww_flows *flows = make();
    struct ww_flow *flow = NULL;

    (void)state;
    snprintf(denied_name, sizeof(denied_name), "bad.example");
    assert_int_equal(send_payload(flows, &at, bytes, 100, &flow), WW_FLOW_PASS);
    at.sequence = 101;
    /* The packet that says the name doesn't pass. */
    assert_int_equal(send_payload(flows, &at, bytes + 100, size - 100, &flow), WW_FLOW_REJECT);
    at.is_incoming = true;
    assert_int_equal(send_payload(flows, &at, "x", 1, &flow), WW_FLOW_REJECT);
    denied_name[0] = '\0';
    ww_flows_destroy(flows);
}

/* RFC 9001 appendix A.2 begins with these bytes, so ours is what it says. */
static void a_quic_initial_is_opened(void **state)
{
    static const uint8_t begins[] = {0xc0, 0x00, 0x00, 0x00, 0x01, 0x08, 0x83, 0x94,
                                     0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08, 0x00, 0x00,
                                     0x44, 0x9e, 0x7b, 0x9a, 0xec, 0x34, 0xd1, 0xb1,
                                     0xc9, 0x8d, 0xd7, 0x68, 0x9f, 0xb8, 0xec, 0x11};
    struct at at = {IPPROTO_UDP, 40000, 443, 0, false};
    uint8_t bytes[1200];
    struct ww_flows *flows = make();
    struct ww_flow *flow = NULL;

    (void)state;
    hello_quic(NULL, bytes);
    assert_memory_equal(bytes, begins, sizeof(begins));
    send_payload(flows, &at, bytes, sizeof(bytes), &flow);
    assert_null(flow->name);
    settle();
    assert_string_equal(flow->name, "example.com");
    assert_int_equal(flow->name_from, WW_FLOW_NAME_QUIC);
    assert_string_equal(flow->application, "QUIC");
    ww_flows_destroy(flows);
}

/* Greetings with post-quantum keys don't fit into one packet. nDPI puts them together if they come
 * in order. */
static void a_quic_greeting_in_two_packets(void **state)
{
    struct at at = {IPPROTO_UDP, 40000, 443, 0, false};
    struct ww_flows *flows = make();
    uint8_t bytes[1200];

    (void)state;
    for (unsigned first = 0; first < 2; first++, at.here++) {
        struct ww_flow *flow = NULL;
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(hello_quic_half(first ^ i, bytes), 1200);
            send_payload(flows, &at, bytes, sizeof(bytes), &flow);
            settle();
        }
        assert_string_equal(flow->application, "QUIC");
        if (first == 0)
            assert_string_equal(flow->name, "example.com");
        else
            assert_null(flow->name);
    }
    ww_flows_destroy(flows);
}

/* A name that nDPI cuts right behind youtube.com is not YouTube, and no name either. */
static void a_cut_name_is_no_name(void **state)
{
    static const char tail[] = ".youtube.com.evil.example";
    struct at at = {IPPROTO_UDP, 40000, 443, 0, false};
    uint8_t bytes[2048];
    char name[160];
    struct ww_flows *flows = make();
    struct ww_flow *flow = NULL;

    (void)state;
    memset(name, 'a', sizeof(name));
    name[60] = '.';
    snprintf(name + 79 - 12, sizeof(name) - 79 + 12, "%s", tail);
    hello_quic(name, bytes);
    send_payload(flows, &at, bytes, 1200, &flow);
    settle();
    assert_null(flow->name);
    assert_string_equal(flow->application, "QUIC");
    at.protocol = IPPROTO_TCP;
    at.sequence = 1;
    send_payload(flows, &at, bytes, hello_tls(name, bytes, sizeof(bytes)), &flow);
    settle();
    assert_string_equal(flow->name, name);
    assert_string_equal(flow->application, "TLS");
    name[79] = '\0';
    at.here++; /* exactly as long as what nDPI keeps: who knows */
    at.protocol = IPPROTO_UDP;
    hello_quic(name, bytes);
    send_payload(flows, &at, bytes, 1200, &flow);
    settle();
    assert_null(flow->name);
    assert_string_equal(flow->application, "QUIC");
    ww_flows_destroy(flows);
}

static void dns_and_http_too(void **state)
{
    static const uint8_t query[] = QUERY "\3www\7example\3org\0\0\1\0\1";
    static const char request[] = "GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: x\r\n\r\n";
    struct at dns = {IPPROTO_UDP, 40000, 53, 0, false}, http = {IPPROTO_TCP, 40001, 8080, 1, false};
    struct ww_flows *flows = make();
    struct ww_flow *flow = NULL;

    (void)state;
    send_payload(flows, &dns, query, sizeof(query) - 1, &flow);
    assert_string_equal(flow->name, "www.example.org");
    settle();
    assert_string_equal(flow->application, "DNS");
    send_payload(flows, &http, request, sizeof(request) - 1, &flow);
    assert_string_equal(flow->name, "example.org");
    settle();
    assert_string_equal(flow->application, "HTTP");
    ww_flows_destroy(flows);
}

/* A server's certificate says from when until when it is good: a time of day, for which the C
 * library may want a file. */
static void a_certificate_does_not_end_it(void **state)
{
    struct at at = {IPPROTO_TCP, 40000, 443, 1, false};
    uint8_t bytes[4096];
    size_t size = hello_tls_answer(bytes, sizeof(bytes));
    struct ww_flows *flows = make();
    struct ww_flow *flow = NULL;
    uint64_t missed = rig_stats(inspector).missed;

    (void)state;
    send_syn(flows, &at, &flow);
    at.is_incoming = true;
    send_payload(flows, &at, bytes, size, &flow);
    settle();
    assert_int_equal(rig_stats(inspector).starts, 1);
    assert_int_equal(rig_stats(inspector).missed, missed);
    assert_string_equal(flow->application, "TLS");
    ww_flows_destroy(flows);
}

static void what_is_looked_at_is_bounded(void **state)
{
    struct at at = {IPPROTO_TCP, 1, 9999, 1, false};
    struct ww_flows *tables[8];
    struct ww_flow *flow = NULL;

    (void)state;
    for (int table = 0; table < 8; table++) {
        tables[table] = make();
        for (int i = 0; i < WW_INSPECTIONS_TABLE; i++, at.here++)
            send_payload(tables[table], &at, "\1\2\3", 3, &flow);
    }
    assert_int_equal(ww_inspector_count(inspector), WW_INSPECTIONS_MAX);
    at.here--; /* packets in both directions count */
    for (int i = 1; i < WW_INSPECT_PACKETS; i++) {
        at.is_incoming = i % 2;
        at.sequence += i % 2 ? 0 : 3;
        send_payload(tables[7], &at, "\1\2\3", 3, &flow);
    }
    settle();
    assert_int_equal(ww_inspector_count(inspector), WW_INSPECTIONS_MAX - 1);
    for (int table = 0; table < 8; table++)
        ww_flows_destroy(tables[table]);
    assert_int_equal(ww_inspector_count(inspector), 0);
}

int main(int argc, char **argv)
{
    ww_inspect_main(argc, argv);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_is_read_wherever_it_is_cut),
        cmocka_unit_test(a_hello_in_many_records),
        cmocka_unit_test(names_that_no_host_has),
        cmocka_unit_test(requests_say_their_host),
        cmocka_unit_test(queries_say_their_name),
        cmocka_unit_test(segments_in_any_order),
        cmocka_unit_test(what_is_not_the_beginning_hides_no_name),
        cmocka_unit_test(each_client_has_its_share),
        cmocka_unit_test(a_name_may_have_its_flow_denied),
        cmocka_unit_test(a_quic_initial_is_opened),
        cmocka_unit_test(a_quic_greeting_in_two_packets),
        cmocka_unit_test(a_cut_name_is_no_name),
        cmocka_unit_test(dns_and_http_too),
        cmocka_unit_test(a_certificate_does_not_end_it),
        cmocka_unit_test(what_is_looked_at_is_bounded),
    };
    if (ww_loop_create(&loop) || ww_inspector_create(loop, &inspector))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ww_inspector_destroy(inspector);
    ww_loop_destroy(loop);
    return failed;
}
