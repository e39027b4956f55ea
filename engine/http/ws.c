/* A WebSocket over a link, of either side (RFC 6455).
 *
 * wslay frames, masks, checks UTF-8 and answers pings and closes; its output goes straight into
 * the link's, whose length is the send queue. The object ends once, in ws_end, with `closed` as
 * its last callback. It must never call back from ww_ws_send… or ww_ws_close.
 */
#include "ws.h"

#include <string.h>
#include <wslay/wslay.h>

#include "client.h"

struct ww_ws {
    struct ww_http_link *link; /* NULL while connecting */
    struct ww_http_client *client;
    struct ww_http_ws_carrier carrier;
    struct ww_ws_callbacks callbacks;
    void *arg;
    wslay_event_context_ptr frames;
    uint64_t heard_us;  /* when bytes came last */
    uint64_t pinged_us; /* when we pinged last */
    uint64_t ping_us;
    uint64_t silence_us;
    unsigned entered;
    unsigned code; /* our close code, 0: none yet */
    int error;
    bool closing; /* a close frame is queued, of ours */
    bool hung_up; /* FIN is sent */
    bool ended;
};

static void ws_free(struct ww_ws *ws)
{
    wslay_event_context_free(ws->frames);
    ww_free(ws);
}

static void ws_leave(struct ww_ws *ws)
{
    if (--ws->entered == 0 && ws->ended)
        ws_free(ws);
}

/* Lets go of link, carrier and client. */
static void ws_release(struct ww_ws *ws)
{
    ws->ended = true;
    ww_http_link_destroy(ws->link);
    ws->link = NULL;
    struct ww_http_ws_carrier carrier = ws->carrier;
    struct ww_http_client *client = ws->client;
    ws->carrier = (struct ww_http_ws_carrier){0};
    ws->client = NULL;
    if (carrier.gone)
        carrier.gone(carrier.arg);
    ww_http_client_destroy(client);
}

static void ws_end(struct ww_ws *ws, unsigned code, int error)
{
    if (ws->ended)
        return;
    ws->entered++;
    ws_release(ws);
    if (ws->callbacks.closed)
        ws->callbacks.closed(ws->arg, code, error);
    ws_leave(ws);
}

void ww_http_ws_abort(struct ww_ws *ws, unsigned code, int error)
{
    ws_end(ws, code, error);
}

void ww_ws_destroy(struct ww_ws *ws)
{
    if (!ws || ws->ended)
        return;
    ws->entered++;
    ws_release(ws);
    ws_leave(ws);
}

/* The code that `closed` gets: the peer's if it sent one. */
static unsigned ws_final_code(struct ww_ws *ws)
{
    if (!wslay_event_get_close_received(ws->frames))
        return ws->code != 0 ? ws->code : WW_WS_ABNORMAL;
    unsigned code = wslay_event_get_status_code_received(ws->frames);
    if (ws->error != 0 && ws->code != 0)
        return ws->code;
    return code == 0 ? WW_WS_NONE : code;
}

static void ws_finish(struct ww_ws *ws, int error)
{
    ws_end(ws, ws_final_code(ws), ws->error != 0 ? ws->error : error);
}

/* Sets the next time to look: a ping, the end of silence, or the end of closing. */
static void ws_schedule(struct ww_ws *ws)
{
    if (ws->closing)
        return;
    uint64_t now_us = ww_clock_mono_us();
    uint64_t next_us =
        WW_MIN(WW_MAX(ws->heard_us, ws->pinged_us) + ws->ping_us, ws->heard_us + ws->silence_us);
    ww_http_link_set_deadline(ws->link, next_us > now_us ? (next_us - now_us) / 1000 + 1 : 1);
}

/* Frames from wslay to the link. Only memory can fail here. */
static void ws_flush(struct ww_ws *ws)
{
    if (wslay_event_send(ws->frames) != 0 && ws->error == 0)
        ws->error = WW_ENOMEM;
}

/* Starts or continues the end: after this only the peer's close frame or FIN is awaited. */
static void ws_begin_close(struct ww_ws *ws, unsigned code, int error)
{
    if (ws->closing)
        return;
    ws->closing = true;
    if (ws->code == 0)
        ws->code = code;
    if (ws->error == 0)
        ws->error = error;
    ww_http_link_set_low_mark(ws->link, 0);
    ww_http_link_set_deadline(ws->link, WW_WS_CLOSE_MS);
    ww_http_link_poke(ws->link);
}

/* wslay has queued a close frame by itself: what for? */
static void ws_note_refusal(struct ww_ws *ws)
{
    if (ws->closing || wslay_event_get_read_enabled(ws->frames))
        return;
    if (wslay_event_get_close_received(ws->frames)) {
        ws_begin_close(ws, 0, 0);
        return;
    }
    unsigned code = wslay_event_get_status_code_sent(ws->frames);
    ws_begin_close(ws, code == 0 || code == WW_WS_NONE ? WW_WS_PROTOCOL : code,
                   code == WW_WS_TOO_BIG ? WW_ETOOBIG : WW_EPROTOCOL);
}

/* The peer reads too little of what we have to say: told with a close frame, and no more. */
static void ws_refuse_queue(struct ww_ws *ws)
{
    (void)wslay_event_queue_close(ws->frames, WW_WS_TRY_LATER, NULL, 0);
    ws_flush(ws);
    ws_begin_close(ws, WW_WS_TRY_LATER, WW_ELIMIT);
}

/* Both close frames are through, or ours is and we'll hear no more: FIN. */
static void ws_hang_up(struct ww_ws *ws)
{
    if (!ws->closing || ws->hung_up || evbuffer_get_length(ww_http_link_output(ws->link)) > 0 ||
        wslay_event_get_read_enabled(ws->frames))
        return;
    ws->hung_up = true;
    ww_http_link_shutdown(ws->link);
    ww_http_link_set_deadline(ws->link, WW_HTTP_LINGER_MS);
}

/* --- wslay's callbacks ------------------------------------------------------------------------ */

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *out, size_t size, int flags,
                       void *arg)
{
    struct ww_ws *ws = arg;
    (void)flags;
    if (ws->ended) {
        wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    int got = evbuffer_remove(ww_http_link_input(ws->link), out, size);
    if (got > 0)
        return got;
    wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *data, size_t size, int flags,
                       void *arg)
{
    struct ww_ws *ws = arg;
    (void)flags;
    if (!ws->ended && ww_http_link_write(ws->link, data, size) == 0)
        return (ssize_t)size;
    wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static int on_mask(wslay_event_context_ptr frames, uint8_t *out, size_t size, void *arg)
{
    (void)frames;
    (void)arg;
    ww_random_bytes(out, size);
    return 0;
}

static void on_message(wslay_event_context_ptr frames,
                       const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
    struct ww_ws *ws = arg;
    (void)frames;
    if (ws->ended || ws->closing || wslay_is_ctrl_frame(message->opcode))
        return;
    if (ws->callbacks.message)
        ws->callbacks.message(ws->arg, message->opcode == WSLAY_TEXT_FRAME, message->msg,
                              message->msg_length);
}

static const struct wslay_event_callbacks frame_callbacks = {
    .recv_callback = on_recv,
    .send_callback = on_send,
    .genmask_callback = on_mask,
    .on_msg_recv_callback = on_message,
};

/* --- the link's events -------------------------------------------------------------------------
 */

/* wslay calls a frame that it can't even parse a failure of the callback, and has queued a close
 * frame without a code then. */
static void ws_receive(struct ww_ws *ws)
{
    int result = wslay_event_recv(ws->frames);
    if (ws->ended || result == 0)
        return;
    if (ws->error == 0)
        ws->error = result == WSLAY_ERR_NOMEM ? WW_ENOMEM : WW_EPROTOCOL;
}

static void on_readable(void *arg)
{
    struct ww_ws *ws = arg;
    struct evbuffer *input = ww_http_link_input(ws->link);
    ws->entered++;
    if (evbuffer_get_length(input) > 0)
        ws->heard_us = ww_clock_mono_us();
    if (ws->hung_up || !wslay_event_get_read_enabled(ws->frames))
        evbuffer_drain(input, evbuffer_get_length(input));
    else
        ws_receive(ws);
    if (!ws->ended) {
        ws_flush(ws); /* pongs and close frames */
        ws_note_refusal(ws);
        /* Pongs too: the silence of a peer that goes on asking never comes. */
        if (!ws->closing && ww_ws_queued(ws) > WW_WS_QUEUE_BYTES_MAX)
            ws_refuse_queue(ws);
        ws_hang_up(ws);
        if (ws->error == WW_ENOMEM)
            ws_finish(ws, WW_ENOMEM);
        else
            ws_schedule(ws);
    }
    ws_leave(ws);
}

static void on_drained(void *arg)
{
    ws_hang_up(arg);
}

static void on_ended(void *arg, int code)
{
    struct ww_ws *ws = arg;
    (void)code;
    ws_finish(ws, wslay_event_get_close_received(ws->frames) ? 0 : WW_ECLOSED);
}

static void on_timeout(void *arg)
{
    struct ww_ws *ws = arg;
    uint64_t now_us = ww_clock_mono_us();
    if (ws->closing) {
        ws_finish(ws, ws->hung_up && wslay_event_get_close_received(ws->frames) ? 0 : WW_ETIMEDOUT);
        return;
    }
    if (now_us >= ws->heard_us + ws->silence_us) {
        ws_finish(ws, WW_ETIMEDOUT);
        return;
    }
    const struct wslay_event_msg ping = {.opcode = WSLAY_PING};
    /* A queue that is full already proves that the peer doesn't read: silence will end it. */
    if (ww_ws_queued(ws) < WW_WS_QUEUE_BYTES_MAX && wslay_event_queue_msg(ws->frames, &ping) == 0)
        ws_flush(ws);
    ws->pinged_us = now_us;
    ws_schedule(ws);
}

static const struct ww_http_link_events ws_events = {
    .readable = on_readable,
    .drained = on_drained,
    .ended = on_ended,
    .timeout = on_timeout,
};

/* --- life --------------------------------------------------------------------------------------
 */

int ww_http_ws_create(bool client, const struct ww_ws_callbacks *callbacks, void *arg,
                      struct ww_ws **ws)
{
    struct ww_ws *made = ww_alloc(1, sizeof(*made));
    if (!made)
        return WW_ENOMEM;
    int code = client ? wslay_event_context_client_init(&made->frames, &frame_callbacks, made)
                      : wslay_event_context_server_init(&made->frames, &frame_callbacks, made);
    if (code != 0) {
        ww_free(made);
        return WW_ENOMEM;
    }
    wslay_event_config_set_max_recv_msg_length(made->frames, WW_WS_MESSAGE_BYTES_MAX);
    made->callbacks = *callbacks;
    made->arg = arg;
    made->ping_us = WW_WS_PING_MS * 1000ULL;
    made->silence_us = WW_WS_SILENCE_MS * 1000ULL;
    *ws = made;
    return 0;
}

void ww_http_ws_start(struct ww_ws *ws, struct ww_http_link *link,
                      const struct ww_http_ws_carrier *carrier)
{
    ws->link = link;
    if (carrier)
        ws->carrier = *carrier;
    ws->heard_us = ww_clock_mono_us();
    ws->pinged_us = ws->heard_us;
    ww_http_link_set_events(link, &ws_events, ws);
    ww_http_link_set_low_mark(link, 0);
    ws_schedule(ws);
    /* Frames that came with the handshake raise no event of their own. */
    ww_http_link_poke(link);
}

void ww_http_ws_set_client(struct ww_ws *ws, struct ww_http_client *client)
{
    ws->client = client;
}

struct ww_http_client *ww_http_ws_client(const struct ww_ws *ws)
{
    return ws->client;
}

bool ww_http_ws_has_ended(const struct ww_ws *ws)
{
    return ws->ended;
}

void ww_http_ws_opened(struct ww_ws *ws)
{
    if (ws->callbacks.opened)
        ws->callbacks.opened(ws->arg);
}

void ww_ws_set_timing(struct ww_ws *ws, uint32_t ping_ms, uint32_t silence_ms)
{
    ws->ping_us = ping_ms * 1000ULL;
    ws->silence_us = silence_ms * 1000ULL;
    if (ws->link)
        ws_schedule(ws);
}

static int ws_send(struct ww_ws *ws, uint8_t opcode, const void *data, size_t size)
{
    if (ws->ended || !ws->link || ws->closing || !wslay_event_get_write_enabled(ws->frames))
        return WW_ECLOSED;
    if (size > WW_WS_MESSAGE_BYTES_MAX)
        return WW_ETOOBIG;
    if (opcode == WSLAY_TEXT_FRAME && !ww_http_ws_is_valid_utf8(data, size))
        return WW_EMALFORMED;
    if (ww_ws_queued(ws) + size > WW_WS_QUEUE_BYTES_MAX) {
        ws_refuse_queue(ws);
        return WW_ELIMIT;
    }
    const struct wslay_event_msg message = {.opcode = opcode, .msg = data, .msg_length = size};
    if (wslay_event_queue_msg(ws->frames, &message) != 0)
        return WW_ENOMEM;
    ws_flush(ws);
    return ws->error;
}

int ww_ws_send_text(struct ww_ws *ws, const void *data, size_t size)
{
    return ws_send(ws, WSLAY_TEXT_FRAME, data, size);
}

int ww_ws_send_binary(struct ww_ws *ws, const void *data, size_t size)
{
    return ws_send(ws, WSLAY_BINARY_FRAME, data, size);
}

size_t ww_ws_queued(const struct ww_ws *ws)
{
    return ws->link ? evbuffer_get_length(ww_http_link_output(ws->link)) : 0;
}

int ww_ws_peer(const struct ww_ws *ws, char text[WW_HTTP_PEER_BYTES])
{
    return ws->link && !ws->ended ? ww_http_link_peer(ws->link, text) : WW_ECLOSED;
}

void ww_ws_close(struct ww_ws *ws, unsigned code, const char *reason)
{
    if (ws->ended || ws->closing)
        return;
    size_t size = reason ? WW_MIN(strlen(reason), (size_t)123) : 0;
    if (reason && !ww_http_ws_is_valid_utf8((const uint8_t *)reason, size))
        size = 0;
    if (!ws->link) { /* still connecting */
        ws->closing = true;
        ws->code = code;
        ww_http_client_cancel(ws->client);
        return;
    }
    (void)wslay_event_queue_close(ws->frames, (uint16_t)code, (const uint8_t *)reason, size);
    ws_flush(ws);
    ws_begin_close(ws, code, 0);
}
