/* The room's own structures: net.c (the room, ids, turns), peer.c (life of a peer), peer_signal.c
 * (its signalling), route.c (agents and their paths), change.c (from one path to another),
 * transport.c (datagrams), channel.c (channels), loan.c (peers lent to workers, carrier.h).
 *
 * Callbacks to the user run in two places only, both called by the loop: ww_peer_turn and the
 * handler of ICE events. What user code destroys there is emptied at once, but its memory stays
 * until the end of the next turn (zombies), so that frames below can look at `destroyed`.
 */
#pragma once
#include <sys/queue.h>

#include "addresses.h"
#include "doubt.h"
#include "dtls.h"
#include "ice.h"
#include "lane.h"
#include "marks.h"
#include "mtu.h"
#include "pieces.h"
#include "sctp.h"
#include "ww/net.h"

/* Largest UDP payload: what an IPv6 link must carry (RFC 8200), 1,280 less IP and UDP headers. */
#define WW_DATAGRAM_BYTES 1232
/* Where the path has that, as loopback does (net.h: allow_jumbo): four in one system call. */
#define WW_DATAGRAM_BYTES_MOST 16250
/* One read from SCTP. Longer messages are put together from several. */
#define WW_SCTP_READ_BYTES 65536

TAILQ_HEAD(ww_peer_list, ww_peer);
SLIST_HEAD(ww_channel_list, ww_channel);

struct event;

struct ww_net {
    struct ww_loop *loop;
    struct ww_net_config config;
    char *stun_server;
    struct ww_ice_thread *ice_thread;
    struct ww_dtls_context *dtls_context;
    struct ww_lane_room *lanes;
    struct ww_addresses *addresses; /* NULL: not watched */
    struct ww_carrier *carriers[WW_WORKERS_MAX];
    unsigned carrier_count;
    struct event *turn; /* runs at the end of the loop's turn, when somebody is dirty */
    struct ww_timer *again;
    struct ww_timer *tick; /* SCTP's clock */
    uint64_t ticked_us;
    uint64_t active_us; /* when a packet last went or came */
    bool turn_is_due;
    bool in_turn;
    struct ww_peer *turning; /* whose turn it is: it looks after itself */
    struct ww_peer_list dirty;
    struct ww_peer_list zombies;
    struct ww_channel_list channel_zombies;
    unsigned peer_count;
    uint32_t generation;
    unsigned next_index;
    struct ww_peer *peers[WW_PEERS_MAX];
    uint8_t read_buffer[WW_SCTP_READ_BYTES];
};

/* One ICE agent and the path that it found. A peer has one in use; while its path changes, a
 * second; and for a moment the one that it has left. */
struct ww_route {
    struct ww_peer *peer;
    struct ww_ice *ice;
    uint64_t id;         /* of the agent: place in net->peers, and a generation of its own */
    uint32_t generation; /* 1 for the first */
    struct ww_lane *lane;
    bool has_pair;
    bool no_consent;         /* in use all the same, as long as something comes in */
    uint64_t heard_us;       /* when DTLS last took something that came here */
    struct ww_ice_pair pair; /* its fd is not ours */
    union ww_address source; /* what this machine sends from to pair.remote; or all 0 */
    struct ww_ice_local local;
    char *remote_ufrag;
    char *remote_password;
    unsigned remote_candidates;
};

/* A change of path, see change.c. Times are the loop's, 0: not. */
struct ww_change {
    uint64_t lost_us;    /* consent is gone: nothing may be sent */
    uint64_t wanted_us;  /* another path is wanted */
    uint64_t attempt_us; /* the last attempt began, or the client was asked for one */
    uint64_t left_us;    /* the last move */
    uint64_t doubt_us;   /* consent ended; the other side was asked for a sign of life since */
    uint64_t beat_us;    /* the last time that it was */
    uint64_t offers_us;  /* server: attempts that may begin, and since when */
    unsigned offers_left;
    bool again;              /* the attempt that is under way is of no use */
    union ww_address source; /* for which the last attempt was wanted, as route->source */
    uint64_t unanswered_us; /* when the first datagram went after the last that came; 0: none did */
    uint64_t sent_us;       /* when the last one went */
    unsigned unanswered;    /* how many have gone since */
    bool tell[WW_PATH_EVENTS]; /* the user, in the next turn, by enum ww_path_event */
    struct ww_doubt doubt;     /* about the path in use: of a client's fast lane */
    uint32_t generation;       /* the newest attempt */
    uint32_t changes;
    struct ww_timer *timer;
    char tag[WW_UFRAG_BYTES_MAX + 1]; /* of the association; "" until the client's ufrag is known */
};

struct ww_early_datagram {
    size_t size;
    uint8_t *data;
};

struct ww_peer {
    TAILQ_ENTRY(ww_peer) dirty_entry; /* in dirty, or in zombies */
    struct ww_net *net;
    uint64_t id; /* generation and place in net->peers; never 0, never used twice */
    struct ww_peer_config config;
    struct ww_peer_callbacks callbacks;
    void *arg;
    bool is_dtls_server;
    bool is_dirty;
    bool destroyed;
    bool closed; /* `closed` was called */
    bool connected;
    bool sctp_ready; /* something to receive, or room to send */
    int fail_code;
    struct ww_dtls *dtls;
    struct ww_loan *loan; /* its association, lane and pieces are a worker's; NULL: they aren't */
    bool is_unlent;       /* it was to be lent once, and couldn't */
    uint64_t lend_us;     /* not before this time */
    struct ww_sctp *sctp;
    struct ww_fast *fast; /* once DTLS is there; NULL: one side doesn't have it */
    struct ww_timer *fast_timer;
    struct ww_mtu mtu; /* of its path */
    struct ww_pieces pieces;
    uint64_t reported_us;   /* when the other side was last told of wide records */
    bool is_report_due;     /* something has come since */
    bool is_large_used;     /* larger datagrams than every path carries went lately */
    bool sends_alone;       /* the next datagram shares no batch */
    bool is_datagram_held;  /* one found no room: its sender is told when there is some */
    struct ww_marks marks;  /* of congestion */
    enum ww_ecn sends_mark; /* of the next datagram */
    enum ww_ecn hears_mark; /* of the one that is being read */
    struct ww_route *route; /* in use */
    struct ww_route *next;  /* an attempt */
    struct ww_route *left;
    struct ww_route *hearing; /* whose datagram is being read */
    struct ww_change change;
    struct ww_timer *connect_timer;
    struct ww_timer *dtls_timer;
    struct ww_timer *sctp_timer; /* it wants to be looked at though nothing happens */
    /* signalling: the first credentials, for other ones are another association */
    char *remote_ufrag;
    char *remote_password;
    uint32_t remote_datagram_bytes;
    bool remote_fast;
    /* path */
    size_t datagram_bytes;
    unsigned early_count;
    struct ww_early_datagram early[WW_PEER_EARLY_DATAGRAMS_MAX];
    struct ww_lane_counters counters; /* of libnice's path and of lanes that are gone */
    /* channels */
    unsigned stream_count;
    unsigned blocked_count;
    uint64_t resets_pending; /* streams whose reset SCTP has not taken yet */
    struct ww_channel *channels[WW_CHANNELS_MAX];
};

/* --- net.c */
struct ww_peer *ww_net_find(struct ww_net *net, uint64_t id);
/* A new id in the same place, for an agent. */
uint64_t ww_net_next_id(struct ww_net *net, const struct ww_peer *peer);
int ww_net_add(struct ww_net *net, struct ww_peer *peer);     /* gives it its id */
void ww_net_remove(struct ww_net *net, struct ww_peer *peer); /* its memory goes after the turn */
/* Has ww_peer_turn called at the end of this turn of the loop. */
void ww_net_touch(struct ww_peer *peer);

/* --- peer.c */
/* All that is due towards the user and the socket; true when some was left for the next turn. */
bool ww_peer_turn(struct ww_peer *peer);
/* Ends the peer at its next turn; the first code counts. */
void ww_peer_fail(struct ww_peer *peer, int code);
int ww_peer_make_dtls(struct ww_peer *peer, const uint8_t *fingerprint);
void ww_peer_arm_dtls_timer(struct ww_peer *peer);
/* The association is this thread's again. */
void ww_peer_take_dtls(struct ww_peer *peer);
/* What DTLS has opened. */
void ww_peer_opened(struct ww_peer *peer, uint8_t *plaintext, size_t size);

/* --- peer_signal.c: each may destroy the peer, nothing may follow in the caller */
void ww_peer_on_ice(struct ww_peer *peer, struct ww_route *route, struct ww_ice_event *event);
/* WW_CHANGE_LOST or WW_CHANGE_GONE, to the other side. */
void ww_peer_send_change(struct ww_peer *peer, enum ww_signal_change change);

/* --- route.c */
int ww_route_create(struct ww_peer *peer, uint32_t generation, struct ww_route **route);
void ww_route_destroy(struct ww_route *route);
/* The one with this agent, or this generation; NULL. */
struct ww_route *ww_route_find(struct ww_peer *peer, uint64_t id);
struct ww_route *ww_route_of(struct ww_peer *peer, uint32_t generation);
/* Adds what went over its lane; NULL is nothing. */
void ww_route_add_counters(const struct ww_route *route, struct ww_lane_counters *sum);
/* True when it is not the pair that it had. */
bool ww_route_set_pair(struct ww_route *route, const struct ww_ice_pair *pair);

/* --- change.c */
void ww_change_pair(struct ww_peer *peer, struct ww_route *route, const struct ww_ice_pair *pair);
/* The agent has no path, or no consent any more. */
void ww_change_failed(struct ww_peer *peer, struct ww_route *route);
/* Server: a newer attempt of the client's. NULL: not now. */
struct ww_route *ww_change_offered(struct ww_peer *peer, uint32_t generation);
/* Client: the server wants another path; it knows attempts up to `generation`. */
void ww_change_asked(struct ww_peer *peer, uint32_t generation);
/* There is an association: a path whose consent ended before is looked at. */
void ww_change_connected(struct ww_peer *peer);
/* A datagram has gone, or one has come that was sound. */
void ww_change_sent(struct ww_peer *peer);
void ww_change_heard(struct ww_peer *peer);
/* A record has gone that the other side answers. */
void ww_change_awaits(struct ww_peer *peer);
/* True: a probe is to be sent now, to see whether the other side answers. */
bool ww_change_look(struct ww_peer *peer);
/* When that is asked again; UINT64_MAX. */
uint64_t ww_change_next_us(const struct ww_peer *peer);
bool ww_change_is_wanted(const struct ww_peer *peer);
void ww_change_signals_again(struct ww_peer *peer);
/* Whether what this machine sends from is another address than when the path was found. */
void ww_change_addresses(struct ww_peer *peer);
/* Calls the user; look at peer->destroyed afterwards. */
void ww_change_turn(struct ww_peer *peer);
/* A timer's callback; arg is the peer. */
void ww_change_tick(void *arg);

/* --- transport.c */
void ww_transport_output(struct ww_peer *peer, const uint8_t *datagram, size_t size);
/* Datagrams as ww_lane_callbacks has them, borrowed for the call. */
void ww_transport_input(struct ww_route *route, const uint8_t *data, size_t size, size_t each,
                        enum ww_ecn mark);
/* What a worker has opened of a peer's. */
void ww_transport_opened(struct ww_peer *peer, uint8_t *plaintext, size_t size, enum ww_ecn mark);
/* A record for the other side, wherever it is sealed. False when it can't be sent now. */
bool ww_transport_seal(struct ww_peer *peer, const uint8_t *record, size_t size);
/* What its path is known to carry without a search, and what might be found. */
size_t ww_transport_least_bytes(const struct ww_peer *peer);
size_t ww_transport_most_bytes(const struct ww_peer *peer);
/* The first path: what waited for it goes. */
void ww_transport_start(struct ww_peer *peer);
void ww_transport_flush(struct ww_peer *peer);
void ww_transport_close(struct ww_peer *peer);

/* Whether what is sent now would go, without being dropped here. */
bool ww_transport_has_room(const struct ww_peer *peer);

/* --- fast_peer.c */
/* With DTLS established; does nothing if one side doesn't want it. */
int ww_peer_fast_start(struct ww_peer *peer);
void ww_peer_fast_stop(struct ww_peer *peer);
void ww_peer_fast_input(struct ww_peer *peer, const uint8_t *record, size_t size);
/* Another path. */
void ww_peer_fast_path(struct ww_peer *peer);
/* Calls the user; look at peer->destroyed afterwards. True when some was left. */
bool ww_peer_fast_take(struct ww_peer *peer);
void ww_peer_fast_output(struct ww_peer *peer);

/* --- channel.c: each may call the user; look at peer->destroyed afterwards */
void ww_channels_start(struct ww_peer *peer);
void ww_channels_data(struct ww_peer *peer, const struct ww_sctp_received *received, uint8_t *data);
void ww_channels_reset(struct ww_peer *peer, const struct ww_sctp_received *received);
void ww_channels_abandon(struct ww_peer *peer, uint16_t stream);
/* Resets that wait, and writable calls. */
void ww_channels_turn(struct ww_peer *peer);
/* Frees all; each is told with `code` if it isn't 0. */
void ww_channels_close(struct ww_peer *peer, int code);
struct ww_channel {
    SLIST_ENTRY(ww_channel) zombie_entry;
    struct ww_peer *peer;
    struct ww_channel_callbacks callbacks;
    void *arg;
    uint16_t number;
    bool unordered;
    bool unreliable; /* as it was opened; a time limit is kept by the opener alone */
    int max_retransmits;
    bool acknowledged; /* the other side knows it: unordered messages may overtake now */
    bool user_has_it;  /* accepted or opened here, and not closed */
    bool closing;
    bool reset_in, reset_out; /* done; with both the number is free */
    bool blocked;             /* owed a `writable` */
    uint32_t partial_ppid;
    struct ww_buf partial; /* a message that came in pieces so far */
    char label[WW_CHANNEL_LABEL_BYTES_MAX + 1];
    char protocol[WW_CHANNEL_LABEL_BYTES_MAX + 1];
};
