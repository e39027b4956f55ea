/* Clients and providers: what they ask and report, what of it is durable, how they crash and come
 * back. As engine/node/edge_close.c and edge_open.c: a report is repeated until the arbiter has it;
 * counts of what is open are stored once a second. */
#include <string.h>

#include "world.h"

static void say(struct world *world, enum mail_kind kind, size_t party, size_t deal)
{
    struct mail mail = {.kind = kind, .party = party, .deal = deal};

    mail_send(world, &mail);
}

void party_ended(struct world *world, struct deal *deal, enum ww_contract_party side,
                 const struct ww_transfer_counts *counts, bool clean)
{
    struct side *own = &deal->sides[side];
    const struct party *party = &world->parties[world_party(deal, side)];
    struct ww_contract_close *close = &own->close;

    if (own->state == SIDE_CLOSING || own->state == SIDE_DONE)
        return;
    own->saved = *counts;
    own->state = SIDE_CLOSING;
    own->is_clean = clean;
    own->retry_us = world->now_us;
    memset(close, 0, sizeof(*close));
    close->present = true;
    close->reason = WW_CLOSE_LOST;
    if (clean)
        close->reason = WW_CLOSE_DONE;
    if (!own->was_opened)
        close->reason = WW_CLOSE_NEVER_OPENED;
    if (own->proof_size)
        close->reason = WW_CLOSE_DENIED;
    close->bytes_up = counts->bytes_up;
    close->bytes_down = counts->bytes_down;
    close->first_ms = close->last_ms = counts->bytes_up + counts->bytes_down ? 1 : 0;
    memcpy(close->epoch, party->epoch, WW_EPOCH_SIZE);
    close->receipt.size = (uint8_t)counts->receipt_size;
    memcpy(close->receipt.bytes, counts->receipt, counts->receipt_size);
    trace(world, "deal %zu ends at the %s: %llu up, %llu down%s", (size_t)(deal - world->deals),
          side == WW_CONTRACT_CLIENT ? "client" : "provider", (unsigned long long)counts->bytes_up,
          (unsigned long long)counts->bytes_down, clean ? ", cleanly" : "");
}

/* --- messages --------------------------------------------------------------------------------- */

static void take_offer(struct world *world, const struct mail *mail)
{
    struct mail answer = {.kind = MAIL_ANSWER, .party = mail->party, .deal = mail->deal};

    if (!world_chance(world, 950000)) {
        if (world_random(world, 0, 1))
            return; /* no answer at all */
    } else {
        answer.number = world_random(world, 0, 1) ? WW_CONTRACT_WINDOW_BYTES
                                                  : world_random(world, 65536, 1 << 20);
    }
    mail_send(world, &answer);
}

static void take_token(struct world *world, struct deal *deal)
{
    struct side *own = &deal->sides[WW_CONTRACT_CLIENT];
    struct link *link = &world->links[deal->client];
    const struct ww_transfer_counts none = {0};

    if (own->state != SIDE_NONE)
        return;
    own->state = SIDE_TOKEN;
    int rc = link->sim || world->is_healed ? 0 : link_open(world, deal->client, deal->provider);
    if (!rc)
        rc = link_offer(link, deal);
    if (rc)
        party_ended(world, deal, WW_CONTRACT_CLIENT, &none, false);
}

void party_take(struct world *world, const struct mail *mail)
{
    struct deal *deal = &world->deals[mail->deal];
    enum ww_contract_party side = world_side(deal, mail->party);
    struct side *own = &deal->sides[side];
    const struct ww_transfer_counts none = {0};

    switch (mail->kind) {
    case MAIL_OFFER:
        take_offer(world, mail);
        break;
    case MAIL_TOKEN:
        take_token(world, deal);
        break;
    case MAIL_OPENED_DONE:
        own->is_confirmed = true;
        link_confirm(world, deal);
        break;
    case MAIL_CLOSE_DONE:
        if (own->state != SIDE_CLOSING)
            break;
        if (world->parties[mail->party].lie == LIE_TWICE && own->closes_sent < 2)
            own->retry_us = world->now_us;
        else
            own->state = SIDE_DONE;
        break;
    case MAIL_GONE:
        if (own->state == SIDE_OPEN)
            link_break(&world->links[deal->client], -1);
        if (own->state == SIDE_CLOSING)
            own->state = SIDE_DONE;
        break;
    case MAIL_UNOPENED:
        if (own->state == SIDE_NONE)
            party_ended(world, deal, WW_CONTRACT_PROVIDER, &none, false);
        break;
    case MAIL_CUT:
        if (own->state == SIDE_NONE || own->state == SIDE_TOKEN)
            party_ended(world, deal, side, &none, false);
        else if (own->state == SIDE_OPEN)
            link_break(&world->links[deal->client], -1);
        break;
    case MAIL_REFUSED:
    case MAIL_REQUEST:
    case MAIL_ANSWER:
    case MAIL_OPENED:
    case MAIL_ALIVE:
    case MAIL_CLOSE:
        break;
    }
}

/* --- time ------------------------------------------------------------------------------------- */

static void send_close(struct world *world, size_t number, enum ww_contract_party side)
{
    struct deal *deal = &world->deals[number];
    struct mail mail = {.kind = MAIL_CLOSE, .party = world_party(deal, side), .deal = number};

    deal->sides[side].retry_us = world->now_us + world_random(world, 1 * S, 8 * S);
    mail.size = lies_encode_close(world, deal, side, mail.bytes);
    mail.second.size = (uint8_t)deal->sides[side].second_size;
    memcpy(mail.second.bytes, deal->sides[side].second, mail.second.size);
    deal->sides[side].closes_sent++;
    if (mail.size)
        mail_send(world, &mail);
}

static void tick_deal(struct world *world, size_t number, enum ww_contract_party side)
{
    struct deal *deal = &world->deals[number];
    struct side *own = &deal->sides[side];
    size_t party = world_party(deal, side);

    if (own->state == SIDE_CLOSING && own->retry_us <= world->now_us) {
        send_close(world, number, side);
    } else if (own->state == SIDE_OPEN) {
        if (side == WW_CONTRACT_PROVIDER && !own->is_confirmed && own->retry_us <= world->now_us) {
            own->retry_us = world->now_us + world_random(world, 1 * S, 3 * S);
            say(world, MAIL_OPENED, party, number);
        }
        if (own->alive_us <= world->now_us && world->parties[party].lie != LIE_SILENT) {
            struct mail mail = {.kind = MAIL_ALIVE, .party = party, .deal = number};

            own->alive_us = world->now_us + WW_ALIVE_EVERY_S * S;
            mail.size = own->saved.receipt_size;
            memcpy(mail.bytes, own->saved.receipt, mail.size);
            mail_send(world, &mail);
        }
    }
}

/* The next contract for the connection, or the first one of the next. */
static void wish(struct world *world, size_t party)
{
    struct link *link = &world->links[party];
    struct mail mail = {.kind = MAIL_REQUEST, .party = party};

    if (world->parties[party].wish_us > world->now_us || !link_wants_contract(link))
        return;
    world->parties[party].wish_us = world->now_us + world_random(world, 150 * MS, 1 * S);
    mail.other = link->sim ? link->provider
                           : world_random(world, world->client_count, world->party_count - 1);
    mail.number = world_random(world, 0, 1) ? world_random(world, 20000, 150000)
                                            : world_random(world, 1, 600000);
    mail_send(world, &mail);
}

void party_tick(struct world *world, size_t number)
{
    struct party *party = &world->parties[number];

    if (!party->is_up) {
        if (party->down_until_us > world->now_us)
            return;
        party_start(world, number);
    }
    if (party->save_us <= world->now_us) {
        party->save_us = world->now_us + WW_NODE_SAVE_MS * MS;
        link_save(world, number);
    }
    for (size_t i = 0; i < world->deal_count; i++) {
        if (world->deals[i].client == number)
            tick_deal(world, i, WW_CONTRACT_CLIENT);
        else if (world->deals[i].provider == number)
            tick_deal(world, i, WW_CONTRACT_PROVIDER);
    }
    if (!party->is_provider && !world->is_healed)
        wish(world, number);
}

/* --- crashes ---------------------------------------------------------------------------------- */

void party_crash(struct world *world, size_t number)
{
    struct party *party = &world->parties[number];

    if (!party->is_up)
        return;
    trace(world, "party %zu crashes", number);
    for (size_t i = 0; i < world->client_count; i++) {
        struct link *link = &world->links[i];

        if (!link->sim || (link->client != number && link->provider != number))
            continue;
        for (uint64_t steps = world_random(world, 0, 9); steps > 0; steps--)
            (void)sim_step(link->sim, link->sim->now_us + 5 * MS);
        link_break(link, (int)number);
    }
    party->is_up = false;
    party->down_until_us =
        world->now_us +
        world_random(world, 100 * MS, world_chance(world, 100000) ? 1200 * S : 5 * S);
    world->crashes++;
}

/* As edge_open_close_all: a provider claims what the client has signed, a client what it counted.
 */
void party_start(struct world *world, size_t number)
{
    struct party *party = &world->parties[number];

    party->is_up = true;
    party->epochs++;
    ww_prng_fill(&world->prng, party->epoch, WW_EPOCH_SIZE);
    party->save_us = party->wish_us = world->now_us;
    for (size_t i = 0; i < world->deal_count; i++) {
        struct deal *deal = &world->deals[i];
        enum ww_contract_party side = world_side(deal, number);
        struct side *own = &deal->sides[side];
        struct ww_transfer_counts counts = own->saved;
        struct ww_receipt receipt;

        if ((deal->client != number && deal->provider != number) ||
            (own->state != SIDE_TOKEN && own->state != SIDE_OPEN))
            continue;
        if (side == WW_CONTRACT_PROVIDER) {
            counts.bytes_up = counts.bytes_down = 0;
            if (counts.receipt_size &&
                ww_wire_receipt_decode(counts.receipt, counts.receipt_size, &receipt, NULL) == 0) {
                counts.bytes_up = receipt.bytes_acknowledged;
                counts.bytes_down = receipt.bytes_received;
            }
        }
        party_ended(world, deal, side, &counts, false);
    }
}
