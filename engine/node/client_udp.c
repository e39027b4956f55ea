/* The client's UDP side: each destination of an association is a flow. */
#include <stdio.h>
#include <string.h>

#include "client_dns.h"

void client_flow_free(struct client_stream *flow)
{
    struct client_stream *table;

    HASH_DELETE(by_target, flow->association->flows, flow);
    if (flow->conn) {
        table = flow->conn->streams;
        HASH_DEL(table, flow);
        flow->conn->streams = table;
    }
    verdict_end(&flow->verdict);
    flow_stream_close(&flow->client->edge, &flow->pipe.flow);
    LIST_REMOVE(flow, link);
    ww_free(flow);
}

static int flow_add(struct client_stream *flow)
{
    struct conn *conn = flow->conn;
    struct client_association *association = flow->association;
    struct client_stream *table = conn->streams;

    HASH_ADD_KEYPTR(by_target, association->flows, flow->target_text, strlen(flow->target_text),
                    flow);
    if (!flow->by_target.tbl)
        return WW_ENOMEM;
    HASH_ADD(hh, table, pipe.stream_id, sizeof(flow->pipe.stream_id), flow);
    if (!flow->hh.tbl) {
        HASH_DELETE(by_target, association->flows, flow);
        return WW_ENOMEM;
    }
    conn->streams = table;
    return 0;
}

static struct client_stream *flow_open(struct client_association *association,
                                       const struct ww_target *target, const char *text)
{
    struct client *client = association->client;
    struct ww_dest dest;

    if (HASH_CNT(by_target, association->flows) >= WW_NODE_FLOWS_MAX ||
        client_judge(client, target, WW_DEST_UDP))
        return NULL;
    struct client_stream *flow = ww_alloc(1, sizeof(*flow));
    if (!flow)
        return NULL;
    client_dest(target, WW_DEST_UDP, &dest);
    if (verdict_ask(&client->edge, &dest, &flow->verdict)) {
        ww_free(flow);
        return NULL;
    }
    flow->client = client;
    flow->association = association;
    flow->target = *target;
    snprintf(flow->target_text, sizeof(flow->target_text), "%s", text);
    int rc = client_open(client, &dest, &flow->conn, &flow->pipe.stream_id);
    if (!rc && (rc = flow_add(flow)))
        ww_transfer_stream_reset(flow->conn->transfer, flow->pipe.stream_id, rc);
    if (rc) {
        verdict_end(&flow->verdict);
        ww_free(flow);
        return NULL;
    }
    flow->pipe.flow = flow_stream_open(&client->edge, &dest, flow->verdict);
    flow_set_peer(flow->pipe.flow, &flow->conn->remote);
    LIST_INSERT_HEAD(&client->streams, flow, link);
    client->opened_count++;
    return flow;
}

void client_associated(void *arg, struct ww_proxy_association *proxy)
{
    struct client *client = arg;
    struct client_association *association = ww_alloc(1, sizeof(*association));

    if (!association) {
        ww_proxy_association_close(proxy);
        return;
    }
    association->proxy = proxy;
    association->client = client;
    LIST_INSERT_HEAD(&client->associations, association, link);
    ww_proxy_association_set_context(proxy, association);
    if (!client->active) {
        struct edge_note note = {.edge = &client->edge, .event = EDGE_DEMAND};
        edge_tell(&note);
    }
}

void client_proxy_datagram(void *arg, struct ww_proxy_association *proxy,
                           const struct ww_target *target, const uint8_t *data, size_t size)
{
    struct client_association *association = ww_proxy_association_context(proxy);
    struct client_stream *flow = NULL;
    char text[WW_TARGET_TEXT_BYTES];

    (void)arg;
    if (size > WW_DATAGRAM_BYTES_MAX)
        return; /* UDP may be lost; the application's path MTU discovery finds the limit */
    ww_target_format(target, text);
    HASH_FIND(by_target, association->flows, text, strlen(text), flow);
    if (!flow)
        flow = flow_open(association, target, text);
    if (!flow)
        return;
    struct conn *conn = flow->conn;
    uint64_t now_us = ww_loop_now_us(conn->loop);
    if (!ww_flow_bucket_take(&flow->verdict->bucket, size, now_us))
        return;
    if (!ww_transfer_datagram_send(conn->transfer, flow->pipe.stream_id, data, size, now_us) &&
        flow->pipe.flow)
        ww_flows_count(flow->pipe.flow, true, size, now_us);
    conn_touch(conn);
}

void client_dissociated(void *arg, struct ww_proxy_association *proxy)
{
    struct client_association *association = ww_proxy_association_context(proxy);
    struct client_stream *flow, *next;

    (void)arg;
    if (!association)
        return;
    HASH_ITER(by_target, association->flows, flow, next)
    {
        struct conn *conn = flow->conn;
        ww_transfer_stream_reset(conn->transfer, flow->pipe.stream_id, 0);
        client_flow_free(flow);
        conn_touch(conn);
    }
    LIST_REMOVE(association, link);
    ww_free(association);
}

void client_datagram(void *arg, uint64_t stream_id, const uint8_t *data, size_t size)
{
    struct client_stream *flow = client_stream_find(arg, stream_id);
    if (!flow)
        client_dns_datagram(arg, stream_id, data, size);
    if (!flow || !flow->association ||
        !ww_flow_bucket_take(&flow->verdict->bucket, size, ww_loop_now_us(flow->client->edge.loop)))
        return;
    if (flow->pipe.flow)
        ww_flows_count(flow->pipe.flow, false, size, ww_loop_now_us(flow->client->edge.loop));
    ww_proxy_association_send(flow->association->proxy, &flow->target, data, size);
}
