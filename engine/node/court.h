/* Inside of the room: what the hooks that judge are told of a contract. Pure; for the arbiter, and
 * for whoever plays one (contract_bind.c). What is known of the two networks is the caller's to
 * add. */
#pragma once
#include "ww/contract.h"
#include "ww/hooks.h"

/* dispute.judge: the contract is in dispute, and has been so for age_s seconds. */
void court_judge_request(const struct ww_contract *terms, uint64_t age_s,
                         struct ww_hook_judge_request *request);
/* contract.close: two closes that differ as `claims` says, all evidence examined. */
void court_close_request(const struct ww_contract *terms, const struct ww_contract_claims *claims,
                         struct ww_hook_close_request *request);
