/* The turn of a TUN device: bounded reads, each cut by segment.c and told; writes put together by
 * coalesce.c. Relies on tun_device.c. It must never wait, and never hand the kernel a vnet header
 * that was not made here. */
#include "ww/tun.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "checksum.h"
#include "segment.h"
#include "tun_device.h"
#include "ww/limits.h"

struct ww_tun {
    struct ww_tun_device device;
    struct ww_loop *loop;
    const struct ww_tun_callbacks *callbacks;
    void *arg;
    struct ww_watch *watch; /* NULL: destroyed inside a callback */
    struct ww_timer *timer; /* the flush at the end of a turn */
    int calls;              /* callbacks on the stack */
    bool is_paused, is_failed, takes_supers;
    struct ww_coalesce coalesce;
    struct ww_tun_stats stats;
    uint8_t *supers; /* the slots' bytes */
    uint8_t input[WW_TUN_HEADROOM + sizeof(struct virtio_net_hdr) + WW_SUPER_BYTES_MAX + 1];
};

static void release(struct ww_tun *tun)
{
    ww_free(tun->supers);
    ww_free(tun);
}

/* False when it was destroyed meanwhile. */
static bool leave(struct ww_tun *tun)
{
    tun->calls--;
    if (tun->watch)
        return true;
    if (tun->calls == 0)
        release(tun);
    return false;
}

static void set_watch(struct ww_tun *tun)
{
    ww_watch_set(tun->watch, tun->is_paused || tun->is_failed ? 0 : WW_WATCH_READ);
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool tell(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    struct ww_tun *tun = arg;

    tun->stats.packets_read++;
    tun->stats.bytes_read += size;
    tun->callbacks->packet(tun->arg, packet, size, (struct ww_offload){0, is_partial});
    return tun->watch != NULL;
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

static void fail(struct ww_tun *tun, int code)
{
    tun->is_failed = true;
    set_watch(tun);
    tun->callbacks->failed(tun->arg, code);
}

/* How many bytes were read, 0 when there is no more. */
static size_t read_one(struct ww_tun *tun)
{
    size_t head = tun->device.has_vnet ? sizeof(struct virtio_net_hdr) : 0;
    struct virtio_net_hdr vnet = {0};
    uint8_t *start = tun->input + WW_TUN_HEADROOM;
    ssize_t got;

    do {
        got = read(tun->device.fd, start, head + WW_SUPER_BYTES_MAX + 1);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        if (got == 0 || errno == EBADFD || errno == ENODEV)
            fail(tun, WW_ECLOSED);
        else if (errno != EAGAIN && errno != EWOULDBLOCK)
            fail(tun, WW_ESYSTEM);
        return 0;
    }
    if ((size_t)got <= head || (size_t)got > head + WW_SUPER_BYTES_MAX) {
        tun->stats.read_refused++;
        return (size_t)got;
    }
    memcpy(&vnet, start, head);
    tun->stats.supers_read += vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE;
    if (!tell_super(tun, &vnet, start + head, (size_t)got - head) &&
        ww_segment_split(&vnet, start + head, (size_t)got - head, tell, tun) != 0)
        tun->stats.read_refused++;
    return (size_t)got;
}

static void on_readable(void *arg, int fd, unsigned events)
{
    struct ww_tun *tun = arg;
    size_t bytes = 0, size;
    int reads = 0;

    (void)fd;
    (void)events;
    tun->calls++;
    do {
        size = read_one(tun);
        bytes += size;
    } while (size > 0 && tun->watch && !tun->is_paused && ++reads < WW_TUN_READS_TURN &&
             bytes < WW_TUN_BYTES_TURN);
    if (tun->watch && bytes > 0 && tun->callbacks->batch_end)
        tun->callbacks->batch_end(tun->arg);
    leave(tun);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *packet, size_t size,
                unsigned count)
{
    struct ww_tun *tun = arg;
    struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)vnet, .iov_len = sizeof(*vnet)},
                             {.iov_base = (void *)(uintptr_t)packet, .iov_len = size}};
    size_t skipped = tun->device.has_vnet ? 0 : 1;
    ssize_t done;

    do {
        done = writev(tun->device.fd, parts + skipped, (int)(2 - skipped));
    } while (done < 0 && errno == EINTR);
    if (done < 0) {
        tun->stats.write_dropped += count;
        return;
    }
    tun->stats.packets_written += count;
    tun->stats.supers_written += count > 1;
    tun->stats.bytes_written += size + (size_t)(count - 1) * vnet->hdr_len;
}

/* For a device that knows no vnet header: cut, and the checksum completed here, in a copy. */
static int put_plain(struct ww_tun *tun, const uint8_t *packet, size_t size,
                     struct ww_offload offload)
{
    struct virtio_net_hdr vnet = {0};
    struct ww_segment_head head;
    struct ww_super super;
    unsigned packets;
    uint8_t *piece;

    if (!offload.is_partial && offload.segment_size == 0) {
        put(tun, &vnet, packet, size, 1);
        return 0;
    }
    if (!ww_super_read(packet, size, offload, &packets) || !ww_segment_read(packet, size, &head) ||
        !ww_segment_is_partial(packet, size, &head))
        return WW_EMALFORMED;
    memcpy(tun->supers, packet, size);
    ww_super_cut(&super, tun->supers, size,
                 offload.segment_size ? offload.segment_size : UINT16_MAX, &head);
    if (size == head.payload) { /* nothing to cut */
        ww_segment_complete(tun->supers, size, &head);
        put(tun, &vnet, tun->supers, size, 1);
    }
    while ((size = ww_super_next(&super, 0, &piece, &offload)) > 0) {
        ww_segment_complete(piece, size, &head);
        put(tun, &vnet, piece, size, 1);
    }
    return 0;
}

/* The sum of an IPv4 head, which also would be made right in a super-packet. */
static bool is_head_right(const uint8_t *packet, size_t size)
{
    size_t head = (packet[0] & 15U) * 4U;

    if (packet[0] >> 4 != 4)
        return true;
    return head >= 20 && head <= size &&
           ww_checksum_fold(ww_checksum_add(0, packet, head)) == UINT16_MAX;
}

void ww_tun_write(struct ww_tun *tun, const uint8_t *packet, size_t size, struct ww_offload offload)
{
    int rc;

    if (size == 0 || size > WW_SUPER_BYTES_MAX || !is_head_right(packet, size)) {
        tun->stats.write_refused++;
        return;
    }
    rc = tun->device.has_vnet ? ww_coalesce_add(&tun->coalesce, packet, size, offload)
                              : put_plain(tun, packet, size, offload);
    tun->stats.write_refused += rc != 0;
    if (!ww_timer_running(tun->timer))
        ww_timer_start(tun->timer, 0);
}

void ww_tun_flush(struct ww_tun *tun)
{
    ww_timer_stop(tun->timer);
    ww_coalesce_flush(&tun->coalesce);
}

static void on_timer(void *arg)
{
    struct ww_tun *tun = arg;

    ww_coalesce_flush(&tun->coalesce);
}

/* --- its life --------------------------------------------------------------------------------- */

int ww_tun_create(struct ww_loop *loop, const struct ww_tun_options *options,
                  const struct ww_tun_callbacks *callbacks, void *arg, struct ww_tun **out)
{
    struct ww_tun *tun = ww_alloc(1, sizeof(*tun));
    int rc = WW_ENOMEM, error;

    if (!tun)
        goto fail;
    tun->device.fd = -1;
    tun->supers = ww_alloc(WW_COALESCE_SLOTS, WW_SUPER_BYTES_MAX);
    if (!tun->supers)
        goto fail;
    tun->loop = loop;
    tun->callbacks = callbacks;
    tun->arg = arg;
    tun->takes_supers = options->takes_supers;
    tun->coalesce.fn = put;
    tun->coalesce.arg = tun;
    for (size_t i = 0; i < WW_COALESCE_SLOTS; i++)
        tun->coalesce.slots[i].bytes = tun->supers + i * WW_SUPER_BYTES_MAX;
    rc = ww_timer_create(loop, on_timer, tun, &tun->timer);
    if (rc)
        goto fail;
    rc = ww_tun_device_open(options, &tun->device);
    if (rc) {
        tun->device.fd = -1;
        goto fail;
    }
    tun->coalesce.is_uso_taken = tun->device.has_uso;
    rc = ww_watch_create(loop, tun->device.fd, WW_WATCH_READ, on_readable, tun, &tun->watch);
    if (rc)
        goto fail;
    *out = tun;
    return 0;
fail:
    error = errno;
    if (tun && tun->device.fd >= 0)
        close(tun->device.fd);
    else if (options->fd >= 0)
        close(options->fd);
    if (tun) {
        ww_timer_destroy(tun->timer);
        release(tun);
    }
    errno = error;
    return rc;
}

void ww_tun_destroy(struct ww_tun *tun)
{
    if (!tun)
        return;
    ww_watch_destroy(tun->watch);
    tun->watch = NULL;
    ww_timer_destroy(tun->timer);
    close(tun->device.fd);
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
    set_watch(tun);
}

void ww_tun_resume(struct ww_tun *tun)
{
    tun->is_paused = false;
    set_watch(tun);
}

void ww_tun_stats(const struct ww_tun *tun, struct ww_tun_stats *stats)
{
    *stats = tun->stats;
    stats->has_vnet = tun->device.has_vnet;
    stats->has_uso = tun->device.has_uso;
}
