/* The DNS forwarder from both sides: a question as an application sends it, and what comes back for
 * it from upstream, by datagram and by stream. Whatever comes out is a message that can be read, is
 * the answer to what was asked, and holds no address that the fixed list denies. */
#include <stdlib.h>
#include <string.h>

#include "dns_room.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct state {
    struct ww_dns *dns;
    uint64_t exchange; /* 0: none is under way */
    bool has_zeroed;   /* a name, perhaps one that an answer leads to */
    size_t query_size;
    uint8_t query[WW_DNS_QUERY_BYTES];
};

static enum ww_dns_verdict on_judge(void *arg, const char *name, const char *listed)
{
    struct state *state = arg;

    if (strlen(name) > WW_NAME_BYTES_MAX || strlen(listed) >= WW_DNS_LIST_NAME_SIZE)
        abort();
    state->has_zeroed = state->has_zeroed || name[0] == 'z';
    return name[0] == 'z' ? WW_DNS_ZERO : name[0] == 'b' ? WW_DNS_BLOCK : WW_DNS_ALLOW;
}

static int on_send(void *arg, uint64_t exchange, const struct ww_target *upstream, bool is_stream,
                   const uint8_t *query, size_t size)
{
    struct state *state = arg;

    (void)upstream;
    (void)is_stream;
    if (state->exchange || size > sizeof(state->query))
        abort();
    state->exchange = exchange;
    state->query_size = size;
    memcpy(state->query, query, size);
    return 0;
}

static void on_end(void *arg, uint64_t exchange)
{
    struct state *state = arg;

    if (state->exchange != exchange)
        abort();
    state->exchange = 0;
}

struct checking {
    bool has_zeroed;
    char name[DNS_NAME_SIZE];
};

static int check_address(void *arg, const uint8_t address[16], bool is_v4)
{
    static const uint8_t zero[16];
    static const uint8_t local[16] = {[15] = 1};
    uint8_t four[16];
    const struct checking *checking = arg;

    ww_address_map((const uint8_t[4]){0}, four);
    bool is_zero = memcmp(address, four, 16) == 0 || memcmp(address, zero, 16) == 0;
    ww_address_map((const uint8_t[4]){127, 0, 0, 1}, four);
    bool is_local = memcmp(address, four, 16) == 0 || memcmp(address, local, 16) == 0;
    if ((is_zero && checking->has_zeroed) ||
        (is_local && dns_is_within(checking->name, "localhost")))
        return 0;
    if (ww_address_judge(NULL, address, is_v4, NULL))
        abort();
    return 0;
}

static void check_reply(const struct ww_dns_ask *ask, const uint8_t *reply, size_t size)
{
    size_t limit = ask->is_stream ? DNS_MESSAGE_BYTES : ask->question.reply_bytes;
    const struct state *state = ask->arg;
    struct checking checking = {.has_zeroed = state->has_zeroed};
    unsigned code = 0;
    struct ww_buf out;
    ns_msg message;
    ns_rr record;

    if (size < DNS_HEAD_BYTES || size > limit || ns_initparse(reply, (int)size, &message) ||
        ns_msg_id(message) != ask->question.id || !ns_msg_getflag(message, ns_f_qr))
        abort();
    dns_question_name(&ask->question, checking.name);
    for (unsigned index = 0; index < ns_msg_count(message, ns_s_an); index++) {
        if (ns_parserr(&message, ns_s_an, (int)index, &record))
            abort();
        if (ns_rr_class(record) == ns_c_in)
            dns_record_addresses(&record, check_address, &checking);
    }
    ww_buf_init(&out, 1 << 20);
    if (ww_dns_print(reply, size, &code, &out))
        abort();
    if (ww_dns_print_why(reply, size, &code) == WW_EINVAL)
        abort();
    ww_buf_deinit(&out);
}

static void on_reply(void *arg, struct ww_dns_ask *ask, const uint8_t *reply, size_t size)
{
    (void)arg;
    check_reply(ask, reply, size);
}

/* The bytes, with the head and question that make them an answer if `is_good`. */
static void answer(struct state *state, const uint8_t *data, size_t size, bool is_good)
{
    size_t question = state->query_size - DNS_OPT_BYTES;
    static uint8_t message[DNS_MESSAGE_BYTES];

    if (size > sizeof(message))
        size = sizeof(message);
    memcpy(message, data, size);
    if (is_good && size >= DNS_HEAD_BYTES && question + size - DNS_HEAD_BYTES <= sizeof(message)) {
        memmove(message + question, message + DNS_HEAD_BYTES, size - DNS_HEAD_BYTES);
        memcpy(message + DNS_HEAD_BYTES, state->query + DNS_HEAD_BYTES, question - DNS_HEAD_BYTES);
        memcpy(message, state->query, 2);
        memcpy(message + 4, state->query + 4, 2);
        size += question - DNS_HEAD_BYTES;
    }
    ww_dns_answer(state->dns, state->exchange, message, size);
}

/* Flags (stream, good), the question behind its length, the answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ww_dns_callbacks callbacks = {
        .judge = on_judge, .send = on_send, .end = on_end};
    static struct ww_loop *loop;
    struct state state = {.dns = NULL};
    struct ww_dns_config config = {&callbacks, &state, NULL, WW_DNS_EMPTY};
    struct ww_target upstream = {WW_TARGET_IPV4, {8, 8, 8, 8}, "", 53};
    struct ww_dns_ask ask = {.fn = on_reply, .arg = &state};
    const uint8_t *reply = NULL;
    size_t reply_size = 0;

    if (size < 2 || (size_t)data[1] + 2 > size || (!loop && ww_loop_create(&loop)) ||
        ww_dns_create(loop, &config, &state.dns))
        return 0;
    if (ww_dns_add_upstream(state.dns, &upstream))
        abort();
    ask.is_stream = data[0] & 1;
    int rc = ww_dns_ask(state.dns, &ask, data + 2, data[1], &reply, &reply_size);
    if (rc == 0)
        check_reply(&ask, reply, reply_size);
    const uint8_t *rest = data + 2 + data[1];
    for (size_t count = 0; rc == WW_EAGAIN && state.exchange && count < 3; count++)
        answer(&state, rest, size - 2 - data[1], data[0] & 2);
    /* Once more, from the cache. */
    if (rc == WW_EAGAIN && !ask.waits_at) {
        rc = ww_dns_ask(state.dns, &ask, data + 2, data[1], &reply, &reply_size);
        if (rc == 0)
            check_reply(&ask, reply, reply_size);
    }
    ww_dns_cancel(&ask);
    ww_dns_destroy(state.dns);
    return 0;
}
