/* A fast origin and a SOCKS5 client beside it, so that neither curl nor a web server is what is
 * measured. Plain blocking sockets and one process for each connection: it shares nothing with the
 * engine, and works with any SOCKS5 proxy.
 *
 * A connection starts with a request: 'D' (the origin sends) or 'U' (it receives), then the number
 * of bytes, 8 bytes big-endian. After an upload the origin answers with the number that it
 * received.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES   262144
#define REQUEST_BYTES 9
#define STREAMS_MAX   64

static uint8_t piece[PIECE_BYTES];

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void send_all(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            fail("send");
        at += sent;
        size -= (size_t)sent;
    }
}

static void receive_all(int fd, void *data, size_t size)
{
    if (recv(fd, data, size, MSG_WAITALL) != (ssize_t)size)
        fail("recv");
}

static void send_bytes(int fd, uint64_t size)
{
    while (size) {
        size_t part = size < sizeof piece ? (size_t)size : sizeof piece;
        send_all(fd, piece, part);
        size -= part;
    }
}

static uint64_t receive_bytes(int fd, uint64_t size)
{
    uint64_t got = 0;
    while (got < size) {
        uint64_t left = size - got;
        ssize_t part = recv(fd, piece, left < sizeof piece ? (size_t)left : sizeof piece, 0);
        if (part < 0)
            fail("recv");
        if (part == 0)
            break;
        got += (uint64_t)part;
    }
    return got;
}

/* "127.0.0.1:80" */
static struct sockaddr_in address_of(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    unsigned port;
    if (sscanf(text, "%15[0-9.]:%u", host, &port) != 2 || port > 65535 ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "bench_socks: %s is not ADDRESS:PORT\n", text);
        exit(2);
    }
    address.sin_port = htons((uint16_t)port);
    return address;
}

/* --- the origin ---------------------------------------------------------------------------------
 */

static void serve(int fd)
{
    uint8_t request[REQUEST_BYTES];
    uint64_t size;
    receive_all(fd, request, sizeof request);
    memcpy(&size, request + 1, sizeof size);
    size = be64toh(size);
    if (request[0] == 'D') {
        send_bytes(fd, size);
    } else {
        size = htobe64(receive_bytes(fd, size));
        send_all(fd, &size, sizeof size);
    }
    shutdown(fd, SHUT_WR);
    receive_bytes(fd, UINT64_MAX); /* until the other side has read all of it */
}

/* Prints its port and serves until it is killed. */
static int origin(void)
{
    struct sockaddr_in address = address_of("127.0.0.1:0");
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 64) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        fail("listen");
    signal(SIGCHLD, SIG_IGN);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(listener);
            serve(fd);
            _exit(0);
        }
        close(fd);
    }
}

/* --- the client ---------------------------------------------------------------------------------
 */

/* RFC 1928: no authentication, CONNECT to an IPv4 address. */
static void ask_proxy(int fd, const struct sockaddr_in *target)
{
    static const uint8_t GREETING[] = {5, 1, 0};
    uint8_t request[10] = {5, 1, 0, 1};
    uint8_t reply[10];

    send_all(fd, GREETING, sizeof GREETING);
    receive_all(fd, reply, 2);
    memcpy(request + 4, &target->sin_addr, 4);
    memcpy(request + 8, &target->sin_port, 2);
    send_all(fd, request, sizeof request);
    receive_all(fd, reply, sizeof reply);
    if (reply[1] != 0) {
        fprintf(stderr, "bench_socks: the proxy refuses with %u\n", reply[1]);
        exit(1);
    }
}

static void transfer(const char *proxy, const char *target_text, char direction, uint64_t size)
{
    struct sockaddr_in target = address_of(target_text);
    struct sockaddr_in first = proxy ? address_of(proxy) : target;
    uint8_t request[REQUEST_BYTES] = {(uint8_t)direction};
    uint64_t count = htobe64(size);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&first, sizeof first))
        fail("connect");
    if (proxy)
        ask_proxy(fd, &target);
    memcpy(request + 1, &count, sizeof count);
    send_all(fd, request, sizeof request);
    if (direction == 'D') {
        count = receive_bytes(fd, size);
    } else {
        send_bytes(fd, size);
        receive_all(fd, &count, sizeof count);
        count = be64toh(count);
    }
    if (count != size) {
        fprintf(stderr, "bench_socks: %llu of %llu bytes arrived\n", (unsigned long long)count,
                (unsigned long long)size);
        exit(1);
    }
    close(fd);
}

/* `size` bytes in `streams` connections at once; prints Gbit/s of all together. */
static int load(const char *proxy, const char *target, char direction, uint64_t size,
                unsigned streams)
{
    double begin_s = clock_s();
    bool failed = false;

    for (unsigned i = 1; i < streams; i++) {
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (child == 0) {
            transfer(proxy, target, direction, size / streams);
            _exit(0);
        }
    }
    transfer(proxy, target, direction, size / streams);
    for (unsigned i = 1; i < streams; i++) {
        int status;
        failed |= wait(&status) < 0 || status != 0;
    }
    if (failed)
        return 1;
    printf("%.4f\n", (double)(size / streams * streams) * 8 / 1e9 / (clock_s() - begin_s));
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_socks origin\n"
                    "       bench_socks down|up BYTES ADDRESS:PORT [PROXY|- [STREAMS]]\n");
    return 2;
}

int main(int argc, char **argv)
{
    const char *proxy = argc > 4 && strcmp(argv[4], "-") != 0 ? argv[4] : NULL;
    unsigned long streams = argc > 5 ? strtoul(argv[5], NULL, 10) : 1;

    if (argc == 2 && strcmp(argv[1], "origin") == 0)
        return origin();
    if (argc < 4 || argc > 6 || streams == 0 || streams > STREAMS_MAX)
        return usage();
    if (strcmp(argv[1], "down") != 0 && strcmp(argv[1], "up") != 0)
        return usage();
    alarm(120);
    return load(proxy, argv[3], argv[1][0] == 'd' ? 'D' : 'U', strtoull(argv[2], NULL, 10),
                (unsigned)streams);
}
