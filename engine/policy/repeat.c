/* A decision asked again elsewhere: see repeat.h and ww_policy_live_repeat.
 *
 * Everything that the repetition reads is copied when the decision is made, but the thresholds and
 * the set's sources, which don't change. A VM that has served is closed by the next run, as that
 * takes a while, too.
 */
#include "repeat.h"

#include <string.h>

#include "answers.h"
#include "fields.h"
#include "set.h"

struct ww_policy_repeat {
    struct ww_policy_set *set; /* retained; NULL: nothing is taken */
    enum ww_hook hook;
    struct ww_policy_context context; /* its memory is below */
    struct ww_policy_memory_entry memory[WW_POLICY_MEMORY_MAX];
    union ww_hook_any input, result, again;
    struct ww_policy_vm *vm;     /* the fresh one, once it was run */
    struct ww_policy_vm *served; /* to be closed */
    bool made;                   /* it has decided */
    int rc;
    struct ww_policy_fault fault;
};

int ww_policy_repeat_create(struct ww_policy_repeat **repeat)
{
    *repeat = ww_alloc(1, sizeof(**repeat));
    return *repeat ? 0 : WW_ENOMEM;
}

void ww_policy_repeat_destroy(struct ww_policy_repeat *repeat)
{
    if (!repeat)
        return;
    ww_policy_vm_destroy(repeat->vm);
    ww_policy_vm_destroy(repeat->served);
    ww_policy_set_release(repeat->set);
    ww_free(repeat);
}

void ww_policy_repeat_take(struct ww_policy_repeat *repeat, struct ww_policy_set *set,
                           enum ww_hook hook, const void *input,
                           const struct ww_policy_context *context, const void *result)
{
    const struct ww_policy_hook *about = &ww_policy_hooks[hook];

    repeat->set = ww_policy_set_retain(set);
    repeat->hook = hook;
    repeat->context = *context;
    repeat->context.memory = repeat->memory;
    if (context->memory_count > 0)
        memcpy(repeat->memory, context->memory, context->memory_count * sizeof(repeat->memory[0]));
    memcpy(&repeat->input, input, about->input()->size);
    memcpy(&repeat->result, result, about->result()->size);
    repeat->made = false;
    repeat->rc = 0;
}

void ww_policy_repeat_run(struct ww_policy_repeat *repeat)
{
    enum ww_hook hook = repeat->hook;
    struct ww_policy_fault fault;

    ww_policy_vm_destroy(repeat->served);
    repeat->served = NULL;
    if (ww_policy_vm_create(ww_policy_set_sources(repeat->set), ww_policy_set_options(repeat->set),
                            &repeat->vm, &fault))
        return; /* nothing is known against the first answer */
    repeat->made = true;
    ww_policy_answer_prepare(hook, &repeat->input, &repeat->again);
    repeat->rc = ww_policy_vm_decide(repeat->vm, hook, &repeat->input, &repeat->context,
                                     &repeat->again, &repeat->fault);
    if (repeat->rc == WW_EPOLICY_BUDGET || repeat->rc == WW_EPOLICY_MEMORY) {
        ww_policy_vm_destroy(repeat->vm); /* a busy machine; the next sample may say more */
        repeat->vm = NULL;
    } else if (repeat->rc ||
               memcmp(&repeat->result, &repeat->again, ww_policy_hooks[hook].result()->size) != 0) {
        repeat->rc = ww_policy_blame_impure(hook, &repeat->fault);
    }
}

bool ww_policy_repeat_settle(struct ww_policy_repeat *repeat, const struct ww_policy_set *set)
{
    bool impure = repeat->vm && repeat->rc == WW_EPOLICY_IMPURE;
    bool is_same = repeat->set == set;

    if (repeat->made)
        ww_policy_set_note_repeated(repeat->set, repeat->hook);
    if (impure)
        ww_policy_set_note_fault(repeat->set, repeat->hook, &repeat->fault);
    if (repeat->vm) { /* it was run, and has closed what served before */
        repeat->served = is_same ? ww_policy_set_exchange(repeat->set, repeat->vm) : repeat->vm;
        repeat->vm = NULL;
    }
    ww_policy_set_release(repeat->set);
    repeat->set = NULL;
    return impure && is_same;
}
