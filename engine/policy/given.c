/* Inputs that people give: Lua text over a hook's sample, with what ctx holds. For `try`, for tests
 * and for whoever asks what a policy would say.
 *
 * The text runs in a policy VM without policies, so it can do as little as they. Nothing is kept of
 * the VM: names of thresholds are copied.
 */
#include "given.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "marshal.h"
#include "sandbox.h"
#include "vm.h"

static uint64_t check_whole(lua_State *lua, int index)
{
    lua_Number number = lua_tonumber(lua, index);

    if (lua_type(lua, index) != LUA_TNUMBER ||
        !(number >= 0 && number <= (lua_Number)WW_HOOK_NUMBER_MAX))
        luaL_error(lua, "try: ctx holds whole numbers");
    return (uint64_t)number;
}

static void read_thresholds(lua_State *lua, struct ww_policy_given *given)
{
    luaL_checktype(lua, -1, LUA_TTABLE);
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        size_t place = given->context.threshold_count;

        if (place >= WW_POLICY_THRESHOLDS_MAX || lua_type(lua, -2) != LUA_TSTRING ||
            lua_objlen(lua, -2) >= sizeof(given->names[0]))
            luaL_error(lua, "try: thresholds are numbers by name, at most %d",
                       WW_POLICY_THRESHOLDS_MAX);
        snprintf(given->names[place], sizeof(given->names[place]), "%s", lua_tostring(lua, -2));
        given->thresholds[place] =
            (struct ww_policy_threshold){given->names[place], check_whole(lua, -1)};
        given->context.threshold_count++;
        lua_pop(lua, 1);
    }
}

static void read_memory(lua_State *lua, struct ww_policy_given *given)
{
    struct ww_policy_reader reader = {.partial = true};

    luaL_checktype(lua, -1, LUA_TTABLE);
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        size_t place = given->context.memory_count;
        struct ww_policy_memory_entry *entry = &given->memory[place];

        if (place >= WW_POLICY_MEMORY_MAX || lua_type(lua, -2) != LUA_TSTRING ||
            lua_objlen(lua, -2) >= sizeof(entry->key))
            luaL_error(lua, "try: memory has values by name, at most %d", WW_POLICY_MEMORY_MAX);
        snprintf(entry->key, sizeof(entry->key), "%s", lua_tostring(lua, -2));
        if (!ww_policy_read_value(lua, &entry->value, &reader))
            luaL_error(lua, "try: memory.%s: %s", entry->key, reader.why);
        given->context.memory_count++;
        lua_pop(lua, 1);
    }
}

void ww_policy_read_context(lua_State *lua, int index, struct ww_policy_given *given)
{
    memset(given, 0, sizeof(*given));
    given->context.now_s = WW_POLICY_GIVEN_NOW_S;
    given->context.thresholds = given->thresholds;
    given->context.memory = given->memory;
    if (lua_isnoneornil(lua, index))
        return;
    luaL_checktype(lua, index, LUA_TTABLE);
    lua_getfield(lua, index, "now_s");
    if (!lua_isnil(lua, -1))
        given->context.now_s = check_whole(lua, -1);
    lua_getfield(lua, index, "seed");
    if (!lua_isnil(lua, -1))
        given->context.seed = check_whole(lua, -1);
    lua_getfield(lua, index, "thresholds");
    if (!lua_isnil(lua, -1))
        read_thresholds(lua, given);
    lua_getfield(lua, index, "memory");
    if (!lua_isnil(lua, -1))
        read_memory(lua, given);
    lua_pop(lua, 4);
}

struct reading {
    struct ww_policy_vm *vm;
    enum ww_hook hook;
    const char *text;
    size_t size;
    void *input;
    struct ww_policy_given *given;
};

static int input_body(lua_State *lua)
{
    struct reading *reading = lua_touserdata(lua, 1);
    const struct ww_policy_struct *type = ww_policy_hooks[reading->hook].input();
    struct ww_policy_reader reader = {.partial = true};

    lua_rawgeti(lua, LUA_REGISTRYINDEX, reading->vm->environment);
    lua_pushliteral(lua, "return ");
    lua_pushlstring(lua, reading->text, reading->size);
    lua_concat(lua, 2);
    ww_policy_sandbox_compile(lua, 2, "input.lua", lua_tostring(lua, 3), lua_objlen(lua, 3));
    lua_call(lua, 0, 1); /* 4 */
    if (!lua_istable(lua, 4))
        return luaL_error(lua, "the input is a table of fields");
    lua_pushliteral(lua, "ctx");
    lua_rawget(lua, 4); /* 5 */
    ww_policy_read_context(lua, 5, reading->given);
    lua_pushliteral(lua, "ctx");
    lua_pushnil(lua);
    lua_rawset(lua, 4);
    lua_settop(lua, 4);
    if (!ww_policy_read(lua, type, reading->input, &reader))
        return luaL_error(lua, "%s", reader.why + (reader.why[0] == '.'));
    return 0;
}

int ww_policy_read_input(enum ww_hook hook, const char *text, size_t size, void *input,
                         struct ww_policy_given *given, struct ww_policy_fault *fault)
{
    static const char empty[] = "{}";
    static const struct ww_policy_sources none;
    static const struct ww_policy_options options;
    struct ww_policy_vm *vm = NULL;
    struct reading reading = {.hook = hook, .input = input, .given = given};
    int rc = 0;

    memset(fault, 0, sizeof(*fault));
    ww_hook_sample(hook, input);
    if (size > WW_POLICY_FILE_BYTES_MAX) {
        ww_policy_fault_set(fault, WW_ETOOBIG, "the input is larger than a policy file may be");
        return WW_ETOOBIG;
    }
    rc = ww_policy_vm_create(&none, &options, &vm, fault);
    if (rc)
        return rc;
    reading.vm = vm;
    reading.text = text ? text : empty;
    reading.size = text ? size : sizeof(empty) - 1;
    ww_policy_meter_start(&vm->meter, vm->lua, WW_POLICY_LOAD_BUDGET, WW_POLICY_TEST_CPU_MS_MAX);
    rc = ww_policy_vm_run(vm, input_body, &reading, WW_EINVAL, fault);
    ww_policy_meter_stop(&vm->meter, vm->lua);
    ww_policy_vm_destroy(vm);
    return rc ? WW_EINVAL : 0;
}
