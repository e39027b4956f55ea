/* A market in one process, driven by a seed: clients, providers and an arbiter with the real code
 * of transfer, contract and ledger, and simulated clocks, lanes, messages, disk and signatures.
 *
 * docs/internals/simulation.md says what is real, what is not, and what is checked. Nothing here
 * depends on real time or on the order of threads: a seed always gives the same run. Two clocks:
 * world->now_us goes on with everything, the wall clock may jump (world->jump_s).
 */
#pragma once
#include "transfer_sim.h"
#include "ww/book.h"
#include "ww/crypto.h"
#include "ww/ledger.h"
#include "ww/loop.h"
#include "ww/store.h"

#define WORLD_DEALS_MAX    96
#define WORLD_CLIENTS_MAX  6
#define WORLD_PARTIES_MAX  10
#define WORLD_NETWORKS_MAX 6
#define WORLD_MAIL_MAX     2048
#define WORLD_ASSETS       2
#define WORLD_CLOSE_BYTES  768 /* an encoded close, with a declaration */
#define WORLD_PROOF_BYTES  320 /* a declaration of a few destinations */

#define MS 1000ULL
#define S  1000000ULL

enum lie {
    LIE_NONE,
    LIE_SILENT, /* reports nothing */
    LIE_TWICE,  /* signs two closes that differ */
    LIE_UNDER,  /* a client: half of what it counted */
    LIE_SHAVE,  /* a client: 1 % less */
    LIE_NEVER,  /* a client: that it never opened */
    LIE_OVER,   /* a provider: half a window more */
    LIE_FAR,    /* a provider: far more */
    LIE_TAIL,   /* a provider: half a percent more */
    LIE_FORGE,  /* a provider: a receipt with higher numbers */
    LIE_STALE,  /* a provider: reports without the receipt */
    LIE_REPLAY, /* a provider: another contract's receipt */
    LIE_DENIED, /* a client: asks for a private address */
    LIE_INVENT, /* a provider: makes a declaration itself */
    LIE_BACK,   /* either: signs receipts that contradict each other */
    LIE_FRAME,  /* either: makes a second receipt of the other side itself */
};

struct party {
    bool is_provider, is_up;
    uint64_t down_until_us; /* crashed … */
    uint64_t cut_until_us;  /* … or cut off from the arbiter */
    enum lie lie;
    bool was_banned; /* by a verdict, or the operator; no longer owed anything */
    struct ww_hash node;
    size_t network;
    uint8_t epoch[WW_EPOCH_SIZE];
    uint64_t epochs, secret;
    struct ww_key *key; /* with real signatures only */
    struct ww_public_key *public_key;
    uint64_t wish_us; /* a client: when it asks for a contract next */
    uint64_t save_us; /* when it stores counts next */
    uint64_t away_us; /* when the arbiter and it could not talk, last */
};

enum side_state {
    SIDE_NONE,
    SIDE_TOKEN, /* a client: has the token */
    SIDE_OPEN,  /* durable: bytes may flow */
    SIDE_CLOSING,
    SIDE_DONE, /* the arbiter has the close */
};

/* A contract as one of its parties knows it. What is here is durable at the party. */
struct side {
    enum side_state state;
    struct ww_transfer_counts saved;
    bool was_opened, is_confirmed, is_clean;
    uint64_t retry_us, alive_us;
    unsigned closes_sent;
    size_t proof_size, second_size; /* a declaration that is proof; a contradicting receipt */
    uint8_t proof[WORLD_PROOF_BYTES], second[WW_RECEIPT_BYTES_MAX];
    struct ww_contract_close close; /* honest; lies are added when it is sent */
};

struct deal {
    struct ww_id id;
    size_t client, provider;
    struct side sides[2]; /* by ww_contract_party */
    size_t token_size;
    uint8_t token_bytes[WW_TOKEN_BYTES_MAX];
    struct ww_token token;
    struct ww_part parts[WORLD_ASSETS];
    size_t part_count;

    /* the arbiter's memory */
    bool is_live, is_verifying;
    struct ww_contract terms;

    /* What must be found in the books after a crash. */
    bool is_dirty, durable_live, durable_gone;
    size_t durable_size;
    uint8_t durable[WW_CONTRACT_RECORD_BYTES_MAX];

    /* For the oracle. */
    bool was_opened;          /* the arbiter has the opening, uncommitted or not */
    uint64_t signed_bytes[2]; /* the most that a party's receipts admit */
    /* The most of the client's receipts that came to the arbiter, and that it has kept. */
    uint64_t reached_bytes, durable_reached;
    uint64_t paid_bytes; /* 0 until it ended */
    uint64_t paid[WORLD_ASSETS], durable_paid[WORLD_ASSETS];
    uint64_t heard_us;  /* when the arbiter last took something from the provider */
    uint64_t recall_us; /* when it tells of a ban again */
    bool ended;         /* resolved, uncommitted or not */
};

enum mail_kind {
    MAIL_REQUEST, /* to the arbiter */
    MAIL_ANSWER,
    MAIL_OPENED,
    MAIL_ALIVE,
    MAIL_CLOSE,
    MAIL_OFFER, /* from it */
    MAIL_TOKEN,
    MAIL_REFUSED,
    MAIL_OPENED_DONE,
    MAIL_CLOSE_DONE,
    MAIL_GONE,
    MAIL_UNOPENED,
    MAIL_CUT,
};

struct mail {
    uint64_t at_us, order;
    enum mail_kind kind;
    size_t party, deal;
    size_t other;    /* REQUEST: the provider */
    uint64_t number; /* REQUEST: bytes; ANSWER: 0 declines, else the window */
    size_t size;
    uint8_t bytes[WORLD_CLOSE_BYTES];
    struct ww_contract_receipt second; /* CLOSE */
};

struct link {
    struct world *world;
    struct sim *sim; /* NULL: there is none */
    struct sim_owner owner;
    size_t client, provider;
    size_t seen[2]; /* endings handed on */
    unsigned wanted;
    uint64_t paused_until_us;
    uint64_t streams_left;
    bool is_ending;
    uint64_t batch;      /* of the client's declarations */
    struct deal *denied; /* its client has declared what the list denies */
};

/* A network as the arbiter knows it. */
struct standing {
    uint64_t day, paid, forgiven; /* that day, with others */
    uint64_t halvings, calm, disputes, strikes;
};

enum judge { JUDGE_RULES, JUDGE_RANDOM, JUDGE_NEVER };

struct arbiter_sim {
    struct ww_store *store;
    struct ww_loop *loop;
    struct ww_committer *committer;
    struct ww_ledger *ledger; /* NULL: it is down */
    uint64_t down_until_us, started_us, uptime_base_ms, uptime_put_ms;
    uint64_t tick_us, judge_us;
    bool is_dirty, is_torn;              /* the last write was torn */
    struct mail replies[WORLD_MAIL_MAX]; /* that wait for the commit */
    size_t reply_count;
    bool banned[WORLD_PARTIES_MAX], durable_banned[WORLD_PARTIES_MAX], cut_due;
};

struct world {
    uint64_t seed, step, now_us;
    int64_t jump_s;
    struct ww_prng prng;
    bool is_real_crypto, is_healed;
    bool is_given_up;             /* the books were damaged beyond repair, and it was noticed */
    uint32_t loss_ppm, fault_ppm; /* of the messages; of a slice */
    enum judge judge;
    uint32_t forgive_ppm;
    size_t client_count, party_count, network_count, deal_count, deals_wanted;
    struct party parties[WORLD_PARTIES_MAX];
    struct deal deals[WORLD_DEALS_MAX];
    struct link links[WORLD_CLIENTS_MAX]; /* by client */
    struct mail mails[WORLD_MAIL_MAX];
    size_t mail_count;
    uint64_t mail_order;
    struct arbiter_sim arbiter;
    struct standing standings[WORLD_NETWORKS_MAX], durable_standings[WORLD_NETWORKS_MAX];
    /* An honest provider got less than the receipt that it held and could not hand in, since it and
     * the arbiter could not talk: in the minute after a ban, for ten minutes, for a day. */
    uint64_t shorts[3];
    uint64_t repairs, durable_batches, denied, pairs, strikes, doublings, capped;
    uint64_t crashes, outages, disk_faults, disputes, bans, voids, settled, forgiven, equal_counts;
};

/* world.c */
void world_run(struct world *world, uint64_t seed);
uint64_t world_random(struct world *world, uint64_t low, uint64_t high);
bool world_chance(struct world *world, uint32_t ppm);
uint64_t world_wall_s(const struct world *world);
static inline enum ww_contract_party world_side(const struct deal *deal, size_t party)
{
    return party == deal->client ? WW_CONTRACT_CLIENT : WW_CONTRACT_PROVIDER;
}
static inline size_t world_party(const struct deal *deal, enum ww_contract_party side)
{
    return side == WW_CONTRACT_CLIENT ? deal->client : deal->provider;
}
/* The fact that a declaration is kept in until its contract is gone. */
#define WORLD_CASES    "~case/"
#define WORLD_CASE_KEY 32
const char *world_case_key(const struct world *world, const struct deal *deal,
                           char key[WORLD_CASE_KEY]);
/* Waits for the close of whoever is not banned. */
static inline bool world_is_cut(const struct deal *deal)
{
    return deal->is_live && deal->terms.ending == WW_CONTRACT_CUT &&
           deal->terms.state != WW_CONTRACT_DISPUTED;
}
/* The contract of an id that the arbiter has given; NULL for any other. */
struct deal *world_find(struct world *world, const struct ww_id *id);

/* trace.c: what happened, for the seed that fails. */
extern bool trace_is_verbose;
extern uint64_t trace_hash; /* of everything that was traced: equal runs have equal ones */
void trace_begin(struct world *world);
void trace_end(void);
void trace(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Tells seed, step and what came before, and ends the process. */
void trace_fail(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
#define CHECK(world, condition, ...)                                                               \
    do {                                                                                           \
        if (!(condition))                                                                          \
            trace_fail(world, __VA_ARGS__);                                                        \
    } while (0)

/* sign.c */
void sign_open(struct world *world);
void sign_close(struct world *world);
void sign_bytes(const struct party *party, const char *context, const uint8_t *bytes, size_t size,
                uint8_t signature[WW_SIGNATURE_BYTES]);
bool sign_is_good(const struct party *party, const char *context, const uint8_t *bytes, size_t size,
                  const uint8_t signature[WW_SIGNATURE_BYTES]);

/* mail.c */
void mail_send(struct world *world, const struct mail *mail);
/* Hands over what is due. */
void mail_deliver(struct world *world);

/* link.c */
int link_open(struct world *world, size_t client, size_t provider);
/* The connection is gone. A side whose process has ended (crashed: its number, or -1) is told
 * nothing. */
void link_break(struct link *link, int crashed);
void link_run(struct link *link, uint64_t duration_us);
int link_offer(struct link *link, struct deal *deal);
void link_confirm(struct world *world, struct deal *deal);
bool link_wants_contract(struct link *link);
void link_save(struct world *world, size_t party);

/* party.c */
void party_tick(struct world *world, size_t party);
void party_take(struct world *world, const struct mail *mail);
void party_crash(struct world *world, size_t party);
void party_start(struct world *world, size_t party);
void party_ended(struct world *world, struct deal *deal, enum ww_contract_party side,
                 const struct ww_transfer_counts *counts, bool clean);
/* lies.c: a receipt is being signed, and a liar signs another one besides. */
void lies_sign_second(struct world *world, struct deal *deal, enum ww_contract_party signer,
                      const struct ww_receipt *receipt);
/* The close as the party sends it; its size, 0 for nothing. */
size_t lies_encode_close(struct world *world, struct deal *deal, enum ww_contract_party side,
                         uint8_t bytes[WORLD_CLOSE_BYTES]);

/* arbiter.c */
void arbiter_sim_open(struct world *world);
void arbiter_sim_close(struct world *world);
void arbiter_sim_take(struct world *world, const struct mail *mail);
/* Ticks, judges, looks at signatures, commits, answers. */
void arbiter_sim_turn(struct world *world);
void arbiter_sim_crash(struct world *world);
void arbiter_sim_ban(struct world *world, size_t party);
void arbiter_sim_now(const struct world *world, struct ww_contract_event *event);
/* One step: contract, books, oracle. */
int arbiter_sim_apply(struct world *world, struct deal *deal, struct ww_contract_event *event);

/* court.c */
bool court_is_denied(void *arg, const struct ww_dest *dest);
/* The oracle's: a client's receipt has come to the arbiter. */
void court_note_receipt(struct world *world, struct deal *deal,
                        const struct ww_contract_receipt *receipt);
void court_verify(struct world *world, struct deal *deal);
void court_run(struct world *world);

/* standing.c */
void standing_begin(struct world *world);
uint64_t standing_window(const struct world *world, const struct deal *deal, uint64_t asked);
void standing_step(struct world *world, const struct deal *deal,
                   const struct ww_contract_outcome *outcome);
void standing_committed(struct world *world);
void standing_restarted(struct world *world);

/* oracle.c */
void oracle_step(struct world *world, struct deal *deal, const struct ww_contract *after,
                 const struct ww_contract_outcome *outcome,
                 const struct ww_contract_booked *booked);
void oracle_committed(struct world *world);
/* After a torn write: what of it was whole counts as committed, though nobody was told. */
void oracle_torn(struct world *world);
/* After a start: the books hold what was acknowledged and nothing else. */
void oracle_restarted(struct world *world);
void oracle_books(struct world *world);
void oracle_counts(struct world *world, const struct link *link);
void oracle_end(struct world *world);
