/* The inside of the transfer room: what one connection remembers, and what its files ask of each
 * other. Relies on wire and base only. Nothing here allocates per message; a function that calls a
 * callback says so, because after a callback any stream pointer may be gone. */
#pragma once
#include <sys/queue.h>

#include "ww/transfer.h"

#define WW_TRANSFER_CONTRACTS                                                                      \
    4 /* one current, one ready, one ending, and one to spare for a crossing */
#define WW_TRANSFER_BUCKET_BITS 10 /* as many buckets as there may be streams */
#define WW_TRANSFER_BUCKETS     (1 << WW_TRANSFER_BUCKET_BITS)
#define WW_TRANSFER_REFUSALS    4 /* refusals that wait for the lane */
#define WW_TRANSFER_WORDS       (WW_SENT_RECORDS_MAX / 64)
#define WW_TRANSFER_NO_INDEX    UINT64_MAX

/* A receipt of the peer's: what it says, and the bytes that were signed. */
struct transfer_proof {
    struct ww_receipt says;
    size_t size; /* 0: none */
    uint8_t bytes[WW_RECEIPT_BYTES_MAX];
};

struct transfer_contract {
    struct ww_id id;
    uint32_t serial; /* never 0, names it in sent records */
    bool in_use;
    bool is_opened;    /* client: OPENED came. provider: accepted by its owner */
    bool is_announced; /* OPENED is on its way (provider) or here (client): messages may flow */
    bool is_confirmed; /* provider: the arbiter knows of the opening */
    bool is_wanted_told;
    bool open_due, opened_due, allowance_due, end_due, ended_due;
    uint8_t token[WW_TOKEN_BYTES_MAX];
    size_t token_size;
    uint8_t signature[WW_SIGNATURE_BYTES];
    uint8_t peer_epoch[WW_EPOCH_SIZE];
    uint64_t bytes_max;
    uint64_t window_max; /* cap on what the provider carries unreceipted */
    uint64_t allowance;
    uint64_t awaited_us; /* client: since when everything waits for OPENED; 0: it does not */

    bool is_closing;    /* to be ended as soon as it is open */
    bool is_lossy;      /* ... since too much of what was sent under it was lost */
    bool is_ended_here; /* our END is decided: nothing more is sent under it */
    uint64_t send_end;  /* first index of ours that is no longer under it */
    uint64_t bytes_sent, bytes_acknowledged;
    uint64_t bytes_lost;        /* of bytes_sent: datagrams that were given up */
    uint64_t stream_bytes_sent; /* those of bytes_sent that can't be lost */
    uint64_t end_us;

    bool is_ended_there;  /* the peer's END came, on either lane */
    bool is_end_ordered;  /* ... on the reliable lane, so every reliable message is here */
    uint64_t receive_end; /* first index of the peer that is no longer under it */
    uint64_t bytes_received, messages_received;
    uint64_t datagram_bytes_received;
    uint64_t drain_us;

    bool is_frozen; /* our ENDED is decided: what we received is final */
    bool is_ended_sent, is_confirmed_ended;
    uint64_t ended_nonce;
    uint64_t repeat_us, repeat_interval_us;
    bool has_peer_ended;
    uint64_t peer_ended_bytes;

    /* our receipts */
    uint64_t receipt_sequence;                       /* of the last one that was begun … */
    uint64_t receipt_received, receipt_acknowledged; /* … and what it says */
    uint64_t receipt_us;                             /* the next is due by then; 0: nothing new */
    uint64_t sign_retry_us;
    bool is_signing;
    bool is_last_word; /* no receipt follows that one */
    bool is_receipt_unsent;
    uint8_t receipt[WW_RECEIPT_BYTES_MAX];
    size_t receipt_size;

    /* the peer's */
    struct transfer_proof came, proven;   /* the newest that came; the newest that was verified */
    uint8_t second[WW_RECEIPT_BYTES_MAX]; /* contradicts `proven`: the connection ended by it */
    size_t second_size;
    uint64_t verify_retry_us;
    bool is_verifying;

    uint64_t first_us, last_us;
};

/* One sent message that is not acknowledged; 16 bytes, as there may be many. */
struct transfer_record {
    uint64_t sent_us;
    uint32_t serial;
    uint32_t cost : 30;
    uint32_t is_acknowledged : 1;
    uint32_t is_datagram : 1;
};

struct transfer_stream {
    LIST_ENTRY(transfer_stream) bucket;
    TAILQ_ENTRY(transfer_stream) control;
    TAILQ_ENTRY(transfer_stream) waiting;
    uint64_t id;
    struct ww_dest dest; /* destination (client, until sent), then the local address (provider) */
    bool is_flow, is_accepted; /* datagrams or packets; both */
    bool is_packets;
    bool is_zombie; /* reset by us; only the RESET has still to be sent */
    bool is_in_control, is_waiting;
    bool open_due, opened_due, credit_due, reset_due;
    int32_t reset_code;
    bool wants_write; /* the owner was told "short": it hears of stream_writable */
    size_t wanted;    /* … of packets: once one of this size can go */
    bool fin_wanted, fin_sent, fin_received;
    uint64_t send_offset, send_credit;
    uint64_t receive_offset, consumed, receive_credit;
    uint64_t credit_us; /* when more was given last */
    unsigned doublings; /* of its window */
};
LIST_HEAD(transfer_bucket, transfer_stream);
TAILQ_HEAD(transfer_queue, transfer_stream);

struct transfer_refusal {
    struct ww_id id;
    int32_t code;
    char reason[WW_REASON_BYTES_MAX];
    size_t reason_size;
};

struct ww_transfer {
    struct ww_transfer_callbacks callbacks;
    void *arg;
    struct ww_transfer_config config;
    bool is_client;
    bool is_dead;               /* failed, aborted or lost */
    bool is_lane_full;          /* send said WW_EAGAIN; ww_transfer_writable clears it */
    bool is_datagram_lane_full; /* likewise, while packets wait; and for no longer than … */
    uint64_t datagram_lane_us;  /* … until then, since a lane need not say that it takes them */
    bool is_control_due;
    bool is_again; /* a callback made work: pump once more */
    unsigned depth;
    uint64_t now_us;
    struct ww_buf frame_bytes; /* one control message; reserved once */

    /* sent direction */
    struct transfer_record *records;
    size_t record_capacity; /* a power of two, at most WW_SENT_RECORDS_MAX */
    uint64_t send_lowest, send_next, send_announced;
    uint64_t acknowledged_bits[WW_TRANSFER_WORDS]; /* so that a repeat costs no walk */
    uint64_t proven_bytes;                         /* by the peer's receipts, all contracts */
    uint64_t receipted_bytes;                      /* by ours, likewise */

    /* received direction */
    uint64_t receive_floor;    /* every index below it is received or forgotten */
    uint64_t receive_high;     /* one above the highest received */
    uint64_t receive_reliable; /* the reliable lane may carry nothing below it */
    uint64_t receive_boundary; /* everything below it is of contracts that are over */
    uint64_t peer_lowest;
    uint64_t received_bits[WW_TRANSFER_WORDS];
    bool is_ack_due;
    unsigned ack_count;
    uint64_t ack_us;

    /* round trip, and what fits into one */
    uint64_t rtt_us;
    uint64_t ping_nonce, ping_sent_us, ping_us, pong_nonce;
    bool is_ping_due, is_pong_due, has_traffic;
    uint64_t rate_bytes, rate_us, bandwidth_delay;

    /* contracts, in the order of their index ranges */
    struct transfer_contract pool[WW_TRANSFER_CONTRACTS];
    struct transfer_contract *contracts[WW_TRANSFER_CONTRACTS];
    size_t contract_count;
    uint32_t serial;
    bool is_open_pending; /* provider: its owner has an OPEN to answer */
    uint8_t open_epoch[WW_EPOCH_SIZE];
    bool had_contract; /* provider: one was announced before */
    struct transfer_refusal refusals[WW_TRANSFER_REFUSALS];
    size_t refusal_count;

    /* declarations */
    uint8_t declaration[WW_DECLARATION_BYTES_MAX]; /* client: one that waits for the lane */
    size_t declaration_size;                       /* 0: none */
    uint64_t declaration_batch;                    /* provider: of the newest that came */
    struct ww_id last_contract;                    /* that was removed */

    /* provider: what was sent lately, and of it given up: the last half and the one before */
    struct transfer_loss {
        uint64_t sent, lost;
    } loss, loss_before;
    bool is_lossy; /* too much of it: the current contract is to be ended */

    /* streams */
    struct transfer_bucket buckets[WW_TRANSFER_BUCKETS];
    struct transfer_queue control;      /* streams with a control frame to send */
    struct transfer_queue waiting;      /* streams that could send, but for lane or budget */
    const struct transfer_stream *turn; /* the stream whose turn it is; compared only */
    size_t turn_bytes;                  /* what it may still send while others wait */
    struct transfer_stream *packets;    /* the packets' flow, or NULL */
    size_t packet_limit;                /* the peer takes super-packets up to this size; 0: none */
    uint64_t datagram_most;             /* the most that one has cost which came */
    uint64_t next_stream_id;
    size_t stream_count;
    uint64_t metered_credit; /* given while no contract was confirmed */
    uint64_t credit_bytes;   /* given to all streams and not consumed yet */
    uint64_t unread_bytes;   /* those of credit_bytes that came on streams which are over */
    uint64_t stray_bytes;    /* client: what may still come for streams that it has reset … */
    uint64_t stray_nonce;    /* … until this PING is answered */

    struct ww_transfer_stats stats;
};

static inline uint64_t transfer_cost(size_t size)
{
    return size ? size : 1; /* protocol: a message costs at least 1 */
}

/* --- transfer.c ------------------------------------------------------------------------------- */
/* The connection is over: calls `failed` once. */
void ww_transfer_fail(struct ww_transfer *t, int code, const char *why);
void ww_transfer_enter(struct ww_transfer *t, uint64_t now_us);
/* The outermost leave does the work that is due; `may_run`: also calls stream_writable. */
void ww_transfer_leave(struct ww_transfer *t, bool may_run);
/* max(2 round trips, 200 ms) */
uint64_t ww_transfer_drain_time(const struct ww_transfer *t);
void ww_transfer_round_trip(struct ww_transfer *t, uint64_t sample_us, bool is_ping);

/* --- index.c ---------------------------------------------------------------------------------- */
bool ww_transfer_index_has_room(struct ww_transfer *t);
void ww_transfer_index_sent(struct ww_transfer *t, struct transfer_contract *contract, size_t size,
                            bool is_datagram);
int ww_transfer_index_acknowledge(struct ww_transfer *t, const struct ww_frame *frame);
/* Gives up datagrams that are unacknowledged for too long, or belong to `serial` (0: none). */
void ww_transfer_index_expire(struct ww_transfer *t, uint32_t serial);
uint64_t ww_transfer_index_expires_us(const struct ww_transfer *t);
/* WW_EEXIST: seen or forgotten; WW_ERANGE: beyond the window. */
int ww_transfer_index_check(const struct ww_transfer *t, uint64_t index);
void ww_transfer_index_received(struct ww_transfer *t, uint64_t index);
int ww_transfer_index_forget(struct ww_transfer *t, uint64_t lowest);
void ww_transfer_index_fill_ack(const struct ww_transfer *t, struct ww_frame *frame);

/* --- contract.c ------------------------------------------------------------------------------- */
struct transfer_contract *ww_transfer_contract_find(struct ww_transfer *t, const struct ww_id *id);
struct transfer_contract *ww_transfer_contract_serial(struct ww_transfer *t, uint32_t serial);
/* The contract that a received index belongs to, or NULL: none, or over. */
struct transfer_contract *ww_transfer_contract_of(struct ww_transfer *t, uint64_t index);
/* The contract for the next message of cost `want`; *room is what fits, >= 1. Ends the current
 * one if that is due. NULL: nothing can be sent now. */
struct transfer_contract *ww_transfer_contract_for_sending(struct ww_transfer *t, uint64_t want,
                                                           uint64_t *room);
bool ww_transfer_contract_is_open(const struct ww_transfer *t);
/* Client: 0 if a contract may be offered now, else why not. */
int ww_transfer_contract_check_offer(const struct ww_transfer *t);
bool ww_transfer_contract_is_metered(const struct ww_transfer *t);
void ww_transfer_contract_counts(const struct ww_transfer *t,
                                 const struct transfer_contract *contract,
                                 struct ww_transfer_counts *counts);
void ww_transfer_contract_touch(struct ww_transfer *t, struct transfer_contract *contract);
void ww_transfer_contract_on_opened(struct ww_transfer *t, const struct ww_frame *frame);
void ww_transfer_contract_on_refused(struct ww_transfer *t, const struct ww_frame *frame);
void ww_transfer_contract_on_open(struct ww_transfer *t, const struct ww_frame *frame);
void ww_transfer_contract_on_allowance(struct ww_transfer *t, const struct ww_frame *frame);

/* --- settle.c --------------------------------------------------------------------------------- */
void ww_transfer_settle_end(struct ww_transfer *t, struct transfer_contract *contract);
void ww_transfer_settle_on_end(struct ww_transfer *t, enum ww_lane lane,
                               const struct ww_frame *frame);
void ww_transfer_settle_on_ended(struct ww_transfer *t, const struct ww_frame *frame);
void ww_transfer_settle_on_pong(struct ww_transfer *t, uint64_t nonce);
/* Ends, drains, confirms, grants and asks for more, as due. May call contract_ended and
 * contract_wanted. */
void ww_transfer_settle_step(struct ww_transfer *t);
uint64_t ww_transfer_settle_next_us(const struct ww_transfer *t);
/* Forgets the contract; the caller reports it. */
void ww_transfer_settle_remove(struct ww_transfer *t, struct transfer_contract *contract);
/* Client: the first allowance of a contract. */
void ww_transfer_settle_grant_first(struct ww_transfer *t, struct transfer_contract *contract);
/* Upper estimate of what the peer sent under the contract, lost datagrams included. */
uint64_t ww_transfer_settle_estimate(const struct ww_transfer *t,
                                     const struct transfer_contract *contract);

/* --- receipt.c -------------------------------------------------------------------------------- */
/* Provider: what it carries without a receipt is below its window. A client needs none. */
void ww_transfer_receipt_window(const struct ww_transfer *t, uint64_t *carried, uint64_t *window);
bool ww_transfer_receipt_has_window(const struct ww_transfer *t);
/* Provider: brings the counts of a contract that was cut off within the most that it may claim, the
 * client's receipts and the window cap. More is a fault, and is not paid. */
void ww_transfer_receipt_bound(const struct ww_transfer *t,
                               const struct transfer_contract *contract,
                               struct ww_transfer_counts *counts);
void ww_transfer_receipt_came(struct ww_transfer *t, const struct ww_frame *frame);
/* What is wrong with an ENDED of so many bytes, by the receipts that came; NULL: nothing. */
const char *ww_transfer_receipt_fault_of_end(const struct ww_transfer *t,
                                             const struct transfer_contract *contract,
                                             uint64_t bytes);
/* The newest that came was not verified yet. */
bool ww_transfer_receipt_is_pending(const struct transfer_contract *contract);
/* Calls receipt_due and receipt_came as due. */
void ww_transfer_receipt_step(struct ww_transfer *t);
uint64_t ww_transfer_receipt_next_us(const struct ww_transfer *t);

/* --- declaration.c ---------------------------------------------------------------------------- */
void ww_transfer_declaration_came(struct ww_transfer *t, const struct ww_frame *frame);

/* --- stream.c --------------------------------------------------------------------------------- */
struct transfer_stream *ww_transfer_stream_find(const struct ww_transfer *t, uint64_t id);
void ww_transfer_stream_free(struct ww_transfer *t, struct transfer_stream *stream);
void ww_transfer_stream_free_if_done(struct ww_transfer *t, struct transfer_stream *stream);
/* The stream has a control frame to send. */
void ww_transfer_stream_control(struct ww_transfer *t, struct transfer_stream *stream);
uint64_t ww_transfer_stream_credit_target(const struct ww_transfer *t,
                                          const struct transfer_stream *stream);
/* Looks again at every stream's credit, after the meter was lifted. */
void ww_transfer_stream_refresh_credit(struct ww_transfer *t);
void ww_transfer_stream_on_open(struct ww_transfer *t, const struct ww_frame *frame);
void ww_transfer_stream_on_opened(struct ww_transfer *t, const struct ww_frame *frame);
void ww_transfer_stream_on_reset(struct ww_transfer *t, const struct ww_frame *frame);
void ww_transfer_stream_on_credit(struct ww_transfer *t, const struct ww_frame *frame);

/* --- waiting.c -------------------------------------------------------------------------------- */
void ww_transfer_waiting_add(struct ww_transfer *t, struct transfer_stream *stream);
/* Stream by stream in turn while the lane takes more. Calls stream_writable. */
void ww_transfer_waiting_run(struct ww_transfer *t);
bool ww_transfer_waiting_can_run(struct ww_transfer *t);

/* --- control.c -------------------------------------------------------------------------------- */
/* One message on the lane; 0, WW_EAGAIN, WW_ECLOSED (failed was called). */
int ww_transfer_control_emit(struct ww_transfer *t, enum ww_lane lane, const uint8_t *head,
                             size_t head_size, const uint8_t *payload, size_t payload_size);
/* Sends every control frame that is due, in the order that the rules need. False: the lane is
 * full or gone. */
bool ww_transfer_control_flush(struct ww_transfer *t);
/* Encodes a frame into t->frame_bytes behind what is there. */
bool ww_transfer_control_put(struct ww_transfer *t, const struct ww_frame *frame);
