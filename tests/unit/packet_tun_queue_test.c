/* A device's queues at packet workers: what they read is told on the loop's thread, in order and no
 * faster than it takes it; what is written comes, however much it is; the device's end, its pause
 * and its destruction at any moment are as without workers. With a pair of sockets for the kernel,
 * and, as root, real devices of several queues and of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet_tun_rig.h"
#include "ww/worker.h"

static struct ww_workers *workers;

static void start(unsigned count)
{
    assert_int_equal(ww_workers_create(rig_loop, count, &workers), 0);
    assert_int_equal(ww_workers_count(workers), count);
}

static bool wait_for(const int *count, int wanted)
{
    uint64_t until = ww_clock_mono_us() + 20000000;

    while (*count < wanted && ww_clock_mono_us() < until)
        ww_loop_turn(rig_loop, 10000);
    return *count == wanted;
}

static const struct virtio_net_hdr none;

static void test_read(void **state)
{
    uint8_t packet[1000];
    size_t size = rig_make_udp(packet, 900);
    struct virtio_net_hdr strange = {.gso_type = 77};
    struct ww_tun_queue_stats queues[WW_WORKERS_MAX];
    struct ww_tun_stats stats;

    (void)state;
    start(2);
    rig_open_pair(false, workers);
    for (int i = 0; i < 500; i++) {
        rig_give(&none, packet, size);
        if (i % 100 == 50)
            rig_give(&strange, packet, size);
        if (i % 7 == 0)
            ww_loop_turn(rig_loop, 0);
    }
    assert_true(wait_for(&rig_seen.packets, 500));
    assert_true(rig_seen.batches > 0);
    assert_memory_equal(rig_seen.last, packet, size);
    assert_int_equal(rig_seen.failures, 0);
    rig_give(&none, packet, size); /* and then its end: it is told first */
    close(rig_kernel);
    assert_true(wait_for(&rig_seen.failures, 1));
    assert_int_equal(rig_seen.failed, WW_ECLOSED);
    assert_int_equal(rig_seen.packets, 501);
    ww_tun_pause(rig_seen.tun);
    ww_tun_resume(rig_seen.tun);
    for (int i = 0; i < 5; i++)
        ww_loop_turn(rig_loop, 1000);
    assert_int_equal(rig_seen.failures, 1);
    ww_tun_stats(rig_seen.tun, &stats);
    assert_int_equal(stats.packets_read, 501);
    assert_int_equal(stats.bytes_read, 501 * size);
    assert_int_equal(stats.read_refused, 5);
    assert_int_equal(ww_tun_queues(rig_seen.tun, queues), 1); /* as many as there are descriptors */
    assert_int_equal(queues[0].worker, 1);
    assert_int_equal(queues[0].packets_read, 501);
    rig_close_pair();
    ww_workers_destroy(workers);
}

/* Until the worker reads no more, and the kernel's queue is full. */
static int fill(void)
{
    uint8_t bytes[9000] = {0};
    size_t size = sizeof(none) + rig_make_udp(bytes + sizeof(none), 8000);
    int given = 0, pauses = 0;

    while (pauses < 20) {
        if (write(rig_kernel, bytes, size) > 0) {
            given++;
            pauses = 0;
            continue;
        }
        assert_int_equal(errno, EAGAIN);
        usleep(2000);
        pauses++;
    }
    return given;
}

static void test_backpressure(void **state)
{
    (void)state;
    start(1);
    rig_open_pair(false, workers);
    for (int round = 0; round < 3; round++) {
        ww_tun_pause(rig_seen.tun);
        usleep(2000);
        int first = fill(); /* what the pair holds */
        assert_int_equal(rig_seen.packets, 0);
        assert_true(first * 8000 < WW_TUN_IN_BYTES / 2);
        ww_tun_resume(rig_seen.tun);
        int second = fill(); /* … and the ring, as nobody takes */
        assert_true((size_t)second * 8000 > WW_TUN_IN_BYTES / 2 - 100000);
        assert_true((size_t)second * 8000 < WW_TUN_IN_BYTES / 2 + 100000);
        assert_true(wait_for(&rig_seen.packets, first + second));
        rig_seen.packets = 0;
    }
    rig_close_pair();
    ww_workers_destroy(workers);
}

static void test_pause_inside(void **state)
{
    uint8_t packet[100];
    size_t size = rig_make_udp(packet, 9);

    (void)state;
    start(1);
    rig_open_pair(false, workers);
    for (int i = 0; i < 50; i++)
        rig_give(&none, packet, size);
    for (int i = 0; i < 50; i++) {
        rig_seen.pause = true;
        assert_true(wait_for(&rig_seen.packets, i + 1));
        for (int turn = 0; turn < 3; turn++)
            ww_loop_turn(rig_loop, 200);
        assert_int_equal(rig_seen.packets, i + 1);
        ww_tun_resume(rig_seen.tun);
        assert_int_equal(rig_seen.packets, i + 1); /* not from inside of it */
    }
    rig_close_pair();
    ww_workers_destroy(workers);
}

static void test_destroy(void **state)
{
    uint8_t packet[8000];
    size_t size = rig_make_udp(packet, 5000);
    struct virtio_net_hdr vnet = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};

    (void)state;
    start(2);
    for (int round = 0; round < 50; round++) {
        rig_open_pair(false, workers);
        rig_seen.destroy = round % 2;
        for (int i = 0; i < 5; i++)
            rig_give(&vnet, packet, size);
        ww_tun_write(rig_seen.tun, packet, size, WW_OFFLOAD_PARTIAL);
        if (rig_seen.destroy)
            assert_true(wait_for(&rig_seen.packets, 1));
        else if (round % 4 == 0)
            ww_loop_turn(rig_loop, (uint64_t)round * 10);
        rig_close_pair();
        ww_loop_turn(rig_loop, 0);
    }
    ww_workers_destroy(workers);
}

/* Far more than the ring holds, and than the kernel takes: each is written or counted, in order. */
static void test_write(void **state)
{
    static uint8_t packet[1400], got[70000];
    size_t size = rig_make_udp(packet, 1300), head = sizeof(none);
    struct ww_tun_stats stats;
    uint32_t last = 0, number = 0;
    uint64_t until = ww_clock_mono_us() + 20000000;
    int came = 0;

    (void)state;
    start(1);
    rig_open_pair(false, workers);
    for (uint32_t i = 1; i <= 20000; i++) {
        memcpy(packet + 28, &i, sizeof(i));
        ww_tun_write(rig_seen.tun, packet, size, WW_OFFLOAD_PARTIAL);
    }
    packet[10] ^= 1;
    ww_tun_write(rig_seen.tun, packet, size, WW_OFFLOAD_PARTIAL); /* refused: a wrong sum */
    ww_tun_write(rig_seen.tun, packet, 0, WW_OFFLOAD_NONE);
    ww_tun_flush(rig_seen.tun);
    do {
        while (read(rig_kernel, got, sizeof(got)) > 0) {
            memcpy(&number, got + head + 28, sizeof(number));
            assert_true(number > last);
            last = number;
            came++;
        }
        ww_loop_turn(rig_loop, 1000);
        ww_tun_stats(rig_seen.tun, &stats);
    } while (stats.packets_written + stats.write_dropped < 20000 && ww_clock_mono_us() < until);
    while (read(rig_kernel, got, sizeof(got)) > 0)
        came++;
    assert_int_equal(stats.packets_written + stats.write_dropped, 20000);
    assert_true(came > 0 && (uint64_t)came <= stats.packets_written);
    assert_int_equal(stats.write_refused, 2);
    rig_close_pair();
    ww_workers_destroy(workers);
}

static void test_memory(void **state)
{
    struct ww_tun_options options = {.is_plain = true};
    struct ww_tun *tun;
    uint64_t n = 0;
    int pair[2], rc;

    (void)state;
    start(2);
    options.workers = workers;
    do {
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
        options.fd = pair[1];
        ww_alloc_fail_after(++n);
        rc = ww_tun_create(rig_loop, &options, &rig_callbacks, &rig_seen, &tun);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM || rc == WW_ESYSTEM); /* libevent's */
        if (rc == 0)
            ww_tun_destroy(tun);
        assert_int_equal(fcntl(pair[1], F_GETFD), -1);
        close(pair[0]);
    } while (rc);
    assert_true(n > 6);
    ww_workers_destroy(workers);
}

/* --- real devices -------------------------------------------------------------------------------
 */

static bool has_namespace(void)
{
    if (unshare(CLONE_NEWNET) == 0 && access("/dev/net/tun", R_OK) == 0)
        return true;
    print_message("no right to make a network namespace with a device: left out\n");
    return false;
}

static void open_device(bool is_plain)
{
    struct ww_tun_options options = {.name = "wwtest0",
                                     .fd = -1,
                                     .mtu = 1400,
                                     .is_plain = is_plain,
                                     .takes_supers = true,
                                     .workers = workers};

    memset(&rig_seen, 0, sizeof(rig_seen));
    assert_int_equal(ww_tun_create(rig_loop, &options, &rig_mirror, &rig_seen, &rig_seen.tun), 0);
    rig_set_address("wwtest0", 0x0a4d0002);
}

/* A flow's packets come by the queue that has written the last one of it. */
static void test_queues(void **state)
{
    struct ww_tun_queue_stats before[WW_WORKERS_MAX], after[WW_WORKERS_MAX];
    struct ww_tun_stats stats;

    (void)state;
    if (!has_namespace())
        skip();
    start(3);
    for (int is_plain = 0; is_plain < 2; is_plain++) {
        open_device(is_plain);
        for (unsigned worker = 1; worker <= 3; worker++) {
            assert_int_equal(ww_tun_queues(rig_seen.tun, before), 3);
            ww_tun_steer(rig_seen.tun, worker);
            rig_transfer(4 << 20);
            assert_int_equal(ww_tun_queues(rig_seen.tun, after), 3);
            uint64_t all_read = 0, all_written = 0;
            for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(after[i].worker, i + 1);
                all_read += after[i].packets_read - before[i].packets_read;
                all_written += after[i].packets_written - before[i].packets_written;
            }
            uint64_t its_read = after[worker - 1].packets_read - before[worker - 1].packets_read,
                     its_written =
                         after[worker - 1].packets_written - before[worker - 1].packets_written;
            /* The end of the connection before may come late, by that one's queue. */
            assert_true(its_written > all_written / 10 * 9);
            assert_true(its_written >= (4 << 20) / 1400);
            /* Both ends of the connection are this host, so each of its ways has the same queue. */
            assert_true(its_read > all_read / 10 * 9);
        }
        ww_tun_stats(rig_seen.tun, &stats);
        assert_int_equal(stats.read_refused + stats.write_refused + stats.write_dropped, 0);
        assert_int_equal(stats.has_vnet, !is_plain);
        assert_true(is_plain || (stats.supers_read > 0 && stats.supers_written > 0));
        ww_tun_destroy(rig_seen.tun);
    }
    ww_workers_destroy(workers);
}

/* A device that was made without further queues. */
static void test_one_queue(void **state)
{
    struct ifreq request = {.ifr_name = "wwtest0", .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    struct ww_tun_queue_stats queues[WW_WORKERS_MAX];

    (void)state;
    if (!has_namespace())
        skip();
    int fd = open("/dev/net/tun", O_RDWR);
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
    close(fd);
    start(2);
    open_device(false);
    ww_tun_steer(rig_seen.tun, 2);
    rig_transfer(1 << 20);
    assert_int_equal(ww_tun_queues(rig_seen.tun, queues), 1);
    assert_int_equal(queues[0].worker, 1);
    assert_true(queues[0].packets_read > 0 && queues[0].packets_written > 0);
    ww_tun_destroy(rig_seen.tun);
    ww_workers_destroy(workers);
}

/* Though Linux would give another program a queue of it. */
static void test_taken(void **state)
{
    struct ww_tun_options options = {.name = "wwtest0", .fd = -1};
    struct ww_tun *tun;

    (void)state;
    if (!has_namespace())
        skip();
    start(2);
    open_device(false);
    for (int i = 0; i < 2; i++) {
        options.workers = i ? NULL : workers;
        assert_int_equal(ww_tun_create(rig_loop, &options, &rig_callbacks, &rig_seen, &tun),
                         WW_EEXIST);
    }
    rig_transfer(1 << 20);
    ww_tun_destroy(rig_seen.tun);
    open_device(false); /* it is free again */
    ww_tun_destroy(rig_seen.tun);
    ww_workers_destroy(workers);
}

/* It is taken away while packets move. */
static void test_device_s_end(void **state)
{
    (void)state;
    if (!has_namespace())
        skip();
    start(3);
    open_device(false);
    rig_transfer(1 << 20);
    assert_int_equal(rig_seen.failures, 0);
    assert_int_equal(system("ip link delete dev wwtest0"), 0);
    assert_true(wait_for(&rig_seen.failures, 1));
    assert_int_equal(rig_seen.failed, WW_ECLOSED);
    for (int i = 0; i < 10; i++)
        ww_loop_turn(rig_loop, 1000);
    assert_int_equal(rig_seen.failures, 1); /* not once for each queue */
    ww_tun_destroy(rig_seen.tun);
    ww_workers_destroy(workers);
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
        cmocka_unit_test(test_read),         cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_pause_inside), cmocka_unit_test(test_destroy),
        cmocka_unit_test(test_write),        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_queues),       cmocka_unit_test(test_one_queue),
        cmocka_unit_test(test_taken),        cmocka_unit_test(test_device_s_end),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
