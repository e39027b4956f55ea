/* One queue of a device at a packet worker, whose thread reads and writes it. What it has read goes
 * to the loop's thread, and what that hands over comes from there, by the two rings of a port;
 * whoever reads reads into the ring. Relies on ww/worker.h. The worker must never wait for the
 * loop's thread; that one waits for it when the ring of what is to be written is full. */
#include <stdatomic.h>

#include "tun_room.h"

#define PUBLISH_BYTES 65536 /* the other side can begin */
#define OWNER         1     /* a ring's records have one, which doesn't matter here */

/* A ring that is half empty has room for a read, also where its end has to be skipped. */
_Static_assert(WW_TUN_IN_BYTES / 2 > 2 * (WW_TUN_HEADROOM + WW_TUN_READ_BYTES + 64), "too small");

struct ww_tun_queue {
    struct ww_tun *tun;
    struct ww_worker *worker;
    struct ww_port *port;
    atomic_bool is_paused;
    atomic_bool is_full; /* the worker reads nothing, for the ring is half full */
    _Atomic int code;    /* why nothing more is read; 0 */
    /* What the worker has written, for the loop's thread to read at any time. */
    _Atomic uint64_t packets, bytes, super_packets, refused, dropped;
    /* the loop's thread */
    uint64_t packets_read;
    /* the worker's */
    int fd, call_code;
    struct ww_watch *watch; /* NULL: it is stopped */
    struct ww_tun_writer writer;
};

/* --- the worker's thread ---------------------------------------------------------------------- */

/* The kernel's queue of the device is to fill, and not memory of ours. */
static void mind_room(struct ww_tun_queue *queue)
{
    const struct ww_ring *in = ww_port_in(queue->port);
    bool is_full = !ww_ring_has_room(in);

    atomic_store(&queue->is_full, is_full);
    /* It may have been emptied in between, by one who didn't see this. */
    if (is_full && ww_ring_has_room(in))
        atomic_store(&queue->is_full, is_full = false);
    if (queue->watch)
        ww_watch_set(queue->watch,
                     is_full || atomic_load(&queue->is_paused) || atomic_load(&queue->code)
                         ? 0
                         : WW_WATCH_READ);
}

static void end(struct ww_tun_queue *queue, int code)
{
    ww_port_publish_in(queue->port); /* what came before it is taken before it */
    atomic_store(&queue->code, code);
    ww_worker_tell(queue->worker);
}

/* Reads one packet or super-packet. False: no more now. */
static bool read_one(struct ww_tun_queue *queue, size_t *bytes)
{
    struct ww_ring *in = ww_port_in(queue->port);
    uint8_t *room = ww_ring_reserve(in, WW_TUN_HEADROOM + WW_TUN_READ_BYTES);
    int got = room ? ww_tun_device_read(queue->fd, room + WW_TUN_HEADROOM, WW_TUN_READ_BYTES) : 0;

    if (got < 0)
        end(queue, got);
    if (got <= 0)
        return false;
    const struct ww_ring_head head = {.owner = OWNER, .size = WW_TUN_HEADROOM + (uint32_t)got};
    ww_ring_commit(in, &head);
    if (ww_ring_unpublished(in) >= PUBLISH_BYTES)
        ww_port_publish_in(queue->port);
    *bytes += (size_t)got;
    return true;
}

static void on_readable(void *arg, int fd, unsigned events)
{
    struct ww_tun_queue *queue = arg;
    size_t bytes = 0;
    int reads = 0;

    (void)fd;
    (void)events;
    while (reads++ < WW_TUN_READS_TURN && bytes < WW_TUN_BYTES_TURN &&
           !atomic_load(&queue->is_paused) && ww_ring_has_room(ww_port_in(queue->port)) &&
           read_one(queue, &bytes))
        ;
    ww_port_publish_in(queue->port);
    mind_room(queue);
}

static void tell_counts(struct ww_tun_queue *queue)
{
    const struct ww_tun_writer *writer = &queue->writer;

    atomic_store_explicit(&queue->packets, writer->packets, memory_order_relaxed);
    atomic_store_explicit(&queue->bytes, writer->bytes, memory_order_relaxed);
    atomic_store_explicit(&queue->super_packets, writer->super_packets, memory_order_relaxed);
    atomic_store_explicit(&queue->refused, writer->refused, memory_order_relaxed);
    atomic_store_explicit(&queue->dropped, writer->dropped, memory_order_relaxed);
}

static void take_out(void *arg)
{
    struct ww_tun_queue *queue = arg;
    struct ww_ring *out = ww_port_out(queue->port);
    struct ww_ring_head head;
    const uint8_t *packet;

    ww_ring_look(out);
    while ((packet = ww_ring_take(out, &head))) {
        if (queue->watch)
            ww_tun_writer_add(&queue->writer, packet, head.size,
                              (struct ww_offload){head.number, head.flag});
    }
    if (queue->watch) {
        ww_tun_writer_flush(&queue->writer);
        tell_counts(queue);
    }
    mind_room(queue);
}

static void start(void *arg)
{
    struct ww_tun_queue *queue = arg;

    queue->call_code = ww_watch_create(ww_worker_loop(queue->worker), queue->fd, WW_WATCH_READ,
                                       on_readable, queue, &queue->watch);
}

static void stop(void *arg)
{
    struct ww_tun_queue *queue = arg;

    ww_watch_destroy(queue->watch);
    queue->watch = NULL;
}

/* --- the loop's ------------------------------------------------------------------------------- */

static void take_in(void *arg)
{
    struct ww_tun_queue *queue = arg;
    struct ww_tun *tun = queue->tun;
    struct ww_ring *in = ww_port_in(queue->port);
    int code = atomic_load(&queue->code); /* before what was read before it */
    struct ww_ring_head head;
    uint8_t *record;
    uint64_t before = tun->stats.packets_read;
    bool has_any = false;

    ww_tun_enter(tun);
    ww_ring_look(in);
    while (!tun->is_closed && !tun->is_paused && (record = ww_ring_take(in, &head))) {
        ww_tun_take(tun, record + WW_TUN_HEADROOM, head.size - WW_TUN_HEADROOM);
        has_any = true;
    }
    if (has_any)
        ww_tun_taken(tun);
    queue->packets_read += tun->stats.packets_read - before;
    if (!tun->is_closed && atomic_load(&queue->is_full))
        ww_worker_wake(queue->worker);
    if (!tun->is_closed && !tun->is_paused && code)
        ww_tun_fail(tun, code);
    ww_tun_leave(tun);
}

void ww_tun_queue_write(struct ww_tun_queue *queue, const uint8_t *packet, size_t size,
                        struct ww_offload offload)
{
    const struct ww_ring_head head = {.owner = OWNER,
                                      .size = (uint32_t)size,
                                      .number = offload.segment_size,
                                      .flag = offload.is_partial};
    struct ww_ring *out = ww_port_out(queue->port);

    if (!ww_ring_put(out, &head, packet)) {
        /* As without workers: the loop goes on when the kernel has it. */
        ww_tun_queue_flush(queue);
        ww_worker_call(queue->worker, take_out, queue);
        WW_REQUIRE(ww_ring_put(out, &head, packet));
    }
    if (ww_ring_unpublished(out) >= PUBLISH_BYTES)
        ww_tun_queue_flush(queue);
}

void ww_tun_queue_flush(struct ww_tun_queue *queue)
{
    ww_port_publish_out(queue->port);
}

void ww_tun_queue_pause(struct ww_tun_queue *queue, bool is_paused)
{
    atomic_store(&queue->is_paused, is_paused);
    ww_port_hold(queue->port, is_paused);
    if (is_paused)
        return;
    ww_worker_wake(queue->worker); /* which looks whether it may read */
    if (atomic_load(&queue->code))
        ww_worker_tell(queue->worker);
}

void ww_tun_queue_add(const struct ww_tun_queue *queue, struct ww_tun_stats *stats)
{
    stats->packets_written += atomic_load(&queue->packets);
    stats->bytes_written += atomic_load(&queue->bytes);
    stats->supers_written += atomic_load(&queue->super_packets);
    stats->write_refused += atomic_load(&queue->refused);
    stats->write_dropped += atomic_load(&queue->dropped);
}

void ww_tun_queue_look(const struct ww_tun_queue *queue, struct ww_tun_queue_stats *stats)
{
    stats->worker = ww_worker_number(queue->worker);
    stats->packets_read = queue->packets_read;
    stats->packets_written = atomic_load(&queue->packets);
}

int ww_tun_queue_open(struct ww_tun *tun, struct ww_worker *worker, int fd,
                      struct ww_tun_queue **queue)
{
    static const struct ww_port_config PORT = {.out_bytes = WW_TUN_OUT_BYTES,
                                               .in_bytes = WW_TUN_IN_BYTES,
                                               .take_out = take_out,
                                               .take_in = take_in};
    struct ww_tun_queue *made = ww_alloc(1, sizeof(*made));
    int rc;

    if (!made)
        return WW_ENOMEM;
    made->tun = tun;
    made->worker = worker;
    made->fd = fd;
    rc = ww_tun_writer_init(&made->writer, &tun->device, fd);
    if (rc == 0)
        rc = ww_port_open(worker, &PORT, made, &made->port);
    if (rc == 0) {
        ww_worker_call(worker, start, made);
        rc = made->call_code;
    }
    if (rc) {
        ww_tun_queue_close(made);
        return rc;
    }
    *queue = made;
    return 0;
}

void ww_tun_queue_stop(struct ww_tun_queue *queue)
{
    ww_port_hold(queue->port, true);
    ww_worker_call(queue->worker, stop, queue);
}

void ww_tun_queue_close(struct ww_tun_queue *queue)
{
    if (!queue)
        return;
    ww_port_close(queue->port);
    ww_tun_writer_deinit(&queue->writer);
    ww_free(queue);
}
