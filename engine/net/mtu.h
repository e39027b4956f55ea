/* The largest datagram that a path carries, found by probes of that size (RFC 8899). A pure state
 * machine: its owner sends the probes and says what was answered. Sizes are UDP payloads.
 */
#pragma once
#include "ww/base.h"

struct ww_mtu {
    size_t base; /* carried by every path */
    size_t most; /* the local link's */
    size_t best; /* known to be carried */
    size_t high; /* larger ones are not, as far as is known */
    size_t trying;
    unsigned tries;
    unsigned passed;       /* small probes that were answered meanwhile */
    uint32_t trip_us;      /* a round trip, as its owner knows it */
    uint32_t first_id, id; /* of the probes of this size */
    bool is_searching, is_confirming;
    uint64_t due_us;   /* of the next probe, while one of the two */
    uint64_t again_us; /* when the size in use is confirmed, or a larger one looked for */
};

/* A new path. most <= base: it stays with base. */
void ww_mtu_start(struct ww_mtu *mtu, size_t base, size_t most, uint64_t now_us);
/* The size of the probe to be sent now, 0: none. is_used: datagrams beyond `base` went lately.
 * Beside it a small one goes, with the same id, if ww_mtu_wants_small says so. */
size_t ww_mtu_probe(struct ww_mtu *mtu, bool is_used, uint64_t now_us, uint32_t *id);
bool ww_mtu_wants_small(const struct ww_mtu *mtu);
/* A probe was answered, a large or a small one. True: `best` has grown. */
bool ww_mtu_answer(struct ww_mtu *mtu, uint32_t id, size_t size, uint64_t now_us);
/* What went in the size in use isn't acknowledged: it is confirmed now. */
void ww_mtu_doubt(struct ww_mtu *mtu, uint64_t now_us);
/* UINT64_MAX: none is due by time alone. */
uint64_t ww_mtu_next_us(const struct ww_mtu *mtu);
