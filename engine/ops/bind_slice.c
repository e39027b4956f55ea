/* ww.slice: runs a coroutine for a short time, so that what a person typed can't hold up the loop.
 *
 * ww.slice.resume(thread, slice_us, memory_bytes, …) -> "done", results… | "error", message |
 * "wait", values… (it yielded by itself) | "slice" (its time is over: resume it again, or drop it).
 * It ends with an error when the whole VM has more than memory_bytes: between instructions, and a
 * large block that would make it more, as of string.rep or gsub, is not given at all.
 * The time is looked at every SLICE_HOOK_EVERY instructions of the interpreter; the caller switches
 * the compiler off (jit.off), in whose code no hook fires. Inside a function of C that calls back,
 * such as table.sort, a coroutine can't be suspended: there it ends with an error after
 * SLICE_STUCK_US. No pcall keeps such an end: from then on each instruction raises it again. Inside
 * a function that calls nothing back, such as a pattern that tries too much, no hook fires: after
 * SLICE_STUCK_US, SIGINT and SIGTERM end the process. Hooks belong to the whole VM, so the hook is
 * there only while the thread runs, and so are the handlers of signals.
 */
#include <signal.h>
#include <unistd.h>

#include "vm.h"

#define SLICE_HOOK_EVERY 1000
#define SLICE_STUCK_US   2000000
#define SLICE_BLOCK      65536 /* smaller ones are always given: the hook sees them soon enough */

/* One at a time, on the loop's thread: a slice does not begin another. */
static struct {
    lua_State *thread;
    uint64_t end_us;
    size_t memory_bytes;
    bool is_over;
    const char *end; /* why it must not go on, whatever it catches; NULL */
    lua_Alloc alloc; /* the VM's own … */
    void *alloc_arg; /* … and its argument */
} slice;

static const char TOO_MUCH[] = "it uses too much memory";

static const int STOPS[] = {SIGINT, SIGTERM};
static struct sigaction before[WW_ARRAY_COUNT(STOPS)]; /* the loop's */

static size_t memory_of(lua_State *lua)
{
    return ((size_t)lua_gc(lua, LUA_GCCOUNT, 0) << 10) + (size_t)lua_gc(lua, LUA_GCCOUNTB, 0);
}

static void *alloc_within(void *arg, void *block, size_t old_size, size_t size)
{
    if (size > SLICE_BLOCK && size > old_size &&
        memory_of(slice.thread) + (size - old_size) > slice.memory_bytes) {
        slice.end = TOO_MUCH;
        return NULL;
    }
    return slice.alloc(arg, block, old_size, size);
}

/* Handlers of the slice that runs: the loop can't have its turn until that ends. */
static void on_stop(int number)
{
    if (ww_clock_mono_us() > slice.end_us + SLICE_STUCK_US)
        _exit(128 + number);
    for (size_t index = 0; index < WW_ARRAY_COUNT(STOPS); index++) {
        void (*handler)(int) = before[index].sa_handler;
        if (STOPS[index] != number || handler == SIG_IGN)
            continue;
        if (handler == SIG_DFL)
            _exit(128 + number);
        handler(number);
    }
}

static void watch_stops(void)
{
    struct sigaction action = {.sa_handler = on_stop, .sa_flags = SA_RESTART};

    sigfillset(&action.sa_mask);
    for (size_t index = 0; index < WW_ARRAY_COUNT(STOPS); index++)
        sigaction(STOPS[index], &action, &before[index]);
}

static void unwatch_stops(void)
{
    for (size_t index = 0; index < WW_ARRAY_COUNT(STOPS); index++)
        sigaction(STOPS[index], &before[index], NULL);
}

static void end(lua_State *lua, const char *why)
{
    slice.end = why;
    lua_sethook(lua, lua_gethook(lua), LUA_MASKCOUNT, 1);
    luaL_error(lua, "%s", why);
}

static void slice_hook(lua_State *lua, lua_Debug *record)
{
    (void)record;
    if (slice.end)
        luaL_error(lua, "%s", slice.end);
    if (memory_of(lua) > slice.memory_bytes)
        end(lua, TOO_MUCH);
    uint64_t now_us = ww_clock_mono_us();
    if (now_us < slice.end_us)
        return;
    if (lua == slice.thread && lua_isyieldable(lua)) {
        slice.is_over = true;
        lua_yield(lua, 0);
        return;
    }
    if (now_us > slice.end_us + SLICE_STUCK_US)
        end(lua, "it stays too long inside one function of the library");
}

/* Moves what the thread has on its stack after a word; the number of results. */
static int give(lua_State *lua, lua_State *thread, const char *word, int count)
{
    if (!lua_checkstack(lua, count + 1))
        return luaL_error(lua, "too many results");
    lua_pushstring(lua, word);
    lua_xmove(thread, lua, count);
    return count + 1;
}

static int lua_slice_resume(lua_State *lua)
{
    lua_State *thread = lua_tothread(lua, 1);
    int count = lua_gettop(lua) - 3;

    luaL_argcheck(lua, thread && thread != lua, 1, "a coroutine");
    luaL_argcheck(lua, lua_status(thread) == LUA_YIELD || lua_gettop(thread) > 0, 1,
                  "the coroutine has ended");
    slice.thread = thread;
    slice.end_us = ww_clock_mono_us() + (uint64_t)luaL_checknumber(lua, 2);
    slice.memory_bytes = (size_t)luaL_checknumber(lua, 3);
    slice.is_over = false;
    slice.end = NULL;
    if (count > 0) {
        if (!lua_checkstack(thread, count))
            return luaL_error(lua, "too many values");
        lua_xmove(lua, thread, count);
    }
    lua_sethook(thread, slice_hook, LUA_MASKCOUNT, SLICE_HOOK_EVERY);
    watch_stops();
    slice.alloc = lua_getallocf(lua, &slice.alloc_arg);
    lua_setallocf(lua, alloc_within, slice.alloc_arg);
    int rc = lua_resume(thread, count > 0 ? count : 0);
    lua_setallocf(lua, slice.alloc, slice.alloc_arg);
    unwatch_stops();
    lua_sethook(thread, NULL, 0, 0);
    slice.thread = NULL;
    if (rc == LUA_YIELD) {
        if (!slice.is_over)
            return give(lua, thread, "wait", lua_gettop(thread));
        lua_pushliteral(lua, "slice");
        return 1;
    }
    if (rc == LUA_ERRMEM) {
        lua_settop(thread, 0);
        lua_pushstring(thread, TOO_MUCH);
    }
    if (rc)
        return give(lua, thread, "error", 1);
    return give(lua, thread, "done", lua_gettop(thread));
}

void ww_ops_open_slice(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"resume", lua_slice_resume}, {NULL, NULL}};

    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setfield(lua, -2, "slice");
}
