/* See packet_tun_rig.h. */
#include "packet_tun_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>

#include "checksum.h"

struct rig_seen rig_seen;
struct ww_loop *rig_loop;
int rig_kernel = -1;

static void on_packet(void *arg, uint8_t *packet, size_t size, struct ww_offload offload)
{
    struct rig_seen *s = arg;

    memset(packet - WW_TUN_HEADROOM, 0xaa, WW_TUN_HEADROOM);
    s->packets++;
    s->bytes += size;
    s->is_partial = offload.is_partial;
    memcpy(s->last, packet, size);
    if (s->pause)
        ww_tun_pause(s->tun);
    if (s->destroy) {
        ww_tun_destroy(s->tun);
        s->tun = NULL;
    }
}

static void on_batch_end(void *arg)
{
    ((struct rig_seen *)arg)->batches++;
}

static void on_failed(void *arg, int code)
{
    struct rig_seen *s = arg;

    s->failed = code;
    s->failures++;
}

const struct ww_tun_callbacks rig_callbacks = {on_packet, on_batch_end, on_failed};

void rig_open_pair(bool is_plain, struct ww_workers *workers)
{
    struct ww_tun_options options = {.is_plain = is_plain, .workers = workers};
    int pair[2];

    memset(&rig_seen, 0, sizeof(rig_seen));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    rig_kernel = pair[0];
    options.fd = pair[1];
    assert_int_equal(ww_tun_create(rig_loop, &options, &rig_callbacks, &rig_seen, &rig_seen.tun),
                     0);
}

void rig_close_pair(void)
{
    ww_tun_destroy(rig_seen.tun);
    close(rig_kernel);
}

size_t rig_make_udp(uint8_t *packet, size_t payload)
{
    size_t size = 28 + payload;

    memset(packet, 0x55, size);
    memcpy(packet,
           (uint8_t[]){0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 17, 0, 0, 192, 0, 0, 2, 8, 8, 4, 4}, 20);
    memcpy(packet + 20, (uint8_t[]){0x9c, 0x40, 0, 53, 0, 0, 0, 0}, 8);
    packet[2] = (uint8_t)(size >> 8);
    packet[3] = (uint8_t)size;
    packet[24] = (uint8_t)((size - 20) >> 8);
    packet[25] = (uint8_t)(size - 20);
    ww_checksum_ipv4(packet, 20);
    ww_checksum_store(packet + 26,
                      ww_checksum_fold(ww_checksum_add_number(
                          ww_checksum_pseudo(packet, true, IPPROTO_UDP), (uint32_t)(size - 20))));
    return size;
}

void rig_give(const struct virtio_net_hdr *vnet, const uint8_t *packet, size_t size)
{
    static uint8_t bytes[70000];
    size_t head = vnet ? sizeof(*vnet) : 0;

    if (vnet)
        memcpy(bytes, vnet, head);
    memcpy(bytes + head, packet, size);
    for (int i = 0; write(rig_kernel, bytes, head + size) != (ssize_t)(head + size); i++) {
        assert_true(errno == EAGAIN && i < 10000); /* whoever reads is another thread, maybe */
        usleep(1000);
    }
}

/* Sends each packet back with its addresses changed over: a host whose neighbour is itself. */
static void on_mirrored(void *arg, uint8_t *packet, size_t size, struct ww_offload offload)
{
    struct rig_seen *s = arg;
    uint8_t address[4];

    if (packet[0] >> 4 != 4)
        return;
    s->packets++;
    s->is_partial |= offload.is_partial;
    if (size > s->bytes)
        s->bytes = size; /* the largest */
    memcpy(address, packet + 12, 4);
    memcpy(packet + 12, packet + 16, 4);
    memcpy(packet + 16, address, 4);
    ww_tun_write(s->tun, packet, size, offload);
}

const struct ww_tun_callbacks rig_mirror = {on_mirrored, on_batch_end, on_failed};

void rig_set_address(const char *name, in_addr_t address)
{
    struct ifreq request = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&request.ifr_addr;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(address);
    assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
    in->sin_addr.s_addr = htonl(0xffffff00);
    assert_int_equal(ioctl(fd, SIOCSIFNETMASK, &request), 0);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

void rig_transfer(size_t wanted)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a4d0001)};
    static uint8_t out[65536], in[65536];
    int listener = socket(AF_INET, SOCK_STREAM, 0), accepted = -1;
    int sender = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof(any);
    size_t sent = 0, received = 0;

    assert_int_equal(bind(listener, (struct sockaddr *)&any, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&any, &size), 0);
    assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    to.sin_port = any.sin_port;
    connect(sender, (struct sockaddr *)&to, sizeof(to));
    for (uint64_t until = ww_clock_mono_us() + 20000000;
         received < wanted && ww_clock_mono_us() < until;) {
        ssize_t done;

        ww_loop_turn(rig_loop, 1000);
        if (accepted < 0) {
            accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            continue;
        }
        for (size_t i = 0; i < sizeof(out); i++)
            out[i] = (uint8_t)((sent + i) / 251);
        done = send(sender, out, wanted - sent < sizeof(out) ? wanted - sent : sizeof(out), 0);
        sent += done > 0 ? (size_t)done : 0;
        while ((done = recv(accepted, in, sizeof(in), 0)) > 0) {
            for (ssize_t i = 0; i < done; i++, received++)
                assert_int_equal(in[i], (uint8_t)(received / 251));
        }
    }
    assert_int_equal(received, wanted);
    close(sender);
    close(accepted);
    close(listener);
}
