/* Inside of the room: the way out without rights, shared by its files. A flow's `join` begins with
 * struct ww_exit_join. */
#pragma once

#include "exit_room.h"
#include "exit_space.h"
#include "ww/egress.h"

#define WW_EXIT_DATAGRAM_BYTES 65535
#define WW_EXIT_WHOLES         8 /* datagrams that are put together at once, of all clients */

/* A datagram whose fragments come in order, as ww_ip_fragment lets them. */
struct ww_exit_whole {
    struct ww_exit_key key;
    uint64_t since_us; /* 0: free */
    uint32_t id;
    size_t size;
    enum ww_ecn mark; /* of all its fragments */
    uint8_t *bytes;   /* WW_EXIT_DATAGRAM_BYTES once it was used; owned */
};

struct ww_exit_user {
    struct ww_exit *exit;
    struct ww_egress *egress;
    struct ww_exit_space space;
    struct ww_watch *listen_v4, *listen_v6;
    int spare_fd; /* given up to accept, and refuse, when there are no more descriptors */
    bool has_echo_v4, has_echo_v6;
    uint32_t echo_count; /* sockets for it */
    struct ww_exit_held {
        uint32_t connections;
        size_t bytes; /* received or to be sent, that they hold */
    } held, held_by_client[WW_EXIT_CLIENTS_MAX];
    uint16_t next_id; /* of IPv4 packets in fragments */
    struct ww_exit_whole wholes[WW_EXIT_WHOLES];
    uint8_t datagram[8 + WW_EXIT_DATAGRAM_BYTES]; /* what comes back, behind a head */
    uint8_t packet[WW_EXIT_PACKET_BYTES_MAX];     /* what is made of it */
};

enum ww_exit_join_kind { WW_EXIT_JOIN_TCP, WW_EXIT_JOIN_UDP, WW_EXIT_JOIN_ECHO };
struct ww_exit_join {
    enum ww_exit_join_kind kind;
    struct ww_exit_user *user;
    uint32_t flow; /* number */
};

/* --- exit_tcp.c --- */
void ww_exit_tcp_out(struct ww_exit_user *user, uint32_t client, uint8_t *packet, struct ww_ip *ip,
                     struct ww_offload offload);
void ww_exit_tcp_in(struct ww_exit_user *user, uint8_t *packet, size_t size,
                    struct ww_offload offload);
void ww_exit_tcp_on_accept(void *arg, int fd, unsigned events); /* a watch's callback */
void ww_exit_tcp_closed(struct ww_exit_join *join);             /* ends and frees it */

/* --- exit_udp.c, exit_echo.c: `head` is the transport's, of a whole datagram --- */
void ww_exit_udp_out(struct ww_exit_user *user, const struct ww_exit_key *key, enum ww_ecn mark,
                     const uint8_t *head, size_t size);
void ww_exit_udp_closed(struct ww_exit_join *join);
void ww_exit_echo_out(struct ww_exit_user *user, const struct ww_exit_key *key, uint8_t *head,
                      size_t size);
void ww_exit_echo_closed(struct ww_exit_join *join);
/* Whether this process may have such sockets (net.ipv4.ping_group_range). */
bool ww_exit_echo_is_allowed(bool is_v4);

/* --- exit_build.c --- */
/* A transport's bytes without their checksum, from the flow's destination to its client, in
 * fragments if they must be, each with the mark. Only from the loop. */
void ww_exit_send(struct ww_exit_user *user, const struct ww_exit_key *key, enum ww_ecn mark,
                  uint8_t *transport, size_t size);
/* Tells the client of a UDP flow that its destination's port is closed. Only from the loop. */
void ww_exit_send_closed(struct ww_exit_user *user, const struct ww_exit_key *key);
/* The answer to a TCP packet that nobody takes (RFC 9293 section 3.10.7.1); 0: none is due. Its
 * addresses are those of the packet, the other way round. */
size_t ww_exit_reset_for(const uint8_t *packet, const struct ww_ip *ip, uint8_t reset[60]);
/* A later or first fragment. The whole datagram when this was its last one, valid until the next
 * call; else NULL. */
struct ww_exit_whole *ww_exit_collect(struct ww_exit_user *user, uint32_t client,
                                      const uint8_t *packet, const struct ww_ip *ip);
