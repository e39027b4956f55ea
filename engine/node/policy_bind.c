/* ww.policy: looking at policy sets without a node, for `ww policy check`, `test` and `try`.
 *
 * Results are plain tables; a fault of a policy is a result here, and no error.
 */
#include <stdio.h>
#include <string.h>

#include "node.h"
#include "policy_trial.h"
#include "ww/buf.h"
#include "ww/policy_cover.h"

#define PRINTED_BYTES_MAX (1 << 20) /* a ranking of 256 providers is 80 KiB */

static void put_blame(void *arg, const struct ww_policy_fault *fault)
{
    struct ww_call *call = arg;

    ww_call_begin(call, NULL, false);
    policy_trial_put_fault(call, fault);
    ww_call_end(call);
}

/* Reads {set = FOLDER or name}; nil is the default set. A folder that isn't there is an error; what
 * is in it may be at fault. */
static int read_sources(struct ww_call *call, struct ww_policy_sources *sources,
                        struct ww_policy_fault *fault)
{
    const char *set = NULL;

    int rc = ww_call_text(call, "set", &set, NULL);
    if (rc == WW_EINVAL) {
        ww_policy_sources_init(sources);
        return rc;
    }
    rc = node_policy_sources(set, sources, fault);
    if (rc == WW_ENOTFOUND && set)
        ww_call_reason(call, "%.150s is neither a folder nor a built-in set", set);
    return rc;
}

/* No file of the set is to blame. */
static bool is_error(int rc, const struct ww_policy_fault *fault)
{
    return rc == WW_ENOTFOUND || rc == WW_ENOMEM || (rc == WW_EINVAL && !fault->file[0]);
}

/* What the samples are asked with. */
struct contexts {
    struct ww_policy_context of[WW_HOOK_COUNT];
    struct ww_policy_given given[WW_HOOK_COUNT];
    union ww_hook_any input; /* only what comes with it counts */
};

/* {contexts = {"contract.offer { ctx = {…} }", …}}, of all hooks or none: NULL. Owned. */
static int read_contexts(struct ww_call *call, struct contexts **contexts)
{
    struct ww_policy_fault fault;
    struct contexts *made = NULL;
    const char *text = NULL;
    char name[64];
    int rc = 0;

    for (size_t index = 0; !rc && !ww_call_text_at(call, "contexts", index, &text); index++) {
        const char *space = strchr(text, ' ');
        enum ww_hook hook;

        if (!made)
            made = ww_alloc(1, sizeof(*made));
        if (!made)
            return WW_ENOMEM;
        *contexts = made;
        snprintf(name, sizeof(name), "%.*s", (int)(space ? space - text : 0), text);
        if (ww_hook_parse(name, &hook))
            return WW_EINVAL;
        rc = ww_policy_read_input(hook, space, strlen(space), &made->input, &made->given[hook],
                                  &fault);
        if (rc)
            ww_call_reason(call, "thresholds or memory of %s: %s", name, fault.message);
        made->of[hook] = made->given[hook].context;
    }
    return rc;
}

/* {set =, contexts =} -> {generation, hooks, tests, faults = {{kind, file, line, reason}…}} */
static int bound_check(void *context, struct ww_call *call)
{
    struct ww_policy_sources sources;
    struct contexts *contexts = NULL;
    struct ww_policy_summary summary = {.faults = 0};
    struct ww_policy_fault fault = {0};

    (void)context;
    int rc = read_sources(call, &sources, &fault);
    int problem = is_error(rc, &fault) ? rc : read_contexts(call, &contexts);
    if (problem) {
        rc = problem;
        goto out;
    }
    ww_call_begin(call, "faults", true);
    if (rc)
        put_blame(call, &fault);
    else
        rc = ww_policy_check(&sources, contexts ? contexts->of : NULL, put_blame, call, &summary);
    ww_call_end(call);
    if (rc == WW_ENOMEM)
        goto out;
    rc = 0;
    if (!summary.faults && !fault.kind)
        ww_call_put_hash(call, "generation", &summary.generation);
    ww_call_put_u64(call, "hooks", summary.hooks);
    ww_call_put_u64(call, "tests", summary.tests);
    ww_call_put_u64(call, "more_faults",
                    summary.faults - WW_MIN(summary.faults, WW_POLICY_FAULTS_MAX));
out:
    ww_free(contexts);
    ww_policy_sources_deinit(&sources);
    return rc;
}

static int put_printed(struct ww_call *call, const char *name, struct ww_buf *buf)
{
    ww_call_put_bytes(call, name, buf->data ? (const char *)buf->data : "", buf->size);
    return buf->error;
}

/* The set decides; puts what it said, or its fault. */
static int decide(struct ww_call *call, const struct ww_policy_sources *sources,
                  struct policy_trial *trial)
{
    static const struct ww_policy_options options = {.skip_tests = true};
    struct ww_policy_set *set = NULL;

    int rc = ww_policy_set_create(sources, &options, &set, &trial->report.fault);
    if (rc != WW_ENOMEM)
        rc = policy_trial_run(trial, set);
    if (rc != WW_ENOMEM)
        rc = policy_trial_put(trial, call);
    ww_policy_set_release(set);
    return rc;
}

/* {hook =, set =, input = Lua text or nil, context = the same} -> as policy_trial_put says */
static int bound_try(void *context, struct ww_call *call)
{
    struct policy_trial *trial = ww_alloc(1, sizeof(*trial));
    struct ww_policy_sources sources;
    struct ww_policy_fault fault = {0};

    (void)context;
    ww_policy_sources_init(&sources);
    int rc = trial ? policy_trial_read(trial, call) : WW_ENOMEM;
    if (rc)
        goto out;
    rc = read_sources(call, &sources, &fault);
    if (rc && !is_error(rc, &fault)) {
        policy_trial_put_fault(call, &fault);
        rc = 0;
    } else if (!rc) {
        rc = decide(call, &sources, trial);
    }
out:
    ww_free(trial);
    ww_policy_sources_deinit(&sources);
    return rc;
}

/* {hook =} -> {input = text}: the hook's sample */
static int bound_sample(void *context, struct ww_call *call)
{
    union ww_hook_any *sample = NULL;
    const char *name = NULL;
    struct ww_buf printed;
    enum ww_hook hook;

    (void)context;
    int rc = ww_call_text(call, "hook", &name, NULL);
    if (rc)
        return rc;
    if (ww_hook_parse(name, &hook))
        return WW_ENOTFOUND;
    sample = ww_alloc(1, sizeof(*sample));
    if (!sample)
        return WW_ENOMEM;
    ww_hook_sample(hook, sample);
    ww_buf_init(&printed, PRINTED_BYTES_MAX);
    ww_hook_print_input(hook, sample, &printed);
    rc = put_printed(call, "input", &printed);
    ww_buf_deinit(&printed);
    ww_free(sample);
    return rc;
}

/* {set =} -> {files = {{name, text}…}}: only those that lie over the default. */
static int bound_files(void *context, struct ww_call *call)
{
    struct ww_policy_sources sources;
    struct ww_policy_sources below;
    struct ww_policy_fault fault = {0};

    (void)context;
    int rc = node_policy_sources(NULL, &below, &fault);
    int read = read_sources(call, &sources, &fault);
    if (!rc && is_error(read, &fault))
        rc = read;
    ww_call_begin(call, "files", true);
    for (size_t index = 0; !rc && !read && index < sources.count; index++) {
        const struct ww_policy_source *source = &sources.items[index];
        bool ours = false;

        for (size_t other = 0; other < below.count; other++)
            ours = ours || (strcmp(below.items[other].name, source->name) == 0 &&
                            below.items[other].size == source->size &&
                            memcmp(below.items[other].text, source->text, source->size) == 0);
        if (ours)
            continue;
        ww_call_begin(call, NULL, false);
        ww_call_put_text(call, "name", source->name);
        ww_call_put_bytes(call, "text", source->text, source->size);
        ww_call_end(call);
    }
    ww_call_end(call);
    ww_policy_sources_deinit(&sources);
    ww_policy_sources_deinit(&below);
    return rc;
}

/* {set =} -> {files = {{name, text}…}}: all that decide */
static int bound_all_files(void *context, struct ww_call *call)
{
    struct ww_policy_sources sources;
    struct ww_policy_fault fault = {0};

    (void)context;
    int rc = read_sources(call, &sources, &fault);
    ww_call_begin(call, "files", true);
    for (size_t index = 0; !rc && index < sources.count; index++) {
        ww_call_begin(call, NULL, false);
        ww_call_put_text(call, "name", sources.items[index].name);
        ww_call_put_bytes(call, "text", sources.items[index].text, sources.items[index].size);
        ww_call_end(call);
    }
    ww_call_end(call);
    ww_policy_sources_deinit(&sources);
    return rc;
}

/* -> {globals = "a b c "} */
static int bound_globals(void *context, struct ww_call *call)
{
    struct ww_buf names;

    (void)context;
    ww_buf_init(&names, PRINTED_BYTES_MAX);
    int rc = ww_policy_globals(&names);
    if (!rc)
        rc = put_printed(call, "globals", &names);
    ww_buf_deinit(&names);
    return rc;
}

/* {set =} -> {yes = bool}: whether that is the name of a built-in set */
static int bound_is_built_in(void *context, struct ww_call *call)
{
    const char *set = NULL;

    (void)context;
    int rc = ww_call_text(call, "set", &set, NULL);
    if (!rc)
        ww_call_put_bool(call, "yes", node_policy_is_built_in(set));
    return rc;
}

/* -> {hooks = {name…}} */
static int bound_hooks(void *context, struct ww_call *call)
{
    (void)context;
    ww_call_begin(call, "hooks", true);
    for (int hook = 0; hook < WW_HOOK_COUNT; hook++)
        ww_call_put_text(call, NULL, ww_hook_name((enum ww_hook)hook));
    ww_call_end(call);
    return 0;
}

/* {} -> {text}: the reference of all hooks, as docs/policies/hooks.md has it */
static int bound_reference(void *context, struct ww_call *call)
{
    struct ww_buf page;

    (void)context;
    ww_buf_init(&page, PRINTED_BYTES_MAX);
    ww_hook_reference(&page);
    int rc = page.error;
    if (!rc)
        ww_call_put_text(call, "text", ww_buf_text(&page));
    ww_buf_deinit(&page);
    return rc;
}

static void put_covered(void *arg, const char *file, unsigned line, bool tested, bool returned)
{
    struct ww_call *call = arg;

    ww_call_begin(call, NULL, false);
    ww_call_put_text(call, "file", file);
    ww_call_put_u64(call, "line", line);
    ww_call_put_bool(call, "tested", tested);
    ww_call_put_bool(call, "returned", returned);
    ww_call_end(call);
}

/* {set =} -> {lines = {{file, line, tested, returned}…}, tries}, or {lines = {}, kind, file, line,
 * reason}
 */
static int bound_cover(void *context, struct ww_call *call)
{
    struct ww_policy_sources sources;
    struct ww_policy_fault fault = {0};
    uint64_t tries = 0;

    (void)context;
    int rc = read_sources(call, &sources, &fault);
    bool unread = is_error(rc, &fault);
    ww_call_begin(call, "lines", true);
    if (!rc)
        rc = ww_policy_cover(&sources, put_covered, call, &tries, &fault);
    ww_call_end(call);
    ww_call_put_u64(call, "tries", tries);
    if (rc && rc != WW_ENOMEM && !unread) {
        policy_trial_put_fault(call, &fault);
        rc = 0;
    }
    ww_policy_sources_deinit(&sources);
    return rc;
}

int policy_bind(struct ww_ops *ops)
{
    static const struct ww_ops_function functions[] = {
        {"sample", bound_sample},       {"cover", bound_cover}, {"all_files", bound_all_files},
        {"check", bound_check},         {"try", bound_try},     {"files", bound_files},
        {"globals", bound_globals},     {"hooks", bound_hooks}, {"is_built_in", bound_is_built_in},
        {"reference", bound_reference},
    };

    return ww_ops_bind(ops, "policy", functions, WW_ARRAY_COUNT(functions), NULL);
}
