/* What the loop's thread does with packet workers: starts them, lends them peers at the end of
 * their turns, calls back what something rare is to be done with, and takes what they have opened.
 * Without workers, or where one can't be had, a peer simply stays here.
 */
#include "internal.h"
#include "worker.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A peer that was called back stays for a moment: what needed it may need it again. */
#define REST_US       250000
#define PUBLISH_BYTES 65536 /* as a batch: the worker can begin */

/* --- what the worker has opened --------------------------------------------------------------- */

static void take_news(struct ww_worker *worker)
{
    struct ww_loan *loan;
    LIST_FOREACH (loan, &worker->loans, entry) {
        int code = atomic_load(&loan->news.code);
        if (code)
            ww_peer_fail(loan->peer, code);
        if (loan->waits && ww_loan_has_room(loan)) {
            loan->waits = false;
            ww_net_touch(loan->peer);
        }
    }
}

static void on_wake(void *arg, int fd, unsigned events)
{
    struct ww_worker *worker = arg;
    struct ww_ring_head head;
    uint8_t *record;
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got; /* only resets it */
    (void)events;
    /* First: what is told of came after what was published before. */
    bool has_news = atomic_exchange(&worker->has_news, false);
    ww_ring_look(worker->in);
    while ((record = ww_ring_take(worker->in, &head))) {
        struct ww_peer *peer = ww_net_find(worker->net, head.owner);
        if (peer)
            ww_transport_opened(peer, record, head.size, (enum ww_ecn)head.mark);
    }
    if (has_news)
        take_news(worker);
    if (atomic_load(&worker->is_full))
        ww_worker_wake(worker);
    if (!ww_ring_rest(worker->in)) {
        count = 1; /* after the other sockets had their turn */
        got = write(fd, &count, sizeof count);
        (void)got;
    }
}

/* --- out -------------------------------------------------------------------------------------- */

void ww_loan_send(struct ww_peer *peer, const uint8_t *record, size_t size)
{
    struct ww_worker *worker = peer->loan->worker;
    const struct ww_ring_head head = {
        .owner = peer->id,
        .size = (uint16_t)size,
        .datagram_bytes = (uint16_t)peer->datagram_bytes,
        .mark = (uint8_t)peer->sends_mark,
        .alone = peer->sends_alone,
    };
    peer->counters.dropped += !ww_ring_put(worker->out, &head, record);
    if (ww_ring_unpublished(worker->out) >= PUBLISH_BYTES)
        ww_worker_publish(worker);
}

static bool has_room(const struct ww_loan *loan)
{
    return ww_ring_has_room(loan->worker->out) && atomic_load(&loan->news.has_room);
}

bool ww_loan_has_room(struct ww_loan *loan)
{
    if (has_room(loan))
        return true;
    ww_worker_publish(loan->worker);
    loan->waits = true;
    atomic_store(&loan->worker->waits, true);
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
    return peer->net->worker_count > 0 && !peer->loan && peer->connected && peer->fast &&
           !peer->fail_code && peer->route->lane && !peer->next && !peer->left &&
           !peer->change.lost_us && now_us >= peer->lend_us;
}

static struct ww_worker *pick(struct ww_net *net)
{
    struct ww_worker *best = net->workers[0];
    for (unsigned i = 1; i < net->worker_count; i++) {
        if (net->workers[i]->loan_count < best->loan_count)
            best = net->workers[i];
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
    struct ww_worker *worker = pick(peer->net);
    struct ww_loan *loan = ww_alloc(1, sizeof *loan);
    if (!loan)
        goto fail;
    loan->worker = worker;
    loan->id = peer->id;
    loan->peer = peer;
    loan->dtls = peer->dtls;
    loan->lane = peer->route->lane;
    loan->out.datagram_bytes = (uint16_t)peer->datagram_bytes;
    loan->pieces.token_out = peer->pieces.token_out;
    move_pieces(&loan->pieces, &peer->pieces);
    ww_lane_rest(loan->lane);
    code = ww_worker_lend(worker, loan);
    if (code) {
        ww_lane_resume(loan->lane);
        goto fail;
    }
    LIST_INSERT_HEAD(&worker->loans, loan, entry);
    worker->loan_count++;
    peer->loan = loan;
    return;
fail:
    ww_free(loan);
    ww_log(WW_LOG_WARN, "net", "a peer stays on the main thread", "code=%s", ww_error_name(code));
}

void ww_loan_recall(struct ww_peer *peer)
{
    struct ww_loan *loan = peer->loan;
    if (!loan)
        return;
    ww_worker_give_back(loan->worker, loan);
    peer->loan = NULL;
    peer->lend_us = ww_loop_now_us(peer->net->loop) + REST_US;
    LIST_REMOVE(loan, entry);
    loan->worker->loan_count--;
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

void ww_workers_start(struct ww_net *net, unsigned count)
{
    net->nice = getpriority(PRIO_PROCESS, 0);
    for (net->worker_count = 0; net->worker_count < count; net->worker_count++) {
        int code = ww_worker_create(net, net->loop, net->worker_count + 1, on_wake,
                                    &net->workers[net->worker_count]);
        if (code) {
            ww_log(WW_LOG_WARN, "net", "not all packet workers could be started",
                   "workers=%u wanted=%u code=%s", net->worker_count, count, ww_error_name(code));
            return;
        }
    }
}

void ww_workers_stop(struct ww_net *net)
{
    while (net->worker_count > 0)
        ww_worker_destroy(net->workers[--net->worker_count]);
}

void ww_workers_follow(struct ww_net *net)
{
    int nice = net->worker_count ? getpriority(PRIO_PROCESS, 0) : net->nice;
    if (nice == net->nice)
        return;
    net->nice = nice;
    /* Linux: of one thread. Where it isn't allowed, this one could not have got it either. */
    for (unsigned i = 0; i < net->worker_count; i++)
        setpriority(PRIO_PROCESS, (id_t)net->workers[i]->thread_id, nice);
}

unsigned ww_net_workers(const struct ww_net *net)
{
    return net->worker_count;
}
