/* ww.http.serve: the server side of HTTP and WebSocket for trusted Lua.
 *
 * serve{listen={"127.0.0.1:0"}, certificate=PATH, key=PATH, on_request=fn(request)} -> server with
 * :port(index), :respond(id, status, type, body), :upgrade(id, {on_message=, on_closed=}) -> ws,
 * :drain(fn), :reload(), :close(). A request is a table {id, connection, method, path, query, body,
 * peer, bearer, is_upgrade, exporter}; it must be answered once, now or later.
 */
#include <string.h>

#include "bind_http.h"

#define SERVER_CLASS "ww.http.server"
#define LISTEN_MAX   64 /* items of a list in a configuration: lua/ops/schema.lua */

struct server_box {
    struct ww_ops *ops;
    struct ww_http_server *server;
    int on_request, on_drained, self;
};

static void put_text(lua_State *lua, const char *name, const char *text)
{
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, name);
}

/* The token of "Authorization: Bearer …"; the scheme is compared as RFC 9110 section 11.1 has it.
 */
static const char *bearer_of(const struct ww_http_request *request)
{
    const char *value = ww_http_request_header(request, "authorization");
    if (!value || strncasecmp(value, "bearer ", 7) != 0)
        return NULL;
    return value + 7;
}

static void on_request(void *arg, struct ww_http_request *request)
{
    struct server_box *box = arg;
    lua_State *lua = box->ops->lua;
    uint8_t exporter[WW_HTTP_EXPORTER_SIZE];
    size_t size = 0;
    const uint8_t *body = ww_http_request_body(request, &size);

    ww_ops_push_ref(box->ops, box->on_request);
    lua_createtable(lua, 0, 10);
    lua_pushnumber(lua, (lua_Number)ww_http_request_id(request));
    lua_setfield(lua, -2, "id");
    lua_pushnumber(lua, (lua_Number)ww_http_request_connection(request));
    lua_setfield(lua, -2, "connection");
    put_text(lua, "method", ww_http_request_method(request));
    put_text(lua, "path", ww_http_request_path(request));
    put_text(lua, "query", ww_http_request_query(request));
    put_text(lua, "peer", ww_http_request_peer(request));
    lua_pushlstring(lua, (const char *)body, size);
    lua_setfield(lua, -2, "body");
    if (bearer_of(request))
        put_text(lua, "bearer", bearer_of(request));
    lua_pushboolean(lua, ww_http_request_is_upgrade(request));
    lua_setfield(lua, -2, "is_upgrade");
    if (!ww_http_request_exporter(request, WW_HTTP_SIGN_IN_LABEL, exporter)) {
        lua_pushlstring(lua, (const char *)exporter, sizeof(exporter));
        lua_setfield(lua, -2, "exporter");
    }
    uint64_t id = ww_http_request_id(request);
    if (!ww_ops_protected(box->ops, 1, 0) && box->server) {
        struct ww_http_request *again = ww_http_request_find(box->server, id);
        if (again)
            ww_http_respond_text(again, 500, NULL, NULL, 0);
    }
}

static struct server_box *check_server(lua_State *lua)
{
    return luaL_checkudata(lua, 1, SERVER_CLASS);
}

static int lua_serve(lua_State *lua)
{
    static const struct ww_http_callbacks callbacks = {.request = on_request};
    const char *listen[LISTEN_MAX + 1] = {0};

    luaL_checktype(lua, 1, LUA_TTABLE);
    struct ww_http_server_config config = {
        .listen = listen,
        .certificate_path = ww_ops_field_text(lua, 1, "certificate", NULL),
        .key_path = ww_ops_field_text(lua, 1, "key", NULL),
    };
    lua_getfield(lua, 1, "listen");
    luaL_checktype(lua, -1, LUA_TTABLE);
    size_t count = lua_objlen(lua, -1);
    luaL_argcheck(lua, count >= 1 && count <= LISTEN_MAX, 1, "listen has 1 to 64 addresses");
    for (size_t index = 0; index < count; index++) {
        lua_rawgeti(lua, -1, (int)index + 1);
        listen[index] = luaL_checkstring(lua, -1);
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
    struct server_box *box = lua_newuserdata(lua, sizeof(*box));
    memset(box, 0, sizeof(*box));
    box->ops = ww_ops_of(lua);
    box->on_drained = LUA_NOREF;
    box->on_request = ww_ops_field_function(lua, 1, "on_request");
    luaL_getmetatable(lua, SERVER_CLASS);
    lua_setmetatable(lua, -2);
    luaL_argcheck(lua, box->on_request != LUA_NOREF, 1, "on_request is missing");
    int rc = ww_http_server_create(box->ops->loop, &config, &callbacks, box, &box->server);
    if (rc)
        return ww_ops_push_system_error(lua, rc, listen[0]);
    lua_pushvalue(lua, -1);
    box->self = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 1;
}

static int server_port(lua_State *lua)
{
    struct server_box *box = check_server(lua);
    size_t index = (size_t)luaL_optinteger(lua, 2, 1) - 1;
    lua_pushinteger(lua, box->server ? ww_http_server_port(box->server, index) : 0);
    return 1;
}

static int server_connections(lua_State *lua)
{
    struct server_box *box = check_server(lua);
    lua_pushinteger(lua, box->server ? (lua_Integer)ww_http_server_connections(box->server) : 0);
    return 1;
}

static int server_respond(lua_State *lua)
{
    struct server_box *box = check_server(lua);
    uint64_t id = (uint64_t)luaL_checknumber(lua, 2);
    unsigned status = (unsigned)luaL_checkinteger(lua, 3);
    const char *type = luaL_optstring(lua, 4, NULL);
    size_t size = 0;
    const char *body = luaL_optlstring(lua, 5, "", &size);
    struct ww_http_request *request = box->server ? ww_http_request_find(box->server, id) : NULL;

    if (request)
        ww_http_respond_text(request, status, type, body, size);
    lua_pushboolean(lua, request != NULL);
    return 1;
}

static int server_upgrade(lua_State *lua)
{
    struct server_box *box = check_server(lua);
    uint64_t id = (uint64_t)luaL_checknumber(lua, 2);
    struct ww_http_request *request = box->server ? ww_http_request_find(box->server, id) : NULL;

    luaL_checktype(lua, 3, LUA_TTABLE);
    if (!request)
        return ww_ops_push_error(lua, WW_ECLOSED, NULL);
    struct ww_ops_ws *ws = ww_ops_ws_push(lua, 3);
    int rc = ww_ws_accept(request, ww_ops_ws_callbacks(), ws, &ws->ws);
    if (rc) {
        ww_ops_ws_release(ws);
        return ww_ops_push_error(lua, rc, NULL);
    }
    return 1;
}

static void drained(void *arg)
{
    struct server_box *box = arg;
    ww_ops_push_ref(box->ops, box->on_drained);
    ww_ops_unref(box->ops, &box->on_drained);
    ww_ops_protected(box->ops, 0, 0);
}

static int server_drain(lua_State *lua)
{
    struct server_box *box = check_server(lua);
    luaL_checktype(lua, 2, LUA_TFUNCTION);
    lua_settop(lua, 2);
    if (!box->server || box->on_drained != LUA_NOREF)
        return ww_ops_push_error(lua, WW_ECLOSED, NULL);
    box->on_drained = luaL_ref(lua, LUA_REGISTRYINDEX);
    int rc = ww_http_server_drain(box->server, drained, box);
    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    lua_pushboolean(lua, 1);
    return 1;
}

static int server_close(lua_State *lua)
{
    struct server_box *box = check_server(lua);
    struct ww_http_server *server = box->server;
    box->server = NULL;
    ww_http_server_destroy(server);
    ww_ops_unref(box->ops, &box->on_request);
    ww_ops_unref(box->ops, &box->on_drained);
    ww_ops_unref(box->ops, &box->self);
    return 0;
}

static int server_finalise(lua_State *lua)
{
    struct server_box *box = lua_touserdata(lua, 1);
    ww_http_server_destroy(box->server);
    box->server = NULL;
    return 0;
}

void ww_ops_open_http(lua_State *lua)
{
    static const luaL_Reg methods[] = {
        {"port", server_port},
        {"connections", server_connections},
        {"respond", server_respond},
        {"upgrade", server_upgrade},
        {"drain", server_drain},
        {"close", server_close},
        {NULL, NULL},
    };
    ww_ops_class(lua, SERVER_CLASS, methods, server_finalise);
    lua_newtable(lua);
    lua_pushcfunction(lua, lua_serve);
    lua_setfield(lua, -2, "serve");
    lua_setfield(lua, -2, "http");
}
