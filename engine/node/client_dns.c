/* The client's own streams for names: each exchange of the forwarder is one, a flow or a stream,
 * and ends with it. Relies on transfer's callbacks for streams that client.c does not know. */
#include "client_dns.h"

#include <stdio.h>
#include <string.h>

#define DEMAND_US 1000000

struct stream_key {
    uint64_t conn_serial, stream_id;
};

struct client_dns_exchange {
    UT_hash_handle hh;        /* by_id */
    UT_hash_handle hh_stream; /* by_stream */
    uint64_t id;
    struct stream_key key;
    struct conn *conn; /* NULL: the stream has gone */
    struct verdict *verdict;
    bool is_stream;
    size_t out_size, out_sent;
    uint8_t out[2 + WW_DNS_QUERY_BYTES]; /* a stream's, with its length */
    struct ww_buf in;
};

struct client_dns_verdict {
    UT_hash_handle hh;
    TAILQ_ENTRY(client_dns_verdict) link;
    uint64_t until_us;
    enum ww_dns_verdict verdict;
    char name[];
};

/* --- the policy ------------------------------------------------------------------------------- */

static void forget_verdicts(struct client_dns *dns)
{
    struct client_dns_verdict *verdict;

    while ((verdict = TAILQ_FIRST(&dns->order))) {
        HASH_DEL(dns->verdicts, verdict);
        TAILQ_REMOVE(&dns->order, verdict, link);
        ww_free(verdict);
    }
}

void client_dns_judge_all(struct client_dns *dns)
{
    forget_verdicts(dns);
    ww_dns_flush(dns->dns);
    if (dns->excluder)
        ww_host_exclude_nothing(dns->excluder);
}

void client_dns_judge_again(struct client_dns *dns)
{
    struct ww_policy_generation now;

    ww_policy_live_current(dns->client->edge.policies.live, &now);
    if (ww_hash_equal(&now.hash, &dns->generation))
        return;
    dns->generation = now.hash;
    client_dns_judge_all(dns);
}

static void remember(struct client_dns *dns, const char *name, enum ww_dns_verdict given,
                     uint64_t seconds)
{
    struct client_dns_verdict *verdict;

    if (HASH_COUNT(dns->verdicts) >= WW_NODE_VERDICTS_MAX) {
        verdict = TAILQ_FIRST(&dns->order);
        HASH_DEL(dns->verdicts, verdict);
        TAILQ_REMOVE(&dns->order, verdict, link);
        ww_free(verdict);
    }
    verdict = ww_alloc(1, sizeof(*verdict) + strlen(name) + 1);
    if (!verdict)
        return;
    memcpy(verdict->name, name, strlen(name) + 1);
    verdict->verdict = given;
    verdict->until_us = ww_loop_now_us(dns->client->edge.loop) + seconds * 1000000;
    HASH_ADD_KEYPTR(hh, dns->verdicts, verdict->name, strlen(verdict->name), verdict);
    if (!verdict->hh.tbl) {
        ww_free(verdict);
        return;
    }
    TAILQ_INSERT_TAIL(&dns->order, verdict, link);
}

/* What may not be excluded is looked up, and reached through the tunnel. */
static enum ww_dns_verdict permitted(const struct client_dns *dns, enum ww_dns_verdict verdict)
{
    return verdict == WW_DNS_EXCLUDE && !dns->excluder ? WW_DNS_ALLOW : verdict;
}

static enum ww_dns_verdict judge(void *arg, const char *name, const char *listed)
{
    static const enum ww_dns_verdict words[] = {[WW_HOOK_BLOCK] = WW_DNS_BLOCK,
                                                [WW_HOOK_ZERO] = WW_DNS_ZERO,
                                                [WW_HOOK_LOOK_UP] = WW_DNS_ALLOW,
                                                [WW_HOOK_EXCLUDE] = WW_DNS_EXCLUDE};
    struct ww_policy_context context = {.now_s = ww_clock_wall_ms() / 1000};
    struct ww_hook_dns_request request = {.name = ""};
    struct ww_hook_dns_decision decision;
    struct client_dns_verdict *verdict = NULL;
    struct client_dns *dns = arg;

    client_dns_judge_again(dns);
    HASH_FIND_STR(dns->verdicts, name, verdict);
    if (verdict && verdict->until_us > ww_loop_now_us(dns->client->edge.loop))
        return permitted(dns, verdict->verdict);
    if (verdict) {
        HASH_DEL(dns->verdicts, verdict);
        TAILQ_REMOVE(&dns->order, verdict, link);
        ww_free(verdict);
    }
    snprintf(request.name, sizeof(request.name), "%s", name);
    snprintf(request.listed, sizeof(request.listed), "%s", listed);
    ww_random_bytes(&context.seed, sizeof(context.seed));
    node_decide(&dns->client->edge.policies, WW_HOOK_DNS_QUERY, &request, &context, &decision,
                NULL);
    remember(dns, name, words[decision.decision], decision.seconds);
    return permitted(dns, words[decision.decision]);
}

/* --- exchanges -------------------------------------------------------------------------------- */

static struct client_dns_exchange *find(const struct conn *conn, uint64_t stream_id)
{
    const struct client *client = conn->owner;
    struct stream_key key = {conn->serial, stream_id};
    struct client_dns_exchange *exchange = NULL;

    if (client->dns)
        HASH_FIND(hh_stream, client->dns->by_stream, &key, sizeof(key), exchange);
    return exchange;
}

static void exchange_free(struct client_dns *dns, struct client_dns_exchange *exchange)
{
    if (exchange->hh.tbl)
        HASH_DEL(dns->by_id, exchange);
    if (exchange->hh_stream.tbl)
        HASH_DELETE(hh_stream, dns->by_stream, exchange);
    verdict_end(&exchange->verdict);
    ww_buf_deinit(&exchange->in);
    ww_free(exchange);
}

/* What a stream has not taken yet. */
static int push(struct client_dns_exchange *exchange)
{
    struct conn *conn = exchange->conn;
    size_t written = 0;
    int rc = 0;

    if (exchange->out_sent < exchange->out_size)
        rc = ww_transfer_stream_write(
            conn->transfer, exchange->key.stream_id, exchange->out + exchange->out_sent,
            exchange->out_size - exchange->out_sent, false, ww_loop_now_us(conn->loop), &written);
    exchange->out_sent += written;
    return rc;
}

static int open_stream(struct client_dns_exchange *exchange, struct conn *conn,
                       const struct ww_dest *dest, const uint8_t *query, size_t size)
{
    int rc = ww_transfer_stream_open(conn->transfer, dest, &exchange->key.stream_id);

    if (rc)
        return rc;
    exchange->conn = conn;
    exchange->key.conn_serial = conn->serial;
    rc = client_declare(conn, dest);
    if (!rc && exchange->is_stream) {
        exchange->out[0] = (uint8_t)(size >> 8);
        exchange->out[1] = (uint8_t)size;
        memcpy(exchange->out + 2, query, size);
        exchange->out_size = size + 2;
        rc = push(exchange);
    } else if (!rc) {
        rc = ww_transfer_datagram_send(conn->transfer, exchange->key.stream_id, query, size,
                                       ww_loop_now_us(conn->loop));
        if (rc == WW_EAGAIN)
            rc = WW_ENOCONTRACT; /* no room or budget now: soon */
    }
    return rc;
}

/* Into both tables, or into none. */
static int exchange_add(struct client_dns *dns, struct client_dns_exchange *exchange)
{
    HASH_ADD(hh, dns->by_id, id, sizeof(exchange->id), exchange);
    if (!exchange->hh.tbl)
        return WW_ENOMEM;
    HASH_ADD(hh_stream, dns->by_stream, key, sizeof(exchange->key), exchange);
    return exchange->hh_stream.tbl ? 0 : WW_ENOMEM;
}

static void demand(struct client_dns *dns)
{
    struct edge_note note = {.edge = &dns->client->edge, .event = EDGE_DEMAND};
    uint64_t now_us = ww_loop_now_us(dns->client->edge.loop);

    if (dns->demanded_us && now_us - dns->demanded_us < DEMAND_US)
        return;
    dns->demanded_us = now_us;
    edge_tell(&note);
}

static int send_query(void *arg, uint64_t id, const struct ww_target *upstream, bool is_stream,
                      const uint8_t *query, size_t size)
{
    enum ww_dest_protocol protocol = is_stream ? WW_DEST_TCP : WW_DEST_UDP;
    struct client_dns *dns = arg;
    struct conn *conn = dns->client->active;
    struct client_dns_exchange *exchange;
    struct ww_dest dest;

    if (dns->client->stopping)
        return WW_ESHUTDOWN;
    if (!conn || !conn->is_ready) {
        demand(dns);
        return WW_ENOCONTRACT;
    }
    int rc = client_judge(dns->client, upstream, (int)protocol);
    if (rc)
        return rc;
    exchange = ww_alloc(1, sizeof(*exchange));
    if (!exchange)
        return WW_ENOMEM;
    exchange->id = id;
    exchange->is_stream = is_stream;
    ww_buf_init(&exchange->in, 2 + UINT16_MAX);
    client_dest(upstream, protocol, &dest);
    rc = verdict_ask(&dns->client->edge, &dest, &exchange->verdict);
    if (!rc)
        rc = open_stream(exchange, conn, &dest, query, size);
    if (!rc)
        rc = exchange_add(dns, exchange);
    if (rc) {
        if (exchange->conn)
            ww_transfer_stream_reset(conn->transfer, exchange->key.stream_id, 0);
        exchange_free(dns, exchange);
    }
    ww_timer_start(dns->touch, 0);
    return rc;
}

static void end_exchange(void *arg, uint64_t id)
{
    struct client_dns *dns = arg;
    struct client_dns_exchange *exchange = NULL;

    HASH_FIND(hh, dns->by_id, &id, sizeof(id), exchange);
    if (!exchange)
        return;
    if (exchange->conn && !dns->stopping) {
        ww_transfer_stream_reset(exchange->conn->transfer, exchange->key.stream_id, 0);
        ww_timer_start(dns->touch, 0);
    }
    exchange_free(dns, exchange);
}

/* Transfer's timers are asked for outside of its callbacks only. */
static void touch(void *arg)
{
    struct client_dns *dns = arg;
    struct conn *conn, *next;

    HASH_ITER(hh, dns->client->edge.conns, conn, next)
    {
        conn_touch(conn);
    }
}

/* --- transfer's callbacks --------------------------------------------------------------------- */

void client_dns_datagram(struct conn *conn, uint64_t stream_id, const uint8_t *data, size_t size)
{
    const struct client *client = conn->owner;
    struct client_dns_exchange *exchange = find(conn, stream_id);

    if (exchange && !exchange->is_stream)
        ww_dns_answer(client->dns->dns, exchange->id, data, size);
}

void client_dns_data(struct conn *conn, uint64_t stream_id, const uint8_t *data, size_t size,
                     bool fin)
{
    const struct client *client = conn->owner;
    struct client_dns_exchange *exchange = find(conn, stream_id);

    if (!exchange || !exchange->is_stream)
        return;
    ww_transfer_stream_consumed(conn->transfer, stream_id, size);
    ww_buf_put(&exchange->in, data, size);
    struct ww_buf in = exchange->in; /* ours: an answer ends its exchange before it is used up */
    uint64_t id = exchange->id;
    size_t wanted = in.size >= 2 ? 2 + ((size_t)in.data[0] << 8 | in.data[1]) : SIZE_MAX;
    bool is_whole = in.size >= wanted;
    if (!is_whole && !fin && !in.error)
        return;
    ww_buf_init(&exchange->in, in.limit);
    if (is_whole)
        ww_dns_answer(client->dns->dns, id, in.data + 2, wanted - 2);
    else
        ww_dns_failed(client->dns->dns, id, in.error ? in.error : WW_ECLOSED);
    ww_buf_deinit(&in);
}

void client_dns_writable(struct conn *conn, uint64_t stream_id)
{
    const struct client *client = conn->owner;
    struct client_dns_exchange *exchange = find(conn, stream_id);
    int rc = exchange && exchange->is_stream ? push(exchange) : 0;

    if (rc)
        ww_dns_failed(client->dns->dns, exchange->id, rc);
}

void client_dns_reset(struct conn *conn, uint64_t stream_id, int code)
{
    const struct client *client = conn->owner;
    struct client_dns_exchange *exchange = find(conn, stream_id);

    if (!exchange)
        return;
    exchange->conn = NULL;
    ww_dns_failed(client->dns->dns, exchange->id, code ? code : WW_ERESET);
}

void client_dns_detach(struct conn *conn)
{
    const struct client *client = conn->owner;
    struct client_dns_exchange *exchange, *next;

    if (!client->dns)
        return;
    /* Transfer has told the end of its streams, but of those that had ended on both sides. */
    HASH_ITER(hh, client->dns->by_id, exchange, next)
    {
        if (exchange->conn == conn)
            exchange->conn = NULL;
    }
}

/* --- as a whole ------------------------------------------------------------------------------- */

static const struct ww_dns_callbacks CALLBACKS = {judge, send_query, end_exchange,
                                                  client_dns_exclude};

static const char *name_of(const struct edge *edge, const uint8_t address[16])
{
    const struct client *client = (const struct client *)edge; /* its first member */

    return client->dns ? ww_dns_name_of(client->dns->dns, address) : NULL;
}

int client_dns_create(struct client *client, enum ww_dns_denial denial, struct client_dns **out)
{
    struct client_dns *dns = ww_alloc(1, sizeof(*dns));
    struct ww_dns_config config = {&CALLBACKS, dns, client->rules, denial};

    if (!dns)
        return WW_ENOMEM;
    dns->client = client;
    TAILQ_INIT(&dns->order);
    int rc = ww_timer_create(client->edge.loop, touch, dns, &dns->touch);
    if (!rc)
        rc = ww_dns_create(client->edge.loop, &config, &dns->dns);
    if (rc) {
        client_dns_destroy(dns);
        return rc;
    }
    *out = dns;
    client->edge.name_of = name_of;
    return 0;
}

void client_dns_destroy(struct client_dns *dns)
{
    if (!dns)
        return;
    dns->stopping = true;
    client_dns_forget_queries(dns);
    client_dns_lists_drop(dns);
    client_dns_inner_close(dns->client);
    for (size_t index = 0; index < dns->listener_count; index++)
        ww_dns_listener_destroy(dns->listeners[index]);
    client_dns_exclude_close(dns);
    ww_dns_destroy(dns->dns);
    forget_verdicts(dns);
    ww_timer_destroy(dns->touch);
    ww_free(dns);
}
