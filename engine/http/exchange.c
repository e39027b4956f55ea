/* One call on the client's connection: the request out, the response in.
 *
 * Responses are read as strictly as requests are: the same scanner, parser and framing. A
 * response that ends before its length is an error; one without a length ends with the
 * connection (RFC 9112 section 6.3). It must never send a call twice that could change something.
 */
#include <inttypes.h>
#include <string.h>

#include "client.h"

#define INFORMATIONAL_MAX      8 /* 1xx responses before the real one */
#define REQUEST_HEAD_BYTES_MAX 16384

static bool is_target(const char *path)
{
    if (*path != '/')
        return false;
    for (; *path; path++) {
        uint8_t c = (uint8_t)*path;
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return false;
    }
    return true;
}

static int put_headers(struct ww_buf *out, const struct ww_http_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!ww_http_is_token(headers[i].name) || !ww_http_is_value(headers[i].value))
            return WW_EINVAL;
        ww_buf_put_text(out, headers[i].name);
        ww_buf_put_text(out, ": ");
        ww_buf_put_text(out, headers[i].value);
        ww_buf_put_text(out, "\r\n");
    }
    return 0;
}

int ww_http_client_build(const struct ww_http_client *client, const struct ww_http_call *call,
                         struct ww_http_client_call *out)
{
    struct ww_buf *text = &out->request;
    bool sized = call->size != WW_HTTP_SIZE_UNKNOWN;
    ww_buf_init(text, REQUEST_HEAD_BYTES_MAX);
    if (!call->done || !ww_http_is_token(call->method) || !is_target(call->path) ||
        (!call->source && !sized))
        return WW_EINVAL;
    ww_buf_put_text(text, call->method);
    ww_buf_put_text(text, " ");
    ww_buf_put_text(text, call->path);
    ww_buf_put_text(text, " HTTP/1.1\r\nHost: ");
    ww_buf_put_text(text, client->authority);
    ww_buf_put_text(text, "\r\nUser-Agent: ww\r\n");
    if (!sized)
        ww_buf_put_text(text, "Transfer-Encoding: chunked\r\n");
    else if (call->source || call->size > 0 || strcmp(call->method, "POST") == 0)
        ww_buf_printf(text, "Content-Length: %" PRIu64 "\r\n", call->size);
    if (put_headers(text, call->headers, call->header_count) != 0)
        return WW_EINVAL;
    ww_buf_put_text(text, "\r\n");
    if (!call->source && call->size > 0) {
        text->limit += (size_t)call->size;
        ww_buf_put(text, call->body, (size_t)call->size);
    }
    out->sends = call->source != NULL;
    if (out->sends)
        ww_http_feed_init(&out->feed, call->source, call->size, !sized);
    out->bodiless = strcmp(call->method, "HEAD") == 0;
    out->safe = out->bodiless || (strcmp(call->method, "GET") == 0 && !call->source);
    out->on_body = call->on_body;
    out->done = call->done;
    out->arg = call->arg;
    out->connection = call->connection;
    out->deadline_ms = call->deadline_ms != 0 ? call->deadline_ms : client->config.deadline_ms;
    return text->error;
}

static struct ww_http_client_call *current(struct ww_http_client *client)
{
    return TAILQ_FIRST(&client->calls);
}

/* Streamed calls have no end in time as long as they move. */
static void note_progress(struct ww_http_client *client)
{
    const struct ww_http_client_call *call = current(client);
    if ((call->sends || call->on_body) && !client->paused)
        ww_http_link_set_deadline(client->link, call->deadline_ms);
}

static void feed_on(struct ww_http_client *client)
{
    struct ww_http_client_call *call = current(client);
    if (!ww_http_feed_active(&call->feed))
        return;
    int code = ww_http_feed_fill(&call->feed, ww_http_link_output(client->link));
    if (code < 0)
        ww_http_client_finish(client, code, false);
    else if (code == 1)
        ww_http_feed_end(&call->feed, 0);
}

void ww_http_client_send(struct ww_http_client *client)
{
    struct ww_http_client_call *call = current(client);
    client->phase = WW_HTTP_PHASE_HEAD;
    ww_http_link_set_deadline(client->link, call->deadline_ms);
    if (ww_http_link_write(client->link, call->request.data, call->request.size) != 0) {
        ww_http_client_finish(client, WW_ENOMEM, false);
        return;
    }
    feed_on(client);
}

/* --- response ------------------------------------------------------------------------------------
 */

/* The head is parsed: what follows it. */
static void begin_body(struct ww_http_client *client)
{
    struct ww_http_client_call *call = current(client);
    const struct ww_http_head *head = &client->head;
    client->phase = WW_HTTP_PHASE_BODY;
    if (call->bodiless || head->status == 204 || head->status == 304)
        ww_http_framing_init(&client->framing, WW_HTTP_FRAMING_LENGTH, 0);
    else if (head->chunked)
        ww_http_framing_init(&client->framing, WW_HTTP_FRAMING_CHUNKED, 0);
    else if (head->length != WW_HTTP_SIZE_UNKNOWN)
        ww_http_framing_init(&client->framing, WW_HTTP_FRAMING_LENGTH, head->length);
    else
        ww_http_framing_init(&client->framing, WW_HTTP_FRAMING_EOF, 0);
}

/* A complete head: 1xx are skipped, a 101 ends an upgrade. */
static void take_head(struct ww_http_client *client)
{
    struct ww_http_client_call *call = current(client);
    unsigned status = client->head.status;
    client->scanner = (struct ww_http_scanner){0};
    if (status >= 200) {
        begin_body(client);
        return;
    }
    if (status == 101 && call->upgrade) {
        ww_http_client_finish(client, 0, true);
        return;
    }
    ww_http_head_deinit(&client->head);
    if (status == 101 || ++client->informational > INFORMATIONAL_MAX)
        ww_http_client_finish(client, WW_EMALFORMED, false);
}

/* True if something was done. */
static bool read_head(struct ww_http_client *client)
{
    struct evbuffer *input = ww_http_link_input(client->link);
    struct ww_http_scanner *scanner = &client->scanner;
    size_t size = WW_MIN(evbuffer_get_length(input), (size_t)WW_HTTP_REPLY_HEAD_BYTES_MAX + 1);
    size_t used = 0, seen = scanner->size;
    if (size == seen)
        return false;
    const uint8_t *data = evbuffer_pullup(input, (ev_ssize_t)size);
    int code = data ? ww_http_scan(scanner, WW_HTTP_REPLY_HEAD_BYTES_MAX, WW_HTTP_REPLY_HEADERS_MAX,
                                   data + seen, size - seen, &used)
                    : WW_ENOMEM;
    if (code == 0)
        return false;
    if (code == 1)
        code = ww_http_head_parse(&client->head, false, data, scanner->size, scanner->fields);
    if (code != 0) {
        ww_http_client_finish(client, code, false);
        return true;
    }
    evbuffer_drain(input, scanner->size);
    take_head(client);
    return true;
}

static void finish_body(struct ww_http_client *client)
{
    bool keep = client->head.keep_alive && client->framing.kind != WW_HTTP_FRAMING_EOF &&
                evbuffer_get_length(ww_http_link_input(client->link)) == 0;
    if (client->body.size > 0)
        (void)ww_buf_text(&client->body); /* its limit leaves room for the NUL */
    ww_http_client_finish(client, 0, keep);
}

/* True if something was done. */
static bool read_body(struct ww_http_client *client)
{
    struct evbuffer *input = ww_http_link_input(client->link);
    struct ww_http_client_call *call = current(client);
    const uint8_t *data = NULL;
    size_t size = 0;

    if (client->paused)
        return false;
    int code = ww_http_framing_next(&client->framing, input, &data, &size);
    bool ended = client->framing.ended ||
                 (code == 0 && client->eof && client->framing.kind == WW_HTTP_FRAMING_EOF);
    if (code < 0) {
        ww_http_client_finish(client, code, false);
        return true;
    }
    if (ended) {
        finish_body(client);
        return true;
    }
    if (code == 0) {
        if (client->eof)
            ww_http_client_finish(client, WW_ECLOSED, false);
        return false;
    }
    if (call->on_body) {
        note_progress(client);
        call->on_body(call->arg, data, size);
        if (client->dead)
            return false;
    } else if (size > client->config.body_bytes_max - client->body.size) {
        ww_http_client_finish(client, WW_ETOOBIG, false);
        return true;
    } else {
        ww_buf_put(&client->body, data, size);
        if (client->body.error != 0) {
            ww_http_client_finish(client, WW_ENOMEM, false);
            return true;
        }
    }
    ww_http_framing_consume(&client->framing, input, size);
    return true;
}

static bool client_step(struct ww_http_client *client)
{
    if (client->dead || !client->link)
        return false;
    switch (client->phase) {
    case WW_HTTP_PHASE_IDLE:
        /* Bytes that nobody asked for would be taken for the next call's response. */
        if (evbuffer_get_length(ww_http_link_input(client->link)) > 0 || client->eof) {
            ww_http_link_destroy(client->link);
            client->link = NULL;
        }
        return false;
    case WW_HTTP_PHASE_HEAD:
        return read_head(client);
    case WW_HTTP_PHASE_BODY:
        return read_body(client);
    }
    return false;
}

static void client_pump(struct ww_http_client *client)
{
    client->entered++;
    if (client->phase != WW_HTTP_PHASE_IDLE)
        feed_on(client);
    while (client_step(client)) {
    }
    ww_http_client_leave(client);
}

static void on_readable(void *arg)
{
    client_pump(arg);
}

static void on_drained(void *arg)
{
    struct ww_http_client *client = arg;
    if (client->phase != WW_HTTP_PHASE_IDLE)
        note_progress(client);
    client_pump(client);
}

/* The connection is gone while a call is on it. */
static void lose_call(struct ww_http_client *client, int code)
{
    struct ww_http_client_call *call = current(client);
    bool untouched = client->phase == WW_HTTP_PHASE_HEAD && client->scanner.size == 0 &&
                     client->informational == 0;
    if (untouched && call->safe && !call->retried && client->served > 0) {
        /* The server closed a kept connection just as we used it (RFC 9112 section 9.3.1). */
        call->retried = true;
        client->phase = WW_HTTP_PHASE_IDLE;
        ww_http_link_destroy(client->link);
        client->link = NULL;
        ww_timer_start(client->timer, 0);
        return;
    }
    ww_http_client_finish(client, code, false);
}

static void on_ended(void *arg, int code)
{
    struct ww_http_client *client = arg;
    client->entered++;
    client->eof = true;
    if (code == 0)
        client_pump(client);
    bool waits = client->paused && code == 0; /* what is held will still be handed over */
    if (!client->dead && client->link && client->eof && !waits) {
        if (client->phase != WW_HTTP_PHASE_IDLE) {
            lose_call(client, WW_ECLOSED);
        } else {
            ww_http_link_destroy(client->link);
            client->link = NULL;
        }
    }
    ww_http_client_leave(client);
}

static void on_timeout(void *arg)
{
    struct ww_http_client *client = arg;
    if (client->phase == WW_HTTP_PHASE_IDLE) {
        ww_http_link_destroy(client->link);
        client->link = NULL;
        return;
    }
    ww_http_client_finish(client, WW_ETIMEDOUT, false);
}

const struct ww_http_link_events ww_http_client_events = {
    .readable = on_readable,
    .drained = on_drained,
    .ended = on_ended,
    .timeout = on_timeout,
};
