/* Looking at a set without a node: every fault that it has, not only the first, and what one hook
 * says to one input. Counts are exact here, and each decision is repeated in a fresh VM.
 *
 * Nothing here is for a node's main loop: a check takes as long as it takes.
 */
#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "vm.h"
#include "ww/buf.h"

static const struct ww_policy_options exact = {.exact = true, .skip_tests = true};

struct checking {
    struct ww_policy_sources sound;           /* borrowed texts: the files that load */
    const struct ww_policy_context *contexts; /* of the samples; NULL: the plain one */
    ww_policy_blame_fn blame;
    void *arg;
    struct ww_policy_summary *summary;
};

static void blame(void *arg, const struct ww_policy_fault *fault)
{
    struct checking *checking = arg;

    checking->summary->faults++;
    if (checking->summary->faults <= WW_POLICY_FAULTS_MAX)
        checking->blame(checking->arg, fault);
}

static void keep(struct checking *checking, const struct ww_policy_source *source)
{
    checking->sound.items[checking->sound.count++] = *source;
}

/* Asks each hook of the set with its sample. */
static void ask_samples(struct checking *checking, struct ww_policy_set *set,
                        union ww_hook_any *input, union ww_hook_any *result)
{
    static const struct ww_policy_context plain = {.now_s = WW_POLICY_GIVEN_NOW_S};
    struct ww_policy_report report;

    for (unsigned index = 0; index < WW_HOOK_COUNT; index++) {
        enum ww_hook hook = (enum ww_hook)index;

        if (!ww_policy_set_has(set, hook))
            continue;
        ww_hook_sample(hook, input);
        if (ww_policy_try(set, hook, input, checking->contexts ? &checking->contexts[hook] : &plain,
                          result, &report))
            blame(checking, &report.fault);
    }
}

/* One file that is no test, alone: compile, load, hooks, and a first decision of each. */
static int check_file(struct checking *checking, const struct ww_policy_source *source,
                      union ww_hook_any *input, union ww_hook_any *result)
{
    struct ww_policy_sources alone = {.items = {*source}, .count = 1};
    struct ww_policy_fault fault;
    struct ww_policy_set *set = NULL;
    int rc = ww_policy_set_create(&alone, &exact, &set, &fault);

    if (rc == WW_ENOMEM)
        return rc;
    if (rc) {
        blame(checking, &fault);
        return 0;
    }
    keep(checking, source);
    for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++)
        checking->summary->hooks += ww_policy_set_has(set, (enum ww_hook)hook);
    ask_samples(checking, set, input, result);
    ww_policy_set_release(set);
    return 0;
}

/* One test file, in a VM of the files that load. */
static void check_tests(struct checking *checking, const struct ww_policy_source *source)
{
    static const struct ww_policy_options steps; /* as a node runs them: its limits count */
    struct ww_policy_test_run run = {.sources = &checking->sound,
                                     .repeat = &exact,
                                     .file = source->name,
                                     .blame = blame,
                                     .arg = checking};
    struct ww_policy_vm *vm = NULL;
    struct ww_policy_fault fault;

    if (ww_policy_vm_create(&checking->sound, &steps, &vm, &fault)) {
        blame(checking, &fault);
        return;
    }
    keep(checking, source);
    if (ww_policy_vm_test(vm, &run, &fault))
        blame(checking, &fault);
    checking->summary->tests += run.count;
    ww_policy_vm_destroy(vm);
}

int ww_policy_check(const struct ww_policy_sources *sources,
                    const struct ww_policy_context *contexts, ww_policy_blame_fn blame_fn,
                    void *arg, struct ww_policy_summary *summary)
{
    struct checking checking = {
        .contexts = contexts, .blame = blame_fn, .arg = arg, .summary = summary};
    union ww_hook_any *input = ww_alloc(2, sizeof(*input));
    struct ww_policy_set *set = NULL;
    struct ww_policy_fault fault;
    int rc = input ? 0 : WW_ENOMEM;

    memset(summary, 0, sizeof(*summary));
    for (size_t index = 0; index < sources->count && !rc; index++) {
        if (!ww_policy_source_is_test(&sources->items[index]))
            rc = check_file(&checking, &sources->items[index], &input[0], &input[1]);
    }
    for (size_t index = 0; index < sources->count && !rc; index++) {
        if (ww_policy_source_is_test(&sources->items[index]))
            check_tests(&checking, &sources->items[index]);
    }
    ww_free(input);
    if (rc || summary->faults)
        return rc;
    /* All together, as a node takes it: what only the whole can break, and its generation. */
    rc = ww_policy_set_create(sources, NULL, &set, &fault);
    if (rc == WW_ENOMEM)
        return rc;
    if (rc) {
        blame(&checking, &fault);
        return 0;
    }
    summary->generation = *ww_policy_set_generation(set);
    ww_policy_set_release(set);
    return 0;
}

struct naming {
    struct ww_policy_vm *vm;
    struct ww_buf *out;
};

static int names_body(lua_State *lua)
{
    struct naming *naming = lua_touserdata(lua, 1);

    lua_rawgeti(lua, LUA_REGISTRYINDEX, naming->vm->environment);
    lua_pushnil(lua);
    while (lua_next(lua, 2)) {
        lua_pop(lua, 1);
        ww_buf_printf(naming->out, "%s ", lua_tostring(lua, -1));
    }
    return 0;
}

int ww_policy_globals(struct ww_buf *out)
{
    static const struct ww_policy_sources none;
    struct naming naming = {.out = out};
    struct ww_policy_fault fault;
    int rc = ww_policy_vm_create(&none, &exact, &naming.vm, &fault);

    if (rc)
        return rc;
    rc = ww_policy_vm_run(naming.vm, names_body, &naming, WW_EPOLICY_RUNTIME, &fault);
    ww_policy_vm_destroy(naming.vm);
    return rc ? rc : out->error;
}
