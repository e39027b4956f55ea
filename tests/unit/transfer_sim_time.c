/* The clock of transfer_sim.h: which event is next, what must hold after each, and how a run ends.
 * It relies on transfer_sim.c for what an event does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer_sim.h"

/* No more is sent when the window is full. It may be overfull: the caps of contracts differ, and an
 * event may fill one and bring the turn of the next. */
static void check_window(struct sim_end *provider, const struct ww_transfer_contract_info *info,
                         size_t count)
{
    struct ww_transfer_stats stats;
    struct ww_id current = {{0}};

    for (size_t i = 0; i < count; i++) {
        if (info[i].state == WW_TC_CURRENT)
            current = info[i].id;
    }
    ww_transfer_stats(provider->transfer, &stats);
    assert_true(stats.unreceipted_bytes < stats.window_bytes + WW_MESSAGE_BYTES_MAX ||
                stats.unreceipted_bytes <= provider->unreceipted_bytes ||
                !ww_id_equal(&current, &provider->current));
    provider->unreceipted_bytes = stats.unreceipted_bytes;
    provider->current = current;
}

static void check_budgets(struct sim *sim)
{
    for (int side = 0; side < 2; side++) {
        struct ww_transfer_contract_info info[8];
        size_t count = ww_transfer_contracts(sim->ends[side].transfer, info, 8);

        assert_true(count <= 4);
        for (size_t i = 0; i < count; i++) {
            if (side == SIM_CLIENT)
                assert_true(info[i].sent_bytes + info[i].allowance_bytes <= info[i].bytes_max);
            else
                assert_true(info[i].sent_bytes <= info[i].allowance_bytes);
        }
        if (side == SIM_PROVIDER && count)
            check_window(&sim->ends[side], info, count);
    }
}

/* The earliest event; UINT64_MAX if none. */
static uint64_t next_event(const struct sim *sim, struct sim_end **end, int *lane, size_t *action)
{
    uint64_t at_us = UINT64_MAX;

    *end = NULL;
    *lane = -1;
    *action = SIZE_MAX;
    for (int side = 0; side < 2; side++) {
        const struct sim_end *from = &sim->ends[side];

        for (int i = 0; i < 2; i++) {
            if (from->lanes[i].head && from->lanes[i].head->at_us < at_us) {
                at_us = from->lanes[i].head->at_us;
                *end = from->sim->ends + side;
                *lane = i;
            }
        }
        if (from->tick_us < at_us) {
            at_us = from->tick_us;
            *end = from->sim->ends + side;
            *lane = -1;
        }
    }
    for (size_t i = 0; i < sim->action_count; i++) {
        if (sim->actions[i].at_us < at_us) {
            at_us = sim->actions[i].at_us;
            *action = i;
        }
    }
    return at_us;
}

static void tick_both(struct sim *sim)
{
    for (int side = 0; side < 2; side++)
        sim->ends[side].tick_us = ww_transfer_tick(sim->ends[side].transfer, sim->now_us);
}

bool sim_step(struct sim *sim, uint64_t until_us)
{
    struct sim_end *end;
    int lane;
    size_t action;
    uint64_t at_us;

    tick_both(sim);
    at_us = next_event(sim, &end, &lane, &action);
    if (at_us > until_us) {
        sim->now_us = WW_MAX(sim->now_us, until_us);
        return false;
    }
    sim->now_us = WW_MAX(sim->now_us, at_us);
    if (action != SIZE_MAX) {
        struct sim_action taken = sim->actions[action];

        sim->actions[action] = sim->actions[--sim->action_count];
        sim_act(sim, &taken);
    } else if (lane >= 0) {
        sim_deliver(end, (enum ww_lane)lane);
    }
    check_budgets(sim);
    return true;
}

void sim_run(struct sim *sim, uint64_t duration_us)
{
    uint64_t until_us = sim->now_us + duration_us;

    while (sim_step(sim, until_us))
        ;
}

bool sim_is_delivered(const struct sim *sim)
{
    for (size_t id = 0; id < SIM_STREAMS && sim->ends[SIM_CLIENT].streams[id].is_known; id++) {
        for (int side = 0; side < 2; side++) {
            const struct sim_half *from = &sim->ends[side].streams[id];
            const struct sim_half *to = &sim->ends[!side].streams[id];

            if (from->is_flow || from->was_reset || to->was_reset)
                continue;
            if (to->received != from->to_send || (from->with_fin && !to->fin_received))
                return false;
        }
        if (!sim->ends[0].streams[id].was_reset && !sim->ends[1].streams[id].was_reset &&
            !sim->ends[0].streams[id].is_accepted)
            return false;
    }
    return true;
}

void sim_run_until_delivered(struct sim *sim, uint64_t duration_us)
{
    uint64_t until_us = sim->now_us + duration_us;

    while (!sim_is_delivered(sim) && sim_step(sim, until_us)) {
        if (sim->ends[0].failed_code || sim->ends[1].failed_code)
            fail_msg("failed: %s%s", sim->ends[0].failed_why, sim->ends[1].failed_why);
    }
    if (!sim_is_delivered(sim))
        fail_msg("stalled: up %llu of %llu", (unsigned long long)sim->ends[1].streams[0].received,
                 (unsigned long long)sim->ends[0].streams[0].to_send);
}

void sim_assert_equal_counts(const struct sim *sim)
{
    const struct sim_end *client = &sim->ends[SIM_CLIENT];
    const struct sim_end *provider = &sim->ends[SIM_PROVIDER];

    assert_int_equal(client->ended_count, provider->ended_count);
    for (size_t i = 0; i < client->ended_count; i++) {
        assert_true(ww_id_equal(&client->ended[i].id, &provider->ended[i].id));
        assert_true(client->ended[i].is_clean && provider->ended[i].is_clean);
        assert_int_equal(client->ended[i].counts.bytes_up, provider->ended[i].counts.bytes_up);
        assert_int_equal(client->ended[i].counts.bytes_down, provider->ended[i].counts.bytes_down);
        assert_true(client->ended[i].counts.bytes_up + client->ended[i].counts.bytes_down <=
                    sim->contract_bytes);
    }
    sim_assert_receipts(sim);
}

void sim_finish(struct sim *sim)
{
    struct sim_end *client = &sim->ends[SIM_CLIENT];
    struct sim_end *provider = &sim->ends[SIM_PROVIDER];
    struct ww_transfer_contract_info info[8];
    uint64_t total[2] = {0, 0};

    sim->is_renewing = false;
    (void)ww_transfer_contract_end(client->transfer, sim->now_us);
    sim_run(sim, 20000000);
    assert_int_equal(client->failed_code, 0);
    assert_int_equal(provider->failed_code, 0);
    assert_int_equal(ww_transfer_contracts(client->transfer, info, 8), 0);
    assert_int_equal(ww_transfer_contracts(provider->transfer, info, 8), 0);
    sim_assert_equal_counts(sim);
    for (size_t i = 0; i < client->ended_count; i++) {
        total[SIM_PROVIDER] += client->ended[i].counts.bytes_up;
        total[SIM_CLIENT] += client->ended[i].counts.bytes_down;
    }
    /* Nothing paid that was not handed on, but what was in flight to an abandoned stream. */
    assert_true(total[SIM_PROVIDER] >= provider->bytes_delivered);
    assert_true(total[SIM_CLIENT] >= client->bytes_delivered);
}
