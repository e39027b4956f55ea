/* A TUN device: what was read is cut by segment.c and told, what is written goes to the one who
 * writes: this thread, or that of a queue (tun_queue.c). Relies on tun_device.c and tun_write.c. It
 * must never tell anything from inside a call. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tun_room.h"

static void release(struct ww_tun *tun)
{
    for (unsigned i = 0; i < tun->queue_count; i++)
        ww_tun_queue_close(tun->queues[i]);
    ww_tun_writer_deinit(&tun->writer);
    ww_buffer_free(tun->input, WW_TUN_INPUT_BYTES);
    ww_free(tun);
}

void ww_tun_enter(struct ww_tun *tun)
{
    tun->calls++;
}

void ww_tun_leave(struct ww_tun *tun)
{
    tun->calls--;
    if (tun->is_closed && tun->calls == 0)
        release(tun);
}

static void set_reading(struct ww_tun *tun)
{
    bool is_paused = tun->is_paused || tun->is_failed;

    if (tun->watch)
        ww_watch_set(tun->watch, is_paused ? 0 : WW_WATCH_READ);
    for (unsigned i = 0; i < tun->queue_count; i++)
        ww_tun_queue_pause(tun->queues[i], is_paused);
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool tell(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    struct ww_tun *tun = arg;

    tun->stats.packets_read++;
    tun->stats.bytes_read += size;
    tun->callbacks->packet(tun->arg, packet, size, (struct ww_offload){0, is_partial});
    return !tun->is_closed;
}

/* As it is, if that is wanted and it is one that is carried. */
static bool tell_super(struct ww_tun *tun, const struct virtio_net_hdr *vnet, uint8_t *packet,
                       size_t size)
{
    struct ww_offload offload = {vnet->gso_size, true};
    unsigned packets;

    if (!tun->takes_supers || !ww_segment_is_tcp(vnet) || vnet->gso_size == 0 ||
        !ww_super_read(packet, size, offload, &packets))
        return false;
    tun->stats.packets_read += packets;
    tun->stats.bytes_read += size;
    tun->callbacks->packet(tun->arg, packet, size, offload);
    return true;
}

void ww_tun_fail(struct ww_tun *tun, int code)
{
    if (tun->is_failed)
        return;
    tun->is_failed = true;
    set_reading(tun);
    tun->callbacks->failed(tun->arg, code);
}

/* One read, as ww_ack_fn. */
static bool tell_read(void *arg, uint8_t *start, size_t size)
{
    struct ww_tun *tun = arg;
    size_t head = tun->device.has_vnet ? sizeof(struct virtio_net_hdr) : 0;
    struct virtio_net_hdr vnet = {0};

    if (size <= head || size > head + WW_SUPER_BYTES_MAX) {
        tun->stats.read_refused++;
        return true;
    }
    memcpy(&vnet, start, head);
    tun->stats.supers_read += vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE;
    if (!tell_super(tun, &vnet, start + head, size - head) &&
        ww_segment_split(&vnet, start + head, size - head, tell, tun) != 0)
        tun->stats.read_refused++;
    return !tun->is_closed;
}

void ww_tun_take(struct ww_tun *tun, uint8_t *start, size_t size)
{
    if (tun->device.has_vnet && ww_ack_hold(&tun->acks, start, size, tell_read, tun))
        return;
    if (!tun->is_closed)
        tell_read(tun, start, size);
}

void ww_tun_taken(struct ww_tun *tun)
{
    if (!tun->is_closed)
        ww_ack_flush(&tun->acks, tell_read, tun);
    if (!tun->is_closed && tun->callbacks->batch_end)
        tun->callbacks->batch_end(tun->arg);
}

static void on_readable(void *arg, int fd, unsigned events)
{
    struct ww_tun *tun = arg;
    uint8_t *start = tun->input + WW_TUN_HEADROOM;
    size_t bytes = 0;
    int reads = 0, got;

    (void)events;
    ww_tun_enter(tun);
    do {
        got = ww_tun_device_read(fd, start, WW_TUN_READ_BYTES);
        if (got > 0)
            ww_tun_take(tun, start, (size_t)got);
        else if (got < 0)
            ww_tun_fail(tun, got);
        bytes += got > 0 ? (size_t)got : 0;
    } while (got > 0 && !tun->is_closed && !tun->is_paused && ++reads < WW_TUN_READS_TURN &&
             bytes < WW_TUN_BYTES_TURN);
    if (bytes > 0)
        ww_tun_taken(tun);
    ww_tun_leave(tun);
}

/* --- writing ---------------------------------------------------------------------------------- */

void ww_tun_steer(struct ww_tun *tun, unsigned worker)
{
    tun->at = worker > 0 && worker <= tun->queue_count ? worker - 1 : 0;
}

void ww_tun_write(struct ww_tun *tun, const uint8_t *packet, size_t size, struct ww_offload offload)
{
    if (size == 0 || size > WW_SUPER_BYTES_MAX) {
        tun->stats.write_refused++;
        return;
    }
    if (tun->queue_count)
        ww_tun_queue_write(tun->queues[tun->at], packet, size, offload);
    else
        ww_tun_writer_add(&tun->writer, packet, size, offload);
    if (!ww_timer_running(tun->timer))
        ww_timer_start(tun->timer, 0);
}

static void flush(void *arg)
{
    struct ww_tun *tun = arg;

    for (unsigned i = 0; i < tun->queue_count; i++)
        ww_tun_queue_flush(tun->queues[i]);
    if (!tun->queue_count)
        ww_tun_writer_flush(&tun->writer);
}

void ww_tun_flush(struct ww_tun *tun)
{
    ww_timer_stop(tun->timer);
    flush(tun);
}

/* --- its life --------------------------------------------------------------------------------- */

/* Each queue of the device gets the worker of its place. */
static int open_queues(struct ww_tun *tun, struct ww_workers *workers)
{
    int rc = 0;

    while (rc == 0 && tun->queue_count < tun->device.count) {
        unsigned i = tun->queue_count;

        rc = ww_tun_queue_open(tun, ww_workers_at(workers, i), tun->device.fds[i], &tun->queues[i]);
        tun->queue_count += rc == 0;
    }
    return rc;
}

static int open_one(struct ww_tun *tun)
{
    int rc = ww_tun_writer_init(&tun->writer, &tun->device, tun->device.fds[0]);

    tun->input = ww_buffer_alloc(WW_TUN_INPUT_BYTES);
    if (!tun->input)
        rc = WW_ENOMEM;
    if (rc == 0)
        rc = ww_watch_create(tun->loop, tun->device.fds[0], WW_WATCH_READ, on_readable, tun,
                             &tun->watch);
    return rc;
}

int ww_tun_create(struct ww_loop *loop, const struct ww_tun_options *options,
                  const struct ww_tun_callbacks *callbacks, void *arg, struct ww_tun **out)
{
    struct ww_tun *tun = ww_alloc(1, sizeof(*tun));
    int rc = WW_ENOMEM, error;

    if (tun) {
        tun->loop = loop;
        tun->callbacks = callbacks;
        tun->arg = arg;
        tun->takes_supers = options->takes_supers;
        rc = ww_timer_create(loop, flush, tun, &tun->timer);
    }
    if (rc == 0)
        rc = ww_tun_device_open(options, &tun->device);
    if (rc) {
        error = errno;
        if (options->fd >= 0)
            close(options->fd);
        if (tun)
            ww_timer_destroy(tun->timer);
        ww_free(tun);
        errno = error;
        return rc;
    }
    rc = ww_workers_count(options->workers) ? open_queues(tun, options->workers) : open_one(tun);
    if (rc) {
        error = errno;
        ww_tun_destroy(tun);
        errno = error;
        return rc;
    }
    *out = tun;
    return 0;
}

void ww_tun_destroy(struct ww_tun *tun)
{
    if (!tun)
        return;
    for (unsigned i = 0; i < tun->queue_count; i++)
        ww_tun_queue_stop(tun->queues[i]);
    ww_watch_destroy(tun->watch);
    tun->watch = NULL;
    tun->is_closed = true;
    ww_timer_destroy(tun->timer);
    ww_tun_device_close(&tun->device);
    if (tun->calls == 0)
        release(tun);
}

const char *ww_tun_name(const struct ww_tun *tun)
{
    return tun->device.name;
}

void ww_tun_pause(struct ww_tun *tun)
{
    tun->is_paused = true;
    set_reading(tun);
}

void ww_tun_resume(struct ww_tun *tun)
{
    tun->is_paused = false;
    set_reading(tun);
}

void ww_tun_stats(const struct ww_tun *tun, struct ww_tun_stats *stats)
{
    *stats = tun->stats;
    stats->acks_superseded = tun->acks.superseded;
    stats->packets_written = tun->writer.packets;
    stats->bytes_written = tun->writer.bytes;
    stats->supers_written = tun->writer.super_packets;
    stats->write_refused += tun->writer.refused;
    stats->write_dropped = tun->writer.dropped;
    for (unsigned i = 0; i < tun->queue_count; i++)
        ww_tun_queue_add(tun->queues[i], stats);
    stats->has_vnet = tun->device.has_vnet;
    stats->has_uso = tun->device.has_uso;
}

unsigned ww_tun_queues(const struct ww_tun *tun, struct ww_tun_queue_stats list[WW_WORKERS_MAX])
{
    for (unsigned i = 0; i < tun->queue_count; i++)
        ww_tun_queue_look(tun->queues[i], &list[i]);
    return tun->queue_count;
}
