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

static void send_credentials(struct ww_peer *peer, const struct ww_ice_event *event)
{
    struct ww_signal signal;
    memset(&signal, 0, sizeof signal);
    memcpy(signal.ufrag, event->local.ufrag, sizeof signal.ufrag);
    memcpy(signal.password, event->local.password, sizeof signal.password);
    memcpy(signal.fingerprint, ww_dtls_context_fingerprint(peer->net->dtls_context),
           sizeof signal.fingerprint);
    signal.has_fingerprint = true;
    signal.setup = peer->is_dtls_server ? WW_SETUP_PASSIVE : WW_SETUP_ACTIVE;
    if (peer->net->config.allow_jumbo)
        signal.datagram_bytes = WW_JUMBO_DATAGRAM_BYTES;
    send_signal(peer, &signal);
}

static void send_candidate(struct ww_peer *peer, const struct ww_candidate *candidate)
{
    struct ww_signal signal;
    /* What we'd refuse we don't send: link-local addresses need the other side's scope. */
    if (!ww_candidate_is_allowed(candidate, peer->net->config.loopback_only))
        return;
    memset(&signal, 0, sizeof signal);
    signal.candidates[signal.candidate_count++] = *candidate;
    send_signal(peer, &signal);
}

static void send_end_of_candidates(struct ww_peer *peer)
{
    struct ww_signal signal;
    memset(&signal, 0, sizeof signal);
    signal.end_of_candidates = true;
    send_signal(peer, &signal);
}

void ww_peer_on_ice(struct ww_peer *peer, struct ww_ice_event *event)
{
    switch (event->kind) {
    case WW_ICE_LOCAL:
        send_credentials(peer, event);
        break;
    case WW_ICE_CANDIDATE:
        send_candidate(peer, &event->candidate);
        break;
    case WW_ICE_GATHERED:
        send_end_of_candidates(peer);
        break;
    case WW_ICE_PAIR:
        if (peer->dtls)
            ww_transport_set_pair(peer, &event->pair);
        break;
    case WW_ICE_FAILED:
        ww_peer_fail(peer, WW_EICE);
        break;
    case WW_ICE_DATA:
        peer->counters.datagrams_received++;
        peer->counters.bytes_received += event->size;
        ww_transport_input(peer, event->data, event->size);
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

static int use_credentials(struct ww_peer *peer, const struct ww_signal *signal)
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
    return ww_ice_remote_credentials(peer->ice, signal->ufrag, signal->password);
}

static int use_candidates(struct ww_peer *peer, const struct ww_signal *signal)
{
    for (unsigned i = 0; i < signal->candidate_count; i++) {
        const struct ww_candidate *candidate = &signal->candidates[i];
        if (peer->remote_candidates == WW_CANDIDATES_MAX)
            return WW_ELIMIT;
        peer->remote_candidates++;
        if (!ww_candidate_is_allowed(candidate, peer->net->config.loopback_only))
            continue;
        int code = ww_ice_remote_candidate(peer->ice, candidate);
        if (code)
            return code;
    }
    return signal->candidates_over ? WW_ELIMIT : 0;
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
    if (is_conflict(peer, &signal))
        return WW_ECONFLICT;
    /* Candidates mean nothing before the credentials that they belong to. */
    if (signal.ufrag[0] == '\0' && !peer->remote_ufrag)
        return WW_EMALFORMED;
    if (signal.ufrag[0] != '\0') {
        code = use_credentials(peer, &signal);
        if (code)
            return code;
    }
    code = use_candidates(peer, &signal);
    if (code)
        return code;
    return signal.end_of_candidates ? ww_ice_remote_done(peer->ice) : 0;
}
