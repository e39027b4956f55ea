/* Whether a path still carries anything, asked while something goes and nothing comes back. A pure
 * state machine: its owner says what was sent and heard, sends the probes, and tells the user of
 * the level. Time counts by looks, so a machine that stood still has waited for one, and not for
 * ten.
 */
#pragma once
#include "ww/base.h"

enum ww_doubt_level {
    WW_DOUBT_NONE,
    WW_DOUBT_SOME,   /* for a second: what begins should go elsewhere */
    WW_DOUBT_SILENT, /* for two: what can go on elsewhere should */
};

struct ww_doubt {
    uint64_t due_us;  /* of the next look; 0: nothing is awaited */
    unsigned looks;   /* since something last came, a probe with each */
    uint32_t trip_us; /* a round trip, as its owner knows it; 0: it doesn't */
    enum ww_doubt_level level;
    bool is_asked;
};

/* Something went that the other side answers, or its owner does. */
void ww_doubt_sent(struct ww_doubt *doubt, uint64_t now_us);
/* A sign of life is wanted now. */
void ww_doubt_ask(struct ww_doubt *doubt, uint64_t now_us);
/* Something sound came. True: the user waits to hear of it. */
bool ww_doubt_heard(struct ww_doubt *doubt);
/* True: a probe is to be sent now; `level` may have risen. */
bool ww_doubt_look(struct ww_doubt *doubt, uint64_t now_us);
/* UINT64_MAX: none is due. */
uint64_t ww_doubt_next_us(const struct ww_doubt *doubt);
