/* An ICE agent and the path that it found: its pair, and the lane on it. Knows nothing of the
 * others that its peer may have; change.c decides which of them is used.
 */
#include <string.h>

#include "carrier.h"
#include "internal.h"

int ww_route_create(struct ww_peer *peer, uint32_t generation, struct ww_route **route)
{
    int code;
    struct ww_route *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->peer = peer;
    made->generation = generation;
    made->id = ww_net_next_id(peer->net, peer);
    code = ww_ice_create(peer->net->ice_thread, made->id, peer->config.role == WW_PEER_CLIENT,
                         &made->ice);
    if (code) {
        ww_free(made);
        return code;
    }
    *route = made;
    return 0;
}

void ww_route_add_counters(const struct ww_route *route, struct ww_lane_counters *sum)
{
    struct ww_lane_counters counters;
    if (!route || !route->lane)
        return;
    if (route->peer->loan && route == route->peer->route)
        ww_loan_counters(route->peer->loan, &counters);
    else
        ww_lane_counters(route->lane, &counters);
    sum->datagrams_sent += counters.datagrams_sent;
    sum->datagrams_received += counters.datagrams_received;
    sum->bytes_sent += counters.bytes_sent;
    sum->bytes_received += counters.bytes_received;
    sum->dropped += counters.dropped;
}

static void close_lane(struct ww_route *route)
{
    if (!route->lane)
        return;
    if (route == route->peer->route)
        ww_loan_recall(route->peer);
    ww_lane_flush(route->lane);
    ww_route_add_counters(route, &route->peer->counters);
    ww_lane_destroy(route->lane);
    route->lane = NULL;
}

void ww_route_destroy(struct ww_route *route)
{
    if (!route)
        return;
    close_lane(route);
    ww_ice_destroy(route->ice);
    ww_free(route->remote_ufrag);
    ww_free(route->remote_password);
    ww_free(route);
}

struct ww_route *ww_route_find(struct ww_peer *peer, uint64_t id)
{
    struct ww_route *const routes[] = {peer->route, peer->next, peer->left};
    for (size_t i = 0; i < WW_ARRAY_COUNT(routes); i++) {
        if (routes[i] && routes[i]->id == id)
            return routes[i];
    }
    return NULL;
}

struct ww_route *ww_route_of(struct ww_peer *peer, uint32_t generation)
{
    struct ww_route *const routes[] = {peer->route, peer->next, peer->left};
    for (size_t i = 0; i < WW_ARRAY_COUNT(routes); i++) {
        if (routes[i] && routes[i]->generation == generation)
            return routes[i];
    }
    return NULL;
}

static bool is_same_pair(const struct ww_ice_pair *a, const struct ww_ice_pair *b)
{
    return a->ready == b->ready && memcmp(&a->local, &b->local, sizeof a->local) == 0 &&
           memcmp(&a->remote, &b->remote, sizeof a->remote) == 0;
}

static void on_lane_datagrams(void *arg, const uint8_t *data, size_t size, size_t each,
                              enum ww_ecn mark)
{
    ww_transport_input(arg, data, size, each, mark);
}

static void on_lane_batch_end(void *arg)
{
    const struct ww_route *route = arg;
    /* Acknowledgements go before the user is called, who may take his time. */
    ww_transport_flush(route->peer);
    if (route->peer->fast)
        ww_net_touch(route->peer); /* it may have waited for room */
}

bool ww_route_set_pair(struct ww_route *route, const struct ww_ice_pair *pair)
{
    static const struct ww_lane_callbacks LANE = {.datagrams = on_lane_datagrams,
                                                  .batch_end = on_lane_batch_end};
    struct ww_peer *peer = route->peer;
    if (route->has_pair && is_same_pair(&route->pair, pair))
        return false;
    route->pair = *pair;
    route->pair.fd = -1;
    route->has_pair = true;
    route->no_consent = false;
    if (pair->fd >= 0)
        ww_lane_raise_buffers(pair->fd);
    if (!peer->net->addresses ||
        !ww_addresses_source(peer->net->loop, &pair->remote, &route->source))
        memset(&route->source, 0, sizeof route->source);
    close_lane(route);
    if (peer->net->config.allow_bypass && pair->ready && pair->is_udp && pair->fd >= 0 &&
        pair->kind != WW_PATH_RELAY)
        ww_lane_create(peer->net->lanes, pair->fd, &pair->remote, &LANE, route, &route->lane);
    return true;
}
