/* Lets the packets of other network namespaces out through ww/exit.h: what a provider does, without
 * peers and contracts. Each CLIENT is the path of a namespace, where a TUN device "cl0" is made.
 *   system_exit MODE FOLDER [-u] [-x] [-d MS] [-a PREFIX]… [-l LIMIT=N]… CLIENT…
 * Limits: flows, opens, destinations, rate, total (the last two in bytes a second).
 * -u becomes nobody first; -x lets every packet pass, as a broken judge would; -d holds up what
 * goes to the clients. Prints what it is and, on SIGUSR1, what went through, as JSON. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ww/exit.h"
#include "ww/tun.h"

#define CLIENTS_MAX 8
#define NOBODY      65534
#define LINE_MAX    32768 /* packets: 45 MB, 50 ms at 7 Gbit/s */

static struct ww_loop *loop;
static struct ww_exit *provider;
static struct ww_address_rules *rules;
static struct client {
    int fd;
    uint32_t number;
    struct ww_tun *tun;
    struct ww_ip_fragments fragments;
} clients[CLIENTS_MAX];
static size_t client_count;
static bool becomes_nobody, judges_nothing;
static struct ww_timer *waiting; /* for the kernel's way to be open */
static char said[WW_EXIT_WHY_BYTES];
static struct {
    uint64_t us;
    size_t first, end; /* counted on; modulo LINE_MAX */
    struct ww_timer *timer;
    struct slot {
        uint64_t due_us;
        uint32_t client;
        size_t size;
        struct ww_offload offload;
        uint8_t bytes[1500];
    } slots[LINE_MAX];
} line;
static struct ww_exit_options options = {
    .limits = WW_EXIT_LIMITS_DEFAULT,
    .inner_v4 = {[10] = 0xff, [11] = 0xff, [12] = 192, 0, 0, 2},
    .inner_v6 = {0xfd, 0x77, 0, 0x77, [15] = 2},
    .pool_v4 = {10, 119},
    .pool_v6 = {0xfd, 0x77, 0x01, 0x19},
    .mtu = 1400,
    .device = "wwexit0",
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "system_exit: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void on_packet(void *arg, uint8_t *packet, size_t size, struct ww_offload offload)
{
    struct client *client = arg;
    struct ww_ip ip;

    if ((judges_nothing || ww_ip_judge(rules, packet, size, &ip, NULL) == 0) &&
        (judges_nothing || !ip.is_fragment ||
         ww_ip_fragment(&client->fragments, &ip, ww_loop_now_us(loop), NULL) == 0))
        ww_exit_packet(provider, client->number, packet, size, offload);
}

static void on_failed(void *arg, int code)
{
    (void)arg;
    fprintf(stderr, "system_exit: a client's device: %s\n", ww_error_name(code));
}

static const struct ww_tun_callbacks tun_callbacks = {.packet = on_packet, .failed = on_failed};

/* A line of that length in front of the clients, one way. */
static void on_delay(void *arg)
{
    uint64_t now_us = ww_clock_mono_us();

    (void)arg;
    for (; line.first != line.end && line.slots[line.first % LINE_MAX].due_us <= now_us;
         line.first++) {
        const struct slot *slot = &line.slots[line.first % LINE_MAX];

        ww_tun_write(clients[slot->client].tun, slot->bytes, slot->size, slot->offload);
    }
    ww_timer_start(line.timer, 1000);
}

static void delay(uint32_t number, const uint8_t *packet, size_t size, struct ww_offload offload)
{
    struct slot *slot = &line.slots[line.end % LINE_MAX];

    if (line.end - line.first == LINE_MAX || size > sizeof(slot->bytes))
        return;
    slot->due_us = ww_clock_mono_us() + line.us;
    slot->client = number;
    slot->size = size;
    slot->offload = offload;
    memcpy(slot->bytes, packet, size);
    line.end++;
}

static int on_back(void *arg, uint32_t number, uint8_t *packet, size_t size,
                   struct ww_offload offload)
{
    (void)arg;
    if (line.us) {
        delay(number, packet, size, offload);
        return 0;
    }
    ww_tun_write(clients[number].tun, packet, size, offload);
    return 0;
}

static const struct ww_exit_callbacks exit_callbacks = {.packet = on_back};

static void print_counts(void *arg, int signal_number)
{
    struct ww_exit_counts all;
    struct ww_exit_status status;

    (void)arg;
    (void)signal_number;
    ww_exit_totals(provider, &all);
    printf("{\"out\":%llu,\"in\":%llu,\"flows\":%u,\"opened\":%llu,\"evicted\":%llu,"
           "\"destinations\":%u,\"refused_flows\":%llu,\"refused_opens\":%llu,"
           "\"refused_destinations\":%llu,\"refused_packets\":%llu,\"dropped\":%llu,\"bytes_in\":[",
           (unsigned long long)all.out_packets, (unsigned long long)all.in_packets, all.flows,
           (unsigned long long)all.flows_opened, (unsigned long long)all.flows_evicted,
           all.destinations, (unsigned long long)all.refused_flows,
           (unsigned long long)all.refused_opens, (unsigned long long)all.refused_destinations,
           (unsigned long long)all.refused_packets,
           (unsigned long long)(all.in_dropped + all.out_dropped));
    for (size_t i = 0; i < client_count; i++) {
        struct ww_exit_counts one;

        ww_exit_counts(provider, clients[i].number, &one);
        printf("%s%llu", i ? "," : "", (unsigned long long)one.in_bytes);
    }
    ww_exit_status(provider, &status);
    printf("],\"held\":%llu}\n", (unsigned long long)status.held_bytes);
    fflush(stdout);
}

/* How packets go out, once they do. */
static void print_way(void *arg)
{
    struct ww_exit_status status;

    (void)arg;
    ww_exit_status(provider, &status);
    if (status.mode == WW_EXIT_KERNEL && status.why[0]) {
        if (strcmp(status.why, said) != 0)
            fprintf(stderr, "system_exit: %s\n", status.why);
        snprintf(said, sizeof(said), "%s", status.why);
        ww_timer_start(waiting, 10000);
        return;
    }
    printf("{\"mode\":\"%s\",\"device\":\"%s\",\"echo_v4\":%d,\"echo_v6\":%d,\"why\":\"%s\"}\n",
           ww_exit_mode_name(status.mode), status.device, status.has_echo_v4, status.has_echo_v6,
           status.why);
    fflush(stdout);
}

static void stop(void *arg, int signal_number)
{
    (void)arg;
    (void)signal_number;
    ww_loop_stop(loop);
}

static int open_tun_in(const char *path)
{
    struct ifreq request = {.ifr_name = "cl0", .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int there = open(path, O_RDONLY | O_CLOEXEC), fd;

    if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) != 0)
        die(path);
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0 || setns(home, CLONE_NEWNET) != 0)
        die("TUN device");
    close(home);
    close(there);
    return fd;
}

static void read_limit(const char *text)
{
    struct ww_exit_limits *limits = &options.limits;
    unsigned long number;
    char name[32];

    if (sscanf(text, "%31[a-z]=%lu", name, &number) != 2)
        die(text);
    if (strcmp(name, "flows") == 0)
        limits->flows = (uint32_t)number;
    else if (strcmp(name, "opens") == 0)
        limits->opens_per_s = (uint32_t)number;
    else if (strcmp(name, "destinations") == 0)
        limits->destinations = (uint32_t)number;
    else if (strcmp(name, "rate") == 0)
        limits->client_bytes_per_s = number;
    else if (strcmp(name, "total") == 0)
        limits->total_bytes_per_s = number;
    else
        die(text);
}

static void read_options(int argc, char **argv)
{
    struct ww_prefix prefix;
    int option;

    if (argc < 4 || ww_address_rules_create(true, &rules) != 0)
        die("usage");
    for (options.mode = WW_EXIT_NONE; strcmp(argv[1], ww_exit_mode_name(options.mode)) != 0;
         options.mode++) {
        if (options.mode == WW_EXIT_USER)
            die(argv[1]);
    }
    options.folder = argv[2];
    options.rules = rules;
    optind = 3;
    while ((option = getopt(argc, argv, "uxa:l:d:")) != -1) {
        if (option == 'u')
            becomes_nobody = true;
        else if (option == 'd')
            line.us = strtoul(optarg, NULL, 10) * 1000;
        else if (option == 'x')
            judges_nothing = true;
        else if (option == 'a' && (ww_prefix_parse(optarg, &prefix) != 0 ||
                                   ww_address_rules_allow(rules, &prefix) != 0))
            die(optarg);
        else if (option == 'l')
            read_limit(optarg);
    }
    for (; optind < argc && client_count < CLIENTS_MAX; optind++)
        clients[client_count++].fd = open_tun_in(argv[optind]);
}

static void become_nobody(void)
{
    if (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        die("nobody");
    prctl(PR_SET_DUMPABLE, 1); /* what /proc/self is the owner's for */
}

static void open_clients(void)
{
    for (size_t i = 0; i < client_count; i++) {
        const struct ww_tun_options tun = {.fd = clients[i].fd};

        if (ww_exit_client_open(provider, &clients[i].number) != 0 ||
            ww_tun_create(loop, &tun, &tun_callbacks, &clients[i], &clients[i].tun) != 0)
            die("client");
    }
}

int main(int argc, char **argv)
{
    char why[WW_EXIT_WHY_BYTES];
    struct ww_signal *signals[3];
    int rc;

    read_options(argc, argv);
    if (becomes_nobody)
        become_nobody();
    if (ww_loop_create(&loop) != 0 ||
        ww_signal_create(loop, SIGTERM, stop, NULL, &signals[0]) != 0 ||
        ww_signal_create(loop, SIGINT, stop, NULL, &signals[1]) != 0 ||
        ww_signal_create(loop, SIGUSR1, print_counts, NULL, &signals[2]) != 0)
        die("loop");
    rc = ww_exit_create(loop, &options, &exit_callbacks, NULL, why, &provider);
    if (rc) {
        fprintf(stderr, "system_exit: %s: %s\n", ww_error_name(rc), why);
        return 3;
    }
    open_clients();
    if (line.us && ww_timer_create(loop, on_delay, NULL, &line.timer) == 0)
        ww_timer_start(line.timer, 1000);
    if (ww_timer_create(loop, print_way, NULL, &waiting) != 0)
        die("timer");
    print_way(NULL);
    ww_loop_run(loop);
    ww_timer_destroy(line.timer);
    ww_timer_destroy(waiting);
    for (size_t i = 0; i < client_count; i++)
        ww_tun_destroy(clients[i].tun);
    ww_exit_destroy(provider);
    for (size_t i = 0; i < WW_ARRAY_COUNT(signals); i++)
        ww_signal_destroy(signals[i]);
    ww_loop_destroy(loop);
    ww_address_rules_destroy(rules);
    return 0;
}
