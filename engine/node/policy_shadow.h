/* Inside of the room: a second set that is asked for each decision of the node, on the pool, and
 * only counted and compared. It takes what it is asked from the journal, once a second.
 */
#pragma once
#include "ww/policy_replay.h"

#include "policies.h"

struct policy_shadow;

/* bound: {folder=, done=}: makes the folder's set, and lets it shadow from now on, instead of any
 * other. done is called with {hash, tests}. WW_EUNSUPPORTED: no journal is kept. */
int policy_shadow(void *context, struct ww_call *call);
/* bound: {} -> {hash, since_s, made, and the fields of policy_put_difference}: `made` are the
 * decisions since it began, of which the last second's are not compared yet. WW_ENOTFOUND. */
int policy_shadow_show(void *context, struct ww_call *call);
/* bound: {} -> {number, hash, tests}: puts the shadow's set in force, and ends the shadow.
 * WW_ENOTFOUND. */
int policy_promote(void *context, struct ww_call *call);
/* Field policy_shadow {decisions, changed, faults} of a status, when there is one. */
void policy_shadow_put(const struct node_policies *policies, struct ww_call *call);
/* bound: {}: ends the shadow. WW_ENOTFOUND. */
int policy_drop(void *context, struct ww_call *call);
/* Ends it, if there is one; what the pool still has of it is freed when the pool is destroyed. */
void policy_shadow_stop(struct node_policies *policies);
