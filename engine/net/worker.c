/* A packet worker's thread: a loop of its own with the lanes that it has borrowed, and an eventfd
 * that says that there are records to seal, or a call. It relies on loans staying as they are
 * between two calls. It must never touch a peer, log per packet, or wait for the loop's thread.
 */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What was opened is published by so much, as a batch is: the other thread can begin. */
#define PUBLISH_BYTES 65536

static void wake(int fd)
{
    const uint64_t one = 1;
    /* Can't fail: the counter is read long before it is full. */
    if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN)
        WW_REQUIRE(false);
}

void ww_worker_wake(struct ww_worker *worker)
{
    wake(worker->wake_fd);
}

void ww_worker_publish(struct ww_worker *worker)
{
    if (ww_ring_publish(worker->out))
        wake(worker->wake_fd);
}

/* --- in -----------------------------------------------------------------------------------------
 */

static void tell_news(struct ww_worker *worker)
{
    atomic_store(&worker->has_news, true);
    wake(worker->main_fd);
}

static void publish_in(struct ww_worker *worker)
{
    if (ww_ring_publish(worker->in))
        wake(worker->main_fd);
}

static void on_plaintext(void *arg, uint8_t *data, size_t size)
{
    struct ww_loan *loan = arg;
    const struct ww_ring_head head = {
        .owner = loan->id, .size = (uint16_t)size, .mark = (uint8_t)loan->hears_mark};
    loan->dropped += !ww_ring_put(loan->worker->in, &head, data);
    if (ww_ring_unpublished(loan->worker->in) >= PUBLISH_BYTES)
        publish_in(loan->worker);
}

static void on_datagram(void *arg, uint8_t *data, size_t size, enum ww_ecn mark)
{
    struct ww_loan *loan = arg;
    const uint8_t *datagram = data;
    if (size > 0 && data[0] == WW_PIECE_KIND) {
        datagram = ww_pieces_input(&loan->pieces, data, size, &size, &mark);
        if (!datagram)
            return;
    }
    loan->hears_mark = mark;
    int code = ww_dtls_input(loan->dtls, datagram, size);
    if (!code)
        return;
    atomic_store(&loan->news.code, code);
    publish_in(loan->worker); /* what came before it is taken before it */
    tell_news(loan->worker);
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
static void tell_of_room(struct ww_worker *worker)
{
    if (atomic_load(&worker->waits) && atomic_exchange(&worker->waits, false))
        tell_news(worker);
}

static void pause_all(struct ww_worker *worker, bool is_paused)
{
    for (size_t i = 0; i < WW_PEERS_MAX; i++) {
        if (worker->by_place[i])
            ww_lane_pause(worker->by_place[i]->lane, is_paused);
    }
}

/* Whoever takes is slow: the kernel's queues fill, as they do without workers. A lane receives 1
 * MiB at most before this is asked again, so what comes finds room. */
static void mind_room(struct ww_worker *worker)
{
    bool was_full = atomic_load(&worker->is_full), is_full = !ww_ring_has_room(worker->in);
    if (is_full == was_full)
        return;
    atomic_store(&worker->is_full, is_full);
    /* It may have been emptied in between, by one who didn't see this. */
    if (is_full && ww_ring_has_room(worker->in))
        atomic_store(&worker->is_full, is_full = false);
    if (is_full != was_full)
        pause_all(worker, is_full);
}

static void on_batch_end(void *arg)
{
    struct ww_loan *loan = arg;
    struct ww_worker *worker = loan->worker;
    ww_lane_flush(loan->lane);
    publish_news(loan);
    publish_in(worker);
    tell_of_room(worker);
    mind_room(worker);
}

/* --- out -------------------------------------------------------------------------------------- */

static void on_sealed(void *arg, const uint8_t *datagram, size_t size)
{
    struct ww_loan *loan = arg;
    const struct ww_ring_head *out = &loan->out;
    enum ww_ecn mark = (enum ww_ecn)out->mark;
    if (size <= out->datagram_bytes || out->alone) {
        ww_lane_send(loan->lane, datagram, size, mark, out->alone);
        return;
    }
    uint8_t head[WW_PIECE_HEAD];
    unsigned count;
    size_t each = ww_pieces_cut(size, out->datagram_bytes, &count);
    ww_pieces_head(&loan->pieces, size, head);
    ww_lane_send_pieces(loan->lane, head, sizeof head, datagram, size, each, count, mark);
}

static void seal_all(struct ww_worker *worker)
{
    struct ww_ring_head head;
    const uint8_t *record;
    struct ww_loan *loan;
    ww_ring_look(worker->out);
    while ((record = ww_ring_take(worker->out, &head))) {
        loan = worker->by_place[(uint32_t)head.owner - 1];
        WW_REQUIRE(loan && loan->id == head.owner); /* what was put is sealed before it goes */
        loan->out = head;
        ww_dtls_send(loan->dtls, record, head.size);
        /* Records of many sizes make many batches, none of which is full. */
        if (!ww_lane_has_room(loan->lane))
            ww_lane_flush(loan->lane);
        loan->out.alone = false;
        loan->out.mark = WW_ECN_NONE;
        if (!loan->is_dirty)
            SLIST_INSERT_HEAD(&worker->dirty, loan, dirty_entry);
        loan->is_dirty = true;
    }
    while ((loan = SLIST_FIRST(&worker->dirty))) {
        SLIST_REMOVE_HEAD(&worker->dirty, dirty_entry);
        loan->is_dirty = false;
        ww_lane_flush(loan->lane);
        publish_news(loan);
    }
}

static void take_call(struct ww_worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    if (worker->call) {
        /* The loop's thread waits, so what it has published before is all that there is. */
        seal_all(worker);
        worker->call(worker, worker->call_loan);
        worker->call = NULL;
        pthread_cond_signal(&worker->done);
    }
    pthread_mutex_unlock(&worker->mutex);
}

static void on_wake(void *arg, int fd, unsigned events)
{
    struct ww_worker *worker = arg;
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got; /* only resets it */
    (void)events;
    take_call(worker);
    seal_all(worker);
    tell_of_room(worker);
    mind_room(worker);
    if (!ww_ring_rest(worker->out))
        wake(worker->wake_fd); /* after the sockets had their turn */
}

/* --- calls ------------------------------------------------------------------------------------ */

static void borrow(struct ww_worker *worker, struct ww_loan *loan)
{
    static const struct ww_lane_callbacks LANE = {.datagram = on_datagram,
                                                  .batch_end = on_batch_end};
    static const struct ww_dtls_callbacks DTLS = {.output = on_sealed, .plaintext = on_plaintext};
    worker->call_code = ww_lane_borrow(loan->lane, worker->lanes, &LANE, loan);
    if (worker->call_code)
        return;
    ww_dtls_move(loan->dtls, &DTLS, loan, worker->plaintext);
    worker->by_place[(uint32_t)loan->id - 1] = loan;
    publish_news(loan);
    if (atomic_load(&worker->is_full))
        ww_lane_pause(loan->lane, true);
}

static void give_back(struct ww_worker *worker, struct ww_loan *loan)
{
    ww_lane_flush(loan->lane);
    publish_news(loan);
    publish_in(worker);
    worker->by_place[(uint32_t)loan->id - 1] = NULL;
    ww_lane_give_back(loan->lane);
}

static int call(struct ww_worker *worker, void (*fn)(struct ww_worker *, struct ww_loan *),
                struct ww_loan *loan)
{
    ww_worker_publish(worker);
    pthread_mutex_lock(&worker->mutex);
    worker->call = fn;
    worker->call_loan = loan;
    worker->call_code = 0;
    ww_worker_wake(worker);
    while (worker->call)
        pthread_cond_wait(&worker->done, &worker->mutex);
    int code = worker->call_code;
    pthread_mutex_unlock(&worker->mutex);
    return code;
}

int ww_worker_lend(struct ww_worker *worker, struct ww_loan *loan)
{
    return call(worker, borrow, loan);
}

void ww_worker_give_back(struct ww_worker *worker, struct ww_loan *loan)
{
    call(worker, give_back, loan);
}

/* --- life ----------------------------------------------------------------------------------------
 */

static void introduce(struct ww_worker *worker, struct ww_loan *loan)
{
    (void)loan;
    worker->thread_id = (pid_t)syscall(SYS_gettid);
}

static void *work(void *arg)
{
    struct ww_worker *worker = arg;
    char name[16]; /* with its NUL, as the kernel has it */
    snprintf(name, sizeof name, "ww-packets-%u", worker->number % 100);
    pthread_setname_np(pthread_self(), name);
    ww_loop_run(worker->loop);
    return NULL;
}

static int start_thread(struct ww_worker *worker)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return WW_ESYSTEM;
    call(worker, introduce, NULL);
    return 0;
}

static void release(struct ww_worker *worker)
{
    ww_watch_destroy(worker->watch);
    ww_watch_destroy(worker->main_watch);
    ww_lane_room_destroy(worker->lanes);
    ww_loop_destroy(worker->loop);
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    if (worker->main_fd >= 0)
        close(worker->main_fd);
    ww_ring_destroy(worker->out);
    ww_ring_destroy(worker->in);
    pthread_cond_destroy(&worker->done);
    pthread_mutex_destroy(&worker->mutex);
    ww_free(worker);
}

int ww_worker_create(struct ww_net *net, struct ww_loop *main_loop, unsigned number,
                     ww_watch_fn on_main, struct ww_worker **worker)
{
    struct ww_worker *made = ww_alloc(1, sizeof *made);
    int code;
    if (!made)
        return WW_ENOMEM;
    made->net = net;
    made->number = number;
    LIST_INIT(&made->loans);
    SLIST_INIT(&made->dirty);
    pthread_mutex_init(&made->mutex, NULL); /* with default attributes neither can fail */
    pthread_cond_init(&made->done, NULL);
    made->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    made->main_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    code = made->wake_fd < 0 || made->main_fd < 0 ? WW_ESYSTEM : 0;
    if (!code)
        code = ww_ring_create(WW_WORKER_OUT_BYTES, &made->out);
    if (!code)
        code = ww_ring_create(WW_WORKER_IN_BYTES, &made->in);
    if (!code)
        code = ww_loop_create(&made->loop);
    if (!code)
        code = ww_lane_room_create(made->loop, &made->lanes);
    if (!code)
        code =
            ww_watch_create(made->loop, made->wake_fd, WW_WATCH_READ, on_wake, made, &made->watch);
    if (!code)
        code = ww_watch_create(main_loop, made->main_fd, WW_WATCH_READ, on_main, made,
                               &made->main_watch);
    if (!code && !ww_ring_rest(made->in)) /* until the first record comes */
        WW_REQUIRE(false);
    if (!code && !ww_ring_rest(made->out))
        WW_REQUIRE(false);
    if (!code)
        code = start_thread(made);
    if (code) {
        release(made);
        return code;
    }
    *worker = made;
    return 0;
}

void ww_worker_destroy(struct ww_worker *worker)
{
    if (!worker)
        return;
    WW_REQUIRE(worker->loan_count == 0);
    ww_loop_stop(worker->loop);
    pthread_join(worker->thread, NULL);
    release(worker);
}
