/* Shared by the files of the room: what a side reported, and how the steps of a dispute are taken.
 */
#pragma once
#include "ww/contract.h"

/* Sum of both directions as the side reported it, at most the contract's bytes. */
uint64_t contract_reported(const struct ww_contract *contract, enum ww_contract_party party);
/* Whether there is a receipt, of this contract; its signature is not looked at. signed_size may be
 * NULL. */
bool contract_read_receipt(const struct ww_contract *contract,
                           const struct ww_contract_receipt *from, struct ww_receipt *receipt,
                           size_t *signed_size);
/* Two closes differ: whose windows shrink. That of a side which said what can't be (the client less
 * than it has signed, the provider more than its receipts and a window, either more than the
 * contract) if only one did; else both. */
void contract_blame_difference(const struct ww_contract *contract, bool differed[2]);
/* The other side has handed in two receipts of the signer's that contradict each other, and it is
 * not known whether both are signed. */
bool contract_is_accused(const struct ww_contract *contract, enum ww_contract_party signer);
/* A close, a declaration or such a pair has come whose signatures were not looked at yet. */
bool contract_wants_look(const struct ww_contract *contract);
/* Milliseconds of up-time since the wait began; a wait that began before the last start has
 * WW_RESTART_GRACE_S more. */
uint64_t contract_waited_ms(uint64_t since_ms, const struct ww_contract_event *now);
struct ww_contract_outcome contract_outcome(enum ww_contract_action action, const char *why);
/* SETTLE so that `used` bytes are paid for in all. */
struct ww_contract_outcome contract_settle(const struct ww_contract *contract, uint64_t used,
                                           const char *why);
/* A whole contract becomes a dispute now. */
struct ww_contract_outcome contract_dispute(struct ww_contract *contract, uint64_t now_ms,
                                            const char *why);
int contract_take_verdict(struct ww_contract *contract, const struct ww_contract_event *event,
                          struct ww_contract_outcome *outcome);
