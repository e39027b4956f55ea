/* One transport connection: a bufferevent over a socket, with or without TLS, and one timer.
 *
 * Relies on libevent's non-deferred callbacks and on its own counter of entered callbacks, so
 * that a callback may destroy the link that it was called for. It must never look at the bytes.
 */
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LIBEVENT_READ_BYTES 4096

static void link_free(struct ww_http_link *link)
{
    ww_timer_destroy(link->timer);
    ww_free(link);
}

static void link_enter(struct ww_http_link *link)
{
    link->entered++;
}

static void link_leave(struct ww_http_link *link)
{
    if (--link->entered == 0 && link->dead)
        link_free(link);
}

static void link_call(struct ww_http_link *link, void (*fn)(void *arg))
{
    if (link->dead || !fn)
        return;
    link_enter(link);
    fn(link->arg);
    link_leave(link);
}

/* Stops reading while the owner leaves too much in the input, and goes on when it has taken it.
 * libevent's own high mark would call us without end instead: with the mark reached, 2.1.12
 * triggers the read callback again after each one. */
static void link_gate(struct ww_http_link *link)
{
    if (link->dead)
        return;
    bool full = evbuffer_get_length(bufferevent_get_input(link->bev)) >= WW_HTTP_INPUT_BYTES_MAX;
    if (full == link->full)
        return;
    link->full = full;
    if (full)
        bufferevent_disable(link->bev, EV_READ);
    else
        bufferevent_enable(link->bev, EV_READ);
}

/* libevent 2.1 reads at most 4 KiB in a turn (EVBUFFER_MAX_READ), which costs four system calls and
 * limits a large body to 2.5 Gbit/s: when it got as much, the rest is taken here. Only bytes that
 * are there are asked for, so that an end or an error is left for libevent to find. */
static void link_read_rest(struct ww_http_link *link)
{
    struct evbuffer *input = bufferevent_get_input(link->bev);
    size_t held = evbuffer_get_length(input);
    int fd = bufferevent_getfd(link->bev), waiting = 0;
    struct evbuffer_iovec piece;

    if (link->ssl || held < LIBEVENT_READ_BYTES || held >= WW_HTTP_INPUT_BYTES_MAX ||
        ioctl(fd, FIONREAD, &waiting) || waiting <= 0)
        return;
    size_t size = WW_MIN((size_t)waiting, (size_t)WW_HTTP_PIECE_BYTES);
    evbuffer_unfreeze(input, 0);
    if (evbuffer_reserve_space(input, (ev_ssize_t)size, &piece, 1) == 1) {
        ssize_t got = read(fd, piece.iov_base, WW_MIN(piece.iov_len, size));
        piece.iov_len = got > 0 ? (size_t)got : 0;
        evbuffer_commit_space(input, &piece, 1);
    }
    evbuffer_freeze(input, 0);
}

static void link_on_read(struct bufferevent *bev, void *arg)
{
    struct ww_http_link *link = arg;
    (void)bev;
    link_enter(link);
    link_read_rest(link);
    link_call(link, link->events->readable);
    link_gate(link);
    link_leave(link);
}

static void link_on_write(struct bufferevent *bev, void *arg)
{
    struct ww_http_link *link = arg;
    (void)bev;
    link_enter(link);
    link_call(link, link->events->drained);
    link_gate(link);
    link_leave(link);
}

/* What a failed connect means to the caller. */
static int link_error(int system_error)
{
    switch (system_error) {
    case ECONNREFUSED:
        return WW_ECONNREFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EACCES:
        return WW_EUNREACHABLE;
    case ETIMEDOUT:
        return WW_ETIMEDOUT;
    default:
        return WW_ECLOSED;
    }
}

static void link_set_nodelay(int fd)
{
    int one = 1;
    /* Without it an answer waits for the acknowledgement of the one before: 40 ms. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void link_on_event(struct bufferevent *bev, short what, void *arg)
{
    struct ww_http_link *link = arg;
    int system_error = errno;
    if (what & BEV_EVENT_CONNECTED) {
        link->open = true;
        link_set_nodelay(bufferevent_getfd(bev));
        link_call(link, link->events->opened);
        return;
    }
    int code = WW_ECLOSED;
    if (what & BEV_EVENT_EOF)
        code = link->open ? 0 : WW_ECLOSED;
    else if (!link->ssl)
        code = link_error(system_error);
    ERR_clear_error();
    if (link->dead || !link->events->ended)
        return;
    link_enter(link);
    link->events->ended(link->arg, code);
    link_leave(link);
}

static void link_arm(struct ww_http_link *link)
{
    uint64_t now_us = ww_clock_mono_us();
    link->armed_us = link->deadline_us;
    ww_timer_start(link->timer, link->deadline_us > now_us ? link->deadline_us - now_us : 0);
}

/* The timer is lazy: a deadline that moved on is only found here, which keeps requests that
 * follow one another from touching the loop's heap. */
static void link_on_timer(void *arg)
{
    struct ww_http_link *link = arg;
    link->armed_us = 0;
    if (link->dead || link->deadline_us == 0)
        return;
    if (ww_clock_mono_us() < link->deadline_us) {
        link_arm(link);
        return;
    }
    link->deadline_us = 0;
    link_call(link, link->events->timeout);
}

static const struct ww_http_link_events no_events;

static int link_init(struct ww_loop *loop, struct bufferevent *bev, SSL *ssl,
                     struct ww_http_link **out)
{
    struct ww_http_link *link = ww_alloc(1, sizeof(*link));
    if (!link)
        return WW_ENOMEM;
    int code = ww_timer_create(loop, link_on_timer, link, &link->timer);
    if (code != 0) {
        ww_free(link);
        return code;
    }
    link->loop = loop;
    link->bev = bev;
    link->ssl = ssl;
    link->events = &no_events;
    bufferevent_setcb(bev, link_on_read, link_on_write, link_on_event, link);
    /* The defaults of 16 KiB halve the throughput of large bodies; a read that doesn't fit into
     * libevent's 64 KiB pieces makes it map and unmap memory for each one. */
    bufferevent_set_max_single_read(bev, WW_HTTP_PIECE_BYTES);
    bufferevent_set_max_single_write(bev, WW_HTTP_OUTPUT_BYTES_MAX);
    *out = link;
    return 0;
}

int ww_http_link_create(struct ww_loop *loop, int fd, SSL *ssl, bool server,
                        struct ww_http_link **link)
{
    struct bufferevent *bev = NULL;
    link_set_nodelay(fd);
    if (ssl)
        bev = bufferevent_openssl_socket_new(
            ww_loop_base(loop), fd, ssl,
            server ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
    else
        bev = bufferevent_socket_new(ww_loop_base(loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!bev) { /* libevent has freed ssl */
        close(fd);
        return WW_ENOMEM;
    }
    if (ssl)
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 0);
    int code = link_init(loop, bev, ssl, link);
    if (code != 0) {
        bufferevent_free(bev);
        return code;
    }
    (*link)->open = ssl == NULL;
    if (bufferevent_enable(bev, EV_READ | EV_WRITE) != 0) {
        ww_http_link_destroy(*link);
        *link = NULL;
        return WW_ESYSTEM;
    }
    return 0;
}

int ww_http_link_connect(struct ww_loop *loop, const struct sockaddr *address, socklen_t size,
                         struct ww_http_link **link)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return link_error(errno);
    ww_loop_mark_socket(loop, fd);
    struct bufferevent *bev = bufferevent_socket_new(ww_loop_base(loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!bev) {
        close(fd);
        return WW_ENOMEM;
    }
    int code = link_init(loop, bev, NULL, link);
    if (code != 0) {
        bufferevent_free(bev);
        return code;
    }
    /* A failure to connect is told by the event callback. The owner's events are not set yet, so
     * what happens in here is told by the result. */
    if (bufferevent_socket_connect(bev, address, (int)size) != 0) {
        code = link_error(errno);
        ww_http_link_destroy(*link);
        *link = NULL;
        return code;
    }
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return 0;
}

void ww_http_link_set_events(struct ww_http_link *link, const struct ww_http_link_events *events,
                             void *arg)
{
    link->events = events;
    link->arg = arg;
}

int ww_http_link_detach(struct ww_http_link *link)
{
    int fd = bufferevent_getfd(link->bev);
    bufferevent_disable(link->bev, EV_READ | EV_WRITE);
    bufferevent_setfd(link->bev, -1);
    return fd;
}

struct evbuffer *ww_http_link_input(struct ww_http_link *link)
{
    return bufferevent_get_input(link->bev);
}

struct evbuffer *ww_http_link_output(struct ww_http_link *link)
{
    return bufferevent_get_output(link->bev);
}

int ww_http_link_write(struct ww_http_link *link, const void *data, size_t size)
{
    return evbuffer_add(bufferevent_get_output(link->bev), data, size) == 0 ? 0 : WW_ENOMEM;
}

void ww_http_link_set_low_mark(struct ww_http_link *link, size_t size)
{
    bufferevent_setwatermark(link->bev, EV_WRITE, size, 0);
}

void ww_http_link_set_deadline(struct ww_http_link *link, uint64_t delay_ms)
{
    if (delay_ms == 0) {
        link->deadline_us = 0;
        return;
    }
    link->deadline_us = ww_clock_mono_us() + delay_ms * 1000;
    if (link->armed_us == 0 || link->deadline_us < link->armed_us)
        link_arm(link);
}

void ww_http_link_poke(struct ww_http_link *link)
{
    bufferevent_trigger(link->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

void ww_http_link_shutdown(struct ww_http_link *link)
{
    if (link->ssl && SSL_is_init_finished(link->ssl)) {
        SSL_shutdown(link->ssl);
        ERR_clear_error();
    }
    (void)shutdown(bufferevent_getfd(link->bev), SHUT_WR);
}

int ww_http_link_exporter(const struct ww_http_link *link, const char *label,
                          uint8_t out[WW_HTTP_EXPORTER_SIZE])
{
    if (!link->ssl)
        return WW_EUNSUPPORTED;
    if (SSL_export_keying_material(link->ssl, out, WW_HTTP_EXPORTER_SIZE, label, strlen(label),
                                   NULL, 0, 0) != 1) {
        ERR_clear_error();
        return WW_EAUTH;
    }
    return 0;
}

void ww_http_link_destroy(struct ww_http_link *link)
{
    if (!link || link->dead)
        return;
    link->dead = true;
    ww_timer_stop(link->timer);
    bufferevent_setcb(link->bev, NULL, NULL, NULL, NULL);
    bufferevent_free(link->bev);
    link->bev = NULL;
    link->ssl = NULL;
    if (link->entered == 0)
        link_free(link);
}

int ww_http_link_peer(const struct ww_http_link *link, char text[WW_HTTP_PEER_BYTES])
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    if (getpeername(bufferevent_getfd(link->bev), (struct sockaddr *)&address, &size) != 0)
        return WW_ECLOSED;
    const void *bytes = address.ss_family == AF_INET
                            ? (const void *)&((const struct sockaddr_in *)&address)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)&address)->sin6_addr;
    return inet_ntop(address.ss_family, bytes, text, WW_HTTP_PEER_BYTES) ? 0 : WW_ECLOSED;
}
