/* What a provider answers to OPEN: a contract that is not what it should be is REFUSED with the
 * reason of its own, and one that was used before stays used after a restart. The keys, the MAC,
 * the store and transfer are real; the other side is a list of frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "provider.h"

#define TURNS_MAX 2000 /* of 1 ms at most: an answer waits for the disk */

struct rig {
    struct provider provider; /* first: the owner of conn */
    struct conn conn;
    struct ww_loop *loop;
    struct ww_ops *ops;
    struct provider_secret secret;
    char folder[64];
    enum ww_frame_type answer; /* OPENED or REFUSED; 0: none yet */
    int code;
    struct ww_id answered;
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
    while (ww_wire_frame_decode(&cursor, &frame) == 0) {
        if (frame.type == WW_FRAME_REFUSED) {
            rig->answer = frame.type;
            rig->code = frame.refused.code;
            rig->answered = frame.refused.contract_id;
        } else if (frame.type == WW_FRAME_OPENED) {
            rig->answer = frame.type;
            rig->answered = frame.opened.contract_id;
        }
    }
    return 0;
}

static void on_timer(void *arg)
{
    (void)arg;
}

static void conn_start(struct rig *rig)
{
    static const struct ww_transfer_callbacks callbacks = {.send = on_send,
                                                           .contract_open = provider_contract_open,
                                                           .contract_ended =
                                                               provider_contract_ended};
    struct ww_transfer_config config = {.role = WW_TRANSFER_PROVIDER};
    struct conn *conn = &rig->conn;

    memset(conn, 0, sizeof(*conn));
    conn->loop = rig->loop;
    conn->owner = rig;
    conn->timer_due_us = UINT64_MAX;
    memset(conn->remote.bytes, 7, sizeof(conn->remote.bytes));
    assert_int_equal(ww_timer_create(rig->loop, on_timer, conn, &conn->timer), 0);
    assert_int_equal(ww_transfer_create(&config, &callbacks, conn, &conn->transfer), 0);
    HASH_ADD(hh, rig->provider.edge.conns, remote, sizeof(conn->remote), conn);
}

static void conn_stop(struct rig *rig)
{
    HASH_DELETE(hh, rig->provider.edge.conns, &rig->conn);
    ww_transfer_lost(rig->conn.transfer, WW_ECLOSED, 0);
    ww_transfer_destroy(rig->conn.transfer);
    ww_timer_destroy(rig->conn.timer);
}

static struct rig *rig_create(void)
{
    static char name[] = "ww", *arguments[] = {name, NULL};
    struct ww_ops_config config = {.argc = 1, .argv = arguments};
    struct rig *rig = calloc(1, sizeof(*rig));
    struct edge *edge = &rig->provider.edge;
    struct provider_secret *secret = &rig->secret;

    snprintf(rig->folder, sizeof(rig->folder), "/tmp/ww-open-test.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    assert_int_equal(ww_loop_create(&rig->loop), 0);
    assert_int_equal(ww_ops_create(rig->loop, &config, &rig->ops), 0);
    assert_int_equal(ww_key_generate(&edge->key), 0);
    ww_key_node_id(edge->key, &edge->node_id);
    edge->loop = rig->loop;
    edge->ops = rig->ops;
    assert_int_equal(edge_state_open(edge, rig->folder), 0);
    secret->key_id.bytes[0] = 5;
    assert_int_equal(ww_hmac_create("secret", 6, &secret->hmac), 0);
    HASH_ADD(hh, rig->provider.secrets, key_id, sizeof(secret->key_id), secret);
    conn_start(rig);
    return rig;
}

static void rig_destroy(struct rig *rig)
{
    char command[128];

    conn_stop(rig);
    edge_state_close(&rig->provider.edge);
    edge_forget_notes(&rig->provider.edge);
    HASH_DELETE(hh, rig->provider.secrets, &rig->secret);
    ww_hmac_destroy(rig->secret.hmac);
    ww_key_destroy(rig->provider.edge.key);
    ww_ops_destroy(rig->ops);
    ww_loop_destroy(rig->loop);
    snprintf(command, sizeof(command), "rm -rf %s", rig->folder);
    assert_int_equal(system(command), 0);
    free(rig);
}

/* As the arbiter would sign it, for these two and now. */
static struct ww_token good_terms(const struct rig *rig, uint8_t number)
{
    uint64_t now_s = ww_clock_wall_ms() / 1000;

    return (struct ww_token){.contract_id = {{number}},
                             .key_id = rig->secret.key_id,
                             .client = rig->conn.remote,
                             .provider = rig->provider.edge.node_id,
                             .bytes = 1 << 20,
                             .issued_s = now_s,
                             .open_by_s = now_s + WW_OPEN_BY_S,
                             .expires_s = now_s + WW_EXPIRES_S};
}

static size_t make_token(const struct rig *rig, const struct ww_token *terms,
                         uint8_t token[WW_TOKEN_BYTES_MAX])
{
    struct ww_token copy = *terms;
    struct ww_buf out;
    size_t size;

    ww_buf_init(&out, WW_TOKEN_BYTES_MAX);
    assert_int_equal(ww_wire_token_encode(&copy, &out), 0);
    size = out.size;
    memcpy(token, out.data, size);
    ww_buf_deinit(&out);
    ww_hmac_compute(rig->secret.hmac, token, size - WW_HMAC_SIZE, token + size - WW_HMAC_SIZE);
    return size;
}

/* The answer to an OPEN with these bytes: 0 for OPENED, else the code of REFUSED. */
static int open_bytes(struct rig *rig, const uint8_t *token, size_t size)
{
    struct ww_frame frame = {.type = WW_FRAME_OPEN};
    struct ww_buf out;

    rig->answer = 0;
    frame.open.token = token;
    frame.open.token_size = size;
    ww_buf_init(&out, 1024);
    assert_int_equal(ww_wire_frame_encode(&frame, &out), 0);
    ww_transfer_receive(rig->conn.transfer, WW_LANE_RELIABLE, out.data, out.size, 1000);
    ww_buf_deinit(&out);
    for (int turn = 0; turn < TURNS_MAX && !rig->answer; turn++)
        ww_loop_turn(rig->loop, 1000);
    assert_int_not_equal(rig->answer, 0);
    return rig->answer == WW_FRAME_REFUSED ? rig->code : 0;
}

static int open_terms(struct rig *rig, const struct ww_token *terms)
{
    uint8_t token[WW_TOKEN_BYTES_MAX];
    size_t size = make_token(rig, terms, token);
    int code = open_bytes(rig, token, size);

    assert_true(ww_id_equal(&rig->answered, &terms->contract_id));
    return code;
}

static void test_forged(void **state)
{
    struct rig *rig = rig_create();
    struct ww_token terms = good_terms(rig, 1);
    uint8_t token[WW_TOKEN_BYTES_MAX];
    size_t size = make_token(rig, &terms, token);
    struct ww_hmac *other = NULL;

    (void)state;
    /* Signed by somebody who does not know the secret … */
    assert_int_equal(ww_hmac_create("guess!", 6, &other), 0);
    ww_hmac_compute(other, token, size - WW_HMAC_SIZE, token + size - WW_HMAC_SIZE);
    ww_hmac_destroy(other);
    assert_int_equal(open_bytes(rig, token, size), WW_ETOKEN);
    /* … or under a secret that this provider does not have. */
    terms.key_id.bytes[0]++;
    assert_int_equal(open_terms(rig, &terms), WW_ETOKEN);
    rig_destroy(rig);
}

/* No byte of a signed contract can be changed, and none may be missing or added. */
static void test_altered(void **state)
{
    struct rig *rig = rig_create();
    struct ww_token terms = good_terms(rig, 1), richer = terms;
    uint8_t token[WW_TOKEN_BYTES_MAX], other[WW_TOKEN_BYTES_MAX];
    size_t size = make_token(rig, &terms, token);

    (void)state;
    for (size_t at = 0; at < size; at++) {
        int code;

        token[at] ^= 1;
        code = open_bytes(rig, token, size);
        if (code != WW_EMALFORMED && code != WW_EUNSUPPORTED)
            assert_int_equal(code, WW_ETOKEN);
        token[at] ^= 1;
    }
    richer.bytes *= 2;
    assert_int_equal(make_token(rig, &richer, other), size);
    memcpy(other + size - WW_HMAC_SIZE, token + size - WW_HMAC_SIZE, WW_HMAC_SIZE);
    assert_int_equal(open_bytes(rig, other, size), WW_ETOKEN);
    assert_int_equal(open_bytes(rig, token, size - 1), WW_EMALFORMED);
    assert_int_equal(open_bytes(rig, token, size), 0); /* it was good all the time */
    rig_destroy(rig);
}

static void test_foreign(void **state)
{
    struct rig *rig = rig_create();
    struct ww_token terms = good_terms(rig, 1);

    (void)state;
    terms.client.bytes[0]++;
    assert_int_equal(open_terms(rig, &terms), WW_EFOREIGN);
    terms = good_terms(rig, 1);
    terms.provider.bytes[0]++;
    assert_int_equal(open_terms(rig, &terms), WW_EFOREIGN);
    rig_destroy(rig);
}

static void test_expired(void **state)
{
    struct rig *rig = rig_create();
    struct ww_token terms = good_terms(rig, 1);
    uint64_t now_s = terms.issued_s;

    (void)state;
    terms.issued_s = now_s - WW_EXPIRES_S;
    terms.open_by_s = now_s - WW_OPEN_BY_S;
    assert_int_equal(open_terms(rig, &terms), WW_EEXPIRED);
    terms.open_by_s = terms.expires_s = now_s - 300;
    assert_int_equal(open_terms(rig, &terms), WW_EEXPIRED);
    /* Not yet valid: beyond what clocks may differ by. */
    terms = good_terms(rig, 1);
    terms.issued_s = now_s + 300;
    assert_int_equal(open_terms(rig, &terms), WW_ECLOCK);
    /* None of them was marked as used. */
    terms = good_terms(rig, 1);
    assert_int_equal(open_terms(rig, &terms), 0);
    rig_destroy(rig);
}

static void test_replayed(void **state)
{
    struct rig *rig = rig_create();
    struct ww_token terms = good_terms(rig, 1);

    (void)state;
    assert_int_equal(open_terms(rig, &terms), 0);
    assert_int_equal(open_terms(rig, &terms), WW_EREPLAYED);
    /* On another connection … */
    conn_stop(rig);
    conn_start(rig);
    assert_int_equal(open_terms(rig, &terms), WW_EREPLAYED);
    /* … and by a provider that has restarted. */
    edge_state_close(&rig->provider.edge);
    assert_int_equal(edge_state_open(&rig->provider.edge, rig->folder), 0);
    assert_int_equal(open_terms(rig, &terms), WW_EREPLAYED);
    rig_destroy(rig);
}

/* One current, one ready: a third waits for neither. */
static void test_third(void **state)
{
    struct rig *rig = rig_create();
    struct ww_token terms = good_terms(rig, 1);

    (void)state;
    assert_int_equal(open_terms(rig, &terms), 0);
    ww_transfer_contract_confirmed(rig->conn.transfer, &terms.contract_id);
    terms = good_terms(rig, 2);
    uint8_t token[WW_TOKEN_BYTES_MAX];
    size_t size = make_token(rig, &terms, token);
    struct ww_frame frame = {.type = WW_FRAME_OPEN};
    struct ww_buf out;

    /* The second is opened when the arbiter confirms it; it has its place before. */
    frame.open.token = token;
    frame.open.token_size = size;
    ww_buf_init(&out, 1024);
    assert_int_equal(ww_wire_frame_encode(&frame, &out), 0);
    ww_transfer_receive(rig->conn.transfer, WW_LANE_RELIABLE, out.data, out.size, 1000);
    ww_buf_deinit(&out);
    terms = good_terms(rig, 3);
    assert_int_equal(open_terms(rig, &terms), WW_ETOOMANY);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forged),   cmocka_unit_test(test_altered),
        cmocka_unit_test(test_foreign),  cmocka_unit_test(test_expired),
        cmocka_unit_test(test_replayed), cmocka_unit_test(test_third),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
