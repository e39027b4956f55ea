/* Inside of the room: what another set would have decided, of a node's journal. */
#pragma once
#include "ww/policy_replay.h"

#include "policies.h"

/* {decisions, left, changed, reworded, faults, beyond, bytes_was, bytes_now, nano_usd_was,
 * nano_usd_now, rules={{hook, at, was, now, kind, count, bytes_was, …, example}, …}} as fields of
 * the open table.
 */
void policy_put_difference(struct ww_call *call, const struct ww_policy_difference *difference);
/* bound: {folder=, since_s=, done=}: asks the folder's set for each decision of the journal. done
 * is called with {hash, tests, the fields above}. */
int policy_replay(void *context, struct ww_call *call);
