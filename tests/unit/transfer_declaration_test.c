/* Declarations on their way, what a peer may try with them, and the share of loss that ends a
 * contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer_sim.h"

#define SECOND 1000000ULL

static struct sim *start(void)
{
    struct sim *sim = sim_create(1);
    uint64_t id;

    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, true, 0, false, &id), 0);
    sim_run(sim, SECOND);
    return sim;
}

static struct ww_id contract_of(const struct sim *sim)
{
    struct ww_transfer_contract_info info;

    assert_int_equal(ww_transfer_contracts(sim->ends[0].transfer, &info, 1), 1);
    return info.id;
}

static struct ww_declaration declaration_of(const struct ww_id *id, uint64_t batch)
{
    struct ww_declaration declaration;

    memset(&declaration, 0, sizeof(declaration));
    declaration.contract_id = *id;
    memcpy(declaration.epoch, "clientclientclie", WW_EPOCH_SIZE);
    declaration.batch = batch;
    declaration.list_version = 1;
    declaration.dest_count = WW_DECLARATION_DESTS_MAX;
    for (size_t i = 0; i < WW_DECLARATION_DESTS_MAX; i++) {
        struct ww_dest *dest = &declaration.dests[i];

        dest->protocol = WW_DEST_TCP;
        dest->kind = WW_DEST_NAME;
        memset(dest->name, 'a', WW_NAME_BYTES_MAX);
    }
    return declaration;
}

static void encode(const struct ww_declaration *declaration, struct ww_buf *out)
{
    ww_buf_init(out, WW_DECLARATION_BYTES_MAX);
    assert_int_equal(ww_wire_declaration_encode(declaration, out), 0);
}

static int declare(struct sim *sim, uint64_t batch)
{
    struct ww_id id = contract_of(sim);
    struct ww_declaration declaration = declaration_of(&id, batch);
    struct ww_buf out;

    encode(&declaration, &out);
    int rc = ww_transfer_declare(sim->ends[0].transfer, out.data, out.size, sim->now_us);
    ww_buf_deinit(&out);
    return rc;
}

static void test_carried(void **state)
{
    struct sim *sim = start();

    (void)state;
    assert_int_equal(declare(sim, 1), 0);
    assert_int_equal(declare(sim, 2), 0);
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[1].declarations, 2);
    /* One waits for a full lane, not more. */
    sim->lane_bytes = 0;
    assert_int_equal(declare(sim, 3), 0);
    assert_true(ww_transfer_declaration_is_waiting(sim->ends[0].transfer));
    assert_int_equal(declare(sim, 4), WW_EAGAIN);
    sim->lane_bytes = 262144;
    ww_transfer_writable(sim->ends[0].transfer, sim->now_us);
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[1].last_batch, 3);
    assert_int_equal(
        ww_transfer_declare(sim->ends[1].transfer, (const uint8_t *)"x", 1, sim->now_us),
        WW_ESTATE);
    sim_finish(sim);
    sim_destroy(sim);
}

struct attempt {
    uint64_t batch;
    bool is_foreign, is_other_epoch;
    enum sim_side from;
    int code;
};

static void test_hostile(void **state)
{
    static const struct attempt attempts[] = {
        {2, false, false, SIM_CLIENT, 0},
        {1, false, false, SIM_CLIENT, WW_EPROTOCOL}, /* replayed */
        {2, true, false, SIM_CLIENT, WW_EPROTOCOL},
        {2, false, true, SIM_CLIENT, WW_EPROTOCOL},
        {2, false, false, SIM_PROVIDER, WW_EPROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(attempts); i++) {
        struct sim *sim = start();
        struct ww_id id = contract_of(sim);
        struct ww_declaration declaration;
        struct ww_frame frame = {.type = WW_FRAME_DECLARATION};
        struct ww_buf out;

        assert_int_equal(declare(sim, 1), 0);
        sim_run(sim, SECOND);
        id.bytes[15] ^= attempts[i].is_foreign;
        declaration = declaration_of(&id, attempts[i].batch);
        declaration.epoch[0] ^= attempts[i].is_other_epoch;
        encode(&declaration, &out);
        frame.proof.bytes = out.data;
        frame.proof.size = out.size;
        sim_inject(sim, attempts[i].from, WW_LANE_RELIABLE, &frame);
        assert_int_equal(sim->ends[!attempts[i].from].failed_code, attempts[i].code);
        sim_destroy(sim);
        ww_buf_deinit(&out);
    }
}

static void test_junk(void **state)
{
    struct sim *sim = start();
    struct ww_frame frame = {.type = WW_FRAME_DECLARATION};

    (void)state;
    frame.proof.bytes = (const uint8_t *)"\1junk";
    frame.proof.size = 5;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, WW_EMALFORMED);
    sim_destroy(sim);
}

/* It was on its way when its contract ended. */
static void test_of_the_last_contract(void **state)
{
    struct sim *sim = start();
    struct ww_id id = contract_of(sim);
    struct ww_declaration declaration = declaration_of(&id, 1);
    struct ww_frame frame = {.type = WW_FRAME_DECLARATION};
    struct ww_buf out;

    (void)state;
    sim_finish(sim);
    encode(&declaration, &out);
    frame.proof.bytes = out.data;
    frame.proof.size = out.size;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, 0);
    assert_int_equal(sim->ends[1].declarations, 1);
    sim_destroy(sim);
    ww_buf_deinit(&out);
}

static bool is_ended_lossy(uint32_t loss_ppm)
{
    struct sim *sim = sim_create(3);
    bool is_lossy;
    uint64_t id;

    sim->loss_ppm = 0;
    sim->is_renewing = false;
    sim->contract_bytes = 256 << 20;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, true, 0, false, &id), 0);
    sim_run(sim, SECOND);
    sim->loss_ppm = loss_ppm;
    for (int round = 0; round < 2000 && !sim->ends[1].ended_count; round++) {
        for (int i = 0; i < 20; i++)
            (void)sim_datagram(sim, SIM_PROVIDER, id, 1200);
        sim_run(sim, 10000);
    }
    sim_run(sim, 5 * SECOND);
    is_lossy = sim->ends[1].ended_count && sim->ends[1].ended[0].counts.is_lossy;
    if (is_lossy)
        assert_int_equal(sim->ends[0].ended_count, 1); /* an orderly end, equal counts */
    sim_finish(sim);
    sim_destroy(sim);
    return is_lossy;
}

static void test_lossy(void **state)
{
    (void)state;
    assert_false(is_ended_lossy(80000));
    assert_true(is_ended_lossy(150000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_carried), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_junk),    cmocka_unit_test(test_of_the_last_contract),
        cmocka_unit_test(test_lossy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
