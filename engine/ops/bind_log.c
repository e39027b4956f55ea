/* ww.logged: the log's last lines (ww/base.h).
 *
 * ww.logged.since(number, most): at most so many lines of this number and later ones, in order:
 * {number, time_ms, level, room, message, pairs}. ww.logged.keep(level): lines up to this level are
 * kept even if they are not written; nil: no longer.
 */
#include "vm.h"

static void push_line(lua_State *lua, const struct ww_log_line *line)
{
    lua_createtable(lua, 0, 6);
    lua_pushnumber(lua, (lua_Number)line->number);
    lua_setfield(lua, -2, "number");
    lua_pushnumber(lua, (lua_Number)line->time_ms);
    lua_setfield(lua, -2, "time_ms");
    lua_pushstring(lua, ww_log_level_name(line->level));
    lua_setfield(lua, -2, "level");
    lua_pushstring(lua, line->room);
    lua_setfield(lua, -2, "room");
    lua_pushstring(lua, line->message);
    lua_setfield(lua, -2, "message");
    lua_pushstring(lua, line->pairs);
    lua_setfield(lua, -2, "pairs");
}

static int lua_since(lua_State *lua)
{
    uint64_t number = (uint64_t)luaL_checknumber(lua, 1);
    lua_Integer most = luaL_checkinteger(lua, 2);
    struct ww_log_line line;

    lua_newtable(lua);
    for (lua_Integer count = 1; count <= most && ww_log_line(number, &line); count++) {
        push_line(lua, &line);
        lua_rawseti(lua, -2, (int)count);
        number = line.number + 1;
    }
    return 1;
}

static int lua_keep(lua_State *lua)
{
    enum ww_log_level level = WW_LOG_ERROR;

    if (!lua_isnil(lua, 1) && ww_log_level_parse(luaL_checkstring(lua, 1), &level))
        return ww_ops_push_error(lua, WW_EINVAL, "a log level is error, warn, info or debug");
    ww_log_keep_level(level);
    lua_pushboolean(lua, 1);
    return 1;
}

void ww_ops_open_log(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"since", lua_since}, {"keep", lua_keep}, {NULL, NULL}};

    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setfield(lua, -2, "logged");
}
