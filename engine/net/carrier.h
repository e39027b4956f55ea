/* What net has at a packet worker (ww/worker.h). A peer whose data goes by its own socket and in
 * the fast lane is lent to one: its DTLS association, its lane and the pieces of its wide records
 * are the worker's until they are called back. All else stays on the loop's thread, which hands a
 * worker plaintext records and gets such from it, in a port's two rings. In a record's head, owner
 * is a peer's id, number how large its datagrams may be, kind an enum ww_ecn, and flag that it goes
 * alone.
 *
 * carrier.c is the worker's thread, loan.c the loop's side.
 */
#pragma once
#include <stdatomic.h>
#include <sys/queue.h>

#include "dtls.h"
#include "lane.h"
#include "pieces.h"
#include "ww/limits.h"
#include "ww/net.h"
#include "ww/worker.h"

/* What the worker has told of a peer, for the loop's thread to read at any time. */
struct ww_loan_news {
    atomic_bool has_room; /* in the lane */
    _Atomic int code;     /* the association has ended; 0 */
    _Atomic uint64_t datagrams_sent, bytes_sent, datagrams_received, bytes_received, dropped;
    _Atomic uint64_t pieces; /* top << 32 | whole: read apart, records would seem to be missing */
};

struct ww_loan {
    struct ww_carrier *carrier;
    uint64_t id; /* the peer's */
    struct ww_loan_news news;
    /* the loop's thread */
    LIST_ENTRY(ww_loan) entry;
    struct ww_peer *peer;
    bool waits; /* for room */
    /* the worker's, while it is lent */
    struct ww_dtls *dtls;
    struct ww_lane *lane;
    struct ww_pieces pieces; /* the peer's, of which only what is on the line is used */
    struct ww_ring_head out; /* of the record that is being sealed */
    enum ww_ecn hears_mark;  /* of the one that is being opened */
    uint64_t dropped;        /* came, and found the ring full */
    bool is_dirty;
    SLIST_ENTRY(ww_loan) dirty_entry;
    LIST_ENTRY(ww_loan) lent_entry;
};
LIST_HEAD(ww_loan_list, ww_loan);
SLIST_HEAD(ww_loan_dirty, ww_loan);

struct ww_carrier {
    struct ww_worker *worker;
    struct ww_port_config config;
    struct ww_port *port;
    atomic_bool has_news; /* besides what is in the ring: look at all loans */
    atomic_bool waits;    /* the loop's thread has found no room */
    atomic_bool is_full;  /* the worker receives nothing, for the ring is half full */
    /* the loop's thread */
    struct ww_net *net;
    struct ww_loan_list loans;
    unsigned loan_count;
    struct ww_loan *call_loan; /* of the call that is under way, and what came of it */
    int call_code;
    /* the worker's */
    struct ww_lane_room *lanes;
    struct ww_loan_dirty dirty;
    struct ww_loan_list lent;
    struct ww_loan *by_place[WW_PEERS_MAX];
    uint8_t plaintext[WW_DTLS_PLAINTEXT_BYTES]; /* what is opened here finds no room in the ring */
};

/* --- carrier.c */
/* WW_ENOMEM. take_in is called on the loop's thread with the carrier. */
int ww_carrier_create(struct ww_net *net, struct ww_worker *worker, ww_loop_fn take_in,
                      struct ww_carrier **carrier);
/* Nothing may be lent to it any more. NULL is fine. */
void ww_carrier_destroy(struct ww_carrier *carrier);
/* What was published is sealed, then the loan is the worker's, or its lane can't be watched. */
int ww_carrier_lend(struct ww_carrier *carrier, struct ww_loan *loan);
void ww_carrier_give_back(struct ww_carrier *carrier, struct ww_loan *loan);

/* --- loan.c */
/* At as many of the node's workers as can be; for which there is no memory is said in the log. */
void ww_carriers_start(struct ww_net *net);
void ww_carriers_stop(struct ww_net *net);
/* At the end of a peer's turn: lends it, if it may be lent. */
void ww_loan_offer(struct ww_peer *peer);
/* Association, lane and pieces are the loop's thread's again; what was put before has been sent. */
void ww_loan_recall(struct ww_peer *peer);
/* Of a peer that is lent. */
void ww_loan_send(struct ww_peer *peer, const uint8_t *record, size_t size);
bool ww_loan_has_room(struct ww_loan *loan);
void ww_loan_counters(const struct ww_loan *loan, struct ww_lane_counters *counters);
void ww_loan_counted(const struct ww_loan *loan, struct ww_pieces_report *counted);
