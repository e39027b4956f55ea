/* Inside of the room: the numbers of the configuration that policies see as ctx.thresholds.
 *
 * A table of them never changes: the journal's decisions point to the one that they saw, so all of
 * a run are kept until its end, at most WW_POLICY_THRESHOLD_TABLES_MAX.
 */
#pragma once
#include "policies.h"

struct policy_thresholds;

/* bound, and at a start: {thresholds={"name 5", …}} are in force from now on; absent: none.
 * WW_EINVAL (a name, a value, too many), WW_ELIMIT (changed too often since the start), WW_ENOMEM.
 */
int policy_thresholds(void *context, struct ww_call *call);
/* bound: {} -> {thresholds = {name = number}}: those that are in force. */
int policy_thresholds_shown(void *context, struct ww_call *call);
/* Those that are in force; borrowed until the stop. */
void policy_thresholds_in_force(const struct node_policies *policies,
                                struct ww_policy_context *context);
/* When no decision of the journal is looked at any more. */
void policy_thresholds_stop(struct node_policies *policies);
