/* The server: its configuration, listeners and table of connections.
 *
 * A connection's slot and a serial number that is never used again make the ids of requests. It
 * must never touch a connection's bytes: connection.c does.
 */
#include "server.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls.h"
#include "ws.h"

#define SLOTS_MAX UINT16_MAX

/* "127.0.0.1:80", "[::1]:80". Numeric only: a server that listens where a name points today is
 * a server that nobody can reason about. */
static int parse_address(const char *text, struct sockaddr_storage *out, socklen_t *size)
{
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    if (!colon || colon[1] < '0' || colon[1] > '9')
        return WW_EINVAL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    bool is_v6 = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    const char *from = is_v6 ? text + 1 : text;
    size_t length = (size_t)(colon - from) - (is_v6 ? 1 : 0);
    if (*end || port > UINT16_MAX || length >= sizeof(host))
        return WW_EINVAL;
    memcpy(host, from, length);
    host[length] = '\0';
    memset(out, 0, sizeof(*out));
    if (is_v6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *size = sizeof(*v6);
        return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 ? 0 : WW_EINVAL;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    *size = sizeof(*v4);
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1 ? 0 : WW_EINVAL;
}

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t peer_size)
{
    (void)peer_size;
    ww_http_connection_create(arg, fd, peer);
}

static void on_drain_timer(void *arg)
{
    struct ww_http_server *server = arg;
    if (server->connection_count == 0 && server->drain_fn)
        server->drain_fn(server->drain_arg);
}

static int set_config(struct ww_http_server *server, const struct ww_http_server_config *config)
{
    struct ww_http_server_config *own = &server->config;
    *own = *config;
    own->listen = NULL;
    if (own->head_bytes_max == 0)
        own->head_bytes_max = WW_HTTP_HEAD_BYTES_MAX;
    if (own->body_bytes_max == 0)
        own->body_bytes_max = WW_HTTP_BODY_BYTES_MAX;
    if (own->connections_max == 0)
        own->connections_max = WW_HTTP_CONNECTIONS_MAX;
    if (own->deadline_ms == 0)
        own->deadline_ms = WW_HTTP_DEADLINE_MS;
    if (own->idle_ms == 0)
        own->idle_ms = WW_HTTP_IDLE_MS;
    if (own->head_bytes_max > UINT16_MAX || own->connections_max > SLOTS_MAX ||
        own->body_bytes_max > SIZE_MAX / 2)
        return WW_EINVAL;
    if (!config->certificate_path)
        return 0;
    server->certificate_path = ww_strdup(config->certificate_path);
    server->key_path = ww_strdup(config->key_path ? config->key_path : "");
    if (!server->certificate_path || !server->key_path)
        return WW_ENOMEM;
    return ww_http_tls_server(server->certificate_path, server->key_path, &server->tls);
}

static int make_slots(struct ww_http_server *server)
{
    size_t count = server->config.connections_max;
    server->slots = ww_alloc(count, sizeof(*server->slots));
    server->free_slots = ww_alloc(count, sizeof(*server->free_slots));
    if (!server->slots || !server->free_slots)
        return WW_ENOMEM;
    for (size_t i = 0; i < count; i++)
        server->free_slots[i] = (uint16_t)(count - 1 - i);
    server->free_count = count;
    return ww_timer_create(server->loop, on_drain_timer, server, &server->drain_timer);
}

static int listen_all(struct ww_http_server *server, const char *const *addresses)
{
    size_t count = 0;
    while (addresses && addresses[count])
        count++;
    if (count == 0)
        return WW_EINVAL;
    server->listeners = ww_alloc(count, sizeof(struct ww_listener *));
    if (!server->listeners)
        return WW_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct sockaddr_storage address;
        socklen_t size = 0;
        int code = parse_address(addresses[i], &address, &size);
        if (code == 0)
            code = ww_listener_create(server->loop, (const struct sockaddr *)&address, size,
                                      on_accept, server, &server->listeners[i]);
        if (code != 0)
            return code;
        server->listener_count++;
    }
    return 0;
}

int ww_http_server_create(struct ww_loop *loop, const struct ww_http_server_config *config,
                          const struct ww_http_callbacks *callbacks, void *arg,
                          struct ww_http_server **server)
{
    if (!callbacks->request)
        return WW_EINVAL;
    struct ww_http_server *made = ww_alloc(1, sizeof(*made));
    if (!made)
        return WW_ENOMEM;
    made->loop = loop;
    made->callbacks = *callbacks;
    made->arg = arg;
    TAILQ_INIT(&made->connections);
    int code = set_config(made, config);
    if (code == 0)
        code = make_slots(made);
    if (code == 0)
        code = listen_all(made, config->listen);
    if (code != 0) {
        ww_http_server_destroy(made);
        return code;
    }
    *server = made;
    return 0;
}

uint16_t ww_http_server_port(const struct ww_http_server *server, size_t index)
{
    struct sockaddr_storage address;
    if (index >= server->listener_count ||
        ww_listener_address(server->listeners[index], &address) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

size_t ww_http_server_connections(const struct ww_http_server *server)
{
    return server->connection_count;
}

int ww_http_server_reload(struct ww_http_server *server)
{
    SSL_CTX *fresh = NULL;
    if (!server->tls)
        return 0;
    int code = ww_http_tls_server(server->certificate_path, server->key_path, &fresh);
    if (code != 0)
        return code;
    SSL_CTX_free(server->tls); /* open connections hold their own reference */
    server->tls = fresh;
    return 0;
}

static void stop_listening(struct ww_http_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        ww_listener_destroy(server->listeners[i]);
    server->listener_count = 0;
}

int ww_http_server_drain(struct ww_http_server *server, ww_loop_fn fn, void *arg)
{
    struct ww_http_request *connection, *next;
    if (server->draining)
        return WW_ESTATE;
    server->draining = true;
    server->drain_fn = fn;
    server->drain_arg = arg;
    stop_listening(server);
    for (connection = TAILQ_FIRST(&server->connections); connection; connection = next) {
        next = TAILQ_NEXT(connection, entry);
        ww_http_connection_drain(connection); /* calls nobody, closes later */
    }
    if (server->connection_count == 0)
        ww_timer_start(server->drain_timer, 0);
    return 0;
}

void ww_http_server_destroy(struct ww_http_server *server)
{
    struct ww_http_request *connection;
    if (!server || server->destroying)
        return;
    server->destroying = true;
    stop_listening(server);
    while ((connection = TAILQ_FIRST(&server->connections)) != NULL) {
        if (connection->state == WW_HTTP_STATE_WS)
            ww_http_ws_abort(connection->ws, WW_WS_GOING_AWAY, WW_ESHUTDOWN);
        else
            ww_http_connection_close(connection, WW_ESHUTDOWN);
    }
    ww_timer_destroy(server->drain_timer);
    SSL_CTX_free(server->tls);
    ww_free(server->listeners);
    ww_free(server->slots);
    ww_free(server->free_slots);
    ww_free(server->certificate_path);
    ww_free(server->key_path);
    ww_free(server);
}
