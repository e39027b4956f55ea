/* The virtual upstream of the tests of the DNS forwarder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "packet_dns_rig.h"

static enum ww_dns_verdict on_judge(void *arg, const char *name, const char *listed)
{
    struct rig *rig = arg;

    rig->judged++;
    snprintf(rig->last_listed, sizeof(rig->last_listed), "%s", listed);
    if (listed[0])
        return WW_DNS_BLOCK;
    return rig->blocked && strcmp(name, rig->blocked) == 0 ? rig->with : WW_DNS_ALLOW;
}

static int on_send(void *arg, uint64_t exchange, const struct ww_target *upstream, bool is_stream,
                   const uint8_t *query, size_t size)
{
    struct rig *rig = arg;
    struct rig_sent *sent = &rig->sent[rig->sent_count];

    if (rig->send_rc)
        return rig->send_rc;
    assert_true(rig->sent_count < RIG_SENT_MAX && size <= sizeof(sent->query));
    rig->sent_count++;
    *sent = (struct rig_sent){exchange, *upstream, is_stream, false, size, {0}};
    memcpy(sent->query, query, size);
    return 0;
}

static void on_end(void *arg, uint64_t exchange)
{
    struct rig *rig = arg;

    for (size_t index = 0; index < rig->sent_count; index++) {
        if (rig->sent[index].exchange != exchange)
            continue;
        assert_false(rig->sent[index].is_over);
        rig->sent[index].is_over = true;
        return;
    }
    fail_msg("an exchange ended that there was not");
}

static int on_exclude(void *arg, uint64_t hold, const char *name, const uint8_t (*addresses)[16],
                      size_t count, uint32_t seconds)
{
    struct rig *rig = arg;

    rig->hold = hold;
    snprintf(rig->excluded, sizeof(rig->excluded), "%s", name);
    rig->excluded_count = count;
    rig->excluded_s = seconds;
    memcpy(rig->excluded_last, addresses[count - 1], 16);
    return rig->exclude_rc;
}

static const struct ww_dns_callbacks CALLBACKS = {on_judge, on_send, on_end, on_exclude};

void rig_start(struct rig *rig, enum ww_dns_denial denial)
{
    struct ww_dns_config config = {&CALLBACKS, rig, NULL, denial};
    struct ww_target upstream;

    memset(rig, 0, sizeof(*rig));
    assert_int_equal(ww_loop_create(&rig->loop), 0);
    assert_int_equal(ww_dns_create(rig->loop, &config, &rig->dns), 0);
    assert_int_equal(ww_target_parse("192.0.2.53", 10, 53, &upstream), 0);
    assert_int_equal(ww_dns_add_upstream(rig->dns, &upstream), 0);
    assert_int_equal(ww_target_parse("2001:db8::53", 12, 53, &upstream), 0);
    assert_int_equal(ww_dns_add_upstream(rig->dns, &upstream), 0);
}

void rig_stop(struct rig *rig)
{
    ww_dns_destroy(rig->dns);
    for (size_t index = 0; index < rig->sent_count; index++)
        assert_true(rig->sent[index].is_over);
    ww_loop_destroy(rig->loop);
}

static void on_reply(void *arg, struct ww_dns_ask *ask, const uint8_t *reply, size_t size)
{
    struct rig *rig = arg;

    (void)ask;
    rig->replies++;
    rig->reply_size = size;
    memcpy(rig->reply, reply, size);
}

int rig_ask_message(struct rig *rig, struct ww_dns_ask *ask, const uint8_t *message, size_t size)
{
    const uint8_t *reply = NULL;
    size_t reply_size = 0;

    ask->fn = on_reply;
    ask->arg = rig;
    int rc = ww_dns_ask(rig->dns, ask, message, size, &reply, &reply_size);
    if (!rc)
        on_reply(rig, ask, reply, reply_size);
    return rc;
}

int rig_ask(struct rig *rig, struct ww_dns_ask *ask, const char *name, uint16_t type)
{
    uint8_t query[WW_DNS_QUERY_BYTES];
    size_t size = 0;

    assert_int_equal(ww_dns_query(name, type, 0x1234, query, &size), 0);
    return rig_ask_message(rig, ask, query, size);
}

unsigned rig_get16(const uint8_t *at)
{
    return (unsigned)(at[0] << 8 | at[1]);
}

static void put16(struct paper *paper, unsigned value)
{
    paper->bytes[paper->size++] = (uint8_t)(value >> 8);
    paper->bytes[paper->size++] = (uint8_t)value;
}

void paper_answer(struct paper *paper, const struct rig_sent *sent, unsigned code)
{
    paper->size = sent->size - DNS_OPT_BYTES;
    memcpy(paper->bytes, sent->query, paper->size);
    paper->bytes[2] = 0x81;
    paper->bytes[3] = (uint8_t)(0x80 | code);
    memset(paper->bytes + 6, 0, 6);
}

void paper_record(struct paper *paper, int section, const char *owner, uint16_t type, uint32_t ttl,
                  const void *data, size_t size)
{
    uint8_t *count = paper->bytes + 4 + 2 * section;
    unsigned counted = rig_get16(count) + 1;

    count[0] = (uint8_t)(counted >> 8);
    count[1] = (uint8_t)counted;
    if (owner) {
        uint8_t *at = paper->bytes + paper->size;
        assert_true(ns_name_pton(owner, at, 256) >= 0);
        while (*at) {
            paper->size += *at + 1U;
            at += *at + 1U;
        }
        paper->size++;
    } else {
        put16(paper, 0xc00c);
    }
    put16(paper, type);
    put16(paper, ns_c_in);
    put16(paper, ttl >> 16);
    put16(paper, ttl & 0xffff);
    put16(paper, (unsigned)size);
    memcpy(paper->bytes + paper->size, data, size);
    paper->size += size;
}

void paper_a(struct paper *paper, uint32_t ttl, const char *address)
{
    uint8_t bytes[16];
    bool is_six = strchr(address, ':') != NULL;

    assert_int_equal(inet_pton(is_six ? AF_INET6 : AF_INET, address, bytes), 1);
    paper_record(paper, 1, NULL, is_six ? ns_t_aaaa : ns_t_a, ttl, bytes, is_six ? 16 : 4);
}

void paper_cname(struct paper *paper, const char *owner, uint32_t ttl, const char *to)
{
    uint8_t name[256];
    size_t size = 1;

    assert_true(ns_name_pton(to, name, sizeof(name)) >= 0);
    for (const uint8_t *label = name; *label; label += *label + 1U)
        size += *label + 1U;
    paper_record(paper, 1, owner, ns_t_cname, ttl, name, size);
}

void paper_soa(struct paper *paper, uint32_t ttl, uint32_t minimum)
{
    uint8_t data[22] = {0, 0};

    ns_put32(minimum, data + 18);
    paper_record(paper, 2, NULL, ns_t_soa, ttl, data, sizeof(data));
}

void rig_answer(struct rig *rig, const struct rig_sent *sent, const struct paper *paper)
{
    ww_dns_answer(rig->dns, sent->exchange, paper->bytes, paper->size);
}

struct rig_sent *rig_last(struct rig *rig)
{
    assert_true(rig->sent_count > 0);
    return &rig->sent[rig->sent_count - 1];
}

unsigned rig_text(const struct rig *rig, char *text, size_t size)
{
    unsigned code = 99;
    struct ww_buf out;

    ww_buf_init(&out, 65536);
    assert_int_equal(ww_dns_print(rig->reply, rig->reply_size, &code, &out), 0);
    snprintf(text, size, "%s", ww_buf_text(&out));
    ww_buf_deinit(&out);
    return code;
}
