/* What the loop's thread does with packet workers: lends them peers at the end of their turns,
 * calls back what something rare is to be done with, and takes what they have opened. Without
 * workers, or where one can't be had, a peer simply stays here.
 */
#include "carrier.h"
#include "internal.h"

#include <string.h>

/* A peer that was called back stays for a moment: what needed it may need it again. */
#define REST_US       250000
#define PUBLISH_BYTES 65536 /* as a batch: the worker can begin */

/* --- what the worker has opened --------------------------------------------------------------- */

static void take_news(struct ww_carrier *carrier)
{
    struct ww_loan *loan;
    LIST_FOREACH (loan, &carrier->loans, entry) {
        int code = atomic_load(&loan->news.code);
        if (code)
            ww_peer_fail(loan->peer, code);
        if (loan->waits && ww_loan_has_room(loan)) {
            loan->waits = false;
            ww_net_touch(loan->peer);
        }
    }
}

static void take_in(void *arg)
{
    struct ww_carrier *carrier = arg;
    struct ww_ring_head head;
    uint8_t *record;
    /* First: what is told of came after what was published before. */
    bool has_news = atomic_exchange(&carrier->has_news, false);
    ww_ring_look(ww_port_in(carrier->port));
    while ((record = ww_ring_take(ww_port_in(carrier->port), &head))) {
        struct ww_peer *peer = ww_net_find(carrier->net, head.owner);
        if (peer)
            ww_transport_opened(peer, record, head.size, (enum ww_ecn)head.kind);
    }
    if (has_news)
        take_news(carrier);
    if (atomic_load(&carrier->is_full))
        ww_worker_wake(carrier->worker);
}

/* --- out -------------------------------------------------------------------------------------- */

void ww_loan_send(struct ww_peer *peer, const uint8_t *record, size_t size)
{
    struct ww_carrier *carrier = peer->loan->carrier;
    const struct ww_ring_head head = {
        .owner = peer->id,
        .size = (uint32_t)size,
        .number = (uint16_t)peer->datagram_bytes,
        .kind = (uint8_t)peer->sends_mark,
        .flag = peer->sends_alone,
    };
    peer->counters.dropped += !ww_ring_put(ww_port_out(carrier->port), &head, record);
    if (ww_ring_unpublished(ww_port_out(carrier->port)) >= PUBLISH_BYTES)
        ww_port_publish_out(carrier->port);
}

static bool has_room(const struct ww_loan *loan)
{
    return ww_ring_has_room(ww_port_out(loan->carrier->port)) && atomic_load(&loan->news.has_room);
}

bool ww_loan_has_room(struct ww_loan *loan)
{
    if (has_room(loan))
        return true;
    ww_port_publish_out(loan->carrier->port);
    loan->waits = true;
    atomic_store(&loan->carrier->waits, true);
    return has_room(loan); /* it may have come before the worker saw that */
}

void ww_loan_counters(const struct ww_loan *loan, struct ww_lane_counters *counters)
{
    counters->datagrams_sent = atomic_load(&loan->news.datagrams_sent);
    counters->bytes_sent = atomic_load(&loan->news.bytes_sent);
    counters->datagrams_received = atomic_load(&loan->news.datagrams_received);
    counters->bytes_received = atomic_load(&loan->news.bytes_received);
    counters->dropped = atomic_load(&loan->news.dropped);
}

void ww_loan_counted(const struct ww_loan *loan, struct ww_pieces_report *counted)
{
    uint64_t pieces = atomic_load(&loan->news.pieces);
    counted->top = (uint32_t)(pieces >> 32);
    counted->whole = (uint32_t)pieces;
}

/* --- lending ------------------------------------------------------------------------------------
 */

/* What of a peer's pieces is on the line; how wide its records are is judged on the loop's thread.
 */
static void move_pieces(struct ww_pieces *to, const struct ww_pieces *from)
{
    to->number = from->number;
    to->counted = from->counted;
    to->has_seen = from->has_seen;
    to->turn = from->turn;
    memcpy(to->slots, from->slots, sizeof to->slots);
}

static bool may_lend(const struct ww_peer *peer, uint64_t now_us)
{
    return peer->net->carrier_count > 0 && !peer->loan && peer->connected && peer->fast &&
           !peer->fail_code && peer->route->lane && !peer->next && !peer->left &&
           !peer->change.lost_us && now_us >= peer->lend_us;
}

static struct ww_carrier *pick(struct ww_net *net)
{
    struct ww_carrier *best = net->carriers[0];
    for (unsigned i = 1; i < net->carrier_count; i++) {
        if (net->carriers[i]->loan_count < best->loan_count)
            best = net->carriers[i];
    }
    return best;
}

void ww_loan_offer(struct ww_peer *peer)
{
    uint64_t now_us = ww_loop_now_us(peer->net->loop);
    int code = WW_ENOMEM;
    if (!may_lend(peer, now_us))
        return;
    peer->lend_us = now_us + REST_US;
    struct ww_carrier *carrier = pick(peer->net);
    struct ww_loan *loan = ww_alloc(1, sizeof *loan);
    if (!loan)
        goto fail;
    loan->carrier = carrier;
    loan->id = peer->id;
    loan->peer = peer;
    loan->dtls = peer->dtls;
    loan->lane = peer->route->lane;
    loan->out.number = (uint16_t)peer->datagram_bytes;
    loan->pieces.token_out = peer->pieces.token_out;
    move_pieces(&loan->pieces, &peer->pieces);
    ww_lane_rest(loan->lane);
    code = ww_carrier_lend(carrier, loan);
    if (code) {
        ww_lane_resume(loan->lane);
        goto fail;
    }
    LIST_INSERT_HEAD(&carrier->loans, loan, entry);
    carrier->loan_count++;
    peer->loan = loan;
    return;
fail:
    ww_free(loan);
    if (peer->is_unlent) /* it is tried again, but said once */
        return;
    peer->is_unlent = true;
    ww_log(WW_LOG_WARN, "net", "a peer stays on the main thread", "code=%s", ww_error_name(code));
}

void ww_loan_recall(struct ww_peer *peer)
{
    struct ww_loan *loan = peer->loan;
    if (!loan)
        return;
    ww_carrier_give_back(loan->carrier, loan);
    peer->loan = NULL;
    peer->lend_us = ww_loop_now_us(peer->net->loop) + REST_US;
    LIST_REMOVE(loan, entry);
    loan->carrier->loan_count--;
    move_pieces(&peer->pieces, &loan->pieces);
    peer->counters.dropped += loan->dropped;
    ww_peer_take_dtls(peer);
    ww_lane_resume(loan->lane);
    if (atomic_load(&loan->news.code))
        ww_peer_fail(peer, atomic_load(&loan->news.code));
    if (loan->waits)
        ww_net_touch(peer);
    ww_free(loan);
}

/* --- life ----------------------------------------------------------------------------------------
 */

void ww_carriers_start(struct ww_net *net)
{
    unsigned count = ww_workers_count(net->config.workers);
    for (net->carrier_count = 0; net->carrier_count < count; net->carrier_count++) {
        int code = ww_carrier_create(net, ww_workers_at(net->config.workers, net->carrier_count),
                                     take_in, &net->carriers[net->carrier_count]);
        if (code) {
            ww_log(WW_LOG_WARN, "net", "not all packet workers carry peers",
                   "workers=%u wanted=%u code=%s", net->carrier_count, count, ww_error_name(code));
            return;
        }
    }
}

void ww_carriers_stop(struct ww_net *net)
{
    while (net->carrier_count > 0)
        ww_carrier_destroy(net->carriers[--net->carrier_count]);
}
