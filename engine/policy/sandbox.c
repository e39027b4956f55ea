/* The policy VM's globals. What is not named here does not exist for a policy.
 *
 * Relies on the libraries being opened one by one: never luaL_openlibs, never luaopen_jit (the
 * compiler would switch the count hook off), never luaopen_package (a 64-bit literal loads the FFI
 * into _LOADED, where only `require` would find it; compile() refuses such text anyway).
 */
#include "sandbox.h"

#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meter.h"
#include "ww/hooks.h"

/* --- pairs, tostring ---------------------------------------------------------------------- */

struct sorted_key {
    bool is_text;
    double number;
    const char *text; /* held by the table that is walked */
    size_t size;
};

static int compare_keys(const void *left, const void *right)
{
    const struct sorted_key *a = left;
    const struct sorted_key *b = right;
    int order;

    if (a->is_text != b->is_text)
        return a->is_text ? 1 : -1;
    if (!a->is_text)
        return (a->number > b->number) - (a->number < b->number);
    order = memcmp(a->text, b->text, WW_MIN(a->size, b->size));
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

static int next_pair(lua_State *lua)
{
    int index = (int)lua_tointeger(lua, lua_upvalueindex(3));

    for (;;) {
        lua_settop(lua, 0);
        lua_rawgeti(lua, lua_upvalueindex(2), ++index);
        lua_pushinteger(lua, index);
        lua_replace(lua, lua_upvalueindex(3));
        if (lua_isnil(lua, 1))
            return 1;
        lua_pushvalue(lua, 1);
        lua_rawget(lua, lua_upvalueindex(1));
        if (!lua_isnil(lua, 2)) /* removed while it is walked */
            return 2;
    }
}

/* pairs(t): numbers first, then strings, each in order; the same in every VM. */
static int sorted_pairs(lua_State *lua)
{
    struct sorted_key *keys;
    size_t count = 0;

    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 1);
    lua_pushnil(lua);
    while (lua_next(lua, 1)) {
        lua_pop(lua, 1);
        count++;
    }
    if (count > WW_POLICY_PAIRS_MAX)
        return luaL_error(lua, "pairs: more than %d keys", WW_POLICY_PAIRS_MAX);
    ww_policy_meter_charge(lua, count * 32);
    keys = lua_newuserdata(lua, (count + 1) * sizeof(*keys)); /* 2 */
    count = 0;
    lua_pushnil(lua);
    while (lua_next(lua, 1)) {
        struct sorted_key *key = &keys[count++];

        lua_pop(lua, 1);
        memset(key, 0, sizeof(*key));
        key->is_text = lua_type(lua, -1) == LUA_TSTRING;
        if (key->is_text)
            key->text = lua_tolstring(lua, -1, &key->size);
        else if (lua_type(lua, -1) == LUA_TNUMBER)
            key->number = lua_tonumber(lua, -1);
        else
            return luaL_error(lua, "pairs: a key is a %s; only numbers and strings have an order",
                              luaL_typename(lua, -1));
        if (key->size > WW_POLICY_KEY_BYTES_MAX)
            return luaL_error(lua, "pairs: a key is longer than %d bytes", WW_POLICY_KEY_BYTES_MAX);
    }
    qsort(keys, count, sizeof(*keys), compare_keys);
    lua_pushvalue(lua, 1);
    lua_createtable(lua, (int)count, 0);
    for (size_t index = 0; index < count; index++) {
        if (keys[index].is_text)
            lua_pushlstring(lua, keys[index].text, keys[index].size);
        else
            lua_pushnumber(lua, keys[index].number);
        lua_rawseti(lua, -2, (int)index + 1);
    }
    lua_pushinteger(lua, 0);
    lua_pushcclosure(lua, next_pair, 3);
    return 1;
}

/* tostring(x), without addresses: they differ from run to run. */
static int plain_tostring(lua_State *lua)
{
    luaL_checkany(lua, 1);
    switch (lua_type(lua, 1)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
        lua_tolstring(lua, 1, NULL);
        lua_settop(lua, 1);
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(lua, lua_toboolean(lua, 1) ? "true" : "false");
        break;
    default:
        lua_pushstring(lua, luaL_typename(lua, 1));
        break;
    }
    return 1;
}

/* table.concat(list, separator, first, last), for as much as a policy may build at once. */
static int capped_concat(lua_State *lua)
{
    lua_Integer first = luaL_optinteger(lua, 3, 1);
    lua_Integer last;
    size_t separator_size;
    const char *separator = luaL_optlstring(lua, 2, "", &separator_size);
    uint64_t size = 0;
    luaL_Buffer buffer;

    luaL_checktype(lua, 1, LUA_TTABLE);
    last = luaL_optinteger(lua, 4, (lua_Integer)lua_objlen(lua, 1));
    if (first <= last) {
        if (first < INT_MIN || last > INT_MAX || last - first >= WW_POLICY_PAIRS_MAX)
            return luaL_error(lua, "table.concat: more than %d items", WW_POLICY_PAIRS_MAX);
        ww_policy_meter_charge(lua, (uint64_t)(last - first + 1));
    }
    luaL_buffinit(lua, &buffer);
    for (lua_Integer index = first; index <= last; index++) {
        lua_rawgeti(lua, 1, (int)index);
        if (!lua_isstring(lua, -1))
            return luaL_error(lua, "table.concat: item %d is a %s", (int)index,
                              luaL_typename(lua, -1));
        size += lua_objlen(lua, -1) + separator_size;
        if (size > WW_POLICY_STRING_BYTES_MAX)
            return luaL_error(lua, "table.concat: more than %d bytes", WW_POLICY_STRING_BYTES_MAX);
        luaL_addvalue(&buffer);
        if (index < last)
            luaL_addlstring(&buffer, separator, separator_size);
    }
    luaL_pushresult(&buffer);
    return 1;
}

/* --- read-only tables --------------------------------------------------------------------- */

static int refuse_write(lua_State *lua)
{
    if (lua_type(lua, 2) == LUA_TSTRING)
        return luaL_error(lua, "'%s' can't be set here: a policy keeps nothing; use `local`",
                          lua_tostring(lua, 2));
    return luaL_error(lua, "this table can't be changed");
}

void ww_policy_sandbox_freeze(lua_State *lua)
{
    int real = lua_gettop(lua);

    lua_createtable(lua, 0, 0);
    lua_createtable(lua, 0, 3);
    lua_pushvalue(lua, real);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, refuse_write);
    lua_setfield(lua, -2, "__newindex");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    lua_replace(lua, real);
}

static int refuse_absent(lua_State *lua)
{
    if (lua_type(lua, 2) == LUA_TSTRING)
        return luaL_error(lua, "there is no '%s' in a policy", lua_tostring(lua, 2));
    return luaL_error(lua, "there is no such thing in a policy");
}

void ww_policy_sandbox_strict(lua_State *lua)
{
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, refuse_absent);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
}

/* --- opening ------------------------------------------------------------------------------ */

static void open_library(lua_State *lua, lua_CFunction open, const char *name)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

/* Copies the named fields of the table on top into a new table that replaces it. */
static void keep_only(lua_State *lua, const char *const *names)
{
    lua_createtable(lua, 0, 32);
    for (; *names; names++) {
        lua_getfield(lua, -2, *names);
        lua_setfield(lua, -2, *names);
    }
    lua_remove(lua, -2);
}

static void add_functions(lua_State *lua, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushcfunction(lua, functions->func);
        lua_setfield(lua, -2, functions->name);
    }
}

static void open_string(lua_State *lua)
{
    static const char *const names[] = {"byte",    "char", "len",   "lower",
                                        "reverse", "sub",  "upper", NULL};

    lua_getglobal(lua, "string");
    keep_only(lua, names);
    add_functions(lua, ww_policy_string_functions);
    add_functions(lua, ww_policy_pattern_functions);
    lua_pushliteral(lua, "");
    if (!lua_getmetatable(lua, -1))
        luaL_error(lua, "strings have no metatable");
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index"); /* ("x"):find: a table that nothing else names */
    lua_pop(lua, 2);
    ww_policy_sandbox_freeze(lua);
}

void ww_policy_sandbox_open(lua_State *lua)
{
    static const char *const base[] = {"assert", "error",    "ipairs", "select",
                                       "type",   "tonumber", "unpack", NULL};
    static const char *const math[] = {"abs", "ceil", "floor", "fmod", "huge",
                                       "max", "min",  "sqrt",  NULL};
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    lua_Number unit = 1;

    open_library(lua, luaopen_base, "");
    open_library(lua, luaopen_string, LUA_STRLIBNAME);
    open_library(lua, luaopen_math, LUA_MATHLIBNAME);

    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    keep_only(lua, base);
    lua_pushcfunction(lua, sorted_pairs);
    lua_setfield(lua, -2, "pairs");
    lua_pushcfunction(lua, plain_tostring);
    lua_setfield(lua, -2, "tostring");
    open_string(lua);
    lua_setfield(lua, -2, "string");
    lua_getglobal(lua, "math");
    keep_only(lua, math);
    ww_policy_sandbox_freeze(lua);
    lua_setfield(lua, -2, "math");
    lua_createtable(lua, 0, 4); /* the prelude adds to it, then freezes it */
    lua_pushcfunction(lua, capped_concat);
    lua_setfield(lua, -2, "concat");
    lua_setfield(lua, -2, "table");
    for (size_t index = 0; index < WW_ARRAY_COUNT(units); index++) {
        unit *= 1024;
        lua_pushnumber(lua, unit);
        lua_setfield(lua, -2, units[index]);
    }
    ww_policy_sandbox_strict(lua);
    lua_createtable(lua, 0, 0); /* the real globals go */
    lua_replace(lua, LUA_GLOBALSINDEX);
}

static bool has_ffi(lua_State *lua)
{
    bool found;

    lua_getfield(lua, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(lua, -1, "ffi");
    found = !lua_isnil(lua, -1);
    lua_pop(lua, 2);
    return found;
}

void ww_policy_sandbox_compile(lua_State *lua, int environment, const char *name, const char *text,
                               size_t size)
{
    char shown[80];

    snprintf(shown, sizeof(shown), "=%s", name);
    if (size > 0 && text[0] == LUA_SIGNATURE[0])
        luaL_error(lua, "%s:1: this is bytecode; a policy is text", name);
    if (luaL_loadbufferx(lua, text, size, shown, "t"))
        lua_error(lua);
    if (has_ffi(lua))
        luaL_error(lua, "%s: numbers with LL, ULL or i are not for policies", name);
    lua_pushvalue(lua, environment);
    lua_setfenv(lua, -2);
}
