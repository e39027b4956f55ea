/* The provider's egress for whole IP packets: out to the internet for many clients, and back.
 *
 * Two ways, hidden here. *kernel*, with the right to administer networks (root): a TUN device,
 * forwarding, and address translation by an nftables table that is gone with this process. *user*,
 * without: a network namespace of our own, where the kernel ends the clients' TCP connections; what
 * they carry goes on through ww_egress, UDP through its flows, echo through unprivileged sockets.
 *
 * Every client has the same inner source addresses, which become an address of its own on the way
 * out and the inner one again on the way back. Limits are per client, and a client that is slow or
 * floods holds up nobody else. Loop's thread; nothing is allocated per packet. How it works:
 * docs/internals/exit.md.
 */
#pragma once

#include "ww/address.h"
#include "ww/ip.h"
#include "ww/loop.h"
#include "ww/offload.h"

struct ww_exit;
struct ww_tun;
struct ww_workers;

enum ww_exit_mode { WW_EXIT_NONE, WW_EXIT_AUTO, WW_EXIT_KERNEL, WW_EXIT_USER };

struct ww_exit_limits {
    uint32_t clients;            /* at once, up to WW_EXIT_CLIENTS_MAX */
    uint32_t flows;              /* of one client, up to WW_EXIT_FLOWS_MAX */
    uint32_t opens_per_s;        /* new flows of one client; twice as many at once */
    uint32_t destinations;       /* distinct addresses of one client's flows */
    uint64_t client_bytes_per_s; /* each way, of one client; 0: no limit */
    uint64_t total_bytes_per_s;  /* each way, of all; 0: no limit */
};
/* What a node that configures nothing has. */
#define WW_EXIT_LIMITS_DEFAULT                                                                     \
    {                                                                                              \
        .clients = 256, .flows = 2048, .opens_per_s = 256, .destinations = 1024                    \
    }

struct ww_exit_counts {
    uint64_t out_packets, out_bytes, in_packets, in_bytes; /* what went through */
    uint64_t out_dropped, in_dropped;     /* the client's queue was full, or the packet too large */
    uint64_t flows_opened, flows_evicted; /* evicted: idle ones that gave way */
    uint64_t refused_flows, refused_opens, refused_destinations; /* packets over these limits */
    uint64_t waiting;                                            /* packets, now */
    uint64_t refused_packets;     /* wrong source, no flow, or a form that can't be carried */
    uint32_t flows, destinations; /* now */
};

struct ww_exit_options {
    enum ww_exit_mode mode;
    struct ww_exit_limits limits;
    const struct ww_address_rules *rules; /* borrowed; must outlive the exit */
    uint8_t inner_v4[16], inner_v6[16];   /* the source that every client uses; IPv4 mapped */
    uint8_t pool_v4[4];                   /* kernel: a /16 for the clients' addresses … */
    uint8_t pool_v6[16];                  /* … and a /64; the rest must be zero */
    unsigned mtu;                         /* 576 to 1,500: no packet to a client is larger */
    const char *device;         /* kernel: the TUN device's name, up to 12 of a-z, 0-9, - */
    struct ww_workers *workers; /* kernel: they have the device's queues (ww/tun.h). NULL: none */
    const char *folder;         /* kernel: where it is noted what a crash would leave changed */
};
struct ww_exit_callbacks {
    /* A packet for a client, from its inner peer, or a super-packet: borrowed and writable, the
     * latter with WW_TUN_HEADROOM such bytes before it.
     * WW_EAGAIN: not now; it is kept until ww_exit_ready. WW_ETOOBIG: a super-packet is to be told
     * packet by packet. Anything else: it is gone. Of this exit, ww_exit_packet, ww_exit_ready and
     * ww_exit_client_close may be called from here. */
    int (*packet)(void *arg, uint32_t client, uint8_t *packet, size_t size,
                  struct ww_offload offload);
    /* The largest super-packet that is to be told for this client now; 0: none. NULL: never any. */
    size_t (*room)(void *arg, uint32_t client);
    /* What came in this turn has been told. NULL is fine. */
    void (*batch_end)(void *arg);
};

#define WW_EXIT_WHY_BYTES 256

/* Opens the way out, in one of the modes that options allow; with WW_EXIT_AUTO, kernel is tried
 * first. Takes some 10 ms and may fork; for the start of a node. The kernel's way lets packets out
 * when nft has put the rules in place, which the loop is told: if nft says no, AUTO goes over to
 * the other one, and KERNEL tries again every 5 s, as it does when the rules are lost. why (never
 * empty on an error) names, for people, what a mode that was tried lacks. Options are copied but
 * for the rules, the callbacks borrowed. WW_EPERM, WW_EUNSUPPORTED, WW_EEXIST (the device is
 * another's), WW_EINVAL, WW_ENOMEM, WW_ESYSTEM. */
int ww_exit_create(struct ww_loop *loop, const struct ww_exit_options *options,
                   const struct ww_exit_callbacks *callbacks, void *arg,
                   char why[WW_EXIT_WHY_BYTES], struct ww_exit **exit);
/* Takes back what it changed on this host, and resets connections. NULL is fine. */
void ww_exit_destroy(struct ww_exit *exit);

/* A client gets a number, and so an address. WW_ELIMIT; WW_EUNSUPPORTED (there is no way out). */
int ww_exit_client_open(struct ww_exit *exit, uint32_t *client);
/* Its flows end; nothing is told for it any more. */
void ww_exit_client_close(struct ww_exit *exit, uint32_t client);
/* A packet of a client that ww_ip_judge and ww_ip_fragment let pass under the same rules, or a
 * super-packet of up to WW_PACKET_SUPER_BYTES_MAX; borrowed and written to.
 * What is beyond a limit, or has another source, is dropped and counted. No callback. */
void ww_exit_packet(struct ww_exit *exit, uint32_t client, uint8_t *packet, size_t size,
                    struct ww_offload offload);
/* What this client sends out goes by the queue of this packet worker from now on (ww_tun_steer). */
void ww_exit_steer(struct ww_exit *exit, uint32_t client, unsigned worker);
/* The client takes packets again; what waits for it is told from the loop. */
void ww_exit_ready(struct ww_exit *exit, uint32_t client);

struct ww_exit_status {
    enum ww_exit_mode mode; /* KERNEL or USER; NONE: AUTO found out later that there is no way */
    char device[16];        /* of the kernel's way; else "" */
    bool has_echo_v4, has_echo_v6;
    char why[WW_EXIT_WHY_BYTES]; /* KERNEL: why nothing goes out now, or ""; USER by AUTO: why it is
                                  * not kernel; NONE: why neither */
    uint32_t clients;
    uint64_t held_bytes; /* user: received or to be sent, of all connections */
};
void ww_exit_status(const struct ww_exit *exit, struct ww_exit_status *status);
/* Its device; borrowed. NULL: it has none. */
const struct ww_tun *ww_exit_tun(const struct ww_exit *exit);
/* Of one client, since it was opened. */
void ww_exit_counts(const struct ww_exit *exit, uint32_t client, struct ww_exit_counts *counts);
/* Of all clients, those that are gone included; flows and destinations are what is there now. */
void ww_exit_totals(const struct ww_exit *exit, struct ww_exit_counts *counts);
/* "none", "auto", "kernel", "user". */
const char *ww_exit_mode_name(enum ww_exit_mode mode);
