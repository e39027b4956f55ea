/* What is known of a network as a party to contracts: sums and times, never with whom.
 *
 * Facts of the ledger: "settled/<network>" holds seven numbers, "strike/<network>" the times of its
 * strikes. Both are advice, for policies, for the size of windows and for what is forgiven; they
 * are written into the open batch, with what they count. Nothing here commits or moves money.
 * Thread: the loop's.
 */
#pragma once
#include "ww/contract.h"
#include "ww/ledger.h"

struct ww_account {
    uint64_t settled_bytes;  /* as a client of other networks, ever */
    uint64_t day;            /* days since 1970, of the next two */
    uint64_t paid_bytes;     /* settled with other networks that day */
    uint64_t forgiven_bytes; /* differences forgiven that day */
    uint64_t halvings;       /* of its window cap */
    uint64_t calm_bytes;     /* settled with others without a difference since the last of them */
    uint64_t disputes;       /* ever */
};

/* Zeros when nothing is known. */
void ww_account_get(const struct ww_ledger *ledger, const struct ww_id *network,
                    struct ww_account *account);
/* Replaces all of it. The codes of ww_ledger_put. */
int ww_account_put(struct ww_ledger *ledger, const struct ww_id *network,
                   const struct ww_account *account);
/* Adds what a step of the contract means for its two networks: what was settled and forgiven, that
 * closes differed, that there is a dispute, strikes. `after` is the contract after the step, now_s
 * seconds since 1970. The first code of ww_ledger_put that is not 0; the rest is written all the
 * same. */
int ww_account_book(struct ww_ledger *ledger, const struct ww_contract *after,
                    const struct ww_contract_outcome *outcome, uint64_t now_s);
/* True if so many bytes more may be forgiven today: for both networks not above 0.1 % of the day's
 * bytes with other networks; never within a network, where nobody pays. */
bool ww_account_may_forgive(const struct ww_ledger *ledger, const struct ww_contract *terms,
                            uint64_t bytes, uint64_t now_s);
/* The cap asked for in bytes, halved as often as the two networks' closes differed, not below
 * WW_WINDOW_FIRST_BYTES. */
uint64_t ww_account_window_cap(const struct ww_ledger *ledger, const struct ww_contract *terms,
                               uint64_t asked);
/* Strikes of the last 90 days. */
uint64_t ww_account_strikes(const struct ww_ledger *ledger, const struct ww_id *network,
                            uint64_t now_s);
