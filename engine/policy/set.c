/* Policy sets: one generation of files, its VM, its counters, and the calls.
 *
 * The sources never change, so a VM that was thrown away is made again from the same bytes, at the
 * next call. Relies on vm.c; a call here never fails, it falls back.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "answers.h"
#include "fields.h"
#include "observe.h"
#include "set.h"
#include "uses.h"
#include "vm.h"
#include "ww/crypto.h"
#include "ww/policy_replay.h"
#include "ww/scripts.h"

#define REPEAT_NS_MAX 5000000 /* a slower decision is not repeated: both must end within 50 ms */

struct ww_policy_set {
    unsigned references;
    struct ww_policy_sources sources; /* owned copy */
    struct ww_policy_options options;
    struct ww_hash generation;
    struct ww_policy_vm *vm; /* NULL until the next call after it was thrown away */
    size_t test_count;
    uint64_t decisions; /* for the sample that is repeated */
    struct ww_policy_counters counters[WW_HOOK_COUNT];
    struct ww_policy_uses uses;
    struct {
        uint64_t logged_us; /* 0: never */
        uint64_t silent;    /* faults since then */
    } log[WW_HOOK_COUNT];
    union ww_hook_any again; /* a repeated decision */
};

/* --- making ------------------------------------------------------------------------------- */

static bool has_file(const struct ww_policy_set *set, const char *file)
{
    size_t size = strlen(file);

    for (size_t index = 0; index < set->sources.count; index++) {
        const char *name = set->sources.items[index].name;

        if (strncmp(name, file, size) == 0 && strcmp(name + size, ".lua") == 0)
            return true;
    }
    return false;
}

bool ww_policy_set_has(const struct ww_policy_set *set, enum ww_hook hook)
{
    return set && has_file(set, ww_policy_hooks[hook].file);
}

/* Each name and text with its length before it, so that no two sets have the same bytes. */
static void hash_text(struct ww_sha256_stream *stream, const char *name, const char *text,
                      size_t size)
{
    uint8_t sizes[8];

    for (unsigned byte = 0; byte < 4; byte++) {
        sizes[byte] = (uint8_t)(strlen(name) >> (24 - 8 * byte));
        sizes[4 + byte] = (uint8_t)(size >> (24 - 8 * byte));
    }
    ww_sha256_add(stream, sizes, sizeof(sizes));
    ww_sha256_add(stream, name, strlen(name));
    ww_sha256_add(stream, text, size);
}

/* The set's files, and after them those of the program that its VM was made of: the latter have a
 * "/" in their names. */
static int hash_set(const struct ww_policy_set *set, struct ww_hash *hash)
{
    struct ww_sha256_stream *stream = NULL;
    int rc = ww_sha256_begin(&stream);

    if (rc)
        return rc;
    for (size_t index = 0; index < set->sources.count; index++) {
        const struct ww_policy_source *source = &set->sources.items[index];

        hash_text(stream, source->name, source->text, source->size);
    }
    for (size_t index = 0; index < set->vm->builtin_count; index++) {
        const char *name;
        const char *text;
        size_t size;

        WW_REQUIRE(ww_script_at(set->vm->builtins[index], &name, &text, &size) == 0);
        hash_text(stream, name, text, size);
    }
    ww_sha256_end(stream, hash);
    return 0;
}

static int copy_sources(const struct ww_policy_sources *from, struct ww_policy_sources *to)
{
    int rc = 0;

    for (size_t index = 0; index < from->count && !rc; index++)
        rc = ww_policy_sources_add(to, from->items[index].name, from->items[index].text,
                                   from->items[index].size);
    return rc;
}

/* A first VM shows that the set loads; it also runs the tests, and is then not used again. */
static int prove(struct ww_policy_set *set, struct ww_policy_fault *fault)
{
    struct ww_policy_test_run run = {.sources = &set->sources};
    bool tests = false;
    int rc = ww_policy_vm_create(&set->sources, &set->options, &set->vm, fault);

    if (!rc)
        rc = hash_set(set, &set->generation);
    if (rc)
        return rc;
    for (size_t index = 0; index < set->sources.count; index++)
        tests = tests || ww_policy_source_is_test(&set->sources.items[index]);
    if (set->options.skip_tests || !tests)
        return 0;
    rc = ww_policy_vm_test(set->vm, &run, fault);
    set->test_count = run.count;
    ww_policy_vm_destroy(set->vm);
    set->vm = NULL;
    return rc;
}

int ww_policy_set_create(const struct ww_policy_sources *sources,
                         const struct ww_policy_options *options, struct ww_policy_set **set,
                         struct ww_policy_fault *fault)
{
    struct ww_policy_set *made = ww_alloc(1, sizeof(*made));
    int rc = WW_ENOMEM;

    memset(fault, 0, sizeof(*fault));
    if (!made)
        goto fail;
    made->references = 1;
    if (options)
        made->options = *options;
    if (!made->options.impure_every)
        made->options.impure_every = WW_POLICY_IMPURE_EVERY;
    rc = copy_sources(sources, &made->sources);
    if (!rc)
        rc = prove(made, fault);
    if (rc)
        goto fail;
    *set = made;
    return 0;
fail:
    if (!fault->kind)
        ww_policy_fault_set(fault, rc, ww_error_what(rc));
    ww_policy_set_release(made);
    return rc;
}

struct ww_policy_set *ww_policy_set_retain(struct ww_policy_set *set)
{
    set->references++;
    return set;
}

void ww_policy_set_release(struct ww_policy_set *set)
{
    if (!set)
        return;
    WW_REQUIRE(set->references > 0);
    if (--set->references > 0)
        return;
    ww_policy_vm_destroy(set->vm);
    ww_policy_sources_deinit(&set->sources);
    ww_free(set);
}

const struct ww_hash *ww_policy_set_generation(const struct ww_policy_set *set)
{
    return &set->generation;
}

const struct ww_policy_sources *ww_policy_set_sources(const struct ww_policy_set *set)
{
    return &set->sources;
}

void ww_policy_set_rest(struct ww_policy_set *set)
{
    ww_policy_vm_destroy(set->vm);
    set->vm = NULL;
}

void ww_policy_set_prepare(struct ww_policy_set *set)
{
    struct ww_policy_fault fault;

    if (!set->vm)
        ww_policy_vm_create(&set->sources, &set->options, &set->vm, &fault);
}

struct ww_policy_vm *ww_policy_set_exchange(struct ww_policy_set *set, struct ww_policy_vm *vm)
{
    struct ww_policy_vm *before = set->vm;

    set->vm = vm;
    return before;
}

const struct ww_policy_options *ww_policy_set_options(const struct ww_policy_set *set)
{
    return &set->options;
}

void ww_policy_set_note_repeated(struct ww_policy_set *set, enum ww_hook hook)
{
    set->counters[hook].repeated++;
}

size_t ww_policy_set_test_count(const struct ww_policy_set *set)
{
    return set->test_count;
}

/* --- calls -------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int decide(struct ww_policy_set *set, enum ww_hook hook, const void *input,
                  const struct ww_policy_context *context, void *result,
                  struct ww_policy_report *report)
{
    int rc = 0;

    ww_policy_answer_prepare(hook, input, result);
    if (!set->vm)
        rc = ww_policy_vm_create(&set->sources, &set->options, &set->vm, &report->fault);
    if (rc)
        return rc;
    set->vm->meter.returns = ww_policy_uses_looks(&set->counters[hook]);
    rc = ww_policy_vm_decide(set->vm, hook, input, context, result, &report->fault);
    report->instructions = set->vm->meter.instructions;
    if (!rc && set->vm->meter.returned) {
        const char *source = set->vm->meter.returned_source;

        report->line = set->vm->meter.returned;
        snprintf(report->file, sizeof(report->file), "%s", source + (*source == '='));
    }
    if (rc == WW_EPOLICY_BUDGET || rc == WW_EPOLICY_MEMORY) {
        ww_policy_vm_destroy(set->vm);
        set->vm = NULL;
    }
    return rc;
}

int ww_policy_blame_impure(enum ww_hook hook, struct ww_policy_fault *fault)
{
    ww_policy_fault_set(fault, WW_EPOLICY_IMPURE,
                        "the decision came out differently when it was asked for again");
    snprintf(fault->file, sizeof(fault->file), "%s.lua", ww_policy_hooks[hook].file);
    return WW_EPOLICY_IMPURE;
}

/* Asks a fresh VM the same; it must decide the same. */
static int repeat(struct ww_policy_set *set, enum ww_hook hook, const void *input,
                  const struct ww_policy_context *context, const void *result,
                  struct ww_policy_report *report)
{
    struct ww_policy_vm *vm = NULL;
    size_t size = ww_policy_hooks[hook].result()->size;
    int rc = ww_policy_vm_create(&set->sources, &set->options, &vm, &report->fault);

    if (rc)
        return 0; /* nothing is known against the first answer */
    set->counters[hook].repeated++;
    ww_policy_answer_prepare(hook, input, &set->again);
    rc = ww_policy_vm_decide(vm, hook, input, context, &set->again, &report->fault);
    if (rc == WW_EPOLICY_BUDGET || rc == WW_EPOLICY_MEMORY) {
        ww_policy_vm_destroy(vm); /* a busy machine; the next sample may say more */
        return 0;
    }
    ww_policy_vm_destroy(set->vm); /* the fresh one takes its place: whatever was kept is gone */
    set->vm = vm;
    if (rc || memcmp(result, &set->again, size) != 0)
        return ww_policy_blame_impure(hook, &report->fault);
    return 0;
}

void ww_policy_set_note_fault(struct ww_policy_set *set, enum ww_hook hook,
                              const struct ww_policy_fault *fault)
{
    unsigned kind = (unsigned)(WW_EPOLICY_SYNTAX - fault->kind);
    uint64_t now_us = ww_clock_mono_us();

    if (kind < WW_POLICY_KINDS)
        set->counters[hook].faults[kind]++;
    if (set->log[hook].logged_us && now_us - set->log[hook].logged_us < 1000000) {
        set->log[hook].silent++;
        return;
    }
    ww_log(WW_LOG_WARN, "policy", ww_error_what(fault->kind),
           "hook=%s kind=%s at=%s:%u more=%llu message=%s", ww_policy_hooks[hook].name,
           ww_error_name(fault->kind), fault->file, fault->line,
           (unsigned long long)set->log[hook].silent, WW_Q(fault->message));
    set->log[hook].logged_us = now_us;
    set->log[hook].silent = 0;
}

int ww_policy_call(struct ww_policy_set *set, enum ww_hook hook, const void *input,
                   const struct ww_policy_context *context, void *result,
                   struct ww_policy_report *report)
{
    struct ww_policy_report local;
    struct ww_policy_counters *counters;
    struct ww_policy_effect effect;
    uint64_t start_ns = now_ns();
    int rc = 0;

    WW_REQUIRE((unsigned)hook < WW_HOOK_COUNT);
    if (!report)
        report = &local;
    memset(report, 0, sizeof(*report));
    if (!set) {
        report->fallback = true;
        ww_policy_answer_fallback(hook, input, result);
        return 0;
    }
    counters = &set->counters[hook];
    report->generation = set->generation;
    report->fallback = !ww_policy_set_has(set, hook);
    if (!report->fallback) {
        rc = decide(set, hook, input, context, result, report);
        report->due = !rc && ++set->decisions % set->options.impure_every == 0 &&
                      now_ns() - start_ns < REPEAT_NS_MAX;
        if (report->due && !set->options.repeat_later) {
            report->due = false;
            rc = repeat(set, hook, input, context, result, report);
        }
    }
    if (rc) {
        report->fallback = true;
        ww_policy_set_note_fault(set, hook, &report->fault);
    } else {
        memset(&report->fault, 0, sizeof(report->fault)); /* of a repetition that proved nothing */
    }
    if (report->fallback) {
        ww_policy_answer_fallback(hook, input, result);
        counters->fallbacks++;
    }
    report->time_ns = now_ns() - start_ns;
    counters->calls++;
    counters->instructions += report->instructions;
    counters->time_ns += report->time_ns;
    counters->time_ns_max = WW_MAX(counters->time_ns_max, report->time_ns);
    if (!report->fallback) {
        ww_policy_effect(hook, input, result, &effect);
        ww_policy_uses_add(&set->uses, hook, context->now_s, &effect, report);
    }
    if (ww_policy_observer.hooks & UINT32_C(1) << hook)
        ww_policy_observer.fn(ww_policy_observer.arg, hook, input, result, report);
    return rc;
}

void ww_policy_set_counters(const struct ww_policy_set *set, enum ww_hook hook,
                            struct ww_policy_counters *counters)
{
    WW_REQUIRE((unsigned)hook < WW_HOOK_COUNT);
    *counters = set->counters[hook];
}

const struct ww_policy_use *ww_policy_set_uses(const struct ww_policy_set *set, size_t *count,
                                               uint64_t *beyond)
{
    *count = set->uses.count;
    if (beyond)
        *beyond = set->uses.beyond;
    return set->uses.items;
}

void ww_policy_set_unseen(const struct ww_policy_set *set, enum ww_hook hook,
                          struct ww_policy_unseen *unseen)
{
    WW_REQUIRE((unsigned)hook < WW_HOOK_COUNT);
    *unseen = set->uses.unseen[hook];
}

/* --- one decision, looked at --------------------------------------------------------------- */

struct trial {
    enum ww_hook hook;
    const void *input;
    const struct ww_policy_context *context;
    void *result;
    void *again; /* room for one more */
    bool decided;
    struct ww_policy_report *report;
};

/* A fresh VM decides, `times` times in a row. The first answer of all goes to `result`, with its
 * instructions; each other one is compared with it. */
static int decide_afresh(const struct ww_policy_set *set, struct trial *trial, unsigned times)
{
    static const struct ww_policy_options exact = {.exact = true};
    size_t size = ww_policy_hooks[trial->hook].result()->size;
    struct ww_policy_vm *vm = NULL;
    int rc = ww_policy_vm_create(&set->sources, &exact, &vm, &trial->report->fault);

    for (; !rc && times > 0; times--) {
        ww_policy_answer_prepare(trial->hook, trial->input, trial->again);
        rc = ww_policy_vm_decide(vm, trial->hook, trial->input, trial->context, trial->again,
                                 &trial->report->fault);
        if (!trial->decided) {
            trial->report->instructions = vm->meter.instructions;
            memcpy(trial->result, trial->again, size);
            trial->decided = true;
        } else if (rc || memcmp(trial->result, trial->again, size) != 0) {
            rc = ww_policy_blame_impure(trial->hook, &trial->report->fault);
        }
    }
    ww_policy_vm_destroy(vm);
    return rc;
}

int ww_policy_try(const struct ww_policy_set *set, enum ww_hook hook, const void *input,
                  const struct ww_policy_context *context, void *result,
                  struct ww_policy_report *report)
{
    struct trial trial = {
        .hook = hook, .input = input, .context = context, .result = result, .report = report};
    uint64_t start_ns = now_ns();
    int rc = 0;

    WW_REQUIRE((unsigned)hook < WW_HOOK_COUNT);
    memset(report, 0, sizeof(*report));
    report->generation = set->generation;
    report->fallback = !ww_policy_set_has(set, hook);
    if (!report->fallback) {
        trial.again = ww_alloc(1, sizeof(union ww_hook_any));
        if (!trial.again)
            return WW_ENOMEM;
        rc = decide_afresh(set, &trial, 2);
        if (!rc)
            rc = decide_afresh(set, &trial, 1);
        ww_free(trial.again);
        report->fallback = rc != 0;
    }
    if (report->fallback)
        ww_policy_answer_fallback(hook, input, result);
    report->time_ns = now_ns() - start_ns;
    return rc;
}
