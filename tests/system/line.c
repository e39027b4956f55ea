/* A line with a length and a width: two TUN devices named "line", one in each of two network
 * namespaces, and whole IP packets carried between them in user space, whatever they are.
 *
 * system_line NAMESPACE NAMESPACE [NAME=VALUE…], paths as of /run/netns; per direction:
 *   delay=MS       how long a packet is on its way
 *   rate=KBIT      its width, with a queue in front: queue=BYTES, 64,000 unless said
 *   jitter=US      up to which a packet comes later to that queue, behind others of its protocol
 *   loss=PERMILLE  packets that are lost
 *   late=PERMILLE  … that come up to 5 ms later, so that others overtake them
 *   twice=PERMILLE … that come once more at once
 *   again=PERMILLE … that come once more a second later, when thousands of others have come
 *   seed=N
 * SIGUSR1: from then on packets of more than 1,300 bytes are lost without a word. SIGTERM ends it:
 * it prints what it did, as JSON. */
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

#define PACKET_MAX  2048 /* the devices have an MTU of 1,500 */
#define PACKETS_MAX 32768
#define HOLE_BYTES  1300
#define LATE_US     5000
#define AGAIN_US    1000000

struct packet {
    uint64_t due_us, number;
    int from;
    bool is_queued; /* it has passed the queue */
    size_t size;
    uint8_t bytes[PACKET_MAX];
};

static struct {
    const char *name;
    unsigned long value;
} knobs[] = {{"delay", 0}, {"rate", 0},  {"queue", 64000}, {"jitter", 0}, {"loss", 0},
             {"late", 0},  {"twice", 0}, {"again", 0},     {"seed", 1}};
enum { DELAY, RATE, QUEUE, JITTER, LOSS, LATE, TWICE, AGAIN, SEED, KNOBS };

/* What is on its way: a heap by when it is due, then as it came. */
static struct packet *heap[PACKETS_MAX];
static size_t heap_size;
static uint64_t last_number;
static int line_fd[2];
static uint64_t arrival_us[2][256]; /* of each way and protocol: when its last packet came */
static uint64_t free_us[2];         /* when the line's beginning is free again */
static unsigned long carried, lost, full, late, twice, again, holed;
static uint64_t state;
static volatile sig_atomic_t is_over, is_holed;

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool happens(int knob)
{
    return draw() % 100000 < knobs[knob].value * 100;
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
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

static bool is_before(const struct packet *one, const struct packet *other)
{
    return one->due_us != other->due_us ? one->due_us < other->due_us : one->number < other->number;
}

static void push(struct packet *packet)
{
    size_t at = heap_size++;

    packet->number = ++last_number;
    for (; at > 0 && is_before(packet, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = packet;
}

static struct packet *pop(void)
{
    struct packet *first = heap[0], *last = heap[--heap_size];
    size_t at = 0, child;

    while ((child = 2 * at + 1) < heap_size) {
        if (child + 1 < heap_size && is_before(heap[child + 1], heap[child]))
            child++;
        if (is_before(last, heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

/* When the packet has left the queue; 0: there is no room in it. */
static uint64_t pass_queue(int from, size_t size, uint64_t now)
{
    uint64_t took = knobs[RATE].value ? size * 8000 / knobs[RATE].value : 0;

    if (free_us[from] < now)
        free_us[from] = now;
    if ((free_us[from] - now) * knobs[RATE].value / 8000 > knobs[QUEUE].value)
        return 0;
    free_us[from] += took;
    return free_us[from];
}

static struct packet *new_packet(int from, const uint8_t *bytes, size_t size, uint64_t due_us)
{
    struct packet *packet = heap_size < PACKETS_MAX ? malloc(sizeof(*packet)) : NULL;

    if (!packet) {
        full++;
        return NULL;
    }
    *packet = (struct packet){.due_us = due_us, .from = from, .size = size};
    memcpy(packet->bytes, bytes, size);
    return packet;
}

static void send_on(int from, const uint8_t *bytes, size_t size, uint64_t due_us)
{
    struct packet *packet = new_packet(from, bytes, size, due_us);

    if (packet) {
        packet->is_queued = true;
        push(packet);
    }
}

/* A packet is where the line begins. */
static void carry(int from, const uint8_t *bytes, size_t size, uint64_t now)
{
    uint64_t due;

    if (is_holed && size > HOLE_BYTES) {
        holed++;
        return;
    }
    if (happens(LOSS)) {
        lost++;
        return;
    }
    due = pass_queue(from, size, now);
    if (!due) {
        full++;
        return;
    }
    due += knobs[DELAY].value * 1000;
    if (happens(LATE)) {
        due += draw() % LATE_US;
        late++;
    }
    send_on(from, bytes, size, due);
    if (happens(TWICE)) {
        send_on(from, bytes, size, due);
        twice++;
    }
    if (happens(AGAIN)) {
        send_on(from, bytes, size, due + AGAIN_US);
        again++;
    }
    carried++;
}

static uint8_t protocol_of(const uint8_t *bytes)
{
    return bytes[0] >> 4 == 4 ? bytes[9] : bytes[6];
}

/* Without jitter, two senders that are clocked by what leaves a queue keep their places in it, and
 * one of them finds it full again and again (Floyd and Jacobson, "On traffic phase effects in
 * packet-switched gateways", 1992). */
static void take(int from, const uint8_t *bytes, size_t size)
{
    uint64_t now = now_us(), *last = &arrival_us[from][protocol_of(bytes)];
    struct packet *packet;

    if (!knobs[JITTER].value) {
        carry(from, bytes, size, now);
        return;
    }
    now += draw() % knobs[JITTER].value;
    *last = now > *last ? now : *last;
    packet = new_packet(from, bytes, size, *last);
    if (packet)
        push(packet);
}

static void let_go(void)
{
    uint64_t now = now_us();

    while (heap_size && heap[0]->due_us <= now) {
        struct packet *packet = pop();

        if (!packet->is_queued)
            carry(packet->from, packet->bytes, packet->size, packet->due_us);
        /* A full device loses a packet, as a real line does. */
        else if (write(line_fd[!packet->from], packet->bytes, packet->size) < 0 &&
                 errno != EAGAIN && errno != EIO)
            die("write");
        free(packet);
    }
}

static void wait_for_packets(struct pollfd *lines)
{
    struct timespec wait = {.tv_nsec = 100000000};

    if (heap_size) {
        uint64_t now = now_us(), due = heap[0]->due_us;

        due = due > now ? due - now : 0;
        if (due < 100000)
            wait.tv_nsec = (long)due * 1000;
    }
    if (ppoll(lines, 2, &wait, NULL) < 0 && errno != EINTR)
        die("poll");
}

static void read_knobs(int count, char **texts)
{
    for (int i = 0; i < count; i++) {
        size_t length = strcspn(texts[i], "=");
        int knob = 0;

        while (knob < KNOBS && (strlen(knobs[knob].name) != length ||
                                strncmp(knobs[knob].name, texts[i], length) != 0))
            knob++;
        if (knob == KNOBS || !texts[i][length]) {
            fprintf(stderr, "system_line: %s?\n", texts[i]);
            exit(2);
        }
        knobs[knob].value = strtoul(texts[i] + length + 1, NULL, 10);
    }
    state = knobs[SEED].value * 0x9e3779b97f4a7c15ULL | 1;
}

static void on_signal(int number)
{
    if (number == SIGUSR1)
        is_holed = 1;
    else
        is_over = 1;
}

int main(int argc, char **argv)
{
    uint8_t bytes[PACKET_MAX];

    if (argc < 3) {
        fprintf(stderr, "usage: system_line NAMESPACE NAMESPACE [NAME=VALUE...]\n");
        return 2;
    }
    read_knobs(argc - 3, argv + 3);
    signal(SIGTERM, on_signal);
    signal(SIGUSR1, on_signal);
    line_fd[0] = open_line(argv[1]);
    line_fd[1] = open_line(argv[2]);
    struct pollfd lines[2] = {{.fd = line_fd[0], .events = POLLIN},
                              {.fd = line_fd[1], .events = POLLIN}};
    printf("ready\n");
    fflush(stdout);
    while (!is_over) {
        wait_for_packets(lines);
        for (int from = 0; from < 2; from++) {
            ssize_t size;

            for (int i = 0; i < 64 && (size = read(line_fd[from], bytes, sizeof(bytes))) > 0; i++)
                take(from, bytes, (size_t)size);
        }
        let_go();
    }
    printf("{\"carried\":%lu,\"lost\":%lu,\"full\":%lu,\"late\":%lu,\"twice\":%lu,\"again\":%lu,"
           "\"holed\":%lu}\n",
           carried, lost, full, late, twice, again, holed);
    return 0;
}
