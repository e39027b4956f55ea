/* What a policy can reach: an allow-list of globals, read-only, and string functions with limits.
 *
 * Functions here run inside a protected call and raise Lua errors.
 */
#pragma once
#include <lauxlib.h>
#include <lua.h>

/* Opens base, string, table and math; leaves the table of allowed globals on the stack, with the
 * string metatable pointing at our string functions. Nothing else of the libraries stays reachable.
 */
void ww_policy_sandbox_open(lua_State *lua);
/* Replaces the table on top by a read-only view of it. */
void ww_policy_sandbox_freeze(lua_State *lua);
/* Makes reading an absent key of the table on top an error that names it. */
void ww_policy_sandbox_strict(lua_State *lua);
/* Compiles text with its environment (a table at index `environment`) and leaves the function.
 * Raises an error for bytecode, a syntax error or a 64-bit literal. */
void ww_policy_sandbox_compile(lua_State *lua, int environment, const char *name, const char *text,
                               size_t size);
/* The functions of the `string` table that differ from LuaJIT's, NULL-terminated. */
extern const luaL_Reg ww_policy_string_functions[];
/* Likewise find, match, gmatch and gsub. */
extern const luaL_Reg ww_policy_pattern_functions[];
