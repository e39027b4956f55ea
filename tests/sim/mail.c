/* Messages between parties and the arbiter: late, out of order, lost and repeated, as when
 * connections break and requests are made again. Nothing comes to who is down or cut off. */
#include "world.h"

static bool is_for_arbiter(enum mail_kind kind)
{
    return kind <= MAIL_CLOSE;
}

static void add(struct world *world, const struct mail *mail)
{
    uint64_t delay_us = world_random(world, 500, world_chance(world, 50000) ? 2 * S : 20 * MS);

    if (world->mail_count == WORLD_MAIL_MAX)
        return; /* as lost as any other */
    struct mail *added = &world->mails[world->mail_count++];
    *added = *mail;
    added->at_us = world->now_us + delay_us;
    added->order = world->mail_order++;
}

void mail_send(struct world *world, const struct mail *mail)
{
    if (!world->is_healed && world_chance(world, world->loss_ppm))
        return;
    add(world, mail);
    if (!world->is_healed && world_chance(world, world->loss_ppm))
        add(world, mail);
}

static bool take_due(struct world *world, struct mail *mail)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < world->mail_count; i++) {
        const struct mail *at = &world->mails[i];

        if (at->at_us > world->now_us)
            continue;
        if (best == SIZE_MAX || at->at_us < world->mails[best].at_us ||
            (at->at_us == world->mails[best].at_us && at->order < world->mails[best].order))
            best = i;
    }
    if (best == SIZE_MAX)
        return false;
    *mail = world->mails[best];
    world->mails[best] = world->mails[--world->mail_count];
    return true;
}

void mail_deliver(struct world *world)
{
    struct mail mail;

    while (take_due(world, &mail)) {
        const struct party *party = &world->parties[mail.party];

        if (party->cut_until_us > world->now_us)
            continue;
        world->step++;
        if (is_for_arbiter(mail.kind) && world->arbiter.ledger)
            arbiter_sim_take(world, &mail);
        else if (!is_for_arbiter(mail.kind) && party->is_up)
            party_take(world, &mail);
    }
}
