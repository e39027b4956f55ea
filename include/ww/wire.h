/* Pure codecs between bytes and structs: contract token, receipts, declarations, transfer frames,
 * closes.
 *
 * Relies on base only: no I/O, no keys (a caller signs or checks the bytes), no allocation but the
 * output buffer's. Every decoder takes hostile input, is bounded, and is fuzzed; every layout is
 * pinned by golden bytes. Numbers are QUIC variable-length integers (RFC 9000 section 16, below
 * 2^62) unless fixed width is said. docs/internals/wire.md has the layouts.
 *
 * Encoders append, or leave the buffer (its error, too) as it was: WW_EINVAL for a value out of
 * range, WW_ETOOBIG and WW_ENOMEM from the buffer. Decoders say WW_EMALFORMED, or WW_EUNSUPPORTED
 * for what a later version may have added; a struct is only to be used after 0.
 * Thread: any; nothing is shared.
 */
#pragma once
#include "ww/buf.h"
#include "ww/id.h"
#include "ww/limits.h"

#define WW_WIRE_VERSION    1 /* of tokens, receipts and declarations */
#define WW_CLOSE_VERSION   2
#define WW_EPOCH_SIZE      16
#define WW_SIGNATURE_BYTES 64

/* --- contract token ------------------------------------------------------------------------- */

/* A subnet that the provider exposes to this client; IPv4 is mapped (::ffff:0:0/96). */
struct ww_subnet {
    uint8_t address[16]; /* zero below the prefix */
    uint8_t prefix_bits; /* 0..128 */
};

struct ww_token {
    struct ww_id contract_id;
    struct ww_id key_id;                     /* which session secret of the provider signed it */
    struct ww_hash client;                   /* node id */
    struct ww_hash provider;                 /* node id */
    uint64_t bytes;                          /* 1..WW_CONTRACT_BYTES_MAX */
    uint64_t stat_id;                        /* market stat */
    uint32_t price_ppm;                      /* of the stat's price, 0..1000000 */
    uint64_t window_bytes;                   /* window cap */
    uint32_t list_version;                   /* address list */
    uint64_t issued_s, open_by_s, expires_s; /* seconds since 1970, in this order */
    uint32_t extender_share_ppm;             /* 0 without an extender */
    struct ww_hash extender;                 /* zero without one */
    uint8_t subnet_count;                    /* 0..WW_EXPOSED_MAX */
    struct ww_subnet subnets[WW_EXPOSED_MAX];
    uint8_t mac[32]; /* HMAC-SHA256 under the session secret over everything before it */
};

/* Appends the token; the last 32 bytes are token->mac (so: encode, compute the MAC over all but
 * them, overwrite them). */
int ww_wire_token_encode(const struct ww_token *token, struct ww_buf *out);
/* signed_size (may be NULL): how many leading bytes the MAC covers. Unused fields are zero.
 * WW_EMALFORMED, WW_EUNSUPPORTED (version). */
int ww_wire_token_decode(const void *data, size_t size, struct ww_token *token,
                         size_t *signed_size);

/* --- receipts -------------------------------------------------------------------------------- */

/* Cumulative within one boot epoch of its signer: a later sequence never says less. */
struct ww_receipt {
    struct ww_id contract_id;
    uint8_t epoch[WW_EPOCH_SIZE]; /* the signer's boot epoch */
    uint64_t sequence;            /* 1, 2, 3 … within the epoch and contract */
    uint64_t next_index;          /* covers what the signer received below it, under the contract */
    uint64_t bytes_received;      /* by the signer */
    uint64_t bytes_acknowledged;  /* of the signer's own, by the other */
    uint8_t signature[WW_SIGNATURE_BYTES]; /* over everything before it, context "ww receipt 1" */
};

/* Appends; the last 64 bytes are the signature (as with the token). */
int ww_wire_receipt_encode(const struct ww_receipt *receipt, struct ww_buf *out);
/* signed_size (may be NULL): how many leading bytes the signature covers. */
int ww_wire_receipt_decode(const void *data, size_t size, struct ww_receipt *receipt,
                           size_t *signed_size);
/* Whether two receipts of one signer and contract can't both be honest: in one boot epoch a later
 * one never says less, and one sequence says one thing. Signatures are not looked at. */
bool ww_receipts_contradict(const struct ww_receipt *a, const struct ww_receipt *b);

/* --- transfer frames ------------------------------------------------------------------------ */

/* A channel message is a sequence of frames: type, length, body. An unknown type with bit 0 set
 * is skipped; any other unknown type is WW_EUNSUPPORTED. */
enum ww_frame_type {
    WW_FRAME_DATA = 0x00,     /* reliable class: bytes of a stream */
    WW_FRAME_DATAGRAM = 0x02, /* datagram class: one datagram of a flow */
    WW_FRAME_ACK = 0x04,
    WW_FRAME_PING = 0x05,          /* skippable */
    WW_FRAME_PACKET = 0x06,        /* datagram class: one IP packet of the packets' flow */
    WW_FRAME_PONG = 0x07,          /* skippable */
    WW_FRAME_PACKET_LIMIT = 0x09,  /* either: takes super-packets up to this size; skippable */
    WW_FRAME_STREAM_OPEN = 0x10,   /* client → provider: destination of a stream or a UDP flow */
    WW_FRAME_STREAM_OPENED = 0x12, /* provider → client: connected; its local address */
    WW_FRAME_STREAM_RESET = 0x14,  /* either: gone, with an error code */
    WW_FRAME_STREAM_CREDIT = 0x16, /* either: the peer may send up to this offset */
    WW_FRAME_OPEN = 0x20,          /* client → provider: a contract token */
    WW_FRAME_OPENED = 0x22,        /* provider → client: accepted, signed */
    WW_FRAME_REFUSED = 0x24,       /* provider → client: refused, with a code */
    WW_FRAME_ALLOWANCE = 0x26,     /* client → provider: may have sent so many bytes */
    WW_FRAME_END = 0x28,           /* either: last index sent under the contract */
    WW_FRAME_ENDED = 0x2a,         /* either: bytes received under the contract */
    WW_FRAME_RECEIPT = 0x30,       /* either: signed, what its sender has received so far */
    WW_FRAME_DECLARATION = 0x32,   /* client → provider: signed, destinations of its flows */
};

enum ww_dest_kind { WW_DEST_NONE = 0, WW_DEST_NAME = 1, WW_DEST_IPV4 = 4, WW_DEST_IPV6 = 6 };
/* IANA protocol numbers. */
enum ww_dest_protocol {
    WW_DEST_ICMP = 1, /* echo, of either family: declared only, with an address and port 0 */
    WW_DEST_IP = 4,   /* whole packets: opened only, with kind WW_DEST_NONE and nothing else */
    WW_DEST_TCP = 6,
    WW_DEST_UDP = 17,
};

struct ww_dest {
    enum ww_dest_protocol protocol;
    enum ww_dest_kind kind;
    uint16_t port;
    uint8_t address[16];              /* WW_DEST_IPV4: first 4 bytes */
    char name[WW_NAME_BYTES_MAX + 1]; /* WW_DEST_NAME: printable ASCII, no spaces */
};

struct ww_ack_range {
    uint64_t first, last; /* inclusive */
};

struct ww_frame {
    enum ww_frame_type type;
    union {
        struct {                /* DATA, DATAGRAM, PACKET */
            uint64_t index;     /* consecutive per direction, from 0, both classes */
            uint64_t stream_id; /* stream or flow */
            bool fin;           /* DATA: the last bytes of this direction */
            uint8_t flags;      /* PACKET: WW_WIRE_PACKET_…; a bit that is not known may come */
            uint16_t segment_size; /* PACKET with WW_WIRE_PACKET_SUPER: ww/offload.h; else 0 */
            const uint8_t *payload;
            size_t payload_size; /* 0..WW_MESSAGE_BYTES_MAX; others: WW_FRAME_DATAGRAM_BYTES_MAX */
        } data;
        struct {
            uint64_t cumulative;     /* every index below it is received or forgotten */
            uint64_t lowest_awaited; /* the sender of this ack's own lowest unacknowledged index */
            uint64_t range_count;    /* 0..WW_ACK_RANGES_MAX; ascending, and before each there is a
                                      * hole: the first is above cumulative, none touches the next */
            struct ww_ack_range ranges[WW_ACK_RANGES_MAX];
        } ack;
        struct {
            uint64_t nonce;
        } ping; /* PING, PONG */
        struct {
            uint64_t bytes;
        } packet_limit;
        struct {
            uint64_t stream_id;
            struct ww_dest dest; /* OPEN: destination. OPENED: local address used (kind 4 or 6) */
        } stream;                /* STREAM_OPEN, STREAM_OPENED */
        struct {
            uint64_t stream_id;
            int32_t code; /* WW_E…, sent as its positive value; 0 = cancelled */
        } reset;
        struct {
            uint64_t stream_id;
            uint64_t offset; /* cumulative bytes */
        } credit;
        struct {
            uint8_t epoch[WW_EPOCH_SIZE]; /* the client's boot epoch */
            const uint8_t *token;
            size_t token_size; /* 1..WW_TOKEN_BYTES_MAX */
        } open;
        struct {
            struct ww_id contract_id;
            uint8_t epoch[WW_EPOCH_SIZE];          /* the provider's boot epoch */
            uint8_t signature[WW_SIGNATURE_BYTES]; /* provider's, over ww_wire_opened_message */
        } opened;
        struct {
            struct ww_id contract_id;
            int32_t code;       /* WW_E…, never 0 */
            const char *reason; /* not terminated; UTF-8 without control characters */
            size_t reason_size; /* 0..WW_REASON_BYTES_MAX */
        } refused;
        struct {
            struct ww_id contract_id;
            uint64_t bytes; /* cumulative bytes the provider may have sent */
        } allowance;
        struct {
            struct ww_id contract_id;
            uint64_t next_index; /* first index that is no longer under this contract */
        } end;
        struct {
            struct ww_id contract_id;
            uint64_t bytes_received; /* of the direction that the sender of ENDED receives */
        } ended;
        struct {
            const uint8_t *bytes; /* a whole encoded receipt or declaration; decode it to use it */
            size_t size;          /* 1..WW_RECEIPT_BYTES_MAX, or 1..WW_DECLARATION_BYTES_MAX */
        } proof;                  /* RECEIPT, DECLARATION */
    };
};

/* As ww/offload.h has it: the transport's checksum is partial; a super-packet. */
#define WW_WIRE_PACKET_PARTIAL 0x01
#define WW_WIRE_PACKET_SUPER   0x02
/* Appends one frame (what it points to is copied). */
int ww_wire_frame_encode(const struct ww_frame *frame, struct ww_buf *out);
/* Bytes that a DATA, DATAGRAM or PACKET frame adds before its payload: writes them to out (at most
 * WW_WIRE_DATA_HEAD_MAX bytes), so that the payload need not be copied. Returns the size, or 0
 * for a frame that can't be sent: another type, or a value out of range. */
#define WW_WIRE_DATA_HEAD_MAX 32
size_t ww_wire_data_head(const struct ww_frame *frame, uint8_t out[WW_WIRE_DATA_HEAD_MAX]);
/* The next frame of a message; pointers in it borrow from the cursor's bytes, and only the member
 * of its type is set. 0, WW_EMALFORMED, WW_EUNSUPPORTED, or WW_ENOTFOUND at the end of the message.
 * Skips skippable unknown frames. After another error than WW_ENOTFOUND the cursor has failed. */
int ww_wire_frame_decode(struct ww_cursor *cursor, struct ww_frame *frame);

/* What the signature in OPENED covers (context "ww opened 1"): contract id, both epochs; 48 bytes
 * are appended. */
void ww_wire_opened_message(const struct ww_id *contract_id,
                            const uint8_t client_epoch[WW_EPOCH_SIZE],
                            const uint8_t provider_epoch[WW_EPOCH_SIZE], struct ww_buf *out);

/* --- declarations ---------------------------------------------------------------------------- */

/* Destinations that the client has opened flows to. STREAM_OPEN declares one at once and unsigned;
 * this is the proof that follows. */
struct ww_declaration {
    struct ww_id contract_id;
    uint8_t epoch[WW_EPOCH_SIZE]; /* the client's boot epoch */
    uint64_t batch;               /* 1, 2, 3 … within the epoch and contract */
    uint32_t list_version;        /* of the address list that the client went by */
    size_t dest_count;            /* 1..WW_DECLARATION_DESTS_MAX */
    struct ww_dest dests[WW_DECLARATION_DESTS_MAX];
    uint8_t signature[WW_SIGNATURE_BYTES]; /* over everything before it, "ww declaration 1" */
};

/* Appends; the last 64 bytes are the signature. Always fits WW_DECLARATION_BYTES_MAX. */
int ww_wire_declaration_encode(const struct ww_declaration *declaration, struct ww_buf *out);
int ww_wire_declaration_decode(const void *data, size_t size, struct ww_declaration *declaration,
                               size_t *signed_size);

/* --- close ---------------------------------------------------------------------------------- */

enum ww_close_reason {
    WW_CLOSE_DONE = 1,         /* END and ENDED went both ways */
    WW_CLOSE_EXPIRED = 2,      /* the contract's time was over */
    WW_CLOSE_LOST = 3,         /* the peer could not be reached any more */
    WW_CLOSE_NEVER_OPENED = 4, /* no OPEN came, and none will be taken */
    WW_CLOSE_LOSSY = 5,        /* the client acknowledged too little */
    WW_CLOSE_DENIED = 6,       /* the client declared a destination that the address list denies */
};

struct ww_close {
    struct ww_id contract_id;
    struct ww_hash party;          /* node id of the signer */
    uint8_t epoch[WW_EPOCH_SIZE];  /* the signer's boot epoch */
    uint64_t bytes_up, bytes_down; /* client → provider, provider → client */
    enum ww_close_reason reason;
    uint64_t first_ms, last_ms; /* wall clock of the first and last byte; both 0 when none */
    /* What the other side signed, as it came; verified by whoever goes by it. */
    size_t receipt_size; /* 0: none */
    uint8_t receipt[WW_RECEIPT_BYTES_MAX];
    size_t declaration_size; /* 0, but with WW_CLOSE_DENIED */
    uint8_t declaration[WW_DECLARATION_BYTES_MAX];
    uint8_t signature[WW_SIGNATURE_BYTES]; /* over everything before it, context "ww close 1" */
};

/* Appends; the last 64 bytes are the signature (as with the token). */
int ww_wire_close_encode(const struct ww_close *close_record, struct ww_buf *out);
/* signed_size (may be NULL): how many leading bytes the signature covers. A receipt and a
 * declaration inside have their form and are of the same contract. WW_EMALFORMED, WW_EUNSUPPORTED
 * (version). */
int ww_wire_close_decode(const void *data, size_t size, struct ww_close *close_record,
                         size_t *signed_size);

/* --- WebRTC data channels (RFC 8832) -------------------------------------------------------- */

#define WW_DCEP_ACK  0x02 /* the whole DATA_CHANNEL_ACK message */
#define WW_DCEP_OPEN 0x03 /* first byte of DATA_CHANNEL_OPEN */

struct ww_dcep_open {
    uint8_t
        channel_type; /* 0x00 reliable, 0x80 unordered, 0x01/0x81 retransmits, 0x02/0x82 timed */
    uint16_t priority;
    uint32_t reliability;
    char label[128]; /* UTF-8 without control characters */
    char protocol[128];
};
int ww_wire_dcep_open_encode(const struct ww_dcep_open *open, struct ww_buf *out);
/* Labels longer than 127 bytes or with control characters are WW_EMALFORMED, and so is any other
 * message (an ACK is told by its size and byte). */
int ww_wire_dcep_open_decode(const void *data, size_t size, struct ww_dcep_open *open);
