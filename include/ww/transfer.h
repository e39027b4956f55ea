/* Transfer: indexed messages, acknowledgements, flow control and contracts on one connection.
 *
 * A pure state machine: no clock, no socket, no key, no policy. Its owner hands it what arrived
 * (ww_transfer_receive) and the time, and gets calls to send and to deliver. One per connection
 * (per DTLS association); roles differ: the client opens streams and contracts, and owns the
 * budget. The sibling of nothing: it uses wire only.
 *
 * Every message (DATA, DATAGRAM, PACKET) has an index, consecutive per direction, and belongs to
 * exactly one contract; bytes of a contract = payload bytes that their receiver acknowledged, per
 * direction; a message costs at least 1. Control frames cost nothing.
 *
 * Glossary: lane - where a frame travels: reliable (ordered) or datagram (unordered, lossy);
 *           current, ready, ending - the at most three contracts of a connection;
 *           allowance - cumulative bytes that the client lets the provider send under a contract;
 *           credit - cumulative bytes of one stream that its receiver has room for.
 * Thread: the owner's. From inside a callback every function may be called but create, receive,
 * writable, tick, lost and destroy. stream_writable is never called from inside stream_write.
 * Amounts are bytes, times microseconds of one monotonic clock. docs/internals/transfer.md has
 * the rules and state diagrams.
 */
#pragma once
#include "ww/offload.h"
#include "ww/wire.h"

struct ww_transfer;

enum ww_transfer_role { WW_TRANSFER_CLIENT, WW_TRANSFER_PROVIDER };
enum ww_lane { WW_LANE_RELIABLE, WW_LANE_DATAGRAM };

/* Counts of one contract at one side. Both sides' must come out equal. */
struct ww_transfer_counts {
    uint64_t bytes_up, bytes_down; /* client → provider, provider → client */
    uint64_t first_us, last_us;    /* of the first and last message, the caller's clock; 0 none */
    bool is_lossy;                 /* the provider ended it since too much was lost */
    size_t receipt_size;           /* the peer's newest verified receipt, 0: none */
    uint8_t receipt[WW_RECEIPT_BYTES_MAX];
    size_t second_size; /* one that came later and contradicts it, not verified; 0: none */
    uint8_t second[WW_RECEIPT_BYTES_MAX];
};

struct ww_transfer_callbacks {
    /* Sends one message (head followed by payload; payload may be NULL). 0, or WW_EAGAIN
     * when the lane is full (then ww_transfer_writable is called later), or another error: the
     * connection is lost (`failed` follows). Datagram lane: WW_EAGAIN drops. All or nothing. Must
     * not call back into transfer. */
    int (*send)(void *arg, enum ww_lane lane, const uint8_t *head, size_t head_size,
                const uint8_t *payload, size_t payload_size);

    /* Provider: a STREAM_OPEN came. Answer now or later with ww_transfer_stream_accept or
     * _reset. Datagrams of a flow may come before it is accepted, bytes of a stream never. */
    void (*stream_opened)(void *arg, uint64_t stream_id, const struct ww_dest *dest);
    /* Client: the provider has connected; `local` is the address it used (may be unspecified). */
    void (*stream_accepted)(void *arg, uint64_t stream_id, const struct ww_dest *local);
    /* Bytes in order, borrowed. Take all of them (at most the stream's window waits for _consumed);
     * give credit back with ww_transfer_stream_consumed. fin: the last ones; size may then be 0. */
    void (*stream_data)(void *arg, uint64_t stream_id, const uint8_t *data, size_t size, bool fin);
    /* The stream can take more after a short write; or the packets' flow the packet that was put
     * off, or one of its size. */
    void (*stream_writable)(void *arg, uint64_t stream_id);
    /* Gone: reset by the peer or refused (code, 0 = cancelled), never after both sides have
     * finished, never for one's own reset. */
    void (*stream_reset)(void *arg, uint64_t stream_id, int code);
    /* One datagram of a UDP flow. */
    void (*datagram)(void *arg, uint64_t stream_id, const uint8_t *data, size_t size);
    /* One IP packet of the packets' flow, or a super-packet: any bytes, neither judged nor compared
     * with what offload says. Borrowed, and writable until return. NULL: packets are not for this
     * owner, who then refuses their flow. */
    void (*packet)(void *arg, uint64_t stream_id, uint8_t *packet, size_t size,
                   struct ww_offload offload);

    /* Provider: an OPEN came. Check the token, then ww_transfer_contract_accept or _refuse, now
     * or later; until then any further OPEN is refused with WW_ETOOMANY by transfer itself. */
    void (*contract_open)(void *arg, const uint8_t *token, size_t token_size,
                          const uint8_t epoch[WW_EPOCH_SIZE]);
    /* Client: OPENED (the owner verifies the signature, and calls ww_transfer_abort inside the
     * callback if it is wrong) or REFUSED. `reason` ends with a NUL and is borrowed. */
    void (*contract_opened)(void *arg, const struct ww_id *id, const uint8_t epoch[WW_EPOCH_SIZE],
                            const uint8_t signature[WW_SIGNATURE_BYTES]);
    void (*contract_refused)(void *arg, const struct ww_id *id, int code, const char *reason);
    /* Client: time for the next contract: a quarter of the bytes is neither sent nor granted, and
     * none is ready or offered. Once per contract; the hour before its expiry is the owner's. */
    void (*contract_wanted)(void *arg, uint64_t bytes_left);
    /* Both: the contract is over. `clean`: both ENDED were exchanged, counts are final. Else the
     * connection was lost: counts are what is known here; a provider's, at most what receipts
     * prove and the window cap of the contract. */
    void (*contract_ended)(void *arg, const struct ww_id *id,
                           const struct ww_transfer_counts *counts, bool clean);
    /* Both: sign this (all but its signature is set), and hand the encoded receipt to
     * ww_transfer_receipt_signed, now or later; there is one under way per contract. */
    void (*receipt_due)(void *arg, const struct ww_receipt *receipt);
    /* Both: the peer's receipt, whose numbers are plausible: verify its signature against the
     * peer's key (context "ww receipt 1") and hand it to ww_transfer_receipt_verified, now or
     * later; likewise. `bytes` are borrowed. */
    void (*receipt_came)(void *arg, const struct ww_id *id, const uint8_t *bytes, size_t size);
    /* Provider: a declaration of the client's came, of a contract of this connection and newer than
     * the last; its signature is not verified. Both are borrowed. */
    void (*declaration)(void *arg, const struct ww_declaration *declaration, const uint8_t *bytes,
                        size_t size);
    /* The peer broke the protocol (or the lane failed): nothing more is sent or delivered, the
     * owner closes the connection: ww_transfer_lost, then destroy, outside of callbacks. Once. */
    void (*failed)(void *arg, int code, const char *why);
};

struct ww_transfer_config {
    enum ww_transfer_role role;
    uint8_t epoch[WW_EPOCH_SIZE];
    uint64_t seed;                /* random and secret, as the peer chooses ids; 0 is for tests */
    uint64_t stream_window_bytes; /* 0 = WW_STREAM_WINDOW_BYTES */
    uint64_t allowance_bytes;     /* client: kept granted; 0 = WW_ALLOWANCE_MIN_BYTES */
};

/* WW_ENOMEM. callbacks are copied. */
int ww_transfer_create(const struct ww_transfer_config *config,
                       const struct ww_transfer_callbacks *callbacks, void *arg,
                       struct ww_transfer **transfer);
/* No callback is called. */
void ww_transfer_destroy(struct ww_transfer *transfer);

/* One message from the peer, borrowed; whoever gets its packet may write there. now_us is
 * monotonic. */
void ww_transfer_receive(struct ww_transfer *transfer, enum ww_lane lane, uint8_t *data,
                         size_t size, uint64_t now_us);
/* A lane can take more: sends what waits, then calls stream_writable in turn (fair:
 * round robin among blocked streams). */
void ww_transfer_writable(struct ww_transfer *transfer, uint64_t now_us);
/* Timers: acknowledgements, repeats, draining. Returns when it wants to be called next
 * (monotonic µs), UINT64_MAX for never. Also to be asked after receive and write. */
uint64_t ww_transfer_tick(struct ww_transfer *transfer, uint64_t now_us);
/* The connection is gone: contract_ended for each contract, an offered one too (clean only if both
 * ENDED had been exchanged before), stream_reset(code) for each stream. Only destroy may follow. */
void ww_transfer_lost(struct ww_transfer *transfer, int code, uint64_t now_us);
/* The owner found the peer wrong (say, the signature in OPENED): from now on nothing is sent or
 * delivered. ww_transfer_lost and destroy follow, outside of callbacks. */
void ww_transfer_abort(struct ww_transfer *transfer, int code);

/* --- streams and flows (client opens; ids increase from 0) ------------------------------------ */

/* Client: asks the provider to connect; the request waits for a contract that is only offered.
 * dest->protocol TCP makes a stream, UDP a flow of datagrams, IP the flow of packets, of which
 * there is one (WW_EEXIST). WW_ELIMIT, WW_ENOMEM, WW_ESTATE (a provider), WW_ENOCONTRACT (none open
 * or offered), WW_ECLOSED. */
int ww_transfer_stream_open(struct ww_transfer *transfer, const struct ww_dest *dest,
                            uint64_t *stream_id);
/* Provider: connected; `local` is the address used. WW_ENOTFOUND, WW_ESTATE (accepted already). */
int ww_transfer_stream_accept(struct ww_transfer *transfer, uint64_t stream_id,
                              const struct ww_dest *local);
/* Sends as much as fits (credit, budget, lane): *written <= size, a short write is followed by
 * stream_writable. With fin and *written == size this direction is ended (transfer itself sends
 * the mark later if need be). WW_ENOTFOUND, WW_ECLOSED (ended before, or the connection is),
 * WW_EINVAL (a flow), WW_ESTATE (provider: not yet accepted). */
int ww_transfer_stream_write(struct ww_transfer *transfer, uint64_t stream_id, const uint8_t *data,
                             size_t size, bool fin, uint64_t now_us, size_t *written);
/* The owner has passed `bytes` on: the peer gets credit. To be said of a stream that has ended in
 * both directions too: what it holds counts; but not of one that was reset. */
void ww_transfer_stream_consumed(struct ww_transfer *transfer, uint64_t stream_id, uint64_t bytes);
/* Abandons both directions, tells the peer; no callback follows. code: WW_E… or 0. */
void ww_transfer_stream_reset(struct ww_transfer *transfer, uint64_t stream_id, int code);
/* One datagram, at most WW_DATAGRAM_BYTES_MAX. WW_EAGAIN: dropped for lack of room or budget.
 * WW_ENOTFOUND, WW_EINVAL (a stream), WW_ETOOBIG, WW_ECLOSED. */
int ww_transfer_datagram_send(struct ww_transfer *transfer, uint64_t stream_id, const uint8_t *data,
                              size_t size, uint64_t now_us);
/* What goes in front of a datagram or a packet at most: its own head, and the END of each contract
 * that the peer may not know to have ended, of 26 bytes. */
#define WW_TRANSFER_ENDS_MAX 3
#define WW_TRANSFER_HEAD_MAX (WW_WIRE_DATA_HEAD_MAX + WW_TRANSFER_ENDS_MAX * 26)
/* The largest super-packet that the peer takes now, up to WW_PACKET_SUPER_BYTES_MAX; 0: it takes
 * none. */
size_t ww_transfer_packet_room(const struct ww_transfer *transfer);
/* One IP packet, at most WW_PACKET_BYTES_MAX, or a super-packet, at most ww_transfer_packet_room,
 * as datagrams are sent. It costs its bytes, so a super-packet's head counts once. WW_EAGAIN: not
 * sent, for lack of room or budget; it is the owner's to drop or to keep until stream_writable.
 * Other errors as for datagrams. */
int ww_transfer_packet_send(struct ww_transfer *transfer, uint64_t stream_id, const uint8_t *packet,
                            size_t size, struct ww_offload offload, uint64_t now_us);
size_t ww_transfer_stream_count(const struct ww_transfer *transfer);

/* --- contracts -------------------------------------------------------------------------------- */

/* Client: sends OPEN with the signed token (decoded in *terms; copied). WW_ETOOMANY (one is ready
 * or offered), WW_ESTATE (a provider, or while contract_end is at work), WW_ETOOBIG, WW_EINVAL,
 * WW_ECLOSED. */
int ww_transfer_contract_offer(struct ww_transfer *transfer, const uint8_t *token,
                               size_t token_size, const struct ww_token *terms, uint64_t now_us);
/* Provider: the answer to contract_open. OPENED of the connection's first contract is sent at once,
 * of a later one when it is confirmed: bytes that the client may already send by stream credit
 * can't be called back. WW_ESTATE (no OPEN waits), WW_EEXIST (the id is in use), WW_EINVAL. */
int ww_transfer_contract_accept(struct ww_transfer *transfer, const struct ww_token *terms,
                                const uint8_t signature[WW_SIGNATURE_BYTES], uint64_t now_us);
int ww_transfer_contract_refuse(struct ww_transfer *transfer, const struct ww_id *id, int code,
                                const char *reason);
/* Provider: the arbiter confirmed the opening; until then at most `WW_UNCONFIRMED_BYTES` are
 * served under it: half for what the client sends by credit, half for the rest. */
void ww_transfer_contract_confirmed(struct ww_transfer *transfer, const struct ww_id *id);
/* Ends the current contract and a ready one (contract_ended with zero counts), and one that is
 * offered as soon as it is answered; for a clean shutdown. Streams stay and wait for another
 * contract. A provider may call it too. WW_ENOTFOUND: there is none; WW_ECLOSED. */
int ww_transfer_contract_end(struct ww_transfer *transfer, uint64_t now_us);
/* Provider: the time of this contract, and so of those before it, is over: they end, and a later
 * one takes over. WW_ENOTFOUND, WW_ESTATE (a client), WW_ECLOSED. */
int ww_transfer_contract_expire(struct ww_transfer *transfer, const struct ww_id *id,
                                uint64_t now_us);

/* The answer to receipt_due. Size 0: it could not be signed; transfer asks again. Ignored if the
 * contract is over, or no answer is due. */
void ww_transfer_receipt_signed(struct ww_transfer *transfer, const struct ww_id *id,
                                const uint8_t *bytes, size_t size, uint64_t now_us);
/* The answer to receipt_came, with the bytes that it gave. rc: 0 the signature is right; WW_EAUTH
 * it is wrong (the connection fails); anything else: transfer asks again, for the newest. */
void ww_transfer_receipt_verified(struct ww_transfer *transfer, const struct ww_id *id,
                                  const uint8_t *bytes, size_t size, int rc, uint64_t now_us);

/* Client: sends a signed, encoded declaration (copied), behind the STREAM_OPENs that wait; streams
 * don't wait for it. Batches must rise on a connection. WW_EAGAIN: one waits for the lane already;
 * WW_ESTATE (a provider), WW_ETOOBIG, WW_ECLOSED. */
int ww_transfer_declare(struct ww_transfer *transfer, const uint8_t *bytes, size_t size,
                        uint64_t now_us);
bool ww_transfer_declaration_is_waiting(const struct ww_transfer *transfer);

enum ww_transfer_contract_state { WW_TC_OFFERED, WW_TC_READY, WW_TC_CURRENT, WW_TC_ENDING };
struct ww_transfer_contract_info {
    struct ww_id id;
    enum ww_transfer_contract_state state;
    uint64_t bytes_max;
    uint64_t allowance_bytes;         /* granted to the provider, cumulative */
    uint64_t sent_bytes;              /* by this side, lost ones included */
    struct ww_transfer_counts counts; /* of the sent direction: what is acknowledged or
                                       * receipted so far */
};
/* The contracts in order ending, current, ready, offered; returns how many (at most capacity). */
size_t ww_transfer_contracts(const struct ww_transfer *transfer,
                             struct ww_transfer_contract_info *out, size_t capacity);
struct ww_transfer_stats {
    uint64_t messages_sent, messages_received, bytes_sent, bytes_received;
    uint64_t datagrams_lost, datagrams_dropped, beyond_allowance; /* packets are datagrams */
    uint64_t packets_deferred;                                    /* WW_EAGAIN was said of them */
    uint64_t rtt_us;
    size_t streams;
    uint64_t foreign_messages; /* client: of streams that it never opened; never acknowledged */
    uint64_t bytes_acknowledged;
    uint64_t unreceipted_bytes;     /* provider: sent, neither receipted nor given up … */
    uint64_t window_bytes;          /* … and how much of that it carries; a client: 0 */
    uint64_t bandwidth_delay_bytes; /* client: measured, 0 while unknown */
};
void ww_transfer_stats(const struct ww_transfer *transfer, struct ww_transfer_stats *stats);
