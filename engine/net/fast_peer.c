/* A peer's fast lane: the state machine of fast.h between DTLS and the user. It is there when both
 * sides offered it in their signals. As everywhere in this room the user is only called in the
 * peer's turn.
 */
#include <string.h>

#include "fast.h"
#include "internal.h"

/* To one peer in one turn, so that the others get theirs. */
#define MESSAGES_PER_TURN  128
#define DATAGRAMS_PER_TURN 1024

static bool on_record(void *arg, const uint8_t *record, size_t size)
{
    struct ww_peer *peer = arg;
    return ww_transport_has_room(peer) && ww_dtls_send(peer->dtls, record, size);
}

static size_t record_bytes(const struct ww_peer *peer)
{
    return (peer->datagram_bytes ? peer->datagram_bytes : WW_DATAGRAM_BYTES) - WW_DTLS_OVERHEAD;
}

static void on_timer(void *arg)
{
    ww_net_touch(arg);
}

int ww_peer_fast_start(struct ww_peer *peer)
{
    static const struct ww_fast_callbacks CALLBACKS = {.record = on_record};
    if (!peer->net->config.allow_fast || !peer->remote_fast || peer->config.allow_any_fingerprint)
        return 0;
    int code = ww_timer_create(peer->net->loop, on_timer, peer, &peer->fast_timer);
    if (!code)
        code = ww_fast_create(record_bytes(peer), &CALLBACKS, peer, &peer->fast);
    return code;
}

void ww_peer_fast_stop(struct ww_peer *peer)
{
    /* What was sent in this turn goes, as it would by SCTP. */
    if (peer->fast && peer->connected)
        ww_fast_output(peer->fast, ww_loop_now_us(peer->net->loop));
    ww_fast_destroy(peer->fast);
    peer->fast = NULL;
    ww_timer_destroy(peer->fast_timer);
    peer->fast_timer = NULL;
}

void ww_peer_fast_input(struct ww_peer *peer, const uint8_t *record, size_t size)
{
    if (!peer->fast)
        return;
    int code = ww_fast_input(peer->fast, record, size, ww_loop_now_us(peer->net->loop));
    if (code)
        ww_peer_fail(peer, code);
    ww_net_touch(peer);
}

void ww_peer_fast_path(struct ww_peer *peer)
{
    if (peer->fast)
        ww_fast_path(peer->fast, record_bytes(peer), ww_loop_now_us(peer->net->loop));
}

bool ww_peer_fast_take(struct ww_peer *peer)
{
    const uint8_t *data;
    size_t size;
    int code = 0, left;
    for (left = MESSAGES_PER_TURN; left && ww_fast_take(peer->fast, &data, &size, &code); left--) {
        if (peer->callbacks.message)
            peer->callbacks.message(peer->arg, data, size);
        if (peer->destroyed)
            return false;
    }
    if (code)
        ww_peer_fail(peer, code);
    bool has_more = left == 0;
    for (left = DATAGRAMS_PER_TURN; left && ww_fast_take_datagram(peer->fast, &data, &size);
         left--) {
        if (peer->callbacks.datagram)
            peer->callbacks.datagram(peer->arg, data, size);
        if (peer->destroyed)
            return false;
    }
    if (ww_fast_is_writable(peer->fast) && peer->callbacks.writable)
        peer->callbacks.writable(peer->arg);
    return has_more || left == 0;
}

void ww_peer_fast_output(struct ww_peer *peer)
{
    uint64_t now_us = ww_loop_now_us(peer->net->loop);
    if (!peer->fast || !peer->connected || peer->fail_code)
        return;
    uint64_t next_us = ww_fast_output(peer->fast, now_us);
    if (next_us == UINT64_MAX)
        ww_timer_stop(peer->fast_timer);
    else
        ww_timer_start(peer->fast_timer, next_us > now_us ? next_us - now_us : 0);
}

/* --- the public functions ------------------------------------------------------------------------
 */

bool ww_peer_has_fast(const struct ww_peer *peer)
{
    return peer->fast != NULL;
}

static int check(const struct ww_peer *peer)
{
    if (peer->closed || peer->fail_code)
        return WW_ECLOSED;
    return peer->fast && peer->connected ? 0 : WW_EUNSUPPORTED;
}

int ww_peer_send(struct ww_peer *peer, const uint8_t *head, size_t head_size,
                 const uint8_t *payload, size_t payload_size)
{
    int code = check(peer);
    if (code)
        return code;
    ww_net_touch(peer);
    return ww_fast_write(peer->fast, head, head_size, payload, payload_size);
}

int ww_peer_send_datagram(struct ww_peer *peer, const uint8_t *head, size_t head_size,
                          const uint8_t *payload, size_t payload_size)
{
    int code = check(peer);
    if (code)
        return code;
    ww_net_touch(peer);
    return ww_fast_datagram(peer->fast, head, head_size, payload, payload_size);
}
