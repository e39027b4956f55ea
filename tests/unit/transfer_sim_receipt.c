/* The owners' half of receipts for transfer_sim.h: a keyed checksum stands for the signature, and
 * the pool of threads is a delay. It checks that at most one of each kind is under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer_sim.h"

static void sign(enum sim_side side, const uint8_t *bytes, size_t size,
                 uint8_t signature[WW_SIGNATURE_BYTES])
{
    uint64_t sum = 14695981039346656037u + (uint64_t)side; /* FNV-1a */

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * 1099511628211u;
    for (size_t i = 0; i < WW_SIGNATURE_BYTES; i++)
        signature[i] = (uint8_t)(sum >> (i % 8 * 8));
}

size_t sim_sign_receipt(enum sim_side side, const struct ww_receipt *receipt,
                        uint8_t bytes[WW_RECEIPT_BYTES_MAX])
{
    struct ww_buf buf = {
        .data = bytes, .capacity = WW_RECEIPT_BYTES_MAX, .limit = WW_RECEIPT_BYTES_MAX};

    assert_int_equal(ww_wire_receipt_encode(receipt, &buf), 0);
    sign(side, bytes, buf.size - WW_SIGNATURE_BYTES, bytes + buf.size - WW_SIGNATURE_BYTES);
    return buf.size;
}

struct ww_receipt sim_receipt(enum sim_side side, uint64_t sequence, uint64_t next_index,
                              uint64_t received, uint64_t acknowledged)
{
    struct ww_receipt receipt = {.sequence = sequence,
                                 .next_index = next_index,
                                 .bytes_received = received,
                                 .bytes_acknowledged = acknowledged};

    memcpy(receipt.epoch, side == SIM_CLIENT ? "clientclientclie" : "providerprovider",
           WW_EPOCH_SIZE);
    return receipt;
}

static size_t sign_for(struct sim_end *end, const struct ww_receipt *receipt,
                       uint8_t bytes[WW_RECEIPT_BYTES_MAX])
{
    const struct sim_owner *owner = end->sim->owner;
    size_t size = sim_sign_receipt(end->side, receipt, bytes);

    if (owner)
        owner->sign(owner->arg, end->side, bytes, size - WW_SIGNATURE_BYTES,
                    bytes + size - WW_SIGNATURE_BYTES);
    return size;
}

static int verify(const struct sim *sim, enum sim_side signer, const uint8_t *bytes, size_t size)
{
    uint8_t signature[WW_SIGNATURE_BYTES];

    if (sim->owner)
        return sim->owner->verify(sim->owner->arg, signer, bytes, size);
    sign(signer, bytes, size - WW_SIGNATURE_BYTES, signature);
    return memcmp(signature, bytes + size - WW_SIGNATURE_BYTES, sizeof(signature)) ? WW_EAUTH : 0;
}

static bool is_under_way(const struct sim *sim, enum sim_side side, enum sim_action_kind kind,
                         const struct ww_id *id)
{
    for (size_t i = 0; i < sim->action_count; i++) {
        const struct sim_action *action = &sim->actions[i];

        if (action->kind == kind && action->side == side &&
            ww_id_equal(&action->terms.contract_id, id))
            return true;
    }
    return false;
}

static void begin(struct sim_end *end, enum sim_action_kind kind, const struct ww_id *id,
                  const uint8_t *bytes, size_t size)
{
    struct sim *sim = end->sim;
    struct sim_action action = {.kind = kind, .side = end->side, .size = size};

    assert_false(is_under_way(sim, end->side, kind, id));
    action.terms.contract_id = *id;
    memcpy(action.bytes, bytes, size);
    if (sim->pool_us)
        sim_add_action(sim, sim->pool_us, &action);
    else
        sim_act_receipt(sim, &action);
}

void sim_on_receipt_due(void *arg, const struct ww_receipt *receipt)
{
    struct sim_end *end = arg;
    uint8_t bytes[WW_RECEIPT_BYTES_MAX];

    end->receipts_signed++;
    begin(end, SIM_SIGN, &receipt->contract_id, bytes, sign_for(end, receipt, bytes));
}

void sim_on_receipt_came(void *arg, const struct ww_id *id, const uint8_t *bytes, size_t size)
{
    begin(arg, SIM_VERIFY, id, bytes, size);
}

void sim_act_receipt(struct sim *sim, const struct sim_action *action)
{
    struct sim_end *end = &sim->ends[action->side];
    const struct ww_id *id = &action->terms.contract_id;
    int rc = 0;

    if (sim->pool_faults) {
        sim->pool_faults--;
        rc = WW_ELIMIT;
    }
    if (action->kind == SIM_SIGN) {
        ww_transfer_receipt_signed(end->transfer, id, action->bytes, rc ? 0 : action->size,
                                   sim->now_us);
        return;
    }
    if (!rc)
        rc = verify(sim, (enum sim_side) !action->side, action->bytes, action->size);
    ww_transfer_receipt_verified(end->transfer, id, action->bytes, action->size, rc, sim->now_us);
}

static void check_last_receipt(const struct sim *sim, enum sim_side side,
                               const struct sim_contract *contract)
{
    const struct ww_transfer_counts *counts = &contract->counts;
    struct ww_receipt says = {.sequence = 0};

    if (counts->receipt_size) {
        assert_int_equal(verify(sim, (enum sim_side) !side, counts->receipt, counts->receipt_size),
                         0);
        assert_int_equal(ww_wire_receipt_decode(counts->receipt, counts->receipt_size, &says, NULL),
                         0);
        assert_true(ww_id_equal(&says.contract_id, &contract->id));
    }
    if (side == SIM_PROVIDER) {
        assert_int_equal(says.bytes_received, counts->bytes_down);
        assert_int_equal(says.bytes_acknowledged, counts->bytes_up);
    } else {
        assert_int_equal(says.bytes_received, counts->bytes_up);
    }
}

void sim_assert_receipts(const struct sim *sim)
{
    for (int side = 0; side < 2; side++) {
        const struct sim_end *end = &sim->ends[side];

        for (size_t i = 0; i < end->ended_count; i++)
            check_last_receipt(sim, (enum sim_side)side, &end->ended[i]);
    }
}

void sim_inject_receipt(struct sim *sim, enum sim_side side, const struct ww_receipt *receipt)
{
    uint8_t bytes[WW_RECEIPT_BYTES_MAX];
    struct ww_frame frame = {.type = WW_FRAME_RECEIPT};

    frame.proof.bytes = bytes;
    frame.proof.size = sim_sign_receipt(side, receipt, bytes);
    sim_inject(sim, side, WW_LANE_RELIABLE, &frame);
}
