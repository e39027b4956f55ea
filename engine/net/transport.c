/* A peer's datagrams: which way they go (our own socket, libnice, or held until there is a path)
 * and what comes in. DTLS is above, the lane and libnice below. Never calls the user.
 */
#include <string.h>

#include "internal.h"

/* --- out ------------------------------------------------------------------------------------ */

/* A first flight that is sent before a pair is selected is lost and costs a timeout: hold it. */
static void hold(struct ww_peer *peer, const uint8_t *datagram, size_t size)
{
    struct ww_early_datagram *early;
    if (peer->early_count == WW_PEER_EARLY_DATAGRAMS_MAX)
        return;
    early = &peer->early[peer->early_count];
    early->data = ww_alloc(1, size);
    if (!early->data)
        return;
    memcpy(early->data, datagram, size);
    early->size = size;
    peer->early_count++;
}

static void send_by_ice(struct ww_peer *peer, const uint8_t *datagram, size_t size)
{
    if (!ww_ice_send(peer->ice, datagram, size)) {
        peer->counters.dropped++;
        return;
    }
    peer->counters.datagrams_sent++;
    peer->counters.bytes_sent += size;
}

void ww_transport_output(struct ww_peer *peer, const uint8_t *datagram, size_t size)
{
    if (peer->lane) {
        ww_lane_send(peer->lane, datagram, size);
        ww_net_touch(peer);
    } else if (peer->has_pair) {
        send_by_ice(peer, datagram, size);
    } else {
        hold(peer, datagram, size);
    }
}

void ww_transport_flush(struct ww_peer *peer)
{
    if (peer->lane)
        ww_lane_flush(peer->lane);
}

static void send_early(struct ww_peer *peer)
{
    for (unsigned i = 0; i < peer->early_count; i++) {
        ww_transport_output(peer, peer->early[i].data, peer->early[i].size);
        ww_free(peer->early[i].data);
    }
    peer->early_count = 0;
}

/* --- in --------------------------------------------------------------------------------------- */

void ww_transport_input(struct ww_peer *peer, const uint8_t *datagram, size_t size)
{
    if (!peer->dtls || peer->fail_code)
        return;
    peer->net->active_us = ww_loop_now_us(peer->net->loop);
    int code = ww_dtls_input(peer->dtls, datagram, size);
    if (code)
        ww_peer_fail(peer, code);
    else if (!peer->connected)
        ww_peer_arm_dtls_timer(peer);
}

static void on_lane_datagram(void *arg, uint8_t *data, size_t size)
{
    ww_transport_input(arg, data, size);
}

static void on_lane_batch_end(void *arg)
{
    struct ww_peer *peer = arg;
    /* Acknowledgements go before the user is called, who may take his time. */
    ww_transport_flush(peer);
}

/* --- path ----------------------------------------------------------------------------------------
 */

static void close_lane(struct ww_peer *peer)
{
    struct ww_lane_counters counters;
    if (!peer->lane)
        return;
    ww_lane_flush(peer->lane);
    ww_lane_counters(peer->lane, &counters);
    peer->counters.datagrams_sent += counters.datagrams_sent;
    peer->counters.datagrams_received += counters.datagrams_received;
    peer->counters.bytes_sent += counters.bytes_sent;
    peer->counters.bytes_received += counters.bytes_received;
    peer->counters.dropped += counters.dropped;
    ww_lane_destroy(peer->lane);
    peer->lane = NULL;
}

static bool is_same_pair(const struct ww_ice_pair *a, const struct ww_ice_pair *b)
{
    return a->ready == b->ready && memcmp(&a->local, &b->local, sizeof a->local) == 0 &&
           memcmp(&a->remote, &b->remote, sizeof a->remote) == 0;
}

static size_t choose_datagram_bytes(const struct ww_peer *peer)
{
    if (peer->net->config.allow_jumbo && peer->remote_datagram_bytes > WW_DATAGRAM_BYTES &&
        ww_address_is_loopback(&peer->pair.local) && ww_address_is_loopback(&peer->pair.remote))
        return WW_MIN(peer->remote_datagram_bytes, WW_JUMBO_DATAGRAM_BYTES);
    return WW_DATAGRAM_BYTES;
}

void ww_transport_set_pair(struct ww_peer *peer, const struct ww_ice_pair *pair)
{
    static const struct ww_lane_callbacks LANE = {.datagram = on_lane_datagram,
                                                  .batch_end = on_lane_batch_end};
    bool first = !peer->has_pair;
    if (!first && is_same_pair(&peer->pair, pair))
        return;
    peer->pair = *pair;
    peer->pair.fd = -1;
    peer->has_pair = true;
    if (pair->fd >= 0)
        ww_lane_raise_buffers(pair->fd);
    close_lane(peer);
    if (peer->net->config.allow_bypass && pair->ready && pair->is_udp && pair->fd >= 0 &&
        pair->kind != WW_PATH_RELAY)
        ww_lane_create(peer->net->loop, pair->fd, &pair->remote, &LANE, peer, &peer->lane);
    if (!first)
        return;
    peer->datagram_bytes = choose_datagram_bytes(peer);
    send_early(peer);
    if (!peer->is_dtls_server) {
        int code = ww_dtls_start(peer->dtls);
        if (code)
            ww_peer_fail(peer, code);
    }
    ww_peer_arm_dtls_timer(peer);
}

void ww_transport_close(struct ww_peer *peer)
{
    close_lane(peer);
    for (unsigned i = 0; i < peer->early_count; i++)
        ww_free(peer->early[i].data);
    peer->early_count = 0;
    peer->has_pair = false;
}
