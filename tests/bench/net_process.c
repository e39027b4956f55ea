/* See net_process.h. */
#include "net_process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ww/limits.h"

struct packet {
    unsigned number;
    char text[WW_SIGNAL_BYTES_MAX + 1];
};

_Noreturn void bench_fail(const char *what, int code)
{
    fprintf(stderr, "bench: %s: %s\n", what, code ? ww_error_name(code) : "failed");
    exit(1);
}

uint64_t bench_number(int argc, char **argv, int *index)
{
    char *end;
    if (*index + 1 >= argc)
        bench_fail(argv[*index], WW_EINVAL);
    uint64_t number = strtoull(argv[++*index], &end, 10);
    if (*end != '\0')
        bench_fail(argv[*index], WW_EINVAL);
    return number;
}

bool bench_fork(int *fd, int *child)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        bench_fail("socketpair", 0);
    pid_t parent = getpid();
    *child = fork();
    if (*child < 0)
        bench_fail("fork", 0);
    if (*child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    *fd = pair[*child == 0];
    close(pair[*child != 0]);
    return *child == 0;
}

static void on_readable(void *arg, int fd, unsigned events)
{
    struct bench_process *process = arg;
    static struct packet packet;
    (void)events;
    ssize_t size = recv(fd, &packet, sizeof packet, MSG_DONTWAIT);
    if (size == 0)
        bench_fail("the other process is gone", 0);
    if (size <= (ssize_t)sizeof packet.number)
        return;
    if (packet.number >= process->peer_count)
        return;
    if (!process->peers[packet.number] && process->missing)
        process->missing(packet.number);
    if (process->peers[packet.number])
        ww_peer_signal(process->peers[packet.number], packet.text);
}

void bench_signal(void *arg, const char *text)
{
    struct bench_peer *peer = arg;
    struct packet packet = {.number = peer->number};
    size_t size = strlen(text) + 1;
    memcpy(packet.text, text, size);
    if (send(peer->process->fd, &packet, sizeof packet.number + size, 0) < 0)
        bench_fail("send", 0);
}

void bench_start(struct bench_process *process, int fd, const struct ww_net_config *config,
                 unsigned peer_count, struct ww_hash *remote)
{
    struct ww_net_config own = *config;
    struct ww_hash id;
    int code;
    memset(process, 0, sizeof *process);
    process->fd = fd;
    process->peer_count = peer_count;
    process->peers = ww_alloc(peer_count, sizeof(struct ww_peer *));
    code = ww_loop_create(&process->loop);
    if (!code)
        code = ww_key_generate(&process->key);
    if (code || !process->peers)
        bench_fail("start", code);
    ww_key_node_id(process->key, &id);
    if (send(fd, &id, sizeof id, 0) != sizeof id ||
        recv(fd, remote, sizeof *remote, 0) != sizeof id)
        bench_fail("keys", 0);
    own.key = process->key;
    code = ww_net_create(process->loop, &own, &process->net);
    if (!code)
        code = ww_watch_create(process->loop, fd, WW_WATCH_READ, on_readable, process,
                               &process->watch);
    if (code)
        bench_fail("net", code);
}

void bench_stop(struct bench_process *process)
{
    for (unsigned i = 0; i < process->peer_count; i++)
        ww_peer_destroy(process->peers[i]);
    ww_watch_destroy(process->watch);
    ww_net_destroy(process->net);
    ww_key_destroy(process->key);
    ww_loop_destroy(process->loop);
    ww_free(process->peers);
    close(process->fd);
}

double bench_cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double bench_clock_s(void)
{
    return (double)ww_clock_mono_us() / 1e6;
}
