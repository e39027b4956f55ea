/* ww.line: lines typed on the terminal.
 *
 * open{is_complete = fn(text) -> boolean, entered = fn(text), complete = fn(text, cursor),
 * ended = fn(error or nil)} -> line, or nil and an error when there is no terminal. A line has
 * :prompt(text), :stop(), :completed(text or nil, list or nil), :show(text), :discard(), :resize(),
 * :remember(text), :close(); ww/line.h says what each does. It lives until :close().
 */
#include <string.h>

#include "ww/line.h"

#include "vm.h"

#define LINE_CLASS "ww.line"

struct line_box {
    struct ww_ops *ops;
    struct ww_line *line;
    int is_complete, entered, complete, ended, self;
};

static bool call_is_complete(void *arg, const char *text)
{
    struct line_box *box = arg;
    lua_State *lua = box->ops->lua;

    ww_ops_push_ref(box->ops, box->is_complete);
    lua_pushstring(lua, text);
    ww_ops_protected(box->ops, 1, 1);
    bool is_complete = lua_toboolean(lua, -1);
    lua_pop(lua, 1);
    return is_complete;
}

static void call_entered(void *arg, const char *text)
{
    struct line_box *box = arg;
    ww_ops_push_ref(box->ops, box->entered);
    lua_pushstring(box->ops->lua, text);
    ww_ops_protected(box->ops, 1, 0);
}

static void call_complete(void *arg, const char *text, size_t cursor)
{
    struct line_box *box = arg;
    ww_ops_push_ref(box->ops, box->complete);
    lua_pushstring(box->ops->lua, text);
    lua_pushinteger(box->ops->lua, (lua_Integer)cursor);
    ww_ops_protected(box->ops, 2, 0);
}

static void call_ended(void *arg, int code)
{
    struct line_box *box = arg;
    ww_ops_push_ref(box->ops, box->ended);
    if (code)
        ww_ops_push_error_table(box->ops->lua, code, NULL);
    else
        lua_pushnil(box->ops->lua);
    ww_ops_protected(box->ops, 1, 0);
}

static void box_release(struct line_box *box)
{
    ww_line_destroy(box->line);
    box->line = NULL;
    ww_ops_unref(box->ops, &box->is_complete);
    ww_ops_unref(box->ops, &box->entered);
    ww_ops_unref(box->ops, &box->complete);
    ww_ops_unref(box->ops, &box->ended);
    ww_ops_unref(box->ops, &box->self);
}

static int line_open(lua_State *lua)
{
    static const struct ww_line_callbacks callbacks = {.is_complete = call_is_complete,
                                                       .entered = call_entered,
                                                       .complete = call_complete,
                                                       .ended = call_ended};
    luaL_checktype(lua, 1, LUA_TTABLE);
    struct line_box *box = lua_newuserdata(lua, sizeof(*box));
    memset(box, 0, sizeof(*box));
    box->ops = ww_ops_of(lua);
    box->is_complete = box->entered = box->complete = box->ended = box->self = LUA_NOREF;
    luaL_getmetatable(lua, LINE_CLASS);
    lua_setmetatable(lua, -2);
    box->is_complete = ww_ops_field_function(lua, 1, "is_complete");
    box->entered = ww_ops_field_function(lua, 1, "entered");
    box->complete = ww_ops_field_function(lua, 1, "complete");
    box->ended = ww_ops_field_function(lua, 1, "ended");
    int rc = ww_line_create(box->ops->loop, &callbacks, box, &box->line);
    if (rc) {
        box_release(box);
        return ww_ops_push_error(lua, rc, "this is no terminal to type on");
    }
    lua_pushvalue(lua, -1);
    box->self = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 1;
}

static struct ww_line *check_line(lua_State *lua)
{
    struct line_box *box = luaL_checkudata(lua, 1, LINE_CLASS);
    luaL_argcheck(lua, box->line, 1, "the line is closed");
    return box->line;
}

static int line_prompt(lua_State *lua)
{
    ww_line_prompt(check_line(lua), luaL_checkstring(lua, 2));
    return 0;
}

static int line_stop(lua_State *lua)
{
    ww_line_stop(check_line(lua));
    return 0;
}

static int line_completed(lua_State *lua)
{
    ww_line_completed(check_line(lua), luaL_optstring(lua, 2, NULL), luaL_optstring(lua, 3, NULL));
    return 0;
}

static int line_show(lua_State *lua)
{
    ww_line_show(check_line(lua), luaL_checkstring(lua, 2));
    return 0;
}

static int line_discard(lua_State *lua)
{
    ww_line_discard(check_line(lua));
    return 0;
}

static int line_resize(lua_State *lua)
{
    ww_line_resize(check_line(lua));
    return 0;
}

static int line_remember(lua_State *lua)
{
    ww_line_remember(check_line(lua), luaL_checkstring(lua, 2));
    return 0;
}

/* Not from a callback of the line's own: Lua closes it in a later turn of the loop. */
static int line_close(lua_State *lua)
{
    box_release(luaL_checkudata(lua, 1, LINE_CLASS));
    return 0;
}

void ww_ops_open_line(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"open", line_open}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"prompt", line_prompt},     {"stop", line_stop},       {"completed", line_completed},
        {"show", line_show},         {"discard", line_discard}, {"resize", line_resize},
        {"remember", line_remember}, {"close", line_close},     {NULL, NULL}};

    ww_ops_class(lua, LINE_CLASS, methods, line_close);
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setfield(lua, -2, "line");
}
