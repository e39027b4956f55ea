/* A connection of a client to a provider: two real ends of transfer (tests/unit/transfer_sim*.c)
 * between the owners of this world. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define CONTRACT_TOP (4 << 20)
#define PATIENCE_US  (40 * S) /* for an ending that doesn't come to its end */
#define STREAMS_OPEN 64

static struct deal *deal_of(const struct link *link, const struct ww_id *id)
{
    struct deal *deal = world_find(link->world, id);

    CHECK(link->world, deal, "a contract that nobody made");
    return deal;
}

/* --- what the owners of the ends do ----------------------------------------------------------- */

static int on_opening(void *arg, const struct ww_token *terms)
{
    struct link *link = arg;
    struct world *world = link->world;
    struct deal *deal = world_find(world, &terms->contract_id);
    struct side *side = deal ? &deal->sides[WW_CONTRACT_PROVIDER] : NULL;

    if (!deal || deal->provider != link->provider || side->state != SIDE_NONE)
        return WW_EREPLAYED;
    if (world_wall_s(world) > terms->open_by_s)
        return WW_EREFUSED;
    side->state = SIDE_OPEN;
    side->was_opened = true;
    side->alive_us = world->now_us + WW_ALIVE_EVERY_S * S;
    side->retry_us = world->now_us;
    return 0;
}

static const struct party *signer_of(const struct link *link, enum sim_side side)
{
    return &link->world->parties[side == SIM_CLIENT ? link->client : link->provider];
}

static void on_sign(void *arg, enum sim_side side, const uint8_t *bytes, size_t size,
                    uint8_t signature[WW_SIGNATURE_BYTES])
{
    struct link *link = arg;
    struct ww_receipt receipt;

    CHECK(link->world,
          ww_wire_receipt_decode(bytes, size + WW_SIGNATURE_BYTES, &receipt, NULL) == 0,
          "a receipt without form");
    uint64_t *most = &deal_of(link, &receipt.contract_id)->signed_bytes[side];
    *most = WW_MAX(*most, receipt.bytes_received + receipt.bytes_acknowledged);
    lies_sign_second(link->world, deal_of(link, &receipt.contract_id), (enum ww_contract_party)side,
                     &receipt);
    sign_bytes(signer_of(link, side), "ww receipt 1", bytes, size, signature);
}

static bool on_verify_declaration(const struct link *link, const uint8_t *bytes, size_t size)
{
    size_t signed_size = size - WW_SIGNATURE_BYTES;

    return sign_is_good(signer_of(link, SIM_CLIENT), "ww declaration 1", bytes, signed_size,
                        bytes + signed_size);
}

static int on_verify(void *arg, enum sim_side signer, const uint8_t *bytes, size_t size)
{
    size_t signed_size = size - WW_SIGNATURE_BYTES;

    return sign_is_good(signer_of(arg, signer), "ww receipt 1", bytes, signed_size,
                        bytes + signed_size)
               ? 0
               : WW_EAUTH;
}

/* As provider_declare.c: one signed destination that the list denies is enough. */
static void on_declared(void *arg, const struct ww_declaration *declaration, const uint8_t *bytes,
                        size_t size)
{
    struct link *link = arg;
    struct deal *deal = deal_of(link, &declaration->contract_id);
    struct side *side = &deal->sides[WW_CONTRACT_PROVIDER];

    CHECK(link->world, on_verify_declaration(link, bytes, size), "a declaration is not signed");
    for (size_t i = 0; i < declaration->dest_count; i++) {
        if (!court_is_denied(NULL, &declaration->dests[i]) || side->state != SIDE_OPEN)
            continue;
        side->proof_size = size;
        memcpy(side->proof, bytes, size);
        link->denied = deal;
        return;
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static void shake(struct world *world, struct sim *sim)
{
    sim->is_renewing = false;
    sim->confirm_us = UINT64_MAX;
    sim->contract_bytes = CONTRACT_TOP;
    sim->delay_us = world_random(world, 100, 20000);
    sim->jitter_us = world_random(world, 0, 1) ? world_random(world, 0, 40000) : 0;
    sim->lane_bytes = world_random(world, 20000, 300000);
    sim->loss_ppm = world_random(world, 0, 1) ? (uint32_t)world_random(world, 0, 300000) : 0;
    sim->repeat_ppm = world_random(world, 0, 1) ? (uint32_t)world_random(world, 0, 50000) : 0;
    sim->accept_us = world_random(world, 0, 5000);
    sim->connect_us = world_random(world, 0, 5000);
    sim->pool_us = world_random(world, 0, 1000);
    sim->provider_bytes = world_random(world, 0, 150000);
    sim->provider_fin = true;
}

int link_open(struct world *world, size_t client, size_t provider)
{
    struct link *link = &world->links[client];
    uint8_t epochs[2][WW_EPOCH_SIZE];

    if (link->sim || !world->parties[provider].is_up)
        return WW_EAGAIN;
    memset(link, 0, sizeof(*link));
    link->world = world;
    link->client = client;
    link->provider = provider;
    link->owner = (struct sim_owner){link, on_opening, on_sign, on_verify, on_declared};
    memcpy(epochs[SIM_CLIENT], world->parties[client].epoch, WW_EPOCH_SIZE);
    memcpy(epochs[SIM_PROVIDER], world->parties[provider].epoch, WW_EPOCH_SIZE);
    link->sim = sim_try_create_for(ww_prng_next(&world->prng), epochs, &link->owner);
    CHECK(world, link->sim, "no connection");
    shake(world, link->sim);
    link->streams_left = world_random(world, 1, 8);
    trace(world, "link of client %zu to provider %zu", client, provider);
    return 0;
}

static void hand_on(struct link *link, enum sim_side side)
{
    const struct sim_end *end = &link->sim->ends[side];

    while (link->seen[side] < end->ended_count) {
        const struct sim_contract *ended = &end->ended[link->seen[side]++];

        party_ended(link->world, deal_of(link, &ended->id), (enum ww_contract_party)side,
                    &ended->counts, ended->is_clean);
    }
}

/* What both know of the contracts under way. A first receipt is stored at once. */
static void look(struct link *link, enum sim_side side, bool save)
{
    struct ww_transfer_contract_info info[4];
    size_t count = ww_transfer_contracts(link->sim->ends[side].transfer, info, 4);

    for (size_t i = 0; i < count; i++) {
        struct side *own = &deal_of(link, &info[i].id)->sides[side];

        if (side == SIM_CLIENT && own->state == SIDE_TOKEN && info[i].state != WW_TC_OFFERED) {
            own->state = SIDE_OPEN;
            own->was_opened = true;
            own->alive_us = link->world->now_us + WW_ALIVE_EVERY_S * S;
        }
        if (own->state == SIDE_OPEN &&
            (save || (!own->saved.receipt_size && info[i].counts.receipt_size)))
            own->saved = info[i].counts;
    }
}

/* Contracts that the connection doesn't have (any more) are over for the side, by its counts. */
static void end_missing(struct link *link, enum sim_side side, bool all)
{
    struct ww_transfer_contract_info info[4];
    size_t count = all ? 0 : ww_transfer_contracts(link->sim->ends[side].transfer, info, 4);

    for (size_t i = 0; i < link->world->deal_count; i++) {
        struct deal *deal = &link->world->deals[i];
        struct side *own = &deal->sides[side];
        bool is_there = false;

        if (deal->client != link->client || deal->provider != link->provider ||
            (own->state != SIDE_TOKEN && (own->state != SIDE_OPEN || !all)))
            continue;
        for (size_t j = 0; j < count; j++)
            is_there |= ww_id_equal(&info[j].id, &deal->id);
        if (!is_there)
            party_ended(link->world, deal, (enum ww_contract_party)side, &own->saved, false);
    }
}

static void destroy(struct link *link)
{
    oracle_counts(link->world, link);
    sim_destroy(link->sim);
    link->sim = NULL;
}

void link_break(struct link *link, int crashed)
{
    struct world *world = link->world;

    if (!link->sim)
        return;
    trace(world, "link of client %zu breaks", link->client);
    for (int side = 0; side < 2; side++) {
        size_t party = side == SIM_CLIENT ? link->client : link->provider;

        if (crashed == (int)party)
            continue;
        look(link, (enum sim_side)side, false);
        ww_transfer_lost(link->sim->ends[side].transfer, WW_ECLOSED, link->sim->now_us);
        hand_on(link, (enum sim_side)side);
        end_missing(link, (enum sim_side)side, true);
    }
    destroy(link);
}

/* --- traffic ---------------------------------------------------------------------------------- */

/* What the client's streams are for, signed; the liar's has an address of a private network. */
static void declare(struct link *link)
{
    struct world *world = link->world;
    const struct party *client = &world->parties[link->client];
    struct ww_transfer *transfer = link->sim->ends[SIM_CLIENT].transfer;
    struct ww_transfer_contract_info info[4];
    size_t count = ww_transfer_contracts(transfer, info, 4);
    uint8_t bytes[WORLD_PROOF_BYTES];
    struct ww_buf out = {.data = bytes, .capacity = sizeof(bytes), .limit = sizeof(bytes)};
    struct ww_declaration declaration = {.batch = link->batch + 1,
                                         .list_version = 1,
                                         .dest_count = 2,
                                         .dests = {sim_dest(false), sim_dest(true)}};

    if (count == 0 || info[0].state != WW_TC_CURRENT ||
        ww_transfer_declaration_is_waiting(transfer))
        return;
    declaration.contract_id = info[0].id;
    memcpy(declaration.epoch, client->epoch, WW_EPOCH_SIZE);
    if (client->lie == LIE_DENIED && world_chance(world, 100000))
        declaration.dests[1].address[0] = 10;
    CHECK(world, ww_wire_declaration_encode(&declaration, &out) == 0, "no declaration");
    sign_bytes(client, "ww declaration 1", bytes, out.size - WW_SIGNATURE_BYTES,
               bytes + out.size - WW_SIGNATURE_BYTES);
    if (ww_transfer_declare(transfer, bytes, out.size, link->sim->now_us) == 0)
        link->batch++;
}

static void send_something(struct link *link)
{
    struct world *world = link->world;
    struct sim *sim = link->sim;
    bool is_flow = world_chance(world, 250000);
    uint64_t id;

    if (link->streams_left && !link->is_ending && world_chance(world, 400000) &&
        sim_open(sim, is_flow, world_random(world, 0, 120000), true, &id) == 0)
        link->streams_left--;
    if (world_chance(world, 100000))
        declare(link);
    for (id = 0; id < STREAMS_OPEN && sim->ends[SIM_CLIENT].streams[id].is_known; id++) {
        if (!sim->ends[SIM_CLIENT].streams[id].is_flow ||
            !sim->ends[SIM_CLIENT].streams[id].is_accepted)
            continue;
        (void)sim_datagram(sim, SIM_CLIENT, id, world_random(world, 1, WW_DATAGRAM_BYTES_MAX));
        (void)sim_datagram(sim, SIM_PROVIDER, id, world_random(world, 1, WW_DATAGRAM_BYTES_MAX));
    }
    if (!world->is_healed && world_chance(world, world->fault_ppm / 4))
        sim->pool_faults = 2;
}

static void end_when_done(struct link *link)
{
    struct ww_transfer_contract_info info[4];
    struct world *world = link->world;

    if (!link->is_ending && ((link->streams_left == 0 && sim_is_delivered(link->sim)) ||
                             world->is_healed || world_chance(world, 500))) {
        link->is_ending = true;
        link->paused_until_us = world->now_us + PATIENCE_US; /* how long it may take */
        (void)ww_transfer_contract_end(link->sim->ends[SIM_CLIENT].transfer, link->sim->now_us);
    }
    if (!link->is_ending)
        return;
    if (ww_transfer_contracts(link->sim->ends[SIM_CLIENT].transfer, info, 4) == 0 &&
        ww_transfer_contracts(link->sim->ends[SIM_PROVIDER].transfer, info, 4) == 0) {
        trace(world, "link of client %zu ends", link->client);
        end_missing(link, SIM_CLIENT, true);
        end_missing(link, SIM_PROVIDER, true);
        destroy(link);
    } else if (link->paused_until_us < world->now_us) {
        link_break(link, -1);
    }
}

void link_run(struct link *link, uint64_t duration_us)
{
    struct sim *sim = link->sim;

    if (!sim || (!link->is_ending && link->paused_until_us > link->world->now_us))
        return;
    send_something(link);
    sim_run(sim, duration_us);
    CHECK(link->world, !sim->ends[0].failed_code && !sim->ends[1].failed_code,
          "a connection of honest transfers fails: %s%s", sim->ends[0].failed_why,
          sim->ends[1].failed_why);
    for (int side = 0; side < 2; side++) {
        look(link, (enum sim_side)side, false);
        hand_on(link, (enum sim_side)side);
    }
    end_missing(link, SIM_CLIENT, false);
    if (link->denied)
        link_break(link, -1);
    else
        end_when_done(link);
}

/* --- contracts -------------------------------------------------------------------------------- */

int link_offer(struct link *link, struct deal *deal)
{
    if (!link->sim || link->provider != deal->provider || link->is_ending)
        return WW_ENOCONTRACT;
    return ww_transfer_contract_offer(link->sim->ends[SIM_CLIENT].transfer, deal->token_bytes,
                                      deal->token_size, &deal->token, link->sim->now_us);
}

void link_confirm(struct world *world, struct deal *deal)
{
    struct link *link = &world->links[deal->client];

    if (link->sim && link->provider == deal->provider)
        ww_transfer_contract_confirmed(link->sim->ends[SIM_PROVIDER].transfer, &deal->id);
}

bool link_wants_contract(struct link *link)
{
    struct ww_transfer_contract_info info[4];

    if (!link->sim)
        return true;
    if (link->is_ending)
        return false;
    unsigned wanted = link->sim->ends[SIM_CLIENT].wanted_count;
    if (ww_transfer_contracts(link->sim->ends[SIM_CLIENT].transfer, info, 4) > 0 &&
        wanted == link->wanted)
        return false;
    link->wanted = wanted;
    return true;
}

void link_save(struct world *world, size_t party)
{
    for (size_t i = 0; i < world->client_count; i++) {
        struct link *link = &world->links[i];

        if (!link->sim)
            continue;
        if (link->client == party)
            look(link, SIM_CLIENT, true);
        else if (link->provider == party)
            look(link, SIM_PROVIDER, true);
    }
}
