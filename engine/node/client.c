/* The client's TCP side: proxy connections and the streams that carry them.
 *
 * Relies on packet's proxy and on transfer. A request that comes before there is a connection with
 * a contract waits, bounded in number and time.
 */
#include "client_dns.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

/* --- the proxy's connection as the end of a pipe ---------------------------------------------- */

static const uint8_t *end_peek(void *end, size_t max, size_t *size)
{
    return ww_proxy_peek(end, max, size);
}

static void end_consume(void *end, size_t size)
{
    ww_proxy_consume(end, size);
}

static int end_write(void *end, const void *data, size_t size)
{
    return ww_proxy_write(end, data, size);
}

static size_t end_queued(const void *end)
{
    return ww_proxy_queued(end);
}

static void end_pause(void *end, bool paused)
{
    ww_proxy_pause(end, paused);
}

static void end_finish(void *end)
{
    ww_proxy_finish(end);
}

static void end_reset(void *end)
{
    ww_proxy_reset(end);
}

static const struct pipe_end_ops END_OPS = {end_peek,  end_consume, end_write, end_queued,
                                            end_pause, end_finish,  end_reset};

/* --- streams ---------------------------------------------------------------------------------- */

struct client_stream *client_stream_find(struct conn *conn, uint64_t stream_id)
{
    struct client_stream *table = conn->streams, *stream = NULL;
    HASH_FIND(hh, table, &stream_id, sizeof(stream_id), stream);
    return stream;
}

static void leave_table(struct client_stream *stream)
{
    struct client_stream *table;
    if (!stream->conn)
        return;
    table = stream->conn->streams;
    HASH_DEL(table, stream);
    stream->conn->streams = table;
    stream->conn = NULL;
}

static void stream_free(struct client_stream *stream)
{
    if (stream->is_waiting) {
        TAILQ_REMOVE(&stream->client->waiting, stream, waiting);
        stream->client->waiting_count--;
    }
    leave_table(stream);
    pipe_pace_remove(&stream->pipe);
    verdict_end(&stream->verdict);
    flow_stream_close(&stream->client->edge, &stream->pipe.flow);
    LIST_REMOVE(stream, link);
    ww_free(stream);
}

int client_judge(struct client *client, const struct ww_target *target, int protocol)
{
    const char *rule = NULL;
    int rc = ww_address_judge_port(protocol, target->port, &rule);
    uint8_t address[16];

    /* An IPv4-mapped one came as text or on the wire, so it is denied whatever it embeds: a
     * provider denies it too, and may take it for malice. */
    if (!rc && target->kind == WW_TARGET_IPV4)
        ww_address_map(target->address, address);
    else
        memcpy(address, target->address, sizeof(address));
    if (!rc && target->kind != WW_TARGET_NAME)
        rc = ww_address_judge(client->rules, address, target->kind == WW_TARGET_IPV4, &rule);
    if (rc) {
        client->denied_count++;
        ww_log(WW_LOG_INFO, "client", "a destination was denied", "rule=\"%s\"", rule ? rule : "");
    }
    return rc;
}

void client_dest(const struct ww_target *target, enum ww_dest_protocol protocol,
                 struct ww_dest *dest)
{
    memset(dest, 0, sizeof(*dest));
    dest->protocol = protocol;
    dest->port = target->port;
    switch (target->kind) {
    case WW_TARGET_IPV4:
        dest->kind = WW_DEST_IPV4;
        break;
    case WW_TARGET_IPV6:
        dest->kind = WW_DEST_IPV6;
        break;
    case WW_TARGET_NAME:
        dest->kind = WW_DEST_NAME;
        break;
    }
    memcpy(dest->address, target->address, sizeof(dest->address));
    memcpy(dest->name, target->name, sizeof(dest->name));
}

enum rank { SOUND, DOUBTED, CUT, UNUSABLE, RANKS };

static enum rank rank_of(const struct conn *conn)
{
    if (!conn->is_ready || conn->closing_code)
        return UNUSABLE;
    if (conn->is_cut)
        return CUT;
    if (conn->is_doubted || conn->is_avoided)
        return DOUBTED;
    return conn->trusted_us > ww_loop_now_us(conn->loop) ? DOUBTED : SOUND;
}

struct conn *client_next_conn(struct client *client, unsigned tried)
{
    struct conn *conn = client->active, *any;
    unsigned count[RANKS] = {0};
    enum rank rank = SOUND;

    for (any = client->edge.conns; any; any = any->hh.next)
        count[rank_of(any)]++;
    while (rank < CUT && tried >= count[rank])
        tried -= count[rank++];
    if (rank == CUT && count[SOUND] + count[DOUBTED] > 0)
        return NULL;
    for (unsigned i = HASH_COUNT(client->edge.conns); i > 0; i--) {
        conn = conn && conn->hh.next ? conn->hh.next : client->edge.conns;
        if (rank_of(conn) == rank) {
            client->active = conn;
            return conn;
        }
    }
    return NULL;
}

int client_open(struct client *client, const struct ww_dest *dest, struct conn **conn,
                uint64_t *stream_id)
{
    int rc = WW_ENOCONTRACT;

    for (unsigned i = 0; i < HASH_COUNT(client->edge.conns) && rc == WW_ENOCONTRACT; i++) {
        *conn = client_next_conn(client, i);
        if (!*conn)
            break;
        rc = ww_transfer_stream_open((*conn)->transfer, dest, stream_id);
    }
    if (!rc && (rc = client_declare(*conn, dest)))
        ww_transfer_stream_reset((*conn)->transfer, *stream_id, rc);
    return rc;
}

/* 0 when the stream is on its way; WW_ENOCONTRACT when it has to wait. */
static int stream_open(struct client_stream *stream)
{
    struct client *client = stream->client;
    struct client_stream *table;
    struct conn *conn = NULL;
    struct ww_dest dest;

    client_dest(&stream->target, WW_DEST_TCP, &dest);
    int rc = client_open(client, &dest, &conn, &stream->pipe.stream_id);
    if (rc)
        return rc;
    stream->conn = conn;
    flow_set_peer(stream->pipe.flow, &conn->remote);
    stream->pipe.transfer = conn->transfer;
    stream->pipe.ops = &END_OPS;
    stream->pipe.end = stream->connection;
    table = conn->streams;
    HASH_ADD(hh, table, pipe.stream_id, sizeof(stream->pipe.stream_id), stream);
    if (!stream->hh.tbl) {
        stream->conn = NULL;
        ww_transfer_stream_reset(conn->transfer, stream->pipe.stream_id, WW_ENOMEM);
        return WW_ENOMEM;
    }
    conn->streams = table;
    client->opened_count++;
    conn_touch(conn);
    return 0;
}

static void refuse(struct client_stream *stream, int code)
{
    struct ww_proxy_connection *connection = stream->connection;
    stream->client->refused_count++;
    stream->connection = NULL;
    stream->pipe.end = NULL;
    stream_free(stream);
    ww_proxy_refuse(connection, code);
}

static void start_waiting(struct client_stream *stream)
{
    struct client *client = stream->client;
    struct edge_note note = {.edge = &client->edge, .event = EDGE_DEMAND};

    if (client->waiting_count >= WW_NODE_WAITING_MAX) {
        refuse(stream, WW_ELIMIT);
        return;
    }
    stream->is_waiting = true;
    TAILQ_INSERT_TAIL(&client->waiting, stream, waiting);
    client->waiting_count++;
    if (!ww_timer_running(client->waiting_timer))
        ww_timer_start(client->waiting_timer, WW_NODE_WAITING_MS * 1000ULL);
    edge_tell(&note);
}

void client_retry(struct client *client)
{
    struct client_stream *stream, *next;

    client_tunnel_retry(client);
    for (stream = TAILQ_FIRST(&client->waiting); stream; stream = next) {
        next = TAILQ_NEXT(stream, waiting);
        int rc = stream_open(stream);
        if (rc == WW_ENOCONTRACT)
            return;
        TAILQ_REMOVE(&client->waiting, stream, waiting);
        client->waiting_count--;
        stream->is_waiting = false;
        if (rc)
            refuse(stream, rc);
    }
}

void client_pipe_touched(struct pipe *pipe)
{
    const struct client_stream *stream = WW_CONTAINER_OF(pipe, struct client_stream, pipe);

    if (stream->conn)
        conn_touch(stream->conn);
}

void client_waiting_expired(void *arg)
{
    struct client *client = arg;
    struct client_stream *stream;
    uint64_t now_us = ww_loop_now_us(client->edge.loop);

    while ((stream = TAILQ_FIRST(&client->waiting))) {
        uint64_t due_us = stream->since_us + WW_NODE_WAITING_MS * 1000ULL;
        if (due_us > now_us) {
            ww_timer_start(client->waiting_timer, due_us - now_us);
            return;
        }
        refuse(stream, WW_EOFFLINE);
    }
}

/* --- the proxy's callbacks -------------------------------------------------------------------- */

static void proxy_request(void *arg, struct ww_proxy_connection *connection,
                          const struct ww_target *target)
{
    struct client *client = arg;
    struct verdict *verdict = NULL;
    struct ww_dest dest;
    int rc = client_judge(client, target, WW_DEST_TCP);

    client_dest(target, WW_DEST_TCP, &dest);
    if (!rc)
        rc = verdict_ask(&client->edge, &dest, &verdict);
    struct client_stream *stream = rc ? NULL : ww_alloc(1, sizeof(*stream));
    if (!stream) {
        verdict_end(&verdict);
        client->refused_count++;
        ww_proxy_refuse(connection, rc ? rc : WW_ENOMEM);
        return;
    }
    stream->client = client;
    stream->connection = connection;
    stream->target = *target;
    stream->verdict = verdict;
    stream->pipe.flow = flow_stream_open(&client->edge, &dest, verdict);
    pipe_pace_add(&client->pace, &stream->pipe, &verdict->bucket);
    stream->since_us = ww_loop_now_us(client->edge.loop);
    LIST_INSERT_HEAD(&client->streams, stream, link);
    ww_proxy_set_context(connection, stream);
    rc = client->stopping ? WW_ESHUTDOWN : stream_open(stream);
    if (rc == WW_ENOCONTRACT)
        start_waiting(stream);
    else if (rc)
        refuse(stream, rc);
}

static void proxy_readable(void *arg, struct ww_proxy_connection *connection)
{
    struct client_stream *stream = ww_proxy_context(connection);
    (void)arg;
    pipe_pump(&stream->pipe, ww_loop_now_us(stream->client->edge.loop));
    if (stream->conn)
        conn_touch(stream->conn);
}

static void proxy_drained(void *arg, struct ww_proxy_connection *connection)
{
    struct client_stream *stream = ww_proxy_context(connection);
    (void)arg;
    pipe_drained(&stream->pipe);
    if (stream->conn)
        conn_touch(stream->conn);
}

static void proxy_eof(void *arg, struct ww_proxy_connection *connection)
{
    struct client_stream *stream = ww_proxy_context(connection);
    (void)arg;
    pipe_eof(&stream->pipe, ww_loop_now_us(stream->client->edge.loop));
    if (stream->conn)
        conn_touch(stream->conn);
}

static void proxy_closed(void *arg, struct ww_proxy_connection *connection, int code)
{
    struct client_stream *stream = ww_proxy_context(connection);
    (void)arg;
    if (!stream)
        return;
    stream->connection = NULL;
    pipe_end_closed(&stream->pipe, code);
    if (stream->conn)
        conn_touch(stream->conn);
    stream_free(stream);
}

const struct ww_proxy_callbacks CLIENT_PROXY_CALLBACKS = {
    .request = proxy_request,
    .readable = proxy_readable,
    .drained = proxy_drained,
    .eof = proxy_eof,
    .closed = proxy_closed,
    .associated = client_associated,
    .datagram = client_proxy_datagram,
    .dissociated = client_dissociated,
};

/* --- packets that nobody asked for ------------------------------------------------------------ */

void client_note_junk(struct conn *conn, size_t size)
{
    char peer[WW_HASH_TEXT_SIZE];

    conn->packets.junk_bytes += size;
    if (conn->packets.junk_bytes <= WW_NODE_JUNK_BYTES + conn->packets.good_bytes / 2)
        return;
    ww_log(WW_LOG_WARN, "client", "the provider sends packets that nobody asked for",
           "peer=%s bytes=%" PRIu64, ww_hash_format(&conn->remote, peer), conn->packets.junk_bytes);
    ww_transfer_abort(conn->transfer, WW_EPROTOCOL);
    conn_lose(conn, WW_EPROTOCOL);
}

/* --- transfer's callbacks --------------------------------------------------------------------- */

/* The address that the provider used, for the SOCKS reply; unspecified when it gave none. */
static void bound_address(const struct ww_dest *local, struct sockaddr_storage *address)
{
    memset(address, 0, sizeof(*address));
    if (local->kind == WW_DEST_IPV6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(local->port);
        memcpy(&six->sin6_addr, local->address, sizeof(six->sin6_addr));
        return;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    four->sin_family = AF_INET;
    four->sin_port = htons(local->port);
    memcpy(&four->sin_addr, local->address, sizeof(four->sin_addr));
}

void client_stream_accepted(void *arg, uint64_t stream_id, const struct ww_dest *local)
{
    struct client_stream *stream = client_stream_find(arg, stream_id);
    struct sockaddr_storage bound;

    if (client_tunnel_accepted(arg, stream_id) || !stream || stream->accepted)
        return;
    stream->accepted = true;
    if (stream->association)
        return;
    bound_address(local, &bound);
    if (ww_proxy_accept(stream->connection, (struct sockaddr *)&bound)) {
        struct ww_proxy_connection *connection = stream->connection;
        ww_transfer_stream_reset(stream->pipe.transfer, stream_id, WW_ERESET);
        stream_free(stream);
        ww_proxy_reset(connection);
    }
}

void client_stream_data(void *arg, uint64_t stream_id, const uint8_t *data, size_t size, bool fin)
{
    struct client_stream *stream = client_stream_find(arg, stream_id);
    if (!stream)
        client_dns_data(arg, stream_id, data, size, fin);
    if (!stream || stream->association)
        return;
    pipe_deliver(&stream->pipe, data, size, fin);
    if (!stream->pipe.end && !stream->pipe.transfer)
        stream_free(stream); /* the write failed: both sides have let go */
}

void client_stream_writable(void *arg, uint64_t stream_id)
{
    struct client_stream *stream = client_stream_find(arg, stream_id);

    if (client_tunnel_writable(arg, stream_id))
        return;
    if (!stream)
        client_dns_writable(arg, stream_id);
    if (stream && stream->accepted && !stream->association)
        pipe_pump(&stream->pipe, ww_loop_now_us(stream->client->edge.loop));
}

void client_stream_reset(void *arg, uint64_t stream_id, int code)
{
    struct client_stream *stream = client_stream_find(arg, stream_id);

    if (client_tunnel_reset(arg, stream_id, code))
        return;
    if (!stream) {
        client_dns_reset(arg, stream_id, code);
        return;
    }
    if (stream->association) {
        client_flow_free(stream);
        return;
    }
    if (!stream->accepted) {
        refuse(stream, code ? code : WW_ERESET);
        return;
    }
    pipe_stream_closed(&stream->pipe);
    stream_free(stream);
}

/* What the user has blocked meanwhile, or other policies. */
void client_judged(struct edge *edge)
{
    struct client *client = (struct client *)edge; /* its first member */
    struct client_stream *stream, *next;

    if (client->dns)
        client_dns_judge_again(client->dns);
    for (stream = LIST_FIRST(&client->streams); stream; stream = next) {
        next = LIST_NEXT(stream, link);
        struct ww_proxy_connection *connection = stream->connection;
        if (!stream->pipe.flow || !stream->pipe.flow->is_denied) {
            if (stream->verdict && !stream->association)
                pipe_pace_add(&client->pace, &stream->pipe, &stream->verdict->bucket);
            continue;
        }
        if (connection && !stream->accepted && !stream->conn) {
            refuse(stream, WW_EDENIED);
            continue;
        }
        if (stream->conn) {
            struct conn *conn = stream->conn;
            ww_transfer_stream_reset(conn->transfer, stream->pipe.stream_id, 0);
            conn_touch(conn);
        }
        if (stream->association) {
            client_flow_free(stream);
            continue;
        }
        stream_free(stream);
        if (connection)
            ww_proxy_reset(connection);
    }
}

void client_detach(struct conn *conn)
{
    struct client_stream *table = conn->streams, *stream, *next;

    client_declare_stop(conn);
    client_dns_detach(conn);
    client_tunnel_detach(conn);
    /* Transfer has told the end of its streams; what is left had ended on both sides. */
    HASH_ITER(hh, table, stream, next)
    {
        HASH_DEL(table, stream);
        stream->conn = NULL;
        stream->pipe.transfer = NULL;
        if (stream->association)
            client_flow_free(stream);
    }
    conn->streams = NULL;
}
