/* The arbiter: its messages, its books, its clock and its crashes. What a step means in the books
 * is the real arbiter's (ww/book.h); what policies, routes and the pool of threads do around it is
 * played. Whatever it answers leaves after the commit. */
#include <stdio.h>
#include <string.h>

#include "world.h"
#include "ww/account.h"

#define TICK_US   (250 * MS)
#define JUDGE_US  (60 * S)
#define RECALL_US (4 * S)
#define UPTIME    "uptime"
#define OFFER_TOP (600 << 10)

static const char *const assets[WORLD_ASSETS] = {"usd", "xch"};

void arbiter_sim_now(const struct world *world, struct ww_contract_event *event)
{
    const struct arbiter_sim *arbiter = &world->arbiter;

    event->now_s = world_wall_s(world);
    event->now_ms = arbiter->uptime_base_ms + (world->now_us - arbiter->started_us) / 1000;
    event->start_ms = arbiter->uptime_base_ms;
}

static void answer(struct world *world, enum mail_kind kind, size_t party, size_t deal)
{
    struct arbiter_sim *arbiter = &world->arbiter;

    if (arbiter->reply_count < WORLD_MAIL_MAX)
        arbiter->replies[arbiter->reply_count++] =
            (struct mail){.kind = kind, .party = party, .deal = deal};
}

void arbiter_sim_ban(struct world *world, size_t party)
{
    char key[32];

    snprintf(key, sizeof(key), "ban/%zu", party);
    CHECK(world, ww_ledger_put(world->arbiter.ledger, key, "x", 1) == 0, "a ban is not written");
    world->bans += !world->arbiter.banned[party];
    world->arbiter.banned[party] = world->arbiter.cut_due = world->arbiter.is_dirty = true;
    world->parties[party].was_banned = true;
}

/* Who is not banned is told to close. Said again and again: a node whose socket broke comes back
 * and asks (lua/node/edge.lua). */
static void recall(struct world *world, struct deal *deal)
{
    deal->recall_us = world->now_us + RECALL_US;
    for (int side = 0; side < 2; side++) {
        if (!deal->terms.banned[side] && !deal->terms.closes[side].present)
            answer(world, MAIL_CUT, world_party(deal, (enum ww_contract_party)side),
                   (size_t)(deal - world->deals));
    }
}

static void drop_declaration(struct world *world, const struct deal *deal)
{
    const void *value = NULL;
    size_t size = 0;
    char key[WORLD_CASE_KEY];

    world_case_key(world, deal, key);
    if (ww_ledger_get(world->arbiter.ledger, key, &value, &size) == 0)
        CHECK(world, ww_ledger_put(world->arbiter.ledger, key, NULL, 0) == 0, "a case stays");
}

int arbiter_sim_apply(struct world *world, struct deal *deal, struct ww_contract_event *event)
{
    static const char *const names[] = {"accept",   "decline", "opened",  "close", "alive",
                                        "verified", "cut",     "verdict", "tick",  "restart"};
    struct ww_contract after = deal->terms;
    struct ww_contract_outcome outcome;
    struct ww_contract_booked booked;

    arbiter_sim_now(world, event);
    int rc = ww_contract_step(&after, event, &outcome);
    if (!rc)
        rc = ww_contract_book(world->arbiter.ledger, &after, &outcome, &booked);
    trace(world, "deal %zu %s by %d: rc %d action %d used %llu%s%s", (size_t)(deal - world->deals),
          names[event->kind], event->party, rc, rc ? 0 : (int)outcome.action,
          rc ? 0ULL : (unsigned long long)outcome.used, !rc && outcome.why ? ", " : "",
          !rc && outcome.why ? outcome.why : "");
    CHECK(world, rc == 0 || rc == WW_ESTATE || rc == WW_EINVAL, "a step answers %d", rc);
    if (rc)
        return rc;
    if (event->party == WW_CONTRACT_PROVIDER || event->kind == WW_CONTRACT_EV_OPENED ||
        event->kind == WW_CONTRACT_EV_ACCEPT)
        deal->heard_us = world->now_us;
    CHECK(world, ww_account_book(world->arbiter.ledger, &after, &outcome, event->now_s) == 0,
          "what a step means for its networks is not written");
    oracle_step(world, deal, &after, &outcome, &booked);
    deal->terms = after;
    deal->is_live = !booked.gone;
    if (booked.gone)
        drop_declaration(world, deal);
    if (outcome.action == WW_CONTRACT_VERIFY)
        deal->is_verifying = true; /* until court_verify, or a crash */
    if (outcome.action == WW_CONTRACT_RECALL)
        recall(world, deal);
    if (outcome.action != WW_CONTRACT_NOTHING)
        deal->is_dirty = world->arbiter.is_dirty = true;
    for (int side = 0; side < 2; side++) {
        if (outcome.ban[side])
            arbiter_sim_ban(world, world_party(deal, (enum ww_contract_party)side));
    }
    oracle_books(world);
    return 0;
}

/* --- requests --------------------------------------------------------------------------------- */

static bool is_locked(const struct world *world, size_t client, size_t provider)
{
    for (size_t i = 0; i < world->deal_count; i++) {
        const struct deal *deal = &world->deals[i];

        if (deal->is_live && deal->terms.state == WW_CONTRACT_DISPUTED &&
            ((deal->client == client && deal->provider == provider) ||
             (deal->provider == provider && !deal->terms.closes[WW_CONTRACT_PROVIDER].present)))
            return true;
    }
    return world->arbiter.banned[client] || world->arbiter.banned[provider];
}

static void fill_terms(struct world *world, struct deal *deal, uint64_t bytes)
{
    size_t number = (size_t)(deal - world->deals);
    struct ww_contract *terms = &deal->terms;
    struct ww_contract_event now = {0};

    arbiter_sim_now(world, &now);
    ww_prng_fill(&world->prng, deal->id.bytes, sizeof(deal->id.bytes));
    deal->id.bytes[15] = (uint8_t)number;
    *terms = (struct ww_contract){
        .id = deal->id,
        .client_network.bytes = {1, (uint8_t)world->parties[deal->client].network},
        .provider_network.bytes = {1, (uint8_t)world->parties[deal->provider].network},
        .client = world->parties[deal->client].node,
        .provider = world->parties[deal->provider].node,
        .bytes = bytes,
        .stat_id = 1,
        .price_ppm = 1000000,
        .list_version = 1,
        .issued_s = now.now_s,
        .open_by_s = now.now_s + WW_OPEN_BY_S,
        .expires_s = now.now_s + WW_EXPIRES_S,
        .state = WW_CONTRACT_OFFERED,
        .waiting_since_ms = now.now_ms,
        .alive_ms = now.now_ms,
    };
    uint64_t asked =
        world_random(world, 0, 2) ? world_random(world, 65536, 90000) : WW_CONTRACT_WINDOW_BYTES;
    terms->window_bytes = ww_account_window_cap(world->arbiter.ledger, terms, asked);
    CHECK(world, terms->window_bytes == standing_window(world, deal, asked),
          "deal %zu has a window cap of %llu", number, (unsigned long long)terms->window_bytes);
    deal->part_count = world_random(world, 0, WORLD_ASSETS);
    for (size_t i = 0; i < deal->part_count; i++) {
        snprintf(deal->parts[i].asset, sizeof(deal->parts[i].asset), "%s", assets[i]);
        deal->parts[i].amount = ww_amount_from_u64(bytes * world_random(world, 1, 9) / 7);
    }
}

static void take_request(struct world *world, const struct mail *mail)
{
    struct deal *deal = &world->deals[world->deal_count];
    uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX];

    if (world->deal_count == world->deals_wanted || is_locked(world, mail->party, mail->other)) {
        answer(world, MAIL_REFUSED, mail->party, 0);
        return;
    }
    memset(deal, 0, sizeof(*deal));
    deal->client = mail->party;
    deal->provider = mail->other;
    fill_terms(world, deal, WW_MIN(mail->number, (uint64_t)OFFER_TOP));
    size_t size = ww_contract_encode(&deal->terms, record);
    int rc = ww_ledger_reserve(world->arbiter.ledger, &deal->id, &deal->terms.client_network,
                               deal->parts, deal->part_count, record, size);
    if (rc) {
        CHECK(world, rc == WW_EFUNDS, "a reservation answers %d", rc);
        answer(world, MAIL_REFUSED, mail->party, 0);
        return;
    }
    trace(world, "deal %zu: client %zu, provider %zu, %llu bytes", world->deal_count, mail->party,
          mail->other, (unsigned long long)deal->terms.bytes);
    deal->is_live = deal->is_dirty = world->arbiter.is_dirty = true;
    answer(world, MAIL_OFFER, mail->other, world->deal_count++);
    oracle_books(world);
}

static void make_token(struct world *world, struct deal *deal)
{
    struct ww_buf buf;

    ww_contract_token(&deal->terms, &deal->token);
    ww_buf_init(&buf, WW_TOKEN_BYTES_MAX);
    CHECK(world, ww_wire_token_encode(&deal->token, &buf) == 0, "no token");
    memcpy(deal->token_bytes, buf.data, buf.size);
    deal->token_size = buf.size;
    ww_buf_deinit(&buf);
}

static void take_answer(struct world *world, struct deal *deal, const struct mail *mail)
{
    struct ww_contract_event event = {.kind = mail->number ? WW_CONTRACT_EV_ACCEPT
                                                           : WW_CONTRACT_EV_DECLINE,
                                      .window_bytes = mail->number};

    if (!deal->is_live || arbiter_sim_apply(world, deal, &event))
        return;
    if (!deal->is_live) {
        answer(world, MAIL_REFUSED, deal->client, mail->deal);
        return;
    }
    make_token(world, deal);
    answer(world, MAIL_TOKEN, deal->client, mail->deal);
}

static void take_alive(struct world *world, struct deal *deal, const struct mail *mail)
{
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_ALIVE,
                                      .party = world_side(deal, mail->party)};

    event.receipt.size = (uint8_t)mail->size;
    memcpy(event.receipt.bytes, mail->bytes, mail->size);
    (void)arbiter_sim_apply(world, deal, &event);
}

/* As arbiter_case.c, in the batch of the close. */
static void keep_declaration(struct world *world, const struct deal *deal,
                             enum ww_contract_party party, const struct ww_close *record)
{
    char key[WORLD_CASE_KEY];

    if (party == WW_CONTRACT_PROVIDER && record->declaration_size &&
        deal->terms.state != WW_CONTRACT_OFFERED && !deal->terms.closes[party].present)
        CHECK(world,
              ww_ledger_put(world->arbiter.ledger, world_case_key(world, deal, key),
                            record->declaration, record->declaration_size) == 0,
              "a declaration is not kept");
}

static void take_close(struct world *world, struct deal *deal, const struct mail *mail)
{
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_CLOSE,
                                      .party = world_side(deal, mail->party)};
    struct ww_close record;
    size_t signed_size = 0;

    if (ww_wire_close_decode(mail->bytes, mail->size, &record, &signed_size) ||
        !ww_id_equal(&record.contract_id, &deal->id) ||
        !sign_is_good(&world->parties[mail->party], "ww close 1", mail->bytes, signed_size,
                      record.signature)) {
        answer(world, MAIL_CLOSE_DONE, mail->party, mail->deal);
        return;
    }
    ww_contract_close_fill(&record, &event.close);
    event.receipt = mail->second;
    keep_declaration(world, deal, event.party, &record);
    if (mail->party == deal->provider)
        court_note_receipt(world, deal, &event.close.receipt);
    if (arbiter_sim_apply(world, deal, &event))
        return;
    answer(world, MAIL_CLOSE_DONE, mail->party, mail->deal);
    /* As lua/arbiter/contracts.lua: only the provider can promise that it will take no OPEN. */
    if (deal->is_live && deal->terms.state == WW_CONTRACT_ACTIVE && mail->party == deal->client)
        answer(world, MAIL_UNOPENED, deal->provider, mail->deal);
}

void arbiter_sim_take(struct world *world, const struct mail *mail)
{
    struct deal *deal = &world->deals[mail->deal];
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_OPENED};

    if (mail->kind == MAIL_REQUEST) {
        take_request(world, mail);
        return;
    }
    if (world->arbiter.banned[mail->party])
        return; /* every request of it is refused */
    if (!deal->is_live && mail->kind != MAIL_ANSWER) {
        answer(world, MAIL_GONE, mail->party, mail->deal);
        return;
    }
    switch (mail->kind) {
    case MAIL_ANSWER:
        take_answer(world, deal, mail);
        break;
    case MAIL_OPENED:
        if (arbiter_sim_apply(world, deal, &event) == 0)
            answer(world, MAIL_OPENED_DONE, mail->party, mail->deal);
        break;
    case MAIL_ALIVE:
        take_alive(world, deal, mail);
        break;
    case MAIL_CLOSE:
        take_close(world, deal, mail);
        break;
    case MAIL_REQUEST:
    case MAIL_OFFER:
    case MAIL_TOKEN:
    case MAIL_REFUSED:
    case MAIL_OPENED_DONE:
    case MAIL_CLOSE_DONE:
    case MAIL_GONE:
    case MAIL_UNOPENED:
    case MAIL_CUT:
        break;
    }
}

/* --- time ------------------------------------------------------------------------------------- */

static void store_uptime(struct world *world, uint64_t now_ms)
{
    uint8_t value[8];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};

    ww_buf_put_u64(&out, now_ms);
    CHECK(world, ww_ledger_put(world->arbiter.ledger, UPTIME, value, sizeof(value)) == 0,
          "up-time is not written");
    world->arbiter.uptime_put_ms = now_ms;
    world->arbiter.is_dirty = true;
}

static void cut_banned(struct world *world)
{
    world->arbiter.cut_due = false;
    for (size_t i = 0; i < world->deal_count; i++) {
        struct deal *deal = &world->deals[i];
        struct ww_contract_event event = {
            .kind = WW_CONTRACT_EV_CUT,
            .banned = {world->arbiter.banned[deal->client], world->arbiter.banned[deal->provider]},
        };

        if (deal->is_live && (event.banned[0] || event.banned[1]))
            (void)arbiter_sim_apply(world, deal, &event);
    }
}

static void tick(struct world *world)
{
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_TICK};

    arbiter_sim_now(world, &event);
    world->arbiter.tick_us = world->now_us + TICK_US;
    if (event.now_ms - world->arbiter.uptime_put_ms >= WW_UPTIME_EVERY_S * 1000ULL)
        store_uptime(world, event.now_ms);
    if (world->arbiter.cut_due)
        cut_banned(world);
    for (size_t i = 0; i < world->deal_count; i++) {
        struct deal *deal = &world->deals[i];

        if (deal->is_live && !deal->is_verifying &&
            ww_contract_deadline_ms(&deal->terms, &event) <= event.now_ms)
            (void)arbiter_sim_apply(world, deal, &event);
        if (world_is_cut(deal) && deal->recall_us <= world->now_us)
            recall(world, deal);
    }
}

static void note_rc(void *arg, int rc)
{
    *(int *)arg = rc;
}

static int commit(struct world *world)
{
    int result = 1;
    int rc = ww_ledger_commit(world->arbiter.ledger, note_rc, &result);

    if (rc)
        return rc;
    while (result == 1)
        ww_loop_turn(world->arbiter.loop, 10000);
    return result;
}

/* A crash before the commit, a disk that fails it, a crash before the answers. */
static void commit_and_answer(struct world *world)
{
    struct arbiter_sim *arbiter = &world->arbiter;
    bool may_fail = !world->is_healed;

    if (may_fail && world_chance(world, world->fault_ppm / 8)) {
        arbiter_sim_crash(world);
        return;
    }
    if (arbiter->is_dirty) {
        if (may_fail && world_chance(world, world->fault_ppm / 8)) {
            arbiter->is_torn = world_random(world, 0, 1);
            if (arbiter->is_torn)
                ww_store_memory_tear_write(arbiter->store, 1, world_random(world, 0, 4));
            else
                ww_store_memory_fail_write(arbiter->store, 1);
        }
        int rc = commit(world);
        if (rc) {
            CHECK(world, rc == WW_EIO && may_fail, "a commit answers %d", rc);
            ww_store_memory_fail_write(arbiter->store, 0);
            world->disk_faults++;
            arbiter_sim_crash(world);
            return;
        }
        arbiter->is_dirty = false;
        oracle_committed(world);
    }
    if (may_fail && world_chance(world, world->fault_ppm / 8)) {
        arbiter_sim_crash(world);
        return;
    }
    for (size_t i = 0; i < arbiter->reply_count; i++)
        mail_send(world, &arbiter->replies[i]);
    arbiter->reply_count = 0;
}

void arbiter_sim_turn(struct world *world)
{
    struct arbiter_sim *arbiter = &world->arbiter;

    if (!arbiter->ledger) {
        if (arbiter->down_until_us > world->now_us || world->is_given_up)
            return;
        arbiter_sim_open(world);
        if (world->is_given_up)
            return;
    }
    if (arbiter->tick_us <= world->now_us)
        tick(world);
    for (size_t i = 0; i < world->deal_count; i++) {
        if (world->deals[i].is_live && world->deals[i].is_verifying && world_random(world, 0, 3))
            court_verify(world, &world->deals[i]);
    }
    if (arbiter->judge_us <= world->now_us) {
        arbiter->judge_us = world->now_us + JUDGE_US;
        court_run(world);
    }
    if (arbiter->is_dirty || arbiter->reply_count)
        commit_and_answer(world);
}

/* --- start and crash -------------------------------------------------------------------------- */

static void load_contract(void *arg, const struct ww_id *id, const struct ww_id *payer,
                          bool disputed, const struct ww_part *parts, size_t part_count,
                          const void *record, size_t record_size)
{
    struct world *world = arg;
    struct deal *deal = world_find(world, id);

    (void)payer, (void)parts, (void)part_count;
    CHECK(world, deal, "the books have a contract that nobody made");
    CHECK(world,
          ww_contract_decode(record, record_size, world->arbiter.uptime_base_ms, &deal->terms) == 0,
          "a record of the books can't be read");
    CHECK(world, disputed == (deal->terms.state == WW_CONTRACT_DISPUTED), "disputed, or not");
    deal->is_live = true;
}

static void load(struct world *world)
{
    struct arbiter_sim *arbiter = &world->arbiter;
    const void *value = NULL;
    size_t size = 0;
    struct ww_cursor in;

    arbiter->started_us = world->now_us;
    arbiter->uptime_base_ms = 0;
    if (ww_ledger_get(arbiter->ledger, UPTIME, &value, &size) == 0) {
        ww_cursor_init(&in, value, size);
        arbiter->uptime_base_ms = ww_cursor_u64(&in);
    }
    arbiter->uptime_put_ms = arbiter->uptime_base_ms;
    for (size_t i = 0; i < world->deal_count; i++)
        world->deals[i].is_live = world->deals[i].is_verifying = false;
    ww_ledger_each_contract(arbiter->ledger, load_contract, world);
    for (size_t i = 0; i < world->party_count; i++) {
        char key[32];

        snprintf(key, sizeof(key), "ban/%zu", i);
        arbiter->banned[i] = ww_ledger_get(arbiter->ledger, key, &value, &size) == 0;
    }
}

static int open_books(struct world *world, char *why, size_t why_size)
{
    struct arbiter_sim *arbiter = &world->arbiter;

    CHECK(world, ww_loop_create(&arbiter->loop) == 0, "no loop");
    CHECK(world, ww_committer_create(arbiter->store, arbiter->loop, &arbiter->committer) == 0,
          "no committer");
    int rc = ww_ledger_open(arbiter->store, arbiter->loop, arbiter->committer, &arbiter->ledger,
                            why, why_size);
    if (rc)
        arbiter_sim_close(world);
    return rc;
}

/* As a person would: `ww ledger cut-tail`. What was torn was never acknowledged, so nothing may be
 * missing afterwards. A torn snapshot is noticed, and that is all: false. */
static bool repair(struct world *world)
{
    struct ww_ledger_tail tail;
    int rc = ww_ledger_tail(world->arbiter.store, &tail);

    trace(world, "a write was torn: %s", tail.why);
    world->repairs++;
    if (rc == WW_ECORRUPT)
        return false;
    CHECK(world, rc == 0 && tail.first > 0, "a damaged tail is not found");
    CHECK(world, ww_ledger_cut_tail(world->arbiter.store, &tail) == 0, "the tail stays");
    return true;
}

void arbiter_sim_open(struct world *world)
{
    struct arbiter_sim *arbiter = &world->arbiter;
    char why[256] = "";

    int rc = open_books(world, why, sizeof(why));
    if (rc == WW_ECORRUPT && arbiter->is_torn) {
        world->is_given_up = !repair(world);
        if (world->is_given_up)
            return;
        rc = open_books(world, why, sizeof(why));
    }
    CHECK(world, rc == 0, "the books don't open: %d %s", rc, why);
    if (arbiter->is_torn)
        oracle_torn(world);
    arbiter->is_torn = false;
    load(world);
    trace(world, "arbiter starts, %zu contracts", ww_ledger_contract_count(arbiter->ledger));
    oracle_restarted(world);
    arbiter->reply_count = 0;
    arbiter->is_dirty = false;
    arbiter->cut_due = true;
    arbiter->tick_us = arbiter->judge_us = world->now_us;
    for (size_t i = 0; i < world->deal_count; i++) {
        struct ww_contract_event event = {.kind = WW_CONTRACT_EV_RESTART};

        if (world->deals[i].is_live)
            (void)arbiter_sim_apply(world, &world->deals[i], &event);
    }
}

void arbiter_sim_close(struct world *world)
{
    struct arbiter_sim *arbiter = &world->arbiter;

    ww_ledger_close(arbiter->ledger);
    arbiter->ledger = NULL;
    ww_committer_destroy(arbiter->committer);
    arbiter->committer = NULL;
    ww_loop_destroy(arbiter->loop);
    arbiter->loop = NULL;
    arbiter->reply_count = 0;
}

void arbiter_sim_crash(struct world *world)
{
    uint64_t most_us = world_chance(world, 200000) ? 900 * S : 5 * S;

    trace(world, "arbiter crashes");
    arbiter_sim_close(world);
    ww_store_memory_drop_unsynced(world->arbiter.store);
    world->arbiter.down_until_us = world->now_us + world_random(world, 50 * MS, most_us);
    world->outages++;
}
