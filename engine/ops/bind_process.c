/* ww.process: children, environment, terminal.
 *
 * ww.process.spawn{argv={…}, stdout="inherit"|"null"|PATH, stderr=…, on_exit=fn(code, signal),
 * detached=false} -> child with :pid(), :kill("TERM"); children die with their parent, and a Ctrl-C
 * at the terminal does not reach them: it is the parent's to pass on. Detached ones outlive their
 *   parent, and the terminal.
 * ww.process.self() -> path of the running program; .env(name); .cwd(); .is_tty(fd); .columns();
 * .set_limits() tunes the process once (file descriptors, allocator);
 * .notify("READY=1") tells the service manager, if it wants to know (NOTIFY_SOCKET, sd_notify(3));
 * .exit_now(code) ends the process without tidying up.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

#define CHILD_CLASS   "ww.child"
#define ARGUMENTS_MAX 64

struct child_box {
    struct ww_ops *ops;
    struct ww_child *child;
    int on_exit;
    int self;
};

static void child_exited(void *arg, int status)
{
    struct child_box *box = arg;
    struct ww_ops *ops = box->ops;
    int on_exit = box->on_exit;
    box->on_exit = LUA_NOREF;
    ww_child_destroy(box->child);
    box->child = NULL;
    ww_ops_unref(ops, &box->self);
    if (on_exit == LUA_NOREF)
        return;
    ww_ops_push_ref(ops, on_exit);
    ww_ops_unref(ops, &on_exit);
    if (WIFSIGNALED(status)) {
        lua_pushnil(ops->lua);
        lua_pushinteger(ops->lua, WTERMSIG(status));
    } else {
        lua_pushinteger(ops->lua, WEXITSTATUS(status));
        lua_pushnil(ops->lua);
    }
    ww_ops_protected(ops, 2, 0);
}

/* *fd is -1 for "inherit"; the caller closes it if it is not. No link is followed: the folder may
 * be another user's, and this process root's. */
static bool open_output(const char *where, int *fd)
{
    *fd = -1;
    if (strcmp(where, "inherit") == 0)
        return true;
    if (strcmp(where, "null") == 0)
        *fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    else
        *fd = open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *fd >= 0;
}

static int lua_spawn(lua_State *lua)
{
    const char *argv[ARGUMENTS_MAX + 1] = {0};

    luaL_checktype(lua, 1, LUA_TTABLE);
    const char *out = ww_ops_field_text(lua, 1, "stdout", "inherit");
    const char *err = ww_ops_field_text(lua, 1, "stderr", "inherit");
    lua_getfield(lua, 1, "argv");
    luaL_checktype(lua, -1, LUA_TTABLE);
    size_t count = lua_objlen(lua, -1);
    luaL_argcheck(lua, count >= 1 && count <= ARGUMENTS_MAX, 1, "argv has 1 to 64 texts");
    for (size_t index = 0; index < count; index++) {
        lua_rawgeti(lua, -1, (int)index + 1);
        argv[index] = luaL_checkstring(lua, -1);
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);

    struct child_box *box = lua_newuserdata(lua, sizeof(*box));
    memset(box, 0, sizeof(*box));
    box->ops = ww_ops_of(lua);
    box->on_exit = box->self = LUA_NOREF;
    luaL_getmetatable(lua, CHILD_CLASS);
    lua_setmetatable(lua, -2);
    lua_getfield(lua, 1, "detached");
    bool is_detached = lua_toboolean(lua, -1);
    lua_pop(lua, 1);
    struct ww_child_options options = {
        .argv = argv,
        .stdin_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
        .stdout_fd = -1,
        .stderr_fd = -1,
        .die_with_parent = !is_detached,
        .own_group = !is_detached,
        .own_session = is_detached,
    };
    int rc = WW_EIO;
    if (open_output(out, &options.stdout_fd) && open_output(err, &options.stderr_fd))
        rc = ww_child_create(box->ops->loop, &options, child_exited, box, &box->child);
    int saved = errno;
    if (options.stdin_fd >= 0)
        close(options.stdin_fd);
    if (options.stdout_fd >= 0)
        close(options.stdout_fd);
    if (options.stderr_fd >= 0)
        close(options.stderr_fd);
    if (rc)
        return ww_ops_push_error(lua, rc, strerror(saved));
    box->on_exit = ww_ops_field_function(lua, 1, "on_exit");
    lua_pushvalue(lua, -1);
    box->self = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 1;
}

static int child_pid(lua_State *lua)
{
    struct child_box *box = luaL_checkudata(lua, 1, CHILD_CLASS);
    if (!box->child)
        return 0;
    lua_pushinteger(lua, ww_child_pid(box->child));
    return 1;
}

static int child_kill(lua_State *lua)
{
    static const char *const names[] = {"TERM", "INT", "KILL", "HUP", "STOP", "CONT", NULL};
    static const int numbers[] = {SIGTERM, SIGINT, SIGKILL, SIGHUP, SIGSTOP, SIGCONT};
    struct child_box *box = luaL_checkudata(lua, 1, CHILD_CLASS);
    int which = luaL_checkoption(lua, 2, "TERM", names);
    lua_pushboolean(lua, box->child && ww_child_kill(box->child, numbers[which]) == 0);
    return 1;
}

static int child_finalise(lua_State *lua)
{
    struct child_box *box = lua_touserdata(lua, 1);
    ww_child_destroy(box->child);
    box->child = NULL;
    return 0;
}

static int lua_self(lua_State *lua)
{
    char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
    if (size <= 0 || size == (ssize_t)sizeof(path))
        return ww_ops_push_error(lua, WW_ESYSTEM, "can't read /proc/self/exe");
    lua_pushlstring(lua, path, (size_t)size);
    return 1;
}

static int lua_env(lua_State *lua)
{
    lua_pushstring(lua, getenv(luaL_checkstring(lua, 1)));
    return 1;
}

static int lua_pid(lua_State *lua)
{
    lua_pushinteger(lua, getpid());
    return 1;
}

static int lua_cwd(lua_State *lua)
{
    char path[PATH_MAX];

    if (!getcwd(path, sizeof(path)))
        return ww_ops_push_system_error(lua, WW_ESYSTEM, "the working folder");
    lua_pushstring(lua, path);
    return 1;
}

static int lua_is_tty(lua_State *lua)
{
    lua_pushboolean(lua, isatty((int)luaL_checkinteger(lua, 1)));
    return 1;
}

static int lua_columns(lua_State *lua)
{
    struct winsize size = {0};
    lua_pushinteger(lua, ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80);
    return 1;
}

/* A flow costs a descriptor, so take all we may have. Messages of 16 KiB and more are freed as
 * fast as they come: with glibc's default thresholds their pages go back to the kernel each time,
 * which halves the receiver's speed (docs/internals/net.md). */
static int lua_set_limits(lua_State *lua)
{
    struct rlimit limit;
    (void)lua;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

/* One datagram to the socket that sd_notify(3) describes; '@' stands for an abstract name's NUL. */
static bool notify(const char *path, const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);

    if (size < 2 || size >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return false;
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
    close(fd);
    return sent >= 0;
}

static int lua_notify(lua_State *lua)
{
    const char *text = luaL_checkstring(lua, 1);
    const char *path = getenv("NOTIFY_SOCKET");
    lua_pushboolean(lua, path && notify(path, text));
    return 1;
}

static int lua_exit_now(lua_State *lua)
{
    _exit((int)luaL_checkinteger(lua, 1));
}

void ww_ops_open_process(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"spawn", lua_spawn},
        {"self", lua_self},
        {"env", lua_env},
        {"pid", lua_pid},
        {"cwd", lua_cwd},
        {"is_tty", lua_is_tty},
        {"columns", lua_columns},
        {"set_limits", lua_set_limits},
        {"notify", lua_notify},
        {"exit_now", lua_exit_now},
        {NULL, NULL},
    };
    static const luaL_Reg methods[] = {{"pid", child_pid}, {"kill", child_kill}, {NULL, NULL}};

    ww_ops_class(lua, CHILD_CLASS, methods, child_finalise);
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setfield(lua, -2, "process");
}
