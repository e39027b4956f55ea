/* One hook asked with an input that a person gives: see policy_trial.h. */
#include "policy_trial.h"

#include <stdio.h>

#include "ww/buf.h"
#include "ww/policy_why.h"

#define PRINTED_BYTES_MAX (1 << 20) /* a ranking of 256 providers is 80 KiB */

/* The result has room for an input that nobody looks at. */
static int read_context(struct ww_call *call, struct policy_trial *trial)
{
    const char *text = NULL;
    size_t size = 0;

    int rc = ww_call_text(call, "context", &text, &size);
    if (rc)
        return rc == WW_ENOTFOUND ? 0 : rc;
    rc = ww_policy_read_input(trial->hook, text, size, &trial->result, &trial->outside,
                              &trial->report.fault);
    if (rc)
        ww_call_reason(call, "thresholds or memory of %s: %s", ww_hook_name(trial->hook),
                       trial->report.fault.message);
    else
        policy_trial_complete(trial);
    return rc;
}

int policy_trial_read(struct policy_trial *trial, struct ww_call *call)
{
    const char *name = NULL, *text = NULL;
    size_t size = 0;

    int rc = ww_call_text(call, "hook", &name, NULL);
    if (rc)
        return rc;
    if (ww_hook_parse(name, &trial->hook)) {
        ww_call_reason(call, "there is no hook %.60s", name);
        return WW_ENOTFOUND;
    }
    rc = ww_call_text(call, "input", &text, &size);
    if (rc == WW_EINVAL)
        return rc;
    rc = ww_policy_read_input(trial->hook, text, size, &trial->input, &trial->given,
                              &trial->report.fault);
    if (rc)
        ww_call_reason(call, "the input of %s: %s", ww_hook_name(trial->hook),
                       trial->report.fault.message);
    return rc ? rc : read_context(call, trial);
}

void policy_trial_complete(struct policy_trial *trial)
{
    struct ww_policy_context *context = &trial->given.context;

    if (context->threshold_count == 0) {
        context->thresholds = trial->outside.context.thresholds;
        context->threshold_count = trial->outside.context.threshold_count;
    }
    if (context->memory_count == 0) {
        context->memory = trial->outside.context.memory;
        context->memory_count = trial->outside.context.memory_count;
    }
}

int policy_trial_run(struct policy_trial *trial, const struct ww_policy_set *set)
{
    if (!set) { /* it could not be made, as the report says */
        ww_policy_call(NULL, trial->hook, &trial->input, &trial->given.context, &trial->result,
                       NULL);
        return 0;
    }
    int rc = ww_policy_try(set, trial->hook, &trial->input, &trial->given.context, &trial->result,
                           &trial->report);

    if (rc == WW_ENOMEM)
        return rc;
    if (!rc && !trial->report.fallback)
        trial->line =
            ww_policy_line(set, trial->hook, &trial->input, &trial->given.context, trial->file);
    return 0;
}

void policy_trial_put_fault(struct ww_call *call, const struct ww_policy_fault *fault)
{
    const char *word = ww_policy_kind(fault->kind);

    ww_call_put_text(call, "kind", word ? word : "load"); /* what can't be read doesn't load */
    if (fault->file[0])
        ww_call_put_text(call, "file", fault->file);
    if (fault->line)
        ww_call_put_u64(call, "line", fault->line);
    ww_call_put_text(call, "reason", fault->message);
}

static void put_place(const struct policy_trial *trial, struct ww_call *call)
{
    char at[80];

    if (!trial->line)
        return;
    snprintf(at, sizeof(at), "%s:%u", trial->file, trial->line);
    ww_call_put_text(call, "at", at);
}

int policy_trial_put(const struct policy_trial *trial, struct ww_call *call)
{
    struct ww_buf printed;

    ww_buf_init(&printed, PRINTED_BYTES_MAX);
    ww_hook_print_input(trial->hook, &trial->input, &printed);
    int rc = printed.error;
    ww_call_put_bytes(call, "input", printed.data ? (const char *)printed.data : "", printed.size);
    ww_buf_clear(&printed);
    ww_hook_print_result(trial->hook, &trial->input, &trial->result, &printed);
    rc = rc ? rc : printed.error;
    ww_call_put_bytes(call, trial->report.fault.kind ? "safe" : "result",
                      printed.data ? (const char *)printed.data : "", printed.size);
    if (trial->report.fault.kind) {
        policy_trial_put_fault(call, &trial->report.fault);
    } else {
        ww_call_put_hash(call, "generation", &trial->report.generation);
        ww_call_put_bool(call, "fallback", trial->report.fallback);
        put_place(trial, call);
    }
    ww_call_put_u64(call, "instructions", trial->report.instructions);
    ww_buf_deinit(&printed);
    return rc;
}
