/* One connection of the server: reads heads and bodies, hands requests over, ends in order.
 *
 * Everything happens in connection_pump, which steps until there is nothing to do; handlers count
 * themselves in `entered`, so that the application may destroy the server in any callback. It
 * must never parse a request while the one before it is unanswered, nor hold more output than
 * WW_HTTP_OUTPUT_BYTES_MAX and one answer.
 */
#include "server.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

static void connection_enter(struct ww_http_request *connection)
{
    connection->entered++;
}

static void connection_leave(struct ww_http_request *connection)
{
    if (--connection->entered == 0 && connection->state == WW_HTTP_STATE_CLOSED)
        ww_free(connection);
}

/* Frees what belongs to the request that is over. */
static void connection_forget_request(struct ww_http_request *connection)
{
    connection->visible = false;
    connection->id = 0;
    ww_http_head_deinit(&connection->head);
    ww_buf_deinit(&connection->body);
    connection->scanner = (struct ww_http_scanner){0};
    connection->streams = false;
    connection->paused = false;
    connection->bodiless = false;
}

void ww_http_connection_close(struct ww_http_request *connection, int code)
{
    struct ww_http_server *server = connection->server;
    if (connection->state == WW_HTTP_STATE_CLOSED)
        return;
    bool was_ws = connection->state == WW_HTTP_STATE_WS;
    connection->state = WW_HTTP_STATE_CLOSED;
    connection_enter(connection);
    ww_http_link_destroy(connection->link);
    connection->link = NULL;
    connection_forget_request(connection);
    TAILQ_REMOVE(&server->connections, connection, entry);
    server->slots[connection->slot] = NULL;
    server->free_slots[server->free_count++] = (uint16_t)connection->slot;
    server->connection_count--;
    if (server->draining && server->connection_count == 0)
        ww_timer_start(server->drain_timer, 0);
    void *user = connection->user;
    uint64_t number = connection->connection;
    /* The last two calls may destroy the server. */
    struct ww_http_callbacks callbacks = server->callbacks;
    void *arg = server->arg;
    ww_http_feed_end(&connection->feed, code);
    if (callbacks.connection_closed && !was_ws)
        callbacks.connection_closed(arg, number, user);
    connection_leave(connection);
}

/* No more requests here: what is queued is sent, then FIN, then the peer's rest is read away. */
static void connection_finish(struct ww_http_request *connection)
{
    connection_forget_request(connection);
    connection->state = WW_HTTP_STATE_FLUSH;
    ww_http_link_set_low_mark(connection->link, 0);
    ww_http_link_set_deadline(connection->link, connection->server->config.idle_ms);
    ww_http_link_poke(connection->link);
}

void ww_http_connection_next(struct ww_http_request *connection)
{
    struct ww_http_server *server = connection->server;
    if (connection->close) {
        connection_finish(connection);
        return;
    }
    connection_forget_request(connection);
    connection->state = WW_HTTP_STATE_HEAD;
    ww_http_link_set_deadline(connection->link, server->config.idle_ms);
    /* Pipelined bytes, or the FIN that came meanwhile, are looked at from the loop. */
    if (connection->entered == 0 &&
        (connection->eof || evbuffer_get_length(ww_http_link_input(connection->link)) > 0))
        ww_http_link_poke(connection->link);
}

void ww_http_connection_drain(struct ww_http_request *connection)
{
    if (connection->state == WW_HTTP_STATE_WS) {
        ww_ws_close(connection->ws, WW_WS_GOING_AWAY, NULL);
        return;
    }
    connection->close = true;
    if (connection->state == WW_HTTP_STATE_HEAD && connection->scanner.size == 0)
        connection_finish(connection);
}

/* The WebSocket has ended and taken the link with it. */
static void on_ws_gone(void *arg)
{
    struct ww_http_request *connection = arg;
    connection->link = NULL;
    connection->ws = NULL;
    ww_http_connection_close(connection, WW_ECLOSED);
}

void ww_http_connection_upgrade(struct ww_http_request *connection, struct ww_ws *ws)
{
    const struct ww_http_ws_carrier carrier = {.gone = on_ws_gone, .arg = connection};
    connection_forget_request(connection);
    connection->state = WW_HTTP_STATE_WS;
    connection->ws = ws;
    ww_http_ws_start(ws, connection->link, &carrier);
}

/* --- requests -------------------------------------------------------------------------------- */

static void refuse_head(struct ww_http_request *connection, int code)
{
    unsigned status = 400;
    if (code == WW_ETOOBIG)
        status = 431;
    else if (code == WW_EUNSUPPORTED)
        status = 505;
    else if (code == WW_ENOMEM)
        status = 503;
    ww_http_answer_error(connection, status);
}

static void hand_over(struct ww_http_request *connection)
{
    struct ww_http_server *server = connection->server;
    connection->state = WW_HTTP_STATE_WAIT;
    ww_http_link_set_deadline(connection->link, 0);
    if (connection->body.size > 0)
        (void)ww_buf_text(&connection->body); /* its limit leaves room for the NUL */
    server->callbacks.request(server->arg, connection);
}

/* The head is parsed: what becomes of the body? */
static void begin_body(struct ww_http_request *connection)
{
    struct ww_http_server *server = connection->server;
    struct ww_http_head *head = &connection->head;
    enum ww_http_body body = WW_HTTP_BODY_COLLECT;

    connection->id = ++server->serial << 16 | connection->slot;
    connection->visible = true;
    connection->close = connection->close || !head->keep_alive || server->draining;
    connection->bodiless = strcmp(head->method, "HEAD") == 0;
    connection->state = WW_HTTP_STATE_BODY;
    if (head->chunked)
        ww_http_framing_init(&connection->framing, WW_HTTP_FRAMING_CHUNKED, 0);
    else
        ww_http_framing_init(&connection->framing, WW_HTTP_FRAMING_LENGTH,
                             head->length == WW_HTTP_SIZE_UNKNOWN ? 0 : head->length);
    if (server->callbacks.head)
        body = server->callbacks.head(server->arg, connection);
    if (connection->state != WW_HTTP_STATE_BODY)
        return;
    connection->streams = body == WW_HTTP_BODY_STREAM;
    ww_buf_init(&connection->body, server->config.body_bytes_max + 1);
    if (!connection->streams && !head->chunked &&
        connection->framing.left > server->config.body_bytes_max) {
        ww_http_answer_error(connection, 413);
        return;
    }
    if (head->expects && !connection->framing.ended &&
        evbuffer_get_length(ww_http_link_input(connection->link)) == 0) {
        static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
        (void)ww_http_link_write(connection->link, text, sizeof(text) - 1);
    }
}

/* True if something was done. */
static bool read_head(struct ww_http_request *connection)
{
    struct ww_http_server *server = connection->server;
    struct evbuffer *input = ww_http_link_input(connection->link);
    size_t held = evbuffer_get_length(input);
    struct ww_http_scanner *scanner = &connection->scanner;

    if (evbuffer_get_length(ww_http_link_output(connection->link)) > WW_HTTP_OUTPUT_BYTES_MAX)
        return false;
    if (held == scanner->size) {
        if (connection->eof)
            connection_finish(connection);
        return false;
    }
    if (scanner->size == 0)
        ww_http_link_set_deadline(connection->link, server->config.deadline_ms);
    size_t size = WW_MIN(held, server->config.head_bytes_max + 1);
    const uint8_t *data = evbuffer_pullup(input, (ev_ssize_t)size);
    size_t used = 0, seen = scanner->size;
    int code = data ? ww_http_scan(scanner, server->config.head_bytes_max, WW_HTTP_HEADERS_MAX,
                                   data + seen, size - seen, &used)
                    : WW_ENOMEM;
    if (code == 0) {
        if (connection->eof)
            connection_finish(connection);
        return false;
    }
    if (code == 1)
        code = ww_http_head_parse(&connection->head, true, data, scanner->size, scanner->fields);
    if (code != 0) {
        refuse_head(connection, code);
        return true;
    }
    evbuffer_drain(input, scanner->size);
    begin_body(connection);
    return true;
}

static void take_piece(struct ww_http_request *connection, const uint8_t *data, size_t size)
{
    struct ww_http_server *server = connection->server;
    if (connection->streams) {
        ww_http_link_set_deadline(connection->link, server->config.deadline_ms);
        if (server->callbacks.body)
            server->callbacks.body(server->arg, connection, data, size);
        return;
    }
    if (size > server->config.body_bytes_max - connection->body.size) {
        ww_http_answer_error(connection, 413);
        return;
    }
    ww_buf_put(&connection->body, data, size);
    if (connection->body.error != 0)
        ww_http_answer_error(connection, 503);
}

/* True if something was done. */
static bool read_body(struct ww_http_request *connection)
{
    struct evbuffer *input = ww_http_link_input(connection->link);
    const uint8_t *data = NULL;
    size_t size = 0;

    if (connection->paused)
        return false;
    int code = ww_http_framing_next(&connection->framing, input, &data, &size);
    if (code < 0) {
        ww_http_answer_error(connection, 400);
        return true;
    }
    if (connection->framing.ended) {
        hand_over(connection);
        return true;
    }
    if (code == 0) {
        if (connection->eof)
            ww_http_connection_close(connection, WW_ECLOSED);
        return false;
    }
    take_piece(connection, data, size);
    /* Only an answer or the end moves the state on; then the input is read away or gone. */
    if (connection->state != WW_HTTP_STATE_BODY)
        return true;
    ww_http_framing_consume(&connection->framing, input, size);
    return true;
}

static void connection_flush(struct ww_http_request *connection)
{
    if (evbuffer_get_length(ww_http_link_output(connection->link)) > 0)
        return;
    if (connection->eof) {
        ww_http_link_shutdown(connection->link);
        ww_http_connection_close(connection, 0);
        return;
    }
    connection->state = WW_HTTP_STATE_LINGER;
    ww_http_link_shutdown(connection->link);
    ww_http_link_set_deadline(connection->link, WW_HTTP_LINGER_MS);
}

/* One step; true if another may follow. */
static bool connection_step(struct ww_http_request *connection)
{
    switch (connection->state) {
    case WW_HTTP_STATE_HEAD:
        return read_head(connection);
    case WW_HTTP_STATE_BODY:
        return read_body(connection);
    case WW_HTTP_STATE_FLUSH:
        connection_flush(connection);
        return connection->state == WW_HTTP_STATE_LINGER;
    case WW_HTTP_STATE_LINGER: {
        struct evbuffer *input = ww_http_link_input(connection->link);
        evbuffer_drain(input, evbuffer_get_length(input));
        if (connection->eof)
            ww_http_connection_close(connection, 0);
        return false;
    }
    case WW_HTTP_STATE_SEND:
        ww_http_answer_fill(connection);
        return connection->state == WW_HTTP_STATE_HEAD;
    case WW_HTTP_STATE_WAIT:
    case WW_HTTP_STATE_WS:
    case WW_HTTP_STATE_CLOSED:
        return false;
    }
    return false;
}

static void connection_pump(struct ww_http_request *connection)
{
    connection_enter(connection);
    while (connection_step(connection)) {
    }
    connection_leave(connection);
}

/* --- events of the link ---------------------------------------------------------------------- */

static void on_readable(void *arg)
{
    connection_pump(arg);
}

static void on_drained(void *arg)
{
    struct ww_http_request *connection = arg;
    if (connection->state == WW_HTTP_STATE_SEND)
        ww_http_link_set_deadline(connection->link, connection->server->config.idle_ms);
    connection_pump(connection);
}

static void on_ended(void *arg, int code)
{
    struct ww_http_request *connection = arg;
    if (code != 0 || connection->eof) {
        ww_http_connection_close(connection, WW_ECLOSED);
        return;
    }
    connection->eof = true;
    connection_pump(connection);
}

static void on_timeout(void *arg)
{
    struct ww_http_request *connection = arg;
    bool begun = connection->state == WW_HTTP_STATE_BODY ||
                 (connection->state == WW_HTTP_STATE_HEAD && connection->scanner.size > 0);
    if (!begun) {
        ww_http_connection_close(connection, WW_ETIMEDOUT);
        return;
    }
    ww_http_answer_error(connection, 408);
}

static const struct ww_http_link_events connection_events = {
    .readable = on_readable,
    .drained = on_drained,
    .ended = on_ended,
    .timeout = on_timeout,
};

static void format_peer(const struct sockaddr *peer, char out[INET6_ADDRSTRLEN])
{
    const void *address = NULL;
    if (peer->sa_family == AF_INET)
        address = &((const struct sockaddr_in *)(const void *)peer)->sin_addr;
    else if (peer->sa_family == AF_INET6)
        address = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    if (!address || !inet_ntop(peer->sa_family, address, out, INET6_ADDRSTRLEN))
        out[0] = '\0';
}

void ww_http_connection_create(struct ww_http_server *server, int fd, const struct sockaddr *peer)
{
    struct ww_http_request *connection = NULL;
    SSL *ssl = NULL;

    if (server->draining || server->free_count == 0)
        goto fail;
    connection = ww_alloc(1, sizeof(*connection));
    if (!connection)
        goto fail;
    if (server->tls && !(ssl = SSL_new(server->tls)))
        goto fail;
    int code = ww_http_link_create(server->loop, fd, ssl, true, &connection->link);
    fd = -1; /* the link's, or closed */
    if (code != 0)
        goto fail;
    connection->server = server;
    connection->connection = ++server->serial;
    connection->slot = server->free_slots[--server->free_count];
    server->slots[connection->slot] = connection;
    server->connection_count++;
    TAILQ_INSERT_TAIL(&server->connections, connection, entry);
    ww_buf_init(&connection->body, server->config.body_bytes_max + 1);
    connection->head = (struct ww_http_head){.path = "", .query = ""};
    format_peer(peer, connection->peer);
    ww_http_link_set_low_mark(connection->link, WW_HTTP_OUTPUT_BYTES_MAX / 4);
    ww_http_link_set_events(connection->link, &connection_events, connection);
    /* TLS's handshake and the first byte have a request's time, no longer. */
    ww_http_link_set_deadline(connection->link, server->config.deadline_ms);
    return;
fail:
    ww_free(connection);
    if (fd >= 0)
        close(fd);
}
