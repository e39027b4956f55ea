/* A TCP stream of the egress: resolving, the race, then bytes both ways. Relies on egress_race.c
 * for the first connection and on the edge for the order of events. It must never touch a stream
 * after a callback without asking whether it is still there. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "egress_room.h"

void ww_egress_stream_enter(struct ww_egress_stream *stream)
{
    stream->calls++;
}

bool ww_egress_stream_leave(struct ww_egress_stream *stream)
{
    stream->calls--;
    if (stream->egress)
        return true;
    if (stream->calls == 0)
        ww_free(stream);
    return false;
}

/* Closes and frees, without a callback. */
static void drop(struct ww_egress_stream *stream, bool is_reset)
{
    if (!stream->egress)
        return;
    LIST_REMOVE(stream, link);
    stream->egress->stream_count--;
    stream->egress = NULL;
    stream->state = EGRESS_OVER;
    ww_resolver_cancel(stream->query);
    stream->query = NULL;
    ww_egress_race_stop(stream, stream->edge.stream);
    ww_timer_destroy(stream->attempt_timer);
    stream->attempt_timer = NULL;
    ww_timer_destroy(stream->timer);
    stream->timer = NULL;
    if (is_reset)
        ww_stream_reset(stream->edge.stream);
    else
        ww_stream_destroy(stream->edge.stream);
    stream->edge.stream = NULL;
    if (stream->calls == 0)
        ww_free(stream);
}

void ww_egress_stream_end(struct ww_egress_stream *stream, int code)
{
    stream->state = EGRESS_OVER;
    ww_egress_stream_enter(stream);
    stream->callbacks->closed(stream->arg, code);
    if (ww_egress_stream_leave(stream))
        drop(stream, code != 0);
}

/* Nothing is to come but the emptying of the queue, for which nobody has a use any more: a
 * destination that does not read must not keep it. */
static void bound_drain(struct ww_egress_stream *stream)
{
    if (stream->drains || !stream->edge.is_eof_told || !stream->edge.is_finished)
        return;
    stream->drains = true;
    ww_timer_start(stream->timer, stream->egress->drain_us);
}

/* Tells the owner what there is to tell. */
static void tell_events(struct ww_egress_stream *stream)
{
    while (stream->state == EGRESS_OPEN) {
        enum ww_edge_event event = ww_edge_next(&stream->edge);

        if (event == WW_EDGE_NONE) {
            bound_drain(stream);
            return;
        }
        if (event == WW_EDGE_DONE) {
            ww_egress_stream_end(stream, 0);
            return;
        }
        ww_egress_stream_enter(stream);
        if (event == WW_EDGE_READABLE)
            stream->callbacks->readable(stream->arg);
        else
            stream->callbacks->eof(stream->arg);
        if (!ww_egress_stream_leave(stream))
            return;
    }
}

/* Events are told from the loop, never from a call of the owner. */
static void arrange_turn(struct ww_egress_stream *stream)
{
    if (stream->state == EGRESS_OPEN)
        ww_timer_start(stream->timer, 0);
}

/* A destination that is gone without a word would otherwise be waited for without end. */
static void keep_alive(int fd)
{
    const int on = 1, idle_s = 300, interval_s = 60, count = 5;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

void ww_egress_stream_open(struct ww_egress_stream *stream, struct ww_stream *connection)
{
    struct sockaddr_storage local;
    socklen_t size = sizeof(local);

    memset(&local, 0, sizeof(local));
    if (getsockname(ww_stream_fd(connection), (struct sockaddr *)&local, &size) != 0)
        local.ss_family = AF_UNSPEC;
    keep_alive(ww_stream_fd(connection));
    stream->state = EGRESS_OPEN;
    ww_timer_stop(stream->timer);
    ww_edge_init(&stream->edge, connection);
    if (stream->pauses)
        ww_edge_pause(&stream->edge, true);
    if (stream->finishes && ww_edge_finish(&stream->edge))
        arrange_turn(stream);
    ww_egress_stream_enter(stream);
    stream->callbacks->connected(stream->arg, (struct sockaddr *)&local);
    ww_egress_stream_leave(stream);
}

void ww_egress_stream_on_readable(struct ww_egress_stream *stream)
{
    stream->edge.has_news = true;
    tell_events(stream);
}

void ww_egress_stream_on_drained(struct ww_egress_stream *stream)
{
    ww_egress_stream_enter(stream);
    if (!stream->edge.is_finished && stream->state == EGRESS_OPEN)
        stream->callbacks->drained(stream->arg);
    if (ww_egress_stream_leave(stream))
        tell_events(stream);
}

void ww_egress_stream_on_eof(struct ww_egress_stream *stream)
{
    stream->edge.is_eof = true;
    tell_events(stream);
}

static void on_timer(void *arg)
{
    struct ww_egress_stream *stream = arg;

    if (stream->drains)
        ww_egress_stream_end(stream, WW_ETIMEDOUT);
    else if (stream->state == EGRESS_OPEN)
        tell_events(stream);
    else
        ww_egress_stream_end(stream, stream->error ? stream->error : WW_ETIMEDOUT);
}

/* --- beginning
 * -------------------------------------------------------------------------------------- */

static int stream_create(struct ww_egress *egress, const struct ww_egress_callbacks *callbacks,
                         void *arg, struct ww_egress_stream **stream)
{
    struct ww_egress_stream *created;
    int rc;

    if (egress->stream_count >= WW_EGRESS_STREAMS_MAX)
        return WW_ELIMIT;
    created = ww_alloc(1, sizeof(*created));
    if (!created)
        return WW_ENOMEM;
    created->callbacks = callbacks;
    created->arg = arg;
    rc = ww_timer_create(egress->loop, on_timer, created, &created->timer);
    if (rc == 0)
        rc = ww_timer_create(egress->loop, ww_egress_race_on_timer, created,
                             &created->attempt_timer);
    if (rc != 0) {
        ww_timer_destroy(created->timer);
        ww_free(created);
        return rc;
    }
    created->egress = egress;
    LIST_INSERT_HEAD(&egress->streams, created, link);
    egress->stream_count++;
    ww_timer_start(created->timer, WW_EGRESS_CONNECT_MS * 1000ULL);
    *stream = created;
    return 0;
}

static void on_resolved(void *arg, int rc, const struct ww_resolver_address *found, size_t count)
{
    struct ww_egress_stream *stream = arg;
    union ww_egress_address allowed[WW_EGRESS_ADDRESSES_MAX];

    stream->query = NULL;
    if (rc == 0)
        rc = ww_egress_judge_found(stream->egress, found, count, stream->port, allowed,
                                   &stream->attempt_count);
    for (size_t i = 0; rc == 0 && i < stream->attempt_count; i++)
        stream->attempts[i].address = allowed[i];
    if (rc == 0)
        rc = ww_egress_race_start(stream);
    if (rc != 0)
        ww_egress_stream_end(stream, rc);
}

int ww_egress_connect_addresses(struct ww_egress *egress, const union ww_egress_address *addresses,
                                size_t count, const struct ww_egress_callbacks *callbacks,
                                void *arg, struct ww_egress_stream **stream)
{
    struct ww_egress_stream *created;
    int rc = stream_create(egress, callbacks, arg, &created);

    if (rc != 0)
        return rc;
    created->attempt_count = WW_MIN(count, (size_t)WW_EGRESS_ADDRESSES_MAX);
    for (size_t i = 0; i < created->attempt_count; i++)
        created->attempts[i].address = addresses[i];
    rc = ww_egress_race_start(created);
    if (rc != 0) {
        drop(created, true);
        return rc;
    }
    *stream = created;
    return 0;
}

int ww_egress_connect(struct ww_egress *egress, const void *client, const struct ww_target *target,
                      const struct ww_egress_callbacks *callbacks, void *arg,
                      struct ww_egress_stream **stream)
{
    struct ww_egress_stream *created;
    struct ww_target checked;
    bool is_name;
    int rc = ww_egress_judge_target(egress, IPPROTO_TCP, target, &checked, &is_name);

    if (rc != 0)
        return rc;
    if (!is_name) {
        struct sockaddr_storage storage;
        union ww_egress_address address;

        ww_target_sockaddr(&checked, &storage);
        memcpy(&address, &storage, sizeof(address));
        return ww_egress_connect_addresses(egress, &address, 1, callbacks, arg, stream);
    }
    rc = stream_create(egress, callbacks, arg, &created);
    if (rc != 0)
        return rc;
    created->port = checked.port;
    rc = ww_resolver_start(egress->resolver, client, checked.name, on_resolved, created,
                           &created->query);
    if (rc != 0) {
        drop(created, true);
        return rc;
    }
    *stream = created;
    return 0;
}

/* --- what the owner calls
 * ---------------------------------------------------------------------------- */

const uint8_t *ww_egress_peek(struct ww_egress_stream *stream, size_t max, size_t *size)
{
    if (!stream->edge.stream) {
        *size = 0;
        return NULL;
    }
    return ww_stream_peek(stream->edge.stream, max, size);
}

void ww_egress_consume(struct ww_egress_stream *stream, size_t size)
{
    if (stream->edge.stream && ww_edge_consume(&stream->edge, size))
        arrange_turn(stream);
}

int ww_egress_write(struct ww_egress_stream *stream, const void *data, size_t size)
{
    if (stream->state == EGRESS_OVER || stream->finishes || stream->edge.is_finished)
        return WW_ECLOSED;
    if (stream->state != EGRESS_OPEN)
        return WW_EAGAIN;
    return ww_stream_write(stream->edge.stream, data, size);
}

size_t ww_egress_readable(const struct ww_egress_stream *stream)
{
    return stream->edge.stream ? ww_stream_readable(stream->edge.stream) : 0;
}

void ww_egress_set_read_max(struct ww_egress_stream *stream, size_t bytes)
{
    if (stream->edge.stream)
        ww_stream_set_read_max(stream->edge.stream, bytes);
}

void ww_egress_set_low_mark(struct ww_egress_stream *stream, size_t bytes)
{
    if (stream->edge.stream && !stream->edge.is_finished)
        ww_stream_set_low_mark(stream->edge.stream, bytes);
}

size_t ww_egress_queued(const struct ww_egress_stream *stream)
{
    return stream->edge.stream ? ww_stream_queued(stream->edge.stream) : 0;
}

void ww_egress_pause(struct ww_egress_stream *stream, bool paused)
{
    stream->pauses = paused;
    if (stream->state == EGRESS_OPEN)
        ww_edge_pause(&stream->edge, paused);
}

void ww_egress_finish(struct ww_egress_stream *stream)
{
    stream->finishes = true;
    if (stream->state != EGRESS_OPEN)
        return;
    if (ww_edge_finish(&stream->edge))
        arrange_turn(stream);
    else
        bound_drain(stream);
}

void ww_egress_reset(struct ww_egress_stream *stream)
{
    drop(stream, true);
}
