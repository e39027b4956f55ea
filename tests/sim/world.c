/* A run of one seed: who there is, how time passes, what goes wrong, and how it ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define SLICES_MAX 6000
#define WALL_S     1700000000ULL /* any time will do */
#define HOUR_US    (3600 * S)

uint64_t world_random(struct world *world, uint64_t low, uint64_t high)
{
    return low + ww_prng_next(&world->prng) % (high - low + 1);
}

bool world_chance(struct world *world, uint32_t ppm)
{
    return world_random(world, 1, 1000000) <= ppm;
}

uint64_t world_wall_s(const struct world *world)
{
    return (uint64_t)((int64_t)(WALL_S + world->now_us / S) + world->jump_s);
}

struct deal *world_find(struct world *world, const struct ww_id *id)
{
    size_t number = id->bytes[15];

    return number < WORLD_DEALS_MAX && ww_id_equal(&world->deals[number].id, id)
               ? &world->deals[number]
               : NULL;
}

const char *world_case_key(const struct world *world, const struct deal *deal,
                           char key[WORLD_CASE_KEY])
{
    snprintf(key, WORLD_CASE_KEY, WORLD_CASES "%zu", (size_t)(deal - world->deals));
    return key;
}

/* --- beginning -------------------------------------------------------------------------------- */

static enum lie draw_lie(struct world *world, bool is_provider)
{
    static const enum lie clients[] = {LIE_SILENT, LIE_TWICE,  LIE_UNDER, LIE_SHAVE,
                                       LIE_NEVER,  LIE_DENIED, LIE_BACK,  LIE_FRAME};
    static const enum lie providers[] = {LIE_SILENT, LIE_TWICE, LIE_OVER,  LIE_FAR,
                                         LIE_TAIL,   LIE_FORGE, LIE_STALE, LIE_REPLAY,
                                         LIE_INVENT, LIE_BACK,  LIE_FRAME};

    if (!world_chance(world, 350000))
        return LIE_NONE;
    return is_provider ? providers[world_random(world, 0, WW_ARRAY_COUNT(providers) - 1)]
                       : clients[world_random(world, 0, WW_ARRAY_COUNT(clients) - 1)];
}

static void draw(struct world *world)
{
    bool is_calm = world_chance(world, 250000), is_honest = world_chance(world, 300000);

    world->is_real_crypto = world->seed % 50 == 0;
    world->deals_wanted = world_random(world, 40, WORLD_DEALS_MAX);
    world->client_count = world_random(world, 1, WORLD_CLIENTS_MAX);
    world->party_count =
        world->client_count + world_random(world, 1, WORLD_PARTIES_MAX - WORLD_CLIENTS_MAX);
    world->network_count = world_random(world, 1, WORLD_NETWORKS_MAX);
    world->loss_ppm = is_calm ? 0 : (uint32_t)world_random(world, 0, 150000);
    world->fault_ppm = is_calm ? 0 : (uint32_t)world_random(world, 0, 60000);
    world->judge = (enum judge)world_random(world, JUDGE_RULES, JUDGE_NEVER);
    world->forgive_ppm = (uint32_t)(500000 * world_random(world, 0, 2));
    for (size_t i = 0; i < world->party_count; i++) {
        struct party *party = &world->parties[i];

        party->is_provider = i >= world->client_count;
        party->is_up = true;
        party->network = world_random(world, 0, world->network_count - 1);
        party->lie = is_honest ? LIE_NONE : draw_lie(world, party->is_provider);
        ww_prng_fill(&world->prng, party->node.bytes, sizeof(party->node.bytes));
        ww_prng_fill(&world->prng, party->epoch, WW_EPOCH_SIZE);
        trace(world, "%s %zu of network %zu, lie %d", party->is_provider ? "provider" : "client", i,
              party->network, (int)party->lie);
    }
    trace(world, "loss %u ppm, faults %u ppm, judge %d, forgives %u ppm", world->loss_ppm,
          world->fault_ppm, (int)world->judge, world->forgive_ppm);
}

/* Some networks are poor: a reservation then fails. */
static void grant(struct world *world)
{
    for (size_t network = 0; network < world->network_count; network++) {
        const struct ww_id id = {.bytes = {1, (uint8_t)network}};
        uint64_t most = world_chance(world, 200000) ? 300000 : 1ULL << 40;

        for (size_t asset = 0; asset < WORLD_ASSETS; asset++) {
            struct ww_id request = ww_id_make(ww_clock_wall_ms());

            CHECK(world,
                  ww_ledger_grant(world->arbiter.ledger, &request, &id, asset ? "xch" : "usd",
                                  ww_amount_from_u64(world_random(world, most / 2, most))) == 0,
                  "no grant");
        }
    }
    world->arbiter.is_dirty = true;
}

/* --- time ------------------------------------------------------------------------------------- */

static void note_away(struct world *world)
{
    for (size_t i = 0; i < world->party_count; i++) {
        struct party *party = &world->parties[i];

        if (!party->is_up || party->cut_until_us > world->now_us || !world->arbiter.ledger)
            party->away_us = world->now_us;
    }
}

static void pass(struct world *world, uint64_t duration_us)
{
    world->step++;
    world->now_us += duration_us;
    if (world->arbiter.ledger)
        ww_ledger_advance_clock(world->arbiter.ledger, duration_us / 1000);
    note_away(world);
    for (size_t i = 0; i < world->client_count; i++)
        link_run(&world->links[i], duration_us);
    mail_deliver(world);
    arbiter_sim_turn(world);
    for (size_t i = 0; i < world->party_count; i++)
        party_tick(world, i);
}

static bool is_something_cut(const struct world *world)
{
    for (size_t i = 0; i < world->deal_count; i++) {
        if (world_is_cut(&world->deals[i]))
            return true;
    }
    return false;
}

/* Long times in pieces, in which everybody comes to do what is due. */
static void pass_long(struct world *world, uint64_t duration_us)
{
    while (duration_us > 0) {
        /* A message is answered before a long time goes by. */
        uint64_t most_us = world->mail_count ? 25 * MS : is_something_cut(world) ? 2 * S : 15 * S;
        uint64_t piece_us = WW_MIN(duration_us, most_us);

        pass(world, piece_us);
        duration_us -= piece_us;
    }
}

static uint64_t draw_slice(struct world *world)
{
    uint64_t kind = world_random(world, 0, 999);

    if (kind < 900)
        return world_random(world, 1 * MS, 25 * MS);
    if (kind < 985)
        return world_random(world, 20 * MS, 300 * MS);
    if (kind < 997)
        return world_random(world, 1 * S, 5 * S);
    return kind < 999 ? world_random(world, 30 * S, 90 * S) : world_random(world, 300 * S, 900 * S);
}

static void go_wrong(struct world *world)
{
    size_t party = world_random(world, 0, world->party_count - 1);
    struct link *link = &world->links[world_random(world, 0, world->client_count - 1)];

    switch (world_random(world, 0, 7)) {
    case 0:
    case 1:
        party_crash(world, party);
        break;
    case 2:
        if (world->arbiter.ledger)
            arbiter_sim_crash(world);
        break;
    case 3:
        world->parties[party].cut_until_us =
            world->now_us +
            world_random(world, 1 * S, world_random(world, 0, 3) ? 20 * S : 400 * S);
        trace(world, "party %zu is cut off", party);
        break;
    case 4:
        if (!link->is_ending)
            link->paused_until_us = world->now_us + world_random(world, 50 * MS, 4 * S);
        break;
    case 5:
        link_break(link, -1);
        break;
    case 6:
        world->jump_s += (int64_t)world_random(world, 0, 600) - 300;
        if (world_chance(world, 20000))
            world->jump_s += 2 * 86400;
        trace(world, "the clock jumps to %lld s", (long long)world->jump_s);
        break;
    default:
        if (!world->arbiter.ledger)
            break;
        if (world_chance(world, 80000))
            arbiter_sim_ban(world, party); /* `ww ban`, whoever it is */
        else
            (void)ww_ledger_compact(world->arbiter.ledger);
        break;
    }
}

static bool is_over(const struct world *world)
{
    if (world->is_given_up)
        return true;
    if (ww_ledger_contract_count(world->arbiter.ledger) > 0)
        return false;
    for (size_t i = 0; i < world->deal_count; i++) {
        for (int side = 0; side < 2; side++) {
            const struct deal *deal = &world->deals[i];
            enum side_state state = deal->sides[side].state;
            size_t party = world_party(deal, (enum ww_contract_party)side);

            if (state != SIDE_NONE && state != SIDE_DONE && !world->arbiter.banned[party] &&
                world->parties[party].lie != LIE_SILENT)
                return false;
        }
    }
    return true;
}

/* Everything works again and nothing new begins: what is under way must come to its end, at last
 * by the thirty days. */
static void heal(struct world *world)
{
    trace(world, "everything works again");
    world->is_healed = true;
    world->arbiter.down_until_us = 0;
    for (size_t i = 0; i < world->party_count; i++)
        world->parties[i].down_until_us = world->parties[i].cut_until_us = 0;
    for (int i = 0; i < 200 && (i < 20 || !is_over(world)); i++)
        pass(world, world_random(world, 100 * MS, 500 * MS));
    for (size_t i = 0; i < world->client_count; i++)
        link_break(&world->links[i], -1);
    for (int i = 0; i < 60 && !is_over(world); i++)
        pass(world, 15 * S);
    for (int i = 0; i < 33 * 24 && !is_over(world); i++) {
        pass(world, HOUR_US);
        for (int j = 0; j < 4 && !is_over(world); j++)
            pass(world, 5 * S);
    }
}

void world_run(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->seed = seed;
    world->now_us = 1 * S;
    ww_prng_seed(&world->prng, seed);
    trace_begin(world);
    draw(world);
    sign_open(world);
    CHECK(world, ww_store_memory_create(&world->arbiter.store) == 0, "no store");
    arbiter_sim_open(world);
    grant(world);
    standing_begin(world);
    world->is_healed = true; /* the grants are durable before anything goes wrong */
    arbiter_sim_turn(world);
    world->is_healed = false;
    for (int i = 0;
         !world->is_given_up && i < SLICES_MAX && world->deal_count < world->deals_wanted; i++) {
        pass_long(world, draw_slice(world));
        if (world_chance(world, world->fault_ppm))
            go_wrong(world);
    }
    heal(world);
    if (!world->is_given_up)
        oracle_end(world);
    arbiter_sim_close(world);
    ww_store_close(world->arbiter.store);
    sign_close(world);
    trace_end();
}
