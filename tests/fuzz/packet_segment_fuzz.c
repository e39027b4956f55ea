/* Super-packets: whatever vnet header comes with whatever packet, each piece is a whole packet that
 * says the truth about its length, no payload is lost, and pieces put together are cut into the
 * same ones again. And whatever a peer calls a super-packet is refused, or written as one that the
 * kernel cuts into as many packets as were counted. */
#include <stdlib.h>
#include <string.h>

#include "segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECES_MAX 4096

static uint8_t slots[WW_COALESCE_SLOTS][WW_SUPER_BYTES_MAX];
static uint8_t room[64 + WW_SUPER_BYTES_MAX], other[64 + WW_SUPER_BYTES_MAX];
static struct ww_coalesce coalesce;
static size_t payload_told, pieces_told, pieces_again, bytes_told, bytes_again;

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool on_again(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    (void)arg;
    (void)packet;
    (void)is_partial;
    pieces_again++;
    bytes_again += size;
    return true;
}

static void on_super(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *packet,
                     size_t size, unsigned count)
{
    size_t before = pieces_again;

    (void)arg;
    check(size > 0 && size <= WW_SUPER_BYTES_MAX);
    memcpy(other + 64, packet, size);
    check(ww_segment_split(vnet, other + 64, size, on_again, NULL) == 0);
    check(pieces_again - before == count);
}

static bool on_piece(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    struct ww_segment_head head;
    const struct virtio_net_hdr *vnet = arg;

    check(packet >= room + 64 && packet + size <= room + sizeof(room));
    if (is_partial || vnet->gso_type) {
        check(ww_segment_read(packet, size, &head));
        payload_told += size - head.payload;
        check(!vnet->gso_type || size <= (size_t)head.payload + vnet->gso_size);
    }
    memset(packet - 64, 0xee, 64);
    if (pieces_told < PIECES_MAX &&
        ww_coalesce_add(&coalesce, packet, size, (struct ww_offload){0, is_partial}) == 0) {
        pieces_told++;
        bytes_told += size;
    }
    return true;
}

/* As a peer's: judged by ww_super_read and by its checksum only. In parts, too. */
static void from_peer(const struct virtio_net_hdr *vnet, const uint8_t *bytes, size_t size)
{
    struct ww_offload offload = {vnet->gso_size, vnet->flags & 1};
    struct ww_super super;
    unsigned packets = 0, sum = 0, some;
    uint8_t *part;

    memcpy(room + 64, bytes, size);
    pieces_again = 0;
    bool is_one = ww_super_read(room + 64, size, offload, &packets);
    int rc = ww_coalesce_add(&coalesce, room + 64, size, offload);
    ww_coalesce_flush(&coalesce);
    check(is_one || rc == WW_EMALFORMED);
    check(rc != 0 || pieces_again == packets);
    if (!is_one || packets < 2)
        return;
    check(ww_super_begin(&super, room + 64, size, offload.segment_size));
    while ((size = ww_super_next(&super, vnet->hdr_len, &part, &offload)) > 0) {
        check(ww_super_read(part, size, offload, &some));
        sum += some;
    }
    check(sum == packets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtio_net_hdr vnet;
    struct ww_segment_head head;
    size_t expected = 0;

    if (size < sizeof(vnet) + 1 || size > sizeof(vnet) + WW_SUPER_BYTES_MAX)
        return 0;
    memcpy(&vnet, data, sizeof(vnet));
    size -= sizeof(vnet);
    memcpy(room + 64, data + sizeof(vnet), size);
    coalesce.fn = on_super;
    coalesce.is_uso_taken = vnet.hdr_len & 1;
    for (size_t i = 0; i < WW_COALESCE_SLOTS; i++)
        coalesce.slots[i].bytes = slots[i];
    if (ww_segment_read(room + 64, size, &head))
        expected = size - head.payload;
    payload_told = pieces_told = pieces_again = bytes_told = bytes_again = 0;
    int rc = ww_segment_split(&vnet, room + 64, size, on_piece, &vnet);
    ww_coalesce_flush(&coalesce);
    check(rc == 0 || rc == WW_EMALFORMED || rc == WW_EUNSUPPORTED);
    check(rc != 0 || !vnet.gso_type || payload_told == expected);
    check(pieces_again == pieces_told && bytes_again == bytes_told);
    from_peer(&vnet, data + sizeof(vnet), size);
    return 0;
}
