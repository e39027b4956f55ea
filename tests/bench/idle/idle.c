/* Memory of idle connections as the nodes have them: peer, two channels and transfer. One process
 * holds the clients' ends, the other the providers', over loopback, with nothing to say. Prints the
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

#include "conn.h"
#include "net_process.h"

#define AT_ONCE     16 /* connections being set up */
#define IDLE_US     3000000
#define COUNT_LIMIT 4000

struct end {
    struct bench_peer bench; /* first: bench_signal takes it from there */
    struct conn *conn;
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

static void on_signal(struct conn *conn, const char *text)
{
    bench_signal(conn->owner, text);
}

static void on_closed(struct conn *conn, int code)
{
    (void)conn;
    bench_fail("closed", code);
}

static void start_one(void);

static void on_ready(struct conn *conn)
{
    (void)conn;
    state.connected++;
    if (state.is_client && state.started < state.count)
        start_one();
    if (state.connected == state.count)
        ww_loop_stop(state.process.loop);
}

static void start_conn(unsigned number)
{
    static const uint8_t EPOCH[WW_EPOCH_SIZE];
    static const struct conn_callbacks CALLBACKS = {
        .signal = on_signal, .ready = on_ready, .closed = on_closed};
    struct end *end = &state.ends[number];
    const struct conn_config config = {
        .net = state.process.net,
        .loop = state.process.loop,
        .role = state.is_client ? WW_TRANSFER_CLIENT : WW_TRANSFER_PROVIDER,
        .remote = state.remote,
        .epoch = EPOCH,
        .callbacks = &CALLBACKS,
        .owner = end,
    };
    end->bench = (struct bench_peer){&state.process, number};
    int code = conn_create(&config, &end->conn);
    if (code)
        bench_fail("conn", code);
    state.process.peers[number] = end->conn->peer;
}

static void start_one(void)
{
    start_conn(state.started++);
}

static void stop(void *arg)
{
    ww_loop_stop(arg);
}

static void run(int fd, bool is_client, unsigned count, struct report *report)
{
    const struct ww_net_config config = {
        .loopback_only = true, .allow_bypass = true, .allow_fast = true};
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
        state.process.missing = start_conn; /* when its client's first signal comes */
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
    struct report client, provider;
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
        run(fd, false, count, &provider);
        if (send(report_fd, &provider, sizeof provider, 0) < 0)
            bench_fail("report", 0);
        _exit(0);
    }
    run(fd, true, count, &client);
    /* Late signals may lie before the report. */
    char packet[8192];
    ssize_t size;
    while ((size = recv(fd, packet, sizeof packet, 0)) != sizeof provider && size > 0)
        ;
    if (size <= 0)
        bench_fail("report", 0);
    memcpy(&provider, packet, sizeof provider);
    waitpid(child, NULL, 0);
    printf(
        "connections=%u client_kB_each=%.1f provider_kB_each=%.1f setup_s=%.2f setup_ms_each=%.1f "
        "idle_client_cpu_percent=%.1f idle_provider_cpu_percent=%.1f\n",
        count, client.kb, provider.kb, state.setup_s, state.setup_s * 1000 / count,
        client.cpu_s * 100, provider.cpu_s * 100);
    return 0;
}
