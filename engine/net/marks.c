/* Counts of marks, and what they say about a path. See marks.h. */
#include "marks.h"

#include <string.h>

#include "fast.h"

#define TESTS_MAX     10 /* RFC 9000 13.4.2 */
#define TEST_US       100000
#define TELL_US       250000
#define URGENT_US     5000    /* as an acknowledgement waits at most */
#define WAIT_US       1000000 /* what is on its way has come or is lost by then … */
#define WAIT_TRIPS    3       /* … or after so many round trips, if these are longer */
#define UNHEARD_LEAST 10      /* that were lost one after another are no accident */

/* --- going out -------------------------------------------------------------------------------- */

void ww_marks_path(struct ww_marks *marks, bool can_mark, uint64_t now_us)
{
    /* Of what went before there was a first path nothing can come that isn't counted. By another
     * one comes what is still on its way by the last, which is not to be compared. */
    marks->is_based = marks->since_us == 0;
    if (!marks->is_based)
        memset(marks->sent, 0, sizeof marks->sent);
    memset(&marks->base, 0, sizeof marks->base);
    marks->state = WW_MARKS_OFF;
    marks->can_mark = can_mark;
    marks->since_us = now_us;
    marks->tests = 0;
    marks->unheard = 0;
    marks->is_due = true;
}

static uint64_t wait_us(const struct ww_marks *marks)
{
    return WW_MAX((uint64_t)WAIT_US, (uint64_t)WAIT_TRIPS * marks->trip_us);
}

static bool is_unheard(const struct ww_marks *marks, uint64_t now_us)
{
    return marks->unheard >= UNHEARD_LEAST && now_us >= marks->unheard_us + wait_us(marks);
}

enum ww_ecn ww_marks_allow(const struct ww_marks *marks, enum ww_ecn mark, uint64_t now_us)
{
    return marks->state == WW_MARKS_ON && !is_unheard(marks, now_us) ? mark : WW_ECN_NONE;
}

void ww_marks_sent(struct ww_marks *marks, enum ww_ecn mark, uint64_t now_us)
{
    marks->sent[mark]++;
    if (mark != WW_ECN_NONE && marks->unheard++ == 0)
        marks->unheard_us = now_us;
}

bool ww_marks_test(struct ww_marks *marks, uint64_t now_us)
{
    if (marks->state != WW_MARKS_TESTING || marks->tests == TESTS_MAX || now_us < marks->test_us)
        return false;
    marks->tests++;
    marks->test_us = now_us + TEST_US;
    return true;
}

/* --- what the other side says ------------------------------------------------------------------
 */

static uint32_t risen(const struct ww_marks *marks, enum ww_ecn mark)
{
    return marks->told.by[mark] - marks->base.by[mark];
}

/* What came without a mark, or with ECT(1), can't be more than went so. */
static bool is_altered(const struct ww_marks *marks)
{
    return risen(marks, WW_ECN_NONE) > marks->sent[WW_ECN_NONE] ||
           risen(marks, WW_ECN_ECT1) > marks->sent[WW_ECN_ECT1];
}

static void fail(struct ww_marks *marks, const char *why)
{
    marks->state = WW_MARKS_FAILED;
    ww_log(WW_LOG_INFO, "net", "the path doesn't carry marks of congestion", "why=%s", why);
}

static void judge(struct ww_marks *marks, uint64_t now_us)
{
    bool is_testing = marks->state == WW_MARKS_TESTING;
    if (!is_testing && marks->state != WW_MARKS_ON)
        return;
    if (is_altered(marks))
        fail(marks, "altered");
    else if (is_testing && risen(marks, WW_ECN_ECT0) > 0)
        marks->state = WW_MARKS_ON;
    else if (is_testing ? marks->tests == TESTS_MAX && now_us >= marks->test_us + wait_us(marks)
                        : is_unheard(marks, now_us))
        fail(marks, "lost");
}

static void begin_test(struct ww_marks *marks, uint64_t now_us)
{
    if (marks->state != WW_MARKS_OFF || !marks->can_mark ||
        (!marks->is_based && now_us < marks->since_us + wait_us(marks)))
        return;
    if (!marks->is_based)
        marks->base = marks->told;
    marks->is_based = true;
    marks->state = WW_MARKS_TESTING;
    marks->test_us = now_us;
}

static uint32_t get(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static uint32_t all_of(const struct ww_marks_counts *counts)
{
    return counts->by[0] + counts->by[1] + counts->by[2] + counts->by[3];
}

int ww_marks_told(struct ww_marks *marks, const uint8_t *record, size_t size, uint64_t now_us,
                  bool *is_congested)
{
    struct ww_marks_counts told;
    *is_congested = false;
    if (size != WW_MARKS_BYTES)
        return WW_EPROTOCOL;
    for (size_t i = 0; i < 4; i++)
        told.by[i] = get(record + 1 + 4 * i);
    told.reliable_ce = get(record + 17);
    if (all_of(&told) - all_of(&marks->told) > UINT32_MAX / 2)
        return 0; /* it was overtaken */
    *is_congested = marks->state == WW_MARKS_ON && told.reliable_ce != marks->told.reliable_ce;
    if (told.by[WW_ECN_ECT0] != marks->told.by[WW_ECN_ECT0] ||
        told.by[WW_ECN_ECT1] != marks->told.by[WW_ECN_ECT1] ||
        told.by[WW_ECN_CE] != marks->told.by[WW_ECN_CE])
        marks->unheard = 0;
    marks->told = told;
    judge(marks, now_us);
    begin_test(marks, now_us);
    return 0;
}

/* --- coming in ---------------------------------------------------------------------------------
 */

void ww_marks_heard(struct ww_marks *marks, uint8_t kind, enum ww_ecn mark)
{
    marks->came.by[mark]++;
    if (kind == WW_FAST_DATA && mark == WW_ECN_CE) {
        marks->came.reliable_ce++;
        marks->is_urgent = true;
    }
    /* What answers is not answered, or two idle sides would never be silent. */
    if (kind <= WW_FAST_DATA || kind == WW_FAST_PROBE)
        marks->is_due = true;
}

static uint64_t tell_at_us(const struct ww_marks *marks)
{
    if (!marks->is_due)
        return UINT64_MAX;
    return marks->tells_us ? marks->tells_us + (marks->is_urgent ? URGENT_US : TELL_US) : 0;
}

static void put(uint8_t *out, uint32_t value)
{
    for (unsigned i = 4; i > 0; i--, value >>= 8)
        out[i - 1] = (uint8_t)value;
}

bool ww_marks_tell(struct ww_marks *marks, uint64_t now_us, uint8_t record[WW_MARKS_BYTES])
{
    if (now_us < tell_at_us(marks))
        return false;
    record[0] = WW_FAST_MARKS;
    for (size_t i = 0; i < 4; i++)
        put(record + 1 + 4 * i, marks->came.by[i]);
    put(record + 17, marks->came.reliable_ce);
    return true;
}

void ww_marks_has_told(struct ww_marks *marks, uint64_t now_us)
{
    marks->tells_us = now_us;
    marks->is_due = marks->is_urgent = false;
}

/* --- the rest ----------------------------------------------------------------------------------
 */

uint64_t ww_marks_next_us(const struct ww_marks *marks)
{
    uint64_t next_us = tell_at_us(marks);
    if (marks->state == WW_MARKS_TESTING && marks->tests < TESTS_MAX)
        next_us = WW_MIN(next_us, marks->test_us);
    return next_us;
}

const char *ww_marks_state_name(enum ww_marks_state state)
{
    static const char *const NAMES[] = {[WW_MARKS_OFF] = "off",
                                        [WW_MARKS_TESTING] = "testing",
                                        [WW_MARKS_ON] = "on",
                                        [WW_MARKS_FAILED] = "failed"};
    return NAMES[state];
}
