/* string.find, match, gmatch and gsub for policies: LuaJIT's interface over our own matcher.
 *
 * Relies on pattern.c for the matching and on the meter for its price: 8 steps of a match cost one
 * instruction, so the hook's budget bounds a pattern as it bounds a loop.
 */
#include <string.h>

#include "meter.h"
#include "pattern.h"
#include "sandbox.h"
#include "ww/error.h"
#include "ww/limits.h"

/* Takes subject and pattern from arguments 1 and 2. */
static void prepare(lua_State *lua, struct ww_pattern *state)
{
    const struct ww_policy_meter *meter = ww_policy_meter_of(lua);
    uint64_t left = meter->budget > meter->instructions ? meter->budget - meter->instructions : 0;

    *state = (struct ww_pattern){.steps = 0};
    state->subject = luaL_checklstring(lua, 1, &state->subject_size);
    state->pattern = luaL_checklstring(lua, 2, &state->pattern_size);
    if (state->pattern_size > WW_POLICY_PATTERN_BYTES_MAX)
        luaL_error(lua, "the pattern is longer than %d bytes", WW_POLICY_PATTERN_BYTES_MAX);
    if (state->subject_size > WW_POLICY_SUBJECT_BYTES_MAX)
        luaL_error(lua, "the text is longer than %d bytes", WW_POLICY_SUBJECT_BYTES_MAX);
    state->steps_max = WW_MIN((left + 1) * 8, (uint64_t)WW_POLICY_PATTERN_STEPS_MAX);
}

/* Charges what was done so far; raises the matcher's error, if any. */
static void settle(lua_State *lua, struct ww_pattern *state)
{
    uint64_t steps = state->steps;

    state->steps = 0;
    ww_policy_meter_charge(lua, steps);
    if (state->error == WW_EPOLICY_BUDGET)
        ww_policy_meter_exhaust(lua, state->what);
    if (state->error)
        luaL_error(lua, "%s", state->what);
}

static bool anchored(const struct ww_pattern *state)
{
    return state->pattern_size > 0 && state->pattern[0] == '^';
}

/* The first match at or after *start; moves *start to it. */
static bool search(lua_State *lua, struct ww_pattern *state, size_t *start, size_t *end)
{
    bool found = false;
    size_t skip = anchored(state) ? 1 : 0;

    do {
        found = ww_pattern_match_at(state, *start, skip, end);
        if (found || state->error)
            break;
        ++*start;
    } while (!skip && *start <= state->subject_size);
    settle(lua, state);
    return found;
}

static void push_capture(lua_State *lua, const struct ww_pattern *state, size_t index)
{
    const struct ww_pattern_capture *capture = &state->captures[index];

    if (capture->size == WW_PATTERN_POSITION)
        lua_pushinteger(lua, (lua_Integer)capture->start + 1);
    else
        lua_pushlstring(lua, state->subject + capture->start, capture->size);
}

/* All captures, or the whole match when there are none and `whole` says so. Returns how many. */
static int push_captures(lua_State *lua, const struct ww_pattern *state, size_t start, size_t end,
                         bool whole)
{
    luaL_checkstack(lua, WW_PATTERN_CAPTURES_MAX + 2, "too many captures");
    if (state->level == 0 && whole) {
        lua_pushlstring(lua, state->subject + start, end - start);
        return 1;
    }
    for (size_t index = 0; index < state->level; index++)
        push_capture(lua, state, index);
    return (int)state->level;
}

/* Argument 3 of find and match, as an index; past the end means no match. */
static size_t first_index(lua_State *lua, const struct ww_pattern *state)
{
    lua_Number init = luaL_optnumber(lua, 3, 1);

    if (init < 0)
        init = init + (lua_Number)state->subject_size + 1;
    if (!(init >= 1))
        return 0;
    if (init > (lua_Number)state->subject_size + 1)
        return state->subject_size + 1;
    return (size_t)init - 1;
}

static int find_plain(lua_State *lua, const struct ww_pattern *state, size_t start)
{
    const char *found;

    ww_policy_meter_charge(lua, state->subject_size / 8);
    found = memmem(state->subject + start, state->subject_size - start, state->pattern,
                   state->pattern_size);
    if (!found) {
        lua_pushnil(lua);
        return 1;
    }
    lua_pushinteger(lua, (lua_Integer)(found - state->subject) + 1);
    lua_pushinteger(lua, (lua_Integer)(found - state->subject) + (lua_Integer)state->pattern_size);
    return 2;
}

static int find_or_match(lua_State *lua, bool is_find)
{
    struct ww_pattern state;
    size_t start;
    size_t end;

    prepare(lua, &state);
    start = first_index(lua, &state);
    if (start <= state.subject_size) {
        if (is_find && lua_toboolean(lua, 4))
            return find_plain(lua, &state, start);
        if (search(lua, &state, &start, &end)) {
            if (!is_find)
                return push_captures(lua, &state, start, end, true);
            lua_pushinteger(lua, (lua_Integer)start + 1);
            lua_pushinteger(lua, (lua_Integer)end);
            return 2 + push_captures(lua, &state, start, end, false);
        }
    }
    lua_pushnil(lua);
    return 1;
}

static int string_find(lua_State *lua)
{
    return find_or_match(lua, true);
}

static int string_match(lua_State *lua)
{
    return find_or_match(lua, false);
}

static int next_match(lua_State *lua)
{
    struct ww_pattern state;
    size_t start = (size_t)lua_tointeger(lua, lua_upvalueindex(3));
    size_t end;

    lua_settop(lua, 0);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushvalue(lua, lua_upvalueindex(2));
    prepare(lua, &state);
    if (start > state.subject_size || !search(lua, &state, &start, &end))
        return 0;
    lua_pushinteger(lua, (lua_Integer)(end > start ? end : end + 1));
    lua_replace(lua, lua_upvalueindex(3));
    return push_captures(lua, &state, start, end, true);
}

static int string_gmatch(lua_State *lua)
{
    struct ww_pattern state;

    prepare(lua, &state); /* checks the arguments */
    lua_settop(lua, 2);
    lua_pushinteger(lua, 0);
    lua_pushcclosure(lua, next_match, 3);
    return 1;
}

/* --- gsub --------------------------------------------------------------------------------- */

/* A replacement string, with %0 … %9 and %%. */
static void add_template(lua_State *lua, luaL_Buffer *buffer, const struct ww_pattern *state,
                         size_t start, size_t end)
{
    size_t size;
    const char *text = lua_tolstring(lua, 3, &size);

    for (size_t index = 0; index < size; index++) {
        size_t digit;

        if (text[index] != '%' || index + 1 >= size) {
            luaL_addchar(buffer, text[index]);
            continue;
        }
        index++;
        digit = (size_t)(text[index] - '0');
        if (digit > 9) {
            luaL_addchar(buffer, text[index]);
        } else if (digit == 0 || (digit == 1 && state->level == 0)) {
            luaL_addlstring(buffer, state->subject + start, end - start);
        } else if (digit <= state->level) {
            push_capture(lua, state, digit - 1);
            luaL_addvalue(buffer);
        } else {
            luaL_error(lua, "invalid capture index");
        }
    }
}

/* What stands for one match, by the kind of argument 3. */
static void add_replacement(lua_State *lua, luaL_Buffer *buffer, const struct ww_pattern *state,
                            size_t start, size_t end)
{
    int type = lua_type(lua, 3);

    if (type == LUA_TFUNCTION) {
        struct ww_policy_meter *meter = ww_policy_meter_of(lua);

        if (meter->nested == WW_POLICY_NESTED_MAX)
            luaL_error(lua, "string.gsub: its function calls string.gsub too deep");
        meter->nested++; /* an error leaves it so: nothing runs after one */
        lua_pushvalue(lua, 3);
        lua_call(lua, push_captures(lua, state, start, end, true), 1);
        meter->nested--;
    } else if (type == LUA_TTABLE) {
        if (state->level > 0)
            push_capture(lua, state, 0);
        else
            lua_pushlstring(lua, state->subject + start, end - start);
        lua_gettable(lua, 3);
    } else {
        add_template(lua, buffer, state, start, end);
        return;
    }
    if (!lua_toboolean(lua, -1)) {
        lua_pop(lua, 1);
        luaL_addlstring(buffer, state->subject + start, end - start);
    } else if (lua_isstring(lua, -1)) {
        luaL_addvalue(buffer);
    } else {
        luaL_error(lua, "string.gsub: the replacement is a %s", luaL_typename(lua, -1));
    }
}

static int string_gsub(lua_State *lua)
{
    struct ww_pattern state;
    lua_Number most = luaL_optnumber(lua, 4, WW_POLICY_SUBJECT_BYTES_MAX + 1);
    uint64_t count = 0;
    uint64_t made = 0;
    size_t start = 0;
    int type = lua_type(lua, 3);
    luaL_Buffer buffer;

    prepare(lua, &state);
    if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TTABLE && type != LUA_TFUNCTION)
        return luaL_error(lua, "string.gsub: the replacement is a %s", luaL_typename(lua, 3));
    lua_settop(lua, 3);
    luaL_buffinit(lua, &buffer);
    while ((lua_Number)count < most) {
        size_t end;
        bool found = ww_pattern_match_at(&state, start, anchored(&state) ? 1 : 0, &end);

        settle(lua, &state);
        if (found) {
            count++;
            made += type == LUA_TSTRING ? lua_objlen(lua, 3) * (1 + end - start) : 64;
            if (made > WW_POLICY_STRING_BYTES_MAX)
                return luaL_error(lua, "string.gsub: more than %d bytes",
                                  WW_POLICY_STRING_BYTES_MAX);
            add_replacement(lua, &buffer, &state, start, end);
        }
        if (found && end > start)
            start = end;
        else if (start < state.subject_size)
            luaL_addchar(&buffer, state.subject[start++]);
        else
            break;
        if (anchored(&state))
            break;
    }
    if (start < state.subject_size)
        luaL_addlstring(&buffer, state.subject + start, state.subject_size - start);
    luaL_pushresult(&buffer);
    lua_pushnumber(lua, (lua_Number)count);
    return 2;
}

const luaL_Reg ww_policy_pattern_functions[] = {
    {"find", string_find},
    {"match", string_match},
    {"gmatch", string_gmatch},
    {"gsub", string_gsub},
    {NULL, NULL},
};
