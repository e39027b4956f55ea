/* A peer's datagrams: which way they go (our own socket, libnice, or held until there is a path)
 * and what comes in. DTLS is above, the lane and libnice below. Never calls the user.
 */
#include <string.h>

#include "carrier.h"
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
    if (!ww_ice_send(peer->route->ice, datagram, size)) {
        peer->counters.dropped++;
        return;
    }
    peer->counters.datagrams_sent++;
    peer->counters.bytes_sent += size;
}

/* Only the fast lane makes such, and only while there is a lane. */
static void send_wide(struct ww_peer *peer, const uint8_t *record, size_t size)
{
    uint8_t head[WW_PIECE_HEAD];
    unsigned count;
    size_t each = ww_pieces_cut(size, peer->datagram_bytes, &count);
    ww_pieces_head(&peer->pieces, size, head);
    ww_lane_send_pieces(peer->route->lane, head, sizeof head, record, size, each, count,
                        peer->sends_mark);
}

static void note_sent(struct ww_peer *peer)
{
    ww_change_sent(peer);
    ww_marks_sent(&peer->marks, peer->sends_mark, ww_loop_now_us(peer->net->loop));
}

void ww_transport_output(struct ww_peer *peer, const uint8_t *datagram, size_t size)
{
    struct ww_route *route = peer->route;
    bool is_wide = peer->datagram_bytes && size > peer->datagram_bytes && !peer->sends_alone;
    note_sent(peer);
    if (!route || peer->change.lost_us || (is_wide && !route->lane)) {
        peer->counters.dropped++; /* RFC 7675 5.1: not without consent. SCTP sends it again. */
    } else if (is_wide) {
        send_wide(peer, datagram, size);
        ww_net_touch(peer);
    } else if (route->lane) {
        ww_lane_send(route->lane, datagram, size, peer->sends_mark, peer->sends_alone);
        ww_net_touch(peer);
    } else if (route->has_pair) {
        send_by_ice(peer, datagram, size);
    } else {
        hold(peer, datagram, size);
    }
}

bool ww_transport_seal(struct ww_peer *peer, const uint8_t *record, size_t size)
{
    if (!peer->loan)
        return ww_dtls_send(peer->dtls, record, size);
    note_sent(peer);
    ww_loan_send(peer, record, size);
    ww_net_touch(peer);
    return true;
}

bool ww_transport_has_room(const struct ww_peer *peer)
{
    const struct ww_route *route = peer->route;
    if (peer->loan)
        return ww_loan_has_room(peer->loan);
    return route && route->has_pair && !peer->change.lost_us &&
           (!route->lane || ww_lane_has_room(route->lane));
}

void ww_transport_flush(struct ww_peer *peer)
{
    if (peer->loan)
        ww_port_publish_out(peer->loan->carrier->port);
    else if (peer->route && peer->route->lane)
        ww_lane_flush(peer->route->lane);
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

static void receive(struct ww_route *route, const uint8_t *data, size_t size, enum ww_ecn mark)
{
    struct ww_peer *peer = route->peer;
    struct ww_gather datagram = {.at = &data, .each = size, .size = size};
    if (!peer->dtls || peer->fail_code || size == 0)
        return;
    if (data[0] == WW_PIECE_KIND && !ww_pieces_input(&peer->pieces, data, size, &datagram, &mark))
        return;
    peer->hearing = route;
    peer->hears_mark = mark;
    int code = ww_dtls_input(peer->dtls, &datagram);
    peer->hearing = NULL;
    peer->hears_mark = WW_ECN_NONE;
    if (code)
        ww_peer_fail(peer, code);
    else if (!peer->connected)
        ww_peer_arm_dtls_timer(peer);
}

void ww_transport_input(struct ww_route *route, const uint8_t *data, size_t size, size_t each,
                        enum ww_ecn mark)
{
    struct ww_peer *peer = route->peer;
    peer->net->active_us = ww_loop_now_us(peer->net->loop);
    ww_loan_recall(peer); /* it came by another path than the one that is lent */
    for (size_t done = 0; done < size; done += each)
        receive(route, data + done, WW_MIN(each, size - done), mark);
    ww_pieces_keep(&peer->pieces);
}

void ww_transport_opened(struct ww_peer *peer, uint8_t *plaintext, size_t size, enum ww_ecn mark)
{
    if (!peer->dtls || !peer->route || peer->fail_code)
        return;
    peer->net->active_us = ww_loop_now_us(peer->net->loop);
    peer->hearing = peer->route;
    peer->hears_mark = mark;
    ww_peer_opened(peer, plaintext, size);
    peer->hearing = NULL;
    peer->hears_mark = WW_ECN_NONE;
}

/* --- path ----------------------------------------------------------------------------------------
 */

size_t ww_transport_least_bytes(const struct ww_peer *peer)
{
    if (peer->net->config.allow_jumbo && peer->remote_datagram_bytes > WW_DATAGRAM_BYTES &&
        ww_address_is_loopback(&peer->route->pair.local) &&
        ww_address_is_loopback(&peer->route->pair.remote))
        return WW_MIN(peer->remote_datagram_bytes, WW_DATAGRAM_BYTES_MOST);
    return WW_DATAGRAM_BYTES;
}

/* Only on our own socket, which doesn't let the kernel cut datagrams. */
size_t ww_transport_most_bytes(const struct ww_peer *peer)
{
    const struct ww_route *route = peer->route;
    if (!route || !route->lane || peer->net->config.loopback_only)
        return 0;
    size_t heads = route->pair.remote.any.sa_family == AF_INET6 ? 48 : 28;
    size_t link = ww_addresses_link_bytes(&route->pair.remote);
    return link > heads ? WW_MIN(link - heads, (size_t)WW_DATAGRAM_BYTES_MOST) : 0;
}

void ww_transport_start(struct ww_peer *peer)
{
    peer->datagram_bytes = ww_transport_least_bytes(peer);
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
    ww_route_destroy(peer->route);
    ww_route_destroy(peer->next);
    ww_route_destroy(peer->left);
    peer->route = peer->next = peer->left = NULL;
    ww_pieces_release(&peer->pieces);
    for (unsigned i = 0; i < peer->early_count; i++)
        ww_free(peer->early[i].data);
    peer->early_count = 0;
}
