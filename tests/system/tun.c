/* What up.sh and vpn.sh need of a network.
 *
 * system_tun hold DEVICE PEER
 *     A TUN device that sends UDP datagrams back to where they came from; and every 10 ms one of
 * its own to PEER (IPv4), port 40404, marked as a client's sockets are. Until SIGTERM.
 *
 * system_tun flood WIRE V4 V6 [MS]
 *     Everything that could leak, every 2 ms or MS, until SIGTERM: datagrams to both addresses,
 * port 9 and port 53; of sockets bound to the device WIRE, or to its address; TCP; raw ICMP. Says
 * how many went.
 *
 * system_tun ask ADDRESS PORT [USER]
 *     One datagram, as USER: exit 0 when it comes back within a second; prints the address that it
 *     was sent from.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARK      0x7777 /* WW_HOST_MARK */
#define OWN_PORT  40404
#define HOLD_MS   10
#define FLOOD_MS  2
#define ANSWER_MS 1000

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static volatile sig_atomic_t is_over;

static void on_signal(int number)
{
    (void)number;
    is_over = 1;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static union address parse(const char *text, uint16_t port)
{
    union address address = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};

    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
        return address;
    address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) != 1) {
        fprintf(stderr, "no address: %s\n", text);
        exit(2);
    }
    return address;
}

static socklen_t size_of(const union address *address)
{
    return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

/* --- hold ----------------------------------------------------------------------------------- */

static void swap(uint8_t *one, uint8_t *other, size_t size)
{
    uint8_t kept[16];
    memcpy(kept, one, size);
    memcpy(one, other, size);
    memcpy(other, kept, size);
}

/* Swapping keeps every checksum right. */
static void echo(int fd, uint8_t *packet, size_t size)
{
    size_t head = packet[0] >> 4 == 4 ? (packet[0] & 15U) * 4U : 40;

    if (size < head + 8 || (packet[0] >> 4 == 4 ? packet[9] : packet[6]) != IPPROTO_UDP)
        return;
    if (packet[0] >> 4 == 4)
        swap(packet + 12, packet + 16, 4);
    else
        swap(packet + 8, packet + 24, 16);
    swap(packet + head, packet + head + 2, 2);
    if (write(fd, packet, size) < 0 && errno != EIO && errno != EAGAIN)
        die("write");
}

static void hold(const char *device, const char *peer)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    union address to = parse(peer, OWN_PORT);
    const uint32_t mark = MARK;
    uint8_t packet[65536];
    int own = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request))
        die("/dev/net/tun");
    if (own < 0 || setsockopt(own, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
        die("SO_MARK");
    while (!is_over) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t size;
        poll(&ready, 1, HOLD_MS);
        while ((size = read(fd, packet, sizeof(packet))) > 0)
            echo(fd, packet, (size_t)size);
        sendto(own, "own", 3, 0, &to.any, size_of(&to));
    }
}

/* --- flood ---------------------------------------------------------------------------------- */

static unsigned long sent, refused;

static void send_one(int family, int type, const char *device, const char *from,
                     const union address *to)
{
    static const struct icmphdr ping = {.type = ICMP_ECHO};
    bool is_raw = type == SOCK_RAW;
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, is_raw ? IPPROTO_ICMP : 0);
    union address bound;

    if (fd < 0)
        die("socket");
    if (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)))
        die("SO_BINDTODEVICE");
    if (from) {
        bound = parse(from, 0);
        if (bind(fd, &bound.any, size_of(&bound)))
            die("bind");
    }
    int rc = connect(fd, &to->any, size_of(to));
    if (rc == 0)
        rc = (int)send(fd, &ping, sizeof(ping), MSG_NOSIGNAL);
    if (rc >= 0 || errno == EINPROGRESS)
        sent++;
    else
        refused++;
    close(fd);
}

static bool address_of(const char *device, char text[INET_ADDRSTRLEN])
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
    bool found = fd >= 0 && ioctl(fd, SIOCGIFADDR, &request) == 0;
    if (found)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&request.ifr_addr)->sin_addr, text,
                  INET_ADDRSTRLEN);
    close(fd);
    return found;
}

static void flood(const char *wire, const char *v4, const char *v6, unsigned long ms)
{
    const struct timespec pause = {.tv_nsec = (long)ms * 1000000L};
    union address to4 = parse(v4, 9), to6 = parse(v6, 9), dns4 = parse(v4, 53);
    char own[INET_ADDRSTRLEN];

    if (!address_of(wire, own))
        die(wire);
    while (!is_over) {
        send_one(AF_INET, SOCK_DGRAM, NULL, NULL, &to4);
        send_one(AF_INET6, SOCK_DGRAM, NULL, NULL, &to6);
        send_one(AF_INET, SOCK_DGRAM, NULL, NULL, &dns4);
        send_one(AF_INET, SOCK_DGRAM, wire, NULL, &to4);
        send_one(AF_INET6, SOCK_DGRAM, wire, NULL, &to6);
        send_one(AF_INET, SOCK_DGRAM, NULL, own, &to4);
        send_one(AF_INET, SOCK_STREAM, NULL, NULL, &to4);
        send_one(AF_INET6, SOCK_STREAM, NULL, NULL, &to6);
        send_one(AF_INET, SOCK_STREAM, wire, own, &to4);
        send_one(AF_INET, SOCK_RAW, NULL, NULL, &to4);
        send_one(AF_INET, SOCK_RAW, wire, NULL, &to4);
        nanosleep(&pause, NULL);
    }
    printf("sent %lu refused %lu\n", sent, refused);
}

/* --- ask ------------------------------------------------------------------------------------ */

static int ask(const char *text, const char *port, const char *user)
{
    union address to = parse(text, (uint16_t)strtoul(port, NULL, 10)), own;
    socklen_t size = sizeof(own);
    char reply[8], from[INET6_ADDRSTRLEN] = "";

    if (user && setuid((uid_t)strtoul(user, NULL, 10)))
        die("setuid");
    int fd = socket(to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (fd < 0 || connect(fd, &to.any, size_of(&to)) || send(fd, "ask", 3, 0) != 3)
        return 1;
    if (getsockname(fd, &own.any, &size) == 0)
        inet_ntop(own.any.sa_family,
                  own.any.sa_family == AF_INET ? (void *)&own.v4.sin_addr
                                               : (void *)&own.v6.sin6_addr,
                  from, sizeof(from));
    printf("%s\n", from);
    return poll(&ready, 1, ANSWER_MS) == 1 && recv(fd, reply, sizeof(reply), 0) == 3 ? 0 : 1;
}

int main(int argc, char **argv)
{
    signal(SIGTERM, on_signal);
    if (argc == 4 && strcmp(argv[1], "hold") == 0) {
        hold(argv[2], argv[3]);
        return 0;
    }
    if (argc >= 5 && strcmp(argv[1], "flood") == 0) {
        flood(argv[2], argv[3], argv[4], argc > 5 ? strtoul(argv[5], NULL, 10) : FLOOD_MS);
        return 0;
    }
    if (argc >= 4 && strcmp(argv[1], "ask") == 0)
        return ask(argv[2], argv[3], argc > 4 ? argv[4] : NULL);
    fprintf(stderr, "usage: system_tun hold|flood|ask …\n");
    return 2;
}
