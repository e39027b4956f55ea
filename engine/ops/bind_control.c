/* ww.control: the local operator's socket, both ends.
 *
 * serve{path=, on_line=fn(session, text), on_closed=fn(session)} -> server with
 * :send(session, text), :queued(session) -> bytes that it has not read, :user(session) -> the
 * name of whose process it is, or "uid 7", :close(); connect{path=, on_line=fn(text),
 * on_closed=fn(error)} -> client with :send(text), :close().
 */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "ww/buf.h"
#include "ww/limits.h"

#include "vm.h"

#define SERVER_CLASS "ww.control.server"
#define CLIENT_CLASS "ww.control.client"

#define USER_SIZE 64

/* Whose processes are let in. Their names are looked up before anybody is, as that may ask a server
 * on the network and take seconds, which the loop has not. */
struct users {
    uid_t own;
    char own_name[USER_SIZE], root_name[USER_SIZE];
};

struct server_box {
    struct ww_ops *ops;
    struct ww_control *control;
    struct users users;
    int on_line, on_closed, self;
};

static void look_up(uid_t uid, char name[USER_SIZE])
{
    struct passwd entry, *found = NULL;
    char buffer[4096];

    if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) || !found)
        snprintf(name, USER_SIZE, "uid %lu", (unsigned long)uid);
    else
        snprintf(name, USER_SIZE, "%s", found->pw_name);
}

static void server_line(void *arg, uint64_t session, const char *text, size_t size)
{
    struct server_box *box = arg;
    lua_State *lua = box->ops->lua;
    ww_ops_push_ref(box->ops, box->on_line);
    lua_pushnumber(lua, (lua_Number)session);
    lua_pushlstring(lua, text, size);
    ww_ops_protected(box->ops, 2, 0);
}

struct closed_note {
    struct ww_ops *ops;
    struct server_box *box; /* Lua's: gone when the VM closes */
    uint64_t session;
};

/* May come from inside a call of Lua's (send to a session that doesn't read): told by the loop. */
static void server_closed_later(void *arg)
{
    struct closed_note *note = arg;
    struct server_box *box = note->box;
    if (!note->ops->closing && box->control && box->on_closed != LUA_NOREF) {
        ww_ops_push_ref(box->ops, box->on_closed);
        lua_pushnumber(box->ops->lua, (lua_Number)note->session);
        ww_ops_protected(box->ops, 1, 0);
    }
    ww_free(note);
}

static void server_closed(void *arg, uint64_t session)
{
    struct server_box *box = arg;
    struct closed_note *note = ww_alloc(1, sizeof(*note));
    if (!note)
        return;
    note->ops = box->ops;
    note->box = box;
    note->session = session;
    if (ww_loop_post(box->ops->loop, server_closed_later, note))
        ww_free(note);
}

static int lua_serve(lua_State *lua)
{
    static const struct ww_control_callbacks callbacks = {.line = server_line,
                                                          .closed = server_closed};
    luaL_checktype(lua, 1, LUA_TTABLE);
    const char *path = ww_ops_field_text(lua, 1, "path", "");
    struct server_box *box = lua_newuserdata(lua, sizeof(*box));
    memset(box, 0, sizeof(*box));
    box->ops = ww_ops_of(lua);
    box->on_line = ww_ops_field_function(lua, 1, "on_line");
    box->on_closed = ww_ops_field_function(lua, 1, "on_closed");
    luaL_getmetatable(lua, SERVER_CLASS);
    lua_setmetatable(lua, -2);
    luaL_argcheck(lua, box->on_line != LUA_NOREF, 1, "on_line is missing");
    box->users.own = geteuid();
    look_up(box->users.own, box->users.own_name);
    look_up(0, box->users.root_name);
    int rc = ww_control_create(box->ops->loop, path, &callbacks, box, &box->control);
    if (rc)
        return ww_ops_push_system_error(lua, rc, path);
    lua_pushvalue(lua, -1);
    box->self = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 1;
}

static int server_send(lua_State *lua)
{
    struct server_box *box = luaL_checkudata(lua, 1, SERVER_CLASS);
    uint64_t session = (uint64_t)luaL_checknumber(lua, 2);
    size_t size = 0;
    const char *text = luaL_checklstring(lua, 3, &size);
    int rc = box->control ? ww_control_send(box->control, session, text, size) : WW_ECLOSED;
    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    lua_pushboolean(lua, 1);
    return 1;
}

static int server_queued(lua_State *lua)
{
    struct server_box *box = luaL_checkudata(lua, 1, SERVER_CLASS);
    uint64_t session = (uint64_t)luaL_checknumber(lua, 2);
    lua_pushnumber(lua, box->control ? (lua_Number)ww_control_queued(box->control, session) : 0);
    return 1;
}

static int server_user(lua_State *lua)
{
    struct server_box *box = luaL_checkudata(lua, 1, SERVER_CLASS);
    uint64_t session = (uint64_t)luaL_checknumber(lua, 2);
    uid_t uid = 0;
    int rc = box->control ? ww_control_peer(box->control, session, &uid) : WW_ECLOSED;

    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    if (uid == box->users.own)
        lua_pushstring(lua, box->users.own_name);
    else if (uid == 0)
        lua_pushstring(lua, box->users.root_name);
    else /* nobody else is let in, unless the process has changed its user */
        lua_pushfstring(lua, "uid %d", (int)uid);
    return 1;
}

static int server_close(lua_State *lua)
{
    struct server_box *box = luaL_checkudata(lua, 1, SERVER_CLASS);
    ww_control_destroy(box->control);
    box->control = NULL;
    return 0;
}

/* --- client ----------------------------------------------------------------------------------- */

struct client_box {
    struct ww_ops *ops;
    struct ww_stream *stream;
    struct ww_buf line; /* what has come of it so far */
    int on_line, on_closed, self;
};

/* Gives up the stream and the references; the box may be collected from here on. */
static void client_release(struct client_box *box)
{
    ww_stream_destroy(box->stream);
    box->stream = NULL;
    ww_buf_deinit(&box->line);
    ww_ops_unref(box->ops, &box->on_line);
    ww_ops_unref(box->ops, &box->on_closed);
    ww_ops_unref(box->ops, &box->self);
}

static void client_end(struct client_box *box, int code)
{
    struct ww_ops *ops = box->ops;
    ww_ops_push_ref(ops, box->on_closed); /* nil if there is none */
    client_release(box);
    if (!lua_isfunction(ops->lua, -1)) {
        lua_pop(ops->lua, 1);
        return;
    }
    ww_ops_push_error_table(ops->lua, code, NULL);
    ww_ops_protected(ops, 1, 0);
}

/* Hands over each line. A line may be longer than what a stream holds, so it is gathered. */
static void client_take(struct client_box *box)
{
    lua_State *lua = box->ops->lua;

    while (box->stream) {
        size_t size = 0;
        const uint8_t *data = ww_stream_peek(box->stream, WW_STREAM_READ_BYTES, &size);
        if (!size)
            return;
        const uint8_t *end = memchr(data, '\n', size);
        size_t used = end ? (size_t)(end - data) + 1 : size;
        ww_buf_put(&box->line, data, end ? used - 1 : used);
        ww_stream_consume(box->stream, used);
        if (box->line.error) {
            client_end(box, box->line.error);
            return;
        }
        if (!end)
            continue;
        ww_ops_push_ref(box->ops, box->on_line);
        lua_pushlstring(lua, box->line.size ? (const char *)box->line.data : "", box->line.size);
        ww_buf_clear(&box->line);
        ww_ops_protected(box->ops, 1, 0);
    }
}

/* The box stays on the stack meanwhile: its user may close it, and Lua collect it. */
static void client_readable(void *arg)
{
    struct client_box *box = arg;
    struct ww_ops *ops = box->ops;
    ww_ops_push_ref(ops, box->self);
    client_take(box);
    lua_pop(ops->lua, 1);
}

static void client_eof(void *arg)
{
    struct client_box *box = arg;
    struct ww_ops *ops = box->ops;
    ww_ops_push_ref(ops, box->self);
    client_take(box);
    if (box->stream)
        client_end(box, WW_ECLOSED);
    lua_pop(ops->lua, 1);
}

static void client_closed(void *arg, int code)
{
    client_end(arg, code);
}

static int lua_connect(lua_State *lua)
{
    static const struct ww_stream_callbacks callbacks = {
        .readable = client_readable, .eof = client_eof, .closed = client_closed};
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    luaL_checktype(lua, 1, LUA_TTABLE);
    const char *path = ww_ops_field_text(lua, 1, "path", "");
    if (strlen(path) >= sizeof(address.sun_path))
        return ww_ops_push_error(lua, WW_ETOOBIG, path);
    memcpy(address.sun_path, path, strlen(path));
    struct client_box *box = lua_newuserdata(lua, sizeof(*box));
    memset(box, 0, sizeof(*box));
    box->ops = ww_ops_of(lua);
    box->on_line = box->on_closed = box->self = LUA_NOREF;
    ww_buf_init(&box->line, WW_CONTROL_QUEUE_BYTES_MAX);
    luaL_getmetatable(lua, CLIENT_CLASS);
    lua_setmetatable(lua, -2);
    box->on_line = ww_ops_field_function(lua, 1, "on_line");
    box->on_closed = ww_ops_field_function(lua, 1, "on_closed");
    luaL_argcheck(lua, box->on_line != LUA_NOREF, 1, "on_line is missing");
    int rc = ww_stream_connect(box->ops->loop, (const struct sockaddr *)&address, sizeof(address),
                               &callbacks, box, &box->stream);
    if (rc) {
        client_release(box);
        return ww_ops_push_error(lua, rc, path);
    }
    lua_pushvalue(lua, -1);
    box->self = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 1;
}

static int client_send(lua_State *lua)
{
    struct client_box *box = luaL_checkudata(lua, 1, CLIENT_CLASS);
    size_t size = 0;
    const char *text = luaL_checklstring(lua, 2, &size);
    int rc = box->stream ? ww_stream_write(box->stream, text, size) : WW_ECLOSED;
    if (!rc)
        rc = ww_stream_write(box->stream, "\n", 1);
    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    lua_pushboolean(lua, 1);
    return 1;
}

static int client_close(lua_State *lua)
{
    client_release(luaL_checkudata(lua, 1, CLIENT_CLASS));
    return 0;
}

void ww_ops_open_control(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"serve", lua_serve}, {"connect", lua_connect}, {NULL, NULL}};
    static const luaL_Reg server_methods[] = {{"send", server_send},
                                              {"queued", server_queued},
                                              {"user", server_user},
                                              {"close", server_close},
                                              {NULL, NULL}};
    static const luaL_Reg client_methods[] = {
        {"send", client_send}, {"close", client_close}, {NULL, NULL}};

    ww_ops_class(lua, SERVER_CLASS, server_methods, server_close);
    ww_ops_class(lua, CLIENT_CLASS, client_methods, client_close);
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setfield(lua, -2, "control");
}
