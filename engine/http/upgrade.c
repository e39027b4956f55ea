/* The WebSocket handshake of both sides (RFC 6455 section 4).
 *
 * No extension and no subprotocol is ever offered or accepted. It must never hand a link to a
 * WebSocket before every header has been checked.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client.h"
#include "server.h"
#include "ws.h"

#define KEY_SIZE 24 /* base64 of 16 bytes */

int ww_http_ws_accept_key(const char *key, char out[WW_WS_ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[KEY_SIZE + sizeof(guid)];
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int length = snprintf(text, sizeof(text), "%.24s%s", key, guid);
    if (EVP_Digest(text, (size_t)length, digest, &size, EVP_sha1(), NULL) != 1 || size != 20)
        return WW_ENOMEM;
    EVP_EncodeBlock((unsigned char *)out, digest, 20);
    return 0;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool ww_http_ws_is_valid_utf8(const uint8_t *data, size_t size)
{
    size_t i = 0;
    while (i < size) {
        uint8_t c = data[i];
        size_t more;
        uint8_t low = 0x80, high = 0xbf;
        if (c < 0x80) {
            i++;
            continue;
        }
        if (c >= 0xc2 && c <= 0xdf) {
            more = 1;
        } else if (c >= 0xe0 && c <= 0xef) {
            more = 2;
            low = c == 0xe0 ? 0xa0 : 0x80;
            high = c == 0xed ? 0x9f : 0xbf;
        } else if (c >= 0xf0 && c <= 0xf4) {
            more = 3;
            low = c == 0xf0 ? 0x90 : 0x80;
            high = c == 0xf4 ? 0x8f : 0xbf;
        } else {
            return false;
        }
        if (size - i <= more || data[i + 1] < low || data[i + 1] > high)
            return false;
        for (size_t k = 2; k <= more; k++) {
            if ((data[i + k] & 0xc0) != 0x80)
                return false;
        }
        i += more + 1;
    }
    return true;
}

/* Base64 of exactly 16 bytes: 22 digits, the last with four zero bits, and "==". */
static bool is_key(const char *key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return strlen(key) == KEY_SIZE && strspn(key, digits) == 22 && strchr("AQgw", key[21]) &&
           strcmp(key + 22, "==") == 0;
}

static bool asks_for_websocket(const struct ww_http_request *request)
{
    const struct ww_http_head *head = &request->head;
    const char *upgrade = ww_http_head_find(head, "Upgrade");
    return head->upgrade && upgrade && ww_http_list_has(upgrade, "websocket");
}

bool ww_http_request_is_upgrade(const struct ww_http_request *request)
{
    const struct ww_http_head *head = &request->head;
    const char *key = ww_http_head_find(head, "Sec-WebSocket-Key");
    const char *version = ww_http_head_find(head, "Sec-WebSocket-Version");
    return asks_for_websocket(request) && strcmp(head->method, "GET") == 0 && !head->old &&
           !head->chunked && (head->length == 0 || head->length == WW_HTTP_SIZE_UNKNOWN) && key &&
           is_key(key) && version && strcmp(version, "13") == 0;
}

static void refuse(struct ww_http_request *request)
{
    static const struct ww_http_header wanted[] = {
        {"Upgrade", "websocket"},
        {"Connection", "Upgrade"},
        {"Sec-WebSocket-Version", "13"},
    };
    const char *version = ww_http_head_find(&request->head, "Sec-WebSocket-Version");
    bool other = !asks_for_websocket(request) || (version && strcmp(version, "13") != 0);
    const struct ww_http_response response = {
        .status = other ? 426 : 400,
        .headers = wanted,
        .header_count = other ? WW_ARRAY_COUNT(wanted) : 0,
    };
    ww_http_respond(request, &response);
}

static int write_switch(struct ww_http_request *request)
{
    char accept[WW_WS_ACCEPT_SIZE], head[256];
    int code =
        ww_http_ws_accept_key(ww_http_head_find(&request->head, "Sec-WebSocket-Key"), accept);
    if (code != 0)
        return code;
    int size = snprintf(head, sizeof(head),
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
    return ww_http_link_write(request->link, head, (size_t)size);
}

int ww_ws_accept(struct ww_http_request *request, const struct ww_ws_callbacks *callbacks,
                 void *arg, struct ww_ws **ws)
{
    struct ww_ws *made = NULL;
    if (!request->visible || request->state != WW_HTTP_STATE_WAIT ||
        !ww_http_request_is_upgrade(request)) {
        refuse(request);
        return WW_EMALFORMED;
    }
    int code =
        request->server->draining ? WW_ESHUTDOWN : ww_http_ws_create(false, callbacks, arg, &made);
    if (code == 0)
        code = write_switch(request);
    if (code != 0) {
        ww_ws_destroy(made);
        ww_http_respond_text(request, 503, NULL, NULL, 0);
        return code;
    }
    ww_http_connection_upgrade(request, made);
    *ws = made;
    return 0;
}

/* --- client ----------------------------------------------------------------------------------- */

struct upgrade {
    struct ww_ws *ws;
    char key[KEY_SIZE + 1];
};

static int check_switch(const struct upgrade *upgrade, const struct ww_http_head *head)
{
    char accept[WW_WS_ACCEPT_SIZE];
    const char *protocol = ww_http_head_find(head, "Upgrade");
    const char *given = ww_http_head_find(head, "Sec-WebSocket-Accept");
    if (ww_http_ws_accept_key(upgrade->key, accept) != 0)
        return WW_ENOMEM;
    if (!head->upgrade || !protocol || strcasecmp(protocol, "websocket") != 0 || !given ||
        strcmp(given, accept) != 0 || ww_http_head_find(head, "Sec-WebSocket-Extensions") ||
        ww_http_head_find(head, "Sec-WebSocket-Protocol"))
        return WW_EMALFORMED;
    return 0;
}

static int status_error(unsigned status)
{
    if (status == 401)
        return WW_EAUTH;
    if (status == 403)
        return WW_EPERM;
    return status == 503 ? WW_EAGAIN : WW_EUNSUPPORTED;
}

static void on_done(void *arg, int code, const struct ww_http_result *result)
{
    struct upgrade *upgrade = arg;
    struct ww_ws *ws = upgrade->ws;
    if (code == 0 && result->status == 101)
        code = check_switch(upgrade, result->head);
    else if (code == 0)
        code = status_error(result->status);
    ww_free(upgrade);
    if (ww_http_ws_has_ended(ws))
        return; /* ww_ws_destroy is on the stack */
    if (code != 0) {
        ww_http_ws_abort(ws, WW_WS_ABNORMAL, code);
        return;
    }
    ww_http_ws_start(ws, ww_http_client_take_link(ww_http_ws_client(ws)), NULL);
    ww_http_ws_opened(ws);
}

static int send_upgrade(struct ww_http_client *client, const struct ww_ws_target *target,
                        struct upgrade *upgrade)
{
    uint8_t nonce[16];
    char *bearer = NULL;
    ww_random_bytes(nonce, sizeof(nonce));
    EVP_EncodeBlock((unsigned char *)upgrade->key, nonce, sizeof(nonce));
    struct ww_http_header headers[] = {
        {"Upgrade", "websocket"},        {"Connection", "Upgrade"},
        {"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Key", upgrade->key},
        {"Authorization", NULL},
    };
    size_t count = WW_ARRAY_COUNT(headers) - 1;
    if (target->bearer) {
        size_t size = strlen(target->bearer) + sizeof("Bearer ");
        if (!(bearer = ww_alloc(1, size)))
            return WW_ENOMEM;
        snprintf(bearer, size, "Bearer %s", target->bearer);
        headers[count++].value = bearer;
    }
    const struct ww_http_call call = {
        .method = "GET",
        .path = target->path,
        .headers = headers,
        .header_count = count,
        .done = on_done,
        .arg = upgrade,
    };
    int code = ww_http_client_upgrade(client, &call);
    ww_free(bearer);
    return code;
}

int ww_ws_connect(struct ww_loop *loop, const struct ww_ws_target *target,
                  const struct ww_ws_callbacks *callbacks, void *arg, struct ww_ws **ws)
{
    struct ww_http_client *client = NULL;
    struct ww_ws *made = NULL;
    struct upgrade *upgrade = ww_alloc(1, sizeof(*upgrade));
    int code = upgrade ? ww_http_client_create(loop, &target->client, &client) : WW_ENOMEM;
    if (code == 0)
        code = ww_http_ws_create(true, callbacks, arg, &made);
    if (code == 0) {
        upgrade->ws = made;
        code = send_upgrade(client, target, upgrade);
    }
    if (code != 0) {
        ww_ws_destroy(made);
        ww_http_client_destroy(client);
        ww_free(upgrade);
        return code;
    }
    ww_http_ws_set_client(made, client);
    *ws = made;
    return 0;
}
