/* Wide records: one record of DTLS over several datagrams. A record costs OpenSSL about as much
 * before its first byte as 1,400 bytes do, so where a path hardly loses anything, a sealed record
 * of up to 16 KiB is cut in pieces of one size, which leave in one system call (lane.h), and is put
 * together before it is opened. Which of both ways is better is for the sender to see: the receiver
 * tells now and then how many records came whole. Pure: no clock, no socket. Loop's thread.
 *
 * Each datagram: kind 1, index 1, the record's length 2, its number 4, token 4, bytes; the last one
 * is filled up. Numbers are big-endian. The token is the receiver's, told inside the association:
 * nobody off the path can make pieces that are taken for some.
 */
#pragma once
#include "ww/base.h"
#include "ww/ecn.h"

#include "gather.h"

/* First byte of a piece: none of STUN, DTLS, TURN or RTP (RFC 7983). */
#define WW_PIECE_KIND 0xC1
#define WW_PIECE_HEAD 12
/* A sealed record at most: DTLS's largest plaintext, and what sealing adds. */
#define WW_PIECES_RECORD_MAX 16421
#define WW_PIECES_SLOTS      4 /* records that may be incomplete at once */
#define WW_PIECES_COUNT_MAX  32

struct ww_pieces_slot {
    const uint8_t *at[WW_PIECES_COUNT_MAX];
    uint8_t *bytes; /* of WW_PIECES_RECORD_MAX, for pieces that are kept; NULL until it is needed */
    uint32_t number;
    uint32_t have; /* a bit per piece */
    uint32_t lent; /* the same of those that lie where they came in */
    uint16_t total, each;
    enum ww_ecn mark; /* of all that came */
    bool in_use;
};

/* What the receiver of records tells their sender. */
struct ww_pieces_report {
    uint32_t token;
    uint32_t top;   /* the largest number that it saw, + 1 */
    uint32_t whole; /* records that came whole; both wrap around */
};

struct ww_pieces {
    /* going out */
    bool is_offered;    /* the other side takes pieces … */
    uint32_t token_out; /* … with this token */
    uint32_t number;
    struct ww_pieces_report told;
    unsigned width;           /* pieces, by what was seen of the path */
    uint32_t seen, whole;     /* since the last judgement, by reports */
    uint32_t unseen_from;     /* the first number that no report may have missed */
    uint64_t unseen_us;       /* since when some have; 0: none */
    uint64_t narrow_until_us; /* 0: wide */
    uint64_t widened_us;
    uint64_t wait_us; /* how long narrow, the next time */
    /* coming in */
    struct ww_pieces_report counted; /* what is told; its token is ours */
    bool has_seen;
    unsigned turn; /* the slot that goes next */
    struct ww_pieces_slot slots[WW_PIECES_SLOTS];
};

/* With a token of its own. */
void ww_pieces_init(struct ww_pieces *pieces);
/* Gives back its memory; what is incomplete is gone. */
void ww_pieces_release(struct ww_pieces *pieces);

/* The largest sealed record for datagrams of this size; 0: records stay one datagram each, for they
 * are long enough, or the other side doesn't take pieces, or the path loses too many. */
size_t ww_pieces_record_bytes(struct ww_pieces *pieces, size_t datagram_bytes, uint64_t now_us);
/* The head of the next record's first piece; the following differ in their index. */
void ww_pieces_head(struct ww_pieces *pieces, size_t record_size, uint8_t head[WW_PIECE_HEAD]);
/* How a record is cut: bytes of it in each piece, and how many there are. */
size_t ww_pieces_cut(size_t record_size, size_t datagram_bytes, unsigned *count);
/* The other side has reported: what ww_pieces_record_bytes says may have changed. */
void ww_pieces_told(struct ww_pieces *pieces, const struct ww_pieces_report *report,
                    uint64_t now_us);
/* Another path: nothing is known of it. */
void ww_pieces_path(struct ww_pieces *pieces);

/* A piece came, with *mark; its bytes are borrowed until ww_pieces_keep. True when it is the last
 * that was missing: then *record is good until the next call, and *mark is that of all its pieces.
 * What is no sound piece with our token is ignored. */
bool ww_pieces_input(struct ww_pieces *pieces, const uint8_t *datagram, size_t size,
                     struct ww_gather *record, enum ww_ecn *mark);
/* Where pieces came in others will: those of records that aren't whole are copied. */
void ww_pieces_keep(struct ww_pieces *pieces);
