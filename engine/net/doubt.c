/* Doubts about a path. The figures: with a fifth of what goes each way lost, a probe is answered in
 * 64 of 100 times, so 6 in a row stay without an answer once in 460 doubts and 16 once in 12
 * million; and a doubt begins only when what was sent before them stayed without one, too.
 */
#include "doubt.h"

#define FIRST_LEAST_US 300000  /* above what acknowledgements and a busy machine's turns take */
#define FIRST_BLIND_US 1000000 /* RFC 9002 6.2.2 has thrice 333 ms for a trip that isn't known */
#define EVERY_US       100000
#define EVERY_LATE_US  250000
#define LOOKS_SOME     6
#define LOOKS_SILENT   16

/* Looks in which the answer to the probe that went with the first may still be on its way. */
static unsigned looks_of_a_trip(const struct ww_doubt *doubt)
{
    return (unsigned)((uint64_t)doubt->trip_us * 3 / 2 / EVERY_US) + 1;
}

void ww_doubt_sent(struct ww_doubt *doubt, uint64_t now_us)
{
    uint64_t first_us = (uint64_t)doubt->trip_us * 3 / 2;
    if (doubt->due_us)
        return;
    doubt->due_us =
        now_us + (first_us ? WW_MAX(first_us, (uint64_t)FIRST_LEAST_US) : FIRST_BLIND_US);
}

void ww_doubt_ask(struct ww_doubt *doubt, uint64_t now_us)
{
    doubt->is_asked = true;
    if (!doubt->looks)
        doubt->due_us = WW_MAX(now_us, (uint64_t)1);
}

bool ww_doubt_heard(struct ww_doubt *doubt)
{
    bool is_awaited = doubt->level > WW_DOUBT_NONE || doubt->is_asked;
    *doubt = (struct ww_doubt){.trip_us = doubt->trip_us};
    return is_awaited;
}

bool ww_doubt_look(struct ww_doubt *doubt, uint64_t now_us)
{
    if (!doubt->due_us || now_us < doubt->due_us)
        return false;
    unsigned looks = ++doubt->looks, trip = looks_of_a_trip(doubt);
    if (looks > LOOKS_SILENT + trip)
        doubt->level = WW_DOUBT_SILENT;
    else if (looks > LOOKS_SOME + trip && doubt->level < WW_DOUBT_SOME)
        doubt->level = WW_DOUBT_SOME;
    doubt->due_us = now_us + (looks > 2 * LOOKS_SILENT + trip ? EVERY_LATE_US : EVERY_US);
    return true;
}

uint64_t ww_doubt_next_us(const struct ww_doubt *doubt)
{
    return doubt->due_us ? doubt->due_us : UINT64_MAX;
}
