/* One of two processes with a peer each, for the net benchmarks: the child is forked, signals go
 * over a socket pair. Errors end the process with a message.
 */
#pragma once
#include "ww/net.h"

struct bench_process {
    struct ww_loop *loop;
    struct ww_key *key;
    struct ww_net *net;
    int fd; /* the other process */
    struct ww_watch *watch;
    struct ww_peer **peers; /* by number, as signals name them */
    unsigned peer_count;
    void (*missing)(unsigned number); /* a signal for a peer that isn't there: may make it */
};

struct bench_peer {
    struct bench_process *process;
    unsigned number;
};

_Noreturn void bench_fail(const char *what, int code);
/* The number after argv[*index], which moves on. */
uint64_t bench_number(int argc, char **argv, int *index);
/* Forks before any library is used. Returns true in the child, which dies with its parent. */
bool bench_fork(int *fd, int *child);
/* Loop, key and room; the two processes tell each other their keys' node ids. */
void bench_start(struct bench_process *process, int fd, const struct ww_net_config *config,
                 unsigned peer_count, struct ww_hash *remote);
void bench_stop(struct bench_process *process);
/* For ww_peer_callbacks.signal: arg starts with a struct bench_peer. */
void bench_signal(void *arg, const char *text);
/* User and system seconds of this process so far. */
double bench_cpu_s(void);
double bench_clock_s(void);
