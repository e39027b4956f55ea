/* The life of a contract at the arbiter: a pure step function (contract, event) -> outcome.
 *
 * No I/O, no clock, no policy, no money: the caller asks policies, moves money by the outcome's
 * action and stores the record; so a test, a simulation or a replay can stand in for all of them.
 *
 *   offered --accept--> active --opened--> open --both closes--> settled | disputed
 *      |                  |                 |
 *      | decline, 5 s     | never opened    | one side silent for 60 s, or expired: disputed
 *      v                  v
 *    void               void
 *
 * Settled and void contracts are forgotten; a disputed one stays.
 */
#pragma once
#include "ww/wire.h"

enum ww_contract_state {
    WW_CONTRACT_OFFERED = 1, /* escrow is reserved, the provider has been asked */
    WW_CONTRACT_ACTIVE = 2,  /* accepted and signed; not reported as opened */
    WW_CONTRACT_OPEN = 3,    /* the provider reported the opening */
    WW_CONTRACT_DISPUTED = 4,
};

enum ww_contract_party { WW_CONTRACT_CLIENT, WW_CONTRACT_PROVIDER };

/* What one side reported at the end, as signed by it. */
struct ww_contract_close {
    bool present;
    enum ww_close_reason reason;
    uint64_t bytes_up, bytes_down;
    uint8_t epoch[WW_EPOCH_SIZE];
};

struct ww_contract {
    struct ww_id id, key_id;
    struct ww_id client_network, provider_network;
    struct ww_hash client, provider; /* node ids */
    struct ww_hash generation;       /* of the policies that admitted it */
    uint64_t bytes;                  /* 1..WW_CONTRACT_BYTES_MAX */
    uint64_t stat_id;
    uint32_t price_ppm;
    uint32_t list_version;
    uint64_t window_bytes;
    uint64_t issued_s, open_by_s, expires_s; /* seconds since 1970 */
    enum ww_contract_state state;
    struct ww_contract_close closes[2]; /* by party */
    /* Not stored: monotonic ms when the present wait began (offer, opening, first close, load). */
    uint64_t waiting_since_ms;
};

#define WW_CONTRACT_RECORD_SIZE 286
/* Fixed layout, see docs/internals/contract.md. */
void ww_contract_encode(const struct ww_contract *contract,
                        uint8_t record[WW_CONTRACT_RECORD_SIZE]);
/* WW_ECORRUPT. waiting_since_ms is set to now_ms: waiting starts again after a restart. */
int ww_contract_decode(const void *record, size_t size, uint64_t now_ms,
                       struct ww_contract *contract);

enum ww_contract_event_kind {
    WW_CONTRACT_EV_ACCEPT, /* the provider takes the offer; window_bytes may lower the cap */
    WW_CONTRACT_EV_DECLINE,
    WW_CONTRACT_EV_OPENED,  /* reported by the provider */
    WW_CONTRACT_EV_CLOSE,   /* reported by `party` */
    WW_CONTRACT_EV_TICK,    /* time has passed */
    WW_CONTRACT_EV_RESTART, /* the arbiter was started: nobody waits for an offer's answer any more
                             */
};

struct ww_contract_event {
    enum ww_contract_event_kind kind;
    uint64_t now_s;                 /* seconds since 1970 */
    uint64_t now_ms;                /* monotonic */
    uint64_t window_bytes;          /* ACCEPT */
    enum ww_contract_party party;   /* CLOSE */
    struct ww_contract_close close; /* CLOSE; `present` is ignored */
};

enum ww_contract_action {
    WW_CONTRACT_NOTHING,
    WW_CONTRACT_STORE,   /* the record changed */
    WW_CONTRACT_SIGN,    /* the record changed; sign the token once it is durable */
    WW_CONTRACT_VOID,    /* give everything back, forget */
    WW_CONTRACT_SETTLE,  /* pay `used` of `bytes`, forget */
    WW_CONTRACT_DISPUTE, /* the record changed; move the escrow to the dispute wallet */
};

struct ww_contract_outcome {
    enum ww_contract_action action;
    uint64_t used;   /* SETTLE: bytes, 0..contract->bytes */
    const char *why; /* one sentence, static; NULL for NOTHING and STORE */
};

/* Changes *contract and says what to do. 0, or why the event is refused (then nothing changed):
 * WW_ESTATE; WW_ECONFLICT: another close of the same party came before. Repeating an event that
 * was taken is fine and does nothing. */
int ww_contract_step(struct ww_contract *contract, const struct ww_contract_event *event,
                     struct ww_contract_outcome *outcome);
/* Monotonic ms at which a TICK is due at the latest, given both clocks' present; UINT64_MAX never.
 */
uint64_t ww_contract_deadline_ms(const struct ww_contract *contract, uint64_t now_s,
                                 uint64_t now_ms);

/* The token that the provider's session secret signs; mac is left zero. */
void ww_contract_token(const struct ww_contract *contract, struct ww_token *token);
/* "offered", "active", "open", "disputed". */
const char *ww_contract_state_name(enum ww_contract_state state);
