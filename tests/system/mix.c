/* Many flows at once, against what `system_exit_peer serve` answers and a resolver on port 53 of
 * the same address. One thread, no code of the program.
 *
 * system_mix burst ADDRESS PORT FLOWS [SPREAD]
 *
 * Of five flows three are requests by TCP, of up to 32 KiB, half-closed, whose answer is the same;
 * one is 20 datagrams of 1,200 bytes by UDP, four at a time; one is a question for a name. Exit 0
 * when all are answered; prints the milliseconds that it took. They go to SPREAD addresses in turn,
 * ADDRESS and those after it.
 *
 * system_mix hold ADDRESS PORT FLOWS
 *
 * TCP flows that say something every 50 ms, and compare the answer, until SIGTERM. Exit 0 if none
 * was broken, and each has been answered within the last second; prints the most that one waited.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FLOWS_MAX   1000
#define BYTES_MAX   32768
#define DATAGRAMS   20
#define AT_ONCE     4
#define DATAGRAM    1200
#define AGAIN_MS    700
#define PATIENCE_MS 60000
#define HOLD_MS     50
#define HOLD_BYTES  200

enum kind { TCP, QUIC, NAME };

struct flow {
    enum kind kind;
    bool is_done, is_connected, is_shut;
    uint32_t sent, got; /* bytes by TCP, datagrams by UDP */
    uint32_t bytes;
    uint64_t said_ms; /* last */
    uint64_t had_ms;  /* the last answer */
};

static struct flow flows[FLOWS_MAX];
static struct pollfd fds[FLOWS_MAX];
static struct sockaddr_storage to;
static socklen_t to_size;
static size_t count, spread = 1;
static uint64_t longest_ms;
static volatile sig_atomic_t is_over;

static _Noreturn void die(size_t index, const char *what)
{
    static const char *const names[] = {"TCP", "UDP", "name"};
    const struct flow *flow = &flows[index];

    fprintf(stderr, "system_mix: flow %zu (%s, %u sent, %u came): %s: %s\n", index,
            names[flow->kind], flow->sent, flow->got, what, strerror(errno));
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint8_t byte_at(size_t index, uint32_t at)
{
    return (uint8_t)(index * 31 + at * 7 + (at >> 9));
}

static struct sockaddr_storage destination(size_t index, uint16_t port)
{
    struct sockaddr_storage out = to;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out;
    uint8_t step = (uint8_t)(index % spread);

    if (to.ss_family == AF_INET) {
        ((uint8_t *)&v4->sin_addr)[3] = (uint8_t)(((uint8_t *)&v4->sin_addr)[3] + step);
        v4->sin_port = htons(port);
    } else {
        v6->sin6_addr.s6_addr[15] = (uint8_t)(v6->sin6_addr.s6_addr[15] + step);
        v6->sin6_port = htons(port);
    }
    return out;
}

static bool set_address(const char *text)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&to;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        to.ss_family = AF_INET;
        to_size = sizeof(*v4);
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        to.ss_family = AF_INET6;
        to_size = sizeof(*v6);
    }
    return to_size > 0;
}

static void open_flow(size_t index, enum kind kind, uint16_t port)
{
    int type = kind == TCP ? SOCK_STREAM : SOCK_DGRAM, on = 1;
    struct sockaddr_storage where = destination(index, kind == NAME ? 53 : port);
    int fd = socket(to.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    flows[index] = (struct flow){.kind = kind, .said_ms = now_ms(), .had_ms = now_ms()};
    flows[index].bytes = 100 + (uint32_t)(index * 7919) % (BYTES_MAX - 100);
    fds[index] = (struct pollfd){.fd = fd, .events = POLLIN | POLLOUT};
    if (fd < 0)
        die(index, "socket");
    if (kind == TCP)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&where, to_size) != 0 && errno != EINPROGRESS)
        die(index, "connect");
}

static void finish(size_t index)
{
    close(fds[index].fd);
    fds[index].fd = -1;
    flows[index].is_done = true;
}

/* --- TCP -------------------------------------------------------------------------------------- */

static void say(size_t index, uint32_t until)
{
    struct flow *flow = &flows[index];
    uint8_t bytes[2048];

    while (flow->sent < until) {
        uint32_t size = 0;

        for (; size < sizeof(bytes) && flow->sent + size < until; size++)
            bytes[size] = byte_at(index, flow->sent + size);
        ssize_t rc = send(fds[index].fd, bytes, size, MSG_NOSIGNAL);
        if (rc < 0 && errno == EAGAIN)
            return;
        if (rc < 0)
            die(index, "send");
        flow->sent += (uint32_t)rc;
    }
}

/* False: the end. */
static bool hear(size_t index)
{
    struct flow *flow = &flows[index];
    uint8_t bytes[4096];
    ssize_t got;

    while ((got = recv(fds[index].fd, bytes, sizeof(bytes), 0)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] != byte_at(index, flow->got + (uint32_t)i))
                die(index, "another byte than was sent");
        }
        flow->got += (uint32_t)got;
    }
    if (got < 0 && errno != EAGAIN)
        die(index, "recv");
    return got != 0;
}

static void go_on_tcp(size_t index, short events)
{
    struct flow *flow = &flows[index];

    if (events & POLLOUT)
        say(index, flow->bytes);
    if (flow->sent == flow->bytes && !flow->is_shut) {
        shutdown(fds[index].fd, SHUT_WR);
        flow->is_shut = true;
        fds[index].events = POLLIN;
    }
    if ((events & (POLLIN | POLLHUP | POLLERR)) && !hear(index)) {
        if (flow->got != flow->bytes)
            die(index, "it ended early");
        finish(index);
    }
}

/* --- UDP -------------------------------------------------------------------------------------- */

static size_t question(size_t index, uint8_t *out)
{
    static const uint8_t head[] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    static const uint8_t name[] = "\3web\7example\0\0\1\0"; /* and a 1, the class */

    memcpy(out, head, sizeof(head));
    out[0] = (uint8_t)(index >> 8);
    out[1] = (uint8_t)index;
    memcpy(out + sizeof(head), name, sizeof(name));
    out[sizeof(head) + sizeof(name) - 1] = 1;
    return sizeof(head) + sizeof(name);
}

/* As many as are due; what got no answer goes again, as QUIC's and resolvers' datagrams do. */
static void say_datagrams(size_t index)
{
    struct flow *flow = &flows[index];
    uint8_t bytes[DATAGRAM] = {0};
    size_t size = flow->kind == NAME ? question(index, bytes) : DATAGRAM;

    flow->said_ms = now_ms();
    flow->sent++;
    if (flow->kind == QUIC)
        memcpy(bytes, &flow->got, sizeof(flow->got));
    for (int i = 0; i < (flow->kind == QUIC ? AT_ONCE : 1); i++) {
        if (flow->kind == QUIC)
            bytes[4] = (uint8_t)i;
        if (send(fds[index].fd, bytes, size, 0) < 0 && errno != EAGAIN)
            die(index, "send");
    }
}

static void go_on_udp(size_t index, short events)
{
    struct flow *flow = &flows[index];
    uint8_t bytes[2048];
    ssize_t got;

    if (events & POLLOUT) {
        fds[index].events = POLLIN;
        say_datagrams(index);
    }
    while ((got = recv(fds[index].fd, bytes, sizeof(bytes), 0)) > 0) {
        if (flow->kind == NAME && (bytes[0] << 8 | bytes[1]) == (int)(index & 0xffff)) {
            finish(index);
            return;
        }
        /* Each four of the present number are one step: the last of them is what counts. */
        if (flow->kind == QUIC && got == DATAGRAM && bytes[4] == AT_ONCE - 1 &&
            memcmp(bytes, &flow->got, sizeof(flow->got)) == 0) {
            flow->got++;
            if (flow->got == DATAGRAMS / AT_ONCE) {
                finish(index);
                return;
            }
            say_datagrams(index);
        }
    }
    if (got < 0 && errno != EAGAIN)
        die(index, "recv");
}

/* --- the two ways ----------------------------------------------------------------------------- */

static int burst(uint16_t port)
{
    static const enum kind kinds[] = {TCP, QUIC, TCP, NAME, TCP};
    uint64_t begin_ms = now_ms();
    size_t left = count;

    for (size_t i = 0; i < count; i++)
        open_flow(i, kinds[i % 5], port);
    while (left > 0) {
        uint64_t now = now_ms();

        if (poll(fds, count, 100) < 0 && errno != EINTR)
            die(0, "poll");
        left = 0;
        for (size_t i = 0; i < count; i++) {
            if (flows[i].is_done)
                continue;
            left++;
            if (now > begin_ms + PATIENCE_MS)
                die(i, "no answer");
            if (flows[i].kind != TCP && now > flows[i].said_ms + AGAIN_MS)
                say_datagrams(i);
            if (fds[i].revents && flows[i].kind == TCP)
                go_on_tcp(i, fds[i].revents);
            else if (fds[i].revents)
                go_on_udp(i, fds[i].revents);
        }
    }
    printf("%llu\n", (unsigned long long)(now_ms() - begin_ms));
    return 0;
}

/* The next thing is said when the last is answered, and 50 ms have gone. */
static void hold_on(size_t index, short events, uint64_t now)
{
    struct flow *flow = &flows[index];

    if ((events & (POLLIN | POLLHUP | POLLERR)) && !hear(index))
        die(index, "it ended");
    if (flow->got == flow->sent) {
        flow->had_ms = now;
        if (now >= flow->said_ms + HOLD_MS) {
            flow->said_ms = now;
            say(index, flow->sent + HOLD_BYTES);
        }
    } else if (now - flow->had_ms > longest_ms) {
        longest_ms = now - flow->had_ms;
    }
}

static int hold(uint16_t port)
{
    uint64_t over_ms = 0;

    for (size_t i = 0; i < count; i++) {
        open_flow(i, TCP, port);
        struct pollfd wait = {.fd = fds[i].fd, .events = POLLOUT};
        if (poll(&wait, 1, 10000) != 1)
            die(i, "no connection");
        fds[i].events = POLLIN;
        flows[i].had_ms = now_ms();
    }
    printf("ready\n");
    fflush(stdout);
    while (!over_ms || now_ms() < over_ms) {
        if (poll(fds, count, 10) < 0 && errno != EINTR)
            die(0, "poll");
        if (is_over && !over_ms)
            over_ms = now_ms() + 1;
        for (size_t i = 0; i < count; i++)
            hold_on(i, fds[i].revents, now_ms());
    }
    for (size_t i = 0; i < count; i++) {
        if (flows[i].got == 0 || now_ms() - flows[i].had_ms > 1000)
            die(i, "no answer within the last second");
    }
    printf("%llu\n", (unsigned long long)longest_ms);
    return 0;
}

static void on_signal(int number)
{
    (void)number;
    is_over = 1;
}

int main(int argc, char **argv)
{
    const char *what = argc > 4 ? argv[1] : "";

    signal(SIGTERM, on_signal);
    count = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
    spread = argc > 5 ? strtoul(argv[5], NULL, 10) : 1;
    if (spread == 0 || count == 0 || count > FLOWS_MAX || !set_address(argv[2])) {
        fprintf(stderr, "usage: system_mix burst|hold ADDRESS PORT FLOWS [SPREAD]\n");
        return 2;
    }
    if (strcmp(what, "burst") == 0)
        return burst((uint16_t)strtoul(argv[3], NULL, 10));
    return hold((uint16_t)strtoul(argv[3], NULL, 10));
}
