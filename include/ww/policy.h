/* Policies: Lua that operators write, run in a sandbox, and never trusted.
 *
 * A set is the policy files of one generation, compiled and tested, with its own VM. A call
 * always answers: with what the policy decided, once validated, or with the hook's fallback.
 * Whatever a policy does, a call ends within 50 ms of CPU time and the next call works.
 *
 * A set belongs to one thread at a time, with all references to it: it may be made on one and
 * handed over to another. It never does I/O; only ww_policy_sources_add_folder reads files.
 *
 * Glossary: source     - the text of one file, x.lua with hooks or x.test.lua with its tests;
 *           generation - the SHA-256 over the names and texts of a set, with those of the built-in
 *                        files that it starts from;
 *           fault      - a way in which a policy fails, one of the WW_EPOLICY_* codes;
 *           fallback   - the answer that C gives when there is no policy, or it fails.
 * To add a hook: write its lines in hooks.def, its three functions in engine/policy/answers.c, and
 * run the unit tests, which say what else is missing; then each built-in set needs it, and its
 * golden cases (tests/unit/policy_golden_test.c).
 */
#pragma once
#include "ww/amount.h"
#include "ww/hooks.h"

/* --- sources ------------------------------------------------------------------------------ */

struct ww_policy_source {
    char name[64]; /* "contract.lua", "contract.test.lua" */
    char *text;    /* owned; `size` bytes, and then a NUL */
    size_t size;
};

struct ww_policy_sources {
    struct ww_policy_source items[WW_POLICY_FILES_MAX];
    size_t count;
};

/* Why a set could not be made, or what a call ran into. */
struct ww_policy_fault {
    int kind;          /* a WW_EPOLICY_* code, or another WW_E… such as WW_ENOMEM; 0 for none */
    char file[64];     /* "" when no file is to blame */
    unsigned line;     /* 0 when not known */
    char message[256]; /* one sentence, without file and line */
};

void ww_policy_sources_init(struct ww_policy_sources *sources);
void ww_policy_sources_deinit(struct ww_policy_sources *sources);
/* Adds or replaces a file; the text is copied. Replacing x.lua by another text drops an x.test.lua
 * that was there: it tested the other one. WW_ETOOBIG, WW_ELIMIT, WW_EINVAL (name), WW_ENOMEM. */
int ww_policy_sources_add(struct ww_policy_sources *sources, const char *name, const char *text,
                          size_t size);
/* Adds every *.lua that is embedded in the program below "prefix/". */
int ww_policy_sources_add_embedded(struct ww_policy_sources *sources, const char *prefix);
/* Adds every *.lua of the folder (not of folders in it; links are followed), in order of name.
 * Its files replace those of the same name. WW_ENOTFOUND, WW_EIO, and as above; `fault` says
 * which file. A file that is not a regular one is refused (WW_EINVAL). */
int ww_policy_sources_add_folder(struct ww_policy_sources *sources, const char *folder,
                                 struct ww_policy_fault *fault);

/* --- sets --------------------------------------------------------------------------------- */

struct ww_policy_set;

struct ww_policy_options {
    bool exact;            /* count every instruction, not in steps of WW_POLICY_HOOK_INTERVAL */
    bool skip_tests;       /* don't run the x.test.lua */
    uint32_t impure_every; /* repeat each n-th decision in a fresh VM; 0: WW_POLICY_IMPURE_EVERY */
    bool repeat_later; /* … not in the call: its report says that it is due (ww/policy_live.h) */
    uint64_t
        fail_allocation; /* tests: the n-th allocation of each VM and all later fail; 0: none */
};

/* Compiles the sources, checks that each file has all its hooks, and runs the tests in a VM of
 * their own. A hook whose file is absent is answered by its fallback, and is no fault. `sources` is
 * copied. `options` may be NULL. On error returns the kind, fills `fault`, and leaves *set alone.
 */
int ww_policy_set_create(const struct ww_policy_sources *sources,
                         const struct ww_policy_options *options, struct ww_policy_set **set,
                         struct ww_policy_fault *fault);
/* One more reference to the set: a decision in progress outlives a swap. Returns the set. */
struct ww_policy_set *ww_policy_set_retain(struct ww_policy_set *set);
/* Gives a reference back; the last one frees the set. NULL is fine. */
void ww_policy_set_release(struct ww_policy_set *set);
/* Content hash: the same files give the same generation, on any machine. */
const struct ww_hash *ww_policy_set_generation(const struct ww_policy_set *set);
/* The files that it was made of; borrowed. */
const struct ww_policy_sources *ww_policy_set_sources(const struct ww_policy_set *set);
/* Gives its VM back: the next call makes it anew. For a set that is kept but does not decide. */
void ww_policy_set_rest(struct ww_policy_set *set);
/* Makes its VM, if it has none, which takes 0.3 ms: so that the first call needn't. If that fails,
 * the first call says why. */
void ww_policy_set_prepare(struct ww_policy_set *set);
/* Tests that were run when the set was made. */
size_t ww_policy_set_test_count(const struct ww_policy_set *set);
/* True if a file of the set answers the hook. */
bool ww_policy_set_has(const struct ww_policy_set *set, enum ww_hook hook);

/* --- calls -------------------------------------------------------------------------------- */

struct ww_policy_threshold {
    const char *name; /* borrowed */
    uint64_t value;   /* at most WW_HOOK_NUMBER_MAX */
};

/* One value of a hook's memory (ww/policy_memory.h). */
struct ww_policy_memory_entry {
    char key[WW_HOOK_KEY_SIZE]; /* not empty; what is behind its NUL is zero */
    struct ww_hook_value value;
    uint64_t until_s; /* when it is forgotten; seconds since 1970 */
};

/* What a policy may know besides its input. */
struct ww_policy_context {
    uint64_t now_s;                               /* seconds since 1970 */
    uint64_t seed;                                /* of ctx.random */
    const struct ww_policy_threshold *thresholds; /* of ctx.thresholds; borrowed; may be NULL */
    size_t threshold_count;                       /* at most WW_POLICY_THRESHOLDS_MAX */
    const struct ww_policy_memory_entry *memory;  /* of ctx.memory; borrowed; may be NULL */
    size_t memory_count;                          /* at most WW_POLICY_MEMORY_MAX */
};

struct ww_policy_report {
    bool fallback;         /* C answered */
    bool due;              /* to be repeated elsewhere: see repeat_later */
    uint64_t instructions; /* charged against the budget */
    char file[64];         /* where the decision was returned; "" and 0: not looked at. It is the */
    unsigned line;         /* … hook's file, or a built-in one that it starts from */
    uint64_t time_ns;      /* of the whole call */
    struct ww_hash generation;
    uint64_t decision;            /* on a node: its id, see ww/policy_journal.h; else 0 */
    struct ww_policy_fault fault; /* kind 0 when there was none */
};

/* Decides. `input` is a const struct ww_hook_<input> of the hook, `result` a struct
 * ww_hook_<result>: it is always filled. Returns 0, also when the hook's file is absent, or the
 * kind of the fault that made the fallback answer; the fault is counted and logged (at most one
 * line per hook and second). `set` may be NULL: the fallback answers. `report` may be NULL. */
int ww_policy_call(struct ww_policy_set *set, enum ww_hook hook, const void *input,
                   const struct ww_policy_context *context, void *result,
                   struct ww_policy_report *report);

/* Kinds of fault, as indices: syntax, load, missing, runtime, budget, memory, result, impure, test.
 */
#define WW_POLICY_KINDS 9

struct ww_policy_counters {
    uint64_t calls;
    uint64_t fallbacks;               /* answered by C, for whatever reason */
    uint64_t faults[WW_POLICY_KINDS]; /* index: WW_EPOLICY_SYNTAX - kind */
    uint64_t repeated;                /* decided again in a fresh VM, to find impurity */
    uint64_t instructions;
    uint64_t time_ns;
    uint64_t time_ns_max;
};

/* A copy of the hook's counters since the set was made. */
void ww_policy_set_counters(const struct ww_policy_set *set, enum ww_hook hook,
                            struct ww_policy_counters *counters);

/* What one rule has decided since the set was made: the line at which a hook returned. A function
 * that ends with a call of another one (`return helper(request)`) returns where that one does.
 * Each decision is looked at; of a hook whose decisions take more than WW_POLICY_USES_LONG
 * instructions on average, the first WW_POLICY_USES_FIRST, and then one in WW_POLICY_USES_EVERY.
 */
struct ww_policy_use {
    enum ww_hook hook;
    char file[64]; /* the hook's, or a built-in one: "default/contract.lua" */
    unsigned line;
    uint64_t looks;  /* decisions that were looked at; what follows is of these */
    uint64_t last_s; /* ctx.now_s of the last one */
    uint64_t instructions;
    uint64_t time_ns;
    uint64_t bytes;            /* that they let somebody buy, sell or keep; see ww_policy_effect */
    struct ww_amount nano_usd; /* … and what these cost */
};
/* At most WW_POLICY_USES_MAX, in the order in which they first decided; borrowed until the next
 * call. beyond: decisions of other rules; may be NULL. */
const struct ww_policy_use *ww_policy_set_uses(const struct ww_policy_set *set, size_t *count,
                                               uint64_t *beyond);

/* Decisions of which no rule is known: not looked at, or there was no room. A rule that is in no
 * use was surely never reached if there are none. */
struct ww_policy_unseen {
    uint64_t count;
    uint64_t last_s; /* ctx.now_s of the last one */
};
void ww_policy_set_unseen(const struct ww_policy_set *set, enum ww_hook hook,
                          struct ww_policy_unseen *unseen);

/* Told of a decision when it has been made; all is borrowed. It must not ask for another. */
typedef void (*ww_policy_observe_fn)(void *arg, enum ww_hook hook, const void *input,
                                     const void *result, const struct ww_policy_report *report);
/* From now on fn is told of the decisions that are made on this thread, by whatever set, of the
 * hooks whose bits (1 << WW_HOOK_…) are set. One fn for each thread; NULL: nobody. */
void ww_policy_observe(uint32_t hooks, ww_policy_observe_fn fn, void *arg);

/* --- looking at a set ---------------------------------------------------------------------- */
/* Without a node, or beside its main loop: an honest set takes milliseconds, but one that goes to
 * every limit 0.1 s for each decision. */

/* Told of a fault; borrowed. */
typedef void (*ww_policy_blame_fn)(void *arg, const struct ww_policy_fault *fault);

struct ww_policy_summary {
    struct ww_hash generation; /* zero when there were faults */
    size_t hooks;              /* found in files that load */
    size_t tests;              /* that ran */
    size_t faults;             /* all; the first WW_POLICY_FAULTS_MAX were told */
};

/* Compiles and loads each file, asks each hook with its sample, and runs all tests, each decision
 * repeated in a fresh VM; tells of every fault that there is. `contexts`: WW_HOOK_COUNT of them,
 * for the samples; NULL: without thresholds and memory. Tests bring their own. Returns 0, also with
 * faults, or WW_ENOMEM. */
int ww_policy_check(const struct ww_policy_sources *sources,
                    const struct ww_policy_context *contexts, ww_policy_blame_fn blame, void *arg,
                    struct ww_policy_summary *summary);

/* As ww_policy_call, in throw-away VMs: nothing of the set changes, nothing is counted or logged.
 * The count of instructions is exact: for the same set and input it is the same in every VM of
 * every process. Asks twice there, and once in a second VM: a difference is WW_EPOLICY_IMPURE.
 * Returns 0 (also when the hook's file is absent), the kind of the fault, or WW_ENOMEM. */
int ww_policy_try(const struct ww_policy_set *set, enum ww_hook hook, const void *input,
                  const struct ww_policy_context *context, void *result,
                  struct ww_policy_report *report);

#define WW_POLICY_GIVEN_NOW_S 1767225600 /* ctx.now_s of tests and of `try`: the start of 2026 */

/* What ctx holds, read from a text. The context points into the struct: don't copy it. */
struct ww_policy_given {
    struct ww_policy_context context;
    struct ww_policy_threshold thresholds[WW_POLICY_THRESHOLDS_MAX];
    char names[WW_POLICY_THRESHOLDS_MAX][WW_POLICY_THRESHOLD_NAME_SIZE];
    struct ww_policy_memory_entry memory[WW_POLICY_MEMORY_MAX];
};

/* Reads an input from Lua text, such as `{ bytes = 5, ctx = { now_s = 7 } }`: fields over the
 * hook's sample, and what ctx holds. NULL: the sample. `input` is a struct ww_hook_<input>.
 * WW_EINVAL or WW_ETOOBIG with the fault's line and message, WW_ENOMEM. */
int ww_policy_read_input(enum ww_hook hook, const char *text, size_t size, void *input,
                         struct ww_policy_given *given, struct ww_policy_fault *fault);

/* Appends the names of what every policy can reach, each with a space after it. */
struct ww_buf;
int ww_policy_globals(struct ww_buf *out);

/* The word for a kind of fault: "syntax", "load", … NULL for a code that is none. */
const char *ww_policy_kind(int code);

/* --- about hooks -------------------------------------------------------------------------- */

/* "contract.offer". Static storage. */
const char *ww_hook_name(enum ww_hook hook);
/* WW_ENOTFOUND if there is no such hook. */
int ww_hook_parse(const char *name, enum ww_hook *hook);
/* The word of a choice, such as "accept"; NULL when `value` is none. choices: "answer". */
const char *ww_hook_word(const char *choices, unsigned value);
/* Instructions that one call may use. */
uint64_t ww_hook_budget(enum ww_hook hook);
/* A typical input, as the tests' `try` starts from. `input` is a struct ww_hook_<input>. */
void ww_hook_sample(enum ww_hook hook, void *input);
/* Input or result as a Lua table constructor, for logs and `why`. */
void ww_hook_print_input(enum ww_hook hook, const void *input, struct ww_buf *out);
void ww_hook_print_result(enum ww_hook hook, const void *input, const void *result,
                          struct ww_buf *out);
/* Both for eyes that may not see everything: a text is "…" unless hooks.def says that it is for
 * anybody (WW_WORDS), and so is a text that is remembered. What the policy of a private hook has
 * written is hidden whatever it is: it may repeat what it was told. */
void ww_hook_print_hidden(enum ww_hook hook, const void *input, const void *result,
                          struct ww_buf *input_out, struct ww_buf *result_out);
/* Whether the hook's input has texts that are not for anybody. */
bool ww_hook_is_private(enum ww_hook hook);
/* ctx.memory as a Lua table. */
void ww_policy_print_memory(const struct ww_policy_memory_entry *memory, size_t count,
                            struct ww_buf *out);
/* docs/policies/hooks.md, from hooks.def. */
void ww_hook_reference(struct ww_buf *out);
/* docs/man/ww-policy.7, from hooks.def. */
void ww_hook_man_page(struct ww_buf *out);
/* lua/meta/policy.lua, from hooks.def: types for the Lua language server. */
void ww_hook_stubs(struct ww_buf *out);
