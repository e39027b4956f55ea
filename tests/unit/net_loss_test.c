/* Peers over a path that loses datagrams: a relay between the two, whose address is put in the
 * place of their candidates. STUN always passes unless the relay is cut. unit_net_loss [TEST]
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net_pair.h"

#define LATE_MAX 4096
/* Types of a record, and of a message of the handshake; where the latter stands. */
#define DTLS_ALERT       21
#define DTLS_HANDSHAKE   22
#define DTLS_DATA        23
#define DTLS_HEAD        (13 + 8)
#define CERTIFICATE      11
#define CERTIFICATE_TYPE 13

/* A datagram on a long way. */
struct late {
    uint64_t due_us;
    int to;
    size_t size;
    uint8_t datagram[1300];
};

struct relay {
    struct pair *pair;
    int fds[2]; /* fds[A] faces A */
    struct ww_watch *watches[2];
    struct sockaddr_in ends[2]; /* where the two really are */
    struct ww_prng prng;
    unsigned lose_first[2]; /* data to that end that is lost before anything passes */
    bool spoil_handshake;   /* the client's certificate has a flipped bit, and alerts are lost */
    bool flip; /* before each record goes a copy with a flipped bit, a different one each time */
    unsigned flipped;
    uint64_t records_from_us; /* DTLS passes, but nothing that it carries before this */
    unsigned lose_ppm;
    bool cut;
    bool cut_stun;
    bool cut_data[2]; /* to that end; STUN passes */
    unsigned lost, passed;
    uint64_t delay_us; /* of data */
    struct ww_timer *timer;
    unsigned late_first, late_count;
};

static struct late late[LATE_MAX]; /* a ring */

static uint8_t payload[16384];

static bool is_lost(struct relay *relay, int to, uint8_t first)
{
    if (relay->cut)
        return true;
    if (first <= 3)
        return relay->cut_stun;
    if (relay->cut_data[to])
        return true;
    if (relay->spoil_handshake && first == DTLS_ALERT)
        return true;
    if (first == DTLS_DATA && ww_clock_mono_us() < relay->records_from_us)
        return true;
    if (relay->lose_first[to] > 0) {
        relay->lose_first[to]--;
        return true;
    }
    return ww_prng_next(&relay->prng) % 1000000 < relay->lose_ppm;
}

static void pass(struct relay *relay, int to, const uint8_t *datagram, size_t size)
{
    sendto(relay->fds[to], datagram, size, MSG_DONTWAIT, (struct sockaddr *)&relay->ends[to],
           sizeof relay->ends[to]);
}

static void on_timer(void *arg)
{
    struct relay *relay = arg;
    uint64_t now_us = ww_clock_mono_us();
    while (relay->late_count > 0 && late[relay->late_first].due_us <= now_us) {
        const struct late *first = &late[relay->late_first];
        pass(relay, first->to, first->datagram, first->size);
        relay->late_first = (relay->late_first + 1) % LATE_MAX;
        relay->late_count--;
    }
    ww_timer_start(relay->timer, 5000);
}

static void delay(struct relay *relay, int to, const uint8_t *datagram, size_t size)
{
    struct late *last = &late[(relay->late_first + relay->late_count) % LATE_MAX];
    assert_true(size <= sizeof last->datagram);
    if (relay->late_count == LATE_MAX)
        return;
    relay->late_count++;
    last->due_us = ww_clock_mono_us() + relay->delay_us;
    last->to = to;
    last->size = size;
    memcpy(last->datagram, datagram, size);
}

/* Each bit of a record's header in turn, and of what DTLS puts in front of the data. */
static void pass_flipped(struct relay *relay, int to, uint8_t *datagram, size_t size)
{
    unsigned bit = relay->flipped++ % (DTLS_HEAD * 8);
    if (bit / 8 >= size)
        return;
    datagram[bit / 8] ^= (uint8_t)(1U << bit % 8);
    pass(relay, to, datagram, size);
    datagram[bit / 8] ^= (uint8_t)(1U << bit % 8);
}

static void on_datagram(void *arg, int fd, unsigned events)
{
    struct relay *relay = arg;
    int to = fd == relay->fds[A] ? B : A;
    uint8_t datagram[2048];
    (void)events;
    for (int i = 0; i < 256; i++) {
        ssize_t size = recv(fd, datagram, sizeof datagram, MSG_DONTWAIT);
        if (size <= 0)
            return;
        if (is_lost(relay, to, datagram[0])) {
            relay->lost++;
            continue;
        }
        relay->passed++;
        if (relay->spoil_handshake && to == B && size > 200 && datagram[0] == DTLS_HANDSHAKE &&
            datagram[CERTIFICATE_TYPE] == CERTIFICATE)
            datagram[200] ^= 1;
        if (relay->flip && datagram[0] == DTLS_DATA)
            pass_flipped(relay, to, datagram, (size_t)size);
        if (relay->delay_us && datagram[0] > 3)
            delay(relay, to, datagram, (size_t)size);
        else
            pass(relay, to, datagram, (size_t)size);
    }
}

/* Puts the relay's address for the other end's. IPv4 only. */
static char *alter(struct pair *pair, int to, const char *text)
{
    struct relay *relay = pair->alter_arg;
    const char *address = strstr(text, " 127.0.0.1 ");
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    char changed[256];
    if (!address)
        return ww_strdup(text);
    relay->ends[!to].sin_family = AF_INET;
    relay->ends[!to].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    relay->ends[!to].sin_port = htons((uint16_t)strtoul(address + 11, NULL, 10));
    assert_int_equal(getsockname(relay->fds[to], (struct sockaddr *)&here, &size), 0);
    snprintf(changed, sizeof changed, "%.*s 127.0.0.1 %u typ host\n", (int)(address - text), text,
             ntohs(here.sin_port));
    return ww_strdup(changed);
}

static void start(struct relay *relay, struct pair *pair, bool bypass)
{
    const int size = 4 << 20;
    memset(relay, 0, sizeof *relay);
    ww_prng_seed(&relay->prng, 11);
    pair_start(pair, bypass, false);
    relay->pair = pair;
    pair->only_prefix = " 127.0.0.1 ";
    pair->alter = alter;
    pair->alter_arg = relay;
    assert_int_equal(ww_timer_create(pair->loop, on_timer, relay, &relay->timer), 0);
    ww_timer_start(relay->timer, 5000);
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        relay->fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(relay->fds[i] >= 0);
        setsockopt(relay->fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        assert_int_equal(bind(relay->fds[i], (struct sockaddr *)&any, sizeof any), 0);
        assert_int_equal(ww_watch_create(pair->loop, relay->fds[i], WW_WATCH_READ, on_datagram,
                                         relay, &relay->watches[i]),
                         0);
    }
}

static void stop(struct relay *relay, struct pair *pair)
{
    ww_timer_destroy(relay->timer);
    for (int i = 0; i < 2; i++) {
        ww_watch_destroy(relay->watches[i]);
        close(relay->fds[i]);
    }
    pair_stop(pair);
}

static void lost_first_flights(void **state)
{
    (void)state;
    for (unsigned lost = 1; lost <= 5; lost += 2) {
        struct relay relay;
        struct pair pair;
        start(&relay, &pair, lost % 3 != 0);
        relay.lose_first[A] = relay.lose_first[B] = lost;
        pair_connect(&pair);
        assert_true(relay.lost >= 2 * lost);
        stop(&relay, &pair);
    }
}

static void transfer_under_loss(void **state)
{
    static const struct ww_channel_config RELIABLE = {.max_retransmits = -1};
    struct ww_prng prng;
    struct relay relay;
    struct pair pair;
    (void)state;
    ww_prng_seed(&prng, 5);
    ww_prng_fill(&prng, payload, sizeof payload);
    start(&relay, &pair, true);
    relay.lose_ppm = 20000;
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(
            ww_channel_send(channel, WW_CHANNEL_BINARY, payload + i, sizeof payload - i), 0);
    assert_true(pair_wait_count(&pair, &pair.ends[B].message_count, 200, 40000));
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(pair.ends[B].log[i].size, sizeof payload - i);
        assert_int_equal(pair.ends[B].log[i].sum, pair_sum(payload + i, sizeof payload - i));
    }
    assert_true(relay.lost > 20);
    stop(&relay, &pair);
}

/* So many KiB from A to B, and what A sent for them in percent. */
static unsigned transfer(struct pair *pair, struct ww_channel *channel, unsigned kib, unsigned ms)
{
    unsigned count = kib / 16, before = pair->ends[B].message_count;
    struct ww_path start, end;
    ww_peer_path(pair->ends[A].peer, &start);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, sizeof payload), 0);
    assert_true(pair_wait_count(pair, &pair->ends[B].message_count, before + count, ms));
    ww_peer_path(pair->ends[A].peer, &end);
    return (unsigned)((end.bytes_sent - start.bytes_sent) * 100 / (kib * 1024));
}

/* Every third datagram in both directions: with the timeouts of other paths this takes a minute,
 * and nothing is declared lost or silent meanwhile. */
static void much_loss_is_no_standstill(void **state)
{
    static const struct ww_channel_config RELIABLE = {.max_retransmits = -1};
    struct relay relay;
    struct pair pair;
    struct ww_path path;
    (void)state;
    start(&relay, &pair, true);
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    relay.lose_ppm = 300000;
    uint64_t begin_us = ww_clock_mono_us();
    unsigned percent = transfer(&pair, channel, 1024, 40000);
    print_message("1 MiB: %u ms, %u %% sent\n", (unsigned)((ww_clock_mono_us() - begin_us) / 1000),
                  percent);
    ww_peer_path(pair.ends[A].peer, &path);
    assert_int_equal(path.changes, 0);
    stop(&relay, &pair);
}

/* 300 ms there and back: nothing is sent twice for impatience, neither by a path that loses nothing
 * nor, beyond what is lost, by one that does. When it becomes 900 ms in the middle of losses,
 * timeouts follow. */
static void long_path_is_given_time(void **state)
{
    static const struct ww_channel_config RELIABLE = {.max_retransmits = -1};
    struct relay relay;
    struct pair pair;
    (void)state;
    start(&relay, &pair, true);
    relay.delay_us = 150000;
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    unsigned percent = transfer(&pair, channel, 2048, 20000);
    print_message("no loss: %u %% sent\n", percent);
    assert_in_range(percent, 100, 112);
    relay.lose_ppm = 300000;
    percent = transfer(&pair, channel, 128, 60000);
    print_message("30 %% lost: %u %% sent\n", percent);
    assert_in_range(percent, 130, 280);
    relay.delay_us = 450000;
    transfer(&pair, channel, 32, 60000);
    relay.lose_ppm = 0;
    percent = transfer(&pair, channel, 256, 60000);
    print_message("900 ms, no loss: %u %% sent\n", percent);
    assert_in_range(percent, 100, 150);
    stop(&relay, &pair);
}

/* Checks aren't answered any more while the association is still being made: consent is good for
 * longer than libnice asks for it, and the peer has its time to connect. */
static void slow_handshake_keeps_its_path(void **state)
{
    static const struct ww_channel_config RELIABLE = {.max_retransmits = -1};
    struct relay relay;
    struct pair pair;
    struct ww_path path;
    (void)state;
    start(&relay, &pair, true);
    relay.records_from_us = ww_clock_mono_us() + 17000000;
    pair_make(&pair);
    pair_turn_for(&pair, 2000);
    ww_peer_path(pair.ends[A].peer, &path);
    assert_true(path.direct);
    relay.cut_stun = true;
    assert_true(pair_wait(&pair, &pair.ends[A].connected, 25000));
    assert_true(pair_wait(&pair, &pair.ends[B].connected, 5000));
    assert_true(ww_clock_mono_us() >= relay.records_from_us);
    pair_open(&pair, A, &RELIABLE);
    stop(&relay, &pair);
}

/* A bit flips in a handshake, and the alert is lost, too: the client is told by signal, at once. */
static void failed_handshake_is_told(void **state)
{
    struct relay relay;
    struct pair pair;
    (void)state;
    start(&relay, &pair, true);
    relay.spoil_handshake = true;
    pair_make(&pair);
    assert_true(pair_wait(&pair, &pair.ends[B].closed, 10000));
    assert_int_not_equal(pair.ends[B].code, 0);
    assert_true(pair_wait(&pair, &pair.ends[A].closed, 2000));
    assert_int_equal(pair.ends[A].code, WW_ECLOSED);
    stop(&relay, &pair);
}

/* What DTLS can't check is dropped, whatever bit it is: nobody on the way may end a connection. */
static void flipped_bits_are_losses(void **state)
{
    static const struct ww_channel_config RELIABLE = {.max_retransmits = -1};
    struct relay relay;
    struct pair pair;
    (void)state;
    start(&relay, &pair, true);
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    relay.flip = true;
    for (unsigned i = 1; relay.flipped < 5 * DTLS_HEAD * 8; i++) {
        assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, 1 + i % 100), 0);
        assert_true(pair_wait_count(&pair, &pair.ends[B].message_count, i, 10000));
        assert_false(pair.ends[A].closed || pair.ends[B].closed);
    }
    stop(&relay, &pair);
}

/* The first packets of the association are lost for so long that it takes its round trip for
 * seconds. Soon it knows better: what is lost later is sent again in time. */
static void slow_start_is_forgotten(void **state)
{
    static const struct ww_channel_config RELIABLE = {.max_retransmits = -1};
    struct relay relay;
    struct pair pair;
    (void)state;
    start(&relay, &pair, true);
    relay.records_from_us = ww_clock_mono_us() + 3000000;
    pair_connect(&pair);
    struct ww_channel *channels[2] = {pair_open(&pair, A, &RELIABLE), pair.ends[B].accepted};
    pair_turn_for(&pair, 2500);
    for (int from = A; from <= B; from++) {
        relay.lose_first[!from] = 2;
        uint64_t begin_us = ww_clock_mono_us();
        assert_int_equal(ww_channel_send(channels[from], WW_CHANNEL_BINARY, payload, 100), 0);
        assert_true(pair_wait_count(&pair, &pair.ends[!from].message_count, 1, 30000));
        unsigned took_ms = (unsigned)((ww_clock_mono_us() - begin_us) / 1000);
        print_message("lost at first: %u ms\n", took_ms);
        assert_true(relay.lose_first[!from] < 2);
        assert_in_range(took_ms, 0, 2500);
    }
    stop(&relay, &pair);
}

static void unreliable_channel_gives_up(void **state)
{
    static const struct ww_channel_config DATAGRAMS = {.unordered = true, .max_retransmits = 0};
    struct relay relay;
    struct pair pair;
    (void)state;
    start(&relay, &pair, true);
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &DATAGRAMS);
    relay.lose_ppm = 300000;
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, 500), 0);
        pair_turn_for(&pair, 2);
    }
    relay.lose_ppm = 0;
    pair_turn_for(&pair, 1500);
    /* Some are gone for good, and nothing waits for them. */
    assert_in_range(pair.ends[B].message_count, 50, 195);
    unsigned count = pair.ends[B].message_count;
    assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, 500), 0);
    assert_true(pair_wait_count(&pair, &pair.ends[B].message_count, count + 1, 5000));
    stop(&relay, &pair);
}

/* The path dies in mid-transfer, and signals do not get through for a while either: consent is
 * lost, a second agent finds another path, and every message comes once, in order. */
static void lost_path_is_replaced(void **state)
{
    static const struct ww_channel_config RELIABLE = {.max_retransmits = -1};
    struct relay relay;
    struct pair pair;
    struct ww_path path;
    (void)state;
    start(&relay, &pair, true);
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    for (unsigned i = 0; i < 200; i++) {
        if (i == 100) {
            pair_turn_for(&pair, 50);
            relay.cut = pair.hold = true;
            pair.alter = NULL;
        }
        assert_int_equal(
            ww_channel_send(channel, WW_CHANNEL_BINARY, payload + i, sizeof payload - i), 0);
    }
    uint64_t until_us = ww_clock_mono_us() + 60000000;
    do {
        pair_turn_for(&pair, 50);
        ww_peer_path(pair.ends[A].peer, &path);
    } while (!path.lost_ms && ww_clock_mono_us() < until_us);
    assert_true(path.changing);
    assert_int_equal(path.changes, 0);
    pair_turn_for(&pair, 2500);
    pair.hold = false;
    assert_true(pair_wait_count(&pair, &pair.ends[B].message_count, 200, 40000));
    pair_turn_for(&pair, 500);
    assert_int_equal(pair.ends[B].message_count, 200);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(pair.ends[B].log[i].size, sizeof payload - i);
        assert_int_equal(pair.ends[B].log[i].sum, pair_sum(payload + i, sizeof payload - i));
    }
    for (int end = A; end <= B; end++) {
        ww_peer_path(pair.ends[end].peer, &path);
        assert_in_range(path.changes, 1, 3);
        assert_int_equal(path.lost_ms, 0);
        assert_false(pair.ends[end].closed);
    }
    stop(&relay, &pair);
}

/* One direction is dead though consent holds, as behind a NAT that has changed its mind. */
static void silent_path_is_replaced(void **state)
{
    static const struct ww_channel_config RELIABLE = {.max_retransmits = -1};
    (void)state;
    for (int dead = A; dead <= B; dead++) {
        struct relay relay;
        struct pair pair;
        struct ww_path path;
        start(&relay, &pair, true);
        pair_connect(&pair);
        struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
        pair.alter = NULL;
        relay.cut_data[dead] = true;
        for (unsigned i = 0; i < 20; i++)
            assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, sizeof payload),
                             0);
        uint64_t begin_us = ww_clock_mono_us();
        do {
            pair_turn_for(&pair, 50);
            ww_peer_path(pair.ends[B].peer, &path);
        } while (!path.changes && ww_clock_mono_us() - begin_us < 15000000);
        assert_in_range(ww_clock_mono_us() - begin_us, 3000000, 14500000);
        assert_true(pair_wait_count(&pair, &pair.ends[B].message_count, 20, 10000));
        pair_turn_for(&pair, 300);
        assert_int_equal(pair.ends[B].message_count, 20);
        stop(&relay, &pair);
    }
}

/* Answers to checks don't get through for longer than consent lasts, but what DTLS takes does, 70 %
 * of it: the path is as good as before, also when there is nothing to send. It is lost as soon as
 * that ends, too. */
static void data_keeps_a_path(void **state)
{
    static const struct ww_channel_config RELIABLE = {.max_retransmits = -1};
    struct relay relay;
    struct pair pair;
    struct ww_path path;
    (void)state;
    start(&relay, &pair, true);
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    relay.cut_stun = true;
    relay.lose_ppm = 300000;
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, 500), 0);
        pair_turn_for(&pair, 100);
    }
    assert_true(pair_wait_count(&pair, &pair.ends[B].message_count, 30, 3000));
    pair_turn_for(&pair, 20000);
    for (int end = A; end <= B; end++) {
        ww_peer_path(pair.ends[end].peer, &path);
        assert_int_equal(path.lost_ms, 0);
        assert_int_equal(path.changes, 0);
    }
    relay.cut = true;
    pair.hold = true;
    uint64_t until_us = ww_clock_mono_us() + 12000000;
    do {
        pair_turn_for(&pair, 50);
        ww_peer_path(pair.ends[A].peer, &path);
    } while (!path.lost_ms && ww_clock_mono_us() < until_us);
    assert_true(path.lost_ms > 0);
    stop(&relay, &pair);
}

/* Without answers to its checks an agent must stop sending (RFC 7675). */
static void consent_is_lost(void **state)
{
    struct relay relay;
    struct pair pair;
    (void)state;
    start(&relay, &pair, true);
    pair.path_ms = 3000;
    pair_connect(&pair);
    pair_turn_for(&pair, 300);
    relay.cut = true;
    assert_true(pair_wait(&pair, &pair.ends[A].closed, 60000));
    assert_int_equal(pair.ends[A].code, WW_EICE);
    assert_true(pair_wait(&pair, &pair.ends[B].closed, 30000));
    assert_int_equal(pair.ends[B].code, WW_EICE);
    stop(&relay, &pair);
}

/* --- all at once -------------------------------------------------------------------------------
 */

/* The longest first: they mostly wait, so that four at a time take as long as the longest. */
static const struct CMUnitTest TESTS[] = {
    cmocka_unit_test(long_path_is_given_time),
    cmocka_unit_test(data_keeps_a_path),
    cmocka_unit_test(consent_is_lost),
    cmocka_unit_test(slow_handshake_keeps_its_path),
    cmocka_unit_test(lost_path_is_replaced),
    cmocka_unit_test(silent_path_is_replaced),
    cmocka_unit_test(slow_start_is_forgotten),
    cmocka_unit_test(lost_first_flights),
    cmocka_unit_test(transfer_under_loss),
    cmocka_unit_test(unreliable_channel_gives_up),
    cmocka_unit_test(much_loss_is_no_standstill),
    cmocka_unit_test(failed_handshake_is_told),
    cmocka_unit_test(flipped_bits_are_losses),
};
#define AT_ONCE 4 /* what they do besides waiting must not hold up the others' timeouts */

static int run_one(const char *name)
{
    cmocka_set_test_filter(name);
    return cmocka_run_group_tests_name("net_loss", TESTS, NULL, NULL);
}

static void reap(int *failed)
{
    int status = 0;

    if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        ++*failed;
}

/* Each test is a process, as usrsctp is one stack of a process. With a name: only that test. */
int main(int argc, char **argv)
{
    size_t running = 0;
    int failed = 0;

    if (argc == 2)
        return run_one(argv[1]);
    for (size_t i = 0; i < WW_ARRAY_COUNT(TESTS); i++, running++) {
        for (; running == AT_ONCE; running--)
            reap(&failed);
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            exit(run_one(TESTS[i].name));
        if (pid < 0)
            return 1;
    }
    for (; running > 0; running--)
        reap(&failed);
    print_message("%d of %zu tests failed\n", failed, WW_ARRAY_COUNT(TESTS));
    return failed;
}
