/* The tests that operators write beside their policies, run in a policy VM of their own.
 *
 * A test file sees what a policy sees, and test(), try() and same() from lua/testkit. try() calls a
 * hook of the VM with a sample input over which the test lays what it cares about, and demands a
 * valid result that comes out the same twice.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "answers.h"
#include "given.h"
#include "marshal.h"
#include "sandbox.h"
#include "vm.h"
#include "ww/scripts.h"

#define TESTS "tests" /* registry: list of {name, function} of the file being run */

struct testing {
    struct ww_policy_vm *vm;
    struct ww_policy_test_run *run;
    const struct ww_policy_source *source;
    size_t count;
    uint64_t cpu_start_us;
    int kind; /* of a failure that is more than a failed test; 0 */
};

/* --- try ---------------------------------------------------------------------------------- */

/* What try() changes in the meter, put back after the hook has answered. */
struct meter_state {
    uint64_t budget;
    uint64_t instructions;
};

static void call_hook(lua_State *lua, struct ww_policy_vm *vm, enum ww_hook hook, const void *input,
                      const struct ww_policy_context *context, void *result)
{
    const struct ww_policy_hook *about = &ww_policy_hooks[hook];
    struct ww_policy_reader reader = {.hook = about, .input = input};
    struct meter_state outer = {vm->meter.budget, vm->meter.instructions};
    char why[200];

    ww_policy_answer_prepare(hook, input, result);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, vm->hooks[hook]);
    ww_policy_push(lua, about->input(), input, NULL, NULL);
    ww_policy_vm_push_context(vm, context);
    vm->meter.budget = about->budget;
    vm->meter.instructions = 0;
    lua_call(lua, 2, 1);
    vm->meter.budget = outer.budget;
    vm->meter.instructions += outer.instructions;
    if (!ww_policy_read(lua, about->result(), result, &reader))
        luaL_error(lua, "%s returned a bad result: %s", about->name,
                   reader.why + (reader.why[0] == '.'));
    if (!ww_policy_answer_check(hook, input, result, why, sizeof(why)))
        luaL_error(lua, "%s returned a bad result: %s", about->name, why);
    lua_pop(lua, 1);
}

static size_t rounded(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

/* Time that goes into repeating is not the tests'. */
static void give_time_back(struct testing *testing, uint64_t cpu_us, uint64_t wall_us)
{
    struct ww_policy_meter *meter = &testing->vm->meter;

    testing->cpu_start_us += cpu_us;
    meter->start_us += wall_us;
    if (meter->cpu_start_us)
        meter->cpu_start_us += cpu_us;
}

/* Asks a fresh VM the same. True if it decides the same, or can't be made. */
static bool decides_again(struct testing *testing, enum ww_hook hook, const void *input,
                          const struct ww_policy_context *context, const void *result, void *again)
{
    uint64_t cpu_us = ww_policy_meter_cpu_us(), wall_us = ww_clock_mono_us();
    struct ww_policy_vm *vm = NULL;
    struct ww_policy_fault fault;
    bool same = true;

    if (ww_policy_vm_create(testing->run->sources, testing->run->repeat, &vm, &fault))
        return true;
    ww_policy_answer_prepare(hook, input, again);
    same = !ww_policy_vm_decide(vm, hook, input, context, again, &fault) &&
           memcmp(result, again, ww_policy_hooks[hook].result()->size) == 0;
    ww_policy_vm_destroy(vm);
    give_time_back(testing, ww_policy_meter_cpu_us() - cpu_us, ww_clock_mono_us() - wall_us);
    return same;
}

/* Both ways of asking again: the same VM, and where it is wanted a fresh one. Behind the result is
 * room for another. */
static void demand_purity(lua_State *lua, struct testing *testing, enum ww_hook hook,
                          const void *input, const struct ww_policy_context *context, char *result)
{
    size_t size = ww_policy_hooks[hook].result()->size;
    char *again = result + rounded(size);
    bool same;

    call_hook(lua, testing->vm, hook, input, context, again);
    same = memcmp(result, again, size) == 0;
    if (same && testing->run->repeat)
        same = decides_again(testing, hook, input, context, result, again);
    if (same)
        return;
    testing->kind = WW_EPOLICY_IMPURE;
    luaL_error(lua, "%s decides differently when asked again", ww_hook_name(hook));
}

static int test_try(lua_State *lua)
{
    struct testing *testing = lua_touserdata(lua, lua_upvalueindex(1));
    struct ww_policy_vm *vm = testing->vm;
    const char *name = luaL_checkstring(lua, 1);
    struct ww_policy_given *given;
    struct ww_policy_reader reader = {.partial = true};
    const struct ww_policy_hook *about;
    size_t input_size;
    size_t result_size;
    char *input;
    char *result;
    enum ww_hook hook;

    if (ww_hook_parse(name, &hook))
        return luaL_error(lua, "try: there is no hook '%s'", name);
    if (vm->hooks[hook] == LUA_NOREF)
        return luaL_error(lua, "try: the set has no file for '%s'", name);
    about = &ww_policy_hooks[hook];
    lua_settop(lua, 3);
    input_size = rounded(about->input()->size);
    result_size = rounded(about->result()->size);
    input = lua_newuserdata(lua, input_size + 2 * result_size); /* 4 */
    result = input + input_size;
    ww_hook_sample(hook, input);
    if (!lua_isnil(lua, 2)) {
        lua_pushvalue(lua, 2);
        if (!ww_policy_read(lua, about->input(), input, &reader))
            return luaL_error(lua, "try: the input of %s: %s", name,
                              reader.why + (reader.why[0] == '.'));
        lua_pop(lua, 1);
    }
    given = lua_newuserdata(lua, sizeof(*given));
    ww_policy_read_context(lua, 3, given);
    call_hook(lua, vm, hook, input, &given->context, result);
    demand_purity(lua, testing, hook, input, &given->context, result);
    ww_policy_push(lua, about->result(), result, about, input);
    return 1;
}

/* --- running ------------------------------------------------------------------------------ */

/* The table that testkit.lua returns, with try() in it, over the policies' globals. */
static void push_environment(lua_State *lua, struct testing *testing)
{
    const char *text;
    size_t size;
    int globals;

    if (ww_script_find("lua/testkit/testkit.lua", &text, &size))
        luaL_error(lua, "the testkit is missing");
    lua_rawgeti(lua, LUA_REGISTRYINDEX, testing->vm->environment);
    globals = lua_gettop(lua);
    ww_policy_sandbox_compile(lua, globals, "testkit.lua", text, size);
    lua_createtable(lua, 0, 0);
    lua_pushvalue(lua, -1);
    lua_setfield(lua, LUA_REGISTRYINDEX, TESTS);
    lua_call(lua, 1, 1);
    lua_pushlightuserdata(lua, testing);
    lua_pushcclosure(lua, test_try, 1);
    lua_setfield(lua, -2, "try");
    lua_createtable(lua, 0, 1); /* what it does not have, the globals do */
    lua_pushvalue(lua, globals);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
    ww_policy_sandbox_freeze(lua);
}

static int prepare_body(lua_State *lua)
{
    struct testing *testing = lua_touserdata(lua, 1);

    push_environment(lua, testing);
    ww_policy_sandbox_compile(lua, lua_gettop(lua), testing->source->name, testing->source->text,
                              testing->source->size);
    lua_setfield(lua, LUA_REGISTRYINDEX, "chunk");
    return 0;
}

static int collect_body(lua_State *lua)
{
    lua_getfield(lua, LUA_REGISTRYINDEX, "chunk");
    lua_call(lua, 0, 0);
    return 0;
}

/* Runs test number `count` + 1 of the file; leaves `source` NULL when there is none. */
static int one_body(lua_State *lua)
{
    struct testing *testing = lua_touserdata(lua, 1);

    lua_getfield(lua, LUA_REGISTRYINDEX, TESTS);
    lua_rawgeti(lua, -1, (int)testing->count + 1);
    if (lua_isnil(lua, -1)) {
        testing->source = NULL;
        return 0;
    }
    testing->count++;
    lua_getfield(lua, -1, "run");
    lua_call(lua, 0, 0);
    return 0;
}

/* Puts the test's name before the message. In a protected call: it reads Lua strings. */
static int name_body(lua_State *lua)
{
    struct testing *testing = lua_touserdata(lua, 1);

    lua_getfield(lua, LUA_REGISTRYINDEX, TESTS);
    lua_rawgeti(lua, -1, (int)testing->count);
    lua_getfield(lua, -1, "name");
    return luaL_error(lua, "test '%s'", lua_tostring(lua, -1));
}

/* Puts the test's name before what it failed with, and the kind right. */
static int name_failure(struct testing *testing, struct ww_policy_fault *fault)
{
    struct ww_policy_fault named;
    struct ww_policy_fault told = *fault;

    if (testing->kind)
        fault->kind = testing->kind;
    if (testing->count > 0 && ww_policy_vm_run(testing->vm, name_body, testing, WW_EPOLICY_TEST,
                                               &named) == WW_EPOLICY_TEST)
        snprintf(fault->message, sizeof(fault->message), "%.100s: %.150s", named.message,
                 told.message);
    return fault->kind;
}

/* Runs the tests that were collected. A VM that hit a limit is asked no more. */
static int run_tests(struct testing *testing, const char *name, struct ww_policy_fault *fault)
{
    struct ww_policy_vm *vm = testing->vm;
    int rc = 0;

    while (testing->source) {
        testing->kind = 0;
        ww_policy_meter_start(&vm->meter, vm->lua, WW_POLICY_LOAD_BUDGET,
                              WW_POLICY_TEST_CPU_MS_MAX);
        rc = ww_policy_vm_run(vm, one_body, testing, WW_EPOLICY_TEST, fault);
        ww_policy_meter_stop(&vm->meter, vm->lua);
        if (!rc && ww_policy_meter_cpu_us() - testing->cpu_start_us >
                       WW_POLICY_TESTS_CPU_MS_MAX * 1000ULL) {
            rc = WW_EPOLICY_TEST;
            ww_policy_fault_set(fault, rc, "the tests take more time than a reload may");
            testing->source = NULL;
        }
        if (!rc)
            continue;
        if (!fault->file[0])
            snprintf(fault->file, sizeof(fault->file), "%s", name);
        if (rc == WW_EPOLICY_TEST)
            rc = name_failure(testing, fault);
        if (!testing->run->blame || vm->meter.fault)
            return rc;
        testing->run->blame(testing->run->arg, fault);
        testing->run->failed++;
    }
    return 0;
}

static int run_file(struct testing *testing, struct ww_policy_fault *fault)
{
    struct ww_policy_vm *vm = testing->vm;
    char name[64];
    int rc;

    snprintf(name, sizeof(name), "%s", testing->source->name);
    testing->count = 0;
    rc = ww_policy_vm_run(vm, prepare_body, testing, WW_EPOLICY_SYNTAX, fault);
    if (!rc) {
        ww_policy_meter_start(&vm->meter, vm->lua, WW_POLICY_LOAD_BUDGET,
                              WW_POLICY_TEST_CPU_MS_MAX);
        rc = ww_policy_vm_run(vm, collect_body, testing, WW_EPOLICY_TEST, fault);
        ww_policy_meter_stop(&vm->meter, vm->lua);
    }
    if (!rc)
        return run_tests(testing, name, fault);
    if (!fault->file[0])
        snprintf(fault->file, sizeof(fault->file), "%s", name);
    return rc;
}

int ww_policy_vm_test(struct ww_policy_vm *vm, struct ww_policy_test_run *run,
                      struct ww_policy_fault *fault)
{
    struct testing testing = {.vm = vm, .run = run, .cpu_start_us = ww_policy_meter_cpu_us()};
    int rc = 0;

    run->count = run->failed = 0;
    for (size_t index = 0; index < run->sources->count && !rc; index++) {
        if (!ww_policy_source_is_test(&run->sources->items[index]) ||
            (run->file && strcmp(run->sources->items[index].name, run->file) != 0))
            continue;
        testing.source = &run->sources->items[index];
        rc = run_file(&testing, fault);
        run->count += testing.count;
    }
    return rc;
}
