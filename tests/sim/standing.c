/* What the arbiter knows of networks, worked out apart from ww/account.h: what a day has settled
 * and forgiven, how often windows are halved and doubled back, strikes. Some networks come with a
 * past, since no seed is long enough for a GiB. */
#include <string.h>

#include "world.h"
#include "ww/account.h"
#include "ww/market.h"

#define DAY_S       86400
#define STRIKES_TOP 64

static struct ww_id id_of(size_t network)
{
    return (struct ww_id){.bytes = {1, (uint8_t)network}};
}

static size_t network_of(const struct world *world, const struct deal *deal,
                         enum ww_contract_party side)
{
    return world->parties[world_party(deal, side)].network;
}

void standing_begin(struct world *world)
{
    for (size_t network = 0; network < world->network_count; network++) {
        struct standing *standing = &world->standings[network];
        struct ww_id id = id_of(network);

        if (world_random(world, 0, 1))
            continue;
        standing->day = world_wall_s(world) / DAY_S;
        standing->paid = world_random(world, 0, 20 << 20);
        standing->halvings = world_random(world, 0, 3);
        if (standing->halvings)
            standing->calm = WW_GIB - world_random(world, 1, 1 << 20);
        const struct ww_account account = {.day = standing->day,
                                           .paid_bytes = standing->paid,
                                           .halvings = standing->halvings,
                                           .calm_bytes = standing->calm};
        CHECK(world, ww_account_put(world->arbiter.ledger, &id, &account) == 0, "no past");
    }
}

uint64_t standing_window(const struct world *world, const struct deal *deal, uint64_t asked)
{
    uint64_t client = world->standings[network_of(world, deal, WW_CONTRACT_CLIENT)].halvings;
    uint64_t provider = world->standings[network_of(world, deal, WW_CONTRACT_PROVIDER)].halvings;

    for (uint64_t i = WW_MAX(client, provider); i > 0; i--)
        asked /= 2;
    return WW_MAX(asked, (uint64_t)WW_WINDOW_FIRST_BYTES);
}

/* A thousandth of what was paid before, today, and nothing at home. */
static void check_forgiven(const struct world *world, const struct deal *deal, uint64_t bytes)
{
    for (int side = 0; side < 2; side++) {
        const struct standing *standing =
            &world->standings[network_of(world, deal, (enum ww_contract_party)side)];

        CHECK(world,
              standing->day == world_wall_s(world) / DAY_S &&
                  (standing->forgiven + bytes) * 1000 <= standing->paid,
              "deal %zu: %llu are forgiven, of %llu paid and %llu forgiven that day",
              (size_t)(deal - world->deals), (unsigned long long)bytes,
              (unsigned long long)standing->paid, (unsigned long long)standing->forgiven);
    }
    CHECK(world,
          network_of(world, deal, WW_CONTRACT_CLIENT) !=
              network_of(world, deal, WW_CONTRACT_PROVIDER),
          "deal %zu: forgiven within a network", (size_t)(deal - world->deals));
}

static void settled(struct world *world, struct standing *standing,
                    const struct ww_contract_outcome *outcome, int side)
{
    uint64_t day = world_wall_s(world) / DAY_S;

    if (standing->day != day)
        standing->paid = standing->forgiven = 0;
    standing->day = day;
    standing->paid += outcome->used;
    standing->forgiven += outcome->forgiven;
    if (!outcome->differed[side] && standing->halvings)
        standing->calm += outcome->used;
    if (standing->calm >= WW_GIB) { /* no contract is so large that it were twice */
        standing->calm -= WW_GIB;
        standing->halvings--;
        world->doublings++;
    }
    if (!standing->halvings)
        standing->calm = 0;
}

static void check_one(const struct world *world, size_t network)
{
    const struct standing *standing = &world->standings[network];
    const struct ww_id id = id_of(network);
    struct ww_account account;

    ww_account_get(world->arbiter.ledger, &id, &account);
    CHECK(world,
          account.day == standing->day && account.paid_bytes == standing->paid &&
              account.forgiven_bytes == standing->forgiven &&
              account.halvings == standing->halvings && account.calm_bytes == standing->calm &&
              account.disputes == standing->disputes,
          "network %zu: the arbiter knows of %llu halvings, %llu disputes, not %llu, %llu", network,
          (unsigned long long)account.halvings, (unsigned long long)account.disputes,
          (unsigned long long)standing->halvings, (unsigned long long)standing->disputes);
    CHECK(world,
          ww_account_strikes(world->arbiter.ledger, &id, world_wall_s(world)) ==
              WW_MIN(standing->strikes, STRIKES_TOP),
          "network %zu has not %llu strikes", network, (unsigned long long)standing->strikes);
}

void standing_step(struct world *world, const struct deal *deal,
                   const struct ww_contract_outcome *outcome)
{
    size_t networks[2] = {network_of(world, deal, WW_CONTRACT_CLIENT),
                          network_of(world, deal, WW_CONTRACT_PROVIDER)};
    bool is_home = networks[0] == networks[1];

    if (outcome->forgiven)
        check_forgiven(world, deal, outcome->forgiven);
    for (int side = 0; side < 2; side++) {
        struct standing *standing = &world->standings[networks[side]];

        standing->strikes += outcome->strike[side];
        world->strikes += outcome->strike[side];
        CHECK(world,
              !outcome->strike[side] || world->judge != JUDGE_RULES ||
                  world->parties[world_party(deal, (enum ww_contract_party)side)].lie != LIE_NONE,
              "deal %zu: an honest party gets a strike", (size_t)(deal - world->deals));
        if (side == 1 && is_home)
            continue; /* once is enough */
        if (outcome->action == WW_CONTRACT_SETTLE && !is_home)
            settled(world, standing, outcome, side);
        if (outcome->differed[side] || (is_home && outcome->differed[!side])) {
            standing->halvings = WW_MIN(standing->halvings + 1, 10);
            standing->calm = 0;
        }
        standing->disputes +=
            outcome->action == WW_CONTRACT_DISPUTE || outcome->action == WW_CONTRACT_SPLIT;
    }
    check_one(world, networks[0]);
    check_one(world, networks[1]);
}

void standing_committed(struct world *world)
{
    memcpy(world->durable_standings, world->standings, sizeof(world->standings));
}

void standing_restarted(struct world *world)
{
    memcpy(world->standings, world->durable_standings, sizeof(world->standings));
    for (size_t network = 0; network < world->network_count; network++)
        check_one(world, network);
}
