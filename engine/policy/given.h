/* What ctx holds, read from Lua. */
#pragma once
#include <lua.h>

#include "ww/policy.h"

/* The table at `index`, {now_s =, seed =, thresholds = {name = number}, memory = {key = value}}, or
 * nothing. Runs in a protected call, and raises an error for anything else. */
void ww_policy_read_context(lua_State *lua, int index, struct ww_policy_given *given);
