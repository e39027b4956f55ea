/* One connection to the proxy: handshake, the owner's answer, then bytes both ways. Relies on the
 * pure parser and on the edge for the order of events. It must never read more than
 * WW_PROXY_EARLY_BYTES before the owner has answered, nor touch a connection after a callback
 * without asking whether it is still there. */
#include <string.h>

#include "proxy_room.h"
#include "socks.h"

void ww_proxy_connection_enter(struct ww_proxy_connection *connection)
{
    connection->calls++;
}

bool ww_proxy_connection_leave(struct ww_proxy_connection *connection)
{
    connection->calls--;
    if (connection->proxy)
        return true;
    if (connection->calls == 0)
        ww_free(connection);
    return false;
}

void ww_proxy_connection_drop(struct ww_proxy_connection *connection, bool is_reset)
{
    if (!connection->proxy)
        return;
    LIST_REMOVE(connection, link);
    connection->proxy->count--;
    connection->proxy = NULL;
    ww_proxy_association_destroy(connection->association);
    connection->association = NULL;
    ww_timer_destroy(connection->timer);
    connection->timer = NULL;
    if (is_reset)
        ww_stream_reset(connection->edge.stream);
    else
        ww_stream_destroy(connection->edge.stream);
    connection->edge.stream = NULL;
    if (connection->calls == 0)
        ww_free(connection);
}

void ww_proxy_connection_end(struct ww_proxy_connection *connection, int code)
{
    struct ww_proxy *proxy = connection->proxy;
    enum connection_state state = connection->state;

    /* Told once, whatever the owner calls in the callback. */
    connection->state = CONNECTION_LINGERING;
    ww_proxy_connection_enter(connection);
    if (state == CONNECTION_WAITING || state == CONNECTION_OPEN)
        proxy->callbacks.closed(proxy->arg, connection, code);
    else if (state == CONNECTION_ASSOCIATED && proxy->callbacks.dissociated)
        proxy->callbacks.dissociated(proxy->arg, connection->association);
    if (ww_proxy_connection_leave(connection))
        ww_proxy_connection_drop(connection, code != 0);
}

/* Tells the owner what there is to tell. */
static void tell_events(struct ww_proxy_connection *connection)
{
    while (connection->state == CONNECTION_OPEN) {
        struct ww_proxy *proxy = connection->proxy;
        enum ww_edge_event event = ww_edge_next(&connection->edge);

        if (event == WW_EDGE_NONE)
            return;
        if (event == WW_EDGE_DONE) {
            ww_proxy_connection_end(connection, 0);
            return;
        }
        ww_proxy_connection_enter(connection);
        if (event == WW_EDGE_READABLE)
            proxy->callbacks.readable(proxy->arg, connection);
        else
            proxy->callbacks.eof(proxy->arg, connection);
        if (!ww_proxy_connection_leave(connection))
            return;
    }
}

void ww_proxy_connection_answer_and_close(struct ww_proxy_connection *connection,
                                          const void *answer, size_t size)
{
    connection->state = CONNECTION_LINGERING;
    ww_stream_consume(connection->edge.stream, ww_stream_readable(connection->edge.stream));
    ww_stream_resume(connection->edge.stream);
    if (ww_stream_write(connection->edge.stream, answer, size) != 0) {
        ww_proxy_connection_drop(connection, true);
        return;
    }
    ww_stream_finish(connection->edge.stream);
    ww_timer_start(connection->timer, WW_PROXY_LINGER_MS * 1000ULL);
}

static void refuse_request(struct ww_proxy_connection *connection, unsigned answer)
{
    char text[WW_PROXY_HTTP_BYTES_MAX];
    uint8_t reply[WW_SOCKS_REPLY_BYTES_MAX];
    size_t size;

    if (connection->parser.dialect == WW_DIALECT_HTTP) {
        size = ww_proxy_http_status(text, answer);
        ww_proxy_connection_answer_and_close(connection, text, size);
    } else {
        size = ww_proxy_socks_reply(reply, answer, NULL);
        ww_proxy_connection_answer_and_close(connection, reply, size);
    }
}

static void tell_request(struct ww_proxy_connection *connection)
{
    struct ww_proxy *proxy = connection->proxy;

    connection->state = CONNECTION_WAITING;
    ww_timer_start(connection->timer, WW_PROXY_ANSWER_MS * 1000ULL);
    ww_proxy_connection_enter(connection);
    proxy->callbacks.request(proxy->arg, connection, &connection->parser.target);
    ww_proxy_connection_leave(connection);
}

static bool greet(struct ww_proxy_connection *connection)
{
    static const uint8_t chosen[] = {WW_SOCKS_VERSION, WW_SOCKS_METHOD_NONE};

    if (ww_stream_write(connection->edge.stream, chosen, sizeof(chosen)) == 0)
        return true;
    ww_proxy_connection_drop(connection, true);
    return false;
}

/* Does what one step of the parser asks for. True if the next may follow at once. */
static bool take_step(struct ww_proxy_connection *connection, enum ww_proxy_step step,
                      unsigned answer)
{
    static const uint8_t no_method[] = {WW_SOCKS_VERSION, WW_SOCKS_METHOD_UNACCEPTED};
    static const uint8_t socks4_rejected[8] = {0, 91};

    switch (step) {
    case WW_STEP_MORE:
        break;
    case WW_STEP_GREETED:
        return greet(connection);
    case WW_STEP_CONNECT:
        tell_request(connection);
        break;
    case WW_STEP_ASSOCIATE:
        ww_timer_stop(connection->timer);
        ww_proxy_association_start(connection);
        break;
    case WW_STEP_NO_METHOD:
        ww_proxy_connection_answer_and_close(connection, no_method, sizeof(no_method));
        break;
    case WW_STEP_REFUSE:
        refuse_request(connection, answer);
        break;
    case WW_STEP_SOCKS4:
        ww_proxy_connection_answer_and_close(connection, socks4_rejected, sizeof(socks4_rejected));
        break;
    case WW_STEP_CLOSE:
        ww_proxy_connection_drop(connection, true);
        break;
    }
    return false;
}

static void shake_hands(struct ww_proxy_connection *connection)
{
    bool goes_on = true;

    while (goes_on) {
        size_t size, used;
        unsigned answer;
        const uint8_t *data =
            ww_stream_peek(connection->edge.stream, WW_HTTP_HEAD_BYTES_MAX, &size);
        enum ww_proxy_step step = ww_proxy_parse(&connection->parser, data, size, &used, &answer);

        ww_stream_consume(connection->edge.stream, used);
        goes_on = take_step(connection, step, answer);
    }
}

/* --- what the stream and the timer say
 * ------------------------------------------------------------ */

static void on_readable(void *arg)
{
    struct ww_proxy_connection *connection = arg;
    struct ww_stream *stream = connection->edge.stream;

    ww_proxy_connection_enter(connection);
    switch (connection->state) {
    case CONNECTION_HANDSHAKE:
        shake_hands(connection);
        break;
    case CONNECTION_WAITING:
        if (ww_stream_readable(stream) >= WW_PROXY_EARLY_BYTES)
            ww_stream_pause(stream);
        break;
    case CONNECTION_OPEN:
        connection->edge.has_news = true;
        tell_events(connection);
        break;
    case CONNECTION_ASSOCIATED:
    case CONNECTION_LINGERING:
        ww_stream_consume(stream, ww_stream_readable(stream));
        break;
    }
    ww_proxy_connection_leave(connection);
}

static void on_drained(void *arg)
{
    struct ww_proxy_connection *connection = arg;
    struct ww_proxy *proxy = connection->proxy;

    if (connection->state != CONNECTION_OPEN) {
        if (connection->state == CONNECTION_LINGERING && connection->edge.is_eof)
            ww_proxy_connection_end(connection, 0);
        return;
    }
    ww_proxy_connection_enter(connection);
    if (!connection->edge.is_finished)
        proxy->callbacks.drained(proxy->arg, connection);
    if (ww_proxy_connection_leave(connection))
        tell_events(connection);
}

static void on_eof(void *arg)
{
    struct ww_proxy_connection *connection = arg;

    connection->edge.is_eof = true;
    switch (connection->state) {
    case CONNECTION_WAITING: /* told after the answer */
        break;
    case CONNECTION_OPEN:
        tell_events(connection);
        break;
    case CONNECTION_LINGERING: /* the answer may wait in the queue */
        if (ww_stream_queued(connection->edge.stream) == 0)
            ww_proxy_connection_end(connection, 0);
        break;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_ASSOCIATED:
        ww_proxy_connection_end(connection, 0);
        break;
    }
}

static void on_closed(void *arg, int code)
{
    ww_proxy_connection_end(arg, code);
}

static void answer_error(struct ww_proxy_connection *connection, int code)
{
    char text[WW_PROXY_HTTP_BYTES_MAX];

    if (connection->parser.dialect == WW_DIALECT_HTTP)
        ww_proxy_connection_answer_and_close(connection, text, ww_proxy_http_error(text, code));
    else
        refuse_request(connection, ww_proxy_socks_code(code));
}

/* The owner's answer depends on a provider, who may never give one. */
static void give_up_waiting(struct ww_proxy_connection *connection)
{
    struct ww_proxy *proxy = connection->proxy;

    connection->state = CONNECTION_LINGERING; /* told once, as in ww_proxy_connection_end */
    ww_proxy_connection_enter(connection);
    proxy->callbacks.closed(proxy->arg, connection, WW_ETIMEDOUT);
    if (ww_proxy_connection_leave(connection))
        answer_error(connection, WW_ETIMEDOUT);
}

static void on_timer(void *arg)
{
    struct ww_proxy_connection *connection = arg;

    if (connection->state == CONNECTION_OPEN)
        tell_events(connection);
    else if (connection->state == CONNECTION_WAITING)
        give_up_waiting(connection);
    else
        ww_proxy_connection_end(connection, WW_ETIMEDOUT); /* of the handshake, or lingering */
}

static const struct ww_stream_callbacks stream_callbacks = {
    .readable = on_readable,
    .drained = on_drained,
    .eof = on_eof,
    .closed = on_closed,
};

void ww_proxy_connection_start(struct ww_proxy *proxy, int fd)
{
    struct ww_proxy_connection *connection = ww_alloc(1, sizeof(*connection));
    struct ww_stream *stream;

    /* Takes the fd first, so that every failure closes it in the same way. */
    if (ww_stream_accept(proxy->loop, fd, &stream_callbacks, connection, &stream) != 0)
        goto fail;
    if (!connection ||
        ww_timer_create(proxy->loop, on_timer, connection, &connection->timer) != 0) {
        ww_stream_destroy(stream);
        goto fail;
    }
    connection->proxy = proxy;
    connection->edge.stream = stream;
    LIST_INSERT_HEAD(&proxy->connections, connection, link);
    proxy->count++;
    ww_timer_start(connection->timer, WW_PROXY_HANDSHAKE_MS * 1000ULL);
    return;

fail:
    ww_free(connection);
    ww_log(WW_LOG_WARN, "packet", "No memory for a client of the proxy");
}

/* --- what the owner calls
 * -------------------------------------------------------------------------- */

void ww_proxy_set_context(struct ww_proxy_connection *connection, void *context)
{
    connection->context = context;
}

void *ww_proxy_context(const struct ww_proxy_connection *connection)
{
    return connection->context;
}

/* Events are told from the loop, never from a call of the owner. */
static void arrange_turn(struct ww_proxy_connection *connection)
{
    if (connection->proxy && connection->state == CONNECTION_OPEN)
        ww_timer_start(connection->timer, 0);
}

int ww_proxy_accept(struct ww_proxy_connection *connection, const struct sockaddr *bound)
{
    static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    uint8_t reply[WW_SOCKS_REPLY_BYTES_MAX];
    struct ww_stream *stream = connection->edge.stream;
    int rc;

    if (connection->state != CONNECTION_WAITING)
        return WW_EINVAL;
    if (connection->parser.dialect == WW_DIALECT_HTTP)
        rc = ww_stream_write(stream, established, sizeof(established) - 1);
    else
        rc = ww_stream_write(stream, reply, ww_proxy_socks_reply(reply, WW_SOCKS_OK, bound));
    if (rc != 0)
        return rc;
    connection->state = CONNECTION_OPEN;
    ww_edge_init(&connection->edge, stream);
    ww_stream_resume(stream);
    arrange_turn(connection);
    return 0;
}

void ww_proxy_refuse(struct ww_proxy_connection *connection, int code)
{
    if (connection->state != CONNECTION_WAITING)
        ww_proxy_reset(connection);
    else
        answer_error(connection, code);
}

const uint8_t *ww_proxy_peek(struct ww_proxy_connection *connection, size_t max, size_t *size)
{
    return ww_stream_peek(connection->edge.stream, max, size);
}

void ww_proxy_consume(struct ww_proxy_connection *connection, size_t size)
{
    if (ww_edge_consume(&connection->edge, size))
        arrange_turn(connection);
}

int ww_proxy_write(struct ww_proxy_connection *connection, const void *data, size_t size)
{
    if (connection->state != CONNECTION_OPEN)
        return WW_ECLOSED;
    return ww_stream_write(connection->edge.stream, data, size);
}

size_t ww_proxy_queued(const struct ww_proxy_connection *connection)
{
    return ww_stream_queued(connection->edge.stream);
}

void ww_proxy_pause(struct ww_proxy_connection *connection, bool paused)
{
    if (connection->state == CONNECTION_OPEN)
        ww_edge_pause(&connection->edge, paused);
}

void ww_proxy_finish(struct ww_proxy_connection *connection)
{
    if (connection->state == CONNECTION_OPEN && ww_edge_finish(&connection->edge))
        arrange_turn(connection);
}

void ww_proxy_reset(struct ww_proxy_connection *connection)
{
    ww_proxy_connection_drop(connection, true);
}
