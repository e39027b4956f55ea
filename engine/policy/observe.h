/* Inside of the room: the observer that set.c looks at after each decision. */
#pragma once
#include "ww/policy.h"

struct ww_policy_observer {
    uint32_t hooks; /* one bit each; 0: nobody looks */
    ww_policy_observe_fn fn;
    void *arg;
};

extern _Thread_local struct ww_policy_observer ww_policy_observer;

_Static_assert(WW_HOOK_COUNT <= 32, "a bit for each hook");
