/* A change of path: a second ICE agent is signalled while DTLS, SCTP and the channels stay; when it
 * has a pair, datagrams go over it, and the first agent is taken down a moment later.
 *
 * Only the client (ICE-controlling) starts an attempt; a server whose path is lost asks for one.
 * Attempts are numbered, and each text of theirs carries association, number and credentials, so
 * texts may come late, twice, out of order or not at all. A timer runs only while something is
 * under way. It must never send without consent, and never end a peer before WW_PATH_GIVE_UP_MS.
 */
#include <string.h>

#include "carrier.h"
#include "fast.h"
#include "internal.h"

#define TICK_US    100000
#define OFFERS_MAX 8
/* One that was lost is no silence, however long ago it was. */
#define UNANSWERED_MIN 3
/* Without consent: nothing was heard for so long, so the other side is asked, and so often. */
#define BEAT_AFTER_US 1000000
#define BEAT_EVERY_US 200000
#define US(ms)        ((uint64_t)(ms)*1000)

static bool is_client(const struct ww_peer *peer)
{
    return peer->config.role == WW_PEER_CLIENT;
}

/* Another implementation would not understand. */
static bool can_change(const struct ww_peer *peer)
{
    return peer->connected && !peer->fail_code && !peer->closed && !peer->destroyed &&
           !peer->config.allow_any_fingerprint && peer->change.tag[0] != '\0';
}

static uint64_t age_us(const struct ww_peer *peer, uint64_t since_us)
{
    uint64_t now_us = ww_loop_now_us(peer->net->loop);
    return now_us > since_us ? now_us - since_us : 0;
}

static bool is_looking(const struct ww_peer *peer)
{
    return peer->change.lost_us || peer->change.wanted_us;
}

bool ww_change_is_wanted(const struct ww_peer *peer)
{
    return is_looking(peer) || peer->next;
}

static void count_anew(struct ww_peer *peer)
{
    peer->change.unanswered_us = 0;
    peer->change.unanswered = 0;
}

static void drop_attempt(struct ww_peer *peer)
{
    ww_route_destroy(peer->next);
    peer->next = NULL;
}

static void look_soon(struct ww_peer *peer)
{
    ww_timer_start(peer->change.timer, 0);
}

static void want(struct ww_peer *peer, bool again)
{
    if (!peer->change.wanted_us)
        peer->change.wanted_us = ww_loop_now_us(peer->net->loop);
    peer->change.again |= again;
    look_soon(peer);
}

/* --- the clock ------------------------------------------------------------------------------ */

static void start_attempt(struct ww_peer *peer)
{
    struct ww_change *change = &peer->change;
    drop_attempt(peer);
    change->again = false;
    change->attempt_us = ww_loop_now_us(peer->net->loop);
    if (change->generation == UINT32_MAX)
        return;
    int code = ww_route_create(peer, change->generation + 1, &peer->next);
    if (code)
        ww_log(WW_LOG_WARN, "net", "no second agent for now", "code=%s", ww_error_name(code));
    else
        change->generation++;
}

static bool is_attempt_due(const struct ww_peer *peer)
{
    const struct ww_change *change = &peer->change;
    uint64_t least_us = US(is_client(peer) || change->again ? WW_PATH_RETRY_MS : WW_PATH_ASK_MS);
    return is_looking(peer) && (!peer->next || change->again) &&
           age_us(peer, change->attempt_us) >= least_us;
}

/* Libnice takes consent for lost after 10 s, that is after two checks in a row without an answer:
 * on a line that loses every third datagram it does so every 15 s. What DTLS takes from the path
 * says more than an answer to a check. Where nothing else is on its way the other side is asked,
 * and has a moment to answer. Only the lane: libnice itself doesn't send without its consent. */
static bool is_alive(const struct ww_route *route)
{
    const struct ww_peer *peer = route->peer;
    return route->lane &&
           ((route->heard_us && age_us(peer, route->heard_us) < US(WW_PATH_SILENCE_MS)) ||
            age_us(peer, peer->change.doubt_us) < US(WW_PATH_DOUBT_MS));
}

static void ask_for_life(struct ww_peer *peer)
{
    struct ww_change *change = &peer->change;
    if (!peer->sctp || age_us(peer, peer->route->heard_us) < BEAT_AFTER_US ||
        age_us(peer, change->beat_us) < BEAT_EVERY_US)
        return;
    change->beat_us = ww_loop_now_us(peer->net->loop);
    ww_sctp_beat(peer->sctp);
}

static void lose(struct ww_peer *peer)
{
    struct ww_change *change = &peer->change;
    ww_loan_recall(peer);
    change->lost_us = ww_loop_now_us(peer->net->loop);
    change->tell[WW_PATH_IS_LOST] = true;
    ww_net_touch(peer);
    ww_log(WW_LOG_INFO, "net", "a peer's path is lost", "attempt=%u", peer->route->generation);
    /* The client has mostly lost it, too, and its attempt is on the way: ask a little later. */
    if (!is_client(peer))
        change->attempt_us = change->lost_us;
    want(peer, !is_client(peer));
}

/* What is over by now. False when the peer is. */
static bool expire(struct ww_peer *peer)
{
    struct ww_change *change = &peer->change;
    uint64_t give_up_us = US(peer->config.path_ms ? peer->config.path_ms : WW_PATH_GIVE_UP_MS);
    if (change->lost_us && age_us(peer, change->lost_us) >= give_up_us) {
        ww_peer_fail(peer, WW_EICE);
        return false;
    }
    if (!change->lost_us && change->wanted_us && age_us(peer, change->wanted_us) >= give_up_us) {
        ww_log(WW_LOG_INFO, "net", "no other path was found", "attempts=%u", change->generation);
        change->wanted_us = 0;
    }
    if (peer->route->no_consent && !change->lost_us) {
        if (is_alive(peer->route))
            ask_for_life(peer);
        else
            lose(peer);
    }
    if (peer->left && age_us(peer, change->left_us) >= US(WW_PATH_LEAVE_MS)) {
        ww_route_destroy(peer->left);
        peer->left = NULL;
    }
    if (peer->next && age_us(peer, change->attempt_us) >= US(WW_PATH_ATTEMPT_MS))
        drop_attempt(peer);
    return true;
}

void ww_change_tick(void *arg)
{
    struct ww_peer *peer = arg;
    if (peer->fail_code || !expire(peer))
        return;
    bool due = is_attempt_due(peer);
    if (due && is_client(peer))
        start_attempt(peer);
    if (ww_change_is_wanted(peer) || peer->left || peer->route->no_consent)
        ww_timer_start(peer->change.timer, TICK_US);
    if (due && !is_client(peer)) {
        peer->change.again = false;
        peer->change.attempt_us = ww_loop_now_us(peer->net->loop);
        ww_peer_send_change(peer, WW_CHANGE_LOST); /* last: it may destroy the peer */
    }
}

/* --- what the agents report ------------------------------------------------------------------- */

static void move(struct ww_peer *peer)
{
    struct ww_change *change = &peer->change;
    char local[WW_SOCKADDR_TEXT_SIZE], remote[WW_SOCKADDR_TEXT_SIZE];
    uint64_t lost_us = change->lost_us ? age_us(peer, change->lost_us) : 0;
    ww_loan_recall(peer);
    ww_route_destroy(peer->left);
    peer->left = peer->route;
    peer->route = peer->next;
    peer->next = NULL;
    change->left_us = ww_loop_now_us(peer->net->loop);
    change->lost_us = change->wanted_us = 0;
    change->again = false;
    change->changes++;
    memset(change->tell, 0, sizeof change->tell);
    change->tell[WW_PATH_HAS_CHANGED] = true;
    ww_doubt_heard(&change->doubt);
    count_anew(peer);
    if (peer->sctp)
        ww_sctp_forget_path(peer->sctp, ww_loop_now_us(peer->net->loop));
    ww_peer_fast_path(peer);
    memset(&change->source, 0, sizeof change->source);
    ww_net_touch(peer);
    ww_address_format(&peer->route->pair.local, local);
    ww_address_format(&peer->route->pair.remote, remote);
    ww_log(WW_LOG_INFO, "net", "a peer's path has changed",
           "attempt=%u local=%s remote=%s lost_ms=%llu", peer->route->generation, local, remote,
           (unsigned long long)(lost_us / 1000));
    look_soon(peer);
}

void ww_change_pair(struct ww_peer *peer, struct ww_route *route, const struct ww_ice_pair *pair)
{
    bool is_first = !route->has_pair;
    if (route == peer->left || !ww_route_set_pair(route, pair))
        return;
    if (route == peer->next)
        move(peer);
    else if (is_first)
        ww_transport_start(peer);
    else if (route == peer->route)
        ww_peer_fast_path(peer);
}

void ww_change_failed(struct ww_peer *peer, struct ww_route *route)
{
    if (route == peer->next) {
        drop_attempt(peer);
        peer->change.again = true;
        look_soon(peer);
        return;
    }
    if (route != peer->route || peer->change.lost_us)
        return;
    if (!can_change(peer)) {
        /* The pair's check was answered less than connect_ms ago, and consent holds for 30 s (RFC
         * 7675 5.1): libnice only asks more often. */
        route->no_consent = !peer->connected && route->lane;
        if (!route->no_consent)
            ww_peer_fail(peer, WW_EICE);
        return;
    }
    route->no_consent = true;
    peer->change.doubt_us = ww_loop_now_us(peer->net->loop);
    if (is_alive(route))
        look_soon(peer);
    else
        lose(peer);
}

void ww_change_addresses(struct ww_peer *peer)
{
    struct ww_change *change = &peer->change;
    union ww_address source;
    if (!can_change(peer) ||
        !ww_addresses_source(peer->net->loop, &peer->route->pair.remote, &source))
        return; /* nowhere to go: another change will come, or consent is lost */
    if (memcmp(&source, &change->source, sizeof source) == 0)
        return; /* it is wanted already */
    if (!change->lost_us && memcmp(&source, &peer->route->source, sizeof source) == 0)
        return;
    change->source = source;
    ww_log(WW_LOG_INFO, "net", "this machine's address has changed", "attempt=%u",
           change->generation);
    want(peer, true);
}

void ww_change_turn(struct ww_peer *peer)
{
    struct ww_change *change = &peer->change;
    for (size_t i = 0; i < WW_PATH_EVENTS; i++) {
        bool is_due = change->tell[i];
        change->tell[i] = false;
        if (is_due && peer->callbacks.path && !peer->destroyed)
            peer->callbacks.path(peer->arg, (enum ww_path_event)i);
    }
}

void ww_change_connected(struct ww_peer *peer)
{
    if (!peer->route->no_consent)
        return;
    peer->change.doubt_us = ww_loop_now_us(peer->net->loop);
    look_soon(peer);
}

void ww_change_heard(struct ww_peer *peer)
{
    count_anew(peer);
    peer->hearing->heard_us = ww_loop_now_us(peer->net->loop);
    if (peer->change.lost_us || !ww_doubt_heard(&peer->change.doubt))
        return;
    peer->change.tell[WW_PATH_IS_HEARD] = true;
    ww_net_touch(peer);
}

/* A server's doubts would be of no use to it. */
void ww_change_awaits(struct ww_peer *peer)
{
    if (is_client(peer) && can_change(peer) && !peer->change.lost_us)
        ww_doubt_sent(&peer->change.doubt, ww_loop_now_us(peer->net->loop));
}

static void tell_level(struct ww_peer *peer)
{
    bool is_silent = peer->change.doubt.level == WW_DOUBT_SILENT;
    peer->change.tell[is_silent ? WW_PATH_IS_SILENT : WW_PATH_IS_DOUBTED] = true;
    ww_net_touch(peer);
    ww_log(WW_LOG_INFO, "net", is_silent ? "a peer's path is silent" : "a peer's path is in doubt",
           "attempt=%u", peer->route->generation);
}

bool ww_change_look(struct ww_peer *peer)
{
    struct ww_change *change = &peer->change;
    enum ww_doubt_level before = change->doubt.level;
    change->doubt.trip_us = ww_fast_trip_us(peer->fast);
    if (change->lost_us || !ww_transport_has_room(peer) ||
        !ww_doubt_look(&change->doubt, ww_loop_now_us(peer->net->loop)))
        return false;
    if (change->doubt.level != before)
        tell_level(peer);
    return true;
}

uint64_t ww_change_next_us(const struct ww_peer *peer)
{
    /* Without room the lane touches the peer, and a path that is lost is told of anew. */
    return !peer->change.lost_us && ww_transport_has_room(peer)
               ? ww_doubt_next_us(&peer->change.doubt)
               : UINT64_MAX;
}

void ww_peer_ask(struct ww_peer *peer)
{
    if (!peer->fast || !can_change(peer) || peer->change.lost_us)
        return;
    ww_doubt_ask(&peer->change.doubt, ww_loop_now_us(peer->net->loop));
    ww_net_touch(peer);
}

uint64_t ww_peer_heard_us(const struct ww_peer *peer)
{
    return peer->route ? peer->route->heard_us : 0;
}

/* A NAT that has given the client another port answers its checks, so consent holds at the client,
 * while nothing of the server's gets through. SCTP sends again every few seconds: this is called.
 */
void ww_change_sent(struct ww_peer *peer)
{
    struct ww_change *change = &peer->change;
    uint64_t now_us = ww_loop_now_us(peer->net->loop);
    /* The last acknowledgements of a talk are never answered: after a pause it counts anew. */
    if (now_us - change->sent_us >= US(WW_PATH_SILENCE_MS) - TICK_US)
        count_anew(peer);
    change->sent_us = now_us;
    if (change->unanswered++ == 0)
        change->unanswered_us = now_us;
    if (change->unanswered < UNANSWERED_MIN || is_looking(peer) || !can_change(peer) ||
        age_us(peer, change->unanswered_us) < US(WW_PATH_SILENCE_MS))
        return;
    count_anew(peer); /* from now on anew */
    if (change->doubt.level != WW_DOUBT_SILENT) {
        change->doubt.level = WW_DOUBT_SILENT;
        tell_level(peer);
    }
    want(peer, true);
}

/* --- what the other side says -------------------------------------------------------------------
 */

/* Each agent costs sockets: a client gets one a second, and a few at once, as they come when
 * signals were held up. */
static bool may_offer(struct ww_peer *peer)
{
    struct ww_change *change = &peer->change;
    uint64_t refills = age_us(peer, change->offers_us) / US(WW_PATH_RETRY_MS);
    if (refills > 0) {
        change->offers_left = (unsigned)WW_MIN(change->offers_left + refills, OFFERS_MAX);
        change->offers_us = ww_loop_now_us(peer->net->loop);
    }
    if (change->offers_left == 0)
        return false;
    change->offers_left--;
    return true;
}

struct ww_route *ww_change_offered(struct ww_peer *peer, uint32_t generation)
{
    struct ww_change *change = &peer->change;
    if (is_client(peer) || !can_change(peer) || generation <= change->generation)
        return NULL;
    if (!may_offer(peer))
        return NULL;
    drop_attempt(peer);
    if (ww_route_create(peer, generation, &peer->next))
        return NULL;
    change->generation = generation;
    change->again = false;
    change->attempt_us = ww_loop_now_us(peer->net->loop);
    look_soon(peer);
    return peer->next;
}

void ww_change_asked(struct ww_peer *peer, uint32_t generation)
{
    const struct ww_change *change = &peer->change;
    if (!is_client(peer) || !can_change(peer) || generation < peer->route->generation ||
        generation > change->generation)
        return;
    /* The question and the attempt have met on the way. */
    if (peer->next && age_us(peer, change->attempt_us) < US(2 * WW_PATH_RETRY_MS))
        return;
    want(peer, true);
}

/* --- what the user says -------------------------------------------------------------------------
 */

void ww_peer_change_path(struct ww_peer *peer)
{
    if (can_change(peer))
        want(peer, true);
}

void ww_change_signals_again(struct ww_peer *peer)
{
    if (can_change(peer) && is_looking(peer))
        want(peer, true);
}
