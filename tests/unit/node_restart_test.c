/* What a node that died closes its contracts at: the record of an open contract, its place in the
 * same batch as the used id and as the close, and a start over it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge.h"

static const struct ww_id ID = {{7}};
static const struct ww_hash PEER = {{9}};

struct rig {
    struct edge edge;
    char folder[64];
    struct ww_loop *loop;
    int rc;
};

/* What Lua would have been told. */
static struct {
    unsigned count;
    struct edge_note last;
    char receipt[64];
} told;

void __wrap_edge_emit(const struct edge_note *note);
void __wrap_edge_emit(const struct edge_note *note)
{
    told.count++;
    told.last = *note;
    snprintf(told.receipt, sizeof(told.receipt), "%s", note->receipt ? note->receipt : "");
}

static void turn_until_told(struct rig *rig, unsigned count)
{
    for (unsigned turns = 0; told.count < count && turns < 5000; turns++) {
        /* What is tried again is tried at once. */
        if (!STAILQ_EMPTY(&rig->edge.closes_unstored))
            ww_timer_start(rig->edge.close_timer, 0);
        ww_loop_turn(rig->loop, 1000);
    }
    assert_int_equal(told.count, count);
}

static void open_state(struct rig *rig)
{
    rig->edge.loop = rig->loop;
    assert_int_equal(ww_key_generate(&rig->edge.key), 0);
    ww_random_bytes(rig->edge.epoch, sizeof(rig->edge.epoch));
    assert_int_equal(edge_state_open(&rig->edge, rig->folder), 0);
}

static void close_state(struct rig *rig)
{
    edge_state_close(&rig->edge);
    edge_forget_notes(&rig->edge);
    ww_key_destroy(rig->edge.key);
    memset(&rig->edge, 0, sizeof(rig->edge));
}

static void create(struct rig *rig, enum ww_transfer_role role)
{
    memset(rig, 0, sizeof(*rig));
    memset(&told, 0, sizeof(told));
    snprintf(rig->folder, sizeof(rig->folder), "/tmp/ww-open-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    assert_int_equal(ww_loop_create(&rig->loop), 0);
    rig->edge.role = role;
    open_state(rig);
}

static void restart(struct rig *rig)
{
    enum ww_transfer_role role = rig->edge.role;

    close_state(rig);
    rig->edge.role = role;
    open_state(rig);
}

static void destroy(struct rig *rig)
{
    char command[128];

    close_state(rig);
    ww_loop_destroy(rig->loop);
    snprintf(command, sizeof(command), "rm -r %s", rig->folder);
    assert_int_equal(system(command), 0);
}

static void on_durable(void *arg, int rc)
{
    ((struct rig *)arg)->rc = rc;
}

static size_t size_of(struct rig *rig, char kind)
{
    uint8_t key[EDGE_KEY_SIZE];
    uint8_t *value = NULL;
    size_t size = 0;

    edge_state_key(kind, &ID, key);
    if (ww_store_get(rig->edge.store, key, sizeof(key), &value, &size))
        return 0;
    ww_free(value);
    return size;
}

static struct ww_close stored_close(struct rig *rig)
{
    uint8_t key[EDGE_KEY_SIZE];
    uint8_t *value = NULL;
    struct ww_close record;
    size_t size = 0, head = sizeof(struct ww_hash) + 1;

    edge_state_key('C', &ID, key);
    assert_int_equal(ww_store_get(rig->edge.store, key, sizeof(key), &value, &size), 0);
    assert_memory_equal(value, &PEER, sizeof(PEER));
    assert_int_equal(ww_wire_close_decode(value + head, size - head, &record, NULL), 0);
    assert_true(ww_hash_equal(&record.party, &rig->edge.node_id));
    assert_memory_equal(record.epoch, rig->edge.epoch, WW_EPOCH_SIZE);
    ww_free(value);
    return record;
}

/* As the node writes it when a receipt was verified: written by hand, to pin the layout. */
static void put_record(struct rig *rig, uint64_t up, uint64_t down,
                       const struct ww_receipt *receipt)
{
    struct ww_store_batch *batch = NULL;
    uint8_t key[EDGE_KEY_SIZE];
    struct ww_buf out;

    ww_buf_init(&out, 1024);
    ww_buf_put(&out, PEER.bytes, sizeof(PEER.bytes));
    ww_buf_put_u8(&out, 1);
    ww_buf_put_u64(&out, up);
    ww_buf_put_u64(&out, down);
    ww_buf_put_u64(&out, 1000);
    ww_buf_put_u64(&out, 999); /* a clock that was set back */
    if (receipt)
        assert_int_equal(ww_wire_receipt_encode(receipt, &out), 0);
    edge_state_key('O', &ID, key);
    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_put(batch, key, sizeof(key), out.data, out.size);
    assert_int_equal(ww_store_write(rig->edge.store, batch, true), 0);
    ww_store_batch_destroy(batch);
    ww_buf_deinit(&out);
}

static void test_provider_closes_at_its_receipt(void **state)
{
    struct ww_receipt receipt = {.contract_id = ID,
                                 .sequence = 3,
                                 .next_index = 40,
                                 .bytes_received = 5000,
                                 .bytes_acknowledged = 300};
    struct ww_close record;
    struct rig rig;

    (void)state;
    create(&rig, WW_TRANSFER_PROVIDER);
    put_record(&rig, 400, 9000, &receipt);
    restart(&rig);
    assert_int_equal(edge_open_close_all(&rig.edge), 0);
    restart(&rig); /* waits until it is durable */
    assert_int_equal(size_of(&rig, 'O'), 0);
    assert_int_not_equal(size_of(&rig, 'C'), 0);
    assert_int_equal(edge_open_close_all(&rig.edge), 0); /* once is enough */
    assert_int_equal(rig.edge.history_count, 0);
    assert_int_equal(edge_state_repeat(&rig.edge), 0);
    assert_int_equal(rig.edge.history_count, 1);
    assert_int_equal(rig.edge.history[0].bytes_up, 300);
    assert_int_equal(rig.edge.history[0].bytes_down, 5000);
    assert_int_equal(rig.edge.history[0].proven_down, 5000);
    assert_true(edge_state_has_ended(&rig.edge, &ID));
    memcpy(rig.edge.epoch, "another boot now", WW_EPOCH_SIZE);
    destroy(&rig);

    /* Nothing signed: nothing claimed. */
    create(&rig, WW_TRANSFER_PROVIDER);
    put_record(&rig, 400, 9000, NULL);
    assert_int_equal(edge_open_close_all(&rig.edge), 0);
    ww_committer_destroy(rig.edge.committer);
    rig.edge.committer = NULL;
    record = stored_close(&rig);
    assert_int_equal(record.bytes_up + record.bytes_down, 0);
    assert_int_equal(record.reason, WW_CLOSE_LOST);
    destroy(&rig);
}

static void test_client_closes_at_its_counts(void **state)
{
    struct ww_close record;
    struct rig rig;

    (void)state;
    create(&rig, WW_TRANSFER_CLIENT);
    put_record(&rig, 400, 9000, NULL);
    assert_int_equal(edge_open_close_all(&rig.edge), 0);
    ww_committer_destroy(rig.edge.committer);
    rig.edge.committer = NULL;
    record = stored_close(&rig);
    assert_int_equal(record.bytes_up, 400);
    assert_int_equal(record.bytes_down, 9000);
    assert_int_equal(record.first_ms, 1000);
    assert_int_equal(record.last_ms, 1000);
    destroy(&rig);
}

/* Offered, and never opened as far as the client knows. */
static void test_offered(void **state)
{
    struct rig rig;

    (void)state;
    create(&rig, WW_TRANSFER_CLIENT);
    assert_int_equal(edge_open_add(&rig.edge, &PEER, &ID, NULL), 0);
    restart(&rig);
    assert_int_equal(edge_open_close_all(&rig.edge), 0);
    ww_committer_destroy(rig.edge.committer);
    rig.edge.committer = NULL;
    assert_int_equal(stored_close(&rig).reason, WW_CLOSE_NEVER_OPENED);
    destroy(&rig);

    create(&rig, WW_TRANSFER_CLIENT);
    assert_int_equal(edge_open_add(&rig.edge, &PEER, &ID, NULL), 0);
    edge_open_opened(&rig.edge, &ID);
    restart(&rig);
    assert_int_equal(edge_open_close_all(&rig.edge), 0);
    ww_committer_destroy(rig.edge.committer);
    rig.edge.committer = NULL;
    assert_int_equal(stored_close(&rig).reason, WW_CLOSE_LOST);
    destroy(&rig);
}

/* One batch makes the id used and the contract open, one replaces the record by the close. */
static void test_use_and_end(void **state)
{
    struct ww_transfer_counts counts = {.bytes_up = 1, .bytes_down = 2};
    struct rig rig;

    (void)state;
    create(&rig, WW_TRANSFER_PROVIDER);
    rig.rc = 1;
    assert_int_equal(edge_state_use(&rig.edge, &ID, &PEER, UINT64_MAX / 2, on_durable, &rig), 0);
    restart(&rig);
    assert_int_equal(rig.rc, 0);
    assert_int_not_equal(size_of(&rig, 'U'), 0);
    assert_int_not_equal(size_of(&rig, 'O'), 0);
    edge_state_end(&rig.edge, &PEER, &ID, &counts, WW_CLOSE_DONE, true);
    restart(&rig);
    assert_int_equal(size_of(&rig, 'O'), 0);
    assert_int_not_equal(size_of(&rig, 'C'), 0);
    destroy(&rig);
}

/* A receipt that contradicts the close's goes with it, over a restart, until the arbiter has both.
 */
static void test_two_receipts(void **state)
{
    struct ww_receipt receipt = {.contract_id = ID, .sequence = 1, .bytes_received = 2};
    struct ww_transfer_counts counts = {.bytes_down = 2, .second_size = 3, .second = {1, 2, 3}};
    struct ww_buf out = {.data = counts.receipt,
                         .capacity = sizeof(counts.receipt),
                         .limit = sizeof(counts.receipt)};
    struct rig rig;

    (void)state;
    assert_int_equal(ww_wire_receipt_encode(&receipt, &out), 0);
    counts.receipt_size = out.size;
    create(&rig, WW_TRANSFER_PROVIDER);
    edge_state_end(&rig.edge, &PEER, &ID, &counts, WW_CLOSE_LOST, false);
    restart(&rig);
    assert_int_equal(edge_state_repeat(&rig.edge), 0);
    turn_until_told(&rig, 1);
    assert_int_equal(told.last.event, EDGE_CLOSE);
    assert_string_equal(told.receipt, "AQID");
    assert_false(told.last.clean);
    assert_int_equal(told.last.bytes_down, 2);
    assert_int_equal(rig.edge.history_count, 1);
    assert_int_equal(rig.edge.history[0].proven_down, 2);
    destroy(&rig);
}

static void test_corrupt(void **state)
{
    struct ww_store_batch *batch = NULL;
    uint8_t key[EDGE_KEY_SIZE];
    struct rig rig;

    (void)state;
    create(&rig, WW_TRANSFER_PROVIDER);
    edge_state_key('O', &ID, key);
    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_put(batch, key, sizeof(key), "short", 5);
    assert_int_equal(ww_store_write(rig.edge.store, batch, true), 0);
    ww_store_batch_destroy(batch);
    assert_int_equal(edge_open_close_all(&rig.edge), WW_ECORRUPT);
    destroy(&rig);
}

/* Whatever allocation fails, the record or the close is there: never neither. */
static void test_no_memory(void **state)
{
    bool is_stored = false;

    (void)state;
    for (uint64_t n = 1; !is_stored; n++) {
        struct rig rig;

        assert_true(n < 200);
        create(&rig, WW_TRANSFER_PROVIDER);
        put_record(&rig, 1, 2, NULL);
        ww_alloc_fail_after(n);
        int rc = edge_open_close_all(&rig.edge);
        ww_alloc_fail_after(0);
        is_stored = rc == 0 && STAILQ_EMPTY(&rig.edge.closes_unstored);
        restart(&rig);
        assert_true((size_of(&rig, 'O') != 0) != (size_of(&rig, 'C') != 0));
        destroy(&rig);
    }
}

/* Whatever allocation fails when a contract ends, its close is stored and told, once, by the
 * process that goes on. */
static void test_no_close_is_lost(void **state)
{
    struct ww_transfer_counts counts = {.bytes_up = 4, .bytes_down = 5};
    unsigned tried_again = 0;
    bool has_failed = true;

    (void)state;
    for (uint64_t n = 1; has_failed; n++) {
        struct rig rig;

        assert_true(n < 200);
        create(&rig, WW_TRANSFER_PROVIDER);
        assert_int_equal(edge_state_use(&rig.edge, &ID, &PEER, UINT64_MAX / 2, on_durable, &rig),
                         0);
        ww_alloc_fail_after(n);
        edge_state_end(&rig.edge, &PEER, &ID, &counts, WW_CLOSE_DONE, true);
        ww_alloc_fail_after(0);
        has_failed = !STAILQ_EMPTY(&rig.edge.closes_unstored);
        tried_again += has_failed;
        turn_until_told(&rig, 1);
        assert_int_equal(told.last.event, EDGE_CLOSE);
        assert_int_equal(told.last.bytes_down, 5);
        assert_int_equal(rig.edge.history_count, 1);
        assert_int_equal(size_of(&rig, 'O'), 0);
        assert_int_not_equal(size_of(&rig, 'C'), 0);
        ww_loop_turn(rig.loop, 1000);
        assert_int_equal(told.count, 1);
        destroy(&rig);
    }
    assert_true(tried_again >= 3);
}

/* Nor for a disk that is so slow that no more may wait for it. */
static void test_no_close_is_lost_to_a_slow_disk(void **state)
{
    struct ww_transfer_counts counts = {.bytes_up = 4, .bytes_down = 5};
    struct ww_store_batch *batch = NULL;
    struct rig rig;

    (void)state;
    create(&rig, WW_TRANSFER_PROVIDER);
    assert_int_equal(edge_state_use(&rig.edge, &ID, &PEER, UINT64_MAX / 2, on_durable, &rig), 0);
    while (ww_committer_pending(rig.edge.committer) < WW_COMMITTER_QUEUE_MAX) {
        assert_int_equal(ww_store_batch_create(&batch), 0);
        assert_int_equal(ww_committer_submit(rig.edge.committer, batch, NULL, NULL), 0);
    }
    edge_state_end(&rig.edge, &PEER, &ID, &counts, WW_CLOSE_DONE, true);
    assert_false(STAILQ_EMPTY(&rig.edge.closes_unstored));
    turn_until_told(&rig, 1);
    assert_int_equal(told.last.bytes_up, 4);
    assert_int_equal(size_of(&rig, 'O'), 0);
    assert_int_not_equal(size_of(&rig, 'C'), 0);
    destroy(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_provider_closes_at_its_receipt),
        cmocka_unit_test(test_client_closes_at_its_counts),
        cmocka_unit_test(test_offered),
        cmocka_unit_test(test_use_and_end),
        cmocka_unit_test(test_two_receipts),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_close_is_lost),
        cmocka_unit_test(test_no_close_is_lost_to_a_slow_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
