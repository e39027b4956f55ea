/* Starting, stopping and showing what a client and a provider have in common. */
#include "edge.h"

#include <stdio.h>
#include <string.h>

#include "node.h"

static int load_key(struct edge *edge, struct ww_call *call)
{
    const char *path = NULL;
    char why[256] = "";
    int rc = ww_call_text(call, "key", &path, NULL);

    if (!rc)
        rc = ww_key_load(path, &edge->key, why, sizeof(why));
    if (rc && why[0])
        ww_call_reason(call, "%s", why);
    if (!rc)
        ww_key_node_id(edge->key, &edge->node_id);
    return rc;
}

static void addresses_changed(void *arg)
{
    struct edge_note note = {.edge = arg, .event = EDGE_NETWORK};
    edge_tell(&note);
}

void edge_inner_addresses(uint8_t inner[2][16])
{
    bool is_v4;

    ww_address_parse(WW_TUNNEL_V6, strlen(WW_TUNNEL_V6), inner[false], &is_v4);
    ww_address_parse(WW_TUNNEL_V4, strlen(WW_TUNNEL_V4), inner[true], &is_v4);
}

int edge_exit_pool(struct ww_call *call, struct ww_prefix pool[2])
{
    const char *v4 = WW_EXIT_POOL_V4, *v6 = WW_EXIT_POOL_V6;

    ww_call_text(call, "egress_pool_v4", &v4, NULL);
    ww_call_text(call, "egress_pool_v6", &v6, NULL);
    if (ww_prefix_parse(v4, &pool[1]) != 0 || pool[1].bits != 96 + 16) {
        ww_call_reason(call, "egress.pool_v4 is an IPv4 network of 16 bits");
        return WW_EINVAL;
    }
    if (ww_prefix_parse(v6, &pool[0]) != 0 || pool[0].bits != 64) {
        ww_call_reason(call, "egress.pool_v6 is an IPv6 network of 64 bits");
        return WW_EINVAL;
    }
    return 0;
}

/* A tunnel of a client on this host, and the exit of a provider that has one. */
static int hide_own(const struct edge *edge, struct ww_call *call, struct ww_net_config *config)
{
    static const char *const tunnel[] = {WW_TUNNEL_V4, WW_TUNNEL_V6, WW_TUNNEL_PEER_V4,
                                         WW_TUNNEL_PEER_V6};
    const char *mode = "none";

    for (size_t index = 0; index < WW_ARRAY_COUNT(tunnel); index++)
        WW_REQUIRE(ww_prefix_parse(tunnel[index], &config->hidden[config->hidden_count++]) == 0);
    ww_call_text(call, "egress_mode", &mode, NULL);
    if (edge->role != WW_TRANSFER_PROVIDER || strcmp(mode, "none") == 0)
        return 0;
    config->hidden_count += 2;
    return edge_exit_pool(call, &config->hidden[config->hidden_count - 2]);
}

static int start_net(struct edge *edge, struct ww_call *call)
{
    struct ww_net_config config = {.key = edge->key, .allow_bypass = true, .allow_fast = true};
    uint64_t port_min = 0, port_max = 0, workers = 0;

    ww_call_text(call, "stun", &config.stun_server, NULL);
    ww_call_bool(call, "loopback", &config.loopback_only);
    config.allow_jumbo = config.loopback_only;
    ww_call_bool(call, "bypass", &config.allow_bypass);
    ww_call_bool(call, "fast_lane", &config.allow_fast);
    ww_call_u64(call, "workers", &workers);
    ww_call_u64(call, "port_min", &port_min);
    ww_call_u64(call, "port_max", &port_max);
    if (port_min > port_max || port_max > 65535 || workers > WW_WORKERS_MAX)
        return WW_ECONFIG;
    int rc = hide_own(edge, call, &config);
    if (!rc)
        rc = ww_workers_create(edge->loop, (unsigned)workers, &edge->workers);
    if (rc)
        return rc;
    config.workers = edge->workers;
    config.addresses_changed = addresses_changed;
    config.arg = edge;
    config.port_min = (uint16_t)port_min;
    config.port_max = (uint16_t)port_max;
    return ww_net_create(edge->loop, &config, &edge->net);
}

int edge_start(struct edge *edge, struct ww_call *call)
{
    const char *state = NULL;

    if (edge->started)
        return WW_EEXIST;
    ww_random_bytes(edge->epoch, sizeof(edge->epoch));
    int rc = load_key(edge, call);
    if (!rc)
        rc = ww_call_text(call, "state", &state, NULL);
    if (!rc)
        rc = node_policies_start(&edge->policies, call,
                                 edge->role == WW_TRANSFER_PROVIDER ? NODE_JOURNAL_NO_DESTINATIONS
                                                                    : NODE_JOURNAL_ALL);
    if (!rc && (rc = edge_state_open(edge, state)))
        ww_call_reason(call, "the state in %s can't be opened", state);
    if (!rc)
        rc = edge_memory_open(edge);
    if (!rc)
        rc = flows_start(edge, call);
    if (!rc)
        rc = ww_pool_create(edge->loop, WW_NODE_POOL_THREADS, WW_NODE_POOL_JOBS_MAX, &edge->pool);
    if (!rc)
        rc = start_net(edge, call);
    if (!rc)
        rc = ww_timer_create(edge->loop, edge_open_save, edge, &edge->save_timer);
    if (rc) {
        edge_stop(edge);
        return rc;
    }
    edge->started = true;
    rc = edge_state_repeat(edge);
    if (!rc)
        rc = edge_open_close_all(edge);
    if (rc) {
        ww_call_reason(call, "contracts of the last run can't be closed");
        edge_stop(edge);
        return rc;
    }
    edge_open_save(edge);
    return 0;
}

void edge_stop(struct edge *edge)
{
    struct conn *conn, *next;

    HASH_ITER(hh, edge->conns, conn, next)
    edge_drop(edge, conn);
    ww_timer_destroy(edge->save_timer);
    edge->save_timer = NULL;
    ww_net_destroy(edge->net);
    edge->net = NULL;
    ww_workers_destroy(edge->workers);
    edge->workers = NULL;
    ww_pool_destroy(edge->pool); /* waits for its jobs, which use the key */
    edge->pool = NULL;
    node_policies_unstore(&edge->policies);
    flows_stop(edge);
    edge_state_close(edge);
    edge_forget_notes(edge);
    node_policies_stop(&edge->policies);
    verdicts_clear(&edge->verdicts);
    ww_key_destroy(edge->key);
    edge->key = NULL;
    edge->started = false;
}

struct conn *edge_find(struct edge *edge, const struct ww_hash *remote)
{
    struct conn *conn = NULL;
    HASH_FIND(hh, edge->conns, remote, sizeof(*remote), conn);
    return conn;
}

int edge_connect(struct edge *edge, const struct ww_hash *remote,
                 const struct conn_callbacks *callbacks, struct conn **out)
{
    struct conn_config config = {.net = edge->net,
                                 .loop = edge->loop,
                                 .role = edge->role,
                                 .remote = *remote,
                                 .epoch = edge->epoch,
                                 .callbacks = callbacks,
                                 .owner = edge};
    struct conn *conn = NULL;
    int rc = conn_create(&config, &conn);
    if (rc)
        return rc;
    conn->serial = ++edge->conn_serial;
    HASH_ADD(hh, edge->conns, remote, sizeof(conn->remote), conn);
    if (!conn->hh.tbl) {
        conn_destroy(conn);
        return WW_ENOMEM;
    }
    *out = conn;
    return 0;
}

void edge_drop(struct edge *edge, struct conn *conn)
{
    HASH_DEL(edge->conns, conn);
    conn_destroy(conn);
}

int edge_disconnect(struct edge *edge, struct ww_call *call)
{
    struct ww_hash peer;
    int rc = ww_call_hash(call, "peer", &peer);

    if (rc)
        return rc;
    struct conn *conn = edge_find(edge, &peer);
    if (!conn)
        return WW_ENOTFOUND;
    conn_lose(conn, WW_ECLOSED);
    return 0;
}

int edge_signal(struct edge *edge, struct ww_call *call)
{
    struct ww_hash peer;
    const char *text = NULL;

    int rc = ww_call_hash(call, "peer", &peer);
    if (!rc)
        rc = ww_call_text(call, "text", &text, NULL);
    if (rc)
        return rc;
    struct conn *conn = edge_find(edge, &peer);
    return conn ? ww_peer_signal(conn->peer, text) : WW_ENOTFOUND;
}

int edge_signals_again(struct edge *edge, struct ww_call *call)
{
    (void)call;
    if (!edge->started)
        return WW_ESTATE;
    ww_net_signals_again(edge->net);
    return 0;
}

/* What the arbiter said of a contract that has ended here. */
int edge_outcome(struct edge *edge, struct ww_call *call)
{
    struct ww_id id;
    const char *state = NULL, *json = NULL;
    size_t known = WW_MIN(edge->history_count, (size_t)WW_NODE_HISTORY_MAX);

    int rc = ww_call_id(call, "contract", &id);
    if (!rc)
        rc = ww_call_text(call, "state", &state, NULL);
    if (rc)
        return rc;
    ww_call_text(call, "json", &json, NULL);
    for (size_t index = 0; index < known; index++) {
        struct edge_history *entry = &edge->history[index];
        if (!ww_id_equal(&entry->id, &id))
            continue;
        snprintf(entry->state, sizeof(entry->state), "%s", state);
        if (json && strlen(json) < sizeof(entry->outcome))
            snprintf(entry->outcome, sizeof(entry->outcome), "%s", json);
        return 0;
    }
    return WW_ENOTFOUND;
}

/* --- status ----------------------------------------------------------------------------------- */

static const char *contract_state(enum ww_transfer_contract_state state)
{
    switch (state) {
    case WW_TC_OFFERED:
        return "offered";
    case WW_TC_READY:
        return "ready";
    case WW_TC_CURRENT:
        return "current";
    case WW_TC_ENDING:
        return "ending";
    }
    return "unknown";
}

/* What a client may still send or grant; at a provider, what the client has not granted. */
static uint64_t unpromised(const struct ww_transfer_contract_info *contract)
{
    uint64_t promised = contract->sent_bytes + contract->allowance_bytes;
    return contract->bytes_max > promised ? contract->bytes_max - promised : 0;
}

uint64_t edge_unpromised(const struct conn *conn)
{
    struct ww_transfer_contract_info contracts[4];
    size_t count = ww_transfer_contracts(conn->transfer, contracts, WW_ARRAY_COUNT(contracts));
    uint64_t bytes = 0;

    for (size_t index = 0; index < count; index++)
        bytes += contracts[index].state == WW_TC_ENDING ? 0 : unpromised(&contracts[index]);
    return bytes;
}

/* The last receipt of the other side: it goes to the arbiter with each sign of life. */
static void put_receipt(struct ww_call *call, const struct ww_transfer_counts *counts)
{
    char text[2 * WW_RECEIPT_BYTES_MAX];

    if (counts->receipt_size > 0 &&
        ww_base64_format(counts->receipt, counts->receipt_size, text, sizeof(text)) == 0)
        ww_call_put_text(call, "receipt", text);
}

static void put_conn(struct ww_call *call, struct conn *conn)
{
    struct ww_transfer_contract_info contracts[4];
    struct ww_transfer_stats stats;
    struct ww_path path;
    size_t count = ww_transfer_contracts(conn->transfer, contracts, WW_ARRAY_COUNT(contracts));

    ww_transfer_stats(conn->transfer, &stats);
    ww_peer_path(conn->peer, &path);
    ww_call_begin(call, NULL, false);
    ww_call_put_hash(call, "peer", &conn->remote);
    ww_call_put_bool(call, "ready", conn->is_ready);
    ww_call_begin(call, "path", false);
    ww_call_put_text(call, "kind", ww_path_kind_name(path.kind));
    ww_call_put_text(call, "local", path.local);
    ww_call_put_text(call, "remote", path.remote);
    ww_call_put_text(call, "data", path.direct ? "direct" : "libnice");
    ww_call_put_text(call, "lane", path.fast ? "records" : "channels");
    ww_call_put_u64(call, "worker", path.worker);
    ww_call_put_u64(call, "rtt_us", path.rtt_us);
    ww_call_put_u64(call, "mtu", path.mtu);
    ww_call_put_u64(call, "record", path.record);
    ww_call_put_u64(call, "changes", path.changes);
    ww_call_put_bool(call, "changing", path.changing);
    ww_call_put_u64(call, "lost_ms", path.lost_ms);
    ww_call_put_text(call, "state",
                     path.lost_ms   ? "lost"
                     : path.silent  ? "silent"
                     : path.doubted ? "doubted"
                                    : "good");
    ww_call_put_u64(call, "heard_ms", path.heard_ms);
    ww_call_put_u64(call, "packets_sent", path.packets_sent);
    ww_call_put_u64(call, "packets_lost", path.packets_lost);
    ww_call_put_u64(call, "packets_marked", path.packets_marked);
    ww_call_put_text(call, "marks", path.marks);
    ww_call_put_u64(call, "marked_received", path.marked_received);
    ww_call_put_u64(call, "marked_sent", path.marked_sent);
    ww_call_put_u64(call, "marked_dropped", conn->packets.unmarkable);
    ww_call_end(call);
    ww_call_put_u64(call, "streams", stats.streams);
    ww_call_put_u64(call, "bytes_sent", stats.bytes_sent);
    ww_call_put_u64(call, "bytes_received", stats.bytes_received);
    ww_call_put_u64(call, "bandwidth_delay_bytes", stats.bandwidth_delay_bytes);
    ww_call_put_u64(call, "unreceipted_bytes", stats.unreceipted_bytes);
    ww_call_put_u64(call, "window_bytes", stats.window_bytes);
    ww_call_put_u64(call, "datagrams_lost", stats.datagrams_lost);
    ww_call_put_u64(call, "datagrams_dropped", stats.datagrams_dropped);
    ww_call_put_u64(call, "beyond_allowance", stats.beyond_allowance);
    ww_call_begin(call, "contracts", true);
    for (size_t index = 0; index < count; index++) {
        ww_call_begin(call, NULL, false);
        ww_call_put_id(call, "contract", &contracts[index].id);
        ww_call_put_text(call, "state", contract_state(contracts[index].state));
        ww_call_put_u64(call, "bytes", contracts[index].bytes_max);
        ww_call_put_u64(call, "bytes_unpromised", unpromised(&contracts[index]));
        put_receipt(call, &contracts[index].counts);
        ww_call_put_u64(call, "bytes_up", contracts[index].counts.bytes_up);
        ww_call_put_u64(call, "bytes_down", contracts[index].counts.bytes_down);
        ww_call_end(call);
    }
    ww_call_end(call);
    ww_call_end(call);
}

static const char *reason_text(enum ww_close_reason reason)
{
    switch (reason) {
    case WW_CLOSE_DONE:
        return "done";
    case WW_CLOSE_EXPIRED:
        return "expired";
    case WW_CLOSE_LOST:
        return "lost";
    case WW_CLOSE_NEVER_OPENED:
        return "never opened";
    case WW_CLOSE_LOSSY:
        return "lossy";
    case WW_CLOSE_DENIED:
        return "denied";
    }
    return "unknown";
}

static void put_history(struct edge *edge, struct ww_call *call)
{
    size_t known = WW_MIN(edge->history_count, (size_t)WW_NODE_HISTORY_MAX);

    ww_call_begin(call, "history", true);
    for (size_t index = edge->history_count - known; index < edge->history_count; index++) {
        const struct edge_history *entry = &edge->history[index % WW_NODE_HISTORY_MAX];
        ww_call_begin(call, NULL, false);
        ww_call_put_id(call, "contract", &entry->id);
        ww_call_put_hash(call, "peer", &entry->peer);
        ww_call_put_u64(call, "bytes_up", entry->bytes_up);
        ww_call_put_u64(call, "bytes_down", entry->bytes_down);
        ww_call_put_u64(call, "ended_s", entry->ended_s);
        ww_call_put_u64(call, "proven_up", entry->proven_up);
        ww_call_put_u64(call, "proven_down", entry->proven_down);
        ww_call_put_bool(call, "clean", entry->clean);
        ww_call_put_text(call, "reason", reason_text(entry->reason));
        ww_call_put_text(call, "state", entry->state);
        if (entry->outcome[0])
            ww_call_put_text(call, "outcome", entry->outcome);
        ww_call_end(call);
    }
    ww_call_end(call);
}

void edge_put_queues(const struct ww_tun *tun, struct ww_call *call)
{
    struct ww_tun_queue_stats queues[WW_WORKERS_MAX];
    unsigned count = tun ? ww_tun_queues(tun, queues) : 0;

    if (count == 0)
        return;
    ww_call_begin(call, "queues", true);
    for (unsigned i = 0; i < count; i++) {
        ww_call_begin(call, NULL, false);
        ww_call_put_u64(call, "worker", queues[i].worker);
        ww_call_put_u64(call, "packets_read", queues[i].packets_read);
        ww_call_put_u64(call, "packets_written", queues[i].packets_written);
        ww_call_end(call);
    }
    ww_call_end(call);
}

void edge_put_status(struct edge *edge, struct ww_call *call)
{
    struct conn *conn, *next;

    ww_call_put_hash(call, "node", &edge->node_id);
    ww_call_put_u64(call, "workers", ww_workers_count(edge->workers));
    ww_call_put_u64(call, "contracts_ended", edge->contracts_ended);
    ww_call_put_u64(call, "bytes_up", edge->bytes_up);
    ww_call_put_u64(call, "bytes_down", edge->bytes_down);
    ww_call_put_u64(call, "commits_pending", ww_committer_pending(edge->committer));
    ww_call_begin(call, "connections", true);
    HASH_ITER(hh, edge->conns, conn, next)
    put_conn(call, conn);
    ww_call_end(call);
    put_history(edge, call);
    node_policies_put(&edge->policies, call);
    flows_put(edge, call);
    ww_call_put_u64(call, "flows_denied", edge->verdicts.denied + edge->verdicts.limited);
}
