/* The egress's insides, shared by its files. */
#pragma once

#include <sys/queue.h>

#include "edge.h"
#include "resolver.h"
#include "ww/buf.h"
#include "ww/egress.h"

union ww_egress_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

/* One address that was allowed and, once it is tried, the connection to it. The one that succeeds
 * first stays the stream's for good. */
struct ww_egress_attempt {
    struct ww_egress_stream *owner;
    struct ww_stream *stream;
    union ww_egress_address address;
};

enum egress_state { EGRESS_RESOLVING, EGRESS_RACING, EGRESS_OPEN, EGRESS_OVER };

struct ww_egress_stream {
    LIST_ENTRY(ww_egress_stream) link;
    struct ww_egress *egress; /* NULL once dropped */
    const struct ww_egress_callbacks *callbacks;
    void *arg;
    enum egress_state state;
    unsigned calls; /* callbacks for it on the stack; freed when the last returns */
    uint16_t port;
    bool pauses; /* what the owner asked for before it was open */
    bool finishes;
    int error; /* of the attempts so far */
    struct ww_resolver_query *query;
    struct ww_timer *timer; /* the deadline, the turn in which events are told, the drain */
    bool drains;            /* both directions have ended; what is queued has until the timer */
    struct ww_timer *attempt_timer; /* until the next attempt */
    struct ww_egress_attempt attempts[WW_EGRESS_ADDRESSES_MAX];
    size_t attempt_count;
    size_t attempts_started;
    size_t attempts_live;
    struct ww_edge edge;
};

struct ww_egress_flow {
    LIST_ENTRY(ww_egress_flow) link;
    struct ww_egress *egress; /* NULL once dropped */
    const struct ww_egress_flow_callbacks *callbacks;
    void *arg;
    unsigned calls;
    uint16_t port;
    int fd; /* -1 while the name resolves */
    struct ww_watch *watch;
    struct ww_timer *timer; /* a turn to tell something in, then idling */
    struct ww_resolver_query *query;
    bool is_ready_told, is_v4;
    enum ww_ecn mark, came; /* of what is sent, and of what came last */
    int error;              /* to be told as closed */
    uint64_t used_us;       /* when a datagram went or came last */
    struct ww_buf early;    /* u16 size and bytes of each datagram that waits */
};

struct ww_egress {
    struct ww_loop *loop;
    const struct ww_address_rules *rules; /* borrowed */
    struct ww_resolver *resolver;
    LIST_HEAD(, ww_egress_stream) streams;
    size_t stream_count;
    LIST_HEAD(, ww_egress_flow) flows;
    size_t flow_count;
    uint8_t *datagram;     /* what a flow reads into */
    uint64_t flow_idle_us; /* WW_EGRESS_FLOW_IDLE_MS; tests shorten it … */
    uint64_t drain_us;     /* … and WW_EGRESS_DRAIN_MS too */
};

/* --- egress.c --- */

socklen_t ww_egress_address_size(const union ww_egress_address *address);
/* The target, judged: an address, or a name to look up (then *is_name is set and *checked has it).
 * WW_EDESTINATION, WW_ERESOLVE. */
int ww_egress_judge_target(const struct ww_egress *egress, int protocol,
                           const struct ww_target *target, struct ww_target *checked,
                           bool *is_name);
/* What a lookup found: keeps those that the rules allow, in the order to try them. *count is 1 to
 * WW_EGRESS_ADDRESSES_MAX. WW_EDESTINATION when none is allowed. */
int ww_egress_judge_found(const struct ww_egress *egress, const struct ww_resolver_address *found,
                          size_t found_count, uint16_t port, union ww_egress_address *allowed,
                          size_t *count);
/* The WW_E… for an errno of a socket that is connected or used. */
int ww_egress_error(int error);

/* --- egress_stream.c --- */

/* As ww_egress_connect, to addresses that were judged, in this order; for tests of the race too. */
int ww_egress_connect_addresses(struct ww_egress *egress, const union ww_egress_address *addresses,
                                size_t count, const struct ww_egress_callbacks *callbacks,
                                void *arg, struct ww_egress_stream **stream);
void ww_egress_stream_enter(struct ww_egress_stream *stream);
/* False when the stream is gone. */
bool ww_egress_stream_leave(struct ww_egress_stream *stream);
/* Tells `closed` and frees. */
void ww_egress_stream_end(struct ww_egress_stream *stream, int code);
/* An attempt has won the race. */
void ww_egress_stream_open(struct ww_egress_stream *stream, struct ww_stream *connection);
/* What the connection says once it is open. */
void ww_egress_stream_on_readable(struct ww_egress_stream *stream);
void ww_egress_stream_on_drained(struct ww_egress_stream *stream);
void ww_egress_stream_on_eof(struct ww_egress_stream *stream);

/* --- egress_race.c --- */

/* Starts with the first of attempts[]. An error when none can be started. */
int ww_egress_race_start(struct ww_egress_stream *stream);
/* The delay between attempts is over. */
void ww_egress_race_on_timer(void *arg);
/* Closes every attempt but `winner` (NULL: all). */
void ww_egress_race_stop(struct ww_egress_stream *stream, const struct ww_stream *winner);
