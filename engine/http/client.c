/* The client: its configuration, its queue of calls, its one connection.
 *
 * Calls are sent one at a time, in order; exchange.c does the talking. The object counts the
 * handlers on the stack, so that `done` may destroy it. It must never call `done` from the
 * functions that the application calls, but for ww_http_client_destroy.
 */
#include "client.h"

#include <stdio.h>
#include <string.h>

static void client_free(struct ww_http_client *client)
{
    ww_timer_destroy(client->timer);
    SSL_CTX_free(client->tls);
    ww_buf_deinit(&client->body);
    ww_http_head_deinit(&client->head);
    ww_free(client);
}

void ww_http_client_leave(struct ww_http_client *client)
{
    if (--client->entered == 0 && client->dead)
        client_free(client);
}

static void drop_link(struct ww_http_client *client)
{
    ww_http_link_destroy(client->link);
    client->link = NULL;
    client->eof = false;
    client->served = 0;
}

static void reset_exchange(struct ww_http_client *client)
{
    client->phase = WW_HTTP_PHASE_IDLE;
    client->scanner = (struct ww_http_scanner){0};
    client->informational = 0;
    client->paused = false;
    ww_buf_init(&client->body, client->config.body_bytes_max + 1);
}

static void call_free(struct ww_http_client_call *call)
{
    ww_buf_deinit(&call->request);
    ww_free(call);
}

void ww_http_client_finish(struct ww_http_client *client, int code, bool keep)
{
    struct ww_http_client_call *call = TAILQ_FIRST(&client->calls);
    bool answered = code == 0;
    client->entered++;
    TAILQ_REMOVE(&client->calls, call, entry);
    client->call_count--;
    /* Taken out of the client, so that the result outlives whatever `done` does with it. */
    struct ww_http_head head = client->head;
    struct ww_buf body = client->body;
    client->head = (struct ww_http_head){.path = "", .query = ""};
    const struct ww_http_result result = {
        .status = answered ? head.status : 0,
        .body = answered && body.size > 0 ? body.data : (const uint8_t *)"",
        .size = answered ? body.size : 0,
        .connection = client->phase != WW_HTTP_PHASE_IDLE ? client->connection : 0,
        .head = answered ? &head : NULL,
    };
    reset_exchange(client);
    client->served++;
    if (result.status != 101 && (!keep || ww_http_feed_active(&call->feed) || client->eof))
        drop_link(client);
    else if (client->link)
        ww_http_link_set_deadline(client->link, client->config.idle_ms);
    ww_http_feed_end(&call->feed, answered ? WW_ECLOSED : code);
    call->done(call->arg, code, &result);
    if (call->upgrade)
        drop_link(client); /* unless it was taken */
    call_free(call);
    ww_http_head_deinit(&head);
    ww_buf_deinit(&body);
    if (!client->dead && client->call_count > 0)
        ww_timer_start(client->timer, 0);
    ww_http_client_leave(client);
}

static void fail_all(struct ww_http_client *client, int code)
{
    /* Calls that are made meanwhile wait for another try. */
    size_t count = client->call_count;
    client->entered++;
    while (count-- > 0 && client->call_count > 0)
        ww_http_client_finish(client, code, false);
    ww_http_client_leave(client);
}

static void on_dialled(void *arg, int code, struct ww_http_link *link)
{
    struct ww_http_client *client = arg;
    client->dial = NULL;
    if (code != 0) {
        fail_all(client, code);
        return;
    }
    client->link = link;
    client->connection++;
    client->served = 0;
    client->eof = false;
    ww_http_link_set_events(link, &ww_http_client_events, client);
    ww_http_link_set_low_mark(link, WW_HTTP_OUTPUT_BYTES_MAX / 4);
    ww_http_link_set_deadline(link, client->config.idle_ms);
    ww_timer_start(client->timer, 0);
}

/* Starts the first call, if nothing is under way. */
static void client_advance(struct ww_http_client *client)
{
    struct ww_http_client_call *call = TAILQ_FIRST(&client->calls);
    if (!call || client->phase != WW_HTTP_PHASE_IDLE || client->dial)
        return;
    if (call->connection != 0 && (!client->link || call->connection != client->connection)) {
        ww_http_client_finish(client, WW_ECLOSED, client->link != NULL);
        return;
    }
    if (client->link) {
        ww_http_client_send(client);
        return;
    }
    int code =
        ww_http_dial_create(client->loop, &client->target, on_dialled, client, &client->dial);
    if (code != 0)
        fail_all(client, code);
}

static void on_timer(void *arg)
{
    struct ww_http_client *client = arg;
    client->entered++;
    if (client->cancelled != 0) {
        int code = client->cancelled;
        client->cancelled = 0;
        ww_http_dial_destroy(client->dial);
        client->dial = NULL;
        fail_all(client, code);
    } else {
        client_advance(client);
    }
    ww_http_client_leave(client);
}

static int set_config(struct ww_http_client *client, const struct ww_http_client_config *config)
{
    struct ww_http_client_config *own = &client->config;
    struct ww_http_url *url = &client->target.url;
    *own = *config;
    own->url = own->proxy = NULL;
    if (own->connect_timeout_ms == 0)
        own->connect_timeout_ms = WW_HTTP_CONNECT_MS;
    if (own->deadline_ms == 0)
        own->deadline_ms = WW_HTTP_DEADLINE_MS;
    if (own->idle_ms == 0)
        own->idle_ms = WW_HTTP_IDLE_MS;
    if (own->body_bytes_max == 0)
        own->body_bytes_max = WW_HTTP_BODY_BYTES_MAX;
    if (own->queue_max == 0)
        own->queue_max = WW_HTTP_CALLS_MAX;
    if (!config->url || own->body_bytes_max > SIZE_MAX / 2 ||
        ww_http_url_parse(config->url, false, url) != 0)
        return WW_EINVAL;
    if (config->proxy && ww_http_url_parse(config->proxy, true, &client->target.proxy) != 0)
        return WW_EINVAL;
    bool v6 = strchr(url->host, ':') != NULL;
    int size =
        snprintf(client->authority, sizeof(client->authority), v6 ? "[%s]" : "%s", url->host);
    if (url->port != (url->is_tls ? 443 : 80))
        snprintf(client->authority + size, sizeof(client->authority) - (size_t)size, ":%u",
                 url->port);
    client->trust.pin = config->pin;
    client->target.trust = &client->trust;
    client->target.timeout_ms = own->connect_timeout_ms;
    if (!url->is_tls)
        return ww_hash_is_zero(&config->pin) ? 0 : WW_EINVAL; /* a pin that nobody would check */
    int code = ww_http_tls_client(&client->trust, &client->tls);
    client->target.tls = client->tls;
    return code;
}

int ww_http_client_create(struct ww_loop *loop, const struct ww_http_client_config *config,
                          struct ww_http_client **client)
{
    struct ww_http_client *made = ww_alloc(1, sizeof(*made));
    if (!made)
        return WW_ENOMEM;
    made->loop = loop;
    TAILQ_INIT(&made->calls);
    int code = set_config(made, config);
    if (code == 0)
        code = ww_timer_create(loop, on_timer, made, &made->timer);
    if (code != 0) {
        client_free(made);
        return code;
    }
    reset_exchange(made);
    *client = made;
    return 0;
}

static int queue_call(struct ww_http_client *client, const struct ww_http_call *call, bool upgrade)
{
    if (client->dead)
        return WW_ESHUTDOWN;
    if (client->call_count >= client->config.queue_max)
        return WW_ELIMIT;
    struct ww_http_client_call *made = ww_alloc(1, sizeof(*made));
    if (!made)
        return WW_ENOMEM;
    int code = ww_http_client_build(client, call, made);
    if (code != 0) {
        call_free(made);
        return code;
    }
    made->upgrade = upgrade;
    TAILQ_INSERT_TAIL(&client->calls, made, entry);
    client->call_count++;
    ww_timer_start(client->timer, 0);
    return 0;
}

int ww_http_client_request(struct ww_http_client *client, const struct ww_http_call *call)
{
    return queue_call(client, call, false);
}

int ww_http_client_upgrade(struct ww_http_client *client, const struct ww_http_call *call)
{
    return queue_call(client, call, true);
}

struct ww_http_link *ww_http_client_take_link(struct ww_http_client *client)
{
    struct ww_http_link *link = client->link;
    client->link = NULL;
    return link;
}

void ww_http_client_cancel(struct ww_http_client *client)
{
    client->cancelled = WW_ECLOSED;
    ww_timer_start(client->timer, 0);
}

uint64_t ww_http_client_connection(const struct ww_http_client *client)
{
    return client->link && !client->eof ? client->connection : 0;
}

int ww_http_client_exporter(const struct ww_http_client *client, const char *label,
                            uint8_t out[WW_HTTP_EXPORTER_SIZE])
{
    return client->link ? ww_http_link_exporter(client->link, label, out) : WW_ECLOSED;
}

void ww_http_client_pause(struct ww_http_client *client)
{
    if (client->phase != WW_HTTP_PHASE_BODY)
        return;
    client->paused = true;
    ww_http_link_set_deadline(client->link, 0);
}

void ww_http_client_resume(struct ww_http_client *client)
{
    if (!client->paused)
        return;
    client->paused = false;
    ww_http_link_set_deadline(client->link, client->config.deadline_ms);
    ww_http_link_poke(client->link);
}

void ww_http_client_wake(struct ww_http_client *client)
{
    if (client->link && client->phase != WW_HTTP_PHASE_IDLE)
        ww_http_link_poke(client->link);
}

const char *ww_http_result_header(const struct ww_http_result *result, const char *name)
{
    return result->head ? ww_http_head_find(result->head, name) : NULL;
}

void ww_http_client_destroy(struct ww_http_client *client)
{
    if (!client || client->dead)
        return;
    client->dead = true;
    client->entered++;
    ww_timer_stop(client->timer);
    ww_http_dial_destroy(client->dial);
    client->dial = NULL;
    while (client->call_count > 0)
        ww_http_client_finish(client, WW_ESHUTDOWN, false);
    drop_link(client);
    ww_http_client_leave(client);
}
