/* Memory of idle connections: one process holds the clients, the other the servers, each client
 * connected to its server over loopback, with a channel open and nothing to say. Prints the
 * resident memory of each process per connection, how long one takes to set up, and how much CPU
 * all of them take while idle. bench_idle [count]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net_process.h"

#define AT_ONCE     16 /* connections being set up */
#define IDLE_US     3000000
#define COUNT_LIMIT 4000

struct end {
    struct bench_peer bench; /* first: bench_signal takes it from there */
    struct ww_channel *channel;
};

struct state {
    struct bench_process process;
    struct ww_hash remote;
    struct end *ends;
    unsigned count, started, connected;
    bool is_client;
    double setup_s;
};

struct report {
    double kb, cpu_s;
};

static struct state state;

static double resident_kb(void)
{
    unsigned long total, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu %lu", &total, &resident) != 2)
        bench_fail("statm", 0);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static void on_closed(void *arg, int code)
{
    (void)arg;
    bench_fail("closed", code);
}

static void on_channel(void *arg, struct ww_channel *channel)
{
    static const struct ww_channel_callbacks NONE;
    ww_channel_accept(channel, &NONE, arg);
    state.connected++;
    if (state.connected == state.count)
        ww_loop_stop(state.process.loop);
}

static void start_one(void);

static void on_open(void *arg)
{
    (void)arg;
    state.connected++;
    if (state.started < state.count)
        start_one();
    if (state.connected == state.count)
        ww_loop_stop(state.process.loop);
}

static void on_connected(void *arg)
{
    static const struct ww_channel_callbacks CALLBACKS = {.open = on_open};
    const struct ww_channel_config config = {.label = "idle", .max_retransmits = -1};
    struct end *end = arg;
    if (!state.is_client)
        return;
    int code = ww_channel_open(state.process.peers[end->bench.number], &config, &CALLBACKS, end,
                               &end->channel);
    if (code)
        bench_fail("open", code);
}

static void start_peer(unsigned number)
{
    static const struct ww_peer_callbacks CALLBACKS = {.signal = bench_signal,
                                                       .connected = on_connected,
                                                       .channel = on_channel,
                                                       .closed = on_closed};
    const struct ww_peer_config config = {
        .role = state.is_client ? WW_PEER_CLIENT : WW_PEER_SERVER,
        .remote = state.remote,
    };
    struct end *end = &state.ends[number];
    end->bench = (struct bench_peer){&state.process, number};
    int code =
        ww_peer_create(state.process.net, &config, &CALLBACKS, end, &state.process.peers[number]);
    if (code)
        bench_fail("peer", code);
}

static void start_one(void)
{
    start_peer(state.started++);
}

static void stop(void *arg)
{
    ww_loop_stop(arg);
}

static void run(int fd, bool is_client, unsigned count, struct report *report)
{
    const struct ww_net_config config = {.loopback_only = true, .allow_bypass = true};
    struct ww_timer *timer;
    state.is_client = is_client;
    state.count = count;
    state.ends = calloc(count, sizeof *state.ends);
    bench_start(&state.process, fd, &config, count, &state.remote);
    double before_kb = resident_kb(), started_s = bench_clock_s();
    if (is_client) {
        for (unsigned i = 0; i < WW_MIN(count, AT_ONCE); i++)
            start_one();
    } else {
        state.process.missing = start_peer; /* when its client's first signal comes */
    }
    ww_loop_run(state.process.loop);
    state.setup_s = bench_clock_s() - started_s;
    /* What comes now is the other side's report, which is read at the end. */
    ww_watch_destroy(state.process.watch);
    state.process.watch = NULL;
    if (ww_timer_create(state.process.loop, stop, state.process.loop, &timer))
        bench_fail("timer", 0);
    /* Past what is left of the set-up. */
    ww_timer_start(timer, IDLE_US);
    ww_loop_run(state.process.loop);
    report->kb = (resident_kb() - before_kb) / count;
    report->cpu_s = bench_cpu_s();
    ww_timer_start(timer, IDLE_US);
    ww_loop_run(state.process.loop);
    report->cpu_s = (bench_cpu_s() - report->cpu_s) / (IDLE_US / 1e6);
    ww_timer_destroy(timer);
}

int main(int argc, char **argv)
{
    unsigned count = 1000;
    struct report client, server;
    struct rlimit files;
    int fd, child;
    if (argc > 1) {
        int index = 0;
        uint64_t number = bench_number(argc, argv, &index);
        count = (unsigned)WW_MIN(number, COUNT_LIMIT);
    }
    if (count == 0 || argc > 2) {
        fprintf(stderr, "usage: %s [count]\n", argv[0]);
        return 2;
    }
    /* A connection has three sockets at most: libnice's for IPv4 and IPv6, and ours. */
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    alarm(600);
    if (bench_fork(&fd, &child)) {
        int report_fd = dup(fd);
        run(fd, false, count, &server);
        if (send(report_fd, &server, sizeof server, 0) < 0)
            bench_fail("report", 0);
        _exit(0);
    }
    run(fd, true, count, &client);
    /* Late signals may lie before the report. */
    char packet[8192];
    ssize_t size;
    while ((size = recv(fd, packet, sizeof packet, 0)) != sizeof server && size > 0)
        ;
    if (size <= 0)
        bench_fail("report", 0);
    memcpy(&server, packet, sizeof server);
    waitpid(child, NULL, 0);
    printf("connections=%u client_kB_each=%.1f server_kB_each=%.1f setup_s=%.2f setup_ms_each=%.1f "
           "idle_client_cpu_percent=%.1f idle_server_cpu_percent=%.1f\n",
           count, client.kb, server.kb, state.setup_s, state.setup_s * 1000 / count,
           client.cpu_s * 100, server.cpu_s * 100);
    return 0;
}
