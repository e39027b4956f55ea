/* ww.policy: looking at policy sets without a node, for `ww policy check`, `test` and `try`.
 *
 * Results are plain tables; a fault of a policy is a result here, and no error.
 */
#include <string.h>

#include "node.h"
#include "ww/buf.h"

#define PRINTED_BYTES_MAX (1 << 20) /* a ranking of 256 providers is 80 KiB */

/* What can't be read is a set that doesn't load. */
static const char *kind_of(const struct ww_policy_fault *fault)
{
    const char *word = ww_policy_kind(fault->kind);

    return word ? word : "load";
}

static void put_fault(struct ww_call *call, const struct ww_policy_fault *fault)
{
    ww_call_put_text(call, "kind", kind_of(fault));
    if (fault->file[0])
        ww_call_put_text(call, "file", fault->file);
    if (fault->line)
        ww_call_put_u64(call, "line", fault->line);
    ww_call_put_text(call, "reason", fault->message);
}

static void put_blame(void *arg, const struct ww_policy_fault *fault)
{
    struct ww_call *call = arg;

    ww_call_begin(call, NULL, false);
    put_fault(call, fault);
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

/* {set =} -> {generation, hooks, tests, faults = {{kind, file, line, reason}…}} */
static int bound_check(void *context, struct ww_call *call)
{
    struct ww_policy_sources sources;
    struct ww_policy_summary summary = {.faults = 0};
    struct ww_policy_fault fault = {0};

    (void)context;
    int rc = read_sources(call, &sources, &fault);
    if (is_error(rc, &fault))
        goto out;
    ww_call_begin(call, "faults", true);
    if (rc)
        put_blame(call, &fault);
    else
        rc = ww_policy_check(&sources, put_blame, call, &summary);
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
    ww_policy_sources_deinit(&sources);
    return rc;
}

static int put_printed(struct ww_call *call, const char *name, struct ww_buf *buf)
{
    ww_call_put_bytes(call, name, buf->data ? (const char *)buf->data : "", buf->size);
    return buf->error;
}

/* The set decides; puts what it said, or its fault. */
static int decide(struct ww_call *call, const struct ww_policy_sources *sources, enum ww_hook hook,
                  union ww_hook_any *input, union ww_hook_any *result)
{
    static const struct ww_policy_options options = {.skip_tests = true};
    struct ww_policy_given given;
    struct ww_policy_report report = {.instructions = 0};
    struct ww_policy_set *set = NULL;
    struct ww_buf printed;
    const char *text = NULL;
    size_t size = 0;

    int rc = ww_call_text(call, "input", &text, &size);
    if (rc == WW_EINVAL)
        return rc;
    rc = ww_policy_read_input(hook, text, size, input, &given, &report.fault);
    if (rc) {
        ww_call_reason(call, "the input of %s: %s", ww_hook_name(hook), report.fault.message);
        return rc;
    }
    rc = ww_policy_set_create(sources, &options, &set, &report.fault);
    if (!rc)
        rc = ww_policy_try(set, hook, input, &given.context, result, &report);
    if (rc == WW_ENOMEM)
        goto out;
    ww_buf_init(&printed, PRINTED_BYTES_MAX);
    ww_hook_print_input(hook, input, &printed);
    rc = put_printed(call, "input", &printed);
    if (report.fault.kind) {
        put_fault(call, &report.fault);
    } else {
        ww_buf_clear(&printed);
        ww_hook_print_result(hook, input, result, &printed);
        rc = rc ? rc : put_printed(call, "result", &printed);
        ww_call_put_hash(call, "generation", &report.generation);
        ww_call_put_bool(call, "fallback", report.fallback);
    }
    ww_call_put_u64(call, "instructions", report.instructions);
    ww_buf_deinit(&printed);
out:
    ww_policy_set_release(set);
    return rc;
}

/* {hook =, set =, input = Lua text or nil} -> {input = text, result = text, instructions,
 * generation, fallback} or {input, kind, file, line, reason, instructions} */
static int bound_try(void *context, struct ww_call *call)
{
    struct ww_policy_sources sources;
    struct ww_policy_fault fault = {0};
    union ww_hook_any *both = NULL;
    const char *name = NULL;
    enum ww_hook hook;

    (void)context;
    int rc = ww_call_text(call, "hook", &name, NULL);
    if (rc)
        return rc;
    if (ww_hook_parse(name, &hook)) {
        ww_call_reason(call, "there is no hook %.60s", name);
        return WW_ENOTFOUND;
    }
    rc = read_sources(call, &sources, &fault);
    if (rc && !is_error(rc, &fault)) {
        put_fault(call, &fault);
        rc = 0;
        goto out;
    }
    if (rc)
        goto out;
    both = ww_alloc(2, sizeof(*both));
    rc = both ? decide(call, &sources, hook, &both[0], &both[1]) : WW_ENOMEM;
out:
    ww_free(both);
    ww_policy_sources_deinit(&sources);
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

int policy_bind(struct ww_ops *ops)
{
    static const struct ww_ops_function functions[] = {
        {"check", bound_check},     {"try", bound_try},     {"files", bound_files},
        {"globals", bound_globals}, {"hooks", bound_hooks},
    };

    return ww_ops_bind(ops, "policy", functions, WW_ARRAY_COUNT(functions), NULL);
}
