/* Who is told of decisions, on this thread: a person who traces a hook. */
#include "ww/policy.h"

#include "observe.h"

_Thread_local struct ww_policy_observer ww_policy_observer;

void ww_policy_observe(uint32_t hooks, ww_policy_observe_fn fn, void *arg)
{
    ww_policy_observer = (struct ww_policy_observer){.hooks = fn ? hooks : 0, .fn = fn, .arg = arg};
}
