/* The room: its libraries' process-wide parts, the table of peers by id, and the turn in which all
 * work towards the user is done. Relies on libevent for one thing: an event that runs after the
 * others of the same turn of the loop, so that what they sent goes out in one batch.
 */
#include <event2/event.h>
#include <malloc.h>
#include <string.h>

#include "carrier.h"
#include "internal.h"

/* SCTP's clock while packets move, and when nothing has for a while (its shortest timer of an
 * idle association is a heartbeat of 30 s). */
#define TICK_US       10000
#define IDLE_TICK_US  50000
#define IDLE_AFTER_US 1000000

/* --- peers by id ---------------------------------------------------------------------------- */

struct ww_peer *ww_net_find(struct ww_net *net, uint64_t id)
{
    uint32_t index = (uint32_t)id - 1;
    struct ww_peer *peer = index < WW_PEERS_MAX ? net->peers[index] : NULL;
    return peer && peer->id == id ? peer : NULL;
}

uint64_t ww_net_next_id(struct ww_net *net, const struct ww_peer *peer)
{
    return (uint64_t)++net->generation << 32 | (uint32_t)peer->id;
}

/* An agent's id has its peer's place. */
static struct ww_route *find_route(struct ww_net *net, uint64_t id)
{
    uint32_t index = (uint32_t)id - 1;
    struct ww_peer *peer = index < WW_PEERS_MAX ? net->peers[index] : NULL;
    return peer ? ww_route_find(peer, id) : NULL;
}

int ww_net_add(struct ww_net *net, struct ww_peer *peer)
{
    if (net->peer_count == WW_PEERS_MAX)
        return WW_ELIMIT;
    while (net->peers[net->next_index])
        net->next_index = (net->next_index + 1) % WW_PEERS_MAX;
    net->peers[net->next_index] = peer;
    net->peer_count++;
    peer->id = (uint64_t)++net->generation << 32 | (net->next_index + 1);
    return 0;
}

void ww_net_remove(struct ww_net *net, struct ww_peer *peer)
{
    net->peers[(uint32_t)peer->id - 1] = NULL;
    net->peer_count--;
    if (peer->is_dirty)
        TAILQ_REMOVE(&net->dirty, peer, dirty_entry);
    peer->is_dirty = false;
    TAILQ_INSERT_TAIL(&net->zombies, peer, dirty_entry);
}

/* --- turns ------------------------------------------------------------------------------------ */

static void make_turn_due(struct ww_net *net)
{
    if (net->turn_is_due)
        return;
    net->turn_is_due = true;
    /* Inside a turn the event would run again before the loop looks at its sockets. */
    if (net->in_turn)
        ww_timer_start(net->again, 0);
    else
        event_active(net->turn, EV_TIMEOUT, 0);
}

void ww_net_touch(struct ww_peer *peer)
{
    struct ww_net *net = peer->net;
    if (peer->is_dirty || peer->destroyed || peer == net->turning)
        return;
    peer->is_dirty = true;
    TAILQ_INSERT_TAIL(&net->dirty, peer, dirty_entry);
    make_turn_due(net);
}

static void free_zombies(struct ww_net *net)
{
    struct ww_peer *peer;
    struct ww_channel *channel;
    while ((channel = SLIST_FIRST(&net->channel_zombies))) {
        SLIST_REMOVE_HEAD(&net->channel_zombies, zombie_entry);
        ww_free(channel);
    }
    while ((peer = TAILQ_FIRST(&net->zombies))) {
        TAILQ_REMOVE(&net->zombies, peer, dirty_entry);
        ww_free(peer);
    }
}

static void run_turn(struct ww_net *net)
{
    struct ww_peer *peer, *last;
    net->turn_is_due = false;
    net->in_turn = true;
    /* One pass: who gets dirty during it waits until the sockets were looked at. */
    last = TAILQ_LAST(&net->dirty, ww_peer_list);
    uint64_t last_id = last ? last->id : 0;
    while ((peer = TAILQ_FIRST(&net->dirty))) {
        bool is_last = peer->id == last_id;
        TAILQ_REMOVE(&net->dirty, peer, dirty_entry);
        peer->is_dirty = false;
        net->turning = peer;
        bool has_more = ww_peer_turn(peer);
        net->turning = NULL;
        if (has_more)
            ww_net_touch(peer);
        if (is_last || !ww_net_find(net, last_id))
            break;
    }
    free_zombies(net);
    if (!TAILQ_EMPTY(&net->dirty))
        make_turn_due(net);
    net->in_turn = false;
}

static void on_turn(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    run_turn(arg);
}

static void on_again(void *arg)
{
    run_turn(arg);
}

/* --- what the lower parts call --------------------------------------------------------------- */

static void on_tick(void *arg)
{
    struct ww_net *net = arg;
    uint64_t now = ww_clock_mono_us();
    uint64_t elapsed_ms = (now - net->ticked_us) / 1000;
    net->ticked_us += elapsed_ms * 1000;
    ww_sctp_stack_tick((uint32_t)WW_MIN(elapsed_ms, 1000));
    ww_workers_follow(net->config.workers);
    ww_timer_start(net->tick, now - net->active_us > IDLE_AFTER_US ? IDLE_TICK_US : TICK_US);
}

static void on_ice_event(void *arg, struct ww_ice_event *event)
{
    struct ww_route *route = find_route(arg, event->id);
    if (route && !route->peer->closed && !route->peer->fail_code)
        ww_peer_on_ice(route->peer, route, event);
}

static void on_sctp_output(void *arg, uint64_t id, const uint8_t *packet, size_t size)
{
    struct ww_net *net = arg;
    struct ww_peer *peer = ww_net_find(net, id);
    if (!peer || !peer->dtls)
        return;
    net->active_us = ww_loop_now_us(net->loop);
    /* Both sides' first packets come before there is an association. */
    if (peer->sctp)
        ww_sctp_note_out(peer->sctp, packet, size, net->active_us);
    ww_transport_seal(peer, packet, size);
}

static void on_sctp_ready(void *arg, uint64_t id)
{
    struct ww_peer *peer = ww_net_find(arg, id);
    if (!peer)
        return;
    peer->sctp_ready = true;
    ww_net_touch(peer);
}

static void on_addresses(void *arg)
{
    struct ww_net *net = arg;
    for (unsigned i = 0; i < WW_PEERS_MAX; i++) {
        if (net->peers[i])
            ww_change_addresses(net->peers[i]);
    }
    if (net->config.addresses_changed)
        net->config.addresses_changed(net->config.arg);
}

/* --- life ----------------------------------------------------------------------------------------
 */

/* Process-wide: SCTP's buffers come and go by the megabyte. With glibc's defaults they go back to
 * the kernel at every pause and fault in again (measured: half of a receiver's speed). */
static void keep_freed_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

static int start(struct ww_net *net)
{
    static const struct ww_sctp_stack_callbacks SCTP = {.output = on_sctp_output,
                                                        .ready = on_sctp_ready};
    int code;
    keep_freed_memory();
    net->turn = event_new(ww_loop_base(net->loop), -1, 0, on_turn, net);
    if (!net->turn)
        return WW_ENOMEM;
    code = ww_timer_create(net->loop, on_again, net, &net->again);
    if (code)
        return code;
    code = ww_timer_create(net->loop, on_tick, net, &net->tick);
    if (code)
        return code;
    code = ww_lane_room_create(net->loop, &net->lanes);
    if (code)
        return code;
    code = ww_dtls_context_create(net->config.key, &net->dtls_context);
    if (code)
        return code;
    if (!net->config.loopback_only) {
        code = ww_addresses_watch(net->loop, on_addresses, net, &net->addresses);
        if (code == WW_ENOMEM)
            return code;
        if (code)
            ww_log(WW_LOG_INFO, "net", "changes of address are not watched", "code=%s",
                   ww_error_name(code));
    }
    code = ww_ice_thread_create(net->loop, &net->config, on_ice_event, net, &net->ice_thread);
    if (code)
        return code;
    ww_carriers_start(net);
    return ww_sctp_stack_open(&SCTP, net);
}

int ww_net_create(struct ww_loop *loop, const struct ww_net_config *config, struct ww_net **net)
{
    struct ww_net *made;
    int code;
    if (!config->key || config->port_min > config->port_max ||
        (config->allow_jumbo && !config->loopback_only))
        return WW_EINVAL;
    made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->loop = loop;
    made->config = *config;
    TAILQ_INIT(&made->dirty);
    TAILQ_INIT(&made->zombies);
    SLIST_INIT(&made->channel_zombies);
    if (config->stun_server) {
        made->stun_server = ww_strdup(config->stun_server);
        made->config.stun_server = made->stun_server;
        if (!made->stun_server) {
            ww_free(made);
            return WW_ENOMEM;
        }
    }
    code = start(made);
    if (code) {
        ww_net_destroy(made);
        return code;
    }
    made->ticked_us = ww_clock_mono_us();
    ww_timer_start(made->tick, IDLE_TICK_US);
    *net = made;
    return 0;
}

void ww_net_signals_again(struct ww_net *net)
{
    for (unsigned i = 0; i < WW_PEERS_MAX; i++) {
        if (net->peers[i])
            ww_change_signals_again(net->peers[i]);
    }
}

void ww_net_destroy(struct ww_net *net)
{
    if (!net)
        return;
    for (unsigned i = 0; i < WW_PEERS_MAX; i++)
        ww_peer_destroy(net->peers[i]);
    free_zombies(net);
    ww_carriers_stop(net);
    ww_sctp_stack_close(net);
    ww_ice_thread_destroy(net->ice_thread);
    ww_lane_room_destroy(net->lanes);
    ww_dtls_context_destroy(net->dtls_context);
    ww_addresses_destroy(net->addresses);
    ww_timer_destroy(net->tick);
    ww_timer_destroy(net->again);
    if (net->turn)
        event_free(net->turn);
    ww_free(net->stun_server);
    ww_free(net);
}
