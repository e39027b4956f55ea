/* Flows: which packets belong together, how much they carried, and whether they may go on.
 *
 * A table holds the flows of one edge: those of a client's device, or at a provider those of one
 * client, so that nobody can push out another's. A flow is the same five things seen from both
 * ends: protocol, and address and port of "here" (where packets go out from) and of "there". Only a
 * packet that goes out opens one; what comes in without a flow is dropped.
 *
 * Pure: bytes and the time go in. A packet of a known flow allocates nothing; the first one of a
 * flow may. Streams that are no packets (a proxy's) stand in the same table, see
 * ww_flows_add_stream. Full: the flow that matters least and was idle longest makes room.
 * Thread: the loop's. Read-only outside of the room, but for what says that it is the owner's.
 */
#pragma once

#include "ww/ip.h"
#include "ww/offload.h"

struct ww_flows;
struct ww_inspector; /* ww/inspect.h */

enum ww_flow_state {
    WW_FLOW_CLOSING, /* TCP: reset, or both ends have finished */
    WW_FLOW_ICMP,    /* echo */
    WW_FLOW_UDP,     /* nothing has come back yet */
    WW_FLOW_OPENING, /* TCP: likewise */
    WW_FLOW_UDP_BOTH,
    WW_FLOW_ESTABLISHED,
    WW_FLOW_STREAM, /* no packets: lives until ww_flows_end_stream */
};
#define WW_FLOW_STATES 7

enum ww_flow_pass {
    WW_FLOW_PASS,
    WW_FLOW_DROP,   /* without a word: over its rate, or of no flow */
    WW_FLOW_CUT,    /* a super-packet of a flow that has a rate: show its packets one by one */
    WW_FLOW_REJECT, /* denied: send what ww_flow_reject makes of it back to where it came from */
};

/* Bytes that may pass. One may serve many flows. All zero: no limit. */
struct ww_flow_bucket {
    uint64_t bytes_s;              /* 0: no limit */
    uint64_t tokens;               /* bytes that may pass now */
    uint64_t at_us;                /* when they were counted; 0: never, the bucket is full */
    struct ww_flow_bucket *shared; /* NULL, or the one that has the tokens of this and others */
};
/* Takes `size` bytes if they are there. The bucket holds a quarter of a second, at least
 * WW_FLOW_BURST_BYTES. */
bool ww_flow_bucket_take(struct ww_flow_bucket *bucket, size_t size, uint64_t now_us);

/* The same, but as much as there is. */
size_t ww_flow_bucket_take_some(struct ww_flow_bucket *bucket, size_t size, uint64_t now_us);

/* Back go `size` bytes that were taken and not used. */
void ww_flow_bucket_give(struct ww_flow_bucket *bucket, size_t size);

struct ww_flow {
    uint64_t key[5]; /* the room's: here, there, ports and protocol */
    uint32_t hash, index, older, newer;
    uint8_t state;  /* enum ww_flow_state */
    uint8_t tcp;    /* the room's: what was seen of a connection */
    bool is_denied; /* by `opened` or `named` */
    bool is_used;   /* the room's */
    uint32_t moved_s;
    uint32_t syn; /* the room's: TCP: the sequence number of what opened it, if that was seen */
    struct ww_flow_bucket *bucket; /* the owner's; NULL: no limit */
    uint64_t bytes[2], packets[2]; /* that passed; [0] came in, [1] went out. IP packets whole, but
                                    * the head of a super-packet once; of a stream what it carried,
                                    * and packets stay 0 */
    uint64_t first_us, last_us;    /* monotonic */
    uint64_t dropped;              /* packets that did not pass */
    void *inspection;              /* the room's: while its first packets are looked at */

    uint8_t here[16], there[16]; /* IPv4 mapped; of a stream to a name zero */
    uint16_t here_port, there_port;
    uint8_t protocol;        /* IPPROTO_… */
    uint8_t name_from;       /* enum ww_flow_name_from */
    char *name;              /* host name in small letters, owned by the flow; NULL: unknown */
    const char *application; /* the inspector's; NULL: unknown */
    void *owner;             /* the owner's */
};
enum ww_flow_name_from {
    WW_FLOW_NAME_NONE,
    WW_FLOW_NAME_REQUEST, /* whoever opened it asked for the name */
    WW_FLOW_NAME_TLS,
    WW_FLOW_NAME_QUIC,
    WW_FLOW_NAME_HTTP,
    WW_FLOW_NAME_DNS, /* the name that is asked for */
};

/* None may call back into the table, but for reading the flow. */
struct ww_flow_callbacks {
    /* A new flow. May set owner and bucket. 0, or a WW_E…: it is denied. */
    int (*opened)(void *arg, struct ww_flow *flow);
    /* Its name or its application has become known: by a packet, or later, from the loop. As above.
     */
    int (*named)(void *arg, struct ww_flow *flow);
    /* It is gone when this returns. Also for one that was denied. */
    void (*closed)(void *arg, struct ww_flow *flow);
};

struct ww_flows_config {
    uint32_t flows_max;                        /* 1 to WW_FLOWS_MAX */
    struct ww_inspector *inspector;            /* borrowed; NULL: nothing is inspected */
    const struct ww_flow_callbacks *callbacks; /* borrowed; each may be NULL */
    void *arg;
};
/* *flows is owned by the caller. WW_EINVAL, WW_ENOMEM. */
int ww_flows_create(const struct ww_flows_config *config, struct ww_flows **flows);
/* Closes what is open, with callbacks. NULL is fine. */
void ww_flows_destroy(struct ww_flows *flows);

/* From now on first packets are looked at; NULL: no longer, and it may be destroyed: what
 * applications flows are is forgotten. */
void ww_flows_set_inspector(struct ww_flows *flows, struct ww_inspector *inspector);

/* One packet that ww_ip_judge has read. */
struct ww_flow_packet {
    const struct ww_ip *ip;
    const uint8_t *bytes;
    size_t size;
    bool is_outgoing; /* from here to there */
    struct ww_offload offload;
};
/* Counts it, and says what becomes of it. *flow (may be NULL) is its flow, or NULL when it has
 * none, or is no super-packet though its offload says so. Fragments after the first belong to where
 * the first went. */
enum ww_flow_pass ww_flows_packet(struct ww_flows *flows, const struct ww_flow_packet *packet,
                                  uint64_t now_us, struct ww_flow **flow);
/* A packet that passed has come to nothing, now (it is dropped) or yet (it waits, and will be shown
 * to ww_flows_packet again): takes it back out of the counts, and of the rate. In the same turn. */
void ww_flows_take_back(struct ww_flow *flow, const struct ww_flow_packet *packet);
/* Closes what was idle for too long, at most WW_FLOWS_TURN of them: call it each second. */
void ww_flows_expire(struct ww_flows *flows, uint64_t now_us);

/* A stream beside the packets. `there` and there_port, and protocol are looked at; name (may be
 * NULL) is copied. `opened` is not called: whoever opens a stream has asked already. *flow lives
 * until ww_flows_end_stream. WW_ENOMEM; WW_ELIMIT: only streams are open. */
int ww_flows_add_stream(struct ww_flows *flows, const struct ww_flow *what, const char *name,
                        uint64_t now_us, struct ww_flow **flow);
void ww_flows_count(struct ww_flow *flow, bool is_outgoing, size_t size, uint64_t now_us);
/* NULL is fine. */
void ww_flows_end_stream(struct ww_flows *flows, struct ww_flow *flow);

/* The next flow after `flow` (NULL: the first) in no special order; NULL: no more. */
struct ww_flow *ww_flows_next(struct ww_flows *flows, const struct ww_flow *flow);
size_t ww_flows_count_open(const struct ww_flows *flows);
/* Asks `named` again about flows, whatever is known of them: the rules have changed. *at begins
 * with 0, and `named` may set it back to that; *most is how many may be asked about, and becomes
 * less by those that were. False: all were. */
bool ww_flows_judge_again(struct ww_flows *flows, uint32_t *at, size_t *most);
/* Of all flows that ever were: opened, closed to make room, packets dropped. */
struct ww_flows_stats {
    uint64_t opened, pushed_out, dropped, rejected;
};
void ww_flows_stats(const struct ww_flows *flows, struct ww_flows_stats *stats);

/* The answer to a packet that was rejected, complete with its checksums: a reset for TCP (RFC
 * 9293), else ICMP "administratively prohibited" (RFC 1812, RFC 4443), from where the packet was
 * going. 0: none may be sent (to a reset, to a later fragment). */
size_t ww_flow_reject(const struct ww_ip *ip, const uint8_t *bytes, size_t size,
                      uint8_t answer[WW_FLOW_REJECT_BYTES]);
/* Ends the connection of a TCP packet that was rejected at its other end too: a reset from where
 * the packet came from to where it was going. 0: there is none (not TCP, or its first packet). */
size_t ww_flow_abort(const struct ww_ip *ip, const uint8_t *bytes,
                     uint8_t reset[WW_FLOW_REJECT_BYTES]);
