/* The device: over a pair of sockets that plays the kernel, and, as root, over a real one in a
 * network namespace of its own, whose TCP talks to itself through this process. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>

#include <cmocka.h>

#include "checksum.h"
#include "ww/limits.h"
#include "ww/tun.h"

static struct seen {
    struct ww_tun *tun;
    int packets, batches, failed;
    size_t bytes;
    bool is_partial, destroy, pause;
    uint8_t last[65536];
} seen;

static struct ww_loop *loop;

static void on_packet(void *arg, uint8_t *packet, size_t size, struct ww_offload offload)
{
    struct seen *s = arg;

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
    ((struct seen *)arg)->batches++;
}

static void on_failed(void *arg, int code)
{
    ((struct seen *)arg)->failed = code;
}

static const struct ww_tun_callbacks callbacks = {on_packet, on_batch_end, on_failed};

static int kernel = -1; /* the pair's other end */

static void open_pair(bool is_plain)
{
    struct ww_tun_options options = {.is_plain = is_plain};
    int pair[2];

    memset(&seen, 0, sizeof(seen));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    kernel = pair[0];
    options.fd = pair[1];
    assert_int_equal(ww_tun_create(loop, &options, &callbacks, &seen, &seen.tun), 0);
}

static void close_pair(void)
{
    ww_tun_destroy(seen.tun);
    close(kernel);
}

/* UDP from 192.0.0.2 to 8.8.4.4, sum of the pseudo header or 0 in the checksum. */
static size_t make_udp(uint8_t *packet, size_t payload)
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

static void give(const struct virtio_net_hdr *vnet, const uint8_t *packet, size_t size)
{
    static uint8_t bytes[70000];
    size_t head = vnet ? sizeof(*vnet) : 0;

    if (vnet)
        memcpy(bytes, vnet, head);
    memcpy(bytes + head, packet, size);
    assert_int_equal(write(kernel, bytes, head + size), head + size);
}

static void test_read(void **state)
{
    uint8_t packet[1000];
    size_t size = make_udp(packet, 900);
    struct virtio_net_hdr none = {0}, strange = {.gso_type = 77};
    struct ww_tun_stats stats;

    (void)state;
    open_pair(false);
    give(&none, packet, size);
    give(&strange, packet, size);
    give(&none, packet, size);
    assert_int_equal(write(kernel, packet, 5), 5); /* less than a head */
    ww_loop_turn(loop, 100000);
    assert_int_equal(seen.packets, 2);
    assert_int_equal(seen.batches, 1);
    assert_memory_equal(seen.last, packet, size);
    ww_tun_stats(seen.tun, &stats);
    assert_int_equal(stats.packets_read, 2);
    assert_int_equal(stats.bytes_read, 2 * size);
    assert_int_equal(stats.read_refused, 2);
    close(kernel);
    ww_loop_turn(loop, 100000);
    assert_int_equal(seen.failed, WW_ECLOSED);
    ww_loop_turn(loop, 1000);
    close_pair();
}

static void test_pause(void **state)
{
    uint8_t packet[100];
    size_t size = make_udp(packet, 9);
    struct virtio_net_hdr none = {0};

    (void)state;
    open_pair(false);
    seen.pause = true;
    for (int i = 0; i < 3; i++)
        give(&none, packet, size);
    ww_loop_turn(loop, 10000);
    ww_loop_turn(loop, 10000);
    assert_int_equal(seen.packets, 1);
    ww_tun_resume(seen.tun);
    seen.pause = false;
    ww_loop_turn(loop, 10000);
    assert_int_equal(seen.packets, 3);
    close_pair();
}

static void test_turn_is_bounded(void **state)
{
    uint8_t packet[100];
    size_t size = make_udp(packet, 9);
    int given = 0;

    (void)state;
    open_pair(true);
    while (given < WW_TUN_READS_TURN * 3 && write(kernel, packet, size) > 0)
        given++;
    assert_true(given > WW_TUN_READS_TURN);
    ww_loop_turn(loop, 10000);
    assert_int_equal(seen.packets, WW_TUN_READS_TURN);
    for (int i = 0; i < 3; i++)
        ww_loop_turn(loop, 1000);
    assert_int_equal(seen.packets, given);
    close_pair();
}

static void test_destroy_inside(void **state)
{
    uint8_t packet[8000];
    size_t size = make_udp(packet, 5000);
    struct virtio_net_hdr vnet = {.gso_type = 5, .gso_size = 1000};

    (void)state;
    open_pair(false);
    seen.destroy = true;
    give(&vnet, packet, size);
    ww_loop_turn(loop, 10000);
    assert_int_equal(seen.packets, 1);
    assert_int_equal(seen.batches, 0);
    close_pair();
}

static void test_write(void **state)
{
    uint8_t packet[200], got[300];
    size_t size = make_udp(packet, 100), head = sizeof(struct virtio_net_hdr);
    struct virtio_net_hdr vnet;
    struct ww_tun_stats stats;

    (void)state;
    open_pair(false);
    ww_tun_write(seen.tun, packet, size, WW_OFFLOAD_PARTIAL);
    packet[10] ^= 1;
    ww_tun_write(seen.tun, packet, size, WW_OFFLOAD_PARTIAL); /* refused: a wrong sum */
    packet[10] ^= 1;
    ww_tun_write(seen.tun, packet, size - 1, WW_OFFLOAD_PARTIAL); /* refused */
    ww_tun_write(seen.tun, packet, 0, WW_OFFLOAD_NONE);
    ww_tun_write(seen.tun, packet, 65536, WW_OFFLOAD_NONE);
    ww_loop_turn(loop, 1000); /* flushes by itself */
    assert_int_equal(read(kernel, got, sizeof(got)), head + size);
    memcpy(&vnet, got, head);
    assert_int_equal(vnet.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(vnet.csum_start, 20);
    assert_int_equal(vnet.csum_offset, 6);
    assert_memory_equal(got + head, packet, size);
    assert_int_equal(read(kernel, got, sizeof(got)), -1);
    ww_tun_stats(seen.tun, &stats);
    assert_int_equal(stats.write_refused, 4);
    assert_int_equal(stats.packets_written, 1);
    close(kernel);
    ww_tun_write(seen.tun, packet, size, WW_OFFLOAD_PARTIAL);
    ww_tun_flush(seen.tun);
    ww_tun_stats(seen.tun, &stats);
    assert_int_equal(stats.write_dropped, 1);
    close_pair();
}

static void test_write_plain(void **state)
{
    uint8_t packet[200], got[300];
    size_t size = make_udp(packet, 100);
    uint32_t sum = 0;

    (void)state;
    /* 192.0 + 0.2 + 8.8 + 4.4 + 17 + 108 */
    packet[26] = 0xcc;
    packet[27] = 0x8b;
    open_pair(true);
    ww_tun_write(seen.tun, packet, size, WW_OFFLOAD_PARTIAL);
    assert_int_equal(read(kernel, got, sizeof(got)), size);
    for (size_t i = 20; i < size; i += 2)
        sum += (uint32_t)(got[i] << 8 | got[i + 1]);
    sum += 0xcc8b; /* the pseudo header again */
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    assert_int_equal(sum, 0xffff);
    close_pair();
}

static void test_options(void **state)
{
    struct ww_tun_options options = {.name = "a-name-that-is-too-long", .fd = -1};
    struct ww_tun *tun;
    int fd = open("/dev/null", O_RDWR), count = 0;

    (void)state;
    assert_int_equal(ww_tun_create(loop, &options, &callbacks, &seen, &tun), WW_EINVAL);
    options.name = "a/b";
    assert_int_equal(ww_tun_create(loop, &options, &callbacks, &seen, &tun), WW_EINVAL);
    for (;; count++) { /* each allocation fails once; the descriptor is closed all the same */
        int rc;

        options.fd = dup(fd);
        ww_alloc_fail_after((uint64_t)count + 1);
        rc = ww_tun_create(loop, &options, &callbacks, &seen, &tun);
        ww_alloc_fail_after(0);
        if (rc != WW_ENOMEM)
            break;
        assert_int_equal(fcntl(options.fd, F_GETFD), -1);
    }
    assert_true(count >= 3);
    assert_int_equal(fcntl(options.fd, F_GETFD), -1); /* epoll takes no /dev/null */
    close(fd);
}

/* --- a real device ---------------------------------------------------------------------------- */

/* Sends each packet back with its addresses changed over: a host whose neighbour is itself. */
static void on_mirrored(void *arg, uint8_t *packet, size_t size, struct ww_offload offload)
{
    struct seen *s = arg;
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

static const struct ww_tun_callbacks mirror = {on_mirrored, on_batch_end, on_failed};

static void set_address(const char *name, in_addr_t address)
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

/* 4 MiB from this host to 10.77.0.1, which is this host again. */
static void transfer(struct ww_tun *tun, size_t wanted)
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

        ww_loop_turn(loop, 1000);
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
    (void)tun;
}

static void test_kernel(void **state)
{
    struct ww_tun_options options = {.name = "wwtest0", .fd = -1, .mtu = 1400};
    struct ww_tun_stats stats;

    (void)state;
    if (unshare(CLONE_NEWNET) != 0) {
        print_message("no right to make a network namespace: left out\n");
        skip();
    }
    for (int kind = 0; kind < 3; kind++) {
        bool plain = kind == 1;

        memset(&seen, 0, sizeof(seen));
        options.is_plain = plain;
        options.takes_supers = kind == 2;
        int rc = ww_tun_create(loop, &options, &mirror, &seen, &seen.tun);
        if (rc == WW_ENOTFOUND || rc == WW_EPERM)
            skip(); /* a container without the device */
        assert_int_equal(rc, 0);
        assert_string_equal(ww_tun_name(seen.tun), "wwtest0");
        set_address("wwtest0", 0x0a4d0002);
        transfer(seen.tun, 4 << 20);
        ww_tun_stats(seen.tun, &stats);
        print_message("read %llu (%llu supers) written %llu (%llu supers) uso %d\n",
                      (unsigned long long)stats.packets_read, (unsigned long long)stats.supers_read,
                      (unsigned long long)stats.packets_written,
                      (unsigned long long)stats.supers_written, stats.has_uso);
        assert_int_equal(stats.has_vnet, !plain);
        assert_int_equal(seen.is_partial, !plain);
        if (options.takes_supers) /* else the largest fits the MTU, whatever the kernel gave */
            assert_true(seen.bytes > 20000);
        else
            assert_int_equal(seen.bytes, 1400);
        assert_int_equal(stats.read_refused + stats.write_refused + stats.write_dropped, 0);
        if (!plain) {
            assert_true(stats.supers_read > 0 && stats.supers_read < stats.packets_read / 4);
            assert_true(stats.supers_written > 0);
        }
        ww_tun_destroy(seen.tun);
    }
}

static int set_up(void **state)
{
    (void)state;
    return ww_loop_create(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    ww_loop_destroy(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_turn_is_bounded),
        cmocka_unit_test(test_destroy_inside),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_plain),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_kernel),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
