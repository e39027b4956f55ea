/* Making a policy VM and asking it. See vm.h.
 *
 * Relies on sandbox.c for what policies see and on meter.c for what they may use. Nothing is pushed
 * outside a protected call: with a memory cap, that would abort the process.
 */
#include "vm.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "marshal.h"
#include "sandbox.h"
#include "ww/scripts.h"

static const char TEST_SUFFIX[] = ".test.lua";

bool ww_policy_source_is_test(const struct ww_policy_source *source)
{
    size_t size = strlen(source->name);
    size_t suffix = sizeof(TEST_SUFFIX) - 1;

    return size > suffix && strcmp(source->name + size - suffix, TEST_SUFFIX) == 0;
}

void ww_policy_fault_set(struct ww_policy_fault *fault, int kind, const char *message)
{
    const char *colon = strchr(message, ':');
    char *end = NULL;
    unsigned long line = colon ? strtoul(colon + 1, &end, 10) : 0;
    size_t size = colon ? (size_t)(colon - message) : 0;

    memset(fault, 0, sizeof(*fault));
    fault->kind = kind;
    /* As sources.c names files: a policy can raise any text, and the log takes this one as it is.
     */
    if (colon && size > 4 && size < sizeof(fault->file) && memcmp(colon - 4, ".lua", 4) == 0 &&
        strspn(message, "abcdefghijklmnopqrstuvwxyz0123456789_.") == size) {
        memcpy(fault->file, message, size);
        message = colon + 1;
        if (end > message && *end == ':') {
            fault->line = (unsigned)line;
            message = end + 1;
        }
        message += *message == ' ';
    }
    snprintf(fault->message, sizeof(fault->message), "%s", message);
    for (char *at = fault->message; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    }
    if (ww_policy_is_text(fault->message, strlen(fault->message)))
        return;
    for (char *at = fault->message; *at; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
}

int ww_policy_vm_run(struct ww_policy_vm *vm, lua_CFunction body, void *data, int kind,
                     struct ww_policy_fault *fault)
{
    int status = lua_cpcall(vm->lua, body, data);
    const char *message = NULL;

    if (!status) {
        lua_settop(vm->lua, 0);
        return 0;
    }
    if (lua_type(vm->lua, -1) == LUA_TSTRING)
        message = lua_tostring(vm->lua, -1);
    if (!message)
        message = "an error that is no string was raised";
    if (vm->meter.fault) {
        kind = vm->meter.fault;
        if (status == LUA_ERRMEM)
            message = vm->meter.what;
    } else if (status == LUA_ERRMEM) {
        kind = WW_EPOLICY_MEMORY;
    }
    ww_policy_fault_set(fault, kind, message);
    if (strcmp(fault->file, "prelude.lua") == 0) { /* ours: it only passes on what it was given */
        fault->file[0] = '\0';
        fault->line = 0;
    }
    lua_settop(vm->lua, 0);
    return kind;
}

/* --- making ------------------------------------------------------------------------------- */

/* ctx.random(n): a whole number from 1 to n, the same sequence for the same seed. */
static int context_random(lua_State *lua)
{
    lua_Number bound = luaL_checknumber(lua, 1);

    if (!(bound >= 1 && bound <= (lua_Number)WW_HOOK_NUMBER_MAX))
        return luaL_error(lua, "ctx.random: a whole number from 1 is needed");
    lua_pushnumber(
        lua, (lua_Number)(1 + ww_prng_next(&ww_policy_meter_of(lua)->prng) % (uint64_t)bound));
    return 1;
}

static void load_prelude(lua_State *lua, int environment)
{
    const char *text;
    size_t size;

    if (ww_script_find("lua/policy/prelude.lua", &text, &size))
        luaL_error(lua, "the prelude is missing");
    ww_policy_sandbox_compile(lua, environment, "prelude.lua", text, size);
    lua_getfield(lua, environment, "table");
    lua_call(lua, 1, 0);
    lua_getfield(lua, environment, "table");
    ww_policy_sandbox_freeze(lua);
    lua_setfield(lua, environment, "table");
}

static int open_body(lua_State *lua)
{
    struct ww_policy_vm *vm = lua_touserdata(lua, 1);

    ww_policy_sandbox_open(lua);
    load_prelude(lua, lua_gettop(lua));
    ww_policy_builtin_open(lua, vm);
    vm->environment = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_pushcfunction(lua, context_random);
    vm->random = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_createtable(lua, 0, 0);
    ww_policy_sandbox_freeze(lua);
    vm->nothing = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 0;
}

struct loading {
    struct ww_policy_vm *vm;
    const struct ww_policy_source *source;
    int kind; /* of an error, as far as we got */
};

static int compile_body(lua_State *lua)
{
    struct loading *loading = lua_touserdata(lua, 1);
    const struct ww_policy_source *source = loading->source;

    lua_rawgeti(lua, LUA_REGISTRYINDEX, loading->vm->environment);
    ww_policy_sandbox_freeze(lua);
    ww_policy_sandbox_compile(lua, lua_gettop(lua), source->name, source->text, source->size);
    lua_setfield(lua, LUA_REGISTRYINDEX, "chunk");
    return 0;
}

/* Runs the compiled chunk, and keeps the hooks of the table that it returns. */
static int chunk_body(lua_State *lua)
{
    struct loading *loading = lua_touserdata(lua, 1);
    const char *name = loading->source->name;
    size_t size = strlen(name) - (sizeof(".lua") - 1);
    bool any = false;

    lua_settop(lua, 0);
    lua_getfield(lua, LUA_REGISTRYINDEX, "chunk");
    lua_call(lua, 0, 1);
    if (!lua_istable(lua, 1))
        return luaL_error(lua, "%s: a policy file returns a table of functions", name);
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++) {
        const struct ww_policy_hook *about = &ww_policy_hooks[hook];

        if (strlen(about->file) != size || memcmp(about->file, name, size) != 0)
            continue;
        any = true;
        lua_pushstring(lua, about->function);
        lua_rawget(lua, 1);
        if (!lua_isfunction(lua, -1)) {
            loading->kind = WW_EPOLICY_MISSING;
            return luaL_error(lua, "%s: there is no function '%s'", name, about->function);
        }
        loading->vm->hooks[hook] = luaL_ref(lua, LUA_REGISTRYINDEX);
    }
    if (!any)
        return luaL_error(lua, "%s: no hook lives in a file of this name", name);
    return 0;
}

/* Files know nothing of each other: a place in another one was made up by the policy. */
static void keep_to_file(struct ww_policy_fault *fault, const char *name)
{
    if (strcmp(fault->file, name) == 0)
        return;
    snprintf(fault->file, sizeof(fault->file), "%s", name);
    fault->line = 0;
}

static int load_source(struct ww_policy_vm *vm, const struct ww_policy_source *source,
                       struct ww_policy_fault *fault)
{
    struct loading loading = {.vm = vm, .source = source, .kind = WW_EPOLICY_LOAD};
    int rc;

    rc = ww_policy_vm_run(vm, compile_body, &loading, WW_EPOLICY_SYNTAX, fault);
    if (rc)
        return rc;
    vm->meter.running = vm->loading = true;
    rc = ww_policy_vm_run(vm, chunk_body, &loading, WW_EPOLICY_LOAD, fault);
    vm->meter.running = vm->loading = false;
    if (rc == WW_EPOLICY_LOAD && loading.kind == WW_EPOLICY_MISSING)
        rc = fault->kind = WW_EPOLICY_MISSING;
    if (rc)
        keep_to_file(fault, source->name);
    return rc;
}

/* The compiler can't be interrupted, and some texts take it a time that is quadratic: they end
 * before they can hold up a call, which makes the VM anew after a fault. */
static int blame_slow(const struct ww_policy_source *source, struct ww_policy_fault *fault)
{
    ww_policy_fault_set(fault, WW_EPOLICY_BUDGET, "the set takes too long to compile and load");
    snprintf(fault->file, sizeof(fault->file), "%s", source->name);
    return WW_EPOLICY_BUDGET;
}

int ww_policy_vm_create(const struct ww_policy_sources *sources,
                        const struct ww_policy_options *options, struct ww_policy_vm **vm,
                        struct ww_policy_fault *fault)
{
    struct ww_policy_vm *made = ww_alloc(1, sizeof(*made));
    uint64_t start_us = ww_policy_meter_cpu_us();
    int rc = WW_ENOMEM;

    if (!made)
        goto fail;
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++)
        made->hooks[hook] = LUA_NOREF;
    made->lua = luaL_newstate();
    if (!made->lua)
        goto fail;
    ww_policy_meter_attach(&made->meter, made->lua, options->exact ? 1 : WW_POLICY_HOOK_INTERVAL,
                           options->fail_allocation);
    rc = ww_policy_vm_run(made, open_body, made, WW_EPOLICY_LOAD, fault);
    if (rc)
        goto destroy;
    ww_policy_meter_start(&made->meter, made->lua, WW_POLICY_LOAD_BUDGET,
                          WW_POLICY_LOAD_CPU_MS_MAX);
    made->meter.running = false;
    for (size_t index = 0; index < sources->count && !rc; index++) {
        if (ww_policy_source_is_test(&sources->items[index]))
            continue;
        rc = load_source(made, &sources->items[index], fault);
        if (!rc && ww_policy_meter_cpu_us() - start_us > WW_POLICY_MAKE_CPU_MS_MAX * 1000ULL)
            rc = blame_slow(&sources->items[index], fault);
    }
    ww_policy_meter_stop(&made->meter, made->lua);
    if (rc)
        goto destroy;
    *vm = made;
    return 0;
fail:
    ww_policy_fault_set(fault, rc, "memory ran out");
destroy:
    ww_policy_vm_destroy(made);
    return rc;
}

void ww_policy_vm_destroy(struct ww_policy_vm *vm)
{
    if (!vm)
        return;
    if (vm->lua) {
        ww_policy_meter_detach(&vm->meter, vm->lua);
        lua_close(vm->lua);
    }
    ww_free(vm);
}

/* --- deciding ----------------------------------------------------------------------------- */

/* A fresh table for `count` names, or the empty one, which need not be made. */
static void push_names(struct ww_policy_vm *vm, size_t count)
{
    if (count > 0)
        lua_createtable(vm->lua, 0, (int)count);
    else
        lua_rawgeti(vm->lua, LUA_REGISTRYINDEX, vm->nothing);
}

static void push_memory(struct ww_policy_vm *vm, const struct ww_policy_context *context)
{
    WW_REQUIRE(context->memory_count <= WW_POLICY_MEMORY_MAX);
    push_names(vm, context->memory_count);
    for (size_t index = 0; index < context->memory_count; index++) {
        ww_policy_push_value(vm->lua, &context->memory[index].value);
        lua_setfield(vm->lua, -2, context->memory[index].key);
    }
}

void ww_policy_vm_push_context(struct ww_policy_vm *vm, const struct ww_policy_context *context)
{
    lua_State *lua = vm->lua;

    ww_prng_seed(&vm->meter.prng, context->seed);
    lua_createtable(lua, 0, 4);
    lua_pushnumber(lua, (lua_Number)WW_MIN(context->now_s, WW_HOOK_NUMBER_MAX));
    lua_setfield(lua, -2, "now_s");
    lua_rawgeti(lua, LUA_REGISTRYINDEX, vm->random);
    lua_setfield(lua, -2, "random");
    WW_REQUIRE(context->threshold_count <= WW_POLICY_THRESHOLDS_MAX);
    push_names(vm, context->threshold_count);
    for (size_t index = 0; index < context->threshold_count; index++) {
        uint64_t value = context->thresholds[index].value;

        lua_pushnumber(lua, (lua_Number)WW_MIN(value, WW_HOOK_NUMBER_MAX));
        lua_setfield(lua, -2, context->thresholds[index].name);
    }
    lua_setfield(lua, -2, "thresholds");
    push_memory(vm, context);
    lua_setfield(lua, -2, "memory");
}

void ww_policy_vm_source(struct ww_policy_vm *vm, enum ww_hook hook, char *file, size_t size)
{
    lua_Debug about = {.short_src = ""};

    if (vm->hooks[hook] != LUA_NOREF) {
        lua_rawgeti(vm->lua, LUA_REGISTRYINDEX, vm->hooks[hook]);
        lua_getinfo(vm->lua, ">S", &about);
    }
    snprintf(file, size, "%s", about.short_src);
}

struct deciding {
    struct ww_policy_vm *vm;
    enum ww_hook hook;
    const void *input;
    const struct ww_policy_context *context;
    void *result;
    bool valid; /* what came back */
    char why[256];
};

static int decide_body(lua_State *lua)
{
    struct deciding *deciding = lua_touserdata(lua, 1);
    const struct ww_policy_hook *hook = &ww_policy_hooks[deciding->hook];
    struct ww_policy_reader reader = {.hook = hook, .input = deciding->input};

    lua_rawgeti(lua, LUA_REGISTRYINDEX, deciding->vm->hooks[deciding->hook]);
    deciding->vm->meter.function = lua_topointer(lua, -1);
    ww_policy_push(lua, hook->input(), deciding->input, NULL, NULL);
    ww_policy_vm_push_context(deciding->vm, deciding->context);
    lua_call(lua, 2, 1);
    deciding->valid = ww_policy_read(lua, hook->result(), deciding->result, &reader);
    if (!deciding->valid)
        snprintf(deciding->why, sizeof(deciding->why), "%s", reader.why + (reader.why[0] == '.'));
    return 0;
}

int ww_policy_vm_decide(struct ww_policy_vm *vm, enum ww_hook hook, const void *input,
                        const struct ww_policy_context *context, void *result,
                        struct ww_policy_fault *fault)
{
    struct deciding deciding = {
        .vm = vm, .hook = hook, .input = input, .context = context, .result = result};
    char name[64];
    int rc;

    ww_policy_meter_start(&vm->meter, vm->lua, ww_policy_hooks[hook].budget, WW_POLICY_CPU_MS_MAX);
    rc = ww_policy_vm_run(vm, decide_body, &deciding, WW_EPOLICY_RUNTIME, fault);
    ww_policy_meter_stop(&vm->meter, vm->lua);
    if (!rc && (!deciding.valid ||
                !ww_policy_answer_check(hook, input, result, deciding.why, sizeof(deciding.why)))) {
        rc = WW_EPOLICY_RESULT;
        ww_policy_fault_set(fault, rc, deciding.why);
    }
    if (rc) {
        snprintf(name, sizeof(name), "%s.lua", ww_policy_hooks[hook].file);
        keep_to_file(fault, name);
    }
    return rc;
}
