/* Two ends of one connection in memory: a reliable ordered lane with bounded room and a rate, a
 * datagram lane that loses, delays, reorders and repeats, applications that send and check a known
 * pattern, and owners that buy, accept and confirm contracts. Virtual time; every run follows from
 * its seed. Uses malloc, so that ww_alloc_count sees transfer alone. */
#pragma once
#include "ww/transfer.h"

#define SIM_STREAMS   1100
#define SIM_CONTRACTS 4096

enum sim_side { SIM_CLIENT, SIM_PROVIDER };

struct sim_message {
    struct sim_message *next;
    uint64_t at_us;
    size_t size;
    uint8_t bytes[];
};

struct sim_lane {
    struct sim_message *head; /* ordered by at_us */
    size_t queued_bytes;
    uint64_t last_us; /* when the last reliable message is through */
};

struct sim_contract {
    struct ww_id id;
    struct ww_transfer_counts counts;
    bool is_clean;
};

/* One side's half of one stream or flow. */
struct sim_half {
    bool is_known, is_flow, is_accepted;
    bool is_packets;        /* a flow, of IP packets */
    uint64_t packets_later; /* that had to wait, and were dropped for it */
    bool is_paused;         /* a reader that gives no credit */
    bool was_reset;
    int reset_code;
    uint64_t to_send, sent;
    bool with_fin, fin_sent;
    uint64_t received, unread;
    bool fin_received;
    uint64_t writable_calls;
    uint64_t datagrams_received;
};

struct sim_end {
    struct sim *sim;
    enum sim_side side;
    struct ww_transfer *transfer;
    struct sim_lane lanes[2]; /* towards the peer */
    bool is_blocked;          /* send answered WW_EAGAIN on the reliable lane */
    uint64_t tick_us;
    struct sim_half streams[SIM_STREAMS];
    struct sim_contract ended[SIM_CONTRACTS];
    size_t ended_count;
    int failed_code;
    char failed_why[128];
    unsigned wanted_count, opened_count, refused_count, open_count;
    unsigned receipts_signed;
    unsigned declarations;
    uint64_t last_batch;
    int refused_code;
    /* A provider: what it carried after the last event, and under which contract it sent. */
    uint64_t unreceipted_bytes;
    struct ww_id current;
    uint64_t bytes_delivered; /* payload handed to this side's application, by cost */
};

enum sim_action_kind { SIM_ACCEPT, SIM_CONFIRM, SIM_OFFER, SIM_CONNECT, SIM_SIGN, SIM_VERIFY };
struct sim_action {
    uint64_t at_us;
    enum sim_action_kind kind;
    struct ww_token terms;
    uint64_t stream_id;
    enum sim_side side; /* SIM_SIGN, SIM_VERIFY: of the owner, and the receipt */
    size_t size;
    uint8_t bytes[WW_RECEIPT_BYTES_MAX];
};

/* Owners that are somebody else's (tests/sim); without them those of this rig. */
struct sim_owner {
    void *arg;
    /* Provider: an OPEN came. 0, or the code to refuse it with. */
    int (*opening)(void *arg, const struct ww_token *terms);
    void (*sign)(void *arg, enum sim_side side, const uint8_t *bytes, size_t size,
                 uint8_t signature[WW_SIGNATURE_BYTES]);
    /* 0 or WW_EAUTH; the signature is the end of the bytes. */
    int (*verify)(void *arg, enum sim_side signer, const uint8_t *bytes, size_t size);
    /* Provider: a declaration came, not verified; both are borrowed. */
    void (*declared)(void *arg, const struct ww_declaration *declaration, const uint8_t *bytes,
                     size_t size);
};

struct sim {
    struct sim_end ends[2];
    const struct sim_owner *owner; /* borrowed, or NULL */
    uint8_t epochs[2][WW_EPOCH_SIZE];
    struct ww_prng prng;
    uint64_t now_us;
    struct sim_action actions[2048];
    size_t action_count;
    uint64_t next_contract;

    /* settings */
    uint64_t delay_us, jitter_us;  /* one way; jitter of the datagram lane */
    uint64_t bytes_per_second;     /* of the reliable lane, 0: unlimited */
    size_t lane_bytes;             /* room of the reliable lane */
    uint32_t loss_ppm, repeat_ppm; /* datagram lane */
    uint64_t contract_bytes;
    uint64_t offer_us, accept_us, confirm_us; /* how long owners take; UINT64_MAX: never */
    uint64_t connect_us;
    uint64_t pool_us;        /* how long a signature takes, or its check */
    unsigned pool_faults;    /* so many of the next ones fail for lack of memory */
    bool is_renewing;        /* the client buys the next contract when it is wanted */
    int send_code;           /* what every send answers, unless 0 */
    int refuse_code;         /* the provider refuses with it */
    bool is_unchecked;       /* what is injected does not follow the pattern */
    bool is_bad_signature;   /* the client finds OPENED wrong */
    uint64_t provider_bytes; /* what the provider sends on each stream that is opened */
    bool provider_fin;
    bool is_with_packets; /* a flow is the packets' flow, while there is none */
};

/* Sensible settings; both ends exist. Asserts on failure unless may_fail. */
struct sim *sim_create(uint64_t seed);
struct sim *sim_try_create(uint64_t seed); /* NULL when memory ran out */
/* With the two sides' boot epochs, and an owner that is borrowed (both may be NULL). */
struct sim *sim_try_create_for(uint64_t seed, const uint8_t epochs[2][WW_EPOCH_SIZE],
                               const struct sim_owner *owner);
void sim_destroy(struct sim *sim);
/* The client offers a contract of sim->contract_bytes now. */
int sim_offer(struct sim *sim);
/* The client opens a stream (or a flow), and both sides will send so much on it. */
int sim_open(struct sim *sim, bool is_flow, uint64_t bytes_up, bool fin, uint64_t *id);
/* Adds to what a side sends on a stream, and tries at once. */
void sim_send(struct sim *sim, enum sim_side side, uint64_t id, uint64_t bytes, bool fin);
int sim_datagram(struct sim *sim, enum sim_side side, uint64_t id, size_t size);
/* Lets a paused reader go on. */
void sim_resume(struct sim *sim, enum sim_side side, uint64_t id);
/* One event; false if there is none before until_us (the clock then is until_us). */
bool sim_step(struct sim *sim, uint64_t until_us);
void sim_run(struct sim *sim, uint64_t duration_us);
/* Runs until every stream's bytes have arrived, asserting that it takes at most duration_us. */
void sim_run_until_delivered(struct sim *sim, uint64_t duration_us);
bool sim_is_delivered(const struct sim *sim);
/* Ends contracts from the client's side, runs, and asserts that both sides agree on each. */
void sim_finish(struct sim *sim);
void sim_assert_equal_counts(const struct sim *sim);
/* Puts bytes of a frame on the lane as if `side` had sent them. */
void sim_inject(struct sim *sim, enum sim_side side, enum ww_lane lane,
                const struct ww_frame *frame);
/* A receipt with the signature that `side` would give it; and as a frame of that side's. */
size_t sim_sign_receipt(enum sim_side side, const struct ww_receipt *receipt,
                        uint8_t bytes[WW_RECEIPT_BYTES_MAX]);
void sim_inject_receipt(struct sim *sim, enum sim_side side, const struct ww_receipt *receipt);
/* What that side would say: sequence, next index, received, acknowledged; the contract is not set.
 */
struct ww_receipt sim_receipt(enum sim_side side, uint64_t sequence, uint64_t next_index,
                              uint64_t received, uint64_t acknowledged);
/* Each contract that ended has the receipt that proves its counts. */
void sim_assert_receipts(const struct sim *sim);
/* Between the files: the owners' callbacks for receipts, and what they meant to do. */
void sim_on_receipt_due(void *arg, const struct ww_receipt *receipt);
void sim_on_receipt_came(void *arg, const struct ww_id *id, const uint8_t *bytes, size_t size);
void sim_act_receipt(struct sim *sim, const struct sim_action *action);
void sim_add_action(struct sim *sim, uint64_t after_us, const struct sim_action *action);
/* Likewise: hands over the first message of a lane; does what an owner meant to do. */
void sim_deliver(struct sim_end *end, enum ww_lane kind);
void sim_act(struct sim *sim, const struct sim_action *action);
uint64_t sim_random(struct sim *sim, uint64_t low, uint64_t high);
struct ww_dest sim_dest(bool is_flow);
