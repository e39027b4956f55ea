/* Marks of congestion: the ECN field of an IP packet (RFC 3168), how it goes through a tunnel (RFC
 * 6040, normal mode), and what becomes of it where packets share a carrier. Pure. Thread: any.
 *
 * Glossary: carrier - what packets travel in: a record, or the outer packet that it is sent as;
 *           mark    - the two bits.
 */
#pragma once

#include "ww/base.h"

enum ww_ecn {
    WW_ECN_NONE =
        0, /* not-ECT: who sent it would not understand a mark, so it is dropped instead */
    WW_ECN_ECT1 = 1, /* may be marked; what it means besides is RFC 9331's */
    WW_ECN_ECT0 = 2, /* may be marked */
    WW_ECN_CE = 3,   /* was marked: congestion experienced */
};

/* Out of the tunnel (RFC 6040, figure 4): what a packet that had `inner` has after it came in a
 * carrier with `outer`. False: it is to be dropped, for it can't be marked and its carrier was. */
bool ww_ecn_combine(enum ww_ecn inner, enum ww_ecn outer, enum ww_ecn *mark);

/* Into the tunnel: the mark of a carrier that has both. A packet alone gives its own (RFC
 * 6040 4.1). One that can't be marked makes the whole such: it would be lost with a mark. CE says
 * less than how the others may be marked, and of these ECT(0) changes none of them when they come
 * out. */
enum ww_ecn ww_ecn_share(enum ww_ecn a, enum ww_ecn b);

/* Of one carrier that came in pieces: CE if one has it (RFC 3168 5.3); else not-ECT if one has
 * that, so that a path that takes marks away is seen; else ECT(1). */
enum ww_ecn ww_ecn_join(enum ww_ecn a, enum ww_ecn b);

/* The field of an IP packet; not-ECT if it is none. */
enum ww_ecn ww_ecn_get(const uint8_t *packet, size_t size);
/* Sets it in the first head of a packet that ww_ecn_get has read; IPv4's checksum stays as right,
 * or as wrong, as it was (RFC 1624). */
void ww_ecn_set(uint8_t *packet, enum ww_ecn mark);
