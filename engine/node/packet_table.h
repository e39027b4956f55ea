/* Inside of the room: where packets go. What a node remembers of each flow of packets: at a client
 * the connection that it is bound to, at a provider whether its destination was declared. A cache
 * of fixed size: in a full set the entry that was idle longest gives way, and what was known of it
 * is found out again. No allocation per packet. */
#pragma once
#include "ww/ip.h"
#include "ww/wire.h"

#include "declared.h"

struct packet_route {
    uint8_t there[16]; /* key: the other end's address, IPv4 mapped … */
    uint16_t here_port, there_port;
    uint8_t protocol; /* … and protocol; 0: free */
    bool is_owed;     /* provider: the destination may not be declared yet */
    uint64_t used_us;
    uint64_t serial; /* client: the connection's; 0: none yet */
    uint64_t until; /* client: declared while no more than so many were; provider: looked at then */
    uint8_t digest[DECLARED_DIGEST]; /* provider: of the destination */
};
struct packet_table {
    struct packet_route *routes;
    size_t set_count; /* a power of two */
    uint64_t seed;    /* secret: nobody chooses who shares a set */
};

/* Of 4 * set_count entries. WW_ENOMEM. */
int packet_table_init(struct packet_table *table, size_t set_count);
void packet_table_deinit(struct packet_table *table);
/* The entry of a packet that goes out and has ports, made if there is none: then all but its key
 * and used_us is 0. Never NULL; like all of these valid until the next call. */
struct packet_route *packet_table_open(struct packet_table *table, const struct ww_ip *ip,
                                       uint64_t now_us);
/* The entry of a packet that went out, or NULL. */
struct packet_route *packet_table_find(struct packet_table *table, const struct ww_ip *ip,
                                       uint64_t now_us);
/* The entry of a fragment's datagram, by its id; made likewise. In the place of one with the same
 * serial, where there is any in the set: whose datagrams are many pushes out nobody else's. 0: it
 * is as old as any. */
struct packet_route *packet_table_datagram(struct packet_table *table, const struct ww_ip *ip,
                                           uint64_t serial, uint64_t now_us);
/* The same, or NULL: none is made, nor used. */
const struct packet_route *packet_table_datagram_find(const struct packet_table *table,
                                                      const struct ww_ip *ip);
/* The destination to be declared. Echo has port 0. */
void packet_dest(const struct ww_ip *ip, struct ww_dest *dest);
