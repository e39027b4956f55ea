/* Inside of the room: a connection between a client and a provider: one peer, its two lanes, and
 * transfer over them. Client and provider fill in what differs. */
#pragma once
#include <uthash.h>

#include "ww/net.h"
#include "ww/transfer.h"

#include "packet_queue.h"

struct conn;

/* What the owner does. Callbacks of transfer go to the owner through `transfer`. */
struct conn_callbacks {
    void (*signal)(struct conn *conn, const char *text);
    void (*ready)(struct conn *conn); /* transfer may be used from now on */
    void (*path)(struct conn *conn, enum ww_path_event event);
    void (*closed)(struct conn *conn,
                   int code);              /* contracts have been told; the owner destroys it */
    struct ww_transfer_callbacks transfer; /* arg is the conn; `send` and `failed` are ours */
};

struct conn {
    UT_hash_handle hh; /* key: remote */
    struct ww_hash remote;
    uint64_t serial;   /* tells it from a later connection with the same node */
    uint64_t heard_us; /* when something last came on the reliable lane */
    struct ww_loop *loop;
    struct ww_peer *peer;
    struct ww_public_key *peer_key; /* NULL until it is asked for */
    bool is_fast; /* its lanes are the peer's fast lane, and there are no channels */
    struct ww_channel *reliable, *datagram;
    struct ww_transfer *transfer;
    struct ww_timer *timer;
    uint64_t timer_due_us; /* UINT64_MAX: not set */
    const struct conn_callbacks *callbacks;
    void *owner;     /* the client or provider */
    void *streams;   /* the owner's table of this connection's streams */
    void *declaring; /* the owner's state of declarations; NULL until a stream is opened */
    bool is_ready, is_closed;
    bool is_cut;                /* its path is lost, and no other one found yet */
    bool is_doubted, is_silent; /* what goes by it is not answered for a moment, and for longer */
    uint64_t doubted_us;        /* when that was first noticed, the last time */
    bool is_avoided;            /* no next contract is to be had: what begins goes elsewhere */
    uint64_t trusted_us;        /* it was silent: what begins before goes elsewhere */
    int closing_code;           /* set: closed will be told by the timer */
    uint64_t opens_left, opens_us; /* provider: streams that may be opened now, and since when */
    uint64_t bare_since_us; /* provider: without a contract, as its clock saw it; 0: it has one */
    struct {                /* the flow of packets */
        bool is_open, is_touched;
        bool is_accepted;          /* a client: the provider has said that it takes them */
        int refused;               /* a client: the provider takes none, and why */
        struct packet_queue queue; /* a client: that wait for this connection */
        uint64_t stream_id;
        uint64_t good_bytes, junk_bytes; /* a client: of its flows, and of none */
        enum ww_ecn sends_mark;          /* of the packet that is being sent … */
        size_t sends_room;               /* … writable bytes before it … */
        enum ww_ecn came_mark; /* … and of what the one that is being handed on came in */
        unsigned worker;       /* the packet worker that it last had; 0: none yet */
        uint64_t unmarkable;   /* dropped: they can't have the mark that they came with */
        void *state;           /* the owner's */
    } packets;
    struct ww_id contract; /* the newest contract between the two: signalling goes under it */
    bool has_contract;
};

struct conn_config {
    struct ww_net *net;
    struct ww_loop *loop;
    enum ww_transfer_role role;
    struct ww_hash remote;
    const uint8_t *epoch; /* WW_EPOCH_SIZE bytes */
    const struct conn_callbacks *callbacks;
    void *owner;
};
int conn_create(const struct conn_config *config, struct conn **conn);
/* The key of the peer's certificate, borrowed. WW_EPEERKEY: it has shown none. WW_ENOMEM. */
int conn_peer_key(struct conn *conn, struct ww_public_key **key);
/* The largest super-packet that travels in one message on this path now; 0: it is to be cut. */
size_t conn_packet_room(const struct conn *conn);
/* By which worker's queue what it has brought goes on: that which carries it, or has last. */
unsigned conn_worker(struct conn *conn);
/* Tells a super-packet that came packet by packet, cut in place: fn as transfer's callback. */
void conn_packet_cut(struct conn *conn,
                     void (*fn)(void *arg, uint64_t stream_id, uint8_t *packet, size_t size,
                                struct ww_offload offload),
                     uint64_t stream_id, uint8_t *packet, size_t size, struct ww_offload offload);
/* No callbacks; contracts must have been told by conn_lose before, or are forgotten. */
void conn_destroy(struct conn *conn);
/* Ends the connection from this side: closed(code) follows from the loop. */
void conn_lose(struct conn *conn, int code);
/* Into the tunnel: as ww_transfer_packet_send, on the flow of packets; the packet's mark of
 * congestion goes outside, too (ww/ecn.h). A super-packet lies where it was read: with
 * WW_TUN_HEADROOM bytes before it, which are written to. */
int conn_packet_send(struct conn *conn, const uint8_t *packet, size_t size,
                     struct ww_offload offload);
/* Out of the tunnel, in transfer's callback: the packet gets what its carrier's mark makes of its
 * own. False: it is to be dropped, and was counted. */
bool conn_packet_came(struct conn *conn, uint8_t *packet, size_t size);
/* To be called after every call into conn->transfer from outside of its callbacks. */
void conn_touch(struct conn *conn);
