/* Answers: the head, a body that is copied, a body that a source gives as the peer takes it.
 *
 * Heads are built in one bounded buffer; names and values that could split the answer are
 * refused. It must never send a second answer to a request, nor hold more of a source than
 * WW_HTTP_OUTPUT_BYTES_MAX.
 */
#include <http_parser.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server.h"

#define ANSWER_HEAD_BYTES_MAX 16384

/* RFC 9110 section 5.6.7, made once a second. */
static const char *server_date(struct ww_http_server *server)
{
    uint64_t now_s = ww_clock_wall_ms() / 1000;
    if (now_s != server->date_s) {
        time_t now = (time_t)now_s;
        struct tm parts;
        gmtime_r(&now, &parts);
        strftime(server->date, sizeof(server->date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        server->date_s = now_s;
    }
    return server->date;
}

static bool may_have_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void put_header(struct ww_buf *head, const char *name, const char *value)
{
    ww_buf_put_text(head, name);
    ww_buf_put(head, ": ", 2);
    ww_buf_put_text(head, value);
    ww_buf_put(head, "\r\n", 2);
}

static const char *status_text(unsigned status)
{
    const char *text = http_status_str((enum http_status)status);
    return strcmp(text, "<unknown>") == 0 ? "Status" : text;
}

/* 0, WW_EINVAL, WW_ENOMEM. */
static int build_head(struct ww_http_request *connection, const struct ww_http_response *response,
                      struct ww_buf *head)
{
    if (response->status < 200 || response->status > 599)
        return WW_EINVAL;
    ww_buf_printf(head, "HTTP/1.1 %u %s\r\n", response->status, status_text(response->status));
    put_header(head, "Date", server_date(connection->server));
    if (response->content_type) {
        if (!ww_http_is_value(response->content_type))
            return WW_EINVAL;
        put_header(head, "Content-Type", response->content_type);
    }
    if (connection->chunked)
        put_header(head, "Transfer-Encoding", "chunked");
    else if (may_have_body(response->status) && response->size != WW_HTTP_SIZE_UNKNOWN)
        ww_buf_printf(head, "Content-Length: %" PRIu64 "\r\n", response->size);
    if (connection->close)
        put_header(head, "Connection", "close");
    else if (connection->head.old)
        put_header(head, "Connection", "keep-alive");
    for (size_t i = 0; i < response->header_count; i++) {
        const struct ww_http_header *header = &response->headers[i];
        if (!ww_http_is_token(header->name) || !ww_http_is_value(header->value))
            return WW_EINVAL;
        put_header(head, header->name, header->value);
    }
    ww_buf_put(head, "\r\n", 2);
    return head->error;
}

/* Queues head and body. False: the connection was cut, or a bare 500 was sent instead. */
static bool send_head(struct ww_http_request *connection, const struct ww_http_response *response,
                      const void *body, size_t size)
{
    struct ww_buf head;
    bool sent = false;
    WW_REQUIRE(connection->state == WW_HTTP_STATE_WAIT || connection->state == WW_HTTP_STATE_BODY ||
               connection->state == WW_HTTP_STATE_HEAD);
    ww_buf_init(&head, ANSWER_HEAD_BYTES_MAX);
    if (connection->state != WW_HTTP_STATE_WAIT && !connection->framing.ended)
        connection->close = true; /* the rest of the body isn't read */
    connection->close = connection->close || response->close || connection->server->draining;
    int code = build_head(connection, response, &head);
    if (code == 0)
        code = ww_http_link_write(connection->link, head.data, head.size);
    if (code == 0 && size > 0)
        code = ww_http_link_write(connection->link, body, size);
    if (code == 0) {
        sent = true;
    } else if (code == WW_EINVAL || code == WW_ETOOBIG) {
        static const char bare[] = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n"
                                   "Connection: close\r\n\r\n";
        /* Not the path: it may name a contract, which must be forgotten. */
        ww_log(WW_LOG_ERROR, "http", "bad answer", "connection=%llu code=%s",
               (unsigned long long)connection->id, ww_error_name(code));
        (void)ww_http_link_write(connection->link, bare, sizeof(bare) - 1);
        connection->close = true;
        ww_http_connection_next(connection);
    } else {
        ww_http_connection_close(connection, code);
    }
    ww_buf_deinit(&head);
    return sent;
}

/* False for a second answer to the same request, which is the application's bug: dropped. */
static bool is_waiting(const struct ww_http_request *request)
{
    if (request->visible)
        return true;
    ww_log(WW_LOG_ERROR, "http", "second answer dropped", "connection=%llu",
           (unsigned long long)request->connection);
    return false;
}

static void respond(struct ww_http_request *request, const struct ww_http_response *response)
{
    size_t size =
        may_have_body(response->status) && !request->bodiless ? (size_t)response->size : 0;
    request->chunked = false;
    if (send_head(request, response, response->body, size))
        ww_http_connection_next(request);
}

void ww_http_respond(struct ww_http_request *request, const struct ww_http_response *response)
{
    if (is_waiting(request))
        respond(request, response);
}

void ww_http_respond_text(struct ww_http_request *request, unsigned status,
                          const char *content_type, const void *body, size_t size)
{
    const struct ww_http_response response = {
        .status = status,
        .content_type = content_type,
        .body = body,
        .size = size,
    };
    ww_http_respond(request, &response);
}

void ww_http_answer_error(struct ww_http_request *connection, unsigned status)
{
    char text[64];
    int size = snprintf(text, sizeof(text), "%u %s\n", status, status_text(status));
    const struct ww_http_response response = {
        .status = status,
        .content_type = "text/plain",
        .body = text,
        .size = (uint64_t)size,
        .close = true,
    };
    respond(connection, &response);
}

void ww_http_respond_stream(struct ww_http_request *request,
                            const struct ww_http_response *response,
                            const struct ww_http_source *source)
{
    if (!is_waiting(request)) {
        if (source->done)
            source->done(source->arg, WW_EINVAL);
        return;
    }
    bool with_body = may_have_body(response->status);
    bool sized = response->size != WW_HTTP_SIZE_UNKNOWN;
    request->chunked = with_body && !sized && !request->head.old;
    if (with_body && !sized && request->head.old)
        request->close = true; /* HTTP/1.0: the end of the connection ends the body */
    bool empty = !with_body || request->bodiless || response->size == 0;
    if (!send_head(request, response, NULL, 0)) {
        if (source->done)
            source->done(source->arg, WW_EIO);
        return;
    }
    request->visible = false;
    if (empty) {
        struct ww_http_feed feed;
        ww_http_feed_init(&feed, source, 0, false);
        ww_http_connection_next(request);
        ww_http_feed_end(&feed, 0);
        return;
    }
    ww_http_feed_init(&request->feed, source, response->size, request->chunked);
    request->state = WW_HTTP_STATE_SEND;
    ww_http_link_set_deadline(request->link, request->server->config.idle_ms);
    ww_http_link_poke(request->link);
}

void ww_http_answer_fill(struct ww_http_request *connection)
{
    int code = ww_http_feed_fill(&connection->feed, ww_http_link_output(connection->link));
    if (code < 0) {
        ww_http_connection_close(connection, code);
    } else if (code == 1) {
        /* The source's last callback may do anything: nothing is touched after it. */
        struct ww_http_feed feed = connection->feed;
        connection->feed = (struct ww_http_feed){.left = 0};
        ww_http_connection_next(connection);
        ww_http_feed_end(&feed, 0);
    }
}
