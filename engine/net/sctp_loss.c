/* What a path that loses much needs from SCTP. There nearly every round ends in a timeout that
 * closes the window, so the two decide how fast it goes: while much loss is seen, and the other
 * side is heard, timeouts follow the round trip instead of the cautious limits of other paths, and
 * the window stays open a little. Packets are only counted; options are set when the owner asks.
 */
#include <string.h>
#include <usrsctp.h>

#include "crc32c.h"
#include "sctp_internal.h"

#define LOOK_US      100000U
#define LOOK_SOON_US 20000U
/* So many chunks are judged at once, or fewer when so many of them were odd already: the first few
 * messages of a connection must not wait for seconds each. */
#define SAMPLE     32
#define SAMPLE_ODD 2
/* From the first share on the path loses much, below the second it doesn't. */
#define MUCH_PERCENT   15
#define LITTLE_PERCENT 5
/* Chunks a second, 24 Mbit/s: what goes so fast needs no help, and on a busy machine a pause can
 * look like loss. */
#define FAST_PER_S 2500
/* While much is lost: above a delayed SACK and the clock's step of 10 ms, and twice doubled. */
#define RTO_BAD_LEAST_MS 40U
#define RTO_BAD_MOST_MS  120U
#define RTO_STEP_MS      20U /* so that they aren't set anew for nothing */
/* Packets in flight that a closed window is opened to: with one alone each loss is a timeout. Less
 * than what a sender may put into a path that it knows nothing about (10, RFC 6928). */
#define WINDOW_PACKETS 8U
/* Nothing has come for so long: sending faster only costs. */
#define SILENT_US 3000000
/* Round trips of which the shortest counts, twice: of the last 4 to 8. */
#define TRIPS 4
/* A round trip that takes longer is none: something was lost, or the path was. */
#define PROBE_US 3000000U

/* By how much usrsctp's round trip may be longer than ours, beyond twice; and how long it may be
 * while there is none of ours. */
#define ESTIMATE_SLACK_MS   20U
#define ESTIMATE_UNKNOWN_MS 200U
/* Nothing has come for so long: heartbeats slow down. */
#define QUIET_US      500000
#define BEAT_QUIET_US 500000U

#define COMMON_HEADER_BYTES 12
#define CHUNK_DATA          0
#define CHUNK_SACK          3
#define CHUNK_BEAT          4
#define CHUNK_BEAT_ANSWER   5
/* In usrsctp's netinet/sctp.h, but missing from its public header. */
#define PLUGGABLE_CC 0x00001202

/* --- what is seen ----------------------------------------------------------------------------- */

static bool is_above(uint32_t tsn, uint32_t other)
{
    return (int32_t)(tsn - other) > 0;
}

static void note_chunk(struct ww_sctp_order *order, uint32_t tsn, bool is_odd)
{
    order->count++;
    order->odd += order->started && is_odd;
    if (!order->started || is_above(tsn, order->top))
        order->top = tsn;
    order->started = true;
}

/* From the first time that a chunk goes to the first SACK that covers it: with losses that is too
 * long, but never too short, so the shortest of a few is the round trip. One that grows is seen
 * although every chunk is sent again too early. */
static void note_trip(struct ww_sctp_loss *loss, uint64_t took_us)
{
    if (took_us > PROBE_US)
        return;
    uint32_t trip_us = (uint32_t)took_us;
    if (loss->trips == TRIPS) {
        loss->trips = 0;
        loss->before_us = loss->best_us;
    }
    if (loss->trips++ == 0 || trip_us < loss->best_us)
        loss->best_us = trip_us;
}

static void note_sent(struct ww_sctp_loss *loss, uint32_t tsn, uint64_t now_us)
{
    bool is_new = !loss->out.started || is_above(tsn, loss->out.top);
    note_chunk(&loss->out, tsn, !is_new);
    if (is_new && (!loss->probe_us || now_us - loss->probe_us > PROBE_US)) {
        loss->probe_us = now_us;
        loss->probe_tsn = tsn;
    }
}

static void note_acknowledged(struct ww_sctp_loss *loss, uint32_t tsn, uint64_t now_us)
{
    if (!loss->probe_us || is_above(loss->probe_tsn, tsn))
        return;
    note_trip(loss, now_us - loss->probe_us);
    loss->probe_us = 0;
}

/* A heartbeat and its answer are a round trip for certain. */
static void note_beat(struct ww_sctp_loss *loss, uint32_t sum, bool is_out, uint64_t now_us)
{
    if (is_out) {
        loss->beats[loss->next_beat].sum = sum;
        loss->beats[loss->next_beat].sent_us = now_us;
        loss->next_beat = (loss->next_beat + 1) % WW_SCTP_BEATS;
        return;
    }
    for (unsigned i = 0; i < WW_SCTP_BEATS; i++) {
        if (loss->beats[i].sum != sum || !loss->beats[i].sent_us)
            continue;
        note_trip(loss, now_us - loss->beats[i].sent_us);
        loss->beats[i].sent_us = 0;
        return;
    }
}

static void note(struct ww_sctp_loss *loss, const uint8_t *packet, size_t size, bool is_out,
                 uint64_t now_us)
{
    for (size_t at = COMMON_HEADER_BYTES; at + 8 <= size;) {
        size_t length = (size_t)packet[at + 2] << 8 | packet[at + 3];
        uint32_t tsn = (uint32_t)packet[at + 4] << 24 | (uint32_t)packet[at + 5] << 16 |
                       (uint32_t)packet[at + 6] << 8 | packet[at + 7];
        if (length < 4)
            return;
        if (packet[at] == CHUNK_DATA && is_out)
            note_sent(loss, tsn, now_us);
        else if (packet[at] == CHUNK_DATA)
            note_chunk(&loss->in, tsn, tsn != loss->in.top + 1);
        else if (packet[at] == CHUNK_SACK && !is_out)
            note_acknowledged(loss, tsn, now_us);
        else if (packet[at] == (is_out ? CHUNK_BEAT : CHUNK_BEAT_ANSWER))
            note_beat(loss, ww_crc32c(packet + at + 4, WW_MIN(length, size - at) - 4), is_out,
                      now_us);
        at += (length + 3) & ~(size_t)3;
    }
}

void ww_sctp_loss_out(struct ww_sctp_loss *loss, const uint8_t *packet, size_t size,
                      uint64_t now_us)
{
    note(loss, packet, size, true, now_us);
}

void ww_sctp_loss_in(struct ww_sctp_loss *loss, const uint8_t *packet, size_t size, uint64_t now_us)
{
    loss->heard_us = now_us;
    note(loss, packet, size, false, now_us);
}

/* As if it had just been heard, for ICE has: what waits is sent at once, or a path that was lost
 * for long would take up to 3 s to be used. */
void ww_sctp_loss_forget(struct ww_sctp_loss *loss, uint64_t now_us)
{
    loss->trips = 0;
    loss->probe_us = 0;
    loss->best_us = loss->before_us = 0;
    memset(loss->beats, 0, sizeof loss->beats);
    loss->heard_us = now_us;
    loss->look_again_us = 0;
}

/* --- what is done --------------------------------------------------------------------------- */

/* 0: not measured yet. */
static uint64_t trip_us(const struct ww_sctp_loss *loss)
{
    if (loss->trips == 0)
        return 0;
    uint32_t best_us = loss->before_us ? WW_MIN(loss->best_us, loss->before_us) : loss->best_us;
    return WW_MAX(best_us, 1000U);
}

static bool judge(struct ww_sctp_order *order, uint64_t now_us)
{
    if (order->count >= SAMPLE || order->odd >= SAMPLE_ODD) {
        unsigned percent = order->odd * 100 / order->count;
        bool is_fast = order->count > (now_us - order->judged_us) * FAST_PER_S / 1000000;
        order->is_bad = !is_fast && percent >= (order->is_bad ? LITTLE_PERCENT : MUCH_PERCENT);
        order->count = order->odd = 0;
        order->judged_us = now_us;
    }
    return order->is_bad;
}

static void set(struct socket *socket, int option, const void *value, size_t size)
{
    /* An association that isn't up any more has none. */
    (void)usrsctp_setsockopt(socket, IPPROTO_SCTP, option, value, (socklen_t)size);
}

/* Timeouts double up to 4 round trips, or more while nothing comes: a path that is back after
 * minutes is found within 3 s, and one that only loses much within a moment. */
static void set_timeouts(struct ww_sctp_loss *loss, struct socket *socket, bool is_bad,
                         uint64_t now_us)
{
    uint32_t trip_ms = (uint32_t)trip_us(loss) / 1000;
    uint32_t most_ms = is_bad && trip_ms ? RTO_BAD_MOST_MS : WW_SCTP_RTO_YOUNG_MS;
    most_ms = WW_MAX(most_ms, 4 * trip_ms);
    most_ms = (uint32_t)WW_MAX(most_ms, (now_us - loss->heard_us) / 4000);
    most_ms = WW_MIN(most_ms / RTO_STEP_MS * RTO_STEP_MS, WW_SCTP_RTO_MAX_MS);
    uint32_t least_ms =
        is_bad && trip_ms ? WW_MAX(trip_ms + trip_ms / 4, RTO_BAD_LEAST_MS) : WW_SCTP_RTO_MIN_MS;
    least_ms = WW_MIN(least_ms / RTO_STEP_MS * RTO_STEP_MS, most_ms);
    const struct sctp_rtoinfo info = {
        .srto_initial = most_ms, .srto_max = most_ms, .srto_min = least_ms};
    if (loss->least_ms == least_ms && loss->most_ms == most_ms)
        return;
    loss->least_ms = least_ms;
    loss->most_ms = most_ms;
    set(socket, SCTP_RTOINFO, &info, sizeof info);
}

static void set_sacks(struct ww_sctp_loss *loss, struct socket *socket, uint32_t frequency)
{
    const struct sctp_sack_info info = {.sack_freq = frequency};
    if (loss->sack_frequency == frequency)
        return;
    loss->sack_frequency = frequency;
    set(socket, SCTP_DELAYED_SACK, &info, sizeof info);
}

void ww_sctp_loss_beat(struct socket *socket, const struct sockaddr_conn *address)
{
    struct sctp_paddrparams heartbeat;
    memset(&heartbeat, 0, sizeof heartbeat);
    memcpy(&heartbeat.spp_address, address, sizeof *address);
    heartbeat.spp_flags = SPP_HB_DEMAND;
    set(socket, SCTP_PEER_ADDR_PARAMS, &heartbeat, sizeof heartbeat);
}

/* The only way to set the window of a path that is under way: to choose its algorithm anew, which
 * starts with as many packets as a burst may have. A heartbeat then makes SCTP look what fits. */
static void open_window(struct socket *socket)
{
    struct sctp_assoc_value burst = {.assoc_value = WINDOW_PACKETS};
    const struct sctp_assoc_value algorithm = {.assoc_value = SCTP_CC_RFC2581};
    set(socket, SCTP_MAX_BURST, &burst, sizeof burst);
    set(socket, PLUGGABLE_CC, &algorithm, sizeof algorithm);
    burst.assoc_value = 0;
    set(socket, SCTP_MAX_BURST, &burst, sizeof burst);
}

static bool is_window_closed(const struct sctp_status *status)
{
    const struct sctp_paddrinfo *path = &status->sstat_primary;
    return (status->sstat_unackdata > 0 || status->sstat_penddata > 0) &&
           path->spinfo_cwnd < WINDOW_PACKETS * (path->spinfo_mtu - COMMON_HEADER_BYTES);
}

/* At a timeout usrsctp sends again only what is older than its own estimate, whatever limits
 * timeouts have; and to it an association whose first packets were lost has a round trip of
 * seconds. Each answered heartbeat takes an eighth off. */
static bool is_estimate_long(const struct ww_sctp_loss *loss, const struct sctp_status *status)
{
    uint32_t trip_ms = (uint32_t)trip_us(loss) / 1000;
    return status->sstat_primary.spinfo_srtt >
           (loss->trips ? 2 * trip_ms + ESTIMATE_SLACK_MS : ESTIMATE_UNKNOWN_MS);
}

/* When to look again, at the latest; 0 when nothing is to be done. */
static uint64_t look(struct ww_sctp_loss *loss, struct socket *socket,
                     const struct sockaddr_conn *address, uint64_t now_us)
{
    struct sctp_status status;
    socklen_t size = sizeof status;
    bool is_bad = judge(&loss->out, now_us);
    uint64_t silent_us = now_us - loss->heard_us;
    set_sacks(loss, socket, judge(&loss->in, now_us) ? 1 : WW_SCTP_SACK_EVERY);
    set_timeouts(loss, socket, is_bad, now_us);
    memset(&status, 0, sizeof status);
    if (usrsctp_getsockopt(socket, IPPROTO_SCTP, SCTP_STATUS, &status, &size))
        return 0;
    bool is_closed = is_bad && silent_us <= SILENT_US && is_window_closed(&status);
    bool is_long = is_estimate_long(loss, &status);
    if (is_closed)
        open_window(socket);
    if (is_closed || is_long)
        ww_sctp_loss_beat(socket, address);
    if (is_long && silent_us > QUIET_US)
        return BEAT_QUIET_US;
    /* Without a measured round trip, too: with one packet after each timeout, what must be sent
     * again would be in the way of what can be measured. */
    if (is_long || (is_bad && silent_us <= SILENT_US))
        return loss->trips ? WW_MAX(LOOK_SOON_US, trip_us(loss)) : LOOK_US;
    return 0;
}

uint64_t ww_sctp_loss_adapt(struct ww_sctp_loss *loss, struct socket *socket,
                            const struct sockaddr_conn *address, uint64_t now_us)
{
    if (now_us >= loss->look_again_us) {
        uint64_t again_us = look(loss, socket, address, now_us);
        loss->is_looking = again_us > 0;
        loss->look_again_us = now_us + (again_us ? again_us : LOOK_US);
    }
    return loss->is_looking ? loss->look_again_us - now_us : 0;
}
