/* See probe.h. Relies on vm.c for the VM, and on the meter's line hook for `trace`. */
#include "probe.h"

#include <stdio.h>
#include <string.h>

#include "answers.h"
#include "fields.h"

void ww_policy_probe_init(struct ww_policy_probe *probe, const struct ww_policy_set *set,
                          bool exact, bool trace)
{
    memset(probe, 0, sizeof(*probe));
    probe->sources = ww_policy_set_sources(set);
    probe->options.exact = exact;
    probe->trace = trace;
}

void ww_policy_probe_deinit(struct ww_policy_probe *probe)
{
    ww_policy_vm_destroy(probe->vm);
    probe->vm = NULL;
}

static bool has_hook(const struct ww_policy_probe *probe, enum ww_hook hook)
{
    char name[80];

    snprintf(name, sizeof(name), "%s.lua", ww_policy_hooks[hook].file);
    for (size_t index = 0; index < probe->sources->count; index++) {
        if (strcmp(probe->sources->items[index].name, name) == 0)
            return true;
    }
    return false;
}

int ww_policy_probe_ask(struct ww_policy_probe *probe, enum ww_hook hook, const void *input,
                        const struct ww_policy_context *context, void *result,
                        struct ww_policy_answer *answer)
{
    int rc = 0;

    memset(answer, 0, sizeof(*answer));
    answer->fallback = !has_hook(probe, hook);
    ww_policy_answer_prepare(hook, input, result);
    if (!answer->fallback && !probe->vm)
        rc = ww_policy_vm_create(probe->sources, &probe->options, &probe->vm, &answer->fault);
    if (!answer->fallback && !rc) {
        probe->vm->meter.trace = probe->trace;
        rc = ww_policy_vm_decide(probe->vm, hook, input, context, result, &answer->fault);
        answer->instructions = probe->vm->meter.instructions;
        answer->line = rc ? 0 : probe->vm->meter.line;
        if (answer->line)
            ww_policy_vm_source(probe->vm, hook, answer->file, sizeof(answer->file));
        if (rc == WW_EPOLICY_BUDGET || rc == WW_EPOLICY_MEMORY)
            ww_policy_probe_deinit(probe);
    }
    if (rc)
        answer->fallback = true;
    if (answer->fallback)
        ww_policy_answer_fallback(hook, input, result);
    return rc;
}

bool ww_policy_same_decision(enum ww_hook hook, void *a, void *b)
{
    const struct ww_policy_struct *type = ww_policy_hooks[hook].result();
    const struct ww_policy_field *reason = ww_policy_field_find(type, "reason");
    const struct ww_policy_field *remember = &type->fields[type->field_count - 1];

    memset((char *)a + remember->count_offset, 0, type->size - remember->count_offset);
    memset((char *)b + remember->count_offset, 0, type->size - remember->count_offset);
    if (reason) {
        memset((char *)a + reason->offset, 0, reason->size);
        memset((char *)b + reason->offset, 0, reason->size);
    }
    return memcmp(a, b, type->size) == 0;
}
