/* What the outcome of a contract's step is in the books: the one place where it becomes money, so
 * that the arbiter and the simulation of it (tests/sim) can't differ.
 */
#pragma once
#include "ww/contract.h"
#include "ww/ledger.h"

struct ww_contract_booked {
    struct ww_part paid[WW_CONTRACT_PARTS_MAX]; /* to the provider, by this step */
    size_t paid_count;
    bool gone; /* settled or void: the ledger has forgotten the contract */
};

/* Does the outcome's action with the money that is held for `after` (the contract after the step),
 * and stores its record, all in the ledger's open batch; commits nothing, signs and verifies
 * nothing. The codes of the ledger's functions, after which nothing has changed. Loop's thread. */
int ww_contract_book(struct ww_ledger *ledger, const struct ww_contract *after,
                     const struct ww_contract_outcome *outcome, struct ww_contract_booked *booked);
