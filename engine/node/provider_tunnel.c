/* The provider's side of the tunnel: packets of clients to the internet, and back.
 *
 * Relies on ww/ip.h and the provider's address rules for what may go out, on provider_declare.c for
 * what the client owes, and on ww/exit.h for the way out. Every packet is judged here,
 * whatever the client's end has done: its form, its destination, its inner source, its fragments'
 * order, and whether its destination was declared in time. */
#include <string.h>
#include <sys/resource.h>

#include "packet_table.h"
#include "provider.h"

#include "ww/probe.h"
#include "ww/super.h"

#define OWED_LOOK_US 100000 /* between two looks at whether a destination was declared */

struct provider_packets {
    struct conn *conn;
    uint32_t number; /* the exit's client */
    bool is_touched;
    struct packet_table table;
    struct flow_table *flows;
    struct ww_ip_fragments fragments;
};

/* --- out -------------------------------------------------------------------------------------- */

/* A destination is served before it is declared, but not for long. */
static int check_owed(struct conn *conn, const struct ww_ip *ip, struct packet_route *route)
{
    uint64_t now_us = ww_loop_now_us(conn->loop);
    struct ww_dest dest;
    int rc;

    if (!route->serial) {
        if (!provider_may_open(conn))
            return WW_ELIMIT;
        packet_dest(ip, &dest);
        rc = provider_owe(conn, &dest, route->digest);
        if (rc)
            return rc;
        route->serial = conn->serial;
        route->is_owed = true;
    }
    if (!route->is_owed || now_us < route->until)
        return 0;
    if (provider_is_overdue(conn, route->digest))
        return WW_EUNDECLARED;
    route->is_owed = provider_owes(conn, route->digest);
    route->until = now_us + OWED_LOOK_US;
    return 0;
}

static bool is_inner(const struct provider *provider, const struct ww_ip *ip)
{
    return memcmp(ip->source, provider->inner[ip->is_v4], 16) == 0;
}

static int judge(struct provider_packets *packets, const uint8_t *packet, size_t size,
                 struct ww_ip *ip)
{
    struct conn *conn = packets->conn;
    const struct provider *provider = conn->owner;
    uint64_t now_us = ww_loop_now_us(conn->loop);
    int rc = ww_ip_judge(provider->rules, packet, size, ip, NULL);

    if (!rc && !is_inner(provider, ip))
        rc = WW_EMALFORMED;
    if (!rc && ip->is_fragment)
        rc = ww_ip_fragment(&packets->fragments, ip, now_us, NULL);
    if (rc || ip->offset > 0)
        return rc;
    return check_owed(conn, ip, packet_table_open(&packets->table, ip, now_us));
}

/* The client's end hears that the packet is denied, and the destination that a connection is over.
 */
static void reject(struct provider_packets *packets, const struct ww_ip *ip, const uint8_t *packet,
                   size_t size)
{
    struct conn *conn = packets->conn;
    struct provider *provider = conn->owner;
    uint8_t answer[WW_FLOW_REJECT_BYTES];

    size_t answer_size = ww_flow_reject(ip, packet, size, answer);
    if (answer_size > 0)
        conn_packet_send(conn, answer, answer_size, WW_OFFLOAD_NONE);
    answer_size = ww_flow_abort(ip, packet, answer);
    if (answer_size > 0)
        ww_exit_packet(provider->exit, packets->number, answer, answer_size, WW_OFFLOAD_NONE);
}

/* Counts the packet in its flow. 0, WW_EDENIED: it doesn't pass; WW_ETOOBIG: cut it. */
static int follow(struct provider_packets *packets, const struct ww_flow_packet *packet,
                  struct ww_flow **flow)
{
    enum ww_flow_pass pass =
        ww_flows_packet(packets->flows->flows, packet, ww_loop_now_us(packets->conn->loop), flow);

    if (pass == WW_FLOW_REJECT && packet->is_outgoing)
        reject(packets, packet->ip, packet->bytes, packet->size);
    return pass == WW_FLOW_PASS ? 0 : pass == WW_FLOW_CUT ? WW_ETOOBIG : WW_EDENIED;
}

static void count(const uint8_t *packet, size_t size, struct ww_offload offload,
                  uint64_t *packet_sum, uint64_t *byte_sum)
{
    unsigned packets;

    ww_super_read(packet, size, offload, &packets);
    *packet_sum += packets;
    *byte_sum += size;
}

static void count_out(struct provider *provider, const uint8_t *packet, size_t size,
                      struct ww_offload offload)
{
    count(packet, size, offload, &provider->packets.out_packets, &provider->packets.out_bytes);
}

static void count_in(struct provider *provider, const uint8_t *packet, size_t size,
                     struct ww_offload offload)
{
    count(packet, size, offload, &provider->packets.in_packets, &provider->packets.in_bytes);
}

/* The tunnel's own other end is here. */
static bool answer_probe(struct conn *conn, const uint8_t *packet, size_t size)
{
    struct provider *provider = conn->owner;
    uint8_t answer[WW_PROBE_BYTES];

    if (!ww_probe_answer(packet, size, answer))
        return false;
    count_out(provider, packet, size, WW_OFFLOAD_NONE);
    if (conn_packet_send(conn, answer, sizeof(answer), WW_OFFLOAD_NONE) == 0)
        count_in(provider, answer, sizeof(answer), WW_OFFLOAD_NONE);
    return true;
}

void provider_packet(void *arg, uint64_t stream_id, uint8_t *packet, size_t size,
                     struct ww_offload offload)
{
    struct conn *conn = arg;
    struct provider *provider = conn->owner;
    struct provider_packets *packets = conn->packets.state;
    struct ww_ip ip;
    struct ww_flow_packet about = {&ip, packet, size, true, offload};
    int rc;

    if (!conn->packets.is_open || conn->packets.stream_id != stream_id || !provider->exit ||
        !conn_packet_came(conn, packet, size))
        return;
    rc = judge(packets, packet, size, &ip);
    if (rc == 0)
        rc = follow(packets, &about, NULL);
    if (rc == 0) {
        count_out(provider, packet, size, offload);
        ww_exit_steer(provider->exit, packets->number, conn_worker(conn));
        ww_exit_packet(provider->exit, packets->number, packet, size, offload);
    } else if (rc == WW_ETOOBIG) {
        conn_packet_cut(conn, provider_packet, stream_id, packet, size, offload);
    } else if (rc == WW_EDESTINATION && !answer_probe(conn, packet, size)) {
        provider->packets.out_denied++;
    } else if (rc != WW_EDESTINATION) {
        provider->packets.out_refused++;
    }
}

/* --- back ------------------------------------------------------------------------------------- */

/* A word of a router is of no flow; the client looks at what it is about. As follow. */
static int may_go_back(struct provider_packets *packets, struct ww_flow_packet *about,
                       struct ww_ip *ip, struct ww_flow **flow)
{
    struct ww_ip quoted;
    int rc = ww_ip_read(about->bytes, about->size, ip, NULL);

    if (rc == WW_EUNSUPPORTED)
        return ww_ip_read_error(about->bytes, about->size, ip, &quoted) == 0 ? 0 : WW_EDENIED;
    return rc == 0 ? follow(packets, about, flow) : WW_EDENIED;
}

static int exit_packet(void *arg, uint32_t number, uint8_t *packet, size_t size,
                       struct ww_offload offload)
{
    struct provider *provider = arg;
    struct provider_packets *packets = provider->by_client[number];
    struct conn *conn = packets->conn;
    struct ww_ip ip;
    struct ww_flow_packet about = {&ip, packet, size, false, offload};
    struct ww_flow *flow = NULL;

    int rc = may_go_back(packets, &about, &ip, &flow);
    if (rc == WW_EDENIED)
        provider->packets.in_refused++;
    if (rc)
        return rc;
    rc = conn_packet_send(conn, packet, size, offload);
    packets->is_touched = true;
    if (rc == 0) {
        count_in(provider, packet, size, offload);
        return 0;
    }
    if (flow)
        ww_flows_take_back(flow, &about);
    if (rc == WW_ETOOBIG && offload.segment_size)
        return rc;
    provider->packets.in_refused += rc != WW_EAGAIN; /* else it comes again */
    return rc;
}

static size_t exit_room(void *arg, uint32_t number)
{
    const struct provider *provider = arg;

    return conn_packet_room(provider->by_client[number]->conn);
}

static void exit_batch_end(void *arg)
{
    struct provider *provider = arg;
    struct conn *conn, *next;

    HASH_ITER(hh, provider->edge.conns, conn, next)
    {
        struct provider_packets *packets = conn->packets.state;

        if (!packets || !packets->is_touched)
            continue;
        packets->is_touched = false;
        conn_touch(conn);
    }
}

static const struct ww_exit_callbacks EXIT_CALLBACKS = {
    .packet = exit_packet, .room = exit_room, .batch_end = exit_batch_end};

/* Called from inside of transfer: the connection is touched by whoever entered it. */
bool provider_packets_writable(struct conn *conn, uint64_t stream_id)
{
    struct provider *provider = conn->owner;

    if (!conn->packets.is_open || conn->packets.stream_id != stream_id)
        return false;
    ww_exit_ready(provider->exit, ((struct provider_packets *)conn->packets.state)->number);
    return true;
}

/* --- its life --------------------------------------------------------------------------------- */

/* Where this process may: else it stays as it is. Streams alone do better with the priority of what
 * they come from and go to: a receiver that is woken before all others takes every piece by itself.
 */
static void set_nice(int nice)
{
    setpriority(PRIO_PROCESS, 0, nice); /* Linux: of the thread */
}

static void begin_packets(struct provider *provider)
{
    if (provider->packets_clients++ == 0)
        set_nice(provider->nice);
}

static void end_packets(struct provider *provider)
{
    if (--provider->packets_clients == 0)
        set_nice(provider->nice_before);
}

static int packets_create(struct conn *conn)
{
    struct provider *provider = conn->owner;
    struct provider_packets *packets;
    int rc;

    if (!provider->exit)
        return WW_EUNSUPPORTED;
    packets = ww_alloc(1, sizeof(*packets));
    if (!packets)
        return WW_ENOMEM;
    packets->conn = conn;
    begin_packets(provider); /* before the process that its flows may start */
    rc = packet_table_init(&packets->table, WW_NODE_ROUTES_PROVIDER);
    if (!rc)
        rc = flow_table_open(&provider->edge, &conn->remote, &packets->flows);
    if (!rc)
        rc = ww_exit_client_open(provider->exit, &packets->number);
    if (rc) {
        flow_table_close(packets->flows);
        packet_table_deinit(&packets->table);
        ww_free(packets);
        end_packets(provider);
        return rc;
    }
    provider->by_client[packets->number] = packets;
    conn->packets.state = packets;
    conn->packets.is_open = true;
    return 0;
}

void provider_packets_opened(struct conn *conn, uint64_t stream_id)
{
    static const struct ww_dest accepted = {.protocol = WW_DEST_IP};
    struct provider *provider = conn->owner;
    int rc = packets_create(conn);

    if (rc) {
        provider->refused_count++;
        ww_transfer_stream_reset(conn->transfer, stream_id, rc);
        return;
    }
    provider->opened_count++;
    conn->packets.stream_id = stream_id;
    ww_transfer_stream_accept(conn->transfer, stream_id, &accepted);
}

void provider_packets_detach(struct conn *conn)
{
    struct provider_packets *packets = conn->packets.state;
    struct provider *provider = conn->owner;

    conn->packets.is_open = false;
    conn->packets.state = NULL;
    if (!packets)
        return;
    ww_exit_client_close(provider->exit, packets->number);
    provider->by_client[packets->number] = NULL;
    flow_table_close(packets->flows);
    packet_table_deinit(&packets->table);
    ww_free(packets);
    end_packets(provider);
}

bool provider_packets_reset(struct conn *conn, uint64_t stream_id)
{
    if (!conn->packets.is_open || conn->packets.stream_id != stream_id)
        return false;
    provider_packets_detach(conn);
    return true;
}

static int read_mode(struct ww_call *call, enum ww_exit_mode *mode)
{
    const char *text = ww_exit_mode_name(WW_EXIT_NONE);

    ww_call_text(call, "egress_mode", &text, NULL);
    for (*mode = WW_EXIT_NONE; strcmp(text, ww_exit_mode_name(*mode)) != 0; (*mode)++) {
        if (*mode == WW_EXIT_USER) {
            ww_call_reason(call, "egress_mode is auto, kernel, user or none");
            return WW_EINVAL;
        }
    }
    return 0;
}

static int read_pool(struct ww_call *call, struct ww_exit_options *options)
{
    struct ww_prefix pool[2];
    int rc = edge_exit_pool(call, pool);

    if (rc)
        return rc;
    memcpy(options->pool_v4, pool[1].address + 12, 4);
    memcpy(options->pool_v6, pool[0].address, 16);
    return 0;
}

static void read_limits(struct ww_call *call, struct ww_exit_limits *limits)
{
    struct {
        const char *name;
        uint32_t *value;
    } numbers[] = {{"egress_clients", &limits->clients},
                   {"egress_flows", &limits->flows},
                   {"egress_opens_per_s", &limits->opens_per_s},
                   {"egress_destinations", &limits->destinations}};
    uint64_t mbit = 0;

    for (size_t i = 0; i < WW_ARRAY_COUNT(numbers); i++) {
        uint64_t number = *numbers[i].value;

        ww_call_u64(call, numbers[i].name, &number);
        *numbers[i].value = (uint32_t)number;
    }
    ww_call_u64(call, "egress_client_mbit", &mbit);
    limits->client_bytes_per_s = mbit * 125000;
    mbit = 0;
    ww_call_u64(call, "egress_total_mbit", &mbit);
    limits->total_bytes_per_s = mbit * 125000;
}

/* As the kernel counts it: 20 less the nice value, 1 to 40. */
static void read_nice(struct provider *provider, struct ww_call *call)
{
    uint64_t priority;

    provider->nice_before = getpriority(PRIO_PROCESS, 0);
    priority = (uint64_t)(20 - provider->nice_before);
    ww_call_u64(call, "egress_priority", &priority);
    provider->nice = 20 - (int)WW_MIN(priority, (uint64_t)40);
    /* A lower priority could not be taken back without rights. */
    provider->nice = WW_MIN(provider->nice, provider->nice_before);
}

/* What was asked for by name must be there; auto takes what there is, streams only at worst. */
static int open_exit(struct provider *provider, struct ww_call *call,
                     const struct ww_exit_options *options)
{
    int rc;

    provider->by_client = ww_alloc(options->limits.clients, sizeof(struct provider_packets *));
    if (!provider->by_client)
        return WW_ENOMEM;
    rc = ww_exit_create(provider->edge.loop, options, &EXIT_CALLBACKS, provider, provider->exit_why,
                        &provider->exit);
    if (rc == 0) {
        struct ww_exit_status status;

        ww_exit_status(provider->exit, &status);
        if (status.mode == WW_EXIT_USER)
            ww_log(WW_LOG_INFO, "provider", "packets go out", "mode=%s echo=%s why_not_kernel=%s",
                   ww_exit_mode_name(status.mode),
                   status.has_echo_v4 && status.has_echo_v6 ? "yes" : "no", WW_Q(status.why));
        else
            ww_log(WW_LOG_INFO, "provider", "packets go out", "mode=%s device=%s",
                   ww_exit_mode_name(status.mode), status.device);
        return 0;
    }
    if (options->mode == WW_EXIT_AUTO && rc != WW_EINVAL && rc != WW_ENOMEM) {
        ww_log(WW_LOG_WARN, "provider", "streams only, no packets: there is no way out for them",
               "why=%s", WW_Q(provider->exit_why));
        return 0;
    }
    ww_call_reason(call, "no egress for packets: %s", provider->exit_why);
    return rc;
}

int provider_packets_start(struct provider *provider, struct ww_call *call)
{
    const char *device = "wwexit0", *folder = NULL;
    struct ww_exit_options options = {
        .limits = WW_EXIT_LIMITS_DEFAULT, .rules = provider->rules, .mtu = WW_TUNNEL_MTU};
    int rc = read_mode(call, &options.mode);

    edge_inner_addresses(provider->inner);
    memcpy(options.inner_v4, provider->inner[true], 16);
    memcpy(options.inner_v6, provider->inner[false], 16);
    ww_call_text(call, "egress_device", &device, NULL);
    options.device = device;
    if (!rc)
        rc = ww_call_text(call, "state", &folder, NULL);
    options.folder = folder;
    options.workers = provider->edge.workers;
    if (!rc)
        rc = read_pool(call, &options);
    read_limits(call, &options.limits);
    read_nice(provider, call);
    if (rc || options.mode == WW_EXIT_NONE)
        return rc;
    return open_exit(provider, call, &options);
}

void provider_packets_stop(struct provider *provider)
{
    ww_exit_destroy(provider->exit);
    provider->exit = NULL;
    ww_free(provider->by_client);
    provider->by_client = NULL;
}

static void put_exit(const struct ww_exit *exit, struct ww_call *call)
{
    struct ww_exit_counts counts;
    struct ww_exit_status status;

    ww_exit_totals(exit, &counts);
    ww_exit_status(exit, &status);
    ww_call_put_text(call, "device", status.device);
    ww_call_put_bool(call, "echo_v4", status.has_echo_v4);
    ww_call_put_bool(call, "echo_v6", status.has_echo_v6);
    ww_call_put_u64(call, "clients", status.clients);
    ww_call_put_u64(call, "flows", counts.flows);
    ww_call_put_u64(call, "destinations", counts.destinations);
    ww_call_put_u64(call, "flows_opened", counts.flows_opened);
    ww_call_put_u64(call, "flows_evicted", counts.flows_evicted);
    ww_call_put_u64(call, "over_flows", counts.refused_flows);
    ww_call_put_u64(call, "over_opens", counts.refused_opens);
    ww_call_put_u64(call, "over_destinations", counts.refused_destinations);
    ww_call_put_u64(call, "exit_refused", counts.refused_packets);
    ww_call_put_u64(call, "out_dropped", counts.out_dropped);
    ww_call_put_u64(call, "in_dropped", counts.in_dropped);
    ww_call_put_u64(call, "waiting", counts.waiting);
    ww_call_put_u64(call, "held_bytes", status.held_bytes);
    edge_put_queues(ww_exit_tun(exit), call);
}

void provider_packets_put(const struct provider *provider, struct ww_call *call)
{
    struct ww_exit_status status = {.mode = WW_EXIT_NONE};

    if (provider->exit)
        ww_exit_status(provider->exit, &status);
    ww_call_begin(call, "packets", false);
    ww_call_put_text(call, "mode", ww_exit_mode_name(status.mode));
    ww_call_put_text(call, "why", provider->exit ? status.why : provider->exit_why);
    ww_call_put_u64(call, "out_packets", provider->packets.out_packets);
    ww_call_put_u64(call, "out_bytes", provider->packets.out_bytes);
    ww_call_put_u64(call, "in_packets", provider->packets.in_packets);
    ww_call_put_u64(call, "in_bytes", provider->packets.in_bytes);
    ww_call_put_u64(call, "out_denied", provider->packets.out_denied);
    ww_call_put_u64(call, "out_refused", provider->packets.out_refused);
    ww_call_put_u64(call, "in_refused", provider->packets.in_refused);
    if (provider->exit)
        put_exit(provider->exit, call);
    ww_call_end(call);
}
