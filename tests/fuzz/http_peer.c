/* See http_peer.h. Reaches into the room for ww_http_connection_create, so that no TCP port is
 * used up by an input. */
#include "http_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

#define TURNS_MAX 100000

static struct ww_loop *loop;
static struct ww_http_server *server;

static void on_message(void *arg, bool text, const uint8_t *data, size_t size)
{
    struct ww_ws **ws = arg;
    (void)(text ? ww_ws_send_text(*ws, data, size) : ww_ws_send_binary(*ws, data, size));
}

static void on_closed(void *arg, unsigned code, int error)
{
    (void)code;
    (void)error;
    *(struct ww_ws **)arg = NULL;
}

static const struct ww_ws_callbacks ws_callbacks = {.message = on_message, .closed = on_closed};

static void on_request(void *arg, struct ww_http_request *request)
{
    static struct ww_ws *ws;
    size_t size;
    const uint8_t *body = ww_http_request_body(request, &size);
    (void)arg;
    if (ww_http_request_is_upgrade(request))
        (void)ww_ws_accept(request, &ws_callbacks, &ws, &ws);
    else
        ww_http_respond_text(request, 200, "text/plain", body, size);
}

static enum ww_http_body on_head(void *arg, struct ww_http_request *request)
{
    (void)arg;
    return strcmp(ww_http_request_path(request), "/s") == 0 ? WW_HTTP_BODY_STREAM
                                                            : WW_HTTP_BODY_COLLECT;
}

static void on_body(void *arg, struct ww_http_request *request, const uint8_t *data, size_t size)
{
    static volatile uint8_t sink;
    (void)arg;
    (void)request;
    sink = data[size - 1];
    (void)sink;
}

static void start(void)
{
    static const char *const listen[] = {"127.0.0.1:0", NULL};
    static const struct ww_http_callbacks callbacks = {
        .request = on_request, .head = on_head, .body = on_body};
    const struct ww_http_server_config config = {.listen = listen};
    ww_log_set_level(WW_LOG_ERROR);
    WW_REQUIRE(ww_loop_create(&loop) == 0);
    WW_REQUIRE(ww_http_server_create(loop, &config, &callbacks, NULL, &server) == 0);
}

/* Sends all of it, reading answers away; false when the server has closed. */
static bool feed(int fd, const uint8_t *data, size_t size)
{
    uint8_t sink[16384];
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        }
        ww_loop_turn(loop, 0);
        while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0) {
        }
    }
    return true;
}

void http_peer_run(const void *prefix, size_t prefix_size, const uint8_t *data, size_t size)
{
    const struct sockaddr_in from = {.sin_family = AF_INET};
    uint8_t sink[16384];
    int fds[2];
    if (!loop)
        start();
    WW_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    ww_http_connection_create(server, fds[0], (const struct sockaddr *)&from);
    if (feed(fds[1], prefix, prefix_size))
        (void)feed(fds[1], data, size);
    (void)shutdown(fds[1], SHUT_WR);
    for (unsigned i = 0; ww_http_server_connections(server) > 0; i++) {
        WW_REQUIRE(i < TURNS_MAX);
        ww_loop_turn(loop, 1000);
        while (recv(fds[1], sink, sizeof(sink), 0) > 0) {
        }
    }
    close(fds[1]);
}
