/* What would become of a contract: who is paid what when each side says this, that, or nothing.
 *
 * Plays a contract that has never been through ww_contract_step, as the arbiter does it, and shares
 * out an escrow as the ledger does; so what comes of a case here is what comes of it there. Pure:
 * no ledger, no clock, no signature; what signatures would prove is given.
 */
#pragma once
#include "ww/contract.h"
#include "ww/ledger.h"

struct ww_whatif_terms {
    uint64_t bytes;        /* of the contract: 1..WW_CONTRACT_BYTES_MAX */
    uint64_t window_bytes; /* the most that the provider carries beyond receipts */
    uint64_t proven_bytes; /* what the client's receipts prove; the arbiter gets to see them */
    struct ww_part parts[WW_CONTRACT_PARTS_MAX]; /* the escrow */
    size_t part_count;
};

/* What the two sides do at the end. Index: WW_CONTRACT_CLIENT, WW_CONTRACT_PROVIDER. */
struct ww_whatif_claims {
    bool closed[2];    /* it reports; else it is silent */
    uint64_t bytes[2]; /* what it says */
    bool twice[2];     /* it signs a second close, one byte lower (or higher, from 0) */
    bool other_life;   /* the client closes in another boot epoch than that of its receipts */
};

/* A contract that has come to an end, or to a dispute. */
struct ww_whatif {
    struct ww_whatif_terms terms;
    struct ww_contract contract;
    struct ww_contract_outcome outcome; /* of the step that ended it, or made it a dispute */
    const char *why;                    /* of the end or of the dispute; static */
    bool differed[2]; /* closes that differ were weighed: this party's windows shrink */
    bool may_forgive; /* the arbiter's policy was, or would be, asked */
    struct ww_contract_claims claims; /* as weighed then */
    uint64_t now_ms, waited_ms; /* the second: since the last close, or the last sign of life */
    struct ww_amount paid[WW_CONTRACT_PARTS_MAX]; /* to the provider, by part */
    struct ww_amount back[WW_CONTRACT_PARTS_MAX]; /* to the client */
    struct ww_amount held[WW_CONTRACT_PARTS_MAX]; /* still */
};

/* Brings a contract to its first end: settled (outcome.action is WW_CONTRACT_SETTLE) or disputed.
 * `forgive` is what the policy says when an honest difference may be forgiven, the day's cap apart.
 * WW_EINVAL: the terms are out of their ranges. WW_EOVERFLOW. */
int ww_whatif_play(const struct ww_whatif_terms *terms, const struct ww_whatif_claims *claims,
                   bool forgive, struct ww_whatif *end);
/* A disputed one gets its verdict, when that may be given at the earliest; `undecided` after 30
 * days. `after` may be `before`. WW_ESTATE: it is not disputed. WW_EREFUSED: the verdict needs a
 * proof that there is not. */
int ww_whatif_judge(const struct ww_whatif *before, enum ww_verdict verdict,
                    struct ww_whatif *after);

#define WW_WHATIF_CASES_MAX 16
struct ww_whatif_case {
    const char *name; /* a few words; static */
    const char *liar; /* "nobody", "client", "provider", "both" */
    struct ww_whatif_claims claims;
};
/* What the sides may do when `carried` bytes have gone through: from both honest to both lying,
 * without what makes no sense for the numbers. Returns how many. */
size_t ww_whatif_cases(const struct ww_whatif_terms *terms, uint64_t carried,
                       struct ww_whatif_case cases[WW_WHATIF_CASES_MAX]);
