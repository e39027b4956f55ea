/* A WebSocket over a link, of either side. */
#pragma once
#include "head.h"
#include "link.h"

#define WW_WS_ACCEPT_SIZE 29 /* base64 of a SHA-1, with its NUL */

/* Who carries the link and wants to know that it is gone: the server's connection. */
struct ww_http_ws_carrier {
    void (*gone)(void *arg);
    void *arg;
};

/* A WebSocket without a link. client: we mask. */
int ww_http_ws_create(bool client, const struct ww_ws_callbacks *callbacks, void *arg,
                      struct ww_ws **ws);
/* The handshake is done: takes the link, whose input may hold frames already. */
void ww_http_ws_start(struct ww_ws *ws, struct ww_http_link *link,
                      const struct ww_http_ws_carrier *carrier);
/* Cuts, tells closed(code, error) and frees. */
void ww_http_ws_abort(struct ww_ws *ws, unsigned code, int error);
/* The client that connects for it; destroyed with the WebSocket. */
void ww_http_ws_set_client(struct ww_ws *ws, struct ww_http_client *client);
struct ww_http_client *ww_http_ws_client(const struct ww_ws *ws);
bool ww_http_ws_has_ended(const struct ww_ws *ws);
/* Calls opened. */
void ww_http_ws_opened(struct ww_ws *ws);
/* Sec-WebSocket-Accept for a key, RFC 6455 section 4.2.2. */
int ww_http_ws_accept_key(const char *key, char out[WW_WS_ACCEPT_SIZE]);
bool ww_http_ws_is_valid_utf8(const uint8_t *data, size_t size);
