/* One policy VM: a set's sources, compiled, and decisions made with them.
 *
 * Every entry into Lua is a protected call under the meter. A VM that hit a limit is only good for
 * being destroyed. One thread.
 */
#pragma once
#include <lua.h>

#include "meter.h"
#include "ww/policy.h"

struct ww_policy_vm {
    lua_State *lua;
    struct ww_policy_meter meter;
    int environment;          /* registry references: the allowed globals, not frozen */
    int random;               /* ctx.random */
    int nothing;              /* an empty table that can't be written: ctx.memory, ctx.thresholds */
    int hooks[WW_HOOK_COUNT]; /* functions; LUA_NOREF when the file is absent */
    bool loading;             /* a file that is no test runs for the first time */
    size_t
        builtins[WW_POLICY_BUILTINS_MAX]; /* indices of scripts.h: texts that files started from */
    size_t builtin_count;
};

/* Runs `body` (a lua_CFunction whose argument is the light userdata `data`) protected. Returns 0, a
 * limit's kind, or `kind` for any other error, with the fault filled. */
int ww_policy_vm_run(struct ww_policy_vm *vm, lua_CFunction body, void *data, int kind,
                     struct ww_policy_fault *fault);
/* Compiles every source that is not a test and runs it. */
int ww_policy_vm_create(const struct ww_policy_sources *sources,
                        const struct ww_policy_options *options, struct ww_policy_vm **vm,
                        struct ww_policy_fault *fault);
void ww_policy_vm_destroy(struct ww_policy_vm *vm);
/* Adds builtin() to the table of globals on top. In a protected call. */
void ww_policy_builtin_open(lua_State *lua, struct ww_policy_vm *vm);
/* The file whose function the hook is: "contract.lua", or "default/contract.lua" if it is a
 * built-in one that contract.lua passed on. "" when the hook's file is absent. */
void ww_policy_vm_source(struct ww_policy_vm *vm, enum ww_hook hook, char *file, size_t size);
/* Lets the hook decide; the result holds its defaults already. */
int ww_policy_vm_decide(struct ww_policy_vm *vm, enum ww_hook hook, const void *input,
                        const struct ww_policy_context *context, void *result,
                        struct ww_policy_fault *fault);
/* Pushes a fresh ctx table, and seeds its random numbers. In a protected call. */
void ww_policy_vm_push_context(struct ww_policy_vm *vm, const struct ww_policy_context *context);
/* One run of the x.test.lua among the sources. */
struct ww_policy_test_run {
    const struct ww_policy_sources *sources;
    const struct ww_policy_options *repeat; /* ask a fresh VM too; NULL: only this VM twice */
    const char *file;                       /* only this file's; NULL: all */
    ww_policy_blame_fn blame;               /* told of each failure; NULL: the first one ends it */
    void *arg;
    size_t count;  /* out: tests that ran */
    size_t failed; /* out: of them; only with `blame` */
};
/* 0 when the tests ran (with `blame` some may have failed), or what ended them early. */
int ww_policy_vm_test(struct ww_policy_vm *vm, struct ww_policy_test_run *run,
                      struct ww_policy_fault *fault);
/* True for "x.test.lua". */
bool ww_policy_source_is_test(const struct ww_policy_source *source);
/* Fills the fault; takes "file.lua:12: " off the front of the message. Any character that a log
 * can't take becomes a space. */
void ww_policy_fault_set(struct ww_policy_fault *fault, int kind, const char *message);
