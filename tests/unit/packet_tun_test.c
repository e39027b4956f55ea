/* The device: over a pair of sockets that plays the rig_kernel, and, as root, over a real one in a
 * network namespace of its own, whose TCP talks to itself through this process. */
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "packet_tun_rig.h"

static void test_read(void **state)
{
    uint8_t packet[1000];
    size_t size = rig_make_udp(packet, 900);
    struct virtio_net_hdr none = {0}, strange = {.gso_type = 77};
    struct ww_tun_stats stats;

    (void)state;
    rig_open_pair(false, NULL);
    rig_give(&none, packet, size);
    rig_give(&strange, packet, size);
    rig_give(&none, packet, size);
    assert_int_equal(write(rig_kernel, packet, 5), 5); /* less than a head */
    ww_loop_turn(rig_loop, 100000);
    assert_int_equal(rig_seen.packets, 2);
    assert_int_equal(rig_seen.batches, 1);
    assert_memory_equal(rig_seen.last, packet, size);
    ww_tun_stats(rig_seen.tun, &stats);
    assert_int_equal(stats.packets_read, 2);
    assert_int_equal(stats.bytes_read, 2 * size);
    assert_int_equal(stats.read_refused, 2);
    close(rig_kernel);
    ww_loop_turn(rig_loop, 100000);
    assert_int_equal(rig_seen.failed, WW_ECLOSED);
    ww_loop_turn(rig_loop, 1000);
    rig_close_pair();
}

static void test_pause(void **state)
{
    uint8_t packet[100];
    size_t size = rig_make_udp(packet, 9);
    struct virtio_net_hdr none = {0};

    (void)state;
    rig_open_pair(false, NULL);
    rig_seen.pause = true;
    for (int i = 0; i < 3; i++)
        rig_give(&none, packet, size);
    ww_loop_turn(rig_loop, 10000);
    ww_loop_turn(rig_loop, 10000);
    assert_int_equal(rig_seen.packets, 1);
    ww_tun_resume(rig_seen.tun);
    rig_seen.pause = false;
    ww_loop_turn(rig_loop, 10000);
    assert_int_equal(rig_seen.packets, 3);
    rig_close_pair();
}

static void test_turn_is_bounded(void **state)
{
    uint8_t packet[100];
    size_t size = rig_make_udp(packet, 9);
    int given = 0;

    (void)state;
    rig_open_pair(true, NULL);
    while (given < WW_TUN_READS_TURN * 3 && write(rig_kernel, packet, size) > 0)
        given++;
    assert_true(given > WW_TUN_READS_TURN);
    ww_loop_turn(rig_loop, 10000);
    assert_int_equal(rig_seen.packets, WW_TUN_READS_TURN);
    for (int i = 0; i < 3; i++)
        ww_loop_turn(rig_loop, 1000);
    assert_int_equal(rig_seen.packets, given);
    rig_close_pair();
}

static void test_destroy_inside(void **state)
{
    uint8_t packet[8000];
    size_t size = rig_make_udp(packet, 5000);
    struct virtio_net_hdr vnet = {.gso_type = 5, .gso_size = 1000};

    (void)state;
    rig_open_pair(false, NULL);
    rig_seen.destroy = true;
    rig_give(&vnet, packet, size);
    ww_loop_turn(rig_loop, 10000);
    assert_int_equal(rig_seen.packets, 1);
    assert_int_equal(rig_seen.batches, 0);
    rig_close_pair();
}

static void test_write(void **state)
{
    uint8_t packet[200], got[300];
    size_t size = rig_make_udp(packet, 100), head = sizeof(struct virtio_net_hdr);
    struct virtio_net_hdr vnet;
    struct ww_tun_stats stats;

    (void)state;
    rig_open_pair(false, NULL);
    ww_tun_write(rig_seen.tun, packet, size, WW_OFFLOAD_PARTIAL);
    packet[10] ^= 1;
    ww_tun_write(rig_seen.tun, packet, size, WW_OFFLOAD_PARTIAL); /* refused: a wrong sum */
    packet[10] ^= 1;
    ww_tun_write(rig_seen.tun, packet, size - 1, WW_OFFLOAD_PARTIAL); /* refused */
    ww_tun_write(rig_seen.tun, packet, 0, WW_OFFLOAD_NONE);
    ww_tun_write(rig_seen.tun, packet, 65536, WW_OFFLOAD_NONE);
    ww_loop_turn(rig_loop, 1000); /* flushes by itself */
    assert_int_equal(read(rig_kernel, got, sizeof(got)), head + size);
    memcpy(&vnet, got, head);
    assert_int_equal(vnet.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(vnet.csum_start, 20);
    assert_int_equal(vnet.csum_offset, 6);
    assert_memory_equal(got + head, packet, size);
    assert_int_equal(read(rig_kernel, got, sizeof(got)), -1);
    ww_tun_stats(rig_seen.tun, &stats);
    assert_int_equal(stats.write_refused, 4);
    assert_int_equal(stats.packets_written, 1);
    close(rig_kernel);
    ww_tun_write(rig_seen.tun, packet, size, WW_OFFLOAD_PARTIAL);
    ww_tun_flush(rig_seen.tun);
    ww_tun_stats(rig_seen.tun, &stats);
    assert_int_equal(stats.write_dropped, 1);
    rig_close_pair();
}

static void test_write_plain(void **state)
{
    uint8_t packet[200], got[300];
    size_t size = rig_make_udp(packet, 100);
    uint32_t sum = 0;

    (void)state;
    /* 192.0 + 0.2 + 8.8 + 4.4 + 17 + 108 */
    packet[26] = 0xcc;
    packet[27] = 0x8b;
    rig_open_pair(true, NULL);
    ww_tun_write(rig_seen.tun, packet, size, WW_OFFLOAD_PARTIAL);
    assert_int_equal(read(rig_kernel, got, sizeof(got)), size);
    for (size_t i = 20; i < size; i += 2)
        sum += (uint32_t)(got[i] << 8 | got[i + 1]);
    sum += 0xcc8b; /* the pseudo header again */
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    assert_int_equal(sum, 0xffff);
    rig_close_pair();
}

static void test_options(void **state)
{
    struct ww_tun_options options = {.name = "a-name-that-is-too-long", .fd = -1};
    struct ww_tun *tun;
    int fd = open("/dev/null", O_RDWR), count = 0;

    (void)state;
    assert_int_equal(ww_tun_create(rig_loop, &options, &rig_callbacks, &rig_seen, &tun), WW_EINVAL);
    options.name = "a/b";
    assert_int_equal(ww_tun_create(rig_loop, &options, &rig_callbacks, &rig_seen, &tun), WW_EINVAL);
    for (;; count++) { /* each allocation fails once; the descriptor is closed all the same */
        int rc;

        options.fd = dup(fd);
        ww_alloc_fail_after((uint64_t)count + 1);
        rc = ww_tun_create(rig_loop, &options, &rig_callbacks, &rig_seen, &tun);
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

        memset(&rig_seen, 0, sizeof(rig_seen));
        options.is_plain = plain;
        options.takes_supers = kind == 2;
        int rc = ww_tun_create(rig_loop, &options, &rig_mirror, &rig_seen, &rig_seen.tun);
        if (rc == WW_ENOTFOUND || rc == WW_EPERM)
            skip(); /* a container without the device */
        assert_int_equal(rc, 0);
        assert_string_equal(ww_tun_name(rig_seen.tun), "wwtest0");
        rig_set_address("wwtest0", 0x0a4d0002);
        rig_transfer(4 << 20);
        ww_tun_stats(rig_seen.tun, &stats);
        print_message("read %llu (%llu supers) written %llu (%llu supers) uso %d\n",
                      (unsigned long long)stats.packets_read, (unsigned long long)stats.supers_read,
                      (unsigned long long)stats.packets_written,
                      (unsigned long long)stats.supers_written, stats.has_uso);
        assert_int_equal(stats.has_vnet, !plain);
        assert_int_equal(rig_seen.is_partial, !plain);
        if (options.takes_supers) /* else the largest fits the MTU, whatever the kernel gave */
            assert_true(rig_seen.bytes > 20000);
        else
            assert_int_equal(rig_seen.bytes, 1400);
        assert_int_equal(stats.read_refused + stats.write_refused + stats.write_dropped, 0);
        if (!plain) {
            assert_true(stats.supers_read > 0 && stats.supers_read < stats.packets_read / 4);
            assert_true(stats.supers_written > 0);
        }
        ww_tun_destroy(rig_seen.tun);
    }
}

static int set_up(void **state)
{
    (void)state;
    return ww_loop_create(&rig_loop);
}

static int tear_down(void **state)
{
    (void)state;
    ww_loop_destroy(rig_loop);
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
