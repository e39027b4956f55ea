/* Memory to memory over one reliable data channel between two processes on loopback, with data
 * past libnice and through it, alternately; or over the fast lane, by messages or by datagrams,
 * which go 64 every 200 µs. Prints Gbit/s, and CPU seconds per Gbit and microseconds per message of
 * both processes together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net_process.h"
#include "ww/limits.h"

#define BURST    64
#define BURST_US 200

struct options {
    uint64_t bytes;
    size_t message_bytes;
    unsigned rounds;
    bool jumbo, direct, libnice, fast, datagrams;
};

struct side {
    struct bench_peer bench; /* first: bench_signal takes it from there */
    const struct options *options;
    struct ww_channel *channel;
    uint64_t count; /* sent or received */
    struct ww_timer *timer;
    double started_s, ended_s, cpu_s;
    struct ww_path path;
};

struct result {
    double cpu_s;
};

static uint8_t payload[WW_CHANNEL_MESSAGE_BYTES_MAX];

static void on_closed(void *arg, int code)
{
    struct side *side = arg;
    if (side->count < side->options->bytes)
        bench_fail("closed", code);
    ww_loop_stop(side->bench.process->loop);
}

/* --- the sender ------------------------------------------------------------------------------- */

static void send_all(void *arg)
{
    struct side *side = arg;
    while (side->count < side->options->bytes) {
        int code = ww_channel_send(side->channel, WW_CHANNEL_BINARY, payload,
                                   side->options->message_bytes);
        if (code == WW_EAGAIN || code == WW_ECLOSED) /* `writable` or `closed` follows */
            return;
        if (code)
            bench_fail("send", code);
        side->count += side->options->message_bytes;
    }
}

static void send_fast(void *arg)
{
    struct side *side = arg;
    size_t size = side->options->message_bytes;
    while (side->count < side->options->bytes) {
        int code =
            ww_peer_send(side->bench.process->peers[0], payload, 16, payload + 16, size - 16);
        if (code == WW_EAGAIN)
            return;
        if (code)
            bench_fail("send", code);
        side->count += size;
    }
}

static void send_datagrams(void *arg)
{
    struct side *side = arg;
    struct ww_peer *peer = side->bench.process->peers[0];
    size_t size = side->options->message_bytes;
    for (int i = 0; i < BURST && side->count < side->options->bytes; i++) {
        ww_peer_send_datagram(peer, payload, 16, payload + 16, size - 16, WW_ECN_NONE, 0);
        side->count += size;
    }
    if (side->count < side->options->bytes)
        ww_timer_start(side->timer, BURST_US);
    else
        ww_peer_send(peer, payload, 1, NULL, 0); /* the end */
}

static void on_connected(void *arg)
{
    static const struct ww_channel_callbacks CALLBACKS = {.open = send_all, .writable = send_all};
    const struct ww_channel_config config = {.label = "bench", .max_retransmits = -1};
    struct side *side = arg;
    side->cpu_s = bench_cpu_s();
    if (side->options->datagrams) {
        if (ww_timer_create(side->bench.process->loop, send_datagrams, side, &side->timer))
            bench_fail("timer", 0);
        send_datagrams(side);
        return;
    }
    if (side->options->fast) {
        send_fast(side);
        return;
    }
    int code =
        ww_channel_open(side->bench.process->peers[0], &config, &CALLBACKS, side, &side->channel);
    if (code)
        bench_fail("open", code);
}

/* --- the receiver --------------------------------------------------------------------------------
 */

static void count(struct side *side, size_t size, bool is_end)
{
    if (side->count == 0) {
        side->started_s = bench_clock_s();
        side->cpu_s = bench_cpu_s();
    }
    side->count += size;
    if (!is_end && side->count < side->options->bytes)
        return;
    side->ended_s = bench_clock_s();
    side->cpu_s = bench_cpu_s() - side->cpu_s;
    ww_peer_path(side->bench.process->peers[0], &side->path);
    ww_loop_stop(side->bench.process->loop);
}

static void on_message(void *arg, enum ww_channel_kind kind, void *data, size_t size)
{
    (void)kind;
    (void)data;
    count(arg, size, false);
}

static void on_fast_message(void *arg, uint8_t *data, size_t size)
{
    (void)data;
    count(arg, size, size == 1);
}

static void on_fast_datagram(void *arg, uint8_t *data, size_t size, enum ww_ecn mark)
{
    (void)mark;
    on_fast_message(arg, data, size);
}

static void on_channel(void *arg, struct ww_channel *channel)
{
    static const struct ww_channel_callbacks CALLBACKS = {.message = on_message};
    ww_channel_accept(channel, &CALLBACKS, arg);
}

/* --- a round
 * ------------------------------------------------------------------------------------------ */

static void run(struct side *side, int fd, bool is_sender, bool direct,
                const struct options *options)
{
    struct bench_process process;
    const struct ww_net_config config = {.loopback_only = true,
                                         .allow_bypass = direct,
                                         .allow_jumbo = options->jumbo,
                                         .allow_fast = options->fast};
    const struct ww_peer_callbacks callbacks = {
        .signal = bench_signal,
        .connected = is_sender ? on_connected : NULL,
        .channel = on_channel,
        .message = on_fast_message,
        .datagram = on_fast_datagram,
        .writable = send_fast,
        .closed = on_closed,
    };
    struct ww_peer_config peer = {.role = is_sender ? WW_PEER_CLIENT : WW_PEER_SERVER};
    memset(side, 0, sizeof *side);
    side->options = options;
    bench_start(&process, fd, &config, 1, &peer.remote);
    side->bench.process = &process;
    int code = ww_peer_create(process.net, &peer, &callbacks, side, &process.peers[0]);
    if (code)
        bench_fail("peer", code);
    ww_loop_run(process.loop);
    if (is_sender) {
        const struct result result = {bench_cpu_s() - side->cpu_s};
        if (send(fd, &result, sizeof result, MSG_NOSIGNAL) < 0)
            bench_fail("result", 0);
    }
    if (!is_sender) {
        ww_peer_destroy(process.peers[0]);
        process.peers[0] = NULL;
        struct {
            struct result result;
            char rest[WW_SIGNAL_BYTES_MAX + 64];
        } packet;
        /* Late signals may still lie before the result. */
        do {
            ssize_t size = recv(fd, &packet, sizeof packet, 0);
            if (size <= 0)
                bench_fail("result", 0);
            if (size == (ssize_t)sizeof(struct result))
                break;
        } while (true);
        side->cpu_s += packet.result.cpu_s;
    }
    bench_stop(&process);
}

static void run_round(bool direct, const struct options *options)
{
    static struct side side;
    int fd, child, status;
    fflush(stdout);
    if (bench_fork(&fd, &child)) {
        run(&side, fd, true, direct, options);
        _exit(0);
    }
    /* Libraries with threads are only started after the fork, and each round in a child. */
    run(&side, fd, false, direct, options);
    waitpid(child, &status, 0);
    double gbit = (double)side.count * 8 / 1e9;
    double seconds = side.ended_s - side.started_s;
    double messages = (double)side.count / (double)options->message_bytes;
    printf("path=%s%s datagram=%u message=%zu Gbit/s=%.2f cpu_s_per_Gbit=%.3f us_per_message=%.2f "
           "messages=%llu/s lost=%.1f%% dropped=%llu\n",
           side.path.direct ? "direct" : "libnice", side.path.mtu > 2000 ? "+jumbo" : "",
           side.path.mtu, options->message_bytes, gbit / seconds, side.cpu_s / gbit,
           side.cpu_s * 1e6 / messages, (unsigned long long)(messages / seconds),
           100 - 100.0 * (double)side.count / (double)options->bytes,
           (unsigned long long)side.path.datagrams_dropped);
}

/* A process of its own for each round, so that no state is left of the last. */
static void run_apart(bool direct, const struct options *options)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        bench_fail("fork", 0);
    if (child == 0) {
        run_round(direct, options);
        fflush(stdout);
        _exit(0);
    }
    if (waitpid(child, &status, 0) < 0 || status != 0)
        bench_fail("round", 0);
}

int main(int argc, char **argv)
{
    struct options options = {
        .bytes = 1ULL << 30, .message_bytes = 16384, .rounds = 3, .direct = true, .libnice = true};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bytes") == 0) {
            options.bytes = bench_number(argc, argv, &i);
        } else if (strcmp(argv[i], "--message") == 0) {
            uint64_t number = bench_number(argc, argv, &i);
            options.message_bytes = WW_MIN(number, WW_CHANNEL_MESSAGE_BYTES_MAX);
        } else if (strcmp(argv[i], "--rounds") == 0) {
            options.rounds = (unsigned)bench_number(argc, argv, &i);
        } else if (strcmp(argv[i], "--jumbo") == 0) {
            options.jumbo = true;
        } else if (strcmp(argv[i], "--fast") == 0) {
            options.fast = true;
        } else if (strcmp(argv[i], "--datagrams") == 0) {
            options.fast = options.datagrams = true;
        } else if (strcmp(argv[i], "--direct") == 0) {
            options.libnice = false;
        } else if (strcmp(argv[i], "--libnice") == 0) {
            options.direct = false;
        } else {
            fprintf(stderr,
                    "usage: %s [--bytes N] [--message N] [--rounds N] [--jumbo] "
                    "[--direct | --libnice] [--fast | --datagrams]\n",
                    argv[0]);
            return 2;
        }
    }
    alarm(300);
    for (unsigned i = 0; i < options.rounds; i++) {
        if (options.direct)
            run_apart(true, &options);
        if (options.libnice)
            run_apart(false, &options);
    }
    return 0;
}
