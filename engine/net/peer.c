/* A peer from creation to its end: ICE finds a path, DTLS proves the key, SCTP carries channels.
 * Errors only set fail_code; the end itself, and every call to the user but `signal`, is in
 * ww_peer_turn.
 */
#include <string.h>

#include "carrier.h"
#include "fast.h"
#include "internal.h"

/* Messages and events to one peer in one turn, so that the others get theirs. */
#define RECEIVES_PER_TURN 128

/* --- DTLS and SCTP ------------------------------------------------------------------------------
 */

static void on_dtls_output(void *arg, const uint8_t *datagram, size_t size)
{
    ww_transport_output(arg, datagram, size);
}

static void on_dtls_established(void *arg)
{
    struct ww_peer *peer = arg;
    size_t datagram_bytes = peer->datagram_bytes ? peer->datagram_bytes : WW_DATAGRAM_BYTES;
    /* In whole words, as chunks are. Before the first plaintext, which may be its INIT. */
    size_t packet_bytes = (datagram_bytes - WW_DTLS_OVERHEAD) & ~(size_t)3;
    int code = ww_sctp_create(peer->id, packet_bytes, &peer->sctp);
    if (!code)
        code = ww_peer_fast_start(peer);
    if (code)
        ww_peer_fail(peer, code);
}

void ww_peer_opened(struct ww_peer *peer, uint8_t *data, size_t size)
{
    ww_change_heard(peer);
    ww_marks_heard(&peer->marks, data[0], peer->hears_mark);
    if (!peer->sctp || peer->fail_code)
        return;
    if (size > 0 && data[0] <= WW_FAST_KIND_MAX) {
        ww_peer_fast_input(peer, data, size);
        return;
    }
    ww_sctp_note_in(peer->sctp, data, size, ww_loop_now_us(peer->net->loop));
    ww_sctp_stack_input(peer->id, data, size);
    ww_net_touch(peer);
}

static void on_dtls_plaintext(void *arg, uint8_t *data, size_t size)
{
    ww_peer_opened(arg, data, size);
}

_Static_assert(WW_FAST_RECORD_BYTES_MAX >= WW_DTLS_PLAINTEXT_BYTES, "no room for a record");

static uint8_t *room_for_plaintext(void *arg)
{
    struct ww_peer *peer = arg;
    return peer->fast ? ww_fast_room(peer->fast) : NULL;
}

static const struct ww_dtls_callbacks DTLS = {
    .output = on_dtls_output,
    .established = on_dtls_established,
    .plaintext = on_dtls_plaintext,
    .room = room_for_plaintext,
};

void ww_peer_take_dtls(struct ww_peer *peer)
{
    ww_dtls_move(peer->dtls, &DTLS, peer);
}

int ww_peer_make_dtls(struct ww_peer *peer, const uint8_t *fingerprint)
{
    const struct ww_dtls_config config = {
        .is_server = peer->is_dtls_server,
        .datagram_bytes = WW_DATAGRAM_BYTES,
        .node_id = fingerprint ? NULL : &peer->config.remote,
        .fingerprint = fingerprint,
    };
    return ww_dtls_create(peer->net->dtls_context, &config, &DTLS, peer, &peer->dtls);
}

void ww_peer_arm_dtls_timer(struct ww_peer *peer)
{
    uint64_t delay_us;
    if (peer->dtls && peer->dtls_timer && ww_dtls_timeout(peer->dtls, &delay_us))
        ww_timer_start(peer->dtls_timer, delay_us);
    else if (peer->dtls_timer)
        ww_timer_stop(peer->dtls_timer);
}

static void on_dtls_timer(void *arg)
{
    struct ww_peer *peer = arg;
    int code = ww_dtls_handle_timeout(peer->dtls);
    if (code)
        ww_peer_fail(peer, code);
    else
        ww_peer_arm_dtls_timer(peer);
}

static void on_sctp_timer(void *arg)
{
    ww_net_touch(arg);
}

static void adapt(struct ww_peer *peer)
{
    uint64_t again_us = ww_sctp_adapt(peer->sctp, ww_loop_now_us(peer->net->loop));
    if (again_us && peer->sctp_timer)
        ww_timer_start(peer->sctp_timer, again_us);
}

static void on_connect_timer(void *arg)
{
    struct ww_peer *peer = arg;
    ww_peer_fail(peer, peer->route->has_pair ? WW_ETIMEDOUT : WW_EICE);
}

/* --- turns ------------------------------------------------------------------------------------ */

void ww_peer_fail(struct ww_peer *peer, int code)
{
    if (!peer->fail_code)
        peer->fail_code = code;
    ww_net_touch(peer);
}

static void on_up(struct ww_peer *peer)
{
    if (peer->connected)
        return;
    peer->connected = true;
    ww_timer_destroy(peer->connect_timer);
    peer->connect_timer = NULL;
    ww_timer_destroy(peer->dtls_timer);
    peer->dtls_timer = NULL;
    ww_channels_start(peer);
    ww_change_connected(peer);
    if (peer->callbacks.connected)
        peer->callbacks.connected(peer->arg);
}

static void on_received(struct ww_peer *peer, const struct ww_sctp_received *received)
{
    switch (received->kind) {
    case WW_SCTP_DATA:
        ww_channels_data(peer, received, peer->net->read_buffer);
        break;
    case WW_SCTP_UP:
        on_up(peer);
        break;
    case WW_SCTP_DOWN:
        ww_peer_fail(peer, WW_ECLOSED);
        break;
    case WW_SCTP_RESET_IN:
    case WW_SCTP_RESET_OUT:
    case WW_SCTP_RESET_FAILED:
        ww_channels_reset(peer, received);
        break;
    case WW_SCTP_ABANDONED:
        ww_channels_abandon(peer, received->stream);
        break;
    case WW_SCTP_NOTHING:
    case WW_SCTP_OTHER:
        break;
    }
}

/* True when it stopped before all was received. */
static bool receive(struct ww_peer *peer)
{
    struct ww_sctp_received received;
    peer->sctp_ready = false;
    for (int i = 0; i < RECEIVES_PER_TURN; i++) {
        ww_sctp_receive(peer->sctp, peer->net->read_buffer, sizeof peer->net->read_buffer,
                        &received);
        if (received.kind == WW_SCTP_NOTHING)
            return false;
        on_received(peer, &received);
        if (peer->destroyed || received.kind == WW_SCTP_DOWN)
            return false;
    }
    return true;
}

/* Everything but the memory. */
static void shut(struct ww_peer *peer)
{
    ww_timer_destroy(peer->connect_timer);
    peer->connect_timer = NULL;
    ww_timer_destroy(peer->dtls_timer);
    peer->dtls_timer = NULL;
    ww_timer_destroy(peer->sctp_timer);
    peer->sctp_timer = NULL;
    ww_peer_fast_stop(peer);
    /* From the top: each says goodbye through the next, which may find the path silent. */
    ww_sctp_destroy(peer->sctp);
    peer->sctp = NULL;
    ww_loan_recall(peer);
    ww_dtls_destroy(peer->dtls);
    peer->dtls = NULL;
    ww_timer_destroy(peer->change.timer);
    peer->change.timer = NULL;
    ww_transport_close(peer);
    ww_free(peer->remote_ufrag);
    peer->remote_ufrag = NULL;
    ww_free(peer->remote_password);
    peer->remote_password = NULL;
}

static void end(struct ww_peer *peer)
{
    ww_log(WW_LOG_DEBUG, "net", "peer ends", "code=%s connected=%d", ww_error_name(peer->fail_code),
           peer->connected);
    peer->closed = true;
    /* DTLS's alert may be lost, and a client that is told begins anew at once. */
    if (!peer->connected && !peer->destroyed && peer->config.role == WW_PEER_SERVER &&
        !peer->config.allow_any_fingerprint && peer->change.tag[0] != '\0')
        ww_peer_send_change(peer, WW_CHANGE_GONE);
    peer->connected = false;
    shut(peer);
    ww_channels_close(peer, peer->fail_code);
    if (!peer->destroyed && peer->callbacks.closed)
        peer->callbacks.closed(peer->arg, peer->fail_code);
}

bool ww_peer_turn(struct ww_peer *peer)
{
    bool has_more = false, fast_has_more = false;
    if (peer->closed)
        return false;
    if (peer->sctp && peer->sctp_ready)
        has_more = receive(peer);
    if (!peer->destroyed && peer->connected && peer->fast)
        fast_has_more = ww_peer_fast_take(peer);
    if (!peer->destroyed && peer->connected)
        ww_channels_turn(peer);
    if (!peer->destroyed && peer->connected)
        ww_change_turn(peer);
    if (!peer->destroyed && peer->sctp)
        adapt(peer);
    if (peer->destroyed)
        return false;
    ww_peer_fast_output(peer);
    ww_transport_flush(peer);
    if (peer->fail_code) {
        end(peer);
        return false;
    }
    ww_loan_offer(peer);
    peer->sctp_ready |= has_more;
    return peer->sctp_ready || fast_has_more;
}

/* --- the public functions
 * -------------------------------------------------------------------------- */

static int start(struct ww_peer *peer)
{
    int code = ww_timer_create(peer->net->loop, on_connect_timer, peer, &peer->connect_timer);
    if (code)
        return code;
    code = ww_timer_create(peer->net->loop, on_dtls_timer, peer, &peer->dtls_timer);
    if (code)
        return code;
    code = ww_timer_create(peer->net->loop, on_sctp_timer, peer, &peer->sctp_timer);
    if (code)
        return code;
    if (!peer->config.allow_any_fingerprint) {
        code = ww_peer_make_dtls(peer, NULL);
        if (code)
            return code;
    }
    code = ww_timer_create(peer->net->loop, ww_change_tick, peer, &peer->change.timer);
    if (code)
        return code;
    peer->change.generation = 1;
    code = ww_route_create(peer, 1, &peer->route);
    if (code)
        return code;
    uint64_t connect_ms = peer->config.connect_ms ? peer->config.connect_ms : WW_PEER_CONNECT_MS;
    ww_timer_start(peer->connect_timer, connect_ms * 1000);
    return 0;
}

int ww_peer_create(struct ww_net *net, const struct ww_peer_config *config,
                   const struct ww_peer_callbacks *callbacks, void *arg, struct ww_peer **peer)
{
    struct ww_peer *made;
    int code;
    if (!callbacks->signal || ww_hash_is_zero(&config->remote) != config->allow_any_fingerprint)
        return WW_EINVAL;
    made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    ww_pieces_init(&made->pieces);
    made->net = net;
    made->config = *config;
    made->callbacks = *callbacks;
    made->arg = arg;
    made->is_dtls_server = (config->role == WW_PEER_SERVER) != config->dtls_reversed;
    code = ww_net_add(net, made);
    if (code) {
        ww_free(made);
        return code;
    }
    code = start(made);
    if (code) {
        ww_peer_destroy(made);
        return code;
    }
    *peer = made;
    return 0;
}

void ww_peer_destroy(struct ww_peer *peer)
{
    if (!peer || peer->destroyed)
        return;
    shut(peer);
    ww_channels_close(peer, 0);
    /* Last, since the goodbyes above still find the peer by its id. */
    ww_net_remove(peer->net, peer);
    peer->destroyed = true;
}

bool ww_peer_is_connected(const struct ww_peer *peer)
{
    return peer->connected && !peer->fail_code;
}

bool ww_peer_public_key(const struct ww_peer *peer, uint8_t spki[WW_PUBLIC_KEY_SIZE])
{
    return peer->dtls && ww_dtls_public_key(peer->dtls, spki);
}

bool ww_peer_node_id(const struct ww_peer *peer, struct ww_hash *node_id)
{
    return peer->dtls && ww_dtls_node_id(peer->dtls, node_id);
}

const char *ww_path_kind_name(enum ww_path_kind kind)
{
    switch (kind) {
    case WW_PATH_NONE:
        return "none";
    case WW_PATH_HOST:
        return "host";
    case WW_PATH_SRFLX:
        return "srflx";
    case WW_PATH_PRFLX:
        return "prflx";
    case WW_PATH_RELAY:
        return "relay";
    }
    return "none";
}

unsigned ww_peer_worker(const struct ww_peer *peer)
{
    return peer->loan ? ww_worker_number(peer->loan->carrier->worker) : 0;
}

void ww_peer_path(struct ww_peer *peer, struct ww_path *path)
{
    const struct ww_route *route = peer->route;
    struct ww_lane_counters sum = peer->counters;
    struct ww_fast_stats fast;
    memset(path, 0, sizeof *path);
    path->marks = ww_marks_state_name(WW_MARKS_OFF);
    path->marked_received = peer->marks.came.by[WW_ECN_CE];
    path->marked_sent = peer->marks.told.by[WW_ECN_CE];
    ww_route_add_counters(peer->route, &sum);
    ww_route_add_counters(peer->left, &sum);
    path->datagrams_sent = sum.datagrams_sent;
    path->datagrams_received = sum.datagrams_received;
    path->bytes_sent = sum.bytes_sent;
    path->bytes_received = sum.bytes_received;
    path->datagrams_dropped = sum.dropped;
    path->changes = peer->change.changes;
    path->changing = ww_change_is_wanted(peer);
    if (peer->change.lost_us)
        path->lost_ms =
            (uint32_t)((ww_loop_now_us(peer->net->loop) - peer->change.lost_us) / 1000 + 1);
    path->doubted = peer->change.doubt.level > WW_DOUBT_NONE;
    path->silent = peer->change.doubt.level == WW_DOUBT_SILENT;
    if (!route || !route->has_pair)
        return;
    if (route->heard_us)
        path->heard_ms = (uint32_t)((ww_loop_now_us(peer->net->loop) - route->heard_us) / 1000);
    path->kind = route->pair.kind;
    ww_address_format(&route->pair.local, path->local);
    ww_address_format(&route->pair.remote, path->remote);
    path->direct = route->lane != NULL;
    path->worker = ww_peer_worker(peer);
    path->mtu = (uint32_t)peer->datagram_bytes;
    path->marks = ww_marks_state_name(peer->marks.state);
    path->fast = peer->fast != NULL;
    if (peer->sctp)
        path->rtt_us = ww_sctp_rtt_us(peer->sctp);
    if (peer->fast) {
        ww_fast_stats(peer->fast, &fast);
        path->rtt_us = fast.rtt_us ? fast.rtt_us : path->rtt_us;
        path->packets_sent = fast.packets_sent;
        path->packets_lost = fast.packets_lost;
        path->packets_marked = fast.marked;
        path->record = fast.pack_bytes + WW_DTLS_OVERHEAD;
    }
}
