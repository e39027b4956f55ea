/* What each packet of the tunnel costs where it is cut, judged, given another address and put
 * together again, by the functions that do it, without devices. Prints nanoseconds a packet of
 * 1,400 bytes, in super-packets of 46.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "checksum.h"
#include "rewrite.h"
#include "segment.h"

#define PACKET_BYTES 1400U
#define HEAD_BYTES   40U
#define COUNT        46U
#define ROUNDS       20000U
#define SUPER_BYTES  (HEAD_BYTES + COUNT * (PACKET_BYTES - HEAD_BYTES))

static uint8_t super[WW_SUPER_BYTES_MAX], packets[COUNT][PACKET_BYTES];
static struct ww_ip ips[COUNT];
static unsigned told, failures;

static void make_super(struct virtio_net_hdr *vnet)
{
    /* TCP, 192.0.0.2:4660 to 8.8.4.4:443, ACK */
    static const uint8_t head[HEAD_BYTES] = {0x45, 0, 0, 0, 0, 1, 0x40, 0, 64,   6,    0,    0,
                                             192,  0, 0, 2, 8, 8, 4,    4, 0x12, 0x34, 1,    0xbb,
                                             0,    0, 0, 1, 0, 0, 0,    1, 0x50, 0x10, 0xff, 0xff};

    memset(vnet, 0, sizeof(*vnet));
    vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    vnet->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    vnet->hdr_len = HEAD_BYTES;
    vnet->gso_size = PACKET_BYTES - HEAD_BYTES;
    vnet->csum_start = 20;
    vnet->csum_offset = 16;
    memcpy(super, head, HEAD_BYTES);
    super[2] = SUPER_BYTES >> 8;
    super[3] = SUPER_BYTES & 0xff;
    ww_checksum_ipv4(super, 20);
}

static bool take_packet(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    (void)arg;
    failures += size != PACKET_BYTES || !is_partial;
    if (told < COUNT)
        memcpy(packets[told], packet, size);
    told++;
    return true;
}

static void take_super(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *packet,
                       size_t size, unsigned count)
{
    (void)arg, (void)vnet, (void)packet;
    failures += size != SUPER_BYTES || count != COUNT;
    told += count;
}

static bool skip_packet(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    (void)arg, (void)packet, (void)is_partial;
    told += size == PACKET_BYTES;
    return true;
}

static void split(ww_segment_fn fn)
{
    struct virtio_net_hdr vnet;

    make_super(&vnet);
    failures += ww_segment_split(&vnet, super, SUPER_BYTES, fn, NULL) != 0;
}

static void cut(struct ww_coalesce *coalesce)
{
    (void)coalesce;
    split(skip_packet);
}

static void judge(struct ww_coalesce *coalesce)
{
    (void)coalesce;
    for (unsigned i = 0; i < COUNT; i++)
        told += ww_ip_judge(NULL, packets[i], PACKET_BYTES, &ips[i], NULL) == 0;
}

static void rewrite(struct ww_coalesce *coalesce)
{
    static const uint8_t address[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, 119, 0, 2};

    (void)coalesce;
    for (unsigned i = 0; i < COUNT; i++) {
        ww_rewrite(packets[i], &ips[i], true, WW_REWRITE_SOURCE, address, -1);
        told++;
    }
}

static void join(struct ww_coalesce *coalesce)
{
    for (unsigned i = 0; i < COUNT; i++)
        failures += ww_coalesce_add(coalesce, packets[i], PACKET_BYTES, WW_OFFLOAD_PARTIAL) != 0;
    ww_coalesce_flush(coalesce);
}

/* The best of five, in this process's own time: others use the machine, too. */
static void measure(const char *what, void (*step)(struct ww_coalesce *),
                    struct ww_coalesce *coalesce)
{
    double best = 0;

    for (unsigned turn = 0; turn < 5; turn++) {
        clock_t begin = clock();

        told = 0;
        for (unsigned i = 0; i < ROUNDS; i++)
            step(coalesce);
        failures += told != ROUNDS * COUNT;
        double ns = (double)(clock() - begin) * 1e9 / CLOCKS_PER_SEC / (ROUNDS * COUNT);
        if (turn == 0 || ns < best)
            best = ns;
    }
    printf("%-24s %6.1f\n", what, best);
}

int main(void)
{
    static uint8_t bytes[WW_COALESCE_SLOTS][WW_SUPER_BYTES_MAX];
    static struct ww_coalesce coalesce = {.fn = take_super};

    for (size_t i = 0; i < WW_COALESCE_SLOTS; i++)
        coalesce.slots[i].bytes = bytes[i];
    split(take_packet);
    measure("cut", cut, NULL);
    measure("judge", judge, NULL);
    measure("other address", rewrite, NULL);
    measure("put together", join, &coalesce);
    if (failures)
        printf("%u failures\n", failures);
    return failures > 0;
}
