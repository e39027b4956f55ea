/* Streams: life, connecting and the work that is put off to the end of the turn. Relies on
 * stream_read.c and stream_write.c for the bytes. No callback is ever made from inside a call of
 * the stream's owner, and a stream that is destroyed by its own callback is freed after it. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "stream.h"

int ww_stream_error(int error)
{
    switch (error) {
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
        return WW_ERESET;
    case ECONNREFUSED:
        return WW_ECONNREFUSED;
    case ETIMEDOUT:
        return WW_ETIMEDOUT;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
        return WW_EUNREACHABLE;
    case ENOENT:
        return WW_ENOTFOUND;
    case ENOMEM:
    case ENOBUFS:
        return WW_ENOMEM;
    default:
        return WW_ESYSTEM;
    }
}

void ww_stream_defer(struct ww_stream *stream, unsigned work)
{
    struct ww_loop *loop = stream->loop;

    if (!stream->work) {
        TAILQ_INSERT_TAIL(&loop->deferred, stream, deferred_link);
        loop->deferred_count++;
    }
    stream->work |= work;
}

static void forget_work(struct ww_stream *stream)
{
    if (!stream->work)
        return;
    stream->work = 0;
    TAILQ_REMOVE(&stream->loop->deferred, stream, deferred_link);
    stream->loop->deferred_count--;
}

static void stop_events(struct ww_stream *stream)
{
    event_del(&stream->read_event);
    event_del(&stream->write_event);
    stream->reads = false;
    stream->writes = false;
}

void ww_stream_fail(struct ww_stream *stream, int code)
{
    if (stream->state == STREAM_CLOSED)
        return;
    stream->state = STREAM_CLOSED;
    stream->code = code;
    stop_events(stream);
    ww_stream_defer(stream, WORK_CLOSED);
}

static void stream_free(struct ww_stream *stream)
{
    ww_stream_read_deinit(stream);
    ww_stream_write_deinit(stream);
    ww_free(stream);
}

void ww_stream_enter(struct ww_stream *stream)
{
    stream->calls++;
}

bool ww_stream_leave(struct ww_stream *stream)
{
    stream->calls--;
    if (!stream->is_destroyed)
        return true;
    if (stream->calls == 0)
        stream_free(stream);
    return false;
}

static void tell_connected(struct ww_stream *stream)
{
    ww_stream_enter(stream);
    if (stream->callbacks->connected)
        stream->callbacks->connected(stream->arg);
    if (!ww_stream_leave(stream) || stream->state != STREAM_OPEN)
        return;
    ww_stream_update_reading(stream);
    if (stream->queued || stream->is_finishing)
        ww_stream_defer(stream, WORK_FLUSH);
}

static void run_work(struct ww_stream *stream, unsigned work)
{
    ww_stream_enter(stream);
    if (work & WORK_CLOSED) {
        if (stream->callbacks->closed)
            stream->callbacks->closed(stream->arg, stream->code);
        ww_stream_leave(stream);
        return;
    }
    if ((work & WORK_CONNECTED) && stream->state == STREAM_CONNECTING) {
        stream->state = STREAM_OPEN;
        tell_connected(stream);
    }
    if ((work & WORK_READABLE) && !stream->is_destroyed && !stream->is_paused)
        ww_stream_tell_readable(stream);
    if ((work & WORK_FLUSH) && !stream->is_destroyed)
        ww_stream_flush(stream);
    ww_stream_leave(stream);
}

void ww_loop_streams_run(struct ww_loop *loop)
{
    /* What the callbacks defer again is for the next turn, which then doesn't wait. */
    for (size_t count = loop->deferred_count; count && loop->deferred_count; count--) {
        struct ww_stream *stream = TAILQ_FIRST(&loop->deferred);
        unsigned work = stream->work;

        forget_work(stream);
        run_work(stream, work);
    }
}

void ww_loop_streams_deinit(struct ww_loop *loop)
{
    struct ww_chunk *chunk;

    while ((chunk = TAILQ_FIRST(&loop->spare_chunks))) {
        TAILQ_REMOVE(&loop->spare_chunks, chunk, link);
        ww_buffer_free(chunk, sizeof(*chunk));
    }
    loop->spare_count = 0;
}

static void on_connect(evutil_socket_t fd, short what, void *arg)
{
    struct ww_stream *stream = arg;
    int error = 0;
    socklen_t size = sizeof(error);

    (void)what;
    event_del(&stream->write_event);
    stream->writes = false;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error) {
        ww_stream_fail(stream, ww_stream_error(error));
        return;
    }
    event_assign(&stream->write_event, stream->loop->base, fd, EV_WRITE | EV_PERSIST,
                 ww_stream_on_writable, stream);
    stream->state = STREAM_OPEN;
    tell_connected(stream);
}

/* Takes the fd only on success. */
static int stream_create(struct ww_loop *loop, int fd, const struct ww_stream_callbacks *callbacks,
                         void *arg, struct ww_stream **out)
{
    struct ww_stream *stream = ww_alloc(1, sizeof(*stream));

    if (!stream)
        return WW_ENOMEM;
    stream->loop = loop;
    stream->fd = fd;
    stream->callbacks = callbacks;
    stream->arg = arg;
    stream->state = STREAM_CONNECTING;
    stream->read_max = WW_STREAM_READ_BYTES;
    TAILQ_INIT(&stream->queue);
    event_assign(&stream->read_event, loop->base, fd, EV_READ | EV_PERSIST, ww_stream_on_readable,
                 stream);
    event_assign(&stream->write_event, loop->base, fd, EV_WRITE | EV_PERSIST, ww_stream_on_writable,
                 stream);
    *out = stream;
    return 0;
}

/* Small messages must not wait for an acknowledgement of the one before. */
static void set_no_delay(int fd, int family)
{
    int on = 1;

    if (family == AF_INET || family == AF_INET6)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int ww_stream_accept(struct ww_loop *loop, int fd, const struct ww_stream_callbacks *callbacks,
                     void *arg, struct ww_stream **out)
{
    int family = 0;
    socklen_t family_size = sizeof(family);
    struct ww_stream *stream;
    int rc = stream_create(loop, fd, callbacks, arg, &stream);

    if (rc) {
        close(fd);
        return rc;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &family_size) == 0)
        set_no_delay(fd, family);
    stream->state = STREAM_OPEN;
    if (event_add(&stream->read_event, NULL) != 0) {
        ww_stream_destroy(stream);
        return WW_ESYSTEM;
    }
    stream->reads = true;
    *out = stream;
    return 0;
}

int ww_stream_connect(struct ww_loop *loop, const struct sockaddr *address, socklen_t size,
                      const struct ww_stream_callbacks *callbacks, void *arg,
                      struct ww_stream **out)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct ww_stream *stream;
    bool at_once;
    int rc;

    if (fd < 0)
        return ww_stream_error(errno);
    set_no_delay(fd, address->sa_family);
    at_once = connect(fd, address, size) == 0;
    if (!at_once && errno != EINPROGRESS) {
        rc = ww_stream_error(errno);
        close(fd);
        return rc;
    }
    rc = stream_create(loop, fd, callbacks, arg, &stream);
    if (rc) {
        close(fd);
        return rc;
    }
    if (at_once) {
        ww_stream_defer(stream, WORK_CONNECTED);
    } else {
        event_assign(&stream->write_event, loop->base, fd, EV_WRITE | EV_PERSIST, on_connect,
                     stream);
        if (event_add(&stream->write_event, NULL) != 0) {
            ww_stream_destroy(stream);
            return WW_ESYSTEM;
        }
        stream->writes = true;
    }
    *out = stream;
    return 0;
}

void ww_stream_destroy(struct ww_stream *stream)
{
    if (!stream || stream->is_destroyed)
        return;
    stream->state = STREAM_CLOSED;
    stop_events(stream);
    forget_work(stream);
    close(stream->fd);
    stream->fd = -1;
    stream->is_destroyed = true;
    if (stream->calls == 0)
        stream_free(stream);
}

void ww_stream_reset(struct ww_stream *stream)
{
    /* Lingering for 0 s: what is unsent is dropped and the other side gets RST. */
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (!stream)
        return;
    setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    ww_stream_destroy(stream);
}

int ww_stream_fd(const struct ww_stream *stream)
{
    return stream->fd;
}
