/* Peers that are lent to packet workers: what goes by them comes, and their end, a change of path
 * or a lack of memory or threads at any moment is as without workers.
 */
#include "net_pair.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned threads_left = 1000;

/* The linker puts these in place of the real ones. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*work)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*work)(void *), void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*work)(void *), void *arg)
{
    if (threads_left == 0)
        return EAGAIN;
    threads_left--;
    return __real_pthread_create(thread, attributes, work, arg);
}

/* Of other threads than the test's. */
static pthread_t main_thread;
static atomic_uint watches_left = UINT_MAX, watches_refused;

int __real_ww_watch_create(struct ww_loop *loop, int fd, unsigned events, ww_watch_fn fn, void *arg,
                           struct ww_watch **watch);
int __wrap_ww_watch_create(struct ww_loop *loop, int fd, unsigned events, ww_watch_fn fn, void *arg,
                           struct ww_watch **watch);

int __wrap_ww_watch_create(struct ww_loop *loop, int fd, unsigned events, ww_watch_fn fn, void *arg,
                           struct ww_watch **watch)
{
    if (atomic_load(&watches_left) == 0 && !pthread_equal(pthread_self(), main_thread)) {
        atomic_fetch_add(&watches_refused, 1);
        return WW_ENOMEM;
    }
    return __real_ww_watch_create(loop, fd, events, fn, arg, watch);
}

/* What a worker sends takes its time. */
static atomic_bool is_slow;

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (atomic_load(&is_slow))
        usleep(2000);
    return __real_sendmsg(fd, message, flags);
}

static unsigned worker_of(struct pair *pair, int end)
{
    struct ww_path path;
    ww_peer_path(pair->ends[end].peer, &path);
    return path.worker;
}

/* They are lent once their turn has come, called back for the first report of wide records, and
 * lent again. */
static bool wait_lent(struct pair *pair)
{
    int turns = 0;
    do {
        for (int end = A; end <= B; end++)
            pair_send_datagram(pair, end, 10, WW_ECN_NONE);
        pair_turn_for(pair, 50);
    } while (turns++ < 100 && (!worker_of(pair, A) || !worker_of(pair, B)));
    pair->ends[A].fast_datagrams = pair->ends[B].fast_datagrams = 0;
    return worker_of(pair, A) && worker_of(pair, B);
}

static void start(struct pair *pair, const char *workers, bool allow_jumbo)
{
    assert_int_equal(setenv("PAIR_WORKERS", workers, 1), 0);
    pair_start(pair, true, allow_jumbo);
    pair_connect(pair);
}

static void send_all(struct pair *pair, int from, uint32_t first, uint32_t count, size_t size)
{
    struct pair_end *end = &pair->ends[from], *other = &pair->ends[!from];
    for (uint32_t number = first; number < first + count;) {
        int code = pair_send(pair, from, number, size);
        if (code == WW_EAGAIN) {
            assert_true(pair_wait_count(pair, &end->fast_writable, end->fast_writable + 1, 20000));
            continue;
        }
        assert_int_equal(code, 0);
        number++;
    }
    assert_true(pair_wait_count(pair, &other->fast_messages, first + count, 30000));
    assert_false(other->fast_broken);
}

static void carries_both_classes(void **state)
{
    static const struct ww_channel_config config = {.label = "beside", .max_retransmits = -1};
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct pair pair;
        struct ww_path path;
        start(&pair, round ? "2" : "1", round);
        assert_true(wait_lent(&pair));
        if (round)
            assert_int_not_equal(worker_of(&pair, A), worker_of(&pair, B));
        for (int from = A; from <= B; from++)
            send_all(&pair, from, 0, 400, 16300);
        for (size_t size = 1; size <= 3000; size += 100)
            assert_int_equal(pair_send_datagram(&pair, A, size, WW_ECN_NONE), 0);
        assert_true(pair_wait_count(&pair, &pair.ends[B].fast_datagrams, 30, 5000));
        struct ww_channel *channel = pair_open(&pair, A, &config);
        assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, "hello", 5), 0);
        assert_true(pair_wait_count(&pair, &pair.ends[B].message_count, 1, 5000));
        assert_false(pair.ends[B].fast_broken);
        assert_true(wait_lent(&pair));
        ww_peer_path(pair.ends[A].peer, &path);
        assert_true(path.bytes_sent > 400 * 16300 && path.bytes_received > 400 * 16300);
        assert_int_equal(path.datagrams_dropped, 0);
        pair_stop(&pair);
    }
}

/* Far more than rings and sockets hold, so everything is full at times; who waits is woken. */
static void a_flood_ends_with_all_that_was_accepted_or_dropped(void **state)
{
    struct pair pair;
    (void)state;
    start(&pair, "2", false);
    assert_true(wait_lent(&pair));
    for (int i = 0; i < 20000; i++) {
        int code = pair_send_datagram(&pair, A, 1100, WW_ECN_NONE);
        assert_true(code == 0 || code == WW_EAGAIN);
        if (i % 500 == 0)
            ww_loop_turn(pair.loop, 0);
    }
    send_all(&pair, A, 0, 50, 10000); /* the reliable class gets through all the same */
    assert_true(pair.ends[B].fast_datagrams > 0);
    assert_false(pair.ends[B].fast_broken);
    pair_stop(&pair);
}

/* Datagrams are refused before what was accepted is dropped, and who was refused is told. */
static void a_sender_of_datagrams_waits_for_room(void **state)
{
    static const uint8_t bytes[16000] = {16000 % 256};
    struct pair pair;
    struct ww_path path;
    int code = 0;
    (void)state;
    start(&pair, "1", true);
    assert_true(wait_lent(&pair));
    atomic_store(&is_slow, true);
    for (int round = 0; round < 5; round++) {
        unsigned writable = pair.ends[A].fast_writable;
        for (int i = 0; i < 1000 && code != WW_EAGAIN; i++)
            code = ww_peer_send_datagram(pair.ends[A].peer, bytes, 1, bytes + 1, sizeof bytes - 1,
                                         WW_ECN_NONE, 0);
        assert_int_equal(code, WW_EAGAIN);
        assert_true(pair_wait_count(&pair, &pair.ends[A].fast_writable, writable + 1, 10000));
        code = 0;
    }
    atomic_store(&is_slow, false);
    ww_peer_path(pair.ends[A].peer, &path);
    assert_int_equal(path.datagrams_dropped, 0);
    pair_stop(&pair);
}

/* Each needs a batch of its own, and there is a bound on those that are not sent yet. */
static void records_of_many_sizes_are_not_dropped(void **state)
{
    struct pair pair;
    struct ww_path path;
    (void)state;
    start(&pair, "1", false);
    assert_true(wait_lent(&pair));
    atomic_store(&is_slow, true); /* so many wait for the worker at once */
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(pair_send_datagram(&pair, A, 700 + i, WW_ECN_NONE), 0);
    assert_true(pair_wait_count(&pair, &pair.ends[B].fast_datagrams, 200, 20000));
    atomic_store(&is_slow, false);
    ww_peer_path(pair.ends[A].peer, &path);
    assert_int_equal(path.datagrams_dropped, 0);
    pair_stop(&pair);
}

static void goes_on_over_another_path(void **state)
{
    struct pair pair;
    struct ww_path path;
    uint32_t number = 0;
    (void)state;
    start(&pair, "2", false);
    assert_true(wait_lent(&pair));
    ww_peer_change_path(pair.ends[A].peer);
    do {
        send_all(&pair, A, number, 20, 16000);
        number += 20;
        ww_peer_path(pair.ends[B].peer, &path);
        pair_turn_for(&pair, 5);
    } while (path.changes == 0 && number < 20000);
    assert_int_equal(path.changes, 1);
    assert_true(wait_lent(&pair)); /* again, once the old path is left */
    send_all(&pair, A, number, 100, 16000);
    pair_stop(&pair);
}

static void tells_of_the_other_side_s_end(void **state)
{
    struct pair pair;
    (void)state;
    start(&pair, "2", false);
    assert_true(wait_lent(&pair));
    /* What was sent before it comes, too. */
    assert_int_equal(pair_send(&pair, A, 0, 500), 0);
    ww_peer_destroy(pair.ends[A].peer);
    pair.ends[A].peer = NULL;
    assert_true(pair_wait(&pair, &pair.ends[B].closed, 5000));
    assert_int_equal(pair.ends[B].code, WW_ECLOSED);
    assert_int_equal(pair.ends[B].fast_messages, 1);
    pair_stop(&pair);
}

static void may_go_at_any_moment(void **state)
{
    struct ww_prng prng;
    struct pair pair;
    (void)state;
    ww_prng_seed(&prng, 7);
    assert_int_equal(setenv("PAIR_WORKERS", "2", 1), 0);
    pair_start(&pair, true, false);
    for (int i = 0; i < 16; i++) {
        pair_connect(&pair);
        pair.ends[B].destroy_on_message = i % 4 == 0;
        if (i % 3 == 0)
            ww_peer_change_path(pair.ends[A].peer);
        for (uint32_t number = 0; number < 40; number++)
            pair_send(&pair, A, number, 16000);
        pair_turn_for(&pair, (unsigned)(ww_prng_next(&prng) % 400));
        for (int end = A; end <= B; end++) {
            ww_peer_destroy(pair.ends[(end + i) % 2].peer);
            pair.ends[(end + i) % 2].peer = NULL;
            pair_turn_for(&pair, (unsigned)(ww_prng_next(&prng) % 20));
        }
        pair_carry(&pair);
    }
    pair_stop(&pair);
}

static unsigned count_logged(const char *message)
{
    struct ww_log_line line;
    unsigned count = 0;
    for (uint64_t number = 1; ww_log_line(number, &line); number = line.number + 1)
        count += strcmp(line.message, message) == 0;
    return count;
}

static void stays_where_it_is_without_threads_or_memory(void **state)
{
    (void)state;
    for (unsigned threads = 0; threads < 2; threads++) {
        struct pair pair;
        assert_int_equal(setenv("PAIR_WORKERS", "2", 1), 0);
        threads_left = threads; /* of ours: libraries' don't come by here */
        pair_start(&pair, true, false);
        threads_left = 1000;
        assert_int_equal(ww_workers_count(pair.workers), threads);
        pair_connect(&pair);
        assert_true(threads == 0 || wait_lent(&pair));
        send_all(&pair, A, 0, 50, 16000);
        pair_stop(&pair);
    }
    /* It is tried again, for memory may be there another time. */
    struct pair pair;
    uint32_t number = 0;
    main_thread = pthread_self();
    atomic_store(&watches_left, 0);
    start(&pair, "1", false);
    for (int i = 0; i < 20; i++, number += 2) {
        send_all(&pair, A, number, 2, 16000);
        send_all(&pair, B, number, 2, 16000);
        pair_turn_for(&pair, 50);
        assert_int_equal(worker_of(&pair, A) + worker_of(&pair, B), 0);
    }
    assert_true(atomic_load(&watches_refused) >= 4);
    assert_int_equal(count_logged("a peer stays on the main thread"), 2); /* of each once */
    atomic_store(&watches_left, UINT_MAX);
    assert_true(wait_lent(&pair));
    send_all(&pair, A, number, 50, 16000);
    pair_stop(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_both_classes),
        cmocka_unit_test(a_flood_ends_with_all_that_was_accepted_or_dropped),
        cmocka_unit_test(a_sender_of_datagrams_waits_for_room),
        cmocka_unit_test(records_of_many_sizes_are_not_dropped),
        cmocka_unit_test(goes_on_over_another_path),
        cmocka_unit_test(tells_of_the_other_side_s_end),
        cmocka_unit_test(may_go_at_any_moment),
        cmocka_unit_test(stays_where_it_is_without_threads_or_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
