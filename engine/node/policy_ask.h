/* Inside of the room: a hook of the set in force, asked with an input that a person gives. */
#pragma once
#include "policies.h"

/* bound: {hook=, input=, done=} -> as ww.policy.try gives (policy_trial.h). Nothing is counted,
 * kept or logged. */
int policy_ask(void *context, struct ww_call *call);
