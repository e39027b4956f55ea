/* Inside of the room: what the policies of a node remember, over restarts, and for the operator.
 *
 * A hook's memory is one value of the node's store. What has changed is written once a second, and
 * at a stop: a crash loses the last second.
 */
#pragma once
#include "policies.h"

/* Remembers from now on; `without` as ww_policy_memory_create. WW_ENOMEM. */
int policy_memory_start(struct node_policies *policies, uint32_t without);
/* Nothing is stored from now on: see node_policies_unstore. */
void policy_memory_stop(struct node_policies *policies);
/* bound: {hook=} -> {values={{hook, key, value, until_s}, …}}, of all hooks when none is named. */
int policy_memory(void *context, struct ww_call *call);
/* bound: {hook=, key=, number= or text=, seconds=}: keeps a value; 0 seconds forgets it. WW_EINVAL,
 * WW_EUNSUPPORTED. */
int policy_memory_set(void *context, struct ww_call *call);
