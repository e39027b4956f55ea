/* The origin: does on each connection what its first line says, and remembers how it ended.
 *
 * "xfer SEED UP DOWN RESET_AT RATE": reads and checks UP bytes while it sends DOWN bytes, each
 * direction half-closed on its own. "ask SEED": how that stream ended: "eof|reset|wrong|open N".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "traffic.h"

#define RESULTS_MAX 65536

struct result {
    uint64_t seed, received;
    const char *state;
};

static struct result results[RESULTS_MAX];
static size_t result_count;
static pthread_mutex_t results_lock = PTHREAD_MUTEX_INITIALIZER;

static struct result *result_of(uint64_t seed)
{
    for (size_t index = result_count; index > 0; index--)
        if (results[index - 1].seed == seed)
            return &results[index - 1];
    return NULL;
}

static void note(uint64_t seed, const char *state, uint64_t received)
{
    pthread_mutex_lock(&results_lock);
    struct result *result = result_of(seed);
    if (!result && result_count < RESULTS_MAX) {
        result = &results[result_count++];
        result->seed = seed;
    }
    if (result) {
        result->state = state;
        result->received = received;
    }
    pthread_mutex_unlock(&results_lock);
}

struct sending {
    int fd;
    struct plan plan;
    bool failed;
};

static void *send_down(void *arg)
{
    struct sending *sending = arg;
    struct pattern pattern;
    uint64_t bytes = sending->plan.down;

    if (sending->plan.origin_reset_at < bytes)
        bytes = sending->plan.origin_reset_at;
    pattern_init(&pattern, sending->plan.seed, false);
    sending->failed = traffic_send(sending->fd, &pattern, bytes) < bytes;
    if (sending->plan.origin_reset_at == TRAFFIC_NEVER)
        shutdown(sending->fd, SHUT_WR);
    return NULL;
}

static const char *receive_up(int fd, const struct plan *plan, uint64_t *total)
{
    struct pattern pattern;
    uint8_t block[TRAFFIC_BLOCK];
    uint64_t received = 0, start_us = traffic_now_us();
    const char *state = "open";

    pattern_init(&pattern, plan->seed, true);
    while (strcmp(state, "open") == 0) {
        ssize_t got = recv(fd, block, sizeof(block), 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0 && !pattern_check(&pattern, block, (size_t)got))
            state = "wrong";
        else if (got > 0)
            received += (uint64_t)got;
        else
            state = got == 0 ? "eof" : errno == EAGAIN ? "timeout" : "reset";
        traffic_pace(start_us, received, plan->origin_rate);
    }
    *total = received;
    return state;
}

static void transfer(int fd, const char *line)
{
    struct sending sending = {.fd = fd};
    struct plan *plan = &sending.plan;
    uint64_t received = 0;
    pthread_t thread;

    if (sscanf(line, "xfer %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &plan->seed,
               &plan->up, &plan->down, &plan->origin_reset_at, &plan->origin_rate) != 5) {
        close(fd);
        return;
    }
    note(plan->seed, "open", 0);
    if (plan->origin_reset_at != TRAFFIC_NEVER) {
        send_down(&sending);
        traffic_sleep_us(50000); /* so that some of it has left */
        traffic_reset(fd);
        note(plan->seed, "reset", 0);
        return;
    }
    if (pthread_create(&thread, NULL, send_down, &sending) == 0) {
        const char *state = receive_up(fd, plan, &received);
        pthread_join(thread, NULL);
        /* The kernel tells a reset once, and the sender may have heard of it. */
        note(plan->seed, strcmp(state, "eof") == 0 && sending.failed ? "reset" : state, received);
    }
    close(fd);
}

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char line[TRAFFIC_LINE_BYTES], answer[TRAFFIC_LINE_BYTES];
    uint64_t seed = 0;

    traffic_tune(fd);
    if (!traffic_read_line(fd, line)) {
        close(fd);
        return NULL;
    }
    if (sscanf(line, "ask %" SCNu64, &seed) != 1) {
        transfer(fd, line);
        return NULL;
    }
    pthread_mutex_lock(&results_lock);
    struct result *result = result_of(seed);
    snprintf(answer, sizeof(answer), "%s %" PRIu64 "\n", result ? result->state : "none",
             result ? result->received : 0);
    pthread_mutex_unlock(&results_lock);
    traffic_write(fd, answer, strlen(answer));
    close(fd);
    return NULL;
}

static void *accept_all(void *arg)
{
    int listener = (int)(intptr_t)arg;
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && pthread_create(&thread, &attributes, serve, (void *)(intptr_t)fd))
            close(fd);
    }
    return NULL;
}

static void *echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    uint8_t datagram[2048];
    struct sockaddr_storage from;

    for (;;) {
        socklen_t size = sizeof(from);
        ssize_t got = recvfrom(fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&from, &size);
        if (got >= 0)
            sendto(fd, datagram, (size_t)got, 0, (struct sockaddr *)&from, size);
    }
    return NULL;
}

static int bind_to(int family, int type, uint16_t *port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(*port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
    struct sockaddr_in bound;
    socklen_t size = sizeof(bound);
    int on = 1, fd = socket(family, type, 0);

    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    six.sin6_addr = in6addr_loopback;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (family == AF_INET6 && bind(fd, (struct sockaddr *)&six, sizeof(six)))
        return -1;
    if (family == AF_INET && bind(fd, (struct sockaddr *)&v4, sizeof(v4)))
        return -1;
    if (type == SOCK_STREAM && listen(fd, 256))
        return -1;
    if (*port == 0 && getsockname(fd, (struct sockaddr *)&bound, &size) == 0)
        *port = ntohs(bound.sin_port);
    return fd;
}

int traffic_origin(void)
{
    uint16_t port = 0;
    int four = bind_to(AF_INET, SOCK_STREAM, &port), six = bind_to(AF_INET6, SOCK_STREAM, &port);
    int udp_four = bind_to(AF_INET, SOCK_DGRAM, &port),
        udp_six = bind_to(AF_INET6, SOCK_DGRAM, &port);
    pthread_t thread;

    if (four < 0 || udp_four < 0 || six < 0 || udp_six < 0) {
        perror("origin");
        return 1;
    }
    printf("port %u\n", port);
    fflush(stdout);
    pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)six);
    pthread_create(&thread, NULL, echo, (void *)(intptr_t)udp_four);
    pthread_create(&thread, NULL, echo, (void *)(intptr_t)udp_six);
    accept_all((void *)(intptr_t)four);
    return 0;
}
