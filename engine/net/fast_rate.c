/* How fast the reliable class may send: round trip (RFC 9002 5), CUBIC (RFC 9438), pacing. Two
 * things differ from the RFCs, both because a node's line may lose every third packet:
 * - where 15 % and more are lost, the window stays at 8 packets or more. With 2, each round would
 *   end in a timeout. 8 are less than any sender may put into a path it knows nothing about
 *   (RFC 6928);
 * - a timeout is never longer than 3 s, so that a path which is back is used within that time.
 */
#include "fast_room.h"

#define FIRST_PACKETS    10 /* RFC 9002 7.2 */
#define FIRST_BYTES      14720
#define LEAST_PACKETS    2
#define LOSSY_PACKETS    8
#define JUDGED_PACKETS   64
#define LOSSY_PERCENT    15
#define CLEAN_PERCENT    5
#define BETA_NUMERATOR   7 /* RFC 9438 4.6: 0.7 */
#define BETA_DENOMINATOR 10
#define BURST_PACKETS    10
#define BURST_US         2000 /* timers are not finer than 1 ms: this much of the rate at once */

/* RFC 9406, HyStart++ */
#define ROUND_SAMPLES 8
#define RISE_MIN_US   4000U
#define RISE_MAX_US   16000U
#define CALM_DIVISOR  4
#define CALM_ROUNDS   5

static uint64_t least_window(const struct ww_fast *fast)
{
    return (fast->is_lossy ? LOSSY_PACKETS : LEAST_PACKETS) * (uint64_t)fast->record_bytes;
}

void ww_fast_rate_start(struct ww_fast *fast)
{
    uint64_t packet = fast->record_bytes;
    fast->srtt_us = fast->rttvar_us = fast->latest_us = fast->min_us = 0;
    /* RFC 9002 7.2: ten packets, but not more than 14,720 bytes, unless two packets are more. */
    fast->cwnd = WW_MIN(FIRST_PACKETS * packet, WW_MAX((uint64_t)FIRST_BYTES, 2 * packet));
    fast->threshold = UINT64_MAX;
    fast->round_end = fast->next;
    fast->round_us = fast->last_round_us = fast->calm_us = 0;
    fast->round_samples = fast->calm_rounds = 0;
    fast->recovery_us = 0;
    fast->epoch_us = fast->w_max = fast->w_reno = fast->k_ms = 0;
    fast->timeouts = 0;
    fast->judged = fast->judged_lost = 0;
    fast->is_lossy = false;
    fast->pace_us = 0;
}

bool ww_fast_rate_looks(const struct ww_fast *fast)
{
    return fast->cwnd < fast->threshold && fast->srtt_us >= RISE_MIN_US;
}

/* Slow start doubles the window each round. Before it overruns the path's queue the round trip
 * grows: from then on it grows by a quarter of that, and after 5 such rounds not by doubling any
 * more, unless the round trip was long by chance (RFC 9406). */
static void look_for_queue(struct ww_fast *fast, uint32_t sample_us)
{
    if (fast->cwnd >= fast->threshold)
        return;
    if (fast->largest_acked > fast->round_end) {
        fast->last_round_us = fast->round_us;
        fast->round_us = 0;
        fast->round_samples = 0;
        fast->round_end = fast->next;
        if (fast->calm_us && ++fast->calm_rounds >= CALM_ROUNDS)
            fast->threshold = fast->cwnd;
    }
    fast->round_us = fast->round_us ? WW_MIN(fast->round_us, sample_us) : sample_us;
    if (++fast->round_samples < ROUND_SAMPLES)
        return;
    uint32_t rise_us = WW_MIN(WW_MAX(fast->last_round_us / 8, RISE_MIN_US), RISE_MAX_US);
    if (fast->calm_us) {
        if (fast->round_us < fast->calm_us)
            fast->calm_us = 0;
    } else if (fast->last_round_us && fast->round_us >= fast->last_round_us + rise_us) {
        fast->calm_us = fast->round_us;
        fast->calm_rounds = 0;
    }
}

void ww_fast_rate_sample(struct ww_fast *fast, uint64_t sample_us, uint64_t delay_us)
{
    uint32_t sample = (uint32_t)WW_MIN(WW_MAX(sample_us, (uint64_t)1), (uint64_t)60000000);
    fast->latest_us = sample;
    look_for_queue(fast, sample);
    if (fast->srtt_us == 0) {
        fast->min_us = fast->srtt_us = sample;
        fast->rttvar_us = sample / 2;
        return;
    }
    fast->min_us = WW_MIN(fast->min_us, sample);
    delay_us = WW_MIN(delay_us, (uint64_t)FAST_ACK_DELAY_US);
    if (sample >= fast->min_us + delay_us)
        sample -= (uint32_t)delay_us;
    uint32_t off = fast->srtt_us > sample ? fast->srtt_us - sample : sample - fast->srtt_us;
    fast->rttvar_us = (3 * fast->rttvar_us + off) / 4;
    fast->srtt_us = (uint32_t)((7 * (uint64_t)fast->srtt_us + sample) / 8);
    fast->srtt_us = WW_MAX(fast->srtt_us, 1U);
}

uint64_t ww_fast_rate_timeout_us(const struct ww_fast *fast)
{
    uint64_t rtt = fast->srtt_us ? fast->srtt_us : FAST_RTT_FIRST_US;
    uint64_t var = fast->srtt_us ? fast->rttvar_us : FAST_RTT_FIRST_US / 2;
    uint64_t base = rtt + WW_MAX(4 * var, (uint64_t)FAST_GRANULARITY_US) + FAST_ACK_DELAY_US;
    unsigned doublings = WW_MIN(fast->timeouts, 16U);
    return WW_MIN(base << doublings, WW_MAX((uint64_t)FAST_TIMEOUT_MAX_US, base));
}

/* --- CUBIC --------------------------------------------------------------------------------------
 */

static uint64_t cube_root(uint64_t value)
{
    uint64_t root = 0;
    for (int bit = 20; bit >= 0; bit--) {
        uint64_t more = root | UINT64_C(1) << bit;
        if (more * more * more <= value)
            root = more;
    }
    return root;
}

static void begin_epoch(struct ww_fast *fast)
{
    uint64_t missing = fast->w_max > fast->cwnd ? fast->w_max - fast->cwnd : 0;
    fast->epoch_us = fast->now_us;
    fast->w_reno = fast->cwnd;
    /* K = cbrt((W_max - cwnd) / C), in ms, with C = 0.4 packets/s³. */
    fast->k_ms = cube_root(WW_MIN(missing / fast->record_bytes, (uint64_t)1000000) * 2500000000);
}

/* W_cubic(t + RTT) */
static uint64_t cubic_target(const struct ww_fast *fast)
{
    int64_t t_ms = (int64_t)((fast->now_us - fast->epoch_us + fast->srtt_us) / 1000);
    int64_t off = WW_MIN(t_ms, (int64_t)1000000) - (int64_t)fast->k_ms;
    int64_t packets_e3 = off * off * off / 2500000; /* thousandths of a packet */
    int64_t target = (int64_t)WW_MAX(fast->w_max, (uint64_t)1) +
                     packets_e3 / 1000 * (int64_t)fast->record_bytes +
                     packets_e3 % 1000 * (int64_t)fast->record_bytes / 1000;
    int64_t cwnd = (int64_t)fast->cwnd;
    return (uint64_t)WW_MAX(cwnd, WW_MIN(target, cwnd + cwnd / 2));
}

static void grow(struct ww_fast *fast, uint64_t bytes)
{
    if (fast->cwnd < fast->threshold) {
        fast->cwnd += fast->calm_us ? bytes / CALM_DIVISOR : bytes;
        return;
    }
    if (!fast->epoch_us)
        begin_epoch(fast);
    /* RFC 9438 4.3: what Reno with the same reduction would have. alpha = 3 (1 - 0.7) / (1 + 0.7),
     * 1 once it is where it was. */
    uint64_t step = bytes * fast->record_bytes / fast->cwnd;
    fast->w_reno += fast->w_reno < fast->w_max ? step * 9 / 17 : step;
    uint64_t target = cubic_target(fast);
    fast->cwnd += (target - fast->cwnd) * WW_MIN(bytes, fast->cwnd) / fast->cwnd;
    fast->cwnd = WW_MAX(fast->cwnd, fast->w_reno);
}

void ww_fast_rate_acked(struct ww_fast *fast, uint64_t bytes, uint64_t sent_us)
{
    /* A window that isn't used says nothing about the path (RFC 9002 7.8). */
    if (sent_us <= fast->recovery_us || !fast->is_limited)
        return;
    grow(fast, bytes);
    /* More than both windows hold is never used. */
    fast->cwnd = WW_MIN(fast->cwnd, (uint64_t)2 * WW_FAST_WINDOW_BYTES);
}

void ww_fast_rate_lost(struct ww_fast *fast, uint64_t sent_us, bool is_persistent)
{
    if (sent_us > fast->recovery_us) {
        fast->recovery_us = fast->now_us;
        /* Fast convergence, RFC 9438 4.7. */
        fast->w_max = fast->cwnd < fast->w_max ? fast->cwnd * 17 / 20 : fast->cwnd;
        fast->cwnd = fast->cwnd * BETA_NUMERATOR / BETA_DENOMINATOR;
        fast->threshold = fast->cwnd = WW_MAX(fast->cwnd, least_window(fast));
        fast->epoch_us = 0;
    }
    if (is_persistent) {
        fast->cwnd = least_window(fast);
        fast->recovery_us = 0;
    }
}

void ww_fast_rate_judge(struct ww_fast *fast, bool lost)
{
    fast->judged_lost += lost;
    if (++fast->judged < JUDGED_PACKETS)
        return;
    unsigned percent = fast->judged_lost * 100 / fast->judged;
    if (percent >= LOSSY_PERCENT)
        fast->is_lossy = true;
    else if (percent < CLEAN_PERCENT)
        fast->is_lossy = false;
    fast->judged = fast->judged_lost = 0;
    fast->cwnd = WW_MAX(fast->cwnd, least_window(fast));
}

/* --- pacing (RFC 9002 7.7) ---------------------------------------------------------------------
 */

/* Bytes per ms. */
static uint64_t rate(const struct ww_fast *fast)
{
    uint64_t factor = fast->cwnd < fast->threshold ? 8 : 5; /* quarters */
    return fast->cwnd * factor * 250 / fast->srtt_us;
}

/* A round trip that is shorter than two of a timer's steps isn't paced. */
static bool is_paced(const struct ww_fast *fast)
{
    return fast->srtt_us > BURST_US;
}

uint64_t ww_fast_rate_pace(struct ww_fast *fast)
{
    if (!is_paced(fast))
        return UINT64_MAX;
    uint64_t most =
        WW_MAX(BURST_PACKETS * (uint64_t)fast->record_bytes, rate(fast) * (BURST_US / 1000));
    uint64_t passed_us = WW_MIN(fast->now_us - fast->pace_us, (uint64_t)1000000);
    if (fast->pace_us == 0)
        fast->pace_bytes = most;
    else
        fast->pace_bytes = WW_MIN(most, fast->pace_bytes + rate(fast) * passed_us / 1000);
    fast->pace_us = fast->now_us;
    return fast->pace_bytes;
}

uint64_t ww_fast_rate_pace_us(const struct ww_fast *fast)
{
    uint64_t want = (uint64_t)fast->record_bytes;
    if (!is_paced(fast) || fast->pace_bytes >= want)
        return 0;
    uint64_t wait_us = (want - fast->pace_bytes) * 1000 / WW_MAX(rate(fast), (uint64_t)1);
    return fast->now_us + WW_MAX(wait_us, (uint64_t)FAST_GRANULARITY_US);
}
