/* ww.http.client and WebSockets for trusted Lua.
 *
 * client{url=, pin=, proxy=} -> client with :request{method=, path=, body=, bearer=, connection=,
 * deadline_ms=, done=fn(response, error)} (response: {status, body, connection}), :exporter(),
 * :close(); ws{url=, pin=, path=, bearer=, on_opened=fn(), on_message=fn(text),
 * on_closed=fn(code, error)} -> ws with :send(text), :peer() (the other end's address),
 * :close(code, reason).
 */
#include <stdio.h>
#include <string.h>

#include "bind_http.h"

#define CLIENT_CLASS "ww.http.client"
#define WS_CLASS     "ww.http.ws"

/* --- WebSockets ------------------------------------------------------------------------------- */

void ww_ops_ws_release(struct ww_ops_ws *ws)
{
    ww_ops_unref(ws->ops, &ws->on_opened);
    ww_ops_unref(ws->ops, &ws->on_message);
    ww_ops_unref(ws->ops, &ws->on_closed);
    ww_ops_unref(ws->ops, &ws->self);
}

static void ws_opened(void *arg)
{
    struct ww_ops_ws *ws = arg;
    if (ws->on_opened == LUA_NOREF)
        return;
    ww_ops_push_ref(ws->ops, ws->on_opened);
    ww_ops_protected(ws->ops, 0, 0);
}

static void ws_message(void *arg, bool text, const uint8_t *data, size_t size)
{
    struct ww_ops_ws *ws = arg;
    if (!text) {
        ww_ws_close(ws->ws, WW_WS_BAD_DATA, "text only");
        return;
    }
    if (ws->on_message == LUA_NOREF)
        return;
    ww_ops_push_ref(ws->ops, ws->on_message);
    lua_pushlstring(ws->ops->lua, (const char *)data, size);
    ww_ops_protected(ws->ops, 1, 0);
}

static void ws_closed(void *arg, unsigned code, int error)
{
    struct ww_ops_ws *ws = arg;
    struct ww_ops *ops = ws->ops;
    int on_closed = ws->on_closed;

    ws->ws = NULL;
    ws->on_closed = LUA_NOREF;
    ww_ops_ws_release(ws); /* may be collected from here on */
    if (on_closed == LUA_NOREF)
        return;
    ww_ops_push_ref(ops, on_closed);
    ww_ops_unref(ops, &on_closed);
    lua_pushinteger(ops->lua, (lua_Integer)code);
    if (error)
        ww_ops_push_error_table(ops->lua, error, NULL);
    else
        lua_pushnil(ops->lua);
    ww_ops_protected(ops, 2, 0);
}

const struct ww_ws_callbacks *ww_ops_ws_callbacks(void)
{
    static const struct ww_ws_callbacks callbacks = {
        .opened = ws_opened, .message = ws_message, .closed = ws_closed};
    return &callbacks;
}

struct ww_ops_ws *ww_ops_ws_push(lua_State *lua, int index)
{
    struct ww_ops_ws *ws = lua_newuserdata(lua, sizeof(*ws));
    memset(ws, 0, sizeof(*ws));
    ws->ops = ww_ops_of(lua);
    luaL_getmetatable(lua, WS_CLASS);
    lua_setmetatable(lua, -2);
    ws->on_opened = ww_ops_field_function(lua, index, "on_opened");
    ws->on_message = ww_ops_field_function(lua, index, "on_message");
    ws->on_closed = ww_ops_field_function(lua, index, "on_closed");
    lua_pushvalue(lua, -1);
    ws->self = luaL_ref(lua, LUA_REGISTRYINDEX);
    return ws;
}

static int ws_send(lua_State *lua)
{
    struct ww_ops_ws *ws = luaL_checkudata(lua, 1, WS_CLASS);
    size_t size = 0;
    const char *text = luaL_checklstring(lua, 2, &size);
    int rc = ws->ws ? ww_ws_send_text(ws->ws, text, size) : WW_ECLOSED;
    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    lua_pushboolean(lua, 1);
    return 1;
}

static int ws_peer(lua_State *lua)
{
    const struct ww_ops_ws *ws = luaL_checkudata(lua, 1, WS_CLASS);
    char text[WW_HTTP_PEER_BYTES];
    int rc = ws->ws ? ww_ws_peer(ws->ws, text) : WW_ECLOSED;
    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    lua_pushstring(lua, text);
    return 1;
}

static int ws_close(lua_State *lua)
{
    struct ww_ops_ws *ws = luaL_checkudata(lua, 1, WS_CLASS);
    if (ws->ws)
        ww_ws_close(ws->ws, (unsigned)luaL_optinteger(lua, 2, WW_WS_NORMAL),
                    luaL_optstring(lua, 3, NULL));
    return 0;
}

/* Reads {url, pin, proxy} into config; raises for a bad pin. */
static void read_client_config(lua_State *lua, int index, struct ww_http_client_config *config)
{
    const char *pin = ww_ops_field_text(lua, index, "pin", NULL);
    config->url = ww_ops_field_text(lua, index, "url", "");
    config->proxy = ww_ops_field_text(lua, index, "proxy", NULL);
    config->connect_timeout_ms =
        (uint32_t)ww_ops_field_integer(lua, index, "connect_timeout_ms", 0);
    if (pin && ww_hash_parse(pin, &config->pin))
        luaL_error(lua, "pin is 52 digits of base32");
}

static int lua_ws(lua_State *lua)
{
    struct ww_ws_target target = {0};
    luaL_checktype(lua, 1, LUA_TTABLE);
    read_client_config(lua, 1, &target.client);
    target.path = ww_ops_field_text(lua, 1, "path", "/");
    target.bearer = ww_ops_field_text(lua, 1, "bearer", NULL);
    struct ww_ops_ws *ws = ww_ops_ws_push(lua, 1);
    int rc = ww_ws_connect(ws->ops->loop, &target, ww_ops_ws_callbacks(), ws, &ws->ws);
    if (rc) {
        ww_ops_ws_release(ws);
        return ww_ops_push_error(lua, rc, target.client.url);
    }
    return 1;
}

static int ws_finalise(lua_State *lua)
{
    struct ww_ops_ws *ws = lua_touserdata(lua, 1);
    ww_ws_destroy(ws->ws);
    ws->ws = NULL;
    return 0;
}

/* --- client ----------------------------------------------------------------------------------- */

struct client_box {
    struct ww_ops *ops;
    struct ww_http_client *client;
};

struct call_box {
    struct ww_ops *ops;
    int done;
};

static void call_done(void *arg, int code, const struct ww_http_result *result)
{
    struct call_box *box = arg;
    struct ww_ops *ops = box->ops;
    lua_State *lua = ops->lua;

    if (ops->closing) {
        ww_free(box);
        return;
    }
    ww_ops_push_ref(ops, box->done);
    ww_ops_unref(ops, &box->done);
    ww_free(box);
    if (code) {
        ww_ops_push_error(lua, code, NULL);
        ww_ops_protected(ops, 2, 0);
        return;
    }
    lua_createtable(lua, 0, 3);
    lua_pushinteger(lua, (lua_Integer)result->status);
    lua_setfield(lua, -2, "status");
    lua_pushlstring(lua, (const char *)result->body, result->size);
    lua_setfield(lua, -2, "body");
    lua_pushnumber(lua, (lua_Number)result->connection);
    lua_setfield(lua, -2, "connection");
    ww_ops_protected(ops, 1, 0);
}

static int lua_client(lua_State *lua)
{
    struct ww_http_client_config config = {0};
    luaL_checktype(lua, 1, LUA_TTABLE);
    read_client_config(lua, 1, &config);
    struct client_box *box = lua_newuserdata(lua, sizeof(*box));
    box->ops = ww_ops_of(lua);
    box->client = NULL;
    luaL_getmetatable(lua, CLIENT_CLASS);
    lua_setmetatable(lua, -2);
    int rc = ww_http_client_create(box->ops->loop, &config, &box->client);
    return rc ? ww_ops_push_error(lua, rc, config.url) : 1;
}

static int client_request(lua_State *lua)
{
    struct client_box *client = luaL_checkudata(lua, 1, CLIENT_CLASS);
    struct ww_http_header headers[2];
    char authorization[512];
    size_t header_count = 0, size = 0;

    luaL_checktype(lua, 2, LUA_TTABLE);
    const char *bearer = ww_ops_field_text(lua, 2, "bearer", NULL);
    lua_getfield(lua, 2, "body");
    const char *body = luaL_optlstring(lua, -1, NULL, &size);
    if (bearer) {
        snprintf(authorization, sizeof(authorization), "Bearer %s", bearer);
        headers[header_count++] = (struct ww_http_header){"Authorization", authorization};
    }
    if (body)
        headers[header_count++] = (struct ww_http_header){"Content-Type", "application/json"};
    struct call_box *box = client->client ? ww_alloc(1, sizeof(*box)) : NULL;
    if (!box)
        return ww_ops_push_error(lua, client->client ? WW_ENOMEM : WW_ECLOSED, NULL);
    box->ops = client->ops;
    box->done = ww_ops_field_function(lua, 2, "done");
    struct ww_http_call call = {
        .method = ww_ops_field_text(lua, 2, "method", "GET"),
        .path = ww_ops_field_text(lua, 2, "path", "/"),
        .headers = headers,
        .header_count = header_count,
        .body = body,
        .size = size,
        .done = call_done,
        .arg = box,
        .connection = (uint64_t)ww_ops_field_integer(lua, 2, "connection", 0),
        .deadline_ms = (uint32_t)ww_ops_field_integer(lua, 2, "deadline_ms", 0),
    };
    int rc = ww_http_client_request(client->client, &call);
    if (rc) {
        ww_ops_unref(box->ops, &box->done);
        ww_free(box);
        return ww_ops_push_error(lua, rc, call.path);
    }
    lua_pushboolean(lua, 1);
    return 1;
}

static int client_exporter(lua_State *lua)
{
    struct client_box *box = luaL_checkudata(lua, 1, CLIENT_CLASS);
    uint8_t exporter[WW_HTTP_EXPORTER_SIZE];
    int rc = box->client ? ww_http_client_exporter(box->client, WW_HTTP_SIGN_IN_LABEL, exporter)
                         : WW_ECLOSED;
    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    lua_pushlstring(lua, (const char *)exporter, sizeof(exporter));
    return 1;
}

/* Calls that wait are told by ww_http_client_destroy itself, which needs the loop: not in a
 * finaliser, where Lua must not be called. */
static void destroy_later(void *arg)
{
    ww_http_client_destroy(arg);
}

static int client_close(lua_State *lua)
{
    struct client_box *box = luaL_checkudata(lua, 1, CLIENT_CLASS);
    if (box->client && ww_loop_post(box->ops->loop, destroy_later, box->client) == 0)
        box->client = NULL;
    return 0;
}

void ww_ops_open_http_client(lua_State *lua)
{
    static const luaL_Reg ws_methods[] = {
        {"send", ws_send}, {"peer", ws_peer}, {"close", ws_close}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"request", client_request},
                                       {"exporter", client_exporter},
                                       {"close", client_close},
                                       {NULL, NULL}};

    ww_ops_class(lua, WS_CLASS, ws_methods, ws_finalise);
    ww_ops_class(lua, CLIENT_CLASS, methods, client_close);
    lua_getfield(lua, -1, "http");
    lua_pushcfunction(lua, lua_client);
    lua_setfield(lua, -2, "client");
    lua_pushcfunction(lua, lua_ws);
    lua_setfield(lua, -2, "ws");
    lua_pop(lua, 1);
}
