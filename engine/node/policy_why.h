/* Inside of the room: explaining a decision of the journal. */
#pragma once
#include "policies.h"

/* bound: {id=, done=} -> {id, at_s, hook, number, decided_by, input, memory (if there was any),
 * result, kind, fallback, same, instructions, at, reason, tries, all_tried, flips={{path, was, now,
 * decision, at}, …}}. `decided_by` is the generation that was asked again: the one that decided, or
 * when that is not kept the one in force. WW_ENOTFOUND: the journal has no such decision (any
 * more). */
int policy_why(void *context, struct ww_call *call);
