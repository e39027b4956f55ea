/* What the edges decide by themselves: which destinations a client asks for, and when a provider
 * ends a contract whose client doesn't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "provider.h"

static int judge(struct client *client, const char *host, uint16_t port)
{
    struct ww_target target;

    assert_int_equal(ww_target_parse(host, strlen(host), port, &target), 0);
    return client_judge(client, &target, WW_DEST_TCP);
}

static void test_judge(void **state)
{
    struct client client = {0};

    (void)state;
    assert_int_equal(ww_address_rules_create(false, &client.rules), 0);
    assert_int_equal(judge(&client, "8.8.8.8", 443), 0);
    assert_int_equal(judge(&client, "2606:4700::1", 443), 0);
    assert_int_equal(judge(&client, "example.com", 443), 0); /* resolved and judged there */
    assert_int_equal(judge(&client, "8.8.8.8", 25), WW_EDESTINATION);
    assert_int_equal(judge(&client, "10.0.0.1", 443), WW_EDESTINATION);
    assert_int_equal(judge(&client, "::1", 443), WW_EDESTINATION);
    /* Denied whatever is embedded: a provider may take it for malice. */
    assert_int_equal(judge(&client, "::ffff:8.8.8.8", 443), WW_EDESTINATION);
    assert_int_equal(judge(&client, "::ffff:10.0.0.1", 443), WW_EDESTINATION);
    ww_address_rules_destroy(client.rules);
}

/* --- a provider's clock ----------------------------------------------------------------------- */

struct rig {
    struct provider provider; /* first: the owner of conn */
    struct conn conn;
    struct ww_loop *loop;
    bool was_ended; /* END was sent */
};

static int on_send(void *arg, enum ww_lane lane, const uint8_t *head, size_t head_size,
                   const uint8_t *payload, size_t payload_size)
{
    struct conn *conn = arg;
    struct rig *rig = conn->owner;
    struct ww_cursor cursor;
    struct ww_frame frame;

    (void)lane;
    (void)payload;
    assert_int_equal(payload_size, 0);
    ww_cursor_init(&cursor, head, head_size);
    while (ww_wire_frame_decode(&cursor, &frame) == 0)
        rig->was_ended |= frame.type == WW_FRAME_END;
    return 0;
}

static void on_open(void *arg, const uint8_t *token, size_t token_size,
                    const uint8_t epoch[WW_EPOCH_SIZE])
{
    (void)arg;
    (void)token;
    (void)token_size;
    (void)epoch;
}

static void open_contract(struct rig *rig, const struct ww_token *terms)
{
    struct ww_frame frame = {.type = WW_FRAME_OPEN};
    uint8_t signature[WW_SIGNATURE_BYTES] = {0};
    struct ww_buf out;

    frame.open.token = (const uint8_t *)"token";
    frame.open.token_size = 5;
    ww_buf_init(&out, 1024);
    assert_int_equal(ww_wire_frame_encode(&frame, &out), 0);
    ww_transfer_receive(rig->conn.transfer, WW_LANE_RELIABLE, out.data, out.size, 1000);
    ww_buf_deinit(&out);
    assert_int_equal(ww_transfer_contract_accept(rig->conn.transfer, terms, signature, 1000), 0);
}

static void on_ended(void *arg, const struct ww_id *id, const struct ww_transfer_counts *counts,
                     bool clean)
{
    (void)arg;
    (void)id;
    (void)counts;
    (void)clean;
}

static struct rig *rig_create(const struct provider_open *open)
{
    static const struct ww_transfer_callbacks callbacks = {
        .send = on_send, .contract_open = on_open, .contract_ended = on_ended};
    struct ww_transfer_config config = {.role = WW_TRANSFER_PROVIDER};
    struct ww_token terms = {.bytes = 1 << 20, .contract_id = open->id};
    struct provider_open *entry = ww_alloc(1, sizeof(*entry));
    struct rig *rig = calloc(1, sizeof(*rig));
    struct provider *provider = &rig->provider;
    struct conn *conn = &rig->conn;

    assert_int_equal(ww_loop_create(&rig->loop), 0);
    assert_int_equal(ww_timer_create(rig->loop, provider_check_times, provider, &provider->clock),
                     0);
    provider->edge.loop = rig->loop;
    conn->loop = rig->loop;
    conn->owner = rig;
    conn->timer_due_us = UINT64_MAX;
    assert_int_equal(ww_timer_create(rig->loop, provider_check_times, provider, &conn->timer), 0);
    assert_int_equal(ww_transfer_create(&config, &callbacks, conn, &conn->transfer), 0);
    HASH_ADD(hh, provider->edge.conns, remote, sizeof(conn->remote), conn);
    open_contract(rig, &terms);
    *entry = *open;
    HASH_ADD(hh, provider->open, id, sizeof(entry->id), entry);
    return rig;
}

static void rig_destroy(struct rig *rig)
{
    provider_forget(&rig->provider, rig->provider.open);
    provider_declare_stop(&rig->conn);
    HASH_DELETE(hh, rig->provider.edge.conns, &rig->conn);
    ww_transfer_destroy(rig->conn.transfer);
    ww_timer_destroy(rig->conn.timer);
    ww_timer_destroy(rig->provider.clock);
    verdicts_clear(&rig->provider.edge.verdicts);
    ww_loop_destroy(rig->loop);
    free(rig);
}

static void test_times(void **state)
{
    uint64_t now_s = ww_clock_wall_ms() / 1000;
    const struct {
        uint64_t expires_s, confirm_by_s;
        bool is_ended, is_lost;
    } cases[] = {
        {now_s + 1000, 0, false, false},
        {now_s + 1000, now_s + 100, false, false},
        {now_s, 0, true, false},
        {now_s + 1000, now_s, true, false}, /* the arbiter never confirmed it */
        {now_s - 100, 0, true, true},       /* and the client doesn't answer END */
    };

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(cases); i++) {
        struct provider_open open = {
            .id = {{1}}, .expires_s = cases[i].expires_s, .confirm_by_s = cases[i].confirm_by_s};
        struct rig *rig = rig_create(&open);

        provider_check_times(&rig->provider);
        assert_int_equal(rig->was_ended, cases[i].is_ended);
        assert_int_equal(rig->conn.closing_code, cases[i].is_lost ? WW_EEXPIRED : 0);
        assert_true(ww_timer_running(rig->provider.clock));
        rig_destroy(rig);
    }
}

/* Two minutes of difference are harmless either way; more has a clear code. */
static void test_clock_skew(void **state)
{
    const struct ww_token token = {.issued_s = 10000, .open_by_s = 10600, .expires_s = 96400};
    const struct {
        uint64_t now_s;
        int code;
    } cases[] = {{10000, 0}, {9880, 0}, {9879, WW_ECLOCK}, {10720, 0}, {10721, WW_EEXPIRED}};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(cases); i++)
        assert_int_equal(provider_check_token_times(&token, cases[i].now_s), cases[i].code);
}

static void test_connection_without_a_contract(void **state)
{
    struct provider_open open = {.id = {{1}}, .expires_s = UINT64_MAX};
    struct rig *rig = rig_create(&open);

    (void)state;
    rig->conn.bare_since_us = 1; /* since the machine started */
    provider_check_times(&rig->provider);
    assert_int_equal(rig->conn.bare_since_us, 0);
    ww_transfer_lost(rig->conn.transfer, WW_ECLOSED, 1000);
    provider_check_times(&rig->provider);
    assert_int_not_equal(rig->conn.bare_since_us, 0);
    assert_int_equal(rig->conn.closing_code, 0);
    rig->conn.bare_since_us = 1;
    provider_check_times(&rig->provider);
    assert_int_equal(rig->conn.closing_code,
                     ww_clock_mono_us() > WW_OPEN_BY_S * 1000000ULL ? WW_ENOCONTRACT : 0);
    rig_destroy(rig);
}

static struct ww_dest dest_of(uint8_t number)
{
    return (struct ww_dest){
        .protocol = WW_DEST_TCP, .kind = WW_DEST_IPV4, .address = {8, 8, 8, number}, .port = 25};
}

/* A flow is served before its declaration, but not for long, and not after one that never came. */
static void test_undeclared(void **state)
{
    struct provider_open open = {.id = {{1}}, .expires_s = UINT64_MAX};
    struct rig *rig = rig_create(&open);
    uint8_t first[DECLARED_DIGEST], digest[DECLARED_DIGEST];
    struct ww_declaration declaration = {.dest_count = 1};
    uint8_t bytes[WW_SIGNATURE_BYTES + 1] = {0};
    struct ww_dest dest = dest_of(1);

    (void)state;
    assert_int_equal(provider_owe(&rig->conn, &dest, first), 0);
    assert_int_equal(provider_owe(&rig->conn, &dest, digest), 0);
    assert_memory_equal(first, digest, DECLARED_DIGEST);
    assert_false(provider_is_overdue(&rig->conn, first));
    dest = dest_of(2);
    assert_int_equal(provider_owe(&rig->conn, &dest, digest), 0);
    /* It may be under way as long as nothing comes that was sent behind it, but not for ever. */
    provider_declare_age(&rig->conn, WW_NODE_UNDECLARED_MOST_US - 1000000);
    assert_false(provider_is_overdue(&rig->conn, first));
    provider_declare_age(&rig->conn, 1000000);
    assert_true(provider_is_overdue(&rig->conn, first));
    provider_declare_age(&rig->conn,
                         -(uint64_t)(WW_NODE_UNDECLARED_MOST_US - WW_NODE_UNDECLARED_US));
    assert_false(provider_is_overdue(&rig->conn, first));
    rig->conn.heard_us = ww_loop_now_us(rig->conn.loop);
    assert_true(provider_is_overdue(&rig->conn, first));
    dest = dest_of(3);
    assert_int_equal(provider_owe(&rig->conn, &dest, digest), WW_EUNDECLARED);
    /* It is paid by declaring; one destination covers all flows there. */
    for (uint8_t number = 1; number <= 2; number++) {
        declaration.dests[0] = dest_of(number);
        provider_declaration(&rig->conn, &declaration, bytes, sizeof(bytes));
    }
    assert_false(provider_is_overdue(&rig->conn, first));
    assert_int_equal(provider_owe(&rig->conn, &dest, digest), 0);
    provider_declare_age(&rig->conn, WW_NODE_UNDECLARED_US);
    dest = dest_of(1);
    assert_int_equal(provider_owe(&rig->conn, &dest, digest), 0);
    rig_destroy(rig);
}

/* The excuse of a silent lane is not renewed by coming back. */
static void test_undeclared_again(void **state)
{
    struct provider_open open = {.id = {{1}}, .expires_s = UINT64_MAX};
    struct rig *rig = rig_create(&open);
    uint8_t digest[DECLARED_DIGEST];
    struct ww_dest dest = dest_of(1);

    (void)state;
    assert_int_equal(provider_owe(&rig->conn, &dest, digest), 0);
    provider_declare_age(&rig->conn, WW_NODE_UNDECLARED_MOST_US - 10000000);
    provider_declare_stop(&rig->conn);
    assert_int_equal(provider_owe(&rig->conn, &dest, digest), 0);
    provider_declare_age(&rig->conn, 5000000);
    assert_false(provider_is_overdue(&rig->conn, digest));
    provider_declare_age(&rig->conn, 5000000);
    assert_true(provider_is_overdue(&rig->conn, digest));
    provider_declare_stop(&rig->conn);
    /* All of it is used up: a moment is left, for the declarations of one that is honest. */
    assert_int_equal(provider_owe(&rig->conn, &dest, digest), 0);
    assert_false(provider_is_overdue(&rig->conn, digest));
    provider_declare_age(&rig->conn, WW_NODE_UNDECLARED_LEAST_US);
    assert_true(provider_is_overdue(&rig->conn, digest));
    provider_declare_stop(&rig->conn);
    /* Others are not concerned, and however many they are, only so many are remembered. */
    for (uint16_t number = 1; number <= WW_NODE_DEBTORS_MAX; number++) {
        rig->conn.remote = (struct ww_hash){{(uint8_t)number, (uint8_t)(number >> 8), 1}};
        assert_int_equal(provider_owe(&rig->conn, &dest, digest), 0);
        provider_declare_age(&rig->conn, WW_NODE_UNDECLARED_MOST_US - 1000000);
        assert_false(provider_is_overdue(&rig->conn, digest));
        provider_declare_stop(&rig->conn);
    }
    rig_destroy(rig);
}

static void test_too_much_undeclared(void **state)
{
    struct provider_open open = {.id = {{1}}, .expires_s = UINT64_MAX};
    struct rig *rig = rig_create(&open);
    uint8_t digest[DECLARED_DIGEST];
    struct ww_dest dest = dest_of(1);

    (void)state;
    for (uint16_t port = 1; port <= WW_STREAMS_MAX; port++) {
        dest.port = port;
        assert_int_equal(provider_owe(&rig->conn, &dest, digest), 0);
    }
    dest.port++;
    assert_int_equal(provider_owe(&rig->conn, &dest, digest), WW_EUNDECLARED);
    rig_destroy(rig);
}

static void test_declared_set(void **state)
{
    struct declared *set = calloc(1, sizeof(*set));
    uint8_t first[DECLARED_DIGEST], digest[DECLARED_DIGEST];
    struct ww_dest dest = dest_of(1);

    (void)state;
    declared_digest(&dest, first);
    for (uint32_t number = 0; number < 3 * WW_DECLARED_MAX; number++) {
        dest.port = (uint16_t)(25 + number);
        declared_digest(&dest, digest);
        assert_false(declared_has(set, digest));
        declared_add(set, digest);
        declared_add(set, digest);
        assert_true(declared_has(set, digest));
        assert_int_equal(set->count, number + 1);
        assert_true(declared_has(set, first) == (number < WW_DECLARED_MAX));
    }
    /* Protocol and kind tell destinations apart. */
    dest.protocol = WW_DEST_UDP;
    declared_digest(&dest, digest);
    assert_false(declared_has(set, digest));
    free(set);
}

static void test_opening_is_limited(void **state)
{
    struct provider_open open = {.id = {{1}}, .expires_s = UINT64_MAX};
    struct ww_dest dest = {.protocol = WW_DEST_TCP,
                           .kind = WW_DEST_IPV4,
                           .address = {8, 8, 8, 8},
                           .port = 25}; /* never served, so nothing is connected */
    struct rig *rig = rig_create(&open);

    (void)state;
    for (uint64_t id = 0; id < 2 * WW_NODE_OPENS_BURST; id++)
        provider_stream_opened(&rig->conn, id, &dest);
    assert_int_equal(rig->provider.refused_count, 2 * WW_NODE_OPENS_BURST);
    /* A little more comes while the test runs. */
    assert_in_range(rig->provider.denied_count, WW_NODE_OPENS_BURST, WW_NODE_OPENS_BURST * 3 / 2);
    rig_destroy(rig);
}

/* A text about a change of path of a connection that isn't here is answered, and makes none. */
static void test_unknown_path_is_answered(void **state)
{
    static const char ATTEMPT[] = "a=ice-ufrag:wxyz\na=ice-pwd:abcdefghijklmnopqrstuv\n"
                                  "a=x-ww-path:abcd 3\na=end-of-candidates\n";
    struct provider_open open = {.id = {{1}}, .expires_s = UINT64_MAX};
    struct rig *rig = rig_create(&open);
    struct edge *edge = &rig->provider.edge;
    struct ww_hash peer = {{7}};

    (void)state;
    assert_false(edge_answer_gone(edge, &peer, &open.id,
                                  "a=ice-ufrag:wxyz\na=ice-pwd:abcdefghijklmnopqrstuv\n"));
    assert_false(edge_answer_gone(edge, &peer, &open.id, "no signal"));
    assert_null(LIST_FIRST(&edge->pending_notes));
    assert_true(edge_answer_gone(edge, &peer, &open.id, ATTEMPT));
    struct edge_note *note = LIST_FIRST(&edge->pending_notes);
    assert_non_null(note);
    assert_int_equal(note->event, EDGE_SIGNAL);
    assert_true(ww_hash_equal(&note->peer, &peer));
    assert_true(note->has_contract && ww_id_equal(&note->contract, &open.id));
    assert_string_equal(note->text, "a=x-ww-path-gone:abcd\n");
    edge_forget_notes(edge);
    ww_loop_turn(rig->loop, 1000); /* the mailbox is emptied */
    for (uint64_t n = 1; n < 5; n++) {
        ww_alloc_fail_after(n);
        edge_answer_gone(edge, &peer, &open.id, ATTEMPT);
        ww_alloc_fail_after(0);
        edge_forget_notes(edge);
        ww_loop_turn(rig->loop, 1000);
    }
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_clock_skew),
        cmocka_unit_test(test_connection_without_a_contract),
        cmocka_unit_test(test_opening_is_limited),
        cmocka_unit_test(test_unknown_path_is_answered),
        cmocka_unit_test(test_undeclared),
        cmocka_unit_test(test_undeclared_again),
        cmocka_unit_test(test_too_much_undeclared),
        cmocka_unit_test(test_declared_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
