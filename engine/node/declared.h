/* Inside of the room: the destinations that were declared on a connection, at both ends. A set of
 * the newest WW_DECLARED_MAX, in the order of their declaration: since the lane is ordered, both
 * ends forget the same ones, and the client declares such a destination again. */
#pragma once
#include "ww/wire.h"

#define DECLARED_DIGEST 16 /* of SHA-256: nobody finds two destinations with one digest */

struct declared {
    uint64_t count;                  /* ever added */
    uint16_t heads[WW_DECLARED_MAX]; /* by the digest's first bytes: slot + 1, 0: none */
    struct declared_slot {
        uint8_t digest[DECLARED_DIGEST];
        uint16_t next; /* slot + 1 */
    } slots[WW_DECLARED_MAX];
};

/* Of protocol, kind, port and address or name. */
void declared_digest(const struct ww_dest *dest, uint8_t digest[DECLARED_DIGEST]);
bool declared_has(const struct declared *set, const uint8_t digest[DECLARED_DIGEST]);
/* Until the set's count is above this, the digest stays in it; 0: it is not there. */
uint64_t declared_until(const struct declared *set, const uint8_t digest[DECLARED_DIGEST]);
/* One that is there already stays where it is. */
void declared_add(struct declared *set, const uint8_t digest[DECLARED_DIGEST]);
