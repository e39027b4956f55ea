/* Inside of client_tunnel*.c: the tunnel of a client's machine. */
#pragma once
#include "ww/super.h"
#include "ww/tun.h"

#include "client_dns.h"
#include "packet_queue.h"
#include "packet_table.h"

struct client_tunnel {
    struct client *client;
    struct ww_tun *tun;
    struct packet_table table;
    struct packet_table came; /* datagrams that come in fragments; until: of their connection's */
    struct flow_table *flows;
    uint64_t flows_serial;        /* of the connection that new flows of it are said to go over */
    struct ww_flow *flow;         /* of the packet that goes out just now, or NULL */
    struct packet_queue queue;    /* of packets that no connection is there for */
    struct packet_queue *running; /* what is just being tried, or NULL */
    struct conn *to;              /* the connection of the last packet that went out, or NULL */
    struct ww_ip_fragments fragments;
    uint8_t inner[2][16]; /* IPv6, IPv4 */
    uint64_t demand_us;
    unsigned mtu;
    int nice_before; /* this thread's while there is no tunnel */
    struct {
        uint64_t serial; /* of the connection that it went over; 0: none is under way */
        uint64_t sent_us, took_us;
        uint16_t sequence;
    } probe;
    bool is_paused;
    struct {
        uint64_t out_packets, out_bytes, in_packets, in_bytes; /* that went through */
        uint64_t out_denied;   /* by the address rules, or of a form that is not carried */
        uint64_t out_foreign;  /* of another source address */
        uint64_t out_rejected; /* by the flow policy, or over its rate */
        uint64_t out_dropped;  /* no room, no provider, or too many new destinations */
        uint64_t in_refused;   /* of no flow, or not to be let in */
    } counts;
};

extern const struct ww_tun_callbacks CLIENT_TUN_CALLBACKS;
/* Whether the packet is the answer to what client_tunnel_probe has sent. */
bool client_tunnel_is_probed(struct client_tunnel *tunnel, const struct conn *conn,
                             const uint8_t *packet, size_t size);
