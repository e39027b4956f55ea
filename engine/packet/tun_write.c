/* Writing to a device: packets put together by coalesce.c, each with a vnet header that was made
 * there. It must never wait, and never hand the kernel a vnet header that came from elsewhere. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "checksum.h"
#include "tun_room.h"

#define SUPERS_BYTES ((size_t)WW_COALESCE_SLOTS * WW_SUPER_BYTES_MAX)

static void put(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *packet, size_t size,
                unsigned count)
{
    struct ww_tun_writer *writer = arg;
    struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)vnet, .iov_len = sizeof(*vnet)},
                             {.iov_base = (void *)(uintptr_t)packet, .iov_len = size}};
    size_t skipped = writer->has_vnet ? 0 : 1;
    ssize_t done;

    do {
        done = writev(writer->fd, parts + skipped, (int)(2 - skipped));
    } while (done < 0 && errno == EINTR);
    if (done < 0) {
        writer->dropped += count;
        return;
    }
    writer->packets += count;
    writer->super_packets += count > 1;
    writer->bytes += size + (size_t)(count - 1) * vnet->hdr_len;
}

/* For a device that knows no vnet header: cut, and the checksum completed here, in a copy. */
static int put_plain(struct ww_tun_writer *writer, const uint8_t *packet, size_t size,
                     struct ww_offload offload)
{
    struct virtio_net_hdr vnet = {0};
    struct ww_segment_head head;
    struct ww_super super;
    unsigned packets;
    uint8_t *piece;

    if (!offload.is_partial && offload.segment_size == 0) {
        put(writer, &vnet, packet, size, 1);
        return 0;
    }
    if (!ww_super_read(packet, size, offload, &packets) || !ww_segment_read(packet, size, &head) ||
        !ww_segment_is_partial(packet, size, &head))
        return WW_EMALFORMED;
    memcpy(writer->supers, packet, size);
    ww_super_cut(&super, writer->supers, size,
                 offload.segment_size ? offload.segment_size : UINT16_MAX, &head);
    if (size == head.payload) { /* nothing to cut */
        ww_segment_complete(writer->supers, size, &head);
        put(writer, &vnet, writer->supers, size, 1);
    }
    while ((size = ww_super_next(&super, 0, &piece, &offload)) > 0) {
        ww_segment_complete(piece, size, &head);
        put(writer, &vnet, piece, size, 1);
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

void ww_tun_writer_add(struct ww_tun_writer *writer, const uint8_t *packet, size_t size,
                       struct ww_offload offload)
{
    int rc = WW_EMALFORMED;

    if (is_head_right(packet, size))
        rc = writer->has_vnet ? ww_coalesce_add(&writer->coalesce, packet, size, offload)
                              : put_plain(writer, packet, size, offload);
    writer->refused += rc != 0;
}

void ww_tun_writer_flush(struct ww_tun_writer *writer)
{
    ww_coalesce_flush(&writer->coalesce);
}

int ww_tun_writer_init(struct ww_tun_writer *writer, const struct ww_tun_device *device, int fd)
{
    writer->supers = ww_buffer_alloc(SUPERS_BYTES);
    if (!writer->supers)
        return WW_ENOMEM;
    writer->fd = fd;
    writer->has_vnet = device->has_vnet;
    writer->coalesce.is_uso_taken = device->has_uso;
    writer->coalesce.fn = put;
    writer->coalesce.arg = writer;
    for (size_t i = 0; i < WW_COALESCE_SLOTS; i++)
        writer->coalesce.slots[i].bytes = writer->supers + i * WW_SUPER_BYTES_MAX;
    return 0;
}

void ww_tun_writer_deinit(struct ww_tun_writer *writer)
{
    ww_buffer_free(writer->supers, SUPERS_BYTES);
}
