/* The egress for packets: clients, limits and queues around one of the two ways out. Relies on the
 * fair queues, the table of flows and the ways; it must never call its owner from inside a call. */
#include "exit_room.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define TICK_US  1000000
#define QUEUE_US 1000 /* until what waits is looked at, when nobody knows better */

const char *ww_exit_mode_name(enum ww_exit_mode mode)
{
    static const char *const names[] = {[WW_EXIT_NONE] = "none",
                                        [WW_EXIT_AUTO] = "auto",
                                        [WW_EXIT_KERNEL] = "kernel",
                                        [WW_EXIT_USER] = "user"};

    return names[mode];
}

int ww_exit_explain(char why[WW_EXIT_WHY_BYTES], int code, const char *what, int error)
{
    snprintf(why, WW_EXIT_WHY_BYTES, "%s%s%s", what, error ? ": " : "",
             error ? strerror(error) : "");
    return code;
}

bool ww_exit_has_client(const struct ww_exit *exit, uint32_t client)
{
    return client < exit->options.limits.clients && exit->clients[client].is_open;
}

const uint8_t *ww_exit_inner(const struct ww_exit *exit, bool is_v4)
{
    return is_v4 ? exit->options.inner_v4 : exit->options.inner_v6;
}

void ww_exit_refuse(struct ww_exit *exit, uint32_t client)
{
    exit->clients[client].refused_packets++;
}

/* --- packets ---------------------------------------------------------------------------------- */

static void serve_soon(struct ww_exit *exit, uint64_t us)
{
    if (!ww_timer_running(exit->timer))
        ww_timer_start(exit->timer, us);
}

static int deliver_out(void *arg, uint32_t client, uint8_t *packet, size_t size,
                       struct ww_offload offload)
{
    struct ww_exit *exit = arg;
    struct ww_ip ip;

    if (ww_ip_read(packet, size, &ip, NULL) != 0 ||
        memcmp(ip.source, ww_exit_inner(exit, ip.is_v4), 16) != 0)
        ww_exit_refuse(exit, client);
    else if (exit->kernel)
        ww_exit_kernel_out(exit, client, packet, &ip, offload);
    else if (exit->user)
        ww_exit_user_out(exit, client, packet, &ip, offload);
    else
        ww_exit_refuse(exit, client);
    return 0;
}

void ww_exit_packet(struct ww_exit *exit, uint32_t client, uint8_t *packet, size_t size,
                    struct ww_offload offload)
{
    if (!ww_exit_has_client(exit, client))
        return;
    if (size > WW_PACKET_SUPER_BYTES_MAX) {
        ww_exit_refuse(exit, client);
        return;
    }
    ww_fair_packet(exit->out, client, packet, size, offload, ww_loop_now_us(exit->loop));
    if (ww_fair_waiting(exit->out, client))
        serve_soon(exit, QUEUE_US);
}

static int deliver_in(void *arg, uint32_t client, uint8_t *packet, size_t size,
                      struct ww_offload offload)
{
    struct ww_exit *exit = arg;

    return exit->callbacks->packet(exit->arg, client, packet, size, offload);
}

/* A super-packet in parts that the owner takes whole. */
static void super_in(struct ww_exit *exit, uint32_t client, uint8_t *packet, size_t size,
                     uint16_t segment_size)
{
    size_t most = exit->callbacks->room(exit->arg, client);
    struct ww_super super;
    struct ww_offload offload;

    if (!ww_super_begin(&super, packet, size, segment_size))
        return;
    while ((size = ww_super_next(&super, most, &packet, &offload)) > 0)
        ww_fair_packet(exit->in, client, packet, size, offload, ww_loop_now_us(exit->loop));
}

void ww_exit_in(struct ww_exit *exit, uint32_t client, uint8_t *packet, size_t size,
                struct ww_offload offload)
{
    if (!ww_exit_has_client(exit, client))
        return;
    if (offload.segment_size)
        super_in(exit, client, packet, size, offload.segment_size);
    else
        ww_fair_packet(exit->in, client, packet, size, offload, ww_loop_now_us(exit->loop));
    if (!exit->is_reading)
        ww_timer_start(exit->timer, 0); /* tells the end of the batch */
    else if (ww_fair_waiting(exit->in, client))
        serve_soon(exit, QUEUE_US);
}

void ww_exit_in_later(struct ww_exit *exit, uint32_t client, const uint8_t *packet, size_t size)
{
    if (!ww_exit_has_client(exit, client))
        return;
    ww_fair_later(exit->in, client, packet, size, WW_OFFLOAD_NONE, ww_loop_now_us(exit->loop));
    ww_timer_start(exit->timer, 0);
}

void ww_exit_steer(struct ww_exit *exit, uint32_t client, unsigned worker)
{
    if (ww_exit_has_client(exit, client))
        exit->clients[client].worker = worker;
}

const struct ww_tun *ww_exit_tun(const struct ww_exit *exit)
{
    return exit->tun;
}

void ww_exit_ready(struct ww_exit *exit, uint32_t client)
{
    if (!ww_exit_has_client(exit, client))
        return;
    ww_fair_ready(exit->in, client);
    if (ww_fair_waiting(exit->in, client))
        ww_timer_start(exit->timer, 0);
}

static void end_batch(struct ww_exit *exit)
{
    if (exit->callbacks->batch_end)
        exit->callbacks->batch_end(exit->arg);
}

static void on_timer(void *arg)
{
    struct ww_exit *exit = arg;
    uint64_t now_us = ww_loop_now_us(exit->loop);
    uint64_t out_us = ww_fair_run(exit->out, now_us), in_us = ww_fair_run(exit->in, now_us);

    if (out_us || in_us)
        serve_soon(exit, out_us && in_us ? WW_MIN(out_us, in_us) : out_us + in_us);
    end_batch(exit);
}

static void on_tick(void *arg)
{
    struct ww_exit *exit = arg;

    ww_timer_start(exit->tick, TICK_US);
    ww_exit_table_sweep(exit->table, ww_loop_now_us(exit->loop));
    if (exit->kernel)
        ww_exit_kernel_tick(exit);
}

static void on_packet(void *arg, uint8_t *packet, size_t size, struct ww_offload offload)
{
    struct ww_exit *exit = arg;

    exit->is_reading = true;
    if (exit->kernel)
        ww_exit_kernel_in(exit, packet, size, offload);
    else
        ww_exit_user_in(exit, packet, size, offload);
}

static void on_batch_end(void *arg)
{
    struct ww_exit *exit = arg;

    exit->is_reading = false;
    end_batch(exit);
}

static void on_failed(void *arg, int code)
{
    struct ww_exit *exit = arg;

    ww_log(WW_LOG_ERROR, "packet", "The egress for packets lost its device", "error=%s device=%s",
           ww_error_name(code), ww_tun_name(exit->tun));
}

static void on_closed(void *arg, struct ww_exit_flow *flow)
{
    struct ww_exit *exit = arg;

    if (exit->user)
        ww_exit_user_closed(exit, flow);
    else if (exit->kernel)
        ww_exit_kernel_closed(exit, flow);
}

/* --- clients ---------------------------------------------------------------------------------- */

int ww_exit_client_open(struct ww_exit *exit, uint32_t *client)
{
    if (!exit->kernel && !exit->user)
        return WW_EUNSUPPORTED;
    for (uint32_t i = 0; i < exit->options.limits.clients; i++) {
        if (exit->clients[i].is_open)
            continue;
        exit->clients[i].is_open = true;
        exit->clients[i].refused_packets = 0;
        exit->clients[i].worker = 0;
        exit->client_count++;
        *client = i;
        return 0;
    }
    return WW_ELIMIT;
}

static void add_counts(struct ww_exit_counts *sum, const struct ww_exit_counts *more)
{
    sum->out_packets += more->out_packets;
    sum->out_bytes += more->out_bytes;
    sum->in_packets += more->in_packets;
    sum->in_bytes += more->in_bytes;
    sum->out_dropped += more->out_dropped;
    sum->in_dropped += more->in_dropped;
    sum->flows_opened += more->flows_opened;
    sum->flows_evicted += more->flows_evicted;
    sum->refused_flows += more->refused_flows;
    sum->refused_opens += more->refused_opens;
    sum->refused_destinations += more->refused_destinations;
    sum->refused_packets += more->refused_packets;
    sum->flows += more->flows;
    sum->destinations += more->destinations;
    sum->waiting += more->waiting;
}

void ww_exit_client_close(struct ww_exit *exit, uint32_t client)
{
    struct ww_exit_counts counts;

    if (!ww_exit_has_client(exit, client))
        return;
    ww_exit_counts(exit, client, &counts);
    counts.flows = counts.destinations = 0;
    counts.waiting = 0;
    add_counts(&exit->past, &counts);
    ww_exit_table_forget(exit->table, client);
    ww_fair_forget(exit->out, client);
    ww_fair_forget(exit->in, client);
    exit->clients[client].is_open = false;
    exit->client_count--;
}

void ww_exit_counts(const struct ww_exit *exit, uint32_t client, struct ww_exit_counts *counts)
{
    struct ww_fair_counts way;

    memset(counts, 0, sizeof(*counts));
    if (!ww_exit_has_client(exit, client))
        return;
    ww_exit_table_counts(exit->table, client, counts);
    ww_fair_counts(exit->out, client, &way);
    counts->out_packets = way.passed_packets;
    counts->out_bytes = way.passed_bytes;
    counts->out_dropped = way.dropped_packets;
    ww_fair_counts(exit->in, client, &way);
    counts->in_packets = way.passed_packets;
    counts->in_bytes = way.passed_bytes;
    counts->in_dropped = way.dropped_packets;
    counts->waiting = ww_fair_waiting(exit->in, client) + ww_fair_waiting(exit->out, client);
    counts->refused_packets = exit->clients[client].refused_packets;
}

void ww_exit_totals(const struct ww_exit *exit, struct ww_exit_counts *counts)
{
    *counts = exit->past;
    for (uint32_t i = 0; i < exit->options.limits.clients; i++) {
        struct ww_exit_counts one;

        ww_exit_counts(exit, i, &one);
        add_counts(counts, &one);
    }
}

void ww_exit_status(const struct ww_exit *exit, struct ww_exit_status *status)
{
    memset(status, 0, sizeof(*status));
    status->mode = exit->options.mode;
    status->clients = exit->client_count;
    status->has_echo_v4 = status->has_echo_v6 = true;
    memcpy(status->why, exit->why, sizeof(status->why));
    if (exit->kernel)
        snprintf(status->device, sizeof(status->device), "%s", ww_tun_name(exit->tun));
    else if (exit->user)
        ww_exit_user_status(exit, status);
}

/* --- life ------------------------------------------------------------------------------------- */

static const struct ww_tun_callbacks tun_callbacks = {
    .packet = on_packet, .batch_end = on_batch_end, .failed = on_failed};

int ww_exit_attach(struct ww_exit *exit, const char *name, int fd)
{
    const struct ww_tun_options options = {.name = name,
                                           .fd = fd,
                                           .mtu = name ? exit->options.mtu : 0,
                                           .takes_supers = exit->callbacks->room != NULL,
                                           .workers = name ? exit->options.workers : NULL};

    return ww_tun_create(exit->loop, &options, &tun_callbacks, exit, &exit->tun);
}

static bool are_valid(const struct ww_exit_options *options)
{
    const struct ww_exit_limits *limits = &options->limits;

    return limits->clients >= 1 && limits->clients <= WW_EXIT_CLIENTS_MAX && limits->flows >= 1 &&
           limits->flows <= WW_EXIT_FLOWS_MAX && limits->opens_per_s >= 1 &&
           limits->destinations >= 1 && options->mtu >= 576 && options->mtu <= 1500 &&
           options->mode != WW_EXIT_NONE && options->rules;
}

/* A name that nftables takes, too. */
static int copy_names(struct ww_exit *exit)
{
    const char *device = exit->options.device ? exit->options.device : "";
    size_t size = strlen(device);

    if (size == 0 || size >= sizeof(exit->device) || device[0] < 'a' || device[0] > 'z' ||
        strspn(device, "abcdefghijklmnopqrstuvwxyz0123456789-") != size)
        return WW_EINVAL;
    memcpy(exit->device, device, size);
    exit->options.device = exit->device;
    exit->folder = ww_strdup(exit->options.folder ? exit->options.folder : ".");
    exit->options.folder = exit->folder;
    return exit->folder ? 0 : WW_ENOMEM;
}

static int create_parts(struct ww_exit *exit)
{
    struct ww_fair_options fair = {.clients = exit->options.limits.clients,
                                   .client_bytes_per_s = exit->options.limits.client_bytes_per_s,
                                   .total_bytes_per_s = exit->options.limits.total_bytes_per_s,
                                   .deliver = deliver_out,
                                   .arg = exit};
    int rc = ww_fair_create(&fair, &exit->out);

    fair.deliver = deliver_in;
    if (rc == 0)
        rc = ww_fair_create(&fair, &exit->in);
    if (rc == 0)
        rc = ww_exit_table_create(&exit->options.limits, on_closed, exit, &exit->table);
    if (rc == 0)
        rc = ww_timer_create(exit->loop, on_timer, exit, &exit->timer);
    if (rc == 0)
        rc = ww_timer_create(exit->loop, on_tick, exit, &exit->tick);
    return rc;
}

static int open_way(struct ww_exit *exit, char why[WW_EXIT_WHY_BYTES])
{
    enum ww_exit_mode mode = exit->options.mode;
    int rc = WW_EUNSUPPORTED;

    if (mode == WW_EXIT_KERNEL || mode == WW_EXIT_AUTO) {
        exit->options.mode = WW_EXIT_KERNEL;
        exit->is_auto = mode == WW_EXIT_AUTO;
        rc = ww_exit_kernel_open(exit, why);
        if (rc == 0)
            return ww_exit_explain(exit->why, 0, "nft has not answered yet", 0);
        ww_exit_kernel_close(exit);
        memcpy(exit->why, why, sizeof(exit->why));
    }
    if (mode == WW_EXIT_USER || mode == WW_EXIT_AUTO) {
        exit->options.mode = WW_EXIT_USER;
        rc = ww_exit_user_open(exit, why);
    }
    if (rc && mode == WW_EXIT_AUTO) {
        char user[WW_EXIT_WHY_BYTES / 2];

        snprintf(user, sizeof(user), "%.*s", (int)sizeof(user) - 1, why);
        snprintf(why, WW_EXIT_WHY_BYTES, "kernel: %.110s; user: %.110s", exit->why, user);
    }
    return rc;
}

static void fall_back(struct ww_exit *exit)
{
    char why[WW_EXIT_WHY_BYTES], kernel[WW_EXIT_WHY_BYTES / 2];

    exit->is_auto = false;
    ww_exit_kernel_close(exit);
    exit->options.mode = WW_EXIT_USER;
    if (ww_exit_user_open(exit, why) == 0) {
        ww_log(WW_LOG_INFO, "packet", "Packets go out without the kernel's help", "why=%s",
               WW_Q(exit->why));
        return;
    }
    ww_exit_user_close(exit);
    exit->options.mode = WW_EXIT_NONE;
    snprintf(kernel, sizeof(kernel), "%.*s", (int)sizeof(kernel) - 1, exit->why);
    snprintf(exit->why, sizeof(exit->why), "kernel: %.110s; user: %.110s", kernel, why);
    ww_log(WW_LOG_ERROR, "packet", "There is no way out for packets", "why=%s", WW_Q(exit->why));
}

void ww_exit_trouble(struct ww_exit *exit, const char *why)
{
    bool is_known = strcmp(exit->why, why) == 0;

    snprintf(exit->why, sizeof(exit->why), "%s", why);
    if (!is_known && !exit->is_auto)
        ww_log(WW_LOG_ERROR, "packet", "No packet goes out", "device=%s why=%s",
               exit->options.device, WW_Q(why));
    if (exit->is_auto)
        fall_back(exit);
}

void ww_exit_went_well(struct ww_exit *exit)
{
    exit->is_auto = false;
    exit->why[0] = '\0';
    ww_log(WW_LOG_INFO, "packet", "The nftables table is in place", "device=%s",
           exit->options.device);
}

int ww_exit_create(struct ww_loop *loop, const struct ww_exit_options *options,
                   const struct ww_exit_callbacks *callbacks, void *arg,
                   char why[WW_EXIT_WHY_BYTES], struct ww_exit **exit)
{
    struct ww_exit *created;
    int rc;

    why[0] = '\0';
    if (!are_valid(options))
        return ww_exit_explain(why, WW_EINVAL, "the options are outside their limits", 0);
    created = ww_alloc(1, sizeof(*created));
    if (!created)
        return ww_exit_explain(why, WW_ENOMEM, "memory ran out", 0);
    created->loop = loop;
    created->options = *options;
    created->callbacks = callbacks;
    created->arg = arg;
    rc = copy_names(created);
    if (rc == 0)
        rc = create_parts(created);
    if (rc)
        ww_exit_explain(why, rc,
                        rc == WW_EINVAL ? "the device's name is not valid" : "memory ran out", 0);
    if (rc == 0)
        rc = open_way(created, why);
    if (rc) {
        ww_exit_destroy(created);
        return rc;
    }
    ww_timer_start(created->tick, TICK_US);
    *exit = created;
    return 0;
}

void ww_exit_destroy(struct ww_exit *exit)
{
    if (!exit)
        return;
    for (uint32_t i = 0; exit->table && i < exit->options.limits.clients; i++)
        ww_exit_table_forget(exit->table, i);
    ww_exit_user_close(exit);
    ww_exit_kernel_close(exit);
    ww_timer_destroy(exit->timer);
    ww_timer_destroy(exit->tick);
    ww_fair_destroy(exit->out);
    ww_fair_destroy(exit->in);
    ww_exit_table_destroy(exit->table);
    ww_free(exit->folder);
    ww_free(exit);
}
