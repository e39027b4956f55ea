/* The life of a contract at the arbiter: a pure step function (contract, event) -> outcome.
 *
 * No I/O, no clock, no policy, no signature, no money: the caller asks policies, verifies what is
 * signed, moves money by the outcome's action and stores the record; so a test, a simulation or a
 * replay can stand in for all of them.
 *
 *   offered --accept--> active --opened--> open --both closes--> settled | disputed
 *      |                  |                 |
 *      | decline, 5 s     | never opened    | one side silent for 60 s: disputed
 *      v                  v                 | no sign of life, expired, a ban: as receipts prove
 *    void               void
 *
 * Settled and void contracts are forgotten; a disputed one stays until its verdict.
 *
 * Glossary: claim - the bytes that a side reports, of both directions together, within its bounds;
 *           proven - the bytes that a side's own receipts admit, which the other side holds;
 *           tail - the part of a contract that is in dispute when the rest has been paid or
 *           returned; up-time - milliseconds in which the arbiter ran, over all its starts.
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

/* Why a contract ends without both closes. */
enum ww_contract_ending {
    WW_CONTRACT_RUNNING = 0,
    WW_CONTRACT_CUT = 1,      /* one of its nodes was banned: the other's close is waited for */
    WW_CONTRACT_LIFELESS = 2, /* no sign of life, or expired */
};

/* What the arbiter has found and verified itself. The malicious ones justify a ban. */
#define WW_PROOF_CLIENT_RECEIPTS    0x001u /* contradicting receipts in one boot epoch */
#define WW_PROOF_CLIENT_CLOSES      0x002u /* contradicting closes in one boot epoch */
#define WW_PROOF_CLIENT_DENIED      0x004u /* it declared an address that the list denies */
#define WW_PROOF_PROVIDER_RECEIPTS  0x010u
#define WW_PROOF_PROVIDER_CLOSES    0x020u
#define WW_PROOF_CLIENT_BELOW       0x100u /* claim below its own receipt of the same boot epoch */
#define WW_PROOF_CLIENT_EPOCHS      0x200u /* differing closes of two epochs */
#define WW_PROOF_PROVIDER_ABOVE     0x400u /* claim above receipts plus window, or the contract */
#define WW_PROOF_PROVIDER_EPOCHS    0x800u
#define WW_PROOF_CLIENT_MALICIOUS   0x007u
#define WW_PROOF_PROVIDER_MALICIOUS 0x030u
#define WW_PROOF_CLIENT_FAULT       0x300u
#define WW_PROOF_PROVIDER_FAULT     0xc00u
#define WW_PROOF_ALL                0xf37u

/* A receipt as it came: whoever goes by it verifies it. */
struct ww_contract_receipt {
    uint8_t size; /* 0: none */
    uint8_t bytes[WW_RECEIPT_BYTES_MAX];
};

/* What one side reported at the end: all that its signature covers, but for the declaration. */
struct ww_contract_close {
    bool present;
    enum ww_close_reason reason;
    uint64_t bytes_up, bytes_down;
    uint8_t epoch[WW_EPOCH_SIZE];
    uint64_t first_ms, last_ms;
    uint16_t declaration_size;          /* 0: none; the caller keeps it */
    struct ww_contract_receipt receipt; /* of the other side */
    uint8_t signature[WW_SIGNATURE_BYTES];
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
    bool examined; /* the declaration in the provider's close was looked at */
    bool unseen;   /* DISPUTED: a close came whose signatures were not looked at */
    bool silent;   /* DISPUTED because one side said nothing: no fault, and only nodes are locked */
    enum ww_contract_ending ending;
    bool banned[2];            /* CUT: by party; whoever is, its close is not waited for */
    uint32_t proofs;           /* WW_PROOF_* */
    uint64_t proven[2];        /* by signer: bytes that its verified receipts admit */
    uint64_t settled_bytes;    /* DISPUTED: paid already, the tail begins here … */
    uint64_t disputed_bytes;   /* … and has so many */
    uint64_t waiting_since_ms; /* up-time when the present wait began (offer, opening, first close,
                                * dispute) */
    struct ww_contract_close closes[2]; /* by party */
    /* By holder: the last that it reported with a sign of life, or a second one that it handed in
     * with its close. */
    struct ww_contract_receipt held[2];
    /* Not stored: up-time of the last sign of life; when it was read, to begin with. */
    uint64_t alive_ms;
};

#define WW_CONTRACT_RECORD_BYTES_MAX 1200
/* Layout: docs/internals/contract.md. Returns the size. */
size_t ww_contract_encode(const struct ww_contract *contract,
                          uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX]);
/* WW_ECORRUPT. alive_ms is set to now_ms, and a wait that began later (up-time is stored once a
 * minute, so the last of it may be lost) begins now. */
int ww_contract_decode(const void *record, size_t size, uint64_t now_ms,
                       struct ww_contract *contract);

/* --- events --------------------------------------------------------------------------------- */

enum ww_contract_event_kind {
    WW_CONTRACT_EV_ACCEPT, /* the provider takes the offer; window_bytes may lower the cap */
    WW_CONTRACT_EV_DECLINE,
    WW_CONTRACT_EV_OPENED,   /* reported by the provider */
    WW_CONTRACT_EV_CLOSE,    /* reported by `party`, its signature verified */
    WW_CONTRACT_EV_ALIVE,    /* `party` says that it goes on; `receipt` is the last that it holds */
    WW_CONTRACT_EV_VERIFIED, /* the answer to action VERIFY */
    WW_CONTRACT_EV_CUT,      /* one of its nodes was banned, as `banned` says */
    WW_CONTRACT_EV_VERDICT,
    WW_CONTRACT_EV_TICK,    /* time has passed */
    WW_CONTRACT_EV_RESTART, /* the arbiter was started: nobody waits for an offer's answer any more
                             */
};

/* What came of verifying the receipts in the closes and those held, and the declaration. */
struct ww_contract_evidence {
    /* By signer; [0] from the other side's close, [1] held by the other side. */
    struct ww_contract_sight {
        bool valid; /* there is one, and its signature is good */
        struct ww_receipt receipt;
    } sights[2][2];
    bool denied; /* the provider's close has a declaration that is proof */
};

enum ww_verdict {
    WW_VERDICT_UNDECIDED,
    WW_VERDICT_NO_FAULT,
    WW_VERDICT_CLIENT_FAULT, /* the client did not follow the protocol */
    WW_VERDICT_PROVIDER_FAULT,
    WW_VERDICT_CLIENT_MALICIOUS,
    WW_VERDICT_PROVIDER_MALICIOUS,
    WW_VERDICT_BOTH_MALICIOUS,
};

struct ww_contract_event {
    enum ww_contract_event_kind kind;
    uint64_t now_s;                     /* seconds since 1970 */
    uint64_t now_ms;                    /* up-time */
    uint64_t start_ms;                  /* up-time at the arbiter's last start */
    uint64_t window_bytes;              /* ACCEPT */
    enum ww_contract_party party;       /* CLOSE, ALIVE */
    struct ww_contract_close close;     /* CLOSE; `present` is ignored */
    struct ww_contract_receipt receipt; /* ALIVE; CLOSE: one that contradicts the close's */
    const struct ww_contract_evidence *evidence; /* VERIFIED; borrowed for the call */
    bool forgive;                                /* VERIFIED: settle an honest difference */
    bool banned[2];                              /* CUT, by party */
    enum ww_verdict verdict;                     /* VERDICT */
};

enum ww_contract_action {
    WW_CONTRACT_NOTHING,
    WW_CONTRACT_STORE,   /* the record changed */
    WW_CONTRACT_SIGN,    /* the record changed; sign the token once it is durable */
    WW_CONTRACT_VERIFY,  /* the record changed; verify what was signed, then send VERIFIED */
    WW_CONTRACT_RECALL,  /* the record changed; ask whoever is not banned to close now */
    WW_CONTRACT_VOID,    /* give everything back, forget */
    WW_CONTRACT_SETTLE,  /* pay part/whole of what is held, give the rest back, forget */
    WW_CONTRACT_DISPUTE, /* the record changed; move the escrow to the dispute wallet */
    WW_CONTRACT_SPLIT,   /* the record changed; pay `used` of `bytes` now, move the tail after it to
                          * the dispute wallet, give the rest back */
};

struct ww_contract_outcome {
    enum ww_contract_action action;
    uint64_t used;        /* SETTLE, SPLIT: bytes paid for in all, 0..contract->bytes */
    uint64_t part, whole; /* SETTLE: of what is still held */
    uint64_t forgiven;    /* SETTLE: bytes of an honest difference */
    bool differed[2]; /* two closes that differ have been weighed: this party's windows shrink */
    enum ww_verdict verdict; /* VERDICT: what counts, once C has judged the judge */
    bool strike[2], ban[2];  /* VERDICT, by party */
    const char *why;         /* one sentence, static; NULL for NOTHING, STORE and VERIFY */
};

/* Changes *contract and says what to do. 0, or why the event is refused (then nothing changed):
 * WW_ESTATE. Repeating an event that was taken is fine and does nothing. A second close of a side
 * with other counts is taken as proof against it. */
int ww_contract_step(struct ww_contract *contract, const struct ww_contract_event *event,
                     struct ww_contract_outcome *outcome);
/* Up-time in ms at which a TICK is due at the latest; UINT64_MAX never. Of the event only the times
 * are looked at. */
uint64_t ww_contract_deadline_ms(const struct ww_contract *contract,
                                 const struct ww_contract_event *now);

/* --- claims --------------------------------------------------------------------------------- */

/* A close as it came, without what the record has no room for. */
void ww_contract_close_fill(const struct ww_close *record, struct ww_contract_close *close);
/* Who verifies, and judges addresses, for ww_contract_gather. */
struct ww_contract_eyes {
    void *arg;
    /* Whether the signature is good that follows the signed bytes. */
    bool (*is_signed)(void *arg, enum ww_contract_party signer, const char *context,
                      const uint8_t *bytes, size_t signed_size);
    /* Whether the contract's address list denies it. */
    bool (*is_denied)(void *arg, const struct ww_dest *dest);
};
/* Looks at every signature that may be evidence: receipts in the closes and held, and the
 * declaration of the provider's close (size 0: there is none, or its list can't be computed). */
void ww_contract_gather(const struct ww_contract *contract, const uint8_t *declaration,
                        size_t declaration_size, const struct ww_contract_eyes *eyes,
                        struct ww_contract_evidence *evidence);

struct ww_contract_claims {
    uint64_t client;     /* raised to its own receipts */
    uint64_t provider;   /* raised to the client's receipts; at most the contract, and those plus
                          * the window */
    uint64_t difference; /* between the two */
    uint64_t forgiven;   /* what is paid if it is forgiven */
    bool forgivable;     /* both have closed, nothing is proven against either, and it
                          * is at most the window and 1 % */
};
/* Adds what the evidence proves to the contract: proven, proofs. Idempotent. A held receipt that
 * contradicts the close's without being proof is dropped: one of the two is not signed. */
void ww_contract_examine(struct ww_contract *contract, const struct ww_contract_evidence *evidence);
/* By what is in the contract. A side that has not closed claims what receipts prove. */
void ww_contract_weigh(const struct ww_contract *contract, struct ww_contract_claims *claims);

/* True when the client has closed it as never opened, and the provider has said nothing: it can
 * give the escrow back at once by closing it as never opened, too; else that waits for the time to
 * open it to pass. */
bool ww_contract_is_returned(const struct ww_contract *contract);

/* --- disputes ------------------------------------------------------------------------------- */

/* True when a disputed contract may be judged: both have closed, there is proof of malice, or a
 * late close is taken no more. */
bool ww_contract_is_ripe(const struct ww_contract *contract, const struct ww_contract_event *now);
/* The verdict that counts: a malicious one without its proof is undecided. */
enum ww_verdict ww_verdict_checked(const struct ww_contract *contract, enum ww_verdict verdict);
/* Bytes of the contract that the provider is paid for in all under the verdict. */
uint64_t ww_verdict_used(const struct ww_contract *contract, enum ww_verdict verdict);
/* "undecided", "no_fault", "client_fault", …; NULL for none. */
const char *ww_verdict_name(enum ww_verdict verdict);
/* WW_ENOTFOUND. */
int ww_verdict_parse(const char *name, enum ww_verdict *verdict);
/* A sentence for one WW_PROOF_* bit; NULL for none. */
const char *ww_proof_text(uint32_t proof);

/* The token that the provider's session secret signs; mac is left zero. */
void ww_contract_token(const struct ww_contract *contract, struct ww_token *token);
/* "offered", "active", "open", "disputed". */
const char *ww_contract_state_name(enum ww_contract_state state);
