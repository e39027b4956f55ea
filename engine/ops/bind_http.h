/* Inside of the room: a WebSocket as Lua sees it, shared by server and client bindings. */
#pragma once
#include "ww/http.h"

#include "vm.h"

struct ww_ops_ws {
    struct ww_ops *ops;
    struct ww_ws *ws;
    int on_opened, on_message, on_closed;
    int self; /* keeps the userdata alive until closed */
};

/* Pushes a new one, with the handlers of the options table at index; the caller sets ->ws. */
struct ww_ops_ws *ww_ops_ws_push(lua_State *lua, int index);
const struct ww_ws_callbacks *ww_ops_ws_callbacks(void);
/* Gives up the references: when the WebSocket did not come to be. */
void ww_ops_ws_release(struct ww_ops_ws *ws);
