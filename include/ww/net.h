/* Peers and channels: ICE (libnice), DTLS 1.2 (OpenSSL) and SCTP data channels (usrsctp), as
 * WebRTC has them (RFC 8445, 8261, 8831, 8832), between two nodes that know each other's keys.
 *
 * All functions and all callbacks belong to the loop's thread; libnice runs on one thread of its
 * own ("ice") and is only control, and packet workers, if there are any, only seal, open, send and
 * receive (docs/internals/net.md). No callback is called from inside a function of this header.
 * A callback may destroy or close anything, also the object that it was called for.
 *
 * Glossary: peer    - one association with another node, over one selected candidate pair;
 *           channel - a data channel, that is one SCTP stream in each direction;
 *           signal  - text that the caller carries to the other side's ww_peer_signal: SDP
 *                     attribute lines (a=ice-ufrag, a=candidate, …), opaque to the carrier;
 *           direct  - data on our own UDP socket beside libnice's (docs/internals/net.md).
 */
#pragma once
#include "ww/address.h"
#include "ww/crypto.h"
#include "ww/ecn.h"
#include "ww/limits.h"
#include "ww/loop.h"

struct ww_net;
struct ww_peer;
struct ww_channel;

/* --- the room -------------------------------------------------------------------------------- */

struct ww_workers;
struct ww_net_config {
    const struct ww_key
        *key;                /* the node's identity, borrowed; the DTLS certificate is made of it */
    const char *stun_server; /* "host:port" or "[v6]:port", copied; NULL: none */
    bool loopback_only;      /* gather 127.0.0.1 and ::1 only, and take remote ones (tests, demo) */
    bool allow_bypass;       /* data past libnice, where the path allows it */
    bool allow_fast;         /* messages past SCTP, where the other side takes them */
    bool allow_jumbo; /* with loopback_only: datagrams of 16 KB between loopback addresses, if
                         the other side wants them too (a link of 65,536 carries them) */
    struct ww_workers *workers; /* that carry peers' data (ww/worker.h), of the same loop; borrowed.
                                   NULL: the loop's thread does */
    uint16_t port_min;          /* UDP ports of host candidates; 0 and 0: any */
    uint16_t port_max;
    /* Addresses of this machine in these are no candidates: those of devices that nodes make, by
     * which no peer can be reached. Copied. */
    struct ww_prefix hidden[WW_NET_HIDDEN_MAX];
    size_t hidden_count;
    /* This machine's addresses or routes have changed, a moment ago; peers that this concerns have
     * begun to look for another path. Never with loopback_only. May be NULL. */
    void (*addresses_changed)(void *arg);
    void *arg;
};

/* One per process (usrsctp has one stack per process): WW_EEXIST if there is one.
 * WW_EINVAL, WW_ENOMEM, WW_ESYSTEM. *net is owned by the caller, and the loop must outlive it. */
int ww_net_create(struct ww_loop *loop, const struct ww_net_config *config, struct ww_net **net);
/* Destroys what is left of its peers, too, without calling them; waits for the ice thread. Not
 * from a callback of this room. */
void ww_net_destroy(struct ww_net *net);

/* --- peers ----------------------------------------------------------------------------------- */

enum ww_peer_role {
    WW_PEER_CLIENT, /* ICE-controlling, DTLS client, even channel numbers */
    WW_PEER_SERVER, /* ICE-controlled, DTLS server, odd channel numbers */
};

enum ww_path_event {
    WW_PATH_IS_LOST,
    WW_PATH_IS_DOUBTED, /* a client's, with a fast lane: what was sent is not answered for a second
                         */
    WW_PATH_IS_SILENT,  /* … for two; for 5 s, and another path is looked for. Consent may hold */
    WW_PATH_IS_HEARD,   /* after one of these two, or ww_peer_ask: something came */
    WW_PATH_HAS_CHANGED,
    WW_PATH_EVENTS, /* how many there are */
};

struct ww_peer_callbacks {
    /* Carry `text` (printable ASCII and LF, at most WW_SIGNAL_BYTES_MAX, borrowed) to the other
     * side, in order. First credentials and fingerprint, then candidates as they are found. */
    void (*signal)(void *arg, const char *text);
    /* The other side proved its key and SCTP is up: channels can be opened. */
    void (*connected)(void *arg);
    /* The other side opened a channel: give it callbacks with ww_channel_accept before this
     * returns, or it is closed. May be NULL (all are closed). */
    void (*channel)(void *arg, struct ww_channel *channel);
    /* With a fast lane only, in order and each once; or as they come, if they do. Borrowed, and
     * writable, until return. A datagram's mark is what its path has made of the one that it was
     * sent with. May be NULL. */
    void (*message)(void *arg, uint8_t *data, size_t size);
    void (*datagram)(void *arg, uint8_t *data, size_t size, enum ww_ecn mark);
    /* After a WW_EAGAIN of ww_peer_send: half of the room is free again; or there is room after one
     * of ww_peer_send_datagram, where a worker had too much to do. May be NULL. */
    void (*writable)(void *arg);
    /* Its path was lost (peers try for WW_PATH_GIVE_UP_MS), it has moved to another one, or nothing
     * comes from it. May be NULL. */
    void (*path)(void *arg, enum ww_path_event event);
    /* It is over, nothing follows: WW_EICE (no path, or lost for WW_PATH_GIVE_UP_MS), WW_EPEERKEY,
     * WW_ECLOSED (by the other side), WW_EPROTOCOL, WW_ETIMEDOUT, WW_ENOMEM. The peer stays to be
     * destroyed by the caller; its channels are gone, each was told by its own `closed`. */
    void (*closed)(void *arg, int code);
};

struct ww_peer_config {
    enum ww_peer_role role;
    struct ww_hash remote;      /* node id that the key in the DTLS certificate must hash to */
    bool allow_any_fingerprint; /* interop tests: with `remote` all zero, the certificate only
                                   has to match the fingerprint that was signalled */
    bool dtls_reversed;         /* interop tests: DTLS client and server swapped against ICE */
    uint32_t connect_ms;        /* until `connected`, else closed; 0: WW_PEER_CONNECT_MS */
    uint32_t path_ms;           /* without a path, then closed; 0: WW_PATH_GIVE_UP_MS */
};

/* Starts gathering; `signal` follows from the loop. *callbacks is copied. WW_EINVAL, WW_ENOMEM,
 * WW_ELIMIT (WW_PEERS_MAX). *peer is owned by the caller. */
int ww_peer_create(struct ww_net *net, const struct ww_peer_config *config,
                   const struct ww_peer_callbacks *callbacks, void *arg, struct ww_peer **peer);
/* Takes a text of the other side's `signal`. WW_EMALFORMED (nothing of it was used), WW_ETOOBIG,
 * WW_ELIMIT (more than WW_CANDIDATES_MAX candidates: the rest is ignored), WW_ECONFLICT (other
 * credentials than before), WW_ENOTFOUND (about a change of path of another association: answer
 * with ww_signal_answer_gone), WW_ECLOSED. Candidates that can't be used (TCP, .local names,
 * addresses that no peer may have) are skipped without an error, and so is what belongs to a path
 * that was left or given up. */
int ww_peer_signal(struct ww_peer *peer, const char *text);
/* Says goodbye (SCTP ABORT, DTLS close_notify) if it is connected, and frees; its channels go
 * without a call. NULL is fine. */
void ww_peer_destroy(struct ww_peer *peer);
bool ww_peer_is_connected(const struct ww_peer *peer);
/* DER SubjectPublicKeyInfo of the other side's key; false before its certificate was seen. */
bool ww_peer_public_key(const struct ww_peer *peer, uint8_t spki[WW_PUBLIC_KEY_SIZE]);
bool ww_peer_node_id(const struct ww_peer *peer, struct ww_hash *node_id);

enum ww_path_kind { WW_PATH_NONE, WW_PATH_HOST, WW_PATH_SRFLX, WW_PATH_PRFLX, WW_PATH_RELAY };
#define WW_ADDRESS_TEXT_SIZE 56 /* "[v6%scope]:port" and a NUL */

struct ww_path {
    enum ww_path_kind kind;           /* the less direct one of local and remote */
    char local[WW_ADDRESS_TEXT_SIZE]; /* "1.2.3.4:5" or "[::1]:5"; "" when there is none */
    char remote[WW_ADDRESS_TEXT_SIZE];
    bool direct;       /* data past libnice; else by nice_agent_send */
    bool fast;         /* messages past SCTP; else in data channels */
    unsigned worker;   /* the worker that carries its data, from 1 on; 0: the loop's thread */
    bool changing;     /* another path is being looked for */
    bool doubted;      /* what was sent is not answered, see WW_PATH_IS_DOUBTED … */
    bool silent;       /* … and WW_PATH_IS_SILENT */
    uint32_t heard_ms; /* since something sound last came by it; 0 with none, too */
    uint32_t lost_ms;  /* without a path for so long; 0: there is one */
    uint32_t changes;  /* how often the peer has moved to another path */
    uint32_t rtt_us;   /* the fast lane's smoothed round trip; or SCTP's, in steps of 1 ms */
    uint32_t mtu;      /* largest UDP payload that is sent, in bytes */
    uint32_t record;   /* largest record of packets, sealed; beyond mtu it goes in pieces */
    const char *marks; /* of congestion: "off", "testing", "on", "failed" */
    uint64_t datagrams_sent, datagrams_received; /* UDP payloads, STUN not counted */
    uint64_t bytes_sent, bytes_received;         /* of them */
    uint64_t datagrams_dropped;                  /* not sent: the socket's queue was full */
    uint64_t packets_sent, packets_lost;         /* of the fast lane's reliable class … */
    uint64_t packets_marked;  /* … and how often its rate was lowered for a mark */
    uint32_t marked_received; /* the fast lane's records that came with CE … */
    uint32_t marked_sent;     /* … and those that came so at the other side, as it says */
};
/* The packet worker that carries it just now, by its number; 0: the loop's thread. */
unsigned ww_peer_worker(const struct ww_peer *peer);
void ww_peer_path(struct ww_peer *peer, struct ww_path *path);
/* Looks for another path while the one in use stays, as a lost one makes it do by itself: a client
 * starts a second agent, a server asks its client for that. Nothing before `connected`. */
void ww_peer_change_path(struct ww_peer *peer);
/* A client with a fast lane: the other side is asked for a sign of life, and WW_PATH_IS_HEARD
 * follows when there is one, WW_PATH_IS_DOUBTED and so on when there is none. */
void ww_peer_ask(struct ww_peer *peer);
/* The loop's time when something sound last came by the path in use; 0: nothing did. */
uint64_t ww_peer_heard_us(const struct ww_peer *peer);
/* Signals get through again after they did not: what is under way is signalled anew. */
void ww_net_signals_again(struct ww_net *net);
/* "none", "host", "srflx", "prflx", "relay". */
const char *ww_path_kind_name(enum ww_path_kind kind);

/* --- the fast lane --------------------------------------------------------------------------- */

/* Messages straight in DTLS records, beside the data channels, between two nodes of ours that both
 * have allow_fast (docs/internals/fast.md). Known from `connected` on, and then for good. */
bool ww_peer_has_fast(const struct ww_peer *peer);
/* Copies the message, `head` followed by `payload` (which may be NULL if its size is 0), 1 to
 * WW_FAST_MESSAGE_BYTES_MAX together. It comes once and in order. WW_EAGAIN: no room, wait for
 * `writable`; WW_EUNSUPPORTED: no fast lane, or not connected; WW_ETOOBIG, WW_EINVAL, WW_ENOMEM,
 * WW_ECLOSED. */
int ww_peer_send(struct ww_peer *peer, const uint8_t *head, size_t head_size,
                 const uint8_t *payload, size_t payload_size);
/* The most bytes that a datagram may have to travel in one record on this path; 0: no fast lane. */
size_t ww_peer_record_room(const struct ww_peer *peer);
/* Likewise, up to WW_FAST_DATAGRAM_BYTES_MAX; it may be lost, or overtaken. WW_EAGAIN: dropped.
 * `mark` goes with it where the path carries marks and what shares its record can be marked, too.
 * `room`: so many bytes before the payload are the caller's and may be written to, with the payload
 * behind them, so that a large one needn't be copied; 0 otherwise. */
int ww_peer_send_datagram(struct ww_peer *peer, const uint8_t *head, size_t head_size,
                          const uint8_t *payload, size_t payload_size, enum ww_ecn mark,
                          size_t room);

/* --- channels -------------------------------------------------------------------------------- */

enum ww_channel_kind { WW_CHANNEL_TEXT, WW_CHANNEL_BINARY };

struct ww_channel_callbacks {
    /* The other side knows the channel (it acknowledged). Never called for accepted ones. */
    void (*open)(void *arg);
    /* A whole message; `data` is borrowed, and writable, until return. size 0 to
     * WW_CHANNEL_MESSAGE_BYTES_MAX. */
    void (*message)(void *arg, enum ww_channel_kind kind, void *data, size_t size);
    /* After a WW_EAGAIN: half of the send buffer is free again. */
    void (*writable)(void *arg);
    /* Closed by the other side (0), or lost with the peer (its code). The handle is gone when
     * this returns. Not called after ww_channel_close. */
    void (*closed)(void *arg, int code);
};

struct ww_channel_config {
    const char *label;    /* UTF-8, copied, at most WW_CHANNEL_LABEL_BYTES_MAX; NULL: "" */
    const char *protocol; /* as above */
    bool unordered;
    int max_retransmits; /* -1: reliable; else a message is given up after so many, 0 to 65535 */
};

/* Opens a channel on a connected peer; messages may be sent at once. Any callback may be NULL.
 * WW_EAGAIN (not connected yet), WW_ECLOSED, WW_ELIMIT (no stream is free), WW_ETOOBIG, WW_ENOMEM.
 * The handle is owned by the peer and valid until ww_channel_close or `closed`. */
int ww_channel_open(struct ww_peer *peer, const struct ww_channel_config *config,
                    const struct ww_channel_callbacks *callbacks, void *arg,
                    struct ww_channel **channel);
/* Gives a channel that the other side opened its callbacks (copied). May also replace them. */
void ww_channel_accept(struct ww_channel *channel, const struct ww_channel_callbacks *callbacks,
                       void *arg);
/* Copies the message into SCTP's send buffer. WW_EAGAIN when it (WW_SCTP_SEND_BYTES, shared by the
 * peer's channels) is too full: wait for `writable`. WW_ETOOBIG, WW_ECLOSED. */
int ww_channel_send(struct ww_channel *channel, enum ww_channel_kind kind, const void *data,
                    size_t size);
/* Bytes of the peer's send buffer that are in use, of all its channels. */
size_t ww_channel_buffered(const struct ww_channel *channel);
/* Resets the stream once what was sent before is delivered; no callback follows. The number is
 * used again when the other side has reset its direction, too. */
void ww_channel_close(struct ww_channel *channel);
const char *ww_channel_label(const struct ww_channel *channel);
const char *ww_channel_protocol(const struct ww_channel *channel);
uint16_t ww_channel_number(const struct ww_channel *channel); /* the SCTP stream */
bool ww_channel_is_unordered(const struct ww_channel *channel);
/* False if whoever opened it lets messages be given up, after a count or a time. */
bool ww_channel_is_reliable(const struct ww_channel *channel);
