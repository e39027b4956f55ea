/* ww.fs.watch(folder, fn) -> watch with :close(), or nil and an error: fn is called, once for all
 * that came at once, when a file in the folder is written, made, renamed or removed. fn("gone")
 * says that the folder itself is not there any more: nothing else follows. Relies on inotify(7). */
#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "vm.h"

#define WATCH_CLASS "ww.watch"

/* A write is told when the file is closed: an editor that is not done yet makes no reload. */
#define WATCHED                                                                                    \
    (IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_CREATE | IN_DELETE_SELF |       \
     IN_MOVE_SELF | IN_ONLYDIR)
#define GONE (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)

struct watch_box {
    struct ww_ops *ops;
    struct ww_watch *watch;
    int fd;
    int function;
    int self; /* keeps the userdata alive while it watches */
};

static void watch_clear(struct watch_box *box)
{
    ww_watch_destroy(box->watch);
    box->watch = NULL;
    if (box->fd >= 0)
        close(box->fd);
    box->fd = -1;
    ww_ops_unref(box->ops, &box->function);
    ww_ops_unref(box->ops, &box->self);
}

static void watch_fired(void *arg, int fd, unsigned events)
{
    alignas(struct inotify_event) char buffer[4096];
    struct watch_box *box = arg;
    struct ww_ops *ops = box->ops;
    bool gone = false;
    ssize_t got;

    (void)events;
    while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= got;) {
            struct inotify_event event;

            memcpy(&event, buffer + at, sizeof(event));
            gone = gone || (event.mask & GONE);
            at += (ssize_t)(sizeof(event) + event.len);
        }
    }
    ww_ops_push_ref(ops, box->function);
    if (gone) {
        lua_pushliteral(ops->lua, "gone");
        watch_clear(box); /* the function is on the stack; the box may be collected from here on */
    }
    ww_ops_protected(ops, gone ? 1 : 0, 0);
}

static int fs_watch(lua_State *lua)
{
    const char *folder = luaL_checkstring(lua, 1);
    luaL_checktype(lua, 2, LUA_TFUNCTION);
    struct watch_box *box = lua_newuserdata(lua, sizeof(*box));

    memset(box, 0, sizeof(*box));
    box->ops = ww_ops_of(lua);
    box->function = box->self = LUA_NOREF;
    box->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    luaL_getmetatable(lua, WATCH_CLASS);
    lua_setmetatable(lua, -2);
    if (box->fd < 0 || inotify_add_watch(box->fd, folder, WATCHED) < 0)
        return ww_ops_push_system_error(lua, errno == ENOENT ? WW_ENOTFOUND : WW_ESYSTEM, folder);
    if (ww_watch_create(box->ops->loop, box->fd, WW_WATCH_READ, watch_fired, box, &box->watch))
        return ww_ops_push_error(lua, WW_ENOMEM, NULL);
    lua_pushvalue(lua, 2);
    box->function = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_pushvalue(lua, -1);
    box->self = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 1;
}

static int watch_close(lua_State *lua)
{
    watch_clear(luaL_checkudata(lua, 1, WATCH_CLASS));
    return 0;
}

void ww_ops_add_watch(lua_State *lua)
{
    static const luaL_Reg methods[] = {{"close", watch_close}, {NULL, NULL}};

    ww_ops_class(lua, WATCH_CLASS, methods, watch_close);
    lua_pushcfunction(lua, fs_watch);
    lua_setfield(lua, -2, "watch");
}
