/* A peer's signalling in both directions, and what else libnice's thread reports. What comes from
 * the other side is parsed and judged here, before libnice sees it.
 */
#include <string.h>

#include "internal.h"

/* --- to the other side ---------------------------------------------------------------------- */

/* May destroy the peer: nothing may follow in the caller. */
static void send_signal(struct ww_peer *peer, const struct ww_signal *signal)
{
    struct ww_buf text;
    ww_buf_init(&text, WW_SIGNAL_BYTES_MAX);
    ww_signal_write(signal, &text);
    if (text.error)
        ww_peer_fail(peer, text.error);
    else
        peer->callbacks.signal(peer->arg, ww_buf_text(&text));
    ww_buf_deinit(&text);
}

/* What every text of an attempt carries: its credentials say which one it is, whatever the order.
 */
static void begin_signal(const struct ww_route *route, struct ww_signal *signal)
{
    memset(signal, 0, sizeof *signal);
    if (route->generation == 1)
        return;
    memcpy(signal->ufrag, route->local.ufrag, sizeof signal->ufrag);
    memcpy(signal->password, route->local.password, sizeof signal->password);
    signal->change = WW_CHANGE_ATTEMPT;
    signal->generation = route->generation;
    memcpy(signal->tag, route->peer->change.tag, sizeof signal->tag);
}

static void send_credentials(struct ww_peer *peer, struct ww_route *route,
                             const struct ww_ice_event *event)
{
    struct ww_signal signal;
    route->local = event->local;
    begin_signal(route, &signal);
    if (route->generation == 1) {
        memcpy(signal.ufrag, event->local.ufrag, sizeof signal.ufrag);
        memcpy(signal.password, event->local.password, sizeof signal.password);
        memcpy(signal.fingerprint, ww_dtls_context_fingerprint(peer->net->dtls_context),
               sizeof signal.fingerprint);
        signal.has_fingerprint = true;
        signal.setup = peer->is_dtls_server ? WW_SETUP_PASSIVE : WW_SETUP_ACTIVE;
        if (peer->net->config.allow_jumbo)
            signal.datagram_bytes = WW_DATAGRAM_BYTES_MOST;
        signal.fast = peer->net->config.allow_fast && !peer->config.allow_any_fingerprint;
        if (peer->config.role == WW_PEER_CLIENT)
            memcpy(peer->change.tag, event->local.ufrag, sizeof peer->change.tag);
    }
    send_signal(peer, &signal);
}

static void send_candidate(struct ww_peer *peer, const struct ww_route *route,
                           const struct ww_candidate *candidate)
{
    struct ww_signal signal;
    /* What we'd refuse we don't send: link-local addresses need the other side's scope. */
    if (!ww_candidate_is_allowed(candidate, peer->net->config.loopback_only))
        return;
    begin_signal(route, &signal);
    signal.candidates[signal.candidate_count++] = *candidate;
    send_signal(peer, &signal);
}

static void send_end_of_candidates(struct ww_peer *peer, const struct ww_route *route)
{
    struct ww_signal signal;
    begin_signal(route, &signal);
    signal.end_of_candidates = true;
    send_signal(peer, &signal);
}

void ww_peer_send_change(struct ww_peer *peer, enum ww_signal_change change)
{
    struct ww_signal signal;
    memset(&signal, 0, sizeof signal);
    signal.change = change;
    signal.generation = peer->change.generation;
    memcpy(signal.tag, peer->change.tag, sizeof signal.tag);
    send_signal(peer, &signal);
}

void ww_peer_on_ice(struct ww_peer *peer, struct ww_route *route, struct ww_ice_event *event)
{
    switch (event->kind) {
    case WW_ICE_LOCAL:
        send_credentials(peer, route, event);
        break;
    case WW_ICE_CANDIDATE:
        send_candidate(peer, route, &event->candidate);
        break;
    case WW_ICE_GATHERED:
        send_end_of_candidates(peer, route);
        break;
    case WW_ICE_PAIR:
        if (peer->dtls)
            ww_change_pair(peer, route, &event->pair);
        break;
    case WW_ICE_FAILED:
        ww_change_failed(peer, route);
        break;
    case WW_ICE_DATA:
        peer->counters.datagrams_received++;
        peer->counters.bytes_received += event->size;
        ww_transport_input(route, event->data, event->size, event->size, WW_ECN_NONE);
        break;
    }
}

/* --- from the other side ------------------------------------------------------------------------
 */

static bool is_conflict(const struct ww_peer *peer, const struct ww_signal *signal)
{
    enum ww_setup ours = peer->is_dtls_server ? WW_SETUP_PASSIVE : WW_SETUP_ACTIVE;
    if (signal->setup == ours)
        return true;
    return signal->ufrag[0] != '\0' && peer->remote_ufrag &&
           (strcmp(signal->ufrag, peer->remote_ufrag) != 0 ||
            strcmp(signal->password, peer->remote_password) != 0);
}

/* Gives an agent the other side's credentials, once. */
static int use_credentials(struct ww_route *route, const struct ww_signal *signal)
{
    if (route->remote_ufrag)
        return strcmp(route->remote_ufrag, signal->ufrag) == 0 &&
                       strcmp(route->remote_password, signal->password) == 0
                   ? 0
                   : WW_ECONFLICT;
    char *password = ww_strdup(signal->password);
    char *ufrag = ww_strdup(signal->ufrag);
    int code = ufrag && password
                   ? ww_ice_remote_credentials(route->ice, signal->ufrag, signal->password)
                   : WW_ENOMEM;
    if (code) {
        ww_free(password);
        ww_free(ufrag);
        return code;
    }
    route->remote_password = password;
    route->remote_ufrag = ufrag;
    return 0;
}

/* The first credentials say who the other side is for as long as the peer lives. */
static int use_first_credentials(struct ww_peer *peer, const struct ww_signal *signal)
{
    int code;
    if (peer->remote_ufrag)
        return 0; /* the same again */
    if (!peer->dtls) {
        if (!signal->has_fingerprint)
            return WW_EMALFORMED;
        code = ww_peer_make_dtls(peer, signal->fingerprint);
        if (code)
            return code;
    }
    peer->remote_password = ww_strdup(signal->password);
    if (!peer->remote_password)
        return WW_ENOMEM;
    peer->remote_ufrag = ww_strdup(signal->ufrag);
    if (!peer->remote_ufrag) {
        ww_free(peer->remote_password);
        peer->remote_password = NULL;
        return WW_ENOMEM;
    }
    peer->remote_datagram_bytes = signal->datagram_bytes;
    peer->remote_fast = signal->fast;
    if (peer->config.role == WW_PEER_SERVER)
        memcpy(peer->change.tag, signal->ufrag, sizeof peer->change.tag);
    return use_credentials(peer->route, signal);
}

static int use_candidates(struct ww_route *route, const struct ww_signal *signal)
{
    for (unsigned i = 0; i < signal->candidate_count; i++) {
        const struct ww_candidate *candidate = &signal->candidates[i];
        if (route->remote_candidates == WW_CANDIDATES_MAX)
            return WW_ELIMIT;
        route->remote_candidates++;
        if (!ww_candidate_is_allowed(candidate, route->peer->net->config.loopback_only))
            continue;
        int code = ww_ice_remote_candidate(route->ice, candidate);
        if (code)
            return code;
    }
    return signal->candidates_over ? WW_ELIMIT : 0;
}

static int use_rest(struct ww_route *route, const struct ww_signal *signal)
{
    int code = use_candidates(route, signal);
    if (code)
        return code;
    return signal->end_of_candidates ? ww_ice_remote_done(route->ice) : 0;
}

static int take_first(struct ww_peer *peer, const struct ww_signal *signal)
{
    if (is_conflict(peer, signal))
        return WW_ECONFLICT;
    /* Candidates mean nothing before the credentials that they belong to. */
    if (signal->ufrag[0] == '\0' && !peer->remote_ufrag)
        return WW_EMALFORMED;
    if (signal->ufrag[0] != '\0') {
        int code = use_first_credentials(peer, signal);
        if (code)
            return code;
    }
    struct ww_route *route = ww_route_of(peer, 1);
    return route ? use_rest(route, signal) : 0; /* late: that path was left */
}

static int take_attempt(struct ww_peer *peer, const struct ww_signal *signal)
{
    struct ww_route *route = ww_route_of(peer, signal->generation);
    if (!route)
        route = ww_change_offered(peer, signal->generation);
    if (!route)
        return 0; /* of an attempt that is over, or too early */
    int code = use_credentials(route, signal);
    return code ? code : use_rest(route, signal);
}

int ww_peer_signal(struct ww_peer *peer, const char *text)
{
    struct ww_signal signal;
    int code;
    if (peer->closed || peer->fail_code)
        return WW_ECLOSED;
    code = ww_signal_parse(text, strnlen(text, WW_SIGNAL_BYTES_MAX + 1), &signal);
    if (code)
        return code;
    if (signal.change == WW_CHANGE_NONE)
        return take_first(peer, &signal);
    if (strcmp(signal.tag, peer->change.tag) != 0)
        return WW_ENOTFOUND;
    if (signal.change == WW_CHANGE_ATTEMPT)
        return take_attempt(peer, &signal);
    if (signal.change == WW_CHANGE_LOST)
        ww_change_asked(peer, signal.generation);
    else if (peer->config.role == WW_PEER_CLIENT && (!peer->connected || ww_change_is_wanted(peer)))
        ww_peer_fail(peer, WW_ECLOSED);
    return 0;
}
