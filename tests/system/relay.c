/* A bad line: two TUN devices, one in each of two network namespaces, and IPv4 packets carried
 * between them in user space. UDP is lost, held back so that others pass it, repeated, and has bits
 * flipped under a checksum that is right again, so that the damage gets past the kernel; everything
 * else passes as it is.
 *
 * system_relay NAMESPACE NAMESPACE LOSS REORDER REPEAT FLIP [SEED]: paths as of /run/netns, per
 * cent. The devices are named "line". SIGTERM ends it: it prints what it did, as JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 2048 /* the devices have an MTU of 1,500 */
#define HELD_MAX   256
#define HELD_MS    5

struct held {
    uint64_t due_ms;
    int fd;
    size_t size;
    uint8_t packet[PACKET_MAX];
};

static struct held held[HELD_MAX];
static size_t held_count;
static unsigned loss, reorder, repeat, flip;
static unsigned long udp, lost, reordered, repeated, flipped;
static uint64_t state;
static volatile sig_atomic_t is_over;

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool happens(unsigned percent)
{
    return draw() % 10000 < percent * 100ULL;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_line(const char *path)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "line"};
    int space = open(path, O_RDONLY | O_CLOEXEC);

    if (space < 0 || setns(space, CLONE_NEWNET))
        die(path);
    close(space);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request))
        die("/dev/net/tun");
    return fd;
}

/* A full device loses a packet, as a real line does. */
static void put(int fd, const uint8_t *packet, size_t size)
{
    if (write(fd, packet, size) < 0 && errno != EAGAIN && errno != EIO)
        die("write");
}

static bool is_udp(const uint8_t *packet, size_t size, size_t *head)
{
    *head = (packet[0] & 15U) * 4U;
    /* Later fragments have no UDP header, and are carried as they are. */
    return size >= *head + 8 && packet[9] == 17 && (packet[6] & 0x1f) == 0 && packet[7] == 0;
}

static void flip_bit(uint8_t *packet, size_t size, size_t head)
{
    size_t payload = head + 8;

    if (size == payload)
        return;
    packet[payload + draw() % (size - payload)] ^= (uint8_t)(1U << (draw() % 8));
    packet[head + 6] = packet[head + 7] = 0; /* IPv4: no checksum */
    flipped++;
}

static void hold(int fd, const uint8_t *packet, size_t size)
{
    struct held *slot = &held[held_count++];

    slot->due_ms = now_ms() + 1 + draw() % HELD_MS;
    slot->fd = fd;
    slot->size = size;
    memcpy(slot->packet, packet, size);
    reordered++;
}

static void carry(int fd, uint8_t *packet, size_t size)
{
    size_t head;

    if (size == 0 || packet[0] >> 4 != 4)
        return;
    if (!is_udp(packet, size, &head)) {
        put(fd, packet, size);
        return;
    }
    udp++;
    if (happens(loss)) {
        lost++;
        return;
    }
    if (happens(flip))
        flip_bit(packet, size, head);
    if (happens(repeat)) {
        put(fd, packet, size);
        repeated++;
    }
    if (happens(reorder) && held_count < HELD_MAX)
        hold(fd, packet, size);
    else
        put(fd, packet, size);
}

static void let_go(void)
{
    uint64_t now = now_ms();

    for (size_t index = 0; index < held_count;) {
        if (held[index].due_ms > now) {
            index++;
            continue;
        }
        put(held[index].fd, held[index].packet, held[index].size);
        held[index] = held[--held_count];
    }
}

static void on_signal(int number)
{
    (void)number;
    is_over = 1;
}

int main(int argc, char **argv)
{
    uint8_t packet[PACKET_MAX];

    if (argc < 7) {
        fprintf(stderr, "usage: relay NAMESPACE NAMESPACE LOSS REORDER REPEAT FLIP [SEED]\n");
        return 2;
    }
    loss = (unsigned)strtoul(argv[3], NULL, 10);
    reorder = (unsigned)strtoul(argv[4], NULL, 10);
    repeat = (unsigned)strtoul(argv[5], NULL, 10);
    flip = (unsigned)strtoul(argv[6], NULL, 10);
    state = (argc > 7 ? strtoull(argv[7], NULL, 10) : 1) * 0x9e3779b97f4a7c15ULL | 1;
    signal(SIGTERM, on_signal);
    struct pollfd lines[2] = {{.fd = open_line(argv[1]), .events = POLLIN},
                              {.fd = open_line(argv[2]), .events = POLLIN}};
    printf("ready\n");
    fflush(stdout);
    while (!is_over) {
        if (poll(lines, 2, held_count ? 1 : 100) < 0 && errno != EINTR)
            die("poll");
        for (int from = 0; from < 2; from++) {
            ssize_t size;
            for (int i = 0; i < 64 && (size = read(lines[from].fd, packet, sizeof(packet))) > 0;
                 i++)
                carry(lines[!from].fd, packet, (size_t)size);
        }
        let_go();
    }
    printf("{\"udp\":%lu,\"lost\":%lu,\"reordered\":%lu,\"repeated\":%lu,\"flipped\":%lu}\n", udp,
           lost, reordered, repeated, flipped);
    return 0;
}
