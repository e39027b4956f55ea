/* The provider's egress: TCP streams and UDP flows to destinations that the rules allow.
 *
 * Names are resolved here, once, by the servers that the host is configured with; every address is
 * judged, then tried by happy eyeballs (RFC 8305); the address that was judged is the one that is
 * connected to. Read the rules in packet.h on callbacks and lifetimes first.
 */
#pragma once

#include "ww/address.h"
#include "ww/ecn.h"
#include "ww/loop.h"

struct ww_egress;
struct ww_egress_stream; /* TCP to a destination */
struct ww_egress_flow;   /* UDP to a destination */

struct ww_egress_callbacks {
    /* The local address, borrowed. */
    void (*connected)(void *arg, const struct sockaddr *local);
    /* New bytes: peek and consume; may leave some. */
    void (*readable)(void *arg);
    /* The write queue fell to WW_PACKET_LOW_MARK_BYTES. */
    void (*drained)(void *arg);
    /* The destination shut down its writing, and all its bytes were consumed. Once. */
    void (*eof)(void *arg);
    /* Gone, freed when this returns: WW_EDESTINATION, WW_ERESOLVE, WW_ECONNREFUSED,
     * WW_EUNREACHABLE, WW_ETIMEDOUT, WW_ERESET, WW_ENOMEM, WW_ESYSTEM; 0 = closed in order, that is
     * eof was told, ww_egress_finish was called and its queue is empty. */
    void (*closed)(void *arg, int code);
};
struct ww_egress_flow_callbacks {
    /* Resolved and open; the local address, borrowed. */
    void (*ready)(void *arg, const struct sockaddr *local);
    /* Borrowed for the call. size 0 is a valid datagram. */
    void (*datagram)(void *arg, const uint8_t *data, size_t size);
    /* Gone, freed when this returns: WW_EDESTINATION, WW_ERESOLVE, WW_ECONNREFUSED and
     * WW_EUNREACHABLE (ICMP said so), WW_ESYSTEM; 0 = idle for WW_EGRESS_FLOW_IDLE_MS. */
    void (*closed)(void *arg, int code);
};

/* Rules are borrowed and must outlive it. *egress is owned by the caller. WW_ENOMEM, WW_ESYSTEM. */
int ww_egress_create(struct ww_loop *loop, const struct ww_address_rules *rules,
                     struct ww_egress **egress);
/* Resets what is open, no callbacks. NULL is fine. */
void ww_egress_destroy(struct ww_egress *egress);
/* Streams and flows that are open or opening. */
size_t ww_egress_count(const struct ww_egress *egress);

/* Connects within WW_EGRESS_CONNECT_MS. The client is who it is for, so that one has no more
 * than its share of the names that are looked up; only compared, NULL is one, too. The target is
 * copied, the callbacks are borrowed and must outlive the stream. What is known at once is
 * returned, and then there is no callback: WW_EDESTINATION (an address or port that the rules
 * deny), WW_ERESOLVE (not a name), WW_ELIMIT (WW_EGRESS_STREAMS_MAX; a name, and WW_RESOLVER_SHARE
 * of this client's or WW_RESOLVER_LOOKUPS_MAX of all are being looked up), WW_ENOMEM, WW_ESYSTEM.
 */
int ww_egress_connect(struct ww_egress *egress, const void *client, const struct ww_target *target,
                      const struct ww_egress_callbacks *callbacks, void *arg,
                      struct ww_egress_stream **stream);
/* A contiguous borrowed view of at most `max` bytes, valid until the next call for the stream. NULL
 * with *size 0 when there are none. */
const uint8_t *ww_egress_peek(struct ww_egress_stream *stream, size_t max, size_t *size);
void ww_egress_consume(struct ww_egress_stream *stream, size_t size);
size_t ww_egress_readable(const struct ww_egress_stream *stream);
/* As ww_stream_set_read_max; nothing before `connected`. */
void ww_egress_set_read_max(struct ww_egress_stream *stream, size_t bytes);
/* As ww_stream_set_low_mark, WW_PACKET_LOW_MARK_BYTES at first; nothing before `connected`, and
 * after ww_egress_finish it stays 0. */
void ww_egress_set_low_mark(struct ww_egress_stream *stream, size_t bytes);
/* Copies into the write queue, which is the caller's to bound by ww_egress_queued. WW_EAGAIN before
 * `connected`; WW_ENOMEM; WW_ECLOSED after ww_egress_finish. */
int ww_egress_write(struct ww_egress_stream *stream, const void *data, size_t size);
size_t ww_egress_queued(const struct ww_egress_stream *stream);
/* Before `connected` too: it holds from the first byte on. */
void ww_egress_pause(struct ww_egress_stream *stream, bool paused);
/* Sends FIN behind what is queued. Before `connected`: nothing can be written any more. */
void ww_egress_finish(struct ww_egress_stream *stream);
void ww_egress_reset(struct ww_egress_stream *stream); /* RST, frees, no callback */

/* As ww_egress_connect, for UDP; the limit is WW_EGRESS_FLOWS_MAX. The socket is connected, so
 * datagrams come from this destination only. */
int ww_egress_flow_open(struct ww_egress *egress, const void *client,
                        const struct ww_target *target,
                        const struct ww_egress_flow_callbacks *callbacks, void *arg,
                        struct ww_egress_flow **flow);
/* Dropped when it can't be sent. While the name resolves, WW_EGRESS_FLOW_EARLY_BYTES are kept. */
void ww_egress_flow_send(struct ww_egress_flow *flow, const uint8_t *data, size_t size);
/* What is sent from now on carries this mark of congestion (ECN); at first, and what is kept while
 * the name resolves, none. */
void ww_egress_flow_mark(struct ww_egress_flow *flow, enum ww_ecn mark);
/* The mark that the datagram came with which is being told. */
enum ww_ecn ww_egress_flow_came(const struct ww_egress_flow *flow);
void ww_egress_flow_close(struct ww_egress_flow *flow); /* frees, no callback */
