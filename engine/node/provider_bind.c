/* ww.provider: the provider's core for lua/node/provider.lua.
 *
 * start{key=, state=, stun=, loopback=, bypass=, fast_lane=, policies=, allow_private={…},
 * max_contracts=, denied_flows=, egress_device=}; limits{max_contracts=, denied_flows=};
 * secret{key_id=, secret=}; accept{contract=, bytes=, …} asks the policy; signal{peer=, contract=,
 * text=} makes the connection at the first one; confirmed{peer=, contract=}; never_opened{…};
 * end_contracts{}; disconnect{peer=}; signals_again, close_done, outcome, status, flows. Events:
 * see edge.h.
 */
#include <string.h>

#include "node.h"
#include "provider.h"

static void conn_closed(struct conn *conn, int code)
{
    struct provider *provider = conn->owner;
    struct edge_note note = {
        .edge = &provider->edge, .event = EDGE_LOST, .peer = conn->remote, .code = code};
    edge_tell(&note);
    provider_detach(conn);
    edge_drop(&provider->edge, conn);
}

static const struct conn_callbacks CONN_CALLBACKS = {
    .signal = edge_conn_signal,
    .ready = edge_conn_ready,
    .path = edge_conn_path,
    .closed = conn_closed,
    .transfer =
        {
            .stream_opened = provider_stream_opened,
            .stream_data = provider_stream_data,
            .stream_writable = provider_stream_writable,
            .stream_reset = provider_stream_reset,
            .datagram = provider_datagram,
            .packet = provider_packet,
            .contract_open = provider_contract_open,
            .contract_ended = provider_contract_ended,
            .declaration = provider_declaration,
            .receipt_due = edge_receipt_due,
            .receipt_came = edge_receipt_came,
        },
};

static uint64_t open_contracts(const struct provider *provider)
{
    struct ww_transfer_contract_info contracts[4];
    struct conn *conn, *next;
    uint64_t count = 0;

    HASH_ITER(hh, provider->edge.conns, conn, next)
    count += ww_transfer_contracts(conn->transfer, contracts, WW_ARRAY_COUNT(contracts));
    return count;
}

/* The policy proposes; the configured limit is kept whatever it says. */
static int bound_accept(void *context, struct ww_call *call)
{
    struct provider *provider = context;
    struct ww_hook_accept_request request = {.window_bytes = WW_CONTRACT_WINDOW_BYTES};
    struct ww_hook_accept_decision decision = {0};
    struct ww_policy_context policy = {.now_s = ww_clock_wall_ms() / 1000};
    const char *relation = "public";

    int rc = ww_call_u64(call, "bytes", &request.bytes);
    if (rc)
        return rc;
    ww_random_bytes(&policy.seed, sizeof(policy.seed));
    ww_call_u64(call, "price_ppm", &request.price_ppm);
    ww_call_u64(call, "price_nano_usd_per_gib", &request.price_nano_usd_per_gib);
    ww_call_u64(call, "window_bytes", &request.window_bytes);
    ww_call_text(call, "relation", &relation, NULL);
    request.open_contracts = open_contracts(provider);
    request.max_contracts = provider->max_contracts;
    request.relation = strcmp(relation, "own") == 0      ? WW_HOOK_RELATION_OWN
                       : strcmp(relation, "friend") == 0 ? WW_HOOK_RELATION_FRIEND
                                                         : WW_HOOK_RELATION_PUBLIC;
    node_decide(&provider->edge.policies, WW_HOOK_CONTRACT_ACCEPT, &request, &policy, &decision,
                NULL);
    bool accept = decision.decision == WW_HOOK_ACCEPT && !provider->stopping &&
                  request.open_contracts < provider->max_contracts;
    ww_call_put_bool(call, "accept", accept);
    ww_call_put_u64(call, "window_bytes", decision.window_bytes);
    ww_call_put_text(call, "reason", decision.reason);
    return 0;
}

static int bound_signal(void *context, struct ww_call *call)
{
    struct provider *provider = context;
    struct conn *conn = NULL;
    const char *text = NULL;
    struct ww_hash peer;
    struct ww_id contract;

    int rc = ww_call_hash(call, "peer", &peer);
    if (!rc)
        rc = ww_call_id(call, "contract", &contract);
    if (!rc)
        rc = ww_call_text(call, "text", &text, NULL);
    if (rc)
        return rc;
    conn = edge_find(&provider->edge, &peer);
    if (!conn && edge_answer_gone(&provider->edge, &peer, &contract, text))
        return 0;
    if (!conn)
        rc = edge_connect(&provider->edge, &peer, &CONN_CALLBACKS, &conn);
    if (rc)
        return rc;
    conn->contract = contract;
    conn->has_contract = true;
    rc = edge_signal(&provider->edge, call);
    if (rc == WW_ECONFLICT) {
        /* Other credentials: the client has started anew and the old connection is dead. */
        conn_lose(conn, WW_ECLOSED);
    }
    if (rc == WW_ENOTFOUND && edge_answer_gone(&provider->edge, &peer, &contract, text))
        rc = 0;
    return rc;
}

static int bound_confirmed(void *context, struct ww_call *call)
{
    struct provider *provider = context;
    struct ww_hash peer;
    struct ww_id contract;

    int rc = ww_call_hash(call, "peer", &peer);
    if (!rc)
        rc = ww_call_id(call, "contract", &contract);
    if (rc)
        return rc;
    struct conn *conn = edge_find(&provider->edge, &peer);
    if (!conn)
        return WW_ENOTFOUND;
    provider_confirm(provider, &contract);
    ww_transfer_contract_confirmed(conn->transfer, &contract);
    conn_touch(conn);
    return 0;
}

static int bound_end_contracts(void *context, struct ww_call *call)
{
    struct provider *provider = context;
    struct conn *conn, *next;

    (void)call;
    provider->stopping = true;
    HASH_ITER(hh, provider->edge.conns, conn, next)
    {
        ww_transfer_contract_end(conn->transfer, ww_loop_now_us(conn->loop));
        conn_touch(conn);
    }
    return 0;
}

static int bound_status(void *context, struct ww_call *call)
{
    struct provider *provider = context;

    if (!provider->edge.started)
        return WW_ESTATE;
    ww_call_put_u64(call, "streams_opened", provider->opened_count);
    ww_call_put_u64(call, "streams_refused", provider->refused_count);
    ww_call_put_u64(call, "destinations_denied", provider->denied_count);
    ww_call_put_u64(call, "contracts_refused", provider->contracts_refused);
    ww_call_put_u64(call, "contracts_denied", provider->denied_contracts);
    ww_call_put_u64(call, "contracts_max", provider->max_contracts);
    ww_call_put_u64(call, "egress", ww_egress_count(provider->egress));
    provider_packets_put(provider, call);
    edge_put_status(&provider->edge, call);
    return 0;
}

static int bound_start(void *context, struct ww_call *call)
{
    struct provider *provider = context;
    const char *state = NULL;
    int rc = edge_start(&provider->edge, call);

    if (!rc)
        rc = ww_call_text(call, "state", &state, NULL);
    if (!rc && (rc = provider_load_secrets(provider, state)))
        ww_call_reason(call, "the session secrets in %s can't be read", state);
    provider->max_contracts = 256;
    ww_call_u64(call, "max_contracts", &provider->max_contracts);
    provider->denied_flows = WW_NODE_DENIED_FLOWS;
    ww_call_u64(call, "denied_flows", &provider->denied_flows);
    if (!rc)
        rc = node_address_rules(call, true, &provider->rules);
    if (!rc)
        rc = ww_egress_create(provider->edge.loop, provider->rules, &provider->egress);
    if (!rc)
        rc = provider_packets_start(provider, call);
    if (!rc)
        provider_check_times(provider);
    return rc ? rc : bound_status(provider, call);
}

/* For contracts that are offered, and destinations that are declared, from now on. */
static int bound_limits(void *context, struct ww_call *call)
{
    struct provider *provider = context;
    ww_call_u64(call, "max_contracts", &provider->max_contracts);
    ww_call_u64(call, "denied_flows", &provider->denied_flows);
    return 0;
}

static int bound_secret(void *context, struct ww_call *call)
{
    return provider_add_secret(context, call);
}

static int bound_never_opened(void *context, struct ww_call *call)
{
    return provider_never_opened(context, call);
}

static int shared_signals_again(void *context, struct ww_call *call)
{
    return edge_signals_again(context, call);
}

static int shared_disconnect(void *context, struct ww_call *call)
{
    return edge_disconnect(context, call);
}

static int shared_close_done(void *context, struct ww_call *call)
{
    return edge_close_done(context, call);
}

static int shared_outcome(void *context, struct ww_call *call)
{
    return edge_outcome(context, call);
}

int provider_bind(struct ww_ops *ops, struct provider **out)
{
    static const struct ww_ops_function functions[] = {
        {"start", bound_start},
        {"limits", bound_limits},
        {"secret", bound_secret},
        {"accept", bound_accept},
        {"signal", bound_signal},
        {"confirmed", bound_confirmed},
        {"never_opened", bound_never_opened},
        {"disconnect", shared_disconnect},
        {"end_contracts", bound_end_contracts},
        {"status", bound_status},
        {"signals_again", shared_signals_again},
        {"close_done", shared_close_done},
        {"outcome", shared_outcome},
    };
    struct provider *provider = ww_alloc(1, sizeof(*provider));
    if (!provider)
        return WW_ENOMEM;
    provider->edge.ops = ops;
    provider->edge.loop = ww_ops_loop(ops);
    provider->edge.role = WW_TRANSFER_PROVIDER;
    provider->edge.judged = provider_judged;
    int rc = pipe_pace_init(&provider->pace, provider->edge.loop, provider_pipe_touched);
    if (!rc)
        rc = ww_timer_create(provider->edge.loop, provider_check_times, provider, &provider->clock);
    if (!rc)
        rc = ww_ops_bind(ops, "provider", functions, WW_ARRAY_COUNT(functions), provider);
    if (!rc)
        rc = node_policies_bind(&provider->edge.policies, ops, "provider");
    if (!rc)
        rc = flows_bind(&provider->edge, ops, "provider");
    if (rc) {
        pipe_pace_deinit(&provider->pace);
        ww_timer_destroy(provider->clock);
        ww_free(provider);
        return rc;
    }
    *out = provider;
    return 0;
}

void provider_destroy(struct provider *provider)
{
    struct provider_open *open, *next_open;
    struct provider_stream *table, *stream;
    struct conn *conn, *next;

    if (!provider)
        return;
    ww_egress_destroy(provider->egress);
    HASH_ITER(hh, provider->edge.conns, conn, next)
    {
        table = conn->streams;
        HASH_CLEAR(hh, table);
        conn->streams = NULL;
        provider_packets_detach(conn);
        provider_declare_stop(conn);
    }
    provider_packets_stop(provider);
    while ((stream = LIST_FIRST(&provider->streams))) {
        LIST_REMOVE(stream, link);
        ww_free(stream);
    }
    edge_stop(&provider->edge);
    pipe_pace_deinit(&provider->pace);
    ww_timer_destroy(provider->clock);
    ww_address_rules_destroy(provider->rules);
    HASH_ITER(hh, provider->open, open, next_open)
    provider_forget(provider, open);
    provider_forget_secrets(provider);
    ww_free(provider);
}
