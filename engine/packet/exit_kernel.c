/* The kernel's way out: a TUN device on this host, forwarding, and translation by nftables. Relies
 * on exit_device.c, exit_forward.c and exit_nft.c. It fails closed: without its table no packet is
 * written to the device. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "checksum.h"
#include "exit_conntrack.h"
#include "exit_device.h"
#include "exit_nft.h"
#include "exit_room.h"

#define FIRST_CLIENT 2 /* of the pool: the network and this end come before */
#define UPLINK_TICKS 5 /* seconds between two looks at the routes */

struct ww_exit_kernel {
    struct ww_exit_nft *nft;
    bool is_up; /* its table is in place, and what goes out is forwarded; else nothing goes out */
    struct mnl_socket *conntrack;
    unsigned ticks;
    bool has_v6;
    bool is_noted; /* there may be something to undo */
    /* By client: what has really gone to who puts it together, behind all that drops a packet. They
     * stay for the next client of that number, whose address is the same. */
    struct ww_ip_fragments **fragments;
};

/* --- addresses -------------------------------------------------------------------------------- */

static void address_of(const struct ww_exit *exit, bool is_v4, uint32_t number, uint8_t address[16])
{
    if (is_v4) {
        uint8_t v4[4];

        memcpy(v4, exit->options.pool_v4, 2);
        v4[2] = (uint8_t)(number >> 8);
        v4[3] = (uint8_t)number;
        ww_address_map(v4, address);
        return;
    }
    memcpy(address, exit->options.pool_v6, 16);
    address[14] = (uint8_t)(number >> 8);
    address[15] = (uint8_t)number;
}

/* False unless it is the address of a client. */
static bool client_of(const struct ww_exit *exit, bool is_v4, const uint8_t address[16],
                      uint32_t *client)
{
    uint32_t number = (uint32_t)address[14] << 8 | address[15];
    uint8_t expected[16];

    if (number < FIRST_CLIENT)
        return false;
    address_of(exit, is_v4, number, expected);
    *client = number - FIRST_CLIENT;
    return memcmp(address, expected, 16) == 0 && ww_exit_has_client(exit, *client);
}

/* --- packets ---------------------------------------------------------------------------------- */

static bool may_fragment(struct ww_exit *exit, uint32_t client, const struct ww_ip *ip)
{
    struct ww_ip_fragments **fragments = &exit->kernel->fragments[client];

    if (!*fragments)
        *fragments = ww_alloc(1, sizeof(**fragments));
    return *fragments && ww_ip_fragment(*fragments, ip, ww_loop_now_us(exit->loop), NULL) == 0;
}

void ww_exit_kernel_out(struct ww_exit *exit, uint32_t client, uint8_t *packet, struct ww_ip *ip,
                        struct ww_offload offload)
{
    uint8_t address[16];

    if (!exit->kernel->is_up || (!ip->is_v4 && !exit->kernel->has_v6)) {
        ww_exit_refuse(exit, client);
        return;
    }
    if (ip->offset == 0) {
        struct ww_exit_key key;
        uint32_t number;

        ww_exit_key_of(ip, client, &key);
        if (ww_exit_table_open(exit->table, &key, ww_loop_now_us(exit->loop), &number) != 0)
            return;
        if (ip->protocol == IPPROTO_TCP)
            ww_exit_table_flags(ww_exit_table_at(exit->table, number), packet[ip->header_size + 13],
                                true);
    }
    if (ip->is_fragment && !may_fragment(exit, client, ip)) {
        ww_exit_refuse(exit, client);
        return;
    }
    address_of(exit, ip->is_v4, client + FIRST_CLIENT, address);
    ww_rewrite(packet, ip, offload.is_partial, WW_REWRITE_SOURCE, address, -1);
    if (ip->is_fragment && ip->is_v4)
        ww_checksum_ipv4(packet, ip->header_size); /* a wrong one would not get there */
    ww_tun_steer(exit->tun, exit->clients[client].worker);
    ww_tun_write(exit->tun, packet, (size_t)ip->header_size + ip->payload_size, offload);
}

/* An ICMP error about a packet of a client, which it needs for its path MTU. */
static void error_in(struct ww_exit *exit, uint8_t *packet, size_t size)
{
    struct ww_ip ip, about;
    uint32_t client;

    if (ww_ip_read_error(packet, size, &ip, &about) != 0 ||
        !client_of(exit, ip.is_v4, about.source, &client))
        return;
    ww_rewrite_error(packet, &ip, &about, ww_exit_inner(exit, ip.is_v4));
    ww_exit_in(exit, client, packet, size, WW_OFFLOAD_NONE);
}

void ww_exit_kernel_in(struct ww_exit *exit, uint8_t *packet, size_t size,
                       struct ww_offload offload)
{
    struct ww_ip ip;
    uint32_t client;

    if (ww_ip_read(packet, size, &ip, NULL) != 0) {
        error_in(exit, packet, size);
        return;
    }
    if (!client_of(exit, ip.is_v4, ip.destination, &client))
        return; /* the kernel's own, such as router solicitations */
    if (ip.offset == 0) {
        struct ww_exit_key key;
        struct ww_ip back = ip;
        uint32_t number;

        memcpy(back.destination, ip.source, 16);
        back.source_port = ip.destination_port;
        back.destination_port = ip.source_port;
        ww_exit_key_of(&back, client, &key);
        number = ww_exit_table_find(exit->table, &key, ww_loop_now_us(exit->loop));
        if (number == WW_EXIT_NO_FLOW) {
            ww_exit_refuse(exit, client);
            return;
        }
        if (ip.protocol == IPPROTO_TCP)
            ww_exit_table_flags(ww_exit_table_at(exit->table, number), packet[ip.header_size + 13],
                                false);
    }
    ww_rewrite(packet, &ip, offload.is_partial, WW_REWRITE_DESTINATION,
               ww_exit_inner(exit, ip.is_v4), -1);
    ww_exit_in(exit, client, packet, size, offload);
}

void ww_exit_kernel_closed(struct ww_exit *exit, const struct ww_exit_flow *flow)
{
    uint8_t address[16];

    address_of(exit, flow->key.is_v4, flow->key.client + FIRST_CLIENT, address);
    ww_exit_conntrack_forget(exit->kernel->conntrack, &flow->key, address);
}

/* --- the host --------------------------------------------------------------------------------- */

/* Nothing goes out until it is tried again; this may be the end of exit->kernel. */
static void fail(struct ww_exit *exit, const char *why)
{
    ww_exit_nft_close(exit->kernel->nft);
    exit->kernel->nft = NULL;
    exit->kernel->is_up = false;
    ww_exit_trouble(exit, why);
}

static int forward(struct ww_exit *exit, const char *folder, struct ww_exit_forward *now)
{
    struct ww_exit_uplinks uplinks;
    size_t count;
    const struct ww_prefix *allowed = ww_address_rules_exceptions(exit->options.rules, &count);

    ww_buf_init(&now->turned_v4, 1024);
    ww_buf_init(&now->turned_v6, 1024);
    now->all_v6 = false;
    ww_exit_uplinks_read(allowed, count, &uplinks);
    for (size_t i = 0; i < uplinks.count; i++) {
        if (strcmp(uplinks.list[i].name, exit->options.device) == 0)
            uplinks.list[i].is_v4 = uplinks.list[i].is_v6 = false;
    }
    exit->kernel->is_noted = true;
    return ww_exit_forward_on(folder, exit->options.device, &uplinks, now);
}

static void forget(struct ww_exit_forward *now)
{
    ww_buf_deinit(&now->turned_v4);
    ww_buf_deinit(&now->turned_v6);
}

static void on_told(void *arg, int code, const char *why)
{
    struct ww_exit *exit = arg;
    struct ww_exit_forward now;

    if (code) {
        fail(exit, why);
        return;
    }
    code = forward(exit, exit->options.folder, &now);
    forget(&now);
    if (code) {
        fail(exit, "forwarding can't be switched on");
        return;
    }
    exit->kernel->is_up = true;
    ww_exit_went_well(exit);
}

/* The rules know what will be switched on before it is, which on_told does. */
static int open_host(struct ww_exit *exit, char why[WW_EXIT_WHY_BYTES])
{
    struct ww_exit_rules rules = {.device = exit->options.device,
                                  .pool_v4 = exit->options.pool_v4,
                                  .pool_v6 = exit->options.pool_v6};
    struct ww_exit_forward plan;
    int rc;

    ww_exit_forward_undo(exit->options.folder);
    rules.allowed = ww_address_rules_exceptions(exit->options.rules, &rules.allowed_count);
    rc = forward(exit, NULL, &plan);
    rules.turned_v4 = ww_buf_text(&plan.turned_v4);
    rules.turned_v6 = ww_buf_text(&plan.turned_v6);
    rules.all_v6 = plan.all_v6;
    if (rc)
        ww_exit_explain(why, rc,
                        rc == WW_EUNSUPPORTED ? "an uplink's name can't be said to nftables"
                                              : "what is forwarded can't be read",
                        0);
    else
        rc = ww_exit_nft_open(exit->loop, &rules, on_told, exit, why, &exit->kernel->nft);
    forget(&plan);
    return rc;
}

void ww_exit_kernel_tick(struct ww_exit *exit)
{
    struct ww_exit_forward now;
    char why[WW_EXIT_WHY_BYTES];

    if (++exit->kernel->ticks % UPLINK_TICKS != 0)
        return;
    if (!exit->kernel->nft) { /* everything anew, so that it knows what was switched on */
        if (open_host(exit, why) != 0)
            ww_exit_trouble(exit, why);
        return;
    }
    if (!exit->kernel->is_up)
        return;
    if (forward(exit, exit->options.folder, &now) != 0)
        ww_log(WW_LOG_WARN, "packet", "Forwarding can't be switched on", "device=%s",
               exit->options.device);
    if (now.turned_v4.size)
        ww_exit_nft_add(exit->kernel->nft, "turned_v4", ww_buf_text(&now.turned_v4));
    if (now.turned_v6.size)
        ww_exit_nft_add(exit->kernel->nft, "turned_v6", ww_buf_text(&now.turned_v6));
    forget(&now);
}

int ww_exit_kernel_open(struct ww_exit *exit, char why[WW_EXIT_WHY_BYTES])
{
    const struct ww_exit_options *options = &exit->options;
    struct ww_exit_device device = {
        .name = options->device, .v4_bits = 16, .v6_bits = 64, .mtu = 0};
    int rc;

    exit->kernel = ww_alloc(1, sizeof(*exit->kernel));
    if (!exit->kernel)
        return ww_exit_explain(why, WW_ENOMEM, "memory ran out", 0);
    exit->kernel->fragments = ww_alloc(options->limits.clients, sizeof(*exit->kernel->fragments));
    if (!exit->kernel->fragments)
        return ww_exit_explain(why, WW_ENOMEM, "memory ran out", 0);
    exit->kernel->conntrack = ww_exit_conntrack_open();
    rc = ww_exit_attach(exit, options->device, -1);
    if (rc)
        return ww_exit_explain(why, rc, "a TUN device can't be made", errno);
    memcpy(device.v4, options->pool_v4, 2);
    device.v4[3] = 1;
    memcpy(device.v6, options->pool_v6, 16);
    device.v6[15] = 1;
    if (ww_exit_device_up(&device, &exit->kernel->has_v6) != 0)
        return ww_exit_explain(why, WW_ESYSTEM, "the TUN device gets no address", errno);
    return open_host(exit, why);
}

void ww_exit_kernel_close(struct ww_exit *exit)
{
    if (!exit->kernel)
        return;
    ww_tun_destroy(exit->tun);
    exit->tun = NULL;
    ww_exit_nft_close(exit->kernel->nft);
    ww_exit_conntrack_close(exit->kernel->conntrack);
    if (exit->kernel->is_noted)
        ww_exit_forward_undo(exit->options.folder);
    for (uint32_t i = 0; exit->kernel->fragments && i < exit->options.limits.clients; i++)
        ww_free(exit->kernel->fragments[i]);
    ww_free(exit->kernel->fragments);
    ww_free(exit->kernel);
    exit->kernel = NULL;
}
