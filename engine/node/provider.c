/* The provider's streams: TCP connections and UDP flows to destinations that the rules allow.
 *
 * Relies on packet's egress, which resolves and judges, and on transfer.
 */
#include "provider.h"

#include <arpa/inet.h>
#include <string.h>

/* --- egress as the end of a pipe -------------------------------------------------------------- */

static const uint8_t *end_peek(void *end, size_t max, size_t *size)
{
    return ww_egress_peek(end, max, size);
}

static void end_consume(void *end, size_t size)
{
    ww_egress_consume(end, size);
}

static int end_write(void *end, const void *data, size_t size)
{
    return ww_egress_write(end, data, size);
}

static size_t end_queued(const void *end)
{
    return ww_egress_queued(end);
}

static void end_pause(void *end, bool paused)
{
    ww_egress_pause(end, paused);
}

static void end_finish(void *end)
{
    ww_egress_finish(end);
}

static void end_reset(void *end)
{
    ww_egress_reset(end);
}

static const struct pipe_end_ops END_OPS = {end_peek,  end_consume, end_write, end_queued,
                                            end_pause, end_finish,  end_reset};

/* --- streams ---------------------------------------------------------------------------------- */

static struct provider_stream *find(struct conn *conn, uint64_t stream_id)
{
    struct provider_stream *table = conn->streams, *stream = NULL;
    HASH_FIND(hh, table, &stream_id, sizeof(stream_id), stream);
    return stream;
}

static void stream_free(struct provider_stream *stream)
{
    pipe_pace_remove(&stream->pipe);
    verdict_end(&stream->verdict);
    flow_stream_close(stream->edge, &stream->pipe.flow);
    if (stream->conn) {
        struct provider_stream *table = stream->conn->streams;
        HASH_DEL(table, stream);
        stream->conn->streams = table;
    }
    LIST_REMOVE(stream, link);
    ww_free(stream);
}

static void touch(struct provider_stream *stream)
{
    if (stream->conn)
        conn_touch(stream->conn);
}

void provider_pipe_touched(struct pipe *pipe)
{
    touch(WW_CONTAINER_OF(pipe, struct provider_stream, pipe));
}

static uint64_t now_of(const struct provider_stream *stream)
{
    return stream->conn ? ww_loop_now_us(stream->conn->loop) : ww_clock_mono_us();
}

static void local_dest(const struct sockaddr *local, enum ww_dest_protocol protocol,
                       struct ww_dest *dest)
{
    memset(dest, 0, sizeof(*dest));
    dest->protocol = protocol;
    if (local->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)local;
        dest->kind = WW_DEST_IPV6;
        dest->port = ntohs(six->sin6_port);
        memcpy(dest->address, &six->sin6_addr, sizeof(six->sin6_addr));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)local;
        dest->kind = WW_DEST_IPV4;
        dest->port = ntohs(four->sin_port);
        memcpy(dest->address, &four->sin_addr, sizeof(four->sin_addr));
    }
}

static void accept_stream(struct provider_stream *stream, const struct sockaddr *local,
                          enum ww_dest_protocol protocol)
{
    struct ww_dest dest;
    if (!stream->conn)
        return;
    stream->accepted = true;
    local_dest(local, protocol, &dest);
    ww_transfer_stream_accept(stream->conn->transfer, stream->pipe.stream_id, &dest);
    touch(stream);
}

static void egress_connected(void *arg, const struct sockaddr *local)
{
    accept_stream(arg, local, WW_DEST_TCP);
}

static void egress_readable(void *arg)
{
    struct provider_stream *stream = arg;
    pipe_pump(&stream->pipe, now_of(stream));
    touch(stream);
}

static void egress_drained(void *arg)
{
    struct provider_stream *stream = arg;
    pipe_drained(&stream->pipe);
    touch(stream);
}

static void egress_eof(void *arg)
{
    struct provider_stream *stream = arg;
    pipe_eof(&stream->pipe, now_of(stream));
    touch(stream);
}

static void egress_closed(void *arg, int code)
{
    struct provider_stream *stream = arg;
    if (code == WW_EDESTINATION && stream->conn)
        ((struct provider *)stream->conn->owner)->denied_count++;
    pipe_end_closed(&stream->pipe, code);
    touch(stream);
    stream_free(stream);
}

static const struct ww_egress_callbacks STREAM_CALLBACKS = {.connected = egress_connected,
                                                            .readable = egress_readable,
                                                            .drained = egress_drained,
                                                            .eof = egress_eof,
                                                            .closed = egress_closed};

static void flow_ready(void *arg, const struct sockaddr *local)
{
    accept_stream(arg, local, WW_DEST_UDP);
}

static void flow_datagram(void *arg, const uint8_t *data, size_t size)
{
    struct provider_stream *stream = arg;
    if (!stream->conn || size > WW_DATAGRAM_BYTES_MAX ||
        !ww_flow_bucket_take(&stream->verdict->bucket, size, now_of(stream)))
        return;
    if (!ww_transfer_datagram_send(stream->conn->transfer, stream->pipe.stream_id, data, size,
                                   now_of(stream)) &&
        stream->pipe.flow)
        ww_flows_count(stream->pipe.flow, false, size, now_of(stream));
    touch(stream);
}

static void flow_closed(void *arg, int code)
{
    struct provider_stream *stream = arg;
    if (stream->conn)
        ww_transfer_stream_reset(stream->conn->transfer, stream->pipe.stream_id, code);
    touch(stream);
    stream_free(stream);
}

static const struct ww_egress_flow_callbacks FLOW_CALLBACKS = {
    .ready = flow_ready, .datagram = flow_datagram, .closed = flow_closed};

/* --- transfer's callbacks --------------------------------------------------------------------- */

static int to_target(const struct ww_dest *dest, struct ww_target *target)
{
    memset(target, 0, sizeof(*target));
    target->port = dest->port;
    switch (dest->kind) {
    case WW_DEST_IPV4:
        target->kind = WW_TARGET_IPV4;
        break;
    case WW_DEST_IPV6:
        target->kind = WW_TARGET_IPV6;
        break;
    case WW_DEST_NONE:
        return WW_EDESTINATION;
    case WW_DEST_NAME:
        /* Through the parser, so that a name which is really an address is judged as one. */
        return ww_target_parse(dest->name, strlen(dest->name), dest->port, target);
    }
    memcpy(target->address, dest->address, sizeof(target->address));
    return 0;
}

static int open_egress(struct provider *provider, struct provider_stream *stream,
                       const struct ww_dest *dest)
{
    struct ww_target target;
    struct ww_egress_stream *egress = NULL;

    int rc = to_target(dest, &target);
    if (rc)
        return WW_EDESTINATION;
    if (dest->protocol == WW_DEST_UDP) {
        stream->is_flow = true;
        return ww_egress_flow_open(provider->egress, stream->conn, &target, &FLOW_CALLBACKS, stream,
                                   &stream->flow);
    }
    rc = ww_egress_connect(provider->egress, stream->conn, &target, &STREAM_CALLBACKS, stream,
                           &egress);
    stream->pipe.end = egress;
    return rc;
}

/* Opening costs the client nothing and us a lookup and a connection, which somebody else gets. */
bool provider_may_open(struct conn *conn)
{
    uint64_t now_us = ww_loop_now_us(conn->loop);
    uint64_t earned = (now_us - conn->opens_us) * WW_NODE_OPENS_PER_S / 1000000;

    if (earned) {
        conn->opens_left = WW_MIN(conn->opens_left + earned, (uint64_t)WW_NODE_OPENS_BURST);
        conn->opens_us = now_us;
    }
    if (!conn->opens_left)
        return false;
    conn->opens_left--;
    return true;
}

void provider_stream_opened(void *arg, uint64_t stream_id, const struct ww_dest *dest)
{
    struct conn *conn = arg;
    struct provider *provider = conn->owner;
    struct provider_stream *table = conn->streams;
    bool allowed = provider_may_open(conn);
    struct provider_stream *stream;

    if (allowed && dest->protocol == WW_DEST_IP) {
        provider_packets_opened(conn, stream_id);
        return;
    }
    stream = allowed ? ww_alloc(1, sizeof(*stream)) : NULL;

    if (!stream) {
        provider->refused_count++;
        ww_transfer_stream_reset(conn->transfer, stream_id, allowed ? WW_ENOMEM : WW_ELIMIT);
        return;
    }
    LIST_INSERT_HEAD(&provider->streams, stream, link);
    stream->conn = conn;
    stream->edge = &provider->edge;
    stream->pipe.transfer = conn->transfer;
    stream->pipe.stream_id = stream_id;
    stream->pipe.ops = &END_OPS;
    stream->pipe.is_exit = true;
    HASH_ADD(hh, table, pipe.stream_id, sizeof(stream->pipe.stream_id), stream);
    int rc = stream->hh.tbl ? 0 : WW_ENOMEM;
    if (rc) {
        stream->conn = NULL;
    } else {
        conn->streams = table;
        rc = provider_owe(conn, dest, stream->digest);
    }
    if (!rc)
        rc = verdict_ask(&provider->edge, dest, &stream->verdict);
    if (!rc) {
        stream->pipe.flow = flow_stream_open(&provider->edge, dest, stream->verdict);
        flow_set_peer(stream->pipe.flow, &conn->remote);
        pipe_pace_add(&provider->pace, &stream->pipe, &stream->verdict->bucket);
        rc = open_egress(provider, stream, dest);
    }
    if (rc) {
        provider->refused_count++;
        provider->denied_count += rc == WW_EDESTINATION;
        stream_free(stream);
        ww_transfer_stream_reset(conn->transfer, stream_id, rc);
        return;
    }
    provider->opened_count++;
}

void provider_stream_data(void *arg, uint64_t stream_id, const uint8_t *data, size_t size, bool fin)
{
    struct provider_stream *stream = find(arg, stream_id);
    if (!stream || stream->is_flow)
        return;
    pipe_deliver(&stream->pipe, data, size, fin);
    if (!stream->pipe.end && !stream->pipe.transfer)
        stream_free(stream); /* the write failed: both sides have let go */
}

void provider_stream_writable(void *arg, uint64_t stream_id)
{
    struct provider_stream *stream = find(arg, stream_id);

    if (provider_packets_writable(arg, stream_id))
        return;
    if (stream && !stream->is_flow)
        pipe_pump(&stream->pipe, now_of(stream));
}

void provider_stream_reset(void *arg, uint64_t stream_id, int code)
{
    struct provider_stream *stream = find(arg, stream_id);
    (void)code;
    if (provider_packets_reset(arg, stream_id) || !stream)
        return;
    if (stream->is_flow)
        ww_egress_flow_close(stream->flow);
    else
        pipe_stream_closed(&stream->pipe);
    stream_free(stream);
}

void provider_datagram(void *arg, uint64_t stream_id, const uint8_t *data, size_t size)
{
    struct provider_stream *stream = find(arg, stream_id);
    if (!stream || !stream->is_flow ||
        !ww_flow_bucket_take(&stream->verdict->bucket, size, now_of(stream)))
        return;
    if (stream->pipe.flow)
        ww_flows_count(stream->pipe.flow, true, size, now_of(stream));
    ww_egress_flow_send(stream->flow, data, size);
}

/* Resets it at both ends. */
static void stream_reset(struct provider_stream *stream, int code)
{
    if (stream->conn)
        ww_transfer_stream_reset(stream->conn->transfer, stream->pipe.stream_id, code);
    if (stream->is_flow)
        ww_egress_flow_close(stream->flow);
    else
        pipe_stream_closed(&stream->pipe);
    touch(stream);
    stream_free(stream);
}

void provider_judged(struct edge *edge)
{
    struct provider *provider = (struct provider *)edge; /* its first member */
    struct provider_stream *stream, *next;

    for (stream = LIST_FIRST(&provider->streams); stream; stream = next) {
        next = LIST_NEXT(stream, link);
        if (stream->pipe.flow && stream->pipe.flow->is_denied)
            stream_reset(stream, WW_EDENIED);
        else if (stream->verdict)
            pipe_pace_add(&provider->pace, &stream->pipe, &stream->verdict->bucket);
    }
}

void provider_reset_overdue(struct conn *conn)
{
    struct provider_stream *table = conn->streams, *stream, *next;

    HASH_ITER(hh, table, stream, next)
    {
        if (!provider_is_overdue(conn, stream->digest))
            continue;
        stream_reset(stream, WW_EUNDECLARED);
        ((struct provider *)conn->owner)->refused_count++;
    }
    conn_touch(conn);
}

void provider_detach(struct conn *conn)
{
    struct provider_stream *table = conn->streams, *stream, *next;

    provider_packets_detach(conn);
    provider_declare_stop(conn);
    /* What is left had ended on both sides and only empties its queue. */
    HASH_ITER(hh, table, stream, next)
    {
        HASH_DEL(table, stream);
        stream->conn = NULL;
        stream->pipe.transfer = NULL;
        if (stream->is_flow) {
            ww_egress_flow_close(stream->flow);
            stream_free(stream);
        }
    }
    conn->streams = NULL;
}
