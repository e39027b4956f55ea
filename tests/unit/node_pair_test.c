/* A client's and a provider's edge in one process, joined over loopback with real keys: receipts
 * that are signed and verified on threads, declarations that are followed, forged, and prove
 * malice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "provider.h"

#define SIGNALS_MAX 64
#define BYTES       5000 /* on each stream */
static const struct ww_id ID = {{7}};

struct rig {
    struct client client;
    struct provider provider;
    char folders[2][64];
    struct ww_loop *loop;
    struct ww_key *key, *forger;
    struct ww_hash node_id;
    struct ww_net *net;
    struct conn *ends[2]; /* client, provider; NULL once closed */
    bool is_ready, is_opened;
    int closed_code[2];
    bool has_ended[2];
    struct ww_transfer_counts counts[2];
    bool has_proof;
    uint64_t received;
    uint64_t streams;
    size_t sent[64];
    struct {
        int to;
        char *text;
    } signals[SIGNALS_MAX];
    size_t signal_count;
};
static struct rig *rig; /* callbacks of a conn know their edge only */

static int side_of(const struct conn *conn)
{
    return conn->owner == &rig->client ? 0 : 1;
}

static void on_signal(struct conn *conn, const char *text)
{
    assert_true(rig->signal_count < SIGNALS_MAX);
    char *kept = ww_strdup(text);
    if (!kept)
        return;
    rig->signals[rig->signal_count].to = !side_of(conn);
    rig->signals[rig->signal_count++].text = kept;
}

static void on_ready(struct conn *conn)
{
    rig->is_ready |= side_of(conn) == 0;
}

static void on_closed(struct conn *conn, int code)
{
    int side = side_of(conn);

    rig->closed_code[side] = code;
    rig->ends[side] = NULL;
    if (side == 0)
        client_declare_stop(conn);
    else
        provider_declare_stop(conn);
    edge_drop(conn->owner, conn);
}

static void on_contract_open(void *arg, const uint8_t *token, size_t size, const uint8_t *epoch)
{
    struct conn *conn = arg;
    struct ww_token terms = {.contract_id = ID, .bytes = 64 << 20};
    uint8_t signature[WW_SIGNATURE_BYTES] = {0};

    (void)token;
    (void)size;
    (void)epoch;
    assert_int_equal(ww_transfer_contract_accept(conn->transfer, &terms, signature, 0), 0);
    ww_transfer_contract_confirmed(conn->transfer, &ID);
}

static void on_contract_opened(void *arg, const struct ww_id *id, const uint8_t *epoch,
                               const uint8_t *signature)
{
    (void)arg;
    (void)id;
    (void)epoch;
    (void)signature;
    rig->is_opened = true;
}

static void on_contract_ended(void *arg, const struct ww_id *id,
                              const struct ww_transfer_counts *counts, bool clean)
{
    int side = side_of(arg);

    (void)id;
    (void)clean;
    rig->has_ended[side] = true;
    rig->counts[side] = *counts;
    if (side == 1 && rig->provider.open)
        rig->has_proof = rig->provider.open->proof != NULL;
}

static void on_contract_wanted(void *arg, uint64_t bytes_left)
{
    (void)arg;
    (void)bytes_left;
}

static void on_stream_opened(void *arg, uint64_t id, const struct ww_dest *dest)
{
    struct conn *conn = arg;
    uint8_t digest[DECLARED_DIGEST];

    assert_int_equal(provider_owe(conn, dest, digest), 0);
    rig->streams++;
    struct ww_dest local = {.protocol = WW_DEST_TCP, .kind = WW_DEST_IPV4};
    ww_transfer_stream_accept(conn->transfer, id, &local);
}

static void on_stream_writable(void *arg, uint64_t id)
{
    static const uint8_t bytes[BYTES];
    struct conn *conn = arg;
    size_t written;

    assert_int_equal(ww_transfer_stream_write(conn->transfer, id, bytes, BYTES - rig->sent[id],
                                              false, ww_loop_now_us(conn->loop), &written),
                     0);
    rig->sent[id] += written;
}

static void on_stream_accepted(void *arg, uint64_t id, const struct ww_dest *local)
{
    (void)local;
    on_stream_writable(arg, id);
}

static void on_stream_data(void *arg, uint64_t id, const uint8_t *data, size_t size, bool fin)
{
    struct conn *conn = arg;

    (void)data;
    (void)fin;
    rig->received += size;
    ww_transfer_stream_consumed(conn->transfer, id, size);
}

static void on_reset(void *arg, uint64_t id, int code)
{
    (void)arg;
    (void)id;
    (void)code;
}

static const struct conn_callbacks CALLBACKS = {
    .signal = on_signal,
    .ready = on_ready,
    .closed = on_closed,
    .transfer = {.stream_opened = on_stream_opened,
                 .stream_accepted = on_stream_accepted,
                 .stream_data = on_stream_data,
                 .stream_writable = on_stream_writable,
                 .stream_reset = on_reset,
                 .contract_open = on_contract_open,
                 .contract_opened = on_contract_opened,
                 .contract_wanted = on_contract_wanted,
                 .contract_ended = on_contract_ended,
                 .declaration = provider_declaration,
                 .receipt_due = edge_receipt_due,
                 .receipt_came = edge_receipt_came},
};

static void turn(void)
{
    ww_loop_turn(rig->loop, 5000);
    for (size_t i = 0; i < rig->signal_count; i++) {
        struct conn *conn = rig->ends[rig->signals[i].to];

        if (conn)
            ww_peer_signal(conn->peer, rig->signals[i].text);
        ww_free(rig->signals[i].text);
    }
    rig->signal_count = 0;
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        uint64_t until_us = ww_clock_mono_us() + 20000000;                                         \
        while (!(condition)) {                                                                     \
            assert_true(ww_clock_mono_us() < until_us);                                            \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

static void start_edge(struct edge *edge, int side, enum ww_transfer_role role)
{
    edge->loop = rig->loop;
    edge->role = role;
    edge->key = rig->key;
    edge->node_id = rig->node_id;
    edge->net = rig->net;
    memset(edge->epoch, side + 1, WW_EPOCH_SIZE);
    snprintf(rig->folders[side], sizeof(rig->folders[side]), "/tmp/ww-pair-XXXXXX");
    assert_non_null(mkdtemp(rig->folders[side]));
    assert_int_equal(edge_state_open(edge, rig->folders[side]), 0);
    assert_int_equal(ww_pool_create(rig->loop, 2, 64, &edge->pool), 0);
}

static void start(void)
{
    struct ww_net_config config = {.loopback_only = true};
    struct ww_token terms = {.contract_id = ID, .bytes = 64 << 20};
    struct provider_open *open = ww_alloc(1, sizeof(*open));

    rig = calloc(1, sizeof(*rig));
    assert_int_equal(ww_loop_create(&rig->loop), 0);
    assert_int_equal(ww_key_generate(&rig->key), 0);
    assert_int_equal(ww_key_generate(&rig->forger), 0);
    ww_key_node_id(rig->key, &rig->node_id);
    config.key = rig->key;
    assert_int_equal(ww_net_create(rig->loop, &config, &rig->net), 0);
    start_edge(&rig->client.edge, 0, WW_TRANSFER_CLIENT);
    start_edge(&rig->provider.edge, 1, WW_TRANSFER_PROVIDER);
    assert_int_equal(ww_address_rules_create(false, &rig->provider.rules), 0);
    rig->provider.denied_flows = 2;
    open->id = ID;
    HASH_ADD(hh, rig->provider.open, id, sizeof(open->id), open);
    assert_int_equal(edge_connect(&rig->client.edge, &rig->node_id, &CALLBACKS, &rig->ends[0]), 0);
    assert_int_equal(edge_connect(&rig->provider.edge, &rig->node_id, &CALLBACKS, &rig->ends[1]),
                     0);
    WAIT_FOR(rig->is_ready);
    assert_int_equal(ww_transfer_contract_offer(rig->ends[0]->transfer, (const uint8_t *)"token", 5,
                                                &terms, ww_loop_now_us(rig->loop)),
                     0);
    conn_touch(rig->ends[0]);
    WAIT_FOR(rig->is_opened);
}

static void stop_edge(struct edge *edge, int side)
{
    char command[128];

    if (rig->ends[side])
        edge_drop(edge, rig->ends[side]);
    ww_pool_destroy(edge->pool);
    edge_state_close(edge);
    snprintf(command, sizeof(command), "rm -r %s", rig->folders[side]);
    assert_int_equal(system(command), 0);
}

static void stop(void)
{
    if (rig->ends[0])
        client_declare_stop(rig->ends[0]);
    if (rig->ends[1])
        provider_declare_stop(rig->ends[1]);
    stop_edge(&rig->client.edge, 0);
    stop_edge(&rig->provider.edge, 1);
    provider_forget(&rig->provider, rig->provider.open);
    ww_address_rules_destroy(rig->provider.rules);
    ww_net_destroy(rig->net);
    for (size_t i = 0; i < rig->signal_count; i++)
        ww_free(rig->signals[i].text);
    ww_loop_destroy(rig->loop);
    ww_key_destroy(rig->key);
    ww_key_destroy(rig->forger);
    free(rig);
}

static struct ww_dest dest_of(uint8_t first, uint8_t last)
{
    return (struct ww_dest){
        .protocol = WW_DEST_TCP, .kind = WW_DEST_IPV4, .address = {first, 0, 0, last}, .port = 443};
}

static void open_stream(uint8_t first, uint8_t last)
{
    struct conn *conn = rig->ends[0];
    struct ww_dest dest = dest_of(first, last);
    uint64_t id;

    assert_int_equal(ww_transfer_stream_open(conn->transfer, &dest, &id), 0);
    assert_int_equal(client_declare(conn, &dest), 0);
    conn_touch(conn);
}

static bool owes(uint8_t first, uint8_t last)
{
    struct ww_dest dest = dest_of(first, last);
    uint8_t digest[DECLARED_DIGEST];

    declared_digest(&dest, digest);
    provider_declare_age(rig->ends[1], WW_NODE_UNDECLARED_MOST_US);
    bool is_owed = provider_is_overdue(rig->ends[1], digest);
    provider_declare_age(rig->ends[1], -(uint64_t)WW_NODE_UNDECLARED_MOST_US);
    return is_owed;
}

static void test_receipts_and_declarations(void **state)
{
    struct ww_receipt says;

    (void)state;
    start();
    for (uint8_t i = 1; i <= 40; i++)
        open_stream(8, i); /* three batches */
    WAIT_FOR(rig->streams == 40 && rig->received == 40 * BYTES);
    WAIT_FOR(!owes(8, 1) && !owes(8, 40));
    assert_int_equal(rig->provider.denied_contracts, 0);
    ww_transfer_contract_end(rig->ends[0]->transfer, ww_loop_now_us(rig->loop));
    conn_touch(rig->ends[0]);
    WAIT_FOR(rig->has_ended[0] && rig->has_ended[1]);
    /* Each side has the other's last word, with a signature by the key of its certificate. */
    assert_int_equal(
        ww_wire_receipt_decode(rig->counts[1].receipt, rig->counts[1].receipt_size, &says, NULL),
        0);
    assert_int_equal(says.bytes_acknowledged, 40 * BYTES);
    assert_int_equal(rig->counts[1].bytes_up, 40 * BYTES);
    assert_int_equal(
        ww_wire_receipt_decode(rig->counts[0].receipt, rig->counts[0].receipt_size, &says, NULL),
        0);
    assert_int_equal(says.bytes_received, 40 * BYTES);
    stop();
}

/* A client that is asked for 10.0.0.1 although it should have refused. */
static void test_denied_destination(void **state)
{
    (void)state;
    start();
    open_stream(8, 8);
    WAIT_FOR(rig->streams == 1 && !owes(8, 8));
    open_stream(10, 1);
    WAIT_FOR(rig->streams == 2 && !owes(10, 1));
    for (int i = 0; i < 20; i++)
        turn();
    assert_int_equal(rig->closed_code[1], 0); /* the number that is taken is one more here */
    open_stream(10, 2);
    WAIT_FOR(rig->closed_code[1]);
    assert_int_equal(rig->closed_code[1], WW_EDESTINATION);
    assert_int_equal(rig->provider.denied_contracts, 1);
    assert_true(rig->has_proof);
    stop();
}

/* What this provider excepts is none. */
static void test_excepted_destination(void **state)
{
    struct ww_prefix prefix;

    (void)state;
    start();
    assert_int_equal(ww_prefix_parse("10.0.0.0/8", &prefix), 0);
    assert_int_equal(ww_address_rules_allow(rig->provider.rules, &prefix), 0);
    open_stream(10, 1);
    WAIT_FOR(rig->streams == 1 && !owes(10, 1));
    for (int i = 0; i < 20; i++)
        turn();
    assert_int_equal(rig->closed_code[1], 0);
    stop();
}

/* The signature is another key's: a sampled declaration, a proof, a receipt. */
static void test_forged(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        start();
        rig->client.edge.key = rig->forger;
        if (kind < 2) {
            open_stream(kind ? 10 : 8, 1);
        } else {
            struct ww_dest dest = dest_of(8, 1);
            uint64_t id;

            assert_int_equal(ww_transfer_stream_open(rig->ends[0]->transfer, &dest, &id), 0);
            conn_touch(rig->ends[0]);
        }
        WAIT_FOR(rig->closed_code[1]);
        assert_int_equal(rig->closed_code[1], WW_EAUTH);
        assert_int_equal(rig->provider.denied_contracts, 0);
        assert_int_equal(rig->counts[1].receipt_size, 0);
        rig->client.edge.key = rig->key;
        stop();
    }
}

/* Threads or memory are short: receipts come later, declarations too; nothing is lost. */
static void test_pool_is_full(void **state)
{
    struct ww_pool *pools[2];

    (void)state;
    start();
    for (int side = 0; side < 2; side++) {
        struct edge *edge = side ? &rig->provider.edge : &rig->client.edge;

        pools[side] = edge->pool;
        assert_int_equal(ww_pool_create(rig->loop, 1, 1, &edge->pool), 0);
    }
    for (uint8_t i = 1; i <= 40; i++)
        open_stream(8, i);
    WAIT_FOR(rig->received == 40 * BYTES && !owes(8, 40));
    ww_transfer_contract_end(rig->ends[0]->transfer, ww_loop_now_us(rig->loop));
    conn_touch(rig->ends[0]);
    WAIT_FOR(rig->has_ended[0] && rig->has_ended[1]);
    assert_int_not_equal(rig->counts[1].receipt_size, 0);
    ww_pool_destroy(pools[0]);
    ww_pool_destroy(pools[1]);
    stop();
}

/* Of two connections one has no contract just now: what is opened goes over the other, whose turn
 * ever it is. */
static void test_turns(void **state)
{
    struct ww_dest dest = dest_of(8, 1);
    struct ww_hash stranger = {{5}};
    struct conn *bare, *conn = NULL;
    uint64_t id;

    (void)state;
    start();
    assert_int_equal(edge_connect(&rig->client.edge, &stranger, &CALLBACKS, &bare), 0);
    bare->is_ready = true;
    for (int turn = 0; turn < 4; turn++) {
        assert_int_equal(client_open(&rig->client, &dest, &conn, &id), 0);
        assert_ptr_equal(conn, rig->ends[0]);
    }
    rig->ends[0]->is_ready = false;
    assert_int_equal(client_open(&rig->client, &dest, &conn, &id), WW_ENOCONTRACT);
    rig->ends[0]->is_ready = true;
    rig->client.active = NULL;
    edge_drop(&rig->client.edge, bare);
    stop();
}

/* Each allocation of the owners' functions fails in turn: refused, or tried again, and then it
 * works. */
static void test_no_memory(void **state)
{
    struct ww_receipt receipt = {.contract_id = ID, .sequence = 1};
    struct ww_dest dest = dest_of(8, 1);
    uint8_t digest[DECLARED_DIGEST];
    int rc = WW_ENOMEM;

    (void)state;
    start();
    for (uint64_t n = 1; rc != 0; n++) {
        assert_true(n < 10);
        ww_alloc_fail_after(n);
        rc = client_declare(rig->ends[0], &dest);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
    }
    rc = WW_ENOMEM;
    for (uint64_t n = 1; rc != 0; n++) {
        assert_true(n < 10);
        ww_alloc_fail_after(n);
        rc = provider_owe(rig->ends[1], &dest, digest);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
    }
    assert_true(owes(8, 1));
    WAIT_FOR(!owes(8, 1)); /* it was declared all the same */
    ww_alloc_fail_after(1);
    edge_receipt_due(rig->ends[0], &receipt);
    edge_receipt_came(rig->ends[0], &ID, (const uint8_t *)"x", 1);
    ww_alloc_fail_after(0);
    ww_transfer_contract_end(rig->ends[0]->transfer, ww_loop_now_us(rig->loop));
    conn_touch(rig->ends[0]);
    WAIT_FOR(rig->has_ended[0] && rig->has_ended[1]);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receipts_and_declarations),
        cmocka_unit_test(test_denied_destination),
        cmocka_unit_test(test_excepted_destination),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_pool_is_full),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
