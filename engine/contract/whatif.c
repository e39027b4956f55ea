/* What would become of a contract: see ww/whatif.h.
 *
 * Relies on the step function for what happens and on ledger for how money is shared; must never
 * decide either itself.
 */
#include "ww/whatif.h"

#include <string.h>

#include "internal.h"

#define MS_PER_S 1000ULL

static struct ww_contract begin(const struct ww_whatif_terms *terms)
{
    return (struct ww_contract){
        .bytes = terms->bytes,
        .window_bytes = terms->window_bytes,
        .state = WW_CONTRACT_OPEN,
        .expires_s = WW_EXPIRES_S,
    };
}

/* --- money ---------------------------------------------------------------------------------- */

static int share_split(struct ww_whatif *end, size_t part)
{
    struct ww_ledger_shares shares;
    struct ww_amount held = end->held[part];
    int rc = ww_ledger_shares(held, end->outcome.used, end->contract.disputed_bytes,
                              end->contract.bytes, &shares);

    if (rc)
        return rc;
    end->held[part] = shares.tail;
    rc = ww_amount_add(end->paid[part], shares.paid, &end->paid[part]);
    return rc ? rc : ww_amount_add(end->back[part], shares.rest, &end->back[part]);
}

static int share_end(struct ww_whatif *end, size_t part, uint64_t used, uint64_t total)
{
    struct ww_amount share, rest;
    int rc = ww_amount_prorate(end->held[part], used, total, &share, &rest);

    if (rc)
        return rc;
    end->held[part] = WW_AMOUNT_ZERO;
    rc = ww_amount_add(end->paid[part], share, &end->paid[part]);
    return rc ? rc : ww_amount_add(end->back[part], rest, &end->back[part]);
}

/* As ww_contract_book has the ledger do it. */
static int move(struct ww_whatif *end)
{
    const struct ww_contract_outcome *outcome = &end->outcome;
    int rc = 0;

    for (size_t part = 0; part < end->terms.part_count && !rc; part++) {
        if (outcome->action == WW_CONTRACT_SETTLE)
            rc = share_end(end, part, outcome->part, outcome->whole);
        else if (outcome->action == WW_CONTRACT_VOID)
            rc = share_end(end, part, 0, 1);
        else if (outcome->action == WW_CONTRACT_SPLIT)
            rc = share_split(end, part);
    }
    return rc;
}

/* --- steps ---------------------------------------------------------------------------------- */

struct playing {
    struct ww_whatif *end;
    bool forgive;
    bool look; /* the arbiter is to look at the signatures */
    bool over; /* the arbiter has forgotten the contract */
};

static bool is_word(enum ww_contract_action action)
{
    return action == WW_CONTRACT_SETTLE || action == WW_CONTRACT_VOID ||
           action == WW_CONTRACT_DISPUTE || action == WW_CONTRACT_SPLIT;
}

static int take(struct playing *playing, const struct ww_contract_event *event)
{
    struct ww_whatif *end = playing->end;
    struct ww_contract_outcome outcome;
    int rc = ww_contract_step(&end->contract, event, &outcome);

    if (rc)
        return rc;
    end->differed[WW_CONTRACT_CLIENT] |= outcome.differed[WW_CONTRACT_CLIENT];
    end->differed[WW_CONTRACT_PROVIDER] |= outcome.differed[WW_CONTRACT_PROVIDER];
    playing->look = outcome.action == WW_CONTRACT_VERIFY;
    if (!is_word(outcome.action))
        return 0;
    end->outcome = outcome;
    end->why = outcome.why;
    playing->over = outcome.action == WW_CONTRACT_SETTLE || outcome.action == WW_CONTRACT_VOID;
    return move(end);
}

/* The arbiter looks at the signatures, which prove what they are said to. */
static int verify(struct playing *playing)
{
    struct ww_whatif *end = playing->end;
    struct ww_contract_evidence evidence = {.denied = false};
    const struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERIFIED,
                                            .now_ms = end->now_ms,
                                            .evidence = &evidence,
                                            .forgive = playing->forgive};
    struct ww_contract looked = end->contract;

    evidence.sights[WW_CONTRACT_CLIENT][0] = (struct ww_contract_sight){
        .valid = end->terms.proven_bytes > 0,
        .receipt = {.epoch = {1}, .sequence = 1, .bytes_received = end->terms.proven_bytes}};
    ww_contract_examine(&looked, &evidence);
    ww_contract_weigh(&looked, &end->claims);
    end->may_forgive = looked.state != WW_CONTRACT_DISPUTED && end->claims.difference > 0 &&
                       end->claims.forgivable;
    return take(playing, &event);
}

static int step(struct playing *playing, struct ww_contract_event *event)
{
    int rc = 0;

    if (playing->over)
        return 0;
    event->now_ms = playing->end->now_ms;
    rc = take(playing, event);
    if (!rc && playing->look)
        rc = verify(playing);
    return rc;
}

static int close_once(struct playing *playing, const struct ww_whatif_claims *claims,
                      enum ww_contract_party party, uint64_t bytes)
{
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_CLOSE, .party = party};

    event.close.reason = WW_CLOSE_DONE;
    event.close.bytes_down = bytes;
    event.close.epoch[0] = party == WW_CONTRACT_CLIENT && claims->other_life ? 2 : 1;
    return step(playing, &event);
}

static int close_side(struct playing *playing, const struct ww_whatif_claims *claims,
                      enum ww_contract_party party)
{
    uint64_t bytes = claims->bytes[party];
    int rc = 0;

    if (!claims->closed[party])
        return 0;
    rc = close_once(playing, claims, party, bytes);
    if (!rc && claims->twice[party])
        rc = close_once(playing, claims, party, bytes > 0 ? bytes - 1 : 1);
    return rc;
}

/* Time passes until somebody's silence ends it. */
static int wait_for_end(struct playing *playing, const struct ww_whatif_claims *claims)
{
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_TICK};
    bool said = claims->closed[WW_CONTRACT_CLIENT] || claims->closed[WW_CONTRACT_PROVIDER];

    if (playing->over || playing->end->contract.state == WW_CONTRACT_DISPUTED)
        return 0;
    playing->end->waited_ms = (said ? WW_CLOSE_SILENCE_S : WW_ALIVE_SILENCE_S) * MS_PER_S;
    playing->end->now_ms += playing->end->waited_ms;
    event.now_s = playing->end->now_ms / MS_PER_S;
    return step(playing, &event);
}

int ww_whatif_play(const struct ww_whatif_terms *terms, const struct ww_whatif_claims *claims,
                   bool forgive, struct ww_whatif *end)
{
    struct playing playing = {.end = end, .forgive = forgive};
    /* Whoever signs two closes does so first: the other's might end it. */
    enum ww_contract_party first =
        claims->twice[WW_CONTRACT_CLIENT] ? WW_CONTRACT_CLIENT : WW_CONTRACT_PROVIDER;

    if (terms->bytes == 0 || terms->bytes > WW_CONTRACT_BYTES_MAX ||
        terms->proven_bytes > terms->bytes || terms->part_count > WW_CONTRACT_PARTS_MAX)
        return WW_EINVAL;
    memset(end, 0, sizeof(*end));
    end->terms = *terms;
    end->contract = begin(terms);
    for (size_t part = 0; part < terms->part_count; part++)
        end->held[part] = terms->parts[part].amount;
    int rc = close_side(&playing, claims, first);
    if (!rc)
        rc = close_side(&playing, claims, (enum ww_contract_party) !first);
    return rc ? rc : wait_for_end(&playing, claims);
}

int ww_whatif_judge(const struct ww_whatif *before, enum ww_verdict verdict,
                    struct ww_whatif *after)
{
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERDICT, .verdict = verdict};
    struct playing playing = {.end = after};

    if (before->contract.state != WW_CONTRACT_DISPUTED)
        return WW_ESTATE;
    if (ww_verdict_checked(&before->contract, verdict) != verdict)
        return WW_EREFUSED;
    *after = *before;
    event.now_ms = after->now_ms;
    uint64_t wait_s = ww_contract_is_ripe(&after->contract, &event) ? 0 : WW_DISPUTE_LATE_CLOSE_S;
    if (verdict == WW_VERDICT_UNDECIDED)
        wait_s = WW_DISPUTE_UNDECIDED_S;
    after->now_ms += wait_s * MS_PER_S;
    after->waited_ms += wait_s * MS_PER_S;
    event.now_ms = after->now_ms;
    return take(&playing, &event);
}

/* --- cases ---------------------------------------------------------------------------------- */

struct listing {
    struct ww_whatif_case *cases;
    size_t count;
};

static struct ww_whatif_claims both(uint64_t client, uint64_t provider)
{
    return (struct ww_whatif_claims){.closed = {true, true}, .bytes = {client, provider}};
}

static struct ww_whatif_claims *add(struct listing *listing, const char *name, const char *liar,
                                    struct ww_whatif_claims claims)
{
    struct ww_whatif_case *made = &listing->cases[listing->count++];

    WW_REQUIRE(listing->count <= WW_WHATIF_CASES_MAX);
    *made = (struct ww_whatif_case){.name = name, .liar = liar, .claims = claims};
    return &made->claims;
}

static void add_client(struct listing *listing, uint64_t carried, uint64_t proven)
{
    if (proven > 0) {
        add(listing, "client claims less than its receipts", "client", both(proven / 2, carried));
        add(listing, "client was killed, and claims less", "nobody", both(proven / 2, carried))
            ->other_life = true;
    }
    if (proven < carried)
        add(listing, "client claims its receipts only", "client", both(proven, carried));
    add(listing, "client is silent", "client", both(0, carried))->closed[WW_CONTRACT_CLIENT] =
        false;
    add(listing, "client signs two closes", "client", both(carried, carried))
        ->twice[WW_CONTRACT_CLIENT] = true;
}

static void add_provider(struct listing *listing, const struct ww_whatif_terms *terms,
                         uint64_t carried)
{
    uint64_t limit = WW_MIN(terms->bytes, terms->proven_bytes + terms->window_bytes);

    if (limit > carried)
        add(listing, "provider claims a window too much", "provider", both(carried, limit));
    add(listing, "provider claims beyond the window", "provider",
        both(carried, limit + WW_MAX(terms->window_bytes, 1)));
    add(listing, "provider is silent", "provider", both(carried, 0))->closed[WW_CONTRACT_PROVIDER] =
        false;
    add(listing, "provider signs two closes", "provider", both(carried, carried))
        ->twice[WW_CONTRACT_PROVIDER] = true;
}

size_t ww_whatif_cases(const struct ww_whatif_terms *terms, uint64_t carried,
                       struct ww_whatif_case cases[WW_WHATIF_CASES_MAX])
{
    struct listing listing = {.cases = cases};
    uint64_t proven = terms->proven_bytes;
    uint64_t limit = WW_MIN(terms->bytes, proven + terms->window_bytes);
    struct ww_whatif_claims *claims;

    add(&listing, "both are honest", "nobody", both(carried, carried));
    add_client(&listing, carried, proven);
    add_provider(&listing, terms, carried);
    claims = add(&listing, "both are silent", "both", both(0, 0));
    claims->closed[WW_CONTRACT_CLIENT] = claims->closed[WW_CONTRACT_PROVIDER] = false;
    if (proven > 0)
        add(&listing, "both lie", "both", both(proven / 2, limit + WW_MAX(terms->window_bytes, 1)));
    return listing.count;
}
