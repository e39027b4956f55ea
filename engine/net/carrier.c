/* What net does on a packet worker's thread, with the lanes that it has borrowed: receives and
 * opens, seals and sends. It relies on loans staying as they are between two calls. It must never
 * touch a peer, log per packet, or wait for the loop's thread.
 */
#include "carrier.h"

#include <string.h>

/* What was opened is published by so much, as a batch is: the other thread can begin. */
#define PUBLISH_BYTES 65536

/* --- in -----------------------------------------------------------------------------------------
 */

static void tell_news(struct ww_carrier *carrier)
{
    atomic_store(&carrier->has_news, true);
    ww_worker_tell(carrier->worker);
}

/* Into the ring itself, so that it isn't copied. */
static uint8_t *room_for_plaintext(void *arg)
{
    struct ww_carrier *carrier = ((struct ww_loan *)arg)->carrier;
    uint8_t *room = ww_ring_reserve(ww_port_in(carrier->port), WW_DTLS_PLAINTEXT_BYTES);
    return room ? room : carrier->plaintext;
}

static void on_plaintext(void *arg, uint8_t *data, size_t size)
{
    struct ww_loan *loan = arg;
    struct ww_carrier *carrier = loan->carrier;
    const struct ww_ring_head head = {
        .owner = loan->id, .size = (uint32_t)size, .kind = (uint8_t)loan->hears_mark};
    if (data == carrier->plaintext) {
        loan->dropped++;
        return;
    }
    ww_ring_commit(ww_port_in(carrier->port), &head);
    if (ww_ring_unpublished(ww_port_in(carrier->port)) >= PUBLISH_BYTES)
        ww_port_publish_in(carrier->port);
}

static void receive(struct ww_loan *loan, const uint8_t *data, size_t size, enum ww_ecn mark)
{
    struct ww_gather datagram = {.at = &data, .each = size, .size = size};
    if (data[0] == WW_PIECE_KIND && !ww_pieces_input(&loan->pieces, data, size, &datagram, &mark))
        return;
    loan->hears_mark = mark;
    int code = ww_dtls_input(loan->dtls, &datagram);
    if (!code)
        return;
    atomic_store(&loan->news.code, code);
    ww_port_publish_in(loan->carrier->port); /* what came before it is taken before it */
    tell_news(loan->carrier);
}

static void on_datagrams(void *arg, const uint8_t *data, size_t size, size_t each, enum ww_ecn mark)
{
    struct ww_loan *loan = arg;
    for (size_t done = 0; done < size; done += each)
        receive(loan, data + done, WW_MIN(each, size - done), mark);
    ww_pieces_keep(&loan->pieces);
}

static void put(_Atomic uint64_t *out, uint64_t value)
{
    atomic_store_explicit(out, value, memory_order_relaxed);
}

static void publish_news(struct ww_loan *loan)
{
    struct ww_lane_counters counters;
    struct ww_loan_news *news = &loan->news;
    ww_lane_counters(loan->lane, &counters);
    put(&news->datagrams_sent, counters.datagrams_sent);
    put(&news->bytes_sent, counters.bytes_sent);
    put(&news->datagrams_received, counters.datagrams_received);
    put(&news->bytes_received, counters.bytes_received);
    put(&news->dropped, counters.dropped + loan->dropped);
    put(&news->pieces, (uint64_t)loan->pieces.counted.top << 32 | loan->pieces.counted.whole);
    atomic_store(&news->has_room, ww_lane_has_room(loan->lane));
}

/* The loop's thread says that it waits, then looks whether there is room; this is the other way
 * round, so one of the two sees the other. */
static void tell_of_room(struct ww_carrier *carrier)
{
    if (atomic_load(&carrier->waits) && atomic_exchange(&carrier->waits, false))
        tell_news(carrier);
}

static void pause_all(struct ww_carrier *carrier, bool is_paused)
{
    struct ww_loan *loan;
    LIST_FOREACH (loan, &carrier->lent, lent_entry)
        ww_lane_pause(loan->lane, is_paused);
}

/* Whoever takes is slow: the kernel's queues fill, as they do without workers. A lane receives 1
 * MiB at most before this is asked again, so what comes finds room. */
static void mind_room(struct ww_carrier *carrier)
{
    bool was_full = atomic_load(&carrier->is_full),
         is_full = !ww_ring_has_room(ww_port_in(carrier->port));
    if (is_full == was_full)
        return;
    atomic_store(&carrier->is_full, is_full);
    /* It may have been emptied in between, by one who didn't see this. */
    if (is_full && ww_ring_has_room(ww_port_in(carrier->port)))
        atomic_store(&carrier->is_full, is_full = false);
    if (is_full != was_full)
        pause_all(carrier, is_full);
}

static void on_batch_end(void *arg)
{
    struct ww_loan *loan = arg;
    struct ww_carrier *carrier = loan->carrier;
    ww_lane_flush(loan->lane);
    publish_news(loan);
    ww_port_publish_in(carrier->port);
    tell_of_room(carrier);
    mind_room(carrier);
}

/* --- out -------------------------------------------------------------------------------------- */

static void on_sealed(void *arg, const uint8_t *datagram, size_t size)
{
    struct ww_loan *loan = arg;
    const struct ww_ring_head *out = &loan->out;
    enum ww_ecn mark = (enum ww_ecn)out->kind;
    if (size <= out->number || out->flag) {
        ww_lane_send(loan->lane, datagram, size, mark, out->flag);
        return;
    }
    uint8_t head[WW_PIECE_HEAD];
    unsigned count;
    size_t each = ww_pieces_cut(size, out->number, &count);
    ww_pieces_head(&loan->pieces, size, head);
    ww_lane_send_pieces(loan->lane, head, sizeof head, datagram, size, each, count, mark);
}

static void seal_all(struct ww_carrier *carrier)
{
    struct ww_ring_head head;
    const uint8_t *record;
    struct ww_loan *loan;
    ww_ring_look(ww_port_out(carrier->port));
    while ((record = ww_ring_take(ww_port_out(carrier->port), &head))) {
        loan = carrier->by_place[(uint32_t)head.owner - 1];
        WW_REQUIRE(loan && loan->id == head.owner); /* what was put is sealed before it goes */
        loan->out = head;
        ww_dtls_send(loan->dtls, record, head.size);
        /* Records of many sizes make many batches, none of which is full. */
        if (!ww_lane_has_room(loan->lane))
            ww_lane_flush(loan->lane);
        loan->out.flag = false;
        loan->out.kind = WW_ECN_NONE;
        if (!loan->is_dirty)
            SLIST_INSERT_HEAD(&carrier->dirty, loan, dirty_entry);
        loan->is_dirty = true;
    }
    while ((loan = SLIST_FIRST(&carrier->dirty))) {
        SLIST_REMOVE_HEAD(&carrier->dirty, dirty_entry);
        loan->is_dirty = false;
        ww_lane_flush(loan->lane);
        publish_news(loan);
    }
}

static void take_out(void *arg)
{
    struct ww_carrier *carrier = arg;
    seal_all(carrier);
    tell_of_room(carrier);
    mind_room(carrier);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* The loop's thread waits in them, so what it has published before is all that there is to seal. */

static void borrow(void *arg)
{
    static const struct ww_lane_callbacks LANE = {.datagrams = on_datagrams,
                                                  .batch_end = on_batch_end};
    static const struct ww_dtls_callbacks DTLS = {
        .output = on_sealed, .plaintext = on_plaintext, .room = room_for_plaintext};
    struct ww_carrier *carrier = arg;
    struct ww_loan *loan = carrier->call_loan;
    seal_all(carrier);
    carrier->call_code = ww_lane_borrow(loan->lane, carrier->lanes, &LANE, loan);
    if (carrier->call_code)
        return;
    ww_dtls_move(loan->dtls, &DTLS, loan);
    carrier->by_place[(uint32_t)loan->id - 1] = loan;
    LIST_INSERT_HEAD(&carrier->lent, loan, lent_entry);
    publish_news(loan);
    if (atomic_load(&carrier->is_full))
        ww_lane_pause(loan->lane, true);
}

static void give_back(void *arg)
{
    struct ww_carrier *carrier = arg;
    struct ww_loan *loan = carrier->call_loan;
    seal_all(carrier);
    ww_lane_flush(loan->lane);
    publish_news(loan);
    ww_port_publish_in(carrier->port);
    carrier->by_place[(uint32_t)loan->id - 1] = NULL;
    LIST_REMOVE(loan, lent_entry);
    ww_lane_give_back(loan->lane);
}

static int call(struct ww_carrier *carrier, ww_loop_fn fn, struct ww_loan *loan)
{
    ww_port_publish_out(carrier->port);
    carrier->call_loan = loan;
    carrier->call_code = 0;
    ww_worker_call(carrier->worker, fn, carrier);
    return carrier->call_code;
}

int ww_carrier_lend(struct ww_carrier *carrier, struct ww_loan *loan)
{
    return call(carrier, borrow, loan);
}

void ww_carrier_give_back(struct ww_carrier *carrier, struct ww_loan *loan)
{
    call(carrier, give_back, loan);
}

/* --- life ----------------------------------------------------------------------------------------
 */

int ww_carrier_create(struct ww_net *net, struct ww_worker *worker, ww_loop_fn take_in,
                      struct ww_carrier **carrier)
{
    struct ww_carrier *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->config = (struct ww_port_config){.out_bytes = WW_WORKER_OUT_BYTES,
                                           .in_bytes = WW_WORKER_IN_BYTES,
                                           .take_out = take_out,
                                           .take_in = take_in};
    made->net = net;
    made->worker = worker;
    LIST_INIT(&made->loans);
    LIST_INIT(&made->lent);
    SLIST_INIT(&made->dirty);
    int code = ww_lane_room_create(ww_worker_loop(worker), &made->lanes);
    if (!code)
        code = ww_port_open(worker, &made->config, made, &made->port);
    if (code) {
        ww_lane_room_destroy(made->lanes);
        ww_free(made);
        return code;
    }
    *carrier = made;
    return 0;
}

void ww_carrier_destroy(struct ww_carrier *carrier)
{
    if (!carrier)
        return;
    WW_REQUIRE(carrier->loan_count == 0);
    ww_port_close(carrier->port);
    ww_lane_room_destroy(carrier->lanes);
    ww_free(carrier);
}
