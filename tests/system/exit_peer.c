/* The two ends of what goes through the egress for packets, for exit.sh: sockets and threads, and
 * no code of the program. system_exit_peer …
 *
 *   serve PORT               TCP and UDP, every address: sends back what comes
 *   tcp ADDRESS PORT N BYTES N connections at once, half-closed, bytes compared
 *   udp ADDRESS PORT SIZE…   a datagram of each size comes back the same
 *   refused ADDRESS PORT     a connection is refused within two seconds
 *   closed ADDRESS PORT      … and so is a datagram, by an ICMP error
 *   spray ADDRESS FIRST N    a datagram to each of N ports; prints nothing
 *   slow ADDRESS PORT BYTES  one connection sends BYTES and reads none of the answer until another
 *                            has made 100 round trips
 *   drain ADDRESS PORT MS [PROXY]
 *                            asks all the time, by SOCKS5 at 127.0.0.1:PROXY if that is given (IPv4
 *                            only); prints the bytes that came
 *   unended ADDRESS DEVICE N N datagrams through a TUN device whose first fragment has a wrong
 * checksum hold ADDRESS PORT N MS   N connections are filled and none is read; that is said, and
 * after MS all is read that was sent */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DATAGRAM_BYTES 65535
#define PATIENCE_S     20

static struct sockaddr_storage to;
static socklen_t to_size;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "system_exit_peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static unsigned long number(const char *text)
{
    return strtoul(text, NULL, 10);
}

static int open_socket(int family, int type)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(family, type | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return fd;
}

static void set_address(const char *address, unsigned long port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
        memcpy(&to, &v4, sizeof(v4));
        to_size = sizeof(v4);
    } else if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1) {
        memcpy(&to, &v6, sizeof(v6));
        to_size = sizeof(v6);
    } else {
        die(address);
    }
}

static int connect_to(int type)
{
    int fd = open_socket(to.ss_family, type);

    if (connect(fd, (struct sockaddr *)&to, to_size) != 0)
        die("connect");
    return fd;
}

/* --- serving ---------------------------------------------------------------------------------- */

static void *serve_one(void *arg)
{
    const struct timeval none = {0}; /* the other end may take its time */
    int fd = (int)(intptr_t)arg;
    char bytes[16384];
    ssize_t got;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
    while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
        for (ssize_t sent = 0; sent < got;) {
            ssize_t more = send(fd, bytes + sent, (size_t)(got - sent), MSG_NOSIGNAL);

            if (more <= 0)
                goto out;
            sent += more;
        }
    }
out:
    close(fd);
    return NULL;
}

static void *serve_udp(void *arg)
{
    char *bytes = malloc(DATAGRAM_BYTES);
    int fd = (int)(intptr_t)arg;

    while (bytes) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof(peer);
        ssize_t got = recvfrom(fd, bytes, DATAGRAM_BYTES, 0, (struct sockaddr *)&peer, &size);

        if (got >= 0)
            sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&peer, size);
    }
    return NULL;
}

static void start_udp(const char *address, unsigned long port)
{
    pthread_t thread;
    int fd;

    set_address(address, port);
    fd = open_socket(to.ss_family, SOCK_DGRAM);
    if (bind(fd, (struct sockaddr *)&to, to_size) != 0 ||
        pthread_create(&thread, NULL, serve_udp, (void *)(intptr_t)fd) != 0)
        die(address);
}

static _Noreturn void serve(unsigned long port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    int tcp = open_socket(AF_INET6, SOCK_STREAM);
    const struct timeval forever = {0};
    pthread_t thread;

    setsockopt(tcp, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
    if (bind(tcp, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(tcp, 1024) != 0)
        die("serve");
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int fd = accept(tcp, NULL, NULL);

        if (fd >= 0 && pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

struct pair {
    int fd;
    size_t bytes;
    unsigned seed;
};

static char byte_at(unsigned seed, size_t at)
{
    return (char)(seed * 31 + at * 7 + (at >> 9));
}

static void *send_all(void *arg)
{
    struct pair *pair = arg;
    char bytes[4096];

    for (size_t at = 0; at < pair->bytes;) {
        size_t size = pair->bytes - at < sizeof(bytes) ? pair->bytes - at : sizeof(bytes);

        for (size_t i = 0; i < size; i++)
            bytes[i] = byte_at(pair->seed, at + i);
        for (size_t done = 0; done < size;) {
            ssize_t sent = send(pair->fd, bytes + done, size - done, MSG_NOSIGNAL);

            if (sent <= 0)
                die("send");
            done += (size_t)sent;
        }
        at += size;
    }
    shutdown(pair->fd, SHUT_WR);
    return NULL;
}

/* Until the end, which must come after exactly what was sent. */
static void receive_all(const struct pair *pair)
{
    char bytes[16384];
    size_t at = 0;
    ssize_t got;

    while ((got = recv(pair->fd, bytes, sizeof(bytes), 0)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] != byte_at(pair->seed, at + (size_t)i))
                die("wrong byte");
        }
        at += (size_t)got;
    }
    if (got < 0 || at != pair->bytes)
        die("not all came back");
}

static void *make_pair(void *arg)
{
    struct pair *pair = arg;
    pthread_t sender;

    pair->fd = connect_to(SOCK_STREAM);
    if (pthread_create(&sender, NULL, send_all, pair) != 0)
        die("thread");
    receive_all(pair);
    pthread_join(sender, NULL);
    close(pair->fd);
    return NULL;
}

static void ask_tcp(unsigned long count, unsigned long bytes)
{
    struct pair *pairs = calloc(count, sizeof(*pairs));
    pthread_t *threads = calloc(count, sizeof(*threads));

    for (unsigned long i = 0; i < count; i++) {
        pairs[i] = (struct pair){-1, bytes, (unsigned)i};
        if (pthread_create(&threads[i], NULL, make_pair, &pairs[i]) != 0)
            die("thread");
    }
    for (unsigned long i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    free(pairs);
    free(threads);
}

static void ask_udp(size_t size)
{
    static char sent[DATAGRAM_BYTES], got[DATAGRAM_BYTES];
    int fd = connect_to(SOCK_DGRAM);

    for (size_t i = 0; i < size; i++)
        sent[i] = byte_at((unsigned)size, i);
    for (int attempt = 0; attempt < 5; attempt++) { /* the path's MTU may have to become known */
        struct pollfd wait = {.fd = fd, .events = POLLIN};

        if (send(fd, sent, size, 0) < 0 && errno != EMSGSIZE)
            die("send");
        if (poll(&wait, 1, 1000) == 1 && recv(fd, got, sizeof(got), 0) == (ssize_t)size &&
            memcmp(sent, got, size) == 0) {
            close(fd);
            return;
        }
    }
    fprintf(stderr, "system_exit_peer: no datagram of %zu came back\n", size);
    exit(1);
}

static void be_refused(void)
{
    int fd = open_socket(to.ss_family, SOCK_STREAM);
    uint64_t start_ms = now_ms();

    if (connect(fd, (struct sockaddr *)&to, to_size) == 0 || errno != ECONNREFUSED)
        die("not refused");
    if (now_ms() - start_ms > 2000)
        die("refused late");
}

static void be_told_closed(void)
{
    int fd = connect_to(SOCK_DGRAM);

    for (int attempt = 0; attempt < 20; attempt++) {
        char byte;

        if (send(fd, "x", 1, 0) < 0 || recv(fd, &byte, 1, MSG_DONTWAIT) < 0) {
            if (errno == ECONNREFUSED)
                return;
            if (errno != EAGAIN)
                die("another error");
        }
        usleep(100000);
    }
    die("not told that it is closed");
}

static void spray(const char *address, unsigned long first, unsigned long count)
{
    for (unsigned long port = first; port < first + count; port++) {
        int fd;

        set_address(address, port);
        fd = connect_to(SOCK_DGRAM);
        send(fd, "x", 1, 0);
        close(fd);
    }
}

static void be_slow(size_t bytes)
{
    struct pair slow = {connect_to(SOCK_STREAM), bytes, 7};
    int fd = connect_to(SOCK_STREAM), on = 1;
    pthread_t sender;
    char byte = 0;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (pthread_create(&sender, NULL, send_all, &slow) != 0)
        die("thread");
    usleep(300000); /* all queues on its way are full now */
    for (int i = 0; i < 100; i++) {
        if (send(fd, "x", 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1)
            die("held up");
    }
    receive_all(&slow);
    pthread_join(sender, NULL);
}

static void *send_on(void *arg)
{
    static const char bytes[16384];

    while (send((int)(intptr_t)arg, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
        continue;
    return NULL;
}

/* SOCKS5, RFC 1928: no authentication, CONNECT, an IPv4 address; the answer has one, too. */
static int connect_through(unsigned long proxy)
{
    const struct sockaddr_in wanted = *(struct sockaddr_in *)&to;
    uint8_t greeting[] = {5, 1, 0}, request[10] = {5, 1, 0, 1}, answer[12];

    memcpy(request + 4, &wanted.sin_addr, 4);
    memcpy(request + 8, &wanted.sin_port, 2);
    set_address("127.0.0.1", proxy);
    int fd = connect_to(SOCK_STREAM);
    if (send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL) != sizeof(greeting) ||
        send(fd, request, sizeof(request), MSG_NOSIGNAL) != sizeof(request) ||
        recv(fd, answer, sizeof(answer), MSG_WAITALL) != sizeof(answer))
        die("the proxy");
    if (answer[1] != 0 || answer[3] != 0) {
        fprintf(stderr, "system_exit_peer: the proxy says %u, %u\n", answer[1], answer[3]);
        exit(1);
    }
    return fd;
}

static void drain(uint64_t ms, unsigned long proxy)
{
    int fd = proxy ? connect_through(proxy) : connect_to(SOCK_STREAM);
    uint64_t until_ms = now_ms() + ms, sum = 0;
    char bytes[16384];
    pthread_t sender;

    if (pthread_create(&sender, NULL, send_on, (void *)(intptr_t)fd) != 0)
        die("thread");
    while (now_ms() < until_ms) {
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

        if (got <= 0)
            die("drain");
        sum += (uint64_t)got;
    }
    printf("%llu\n", (unsigned long long)sum);
}

/* False when none of them took anything. */
static bool fill(const int *fds, uint64_t *sent, unsigned long count)
{
    static const char bytes[16384];
    bool has_more = false;

    for (unsigned long i = 0; i < count; i++) {
        ssize_t done = send(fds[i], bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);

        has_more |= done > 0;
        sent[i] += done > 0 ? (uint64_t)done : 0;
    }
    return has_more;
}

static void hold(unsigned long count, uint64_t ms)
{
    int *fds = calloc(count, sizeof(*fds));
    uint64_t *sent = calloc(count, sizeof(*sent)), sum = 0;
    char bytes[16384];

    if (!fds || !sent)
        die("memory");
    for (unsigned long i = 0; i < count; i++)
        fds[i] = connect_to(SOCK_STREAM);
    for (int idle = 0; idle < 20;) {
        idle = fill(fds, sent, count) ? 0 : idle + 1;
        usleep(20000);
    }
    printf("held\n");
    fflush(stdout);
    usleep((useconds_t)ms * 1000);
    for (unsigned long i = 0; i < count; i++) {
        ssize_t got;

        shutdown(fds[i], SHUT_WR);
        while ((got = recv(fds[i], bytes, sizeof(bytes), 0)) > 0)
            sent[i] -= (uint64_t)got;
        if (got < 0 || sent[i] != 0)
            die("not all came back");
        sum++;
    }
    printf("%llu came back\n", (unsigned long long)sum);
    free(fds);
    free(sent);
}

static uint16_t head_sum(const void *head)
{
    const uint16_t *words = head;
    uint32_t sum = 0;

    for (int i = 0; i < 10; i++)
        sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

/* Of each datagram there would be the last fragment only, and who puts it together waits for the
 * first. */
static void send_unended(const char *address, const char *device, unsigned long count)
{
    static struct {
        struct iphdr head;
        uint8_t bytes[1360];
    } packet = {.head = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP}};
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_IP),
                             .sll_ifindex = (int)if_nametoindex(device)};
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP));

    inet_pton(AF_INET, "192.0.0.2", &packet.head.saddr);
    if (fd < 0 || inet_pton(AF_INET, address, &packet.head.daddr) != 1)
        die("a packet socket");
    for (unsigned long i = 0; i < 2 * count; i++) {
        bool is_last = i % 2;
        size_t size = sizeof(packet.head) + (is_last ? sizeof(packet.bytes) : 16);

        packet.head.tot_len = htons((uint16_t)size);
        packet.head.id = htons((uint16_t)(i / 2));
        packet.head.frag_off = htons(is_last ? 2 : IP_MF);
        packet.head.check = 0;
        packet.head.check = head_sum(&packet.head) ^ (is_last ? 0 : 1);
        if (sendto(fd, &packet, size, 0, (struct sockaddr *)&at, sizeof(at)) != (ssize_t)size)
            die("a fragment");
        if (i % 32 == 31)
            usleep(2000);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";

    signal(SIGPIPE, SIG_IGN);
    if (strcmp(what, "serve") == 0) {
        for (int i = 3; i < argc; i++)
            start_udp(argv[i], number(argv[2]));
        serve(number(argv[2]));
    }
    if (strcmp(what, "unended") == 0 && argc == 5) {
        send_unended(argv[2], argv[3], number(argv[4]));
        return 0;
    }
    if (argc > 3)
        set_address(argv[2], number(argv[3]));
    if (strcmp(what, "tcp") == 0 && argc == 6)
        ask_tcp(number(argv[4]), number(argv[5]));
    else if (strcmp(what, "udp") == 0 && argc > 4)
        for (int i = 4; i < argc; i++)
            ask_udp(number(argv[i]));
    else if (strcmp(what, "refused") == 0 && argc == 4)
        be_refused();
    else if (strcmp(what, "closed") == 0 && argc == 4)
        be_told_closed();
    else if (strcmp(what, "spray") == 0 && argc == 5)
        spray(argv[2], number(argv[3]), number(argv[4]));
    else if (strcmp(what, "slow") == 0 && argc == 5)
        be_slow(number(argv[4]));
    else if (strcmp(what, "drain") == 0 && (argc == 5 || argc == 6))
        drain(number(argv[4]), argc == 6 ? number(argv[5]) : 0);
    else if (strcmp(what, "hold") == 0 && argc == 6)
        hold(number(argv[4]), number(argv[5]));
    else
        die("usage");
    return 0;
}
