/* Packets that are not as they should be, and a judge of those that are on a wire.
 *
 * system_garbage plain DEVICE
 *
 * Nothing is left to the device: no sums, no super-packets. What leaves is what a wire would see.
 *
 * system_garbage send DEVICE FROM4 TO4 FROM6 TO6 COUNT SEED
 *
 * Mutated TCP, UDP and ICMP into a TUN device, each second one with a vnet header that is not as it
 * should be either. Prints how many the kernel took.
 *
 * system_garbage judge DEVICE [-s] FROM...
 *
 * Until SIGTERM: looks at what comes in there, which must be from these addresses, and says what is
 * wrong with it. Prints each destination once. Exit 1 if anything was wrong. -s: a TUN device,
 * where sums are still to be made, and routers have their word. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "mutate.h"

#define BYTES     65536
#define SENT_MAX  1400
#define KNOWN_MAX 4096

struct address {
    uint8_t bytes[16]; /* IPv4: the first four */
    bool is_v4;
};

static volatile sig_atomic_t is_over;
static unsigned long wrong, seen;
static bool no_sums;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "system_garbage: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void on_signal(int number)
{
    (void)number;
    is_over = 1;
}

static int open_device(const char *name, int type, uint16_t protocol)
{
    int fd = socket(AF_PACKET, type | SOCK_CLOEXEC, htons(protocol));
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(protocol),
                             .sll_ifindex = (int)if_nametoindex(name)};

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        die(name);
    return fd;
}

static void make_plain(const char *device)
{
    static const uint32_t commands[] = {ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        struct ethtool_value value = {.cmd = commands[i]};
        struct ifreq request = {0};

        strncpy(request.ifr_name, device, IFNAMSIZ - 1);
        request.ifr_data = (char *)&value;
        if (ioctl(fd, SIOCETHTOOL, &request) != 0)
            die("ethtool");
    }
    close(fd);
}

static struct address parse(const char *text)
{
    struct address address = {.is_v4 = true};

    if (inet_pton(AF_INET, text, address.bytes) != 1) {
        address.is_v4 = false;
        if (inet_pton(AF_INET6, text, address.bytes) != 1)
            die(text);
    }
    return address;
}

/* --- sending ---------------------------------------------------------------------------------- */

static size_t build(uint8_t *out, const struct address *from, const struct address *to,
                    uint64_t *state)
{
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
    uint8_t protocol = protocols[mutate_draw(state) % 3];
    size_t head = from->is_v4 ? 20 : 40, size = head + 20 + mutate_draw(state) % 1300;

    for (size_t i = head; i < size; i++)
        out[i] = (uint8_t)mutate_draw(state);
    memset(out, 0, head);
    if (from->is_v4) {
        out[0] = 0x45;
        out[2] = (uint8_t)(size >> 8);
        out[3] = (uint8_t)size;
        out[8] = 64;
        out[9] = protocol;
        memcpy(out + 12, from->bytes, 4);
        memcpy(out + 16, to->bytes, 4);
    } else {
        out[0] = 0x60;
        out[4] = (uint8_t)((size - head) >> 8);
        out[5] = (uint8_t)(size - head);
        out[6] = protocol == IPPROTO_ICMP ? IPPROTO_ICMPV6 : protocol;
        out[7] = 64;
        memcpy(out + 8, from->bytes, 16);
        memcpy(out + 24, to->bytes, 16);
    }
    out[head + 2] = 7000 >> 8; /* where somebody listens */
    out[head + 3] = 7000 & 255;
    out[head + 12] = 0x50;
    if (protocol == IPPROTO_UDP) {
        out[head + 4] = (uint8_t)((size - head) >> 8);
        out[head + 5] = (uint8_t)(size - head);
        out[head + 6] = out[head + 7] = 0;
    }
    return size;
}

static struct virtio_net_hdr vnet_header(size_t head, uint64_t *state)
{
    static const uint8_t types[] = {VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_TCPV4,
                                    VIRTIO_NET_HDR_GSO_TCPV6, 5 /* UDP_L4 */,
                                    VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN};
    struct virtio_net_hdr header = {.flags = mutate_draw(state) % 4 ? 1 : 0,
                                    .gso_type = types[mutate_draw(state) % sizeof(types)],
                                    .csum_start = (uint16_t)head};

    header.hdr_len = (uint16_t)(head + (mutate_draw(state) % 2 ? 20 : mutate_draw(state) % 64));
    header.gso_size = (uint16_t)(mutate_draw(state) % 2 ? 1 + mutate_draw(state) % 1400 : 8);
    header.csum_offset = mutate_draw(state) % 2 ? 16 : 6;
    if (mutate_draw(state) % 8 == 0)
        header.csum_start = (uint16_t)(mutate_draw(state) % 80);
    return header;
}

static void send_all(char **argv)
{
    struct address ends[4];
    uint64_t state = strtoull(argv[7], NULL, 10) * 0x9e3779b97f4a7c15ULL | 1;
    unsigned long count = strtoul(argv[6], NULL, 10), taken = 0;
    int bare = open_device(argv[1], SOCK_DGRAM, 0), with = open_device(argv[1], SOCK_RAW, 0);
    int on = 1;

    if (setsockopt(with, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) != 0)
        die("PACKET_VNET_HDR");
    for (int i = 0; i < 4; i++)
        ends[i] = parse(argv[2 + i]);
    for (unsigned long i = 0; i < count; i++) {
        uint8_t bytes[sizeof(struct virtio_net_hdr) + SENT_MAX];
        uint8_t *packet = bytes + sizeof(struct virtio_net_hdr);
        const struct address *pair = ends + (mutate_draw(&state) % 2) * 2;
        size_t size = build(packet, pair, pair + 1, &state);
        struct sockaddr_ll to = {.sll_family = AF_PACKET,
                                 .sll_protocol = htons(pair->is_v4 ? ETH_P_IP : ETH_P_IPV6),
                                 .sll_ifindex = (int)if_nametoindex(argv[1])};
        struct virtio_net_hdr header = vnet_header(pair->is_v4 ? 20 : 40, &state);

        if (mutate_draw(&state) % 4)
            size = mutate(packet, size, SENT_MAX, &state);
        memcpy(bytes, &header, sizeof(header));
        if (i % 2)
            taken += sendto(bare, packet, size, 0, (struct sockaddr *)&to, sizeof(to)) > 0;
        else
            taken += sendto(with, bytes, sizeof(header) + size, 0, (struct sockaddr *)&to,
                            sizeof(to)) > 0;
        if (i % 50 == 49)
            usleep(2000);
    }
    printf("%lu of %lu\n", taken, count);
}

/* --- judging ---------------------------------------------------------------------------------- */

static uint32_t add(const uint8_t *bytes, size_t size, uint32_t sum)
{
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
    if (size % 2)
        sum += (uint32_t)(bytes[size - 1] << 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void say(const char *what, const uint8_t *packet, size_t size)
{
    wrong++;
    fprintf(stderr, "%s (%zu bytes):", what, size);
    for (size_t i = 0; i < size && i < 72; i++)
        fprintf(stderr, "%s%02x", i % 4 ? "" : " ", packet[i]);
    fprintf(stderr, "\n");
}

/* What is behind the IP head, whole. */
static const char *judge_rest(const uint8_t *packet, bool is_v4, uint8_t protocol,
                              const uint8_t *rest, size_t size)
{
    uint32_t sum = is_v4 ? add(packet + 12, 8, 0) : add(packet + 8, 32, 0);
    bool has_sum = true;

    sum += protocol + (uint32_t)size;
    if (protocol == IPPROTO_TCP) {
        if (size < 20 || (rest[12] >> 4) < 5 || (size_t)(rest[12] >> 4) * 4 > size)
            return "a TCP head that is not one";
    } else if (protocol == IPPROTO_UDP) {
        if (size < 8 || (size_t)(rest[4] << 8 | rest[5]) != size)
            return "a UDP length that is another";
        has_sum = rest[6] || rest[7]; /* in IPv6, too: RFC 6936 */
    } else if (is_v4 && protocol == IPPROTO_ICMP) {
        if (size < 8 || (rest[0] != 8 && rest[0] != 0 && rest[0] != 3 && rest[0] != 11))
            return "ICMP that is no echo";
        sum = 0;
    } else if (!is_v4 && protocol == IPPROTO_ICMPV6) {
        if (size < 8 || (rest[0] > 4 && rest[0] != 128 && rest[0] != 129))
            return "ICMP that is no echo";
    } else {
        return "another protocol";
    }
    return has_sum && !no_sums && add(rest, size, sum) != 0xffff ? "a wrong sum" : NULL;
}

static const char *judge_v4(const uint8_t *packet, size_t size)
{
    size_t length = (size_t)(packet[2] << 8 | packet[3]);
    unsigned fragment = (unsigned)((packet[6] & 0x3f) << 8 | packet[7]);

    if (packet[0] != 0x45)
        return "an IPv4 head with options, or none";
    if (length < 20 || length != size)
        return "another length";
    if (add(packet, 20, 0) != 0xffff)
        return "a wrong sum of the head";
    if ((packet[8] == 0 && !no_sums) || (packet[6] & 0x80))
        return "no time to live, or the evil bit";
    return fragment ? NULL : judge_rest(packet, true, packet[9], packet + 20, size - 20);
}

static const char *judge_v6(const uint8_t *packet, size_t size)
{
    if (packet[0] >> 4 != 6 || size < 40 || (size_t)(packet[4] << 8 | packet[5]) + 40 != size)
        return "another length";
    if (packet[6] == 44)
        return NULL;
    return judge_rest(packet, false, packet[6], packet + 40, size - 40);
}

static void note_destination(const uint8_t *packet, bool is_v4)
{
    static struct address known[KNOWN_MAX];
    static size_t count;
    struct address here = {.is_v4 = is_v4};
    char text[INET6_ADDRSTRLEN];

    memcpy(here.bytes, packet + (is_v4 ? 16 : 24), is_v4 ? 4 : 16);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&known[i], &here, sizeof(here)) == 0)
            return;
    }
    if (count < KNOWN_MAX)
        known[count++] = here;
    printf("%s\n", inet_ntop(is_v4 ? AF_INET : AF_INET6, here.bytes, text, sizeof(text)));
}

/* Neighbours and groups of this link are not the world's affair. */
static bool is_local(const uint8_t *packet, size_t size, bool is_v4)
{
    if (is_v4)
        return false;
    return size >= 40 && (packet[8] == 0xfe || packet[24] == 0xff ||
                          (packet[6] == IPPROTO_ICMPV6 && packet[7] == 255) || packet[24] == 0xfe);
}

/* A router's word, which may be from anywhere. */
static bool is_error(const uint8_t *packet, size_t size, bool is_v4)
{
    if (is_v4)
        return size > 28 && packet[9] == IPPROTO_ICMP && (packet[20] == 3 || packet[20] == 11);
    return size > 48 && packet[6] == IPPROTO_ICMPV6 && packet[40] < 5;
}

static void judge(const uint8_t *packet, size_t size, bool is_v4, const struct address *from,
                  size_t from_count)
{
    const char *what = size < 20 ? "too short" : NULL;
    bool is_known = false;

    if (what || is_local(packet, size, is_v4)) {
        if (what)
            say(what, packet, size);
        return;
    }
    seen++;
    for (size_t i = 0; i < from_count; i++)
        is_known =
            is_known || (from[i].is_v4 == is_v4 &&
                         memcmp(packet + (is_v4 ? 12 : 8), from[i].bytes, is_v4 ? 4 : 16) == 0);
    if (!is_known && !(no_sums && is_error(packet, size, is_v4)))
        what = "from another address";
    else
        what = is_v4 ? judge_v4(packet, size) : judge_v6(packet, size);
    if (what)
        say(what, packet, size);
    note_destination(packet, is_v4);
}

static int judge_all(const char *device, char **argv, int argc)
{
    const struct timeval look = {.tv_usec = 100000};
    static uint8_t packet[BYTES + 1];
    struct address from[8];
    int fd = open_device(device, SOCK_DGRAM, ETH_P_ALL), room = 64 << 20;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof(look));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    for (int i = 0; i < argc && i < 8; i++)
        from[i] = parse(argv[i]);
    fprintf(stderr, "ready\n");
    while (!is_over) {
        struct sockaddr_ll at;
        socklen_t at_size = sizeof(at);
        ssize_t size = recvfrom(fd, packet, BYTES, 0, (struct sockaddr *)&at, &at_size);
        bool is_v4 = ntohs(at.sll_protocol) == ETH_P_IP;

        if (size > 0 && at.sll_pkttype != PACKET_OUTGOING &&
            (is_v4 || ntohs(at.sll_protocol) == ETH_P_IPV6))
            judge(packet, (size_t)size, is_v4, from, (size_t)argc);
    }
    fprintf(stderr, "seen %lu, wrong %lu\n", seen, wrong);
    return wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";

    signal(SIGTERM, on_signal);
    if (strcmp(what, "plain") == 0 && argc == 3)
        make_plain(argv[2]);
    else if (strcmp(what, "send") == 0 && argc == 9)
        send_all(argv + 1);
    else if (strcmp(what, "judge") == 0 && argc > 3) {
        no_sums = strcmp(argv[3], "-s") == 0;
        return judge_all(argv[2], argv + 3 + no_sums, argc - 3 - no_sums);
    } else {
        fprintf(stderr, "usage: see the source\n");
        return 2;
    }
    return 0;
}
