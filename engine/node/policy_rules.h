/* Inside of the room: what each rule of a generation has decided. */
#pragma once
struct ww_call;

/* bound: see policy_rules.c. */
int policy_rules(void *context, struct ww_call *call);
