/* What must hold, worked out apart from the code that it is about. */
#include <string.h>

#include "world.h"

static bool is_honest(const struct world *world, const struct deal *deal,
                      enum ww_contract_party side)
{
    return world->parties[world_party(deal, side)].lie == LIE_NONE;
}

/* Nobody owes a receipt to who was banned: it can't hand it in. */
static bool is_owed(const struct world *world, const struct deal *deal, enum ww_contract_party side)
{
    return is_honest(world, deal, side) && !world->parties[world_party(deal, side)].was_banned;
}

void oracle_books(struct world *world)
{
    struct ww_ledger_report report;

    CHECK(world, ww_ledger_check(world->arbiter.ledger, &report) == 0 && report.ok,
          "the books are wrong: %s", report.why);
}

static uint64_t sum_of(const struct ww_contract_close *close)
{
    return close->bytes_up + close->bytes_down;
}

/* What an honest side can lose, whatever the other one, the network and the judge do. */
static void check_share(struct world *world, const struct deal *deal,
                        const struct ww_contract *after, uint64_t used)
{
    const struct ww_contract_close *client = &after->closes[WW_CONTRACT_CLIENT];
    size_t number = (size_t)(deal - world->deals);
    uint64_t owes = deal->signed_bytes[WW_CONTRACT_CLIENT];

    CHECK(world, used <= after->bytes, "deal %zu: more is paid than was reserved", number);
    if (client->present)
        owes = WW_MAX(owes, sum_of(client));
    if (is_honest(world, deal, WW_CONTRACT_CLIENT))
        CHECK(world, used <= owes + after->window_bytes,
              "deal %zu: an honest client pays %llu, owes %llu and a window of %llu", number,
              (unsigned long long)used, (unsigned long long)owes,
              (unsigned long long)after->window_bytes);
    if (is_honest(world, deal, WW_CONTRACT_PROVIDER))
        CHECK(world, used >= WW_MIN(deal->reached_bytes, after->bytes),
              "deal %zu: an honest provider gets %llu of %llu that is proven", number,
              (unsigned long long)used, (unsigned long long)deal->reached_bytes);
}

/* A receipt that the provider holds and could not hand in. */
static void check_held(struct world *world, const struct deal *deal,
                       const struct ww_contract *after, uint64_t used)
{
    const struct ww_transfer_counts *saved = &deal->sides[WW_CONTRACT_PROVIDER].saved;
    struct ww_receipt says;

    if (!is_owed(world, deal, WW_CONTRACT_PROVIDER) || !saved->receipt_size ||
        ww_wire_receipt_decode(saved->receipt, saved->receipt_size, &says, NULL) ||
        used >= WW_MIN(says.bytes_received + says.bytes_acknowledged, after->bytes))
        return;
    CHECK(world, !after->closes[WW_CONTRACT_PROVIDER].present,
          "deal %zu: an honest provider has closed and is not paid by its receipt",
          (size_t)(deal - world->deals));
    if (after->state == WW_CONTRACT_DISPUTED) {
        world->shorts[2]++;
    } else if (after->ending == WW_CONTRACT_CUT) {
        uint64_t away_us = world->parties[deal->provider].away_us;

        CHECK(world, world->now_us - away_us < WW_CLOSE_SILENCE_S * S / 2,
              "deal %zu: a ban ended it, and its provider was there and gets %llu",
              (size_t)(deal - world->deals), (unsigned long long)used);
        world->shorts[0]++;
    } else {
        CHECK(world,
              world->now_us - deal->heard_us >= WW_ALIVE_SILENCE_S * S / 2 ||
                  world_wall_s(world) >= after->expires_s,
              "deal %zu: settled as lifeless, and its provider was there",
              (size_t)(deal - world->deals));
        world->shorts[1]++;
    }
}

/* An honest side has handed in two receipts of the other's that contradict each other. */
static bool is_pair_there(const struct world *world, const struct deal *deal,
                          const struct ww_contract *after, enum ww_contract_party signer)
{
    const struct side *holder = &deal->sides[!signer];
    const struct ww_contract_close *close = &after->closes[!signer];
    const struct ww_contract_receipt *held = &after->held[!signer];
    struct ww_receipt a, b;

    return is_honest(world, deal, (enum ww_contract_party) !signer) && close->present &&
           holder->second_size && held->size == holder->second_size &&
           memcmp(held->bytes, holder->second, held->size) == 0 &&
           ww_wire_receipt_decode(close->receipt.bytes, close->receipt.size, &a, NULL) == 0 &&
           ww_wire_receipt_decode(held->bytes, held->size, &b, NULL) == 0 &&
           ww_receipts_contradict(&a, &b);
}

/* What an honest side has proven against the other is not settled as if it were nothing. */
static void check_proofs(const struct world *world, const struct deal *deal,
                         const struct ww_contract *after)
{
    size_t number = (size_t)(deal - world->deals);

    if (deal->terms.state == WW_CONTRACT_DISPUTED)
        return;
    for (int signer = 0; signer < 2; signer++)
        CHECK(world, !is_pair_there(world, deal, after, (enum ww_contract_party)signer),
              "deal %zu: settled over two receipts that contradict each other", number);
    CHECK(world,
          !is_honest(world, deal, WW_CONTRACT_PROVIDER) ||
              !after->closes[WW_CONTRACT_PROVIDER].declaration_size,
          "deal %zu: settled over a declaration", number);
}

/* Floor of the share of each part; of a split's two steps together, give or take one unit. */
static void check_paid(struct world *world, struct deal *deal, const struct ww_contract *after,
                       uint64_t used, bool was_split)
{
    for (size_t i = 0; i < deal->part_count; i++) {
        uint64_t right =
            (uint64_t)(deal->parts[i].amount.units * used / (unsigned __int128)after->bytes);
        uint64_t slack = was_split ? 1 : 0;

        CHECK(world, deal->paid[i] <= right && deal->paid[i] + slack >= right,
              "deal %zu: %llu is paid for part %zu, not %llu", (size_t)(deal - world->deals),
              (unsigned long long)deal->paid[i], i, (unsigned long long)right);
    }
}

static void add_paid(struct world *world, struct deal *deal,
                     const struct ww_contract_booked *booked)
{
    CHECK(world, booked->paid_count == 0 || booked->paid_count == deal->part_count,
          "parts are missing");
    for (size_t i = 0; i < booked->paid_count; i++)
        deal->paid[i] += (uint64_t)booked->paid[i].amount.units;
}

/* A window halves alone only of a side that said what its signatures rule out. */
static void check_halved(const struct world *world, const struct deal *deal,
                         const struct ww_contract *after, const struct ww_contract_outcome *outcome)
{
    const struct ww_contract_close *client = &after->closes[WW_CONTRACT_CLIENT];
    size_t number = (size_t)(deal - world->deals);

    if (outcome->differed[WW_CONTRACT_CLIENT] && !outcome->differed[WW_CONTRACT_PROVIDER])
        CHECK(world,
              client->bytes_up + client->bytes_down < deal->signed_bytes[WW_CONTRACT_CLIENT] ||
                  client->bytes_up + client->bytes_down > after->bytes,
              "deal %zu: a client that said what it signed is halved alone", number);
    if (outcome->differed[WW_CONTRACT_PROVIDER] && !outcome->differed[WW_CONTRACT_CLIENT])
        CHECK(world, !is_honest(world, deal, WW_CONTRACT_PROVIDER),
              "deal %zu: an honest provider is halved alone", number);
}

void oracle_step(struct world *world, struct deal *deal, const struct ww_contract *after,
                 const struct ww_contract_outcome *outcome, const struct ww_contract_booked *booked)
{
    size_t number = (size_t)(deal - world->deals);
    bool was_split = deal->terms.state == WW_CONTRACT_DISPUTED && deal->terms.settled_bytes > 0;

    CHECK(world, !deal->ended, "deal %zu is resolved twice", number);
    CHECK(world, !outcome->ban[0] || !is_honest(world, deal, WW_CONTRACT_CLIENT),
          "deal %zu: an honest client is banned", number);
    CHECK(world, !outcome->ban[1] || !is_honest(world, deal, WW_CONTRACT_PROVIDER),
          "deal %zu: an honest provider is banned", number);
    if (after->state >= WW_CONTRACT_OPEN)
        deal->was_opened = true;
    add_paid(world, deal, booked);
    check_halved(world, deal, after, outcome);
    standing_step(world, deal, outcome);
    switch (outcome->action) {
    case WW_CONTRACT_VOID:
        CHECK(world, after->state < WW_CONTRACT_OPEN, "deal %zu: an open contract is void", number);
        world->voids++;
        break;
    case WW_CONTRACT_SETTLE:
        check_proofs(world, deal, after);
        check_share(world, deal, after, outcome->used);
        check_held(world, deal, after, outcome->used);
        check_paid(world, deal, after, outcome->used, was_split);
        world->settled++;
        world->forgiven += outcome->forgiven > 0;
        break;
    case WW_CONTRACT_SPLIT:
        check_paid(world, deal, after, outcome->used, false);
        world->disputes++;
        break;
    case WW_CONTRACT_DISPUTE:
        world->denied += (after->proofs & WW_PROOF_CLIENT_DENIED) != 0;
        world->pairs +=
            (after->proofs & (WW_PROOF_CLIENT_RECEIPTS | WW_PROOF_PROVIDER_RECEIPTS)) != 0;
        world->disputes++;
        break;
    case WW_CONTRACT_NOTHING:
    case WW_CONTRACT_STORE:
    case WW_CONTRACT_SIGN:
    case WW_CONTRACT_VERIFY:
    case WW_CONTRACT_RECALL:
        break;
    }
    deal->ended = booked->gone;
}

static uint64_t batches_of(const struct world *world)
{
    struct ww_ledger_report report;

    CHECK(world, ww_ledger_check(world->arbiter.ledger, &report) == 0, "the books are wrong: %s",
          report.why);
    return report.batches;
}

void oracle_torn(struct world *world)
{
    if (batches_of(world) > world->durable_batches)
        oracle_committed(world);
}

void oracle_committed(struct world *world)
{
    world->durable_batches = batches_of(world);
    for (size_t i = 0; i < world->deal_count; i++) {
        struct deal *deal = &world->deals[i];

        if (!deal->is_dirty)
            continue;
        deal->is_dirty = false;
        deal->durable_live = deal->is_live;
        deal->durable_gone = deal->ended;
        deal->durable_reached = deal->reached_bytes;
        memcpy(deal->durable_paid, deal->paid, sizeof(deal->paid));
        deal->durable_size = ww_contract_encode(&deal->terms, deal->durable);
    }
    memcpy(world->arbiter.durable_banned, world->arbiter.banned, sizeof(world->arbiter.banned));
    standing_committed(world);
}

static void find_record(void *arg, const struct ww_id *id, const struct ww_id *payer, bool disputed,
                        const struct ww_part *parts, size_t part_count, const void *record,
                        size_t record_size)
{
    struct world *world = arg;
    const struct deal *deal = world_find(world, id);

    (void)payer, (void)disputed, (void)parts, (void)part_count;
    CHECK(world, deal && deal->durable_live, "the books have a contract that was not committed");
    CHECK(world,
          record_size == deal->durable_size && memcmp(record, deal->durable, record_size) == 0,
          "deal %zu: the books have another record than was committed",
          (size_t)(deal - world->deals));
}

static void check_earned(struct world *world)
{
    static const char *const assets[WORLD_ASSETS] = {"usd", "xch"};

    for (size_t network = 0; network < world->network_count; network++) {
        const struct ww_id id = {.bytes = {1, (uint8_t)network}};

        for (size_t asset = 0; asset < WORLD_ASSETS; asset++) {
            struct ww_amount balance;
            uint64_t right = 0;

            for (size_t i = 0; i < world->deal_count; i++) {
                const struct deal *deal = &world->deals[i];

                if (world->parties[deal->provider].network == network && asset < deal->part_count)
                    right += deal->durable_paid[asset];
            }
            CHECK(world,
                  ww_ledger_balance(world->arbiter.ledger, &id, assets[asset], WW_WALLET_EARNED,
                                    &balance) == 0 &&
                      balance.units == right,
                  "network %zu has not earned what was paid", network);
        }
    }
}

void oracle_restarted(struct world *world)
{
    size_t live = 0;

    ww_ledger_each_contract(world->arbiter.ledger, find_record, world);
    for (size_t i = 0; i < world->deal_count; i++) {
        struct deal *deal = &world->deals[i];

        live += deal->durable_live;
        deal->is_dirty = false;
        deal->ended = deal->durable_gone;
        deal->reached_bytes = deal->durable_reached;
        memcpy(deal->paid, deal->durable_paid, sizeof(deal->paid));
    }
    CHECK(world, live == ww_ledger_contract_count(world->arbiter.ledger),
          "%zu contracts were committed, and are not all there", live);
    CHECK(world,
          memcmp(world->arbiter.banned, world->arbiter.durable_banned,
                 sizeof(world->arbiter.banned)) == 0,
          "a ban is lost");
    standing_restarted(world);
    check_earned(world);
    oracle_books(world);
}

void oracle_counts(struct world *world, const struct link *link)
{
    const struct sim_end *ends = link->sim->ends;
    size_t count = WW_MIN(ends[0].ended_count, ends[1].ended_count);

    for (size_t i = 0; i < count; i++) {
        const struct sim_contract *client = &ends[SIM_CLIENT].ended[i];

        for (size_t j = 0; j < ends[SIM_PROVIDER].ended_count; j++) {
            const struct sim_contract *provider = &ends[SIM_PROVIDER].ended[j];

            if (!ww_id_equal(&client->id, &provider->id) || !client->is_clean ||
                !provider->is_clean)
                continue;
            CHECK(world,
                  client->counts.bytes_up == provider->counts.bytes_up &&
                      client->counts.bytes_down == provider->counts.bytes_down,
                  "two sides that ended cleanly have other counts");
            world->equal_counts++;
        }
    }
}

static void case_is_left(void *arg, const char *key, const void *value, size_t size)
{
    (void)value, (void)size;
    CHECK((struct world *)arg, false, "%s is left of a contract that is gone", key);
}

void oracle_end(struct world *world)
{
    struct ww_ledger_report report;

    oracle_books(world);
    check_earned(world);
    CHECK(world, ww_ledger_contract_count(world->arbiter.ledger) == 0, "money is held for ever");
    ww_ledger_each_fact(world->arbiter.ledger, WORLD_CASES, case_is_left, world);
    CHECK(world, ww_ledger_verify(world->arbiter.store, &report) == 0 && report.ok,
          "the store is wrong: %s", report.why);
    for (size_t i = 0; i < report.asset_count; i++)
        CHECK(world,
              ww_amount_is_zero(report.assets[i].escrow) &&
                  ww_amount_is_zero(report.assets[i].dispute),
              "money is frozen");
    for (size_t i = 0; i < world->deal_count; i++) {
        for (int side = 0; side < 2; side++) {
            enum side_state state = world->deals[i].sides[side].state;

            CHECK(world,
                  state == SIDE_NONE || state == SIDE_DONE ||
                      !is_owed(world, &world->deals[i], (enum ww_contract_party)side),
                  "deal %zu: side %d still has it in state %d", i, side, (int)state);
        }
    }
}
