/* ww.loop: time, timers, signals.
 *
 * ww.loop.now_us() -> monotonic microseconds; ww.loop.wall_ms() -> milliseconds since 1970;
 * ww.loop.after(seconds, fn) -> timer with :cancel(); ww.loop.on_signal("TERM", fn).
 */
#include <signal.h>
#include <string.h>

#include "vm.h"

#define TIMER_CLASS  "ww.timer"
#define SIGNAL_CLASS "ww.signal"

struct timer_box {
    struct ww_ops *ops;
    struct ww_timer *timer;
    int function;
    int self; /* keeps the userdata alive while the timer runs */
};

static void timer_clear(struct timer_box *box)
{
    ww_timer_destroy(box->timer);
    box->timer = NULL;
    ww_ops_unref(box->ops, &box->function);
    ww_ops_unref(box->ops, &box->self);
}

static void timer_fired(void *arg)
{
    struct timer_box *box = arg;
    struct ww_ops *ops = box->ops;
    ww_ops_push_ref(ops, box->function);
    timer_clear(box); /* the function is on the stack; the box may be collected from here on */
    ww_ops_protected(ops, 0, 0);
}

static int lua_after(lua_State *lua)
{
    double delay_s = luaL_checknumber(lua, 1);
    luaL_checktype(lua, 2, LUA_TFUNCTION);
    luaL_argcheck(lua, delay_s >= 0 && delay_s <= 1e9, 1, "seconds out of range");
    struct timer_box *box = lua_newuserdata(lua, sizeof(*box));
    memset(box, 0, sizeof(*box));
    box->ops = ww_ops_of(lua);
    box->function = box->self = LUA_NOREF;
    luaL_getmetatable(lua, TIMER_CLASS);
    lua_setmetatable(lua, -2);
    if (ww_timer_create(box->ops->loop, timer_fired, box, &box->timer))
        return luaL_error(lua, "no memory for a timer");
    lua_pushvalue(lua, 2);
    box->function = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_pushvalue(lua, -1);
    box->self = luaL_ref(lua, LUA_REGISTRYINDEX);
    ww_timer_start(box->timer, (uint64_t)(delay_s * 1e6));
    return 1;
}

static int timer_cancel(lua_State *lua)
{
    struct timer_box *box = luaL_checkudata(lua, 1, TIMER_CLASS);
    if (box->timer)
        timer_clear(box);
    return 0;
}

struct signal_box {
    struct ww_ops *ops;
    struct ww_signal *signal;
    int function;
};

static void signal_fired(void *arg, int signal_number)
{
    struct signal_box *box = arg;
    ww_ops_push_ref(box->ops, box->function);
    lua_pushinteger(box->ops->lua, signal_number);
    ww_ops_protected(box->ops, 1, 0);
}

static int lua_on_signal(lua_State *lua)
{
    static const char *const names[] = {"TERM", "INT", "HUP", "USR1", "WINCH", NULL};
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGWINCH};
    int which = luaL_checkoption(lua, 1, NULL, names);
    luaL_checktype(lua, 2, LUA_TFUNCTION);
    struct signal_box *box = lua_newuserdata(lua, sizeof(*box));
    memset(box, 0, sizeof(*box));
    box->ops = ww_ops_of(lua);
    box->function = LUA_NOREF;
    luaL_getmetatable(lua, SIGNAL_CLASS);
    lua_setmetatable(lua, -2);
    if (ww_signal_create(box->ops->loop, numbers[which], signal_fired, box, &box->signal))
        return luaL_error(lua, "can't wait for signal %s", names[which]);
    lua_pushvalue(lua, 2);
    box->function = luaL_ref(lua, LUA_REGISTRYINDEX);
    luaL_ref(lua, LUA_REGISTRYINDEX); /* lives as long as the VM */
    return 0;
}

static int signal_finalise(lua_State *lua)
{
    struct signal_box *box = lua_touserdata(lua, 1);
    ww_signal_destroy(box->signal);
    box->signal = NULL;
    return 0;
}

static int lua_now_us(lua_State *lua)
{
    lua_pushnumber(lua, (lua_Number)ww_clock_mono_us());
    return 1;
}

static int lua_wall_ms(lua_State *lua)
{
    lua_pushnumber(lua, (lua_Number)ww_clock_wall_ms());
    return 1;
}

void ww_ops_open_loop(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"after", lua_after},   {"on_signal", lua_on_signal},
        {"now_us", lua_now_us}, {"wall_ms", lua_wall_ms},
        {NULL, NULL},
    };
    static const luaL_Reg timer_methods[] = {{"cancel", timer_cancel}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};

    ww_ops_class(lua, TIMER_CLASS, timer_methods, timer_cancel);
    ww_ops_class(lua, SIGNAL_CLASS, none, signal_finalise);
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setfield(lua, -2, "loop");
}
