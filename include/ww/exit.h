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

struct ww_exit;

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
    uint64_t refused_packets;     /* wrong source, no flow, or a form that can't be carried */
    uint32_t flows, destinations; /* now */
};
