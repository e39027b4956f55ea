/* ww.client: the client's core for lua/node/client.lua.
 *
 * start{key=, state=, proxy="127.0.0.1:1080", proxy_remote=, stun=, loopback=, bypass=, fast_lane=,
 * policies=, allow_private={…}} -> {proxy}; connect{peer=, contract=}; signal{peer=, text=};
 * offer{peer=, token=}; disconnect{peer=}; avoid{peer=, avoid=}: what begins goes by others, while
 * there are any; never_opened{peer=, contract=}; renew{…} and choose_path{failures=} ask the
 * policies; end_contracts{}; tunnel_open{device=, mtu=, priority=} -> {device, mtu};
 * tunnel_close{}; signals_again, close_done, outcome, status, flows. Events: see edge.h.
 * start{dns_…} and dns_…{}: see client_dns.h.
 */
#include <arpa/inet.h>
#include <string.h>

#include "client.h"
#include "client_dns.h"
#include "node.h"

/* --- contracts on the connection -------------------------------------------------------------- */

static struct edge_note note_of(struct conn *conn, enum edge_event event, const struct ww_id *id)
{
    struct edge_note note = {.edge = conn->owner, .event = event, .peer = conn->remote};
    if (id) {
        note.contract = *id;
        note.has_contract = true;
    }
    return note;
}

static int verify_opened(struct conn *conn, const struct ww_id *id, const uint8_t *provider_epoch,
                         const uint8_t *signature)
{
    const struct edge *edge = conn->owner;
    struct ww_public_key *key;
    struct ww_buf message;
    int rc = conn_peer_key(conn, &key);

    if (rc)
        return rc;
    ww_buf_init(&message, 256);
    ww_wire_opened_message(id, edge->epoch, provider_epoch, &message);
    rc = message.error ? message.error
                       : ww_verify(key, "ww opened 1", message.data, message.size, signature);
    ww_buf_deinit(&message);
    return rc;
}

static void contract_opened(void *arg, const struct ww_id *id, const uint8_t epoch[WW_EPOCH_SIZE],
                            const uint8_t signature[WW_SIGNATURE_BYTES])
{
    struct conn *conn = arg;
    struct edge_note note = note_of(conn, EDGE_OPENED, id);

    if (verify_opened(conn, id, epoch, signature)) {
        ww_transfer_abort(conn->transfer, WW_EAUTH);
        conn_lose(conn, WW_EAUTH);
        return;
    }
    edge_open_opened(conn->owner, id);
    edge_tell(&note);
}

static void contract_refused(void *arg, const struct ww_id *id, int code, const char *reason)
{
    struct conn *conn = arg;
    struct edge *edge = conn->owner;
    struct edge_note note = note_of(conn, EDGE_REFUSED, id);
    struct ww_transfer_counts none = {0};
    char *text = ww_strdup(reason);

    note.code = code;
    note.text = text;
    edge_tell(&note);
    ww_free(text);
    edge_state_end(edge, &conn->remote, id, &none, WW_CLOSE_NEVER_OPENED, true);
}

static void contract_wanted(void *arg, uint64_t bytes_left)
{
    struct edge_note note = note_of(arg, EDGE_WANTED, NULL);
    note.bytes_up = bytes_left;
    edge_tell(&note);
}

static void contract_ended(void *arg, const struct ww_id *id,
                           const struct ww_transfer_counts *counts, bool clean)
{
    struct conn *conn = arg;
    edge_state_end(conn->owner, &conn->remote, id, counts, clean ? WW_CLOSE_DONE : WW_CLOSE_LOST,
                   clean);
}

static void conn_closed(struct conn *conn, int code)
{
    struct client *client = conn->owner;
    struct edge_note note = note_of(conn, EDGE_LOST, NULL);

    note.code = code;
    edge_tell(&note);
    client_detach(conn);
    edge_drop(&client->edge, conn);
    if (client->active == conn) {
        client->active = NULL;
        client_next_conn(client, 0);
    }
    client_retry(client);
}

static void conn_ready(struct conn *conn)
{
    struct client *client = conn->owner;
    client->active = conn;
    client_retry(client);
    edge_conn_ready(conn);
}

/* Where what goes by a path in doubt may go instead: only where somebody answers, for this
 * machine's own line may be what is silent. */
static void ask_others(const struct conn *conn)
{
    const struct client *client = conn->owner;
    const struct conn *other;

    for (other = client->edge.conns; other; other = other->hh.next) {
        if (other != conn && other->is_ready && !other->closing_code)
            ww_peer_ask(other->peer);
    }
}

/* What waits for a connection whose path is lost or silent goes over another one. */
static void conn_path(struct conn *conn, enum ww_path_event event)
{
    edge_conn_path(conn, event);
    if (event == WW_PATH_IS_DOUBTED || event == WW_PATH_IS_SILENT)
        ask_others(conn);
    client_retry(conn->owner);
}

static const struct conn_callbacks CONN_CALLBACKS = {
    .signal = edge_conn_signal,
    .ready = conn_ready,
    .path = conn_path,
    .closed = conn_closed,
    .transfer =
        {
            .stream_accepted = client_stream_accepted,
            .stream_data = client_stream_data,
            .stream_writable = client_stream_writable,
            .stream_reset = client_stream_reset,
            .datagram = client_datagram,
            .packet = client_tunnel_packet,
            .contract_opened = contract_opened,
            .contract_refused = contract_refused,
            .contract_wanted = contract_wanted,
            .contract_ended = contract_ended,
            .receipt_due = edge_receipt_due,
            .receipt_came = edge_receipt_came,
        },
};

/* --- bound functions -------------------------------------------------------------------------- */

static int bound_connect(void *context, struct ww_call *call)
{
    struct client *client = context;
    struct conn *conn = NULL;
    struct ww_hash peer;
    struct ww_id contract;

    int rc = ww_call_hash(call, "peer", &peer);
    if (!rc)
        rc = ww_call_id(call, "contract", &contract);
    if (rc)
        return rc;
    if (edge_find(&client->edge, &peer))
        return WW_EEXIST;
    rc = edge_connect(&client->edge, &peer, &CONN_CALLBACKS, &conn);
    if (rc)
        return rc;
    conn->contract = contract;
    conn->has_contract = true;
    return 0;
}

static int bound_offer(void *context, struct ww_call *call)
{
    struct client *client = context;
    uint8_t token[WW_TOKEN_BYTES_MAX];
    const char *text = NULL;
    size_t text_size = 0, size = 0, signed_size = 0;
    struct ww_token terms;
    struct ww_hash peer;

    int rc = ww_call_hash(call, "peer", &peer);
    if (!rc)
        rc = ww_call_text(call, "token", &text, &text_size);
    if (!rc)
        rc = ww_base64_parse(text, text_size, token, sizeof(token), &size);
    if (!rc)
        rc = ww_wire_token_decode(token, size, &terms, &signed_size);
    if (rc)
        return rc;
    struct conn *conn = edge_find(&client->edge, &peer);
    if (!conn)
        return WW_ENOTFOUND;
    if (!ww_hash_equal(&terms.provider, &peer) ||
        !ww_hash_equal(&terms.client, &client->edge.node_id))
        return WW_EFOREIGN;
    conn->contract = terms.contract_id;
    conn->has_contract = true;
    rc =
        ww_transfer_contract_offer(conn->transfer, token, size, &terms, ww_loop_now_us(conn->loop));
    if (!rc)
        rc = edge_open_add(&client->edge, &peer, &terms.contract_id, NULL);
    if (rc)
        return rc;
    client_retry(client);
    conn_touch(conn);
    return 0;
}

static int bound_renew(void *context, struct ww_call *call)
{
    struct client *client = context;
    struct ww_hook_renew_request request = {0};
    struct ww_hook_renew_decision decision = {0};
    struct ww_policy_context policy = {.now_s = ww_clock_wall_ms() / 1000};

    ww_random_bytes(&policy.seed, sizeof(policy.seed));
    ww_call_u64(call, "bytes_total", &request.bytes_total);
    ww_call_u64(call, "bytes_left", &request.bytes_left);
    ww_call_u64(call, "seconds_left", &request.seconds_left);
    ww_call_u64(call, "rate_bytes_s", &request.rate_bytes_s);
    ww_call_u64(call, "balance_bytes", &request.balance_bytes);
    request.contracts_done = client->edge.contracts_ended;
    node_decide(&client->edge.policies, WW_HOOK_CONTRACT_RENEW, &request, &policy, &decision, NULL);
    ww_call_put_bool(call, "ask", decision.decision == WW_HOOK_ASK);
    ww_call_put_u64(call, "bytes", decision.bytes);
    ww_call_put_text(call, "reason", decision.reason);
    return 0;
}

static int bound_choose_path(void *context, struct ww_call *call)
{
    struct client *client = context;
    struct ww_hook_path_request request = {.paths_count = 1};
    struct ww_hook_path_decision decision = {0};
    struct ww_policy_context policy = {.now_s = ww_clock_wall_ms() / 1000};

    ww_random_bytes(&policy.seed, sizeof(policy.seed));
    request.paths[0].kind = WW_HOOK_DIRECT; /* relays come with the extenders */
    ww_call_u64(call, "failures", &request.paths[0].failures);
    node_decide(&client->edge.policies, WW_HOOK_PATH_CHOOSE, &request, &policy, &decision, NULL);
    ww_call_put_text(call, "kind", ww_hook_word("path", decision.decision));
    ww_call_put_text(call, "reason", decision.reason);
    return 0;
}

/* {peer, contract}: signs that it was never opened; event "close" follows. */
static int bound_never_opened(void *context, struct ww_call *call)
{
    struct client *client = context;
    struct ww_transfer_contract_info held[4];
    struct ww_transfer_counts none = {0};
    struct ww_hash peer;
    struct ww_id id;

    int rc = ww_call_hash(call, "peer", &peer);
    if (!rc)
        rc = ww_call_id(call, "contract", &id);
    if (rc)
        return rc;
    struct conn *conn = edge_find(&client->edge, &peer);
    size_t count = conn ? ww_transfer_contracts(conn->transfer, held, WW_ARRAY_COUNT(held)) : 0;
    for (size_t index = 0; index < count; index++) {
        if (ww_id_equal(&held[index].id, &id))
            return WW_ESTATE;
    }
    if (edge_state_has_ended(&client->edge, &id))
        return WW_ESTATE;
    edge_state_end(&client->edge, &peer, &id, &none, WW_CLOSE_NEVER_OPENED, true);
    return 0;
}

/* {peer=} or all: no new streams under them, END, then a close for each. */
static int bound_avoid(void *context, struct ww_call *call)
{
    struct client *client = context;
    struct ww_hash peer;
    struct conn *conn;
    bool avoid = false;
    int rc = ww_call_hash(call, "peer", &peer);

    if (!rc)
        rc = ww_call_bool(call, "avoid", &avoid);
    if (rc)
        return rc;
    conn = edge_find(&client->edge, &peer);
    if (!conn)
        return WW_ENOTFOUND;
    conn->is_avoided = avoid;
    client_tunnel_retry(client);
    return 0;
}

static int bound_end_contracts(void *context, struct ww_call *call)
{
    struct client *client = context;
    struct conn *conn, *next;
    struct ww_hash peer;
    bool one = ww_call_hash(call, "peer", &peer) == 0;

    if (!one)
        client->stopping = true;
    HASH_ITER(hh, client->edge.conns, conn, next)
    {
        if (one && !ww_hash_equal(&conn->remote, &peer))
            continue;
        if (!conn->is_ready) {
            conn_lose(conn, WW_ECLOSED); /* nobody would answer END */
            continue;
        }
        ww_transfer_contract_end(conn->transfer, ww_loop_now_us(conn->loop));
        conn_touch(conn);
    }
    return 0;
}

static int bound_status(void *context, struct ww_call *call)
{
    struct client *client = context;
    struct sockaddr_storage address;
    struct ww_target target;
    char text[WW_TARGET_TEXT_BYTES];

    if (!client->edge.started)
        return WW_ESTATE;
    if (client->proxy && !ww_proxy_address(client->proxy, &address) &&
        !ww_target_from_sockaddr((struct sockaddr *)&address, &target))
        ww_call_put_text(call, "proxy", ww_target_format(&target, text));
    ww_call_put_u64(call, "proxy_connections", client->proxy ? ww_proxy_count(client->proxy) : 0);
    ww_call_put_u64(call, "streams_opened", client->opened_count);
    ww_call_put_u64(call, "streams_refused", client->refused_count);
    ww_call_put_u64(call, "destinations_denied", client->denied_count);
    ww_call_put_u64(call, "waiting", client->waiting_count);
    client_tunnel_put(client, call);
    if (client->dns)
        client_dns_put(client->dns, call);
    edge_put_status(&client->edge, call);
    return 0;
}

static int start_proxy(struct client *client, struct ww_call *call)
{
    struct sockaddr_storage address;
    struct ww_target target;
    const char *listen = "127.0.0.1:1080";
    bool remote = false;

    ww_call_text(call, "proxy", &listen, NULL);
    ww_call_bool(call, "proxy_remote", &remote);
    int rc = node_parse_listen(listen, &target);
    if (rc) {
        ww_call_reason(call, "proxy is an address and port, such as 127.0.0.1:1080");
        return rc;
    }
    socklen_t size = ww_target_sockaddr(&target, &address);
    rc = ww_proxy_create(client->edge.loop, (struct sockaddr *)&address, size, remote,
                         &CLIENT_PROXY_CALLBACKS, client, &client->proxy);
    if (rc)
        node_listen_reason(call, listen, rc);
    return rc;
}

static int bound_start(void *context, struct ww_call *call)
{
    struct client *client = context;

    /* Its own way stays outside of the tunnel that it may carry. */
    ww_loop_set_mark(client->edge.loop, WW_HOST_MARK);
    int rc = edge_start(&client->edge, call);

    if (!rc)
        rc = node_address_rules(call, false, &client->rules);
    if (!rc)
        rc = start_proxy(client, call);
    if (!rc)
        rc = client_dns_start(client, call);
    return rc ? rc : bound_status(client, call);
}

static int bound_tunnel_open(void *context, struct ww_call *call)
{
    return client_tunnel_open(context, call);
}

static int bound_tunnel_close(void *context, struct ww_call *call)
{
    return client_tunnel_close(context, call);
}

static int bound_tunnel_probe(void *context, struct ww_call *call)
{
    (void)call;
    return client_tunnel_probe(context);
}

static int shared_disconnect(void *context, struct ww_call *call)
{
    return edge_disconnect(context, call);
}

static int shared_signal(void *context, struct ww_call *call)
{
    return edge_signal(context, call);
}

static int shared_signals_again(void *context, struct ww_call *call)
{
    return edge_signals_again(context, call);
}

static int shared_close_done(void *context, struct ww_call *call)
{
    return edge_close_done(context, call);
}

static int shared_outcome(void *context, struct ww_call *call)
{
    return edge_outcome(context, call);
}

int client_bind(struct ww_ops *ops, struct client **out)
{
    static const struct ww_ops_function functions[] = {
        {"start", bound_start},
        {"connect", bound_connect},
        {"signal", shared_signal},
        {"offer", bound_offer},
        {"renew", bound_renew},
        {"choose_path", bound_choose_path},
        {"end_contracts", bound_end_contracts},
        {"status", bound_status},
        {"tunnel_open", bound_tunnel_open},
        {"tunnel_close", bound_tunnel_close},
        {"tunnel_probe", bound_tunnel_probe},
        {"disconnect", shared_disconnect},
        {"avoid", bound_avoid},
        {"never_opened", bound_never_opened},
        {"signals_again", shared_signals_again},
        {"close_done", shared_close_done},
        {"outcome", shared_outcome},
        {"dns_query", client_dns_bound_query},
        {"dns_flush", client_dns_bound_flush},
        {"dns_lists_read", client_dns_bound_lists_read},
        {"dns_lists_use", client_dns_bound_lists_use},
        {"dns_lists_drop", client_dns_bound_lists_drop},
        {"dns_exclude", client_dns_bound_exclude},
        {"dns_excluded", client_dns_bound_excluded},
    };
    struct client *client = ww_alloc(1, sizeof(*client));
    if (!client)
        return WW_ENOMEM;
    client->edge.ops = ops;
    client->edge.loop = ww_ops_loop(ops);
    client->edge.role = WW_TRANSFER_CLIENT;
    client->edge.judged = client_judged;
    TAILQ_INIT(&client->waiting);
    int rc = pipe_pace_init(&client->pace, client->edge.loop, client_pipe_touched);
    if (!rc)
        rc = ww_timer_create(client->edge.loop, client_waiting_expired, client,
                             &client->waiting_timer);
    if (!rc)
        rc = ww_ops_bind(ops, "client", functions, WW_ARRAY_COUNT(functions), client);
    if (!rc)
        rc = node_policies_bind(&client->edge.policies, ops, "client");
    if (!rc)
        rc = flows_bind(&client->edge, ops, "client");
    if (rc) {
        ww_timer_destroy(client->waiting_timer);
        pipe_pace_deinit(&client->pace);
        ww_free(client);
        return rc;
    }
    *out = client;
    return 0;
}

void client_destroy(struct client *client)
{
    struct client_association *association;
    struct client_stream *stream, *table;
    struct conn *conn, *next;

    if (!client)
        return;
    client_dns_destroy(client->dns);
    client->dns = NULL;
    /* The proxy and the connections end without a word: what they have contexts of goes by itself.
     */
    HASH_ITER(hh, client->edge.conns, conn, next)
    {
        table = conn->streams;
        HASH_CLEAR(hh, table);
        conn->streams = NULL;
        client_declare_stop(conn);
    }
    while ((association = LIST_FIRST(&client->associations))) {
        HASH_CLEAR(by_target, association->flows);
        LIST_REMOVE(association, link);
        ww_free(association);
    }
    while ((stream = LIST_FIRST(&client->streams))) {
        LIST_REMOVE(stream, link);
        ww_free(stream);
    }
    ww_proxy_destroy(client->proxy);
    client_tunnel_destroy(client);
    edge_stop(&client->edge);
    ww_address_rules_destroy(client->rules);
    ww_timer_destroy(client->waiting_timer);
    pipe_pace_deinit(&client->pace);
    ww_free(client);
}
