/* builtin("contract"): what a file of a built-in set returns, so that an operator's file need only
 * say what it does differently.
 *
 * A fresh table of functions, compiled anew in the VM that asks: nothing is shared between files.
 * Only while a file is loaded, since compiling can't be interrupted. Relies on scripts.h for the
 * texts.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "sandbox.h"
#include "vm.h"
#include "ww/scripts.h"

static bool is_word(const char *text, size_t size)
{
    return size > 0 && size < 24 && strspn(text, "abcdefghijklmnopqrstuvwxyz") == size;
}

/* False when there is no such script. */
static bool find(const char *path, size_t *index, const char **text, size_t *size)
{
    const char *name;

    for (*index = 0; !ww_script_at(*index, &name, text, size); ++*index) {
        if (strcmp(name, path) == 0)
            return true;
    }
    return false;
}

static int builtin(lua_State *lua)
{
    struct ww_policy_vm *vm = lua_touserdata(lua, lua_upvalueindex(1));
    size_t file_size, set_size, index, size;
    const char *file = luaL_checklstring(lua, 1, &file_size);
    const char *set = luaL_optlstring(lua, 2, "default", &set_size);
    char path[80];
    const char *text;

    if (!vm->loading)
        return luaL_error(lua,
                          "builtin: only while a policy file is loaded, not in a hook or a test");
    if (!is_word(file, file_size) || !is_word(set, set_size))
        return luaL_error(lua, "builtin: there is no such built-in policy");
    snprintf(path, sizeof(path), "policies/%s/%s.lua", set, file);
    if (!find(path, &index, &text, &size))
        return luaL_error(lua, "builtin: there is no built-in '%s' in the set '%s'", file, set);
    if (vm->builtin_count >= WW_POLICY_BUILTINS_MAX)
        return luaL_error(lua, "builtin: asked for more than %d times", WW_POLICY_BUILTINS_MAX);
    vm->builtins[vm->builtin_count++] = index;
    ww_policy_meter_charge(lua, size);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, vm->environment);
    ww_policy_sandbox_freeze(lua);
    /* "default/contract.lua": no file of an operator's has such a name. */
    ww_policy_sandbox_compile(lua, lua_gettop(lua), path + sizeof("policies/") - 1, text, size);
    lua_call(lua, 0, 1);
    return 1;
}

void ww_policy_builtin_open(lua_State *lua, struct ww_policy_vm *vm)
{
    lua_pushlightuserdata(lua, vm);
    lua_pushcclosure(lua, builtin, 1);
    lua_setfield(lua, -2, "builtin");
}
