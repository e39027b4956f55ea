/* A peer's fast lane: the state machine of fast.h between DTLS and the user. It is there when both
 * sides offered it in their signals. As everywhere in this room the user is only called in the
 * peer's turn.
 */
#include <inttypes.h>
#include <string.h>

#include "carrier.h"
#include "fast.h"
#include "internal.h"
#include "number.h"

/* To one peer in one turn, so that the others get theirs. */
#define MESSAGES_PER_TURN  128
#define DATAGRAMS_PER_TURN 1024
#define PROBE_HEAD         5
#define PROBE_ANSWER_BYTES 7
#define REPORT_BYTES       13
#define REPORT_US          250000

static bool on_record(void *arg, const uint8_t *record, size_t size, enum ww_ecn mark)
{
    struct ww_peer *peer = arg;
    peer->is_large_used |= size + WW_DTLS_OVERHEAD > peer->mtu.base;
    /* Of what a worker seals, datagrams were let in while there was room for all of a turn. */
    if (!(peer->loan && record[0] <= WW_FAST_PART) && !ww_transport_has_room(peer))
        return false;
    peer->sends_mark = ww_marks_allow(&peer->marks, mark, ww_loop_now_us(peer->net->loop));
    bool went = ww_transport_seal(peer, record, size);
    peer->sends_mark = WW_ECN_NONE;
    if (!went)
        return false;
    if (record[0] <= WW_FAST_DATA)
        ww_change_awaits(peer);
    return true;
}

static size_t record_bytes(const struct ww_peer *peer)
{
    return (peer->datagram_bytes ? peer->datagram_bytes : WW_DATAGRAM_BYTES) - WW_DTLS_OVERHEAD;
}

/* --- the path's MTU ------------------------------------------------------------------------------
 */

/* How long records of packets may be. */
static void use_width(struct ww_peer *peer)
{
    size_t sealed = peer->route && peer->route->lane
                        ? ww_pieces_record_bytes(&peer->pieces, peer->datagram_bytes,
                                                 ww_loop_now_us(peer->net->loop))
                        : 0;
    ww_fast_widen(peer->fast, sealed > WW_DTLS_OVERHEAD ? sealed - WW_DTLS_OVERHEAD : 0);
}

static void use_mtu(struct ww_peer *peer)
{
    peer->datagram_bytes = peer->mtu.best;
    ww_fast_resize(peer->fast, record_bytes(peer));
    use_width(peer);
}

static void start_mtu(struct ww_peer *peer)
{
    ww_mtu_start(&peer->mtu, ww_transport_least_bytes(peer), ww_transport_most_bytes(peer),
                 ww_loop_now_us(peer->net->loop));
    use_mtu(peer);
}

static void send_probe(struct ww_peer *peer, uint32_t id, size_t size)
{
    uint8_t probe[WW_DATAGRAM_BYTES_MOST] = {WW_FAST_PROBE};
    number_put(probe + 1, id, 4);
    peer->sends_alone = true;
    ww_transport_seal(peer, probe, size - WW_DTLS_OVERHEAD);
    peer->sends_alone = false;
}

static void probe_mtu(struct ww_peer *peer, uint64_t now_us)
{
    uint32_t id;
    size_t best = peer->mtu.best;
    peer->mtu.trip_us = ww_fast_trip_us(peer->fast);
    if (ww_fast_silent_timeouts(peer->fast) > 0)
        ww_mtu_doubt(&peer->mtu, now_us);
    size_t size = ww_mtu_probe(&peer->mtu, peer->is_large_used, now_us, &id);
    peer->is_large_used = false;
    if (peer->mtu.best != best)
        use_mtu(peer);
    if (!size || !ww_transport_has_room(peer))
        return;
    send_probe(peer, id, WW_MIN(size, (size_t)WW_DATAGRAM_BYTES_MOST));
    if (ww_mtu_wants_small(&peer->mtu))
        send_probe(peer, id, PROBE_HEAD + WW_DTLS_OVERHEAD);
}

/* A probe, or the answer to one. */
static int on_probe(struct ww_peer *peer, const uint8_t *record, size_t size)
{
    uint8_t answer[PROBE_ANSWER_BYTES] = {WW_FAST_PROBE_ANSWER};
    if (record[0] == WW_FAST_PROBE) {
        if (size < PROBE_HEAD)
            return WW_EPROTOCOL;
        memcpy(answer + 1, record + 1, 4);
        number_put(answer + 5, size, 2);
        on_record(peer, answer, sizeof answer, WW_ECN_NONE);
        return 0;
    }
    if (size != PROBE_ANSWER_BYTES)
        return WW_EPROTOCOL;
    if (ww_mtu_answer(&peer->mtu, number_get(record + 1, 4),
                      number_get(record + 5, 2) + WW_DTLS_OVERHEAD,
                      ww_loop_now_us(peer->net->loop))) {
        use_mtu(peer);
        ww_log(WW_LOG_DEBUG, "net", "the path carries more", "bytes=%zu", peer->mtu.best);
    }
    return 0;
}

/* --- wide records --------------------------------------------------------------------------------
 */

/* Four times a second while something comes: that pieces are taken, and how many records came
 * whole. */
static void report(struct ww_peer *peer, uint64_t now_us)
{
    struct ww_pieces_report counted = peer->pieces.counted;
    uint8_t record[REPORT_BYTES] = {WW_FAST_REPORT};
    if (!peer->is_report_due || (peer->reported_us && now_us - peer->reported_us < REPORT_US))
        return;
    if (peer->loan)
        ww_loan_counted(peer->loan, &counted);
    number_put(record + 1, counted.token, 4);
    number_put(record + 5, counted.top, 4);
    number_put(record + 9, counted.whole, 4);
    if (!on_record(peer, record, sizeof record, WW_ECN_NONE))
        return;
    peer->reported_us = now_us;
    peer->is_report_due = false;
}

static int on_report(struct ww_peer *peer, const uint8_t *record, size_t size)
{
    uint64_t now_us = ww_loop_now_us(peer->net->loop);
    bool was_narrow = peer->pieces.narrow_until_us != 0;
    if (size != REPORT_BYTES)
        return WW_EPROTOCOL;
    struct ww_pieces_report told = {.token = number_get(record + 1, 4),
                                    .top = number_get(record + 5, 4),
                                    .whole = number_get(record + 9, 4)};
    if (!peer->pieces.is_offered || peer->pieces.token_out != told.token)
        ww_loan_recall(peer); /* whoever cuts has to know it */
    ww_pieces_told(&peer->pieces, &told, now_us);
    use_width(peer);
    if (was_narrow != (peer->pieces.narrow_until_us != 0))
        ww_log(WW_LOG_DEBUG, "net", was_narrow ? "records are wide again" : "records are narrow",
               "number=%" PRIu32, peer->pieces.number);
    return 0;
}

/* --- marks of congestion -------------------------------------------------------------------------
 */

/* Only on our own socket: libnice neither reads marks nor sets them. */
static void start_marks(struct ww_peer *peer)
{
    ww_marks_path(&peer->marks, peer->route && peer->route->lane, ww_loop_now_us(peer->net->loop));
}

static void send_marks(struct ww_peer *peer, uint64_t now_us)
{
    uint8_t record[WW_MARKS_BYTES];
    peer->marks.trip_us = ww_fast_trip_us(peer->fast);
    if (!ww_transport_has_room(peer))
        return;
    if (ww_marks_tell(&peer->marks, now_us, record) &&
        on_record(peer, record, sizeof record, WW_ECN_NONE))
        ww_marks_has_told(&peer->marks, now_us);
    if (ww_marks_test(&peer->marks, now_us)) {
        peer->sends_mark = WW_ECN_ECT0;
        send_probe(peer, 0, PROBE_HEAD + WW_DTLS_OVERHEAD);
        peer->sends_mark = WW_ECN_NONE;
    }
}

static int on_marks(struct ww_peer *peer, const uint8_t *record, size_t size)
{
    uint64_t now_us = ww_loop_now_us(peer->net->loop);
    bool is_congested;
    int code = ww_marks_told(&peer->marks, record, size, now_us, &is_congested);
    if (is_congested)
        ww_fast_congested(peer->fast, now_us);
    return code;
}

/* Without room the lane touches the peer. */
static uint64_t marks_next_us(const struct ww_peer *peer)
{
    return ww_transport_has_room(peer) ? ww_marks_next_us(&peer->marks) : UINT64_MAX;
}

/* --- life ----------------------------------------------------------------------------------------
 */

static void on_timer(void *arg)
{
    ww_net_touch(arg);
}

int ww_peer_fast_start(struct ww_peer *peer)
{
    static const struct ww_fast_callbacks CALLBACKS = {.record = on_record};
    if (!peer->net->config.allow_fast || !peer->remote_fast || peer->config.allow_any_fingerprint)
        return 0;
    int code = ww_timer_create(peer->net->loop, on_timer, peer, &peer->fast_timer);
    if (!code)
        code = ww_fast_create(record_bytes(peer), &CALLBACKS, peer, &peer->fast);
    if (!code)
        start_mtu(peer);
    if (!code)
        start_marks(peer);
    peer->is_report_due = code == 0;
    return code;
}

void ww_peer_fast_stop(struct ww_peer *peer)
{
    /* What was sent in this turn goes, as it would by SCTP. */
    if (peer->fast && peer->connected)
        ww_fast_output(peer->fast, ww_loop_now_us(peer->net->loop));
    ww_fast_destroy(peer->fast);
    peer->fast = NULL;
    ww_timer_destroy(peer->fast_timer);
    peer->fast_timer = NULL;
}

void ww_peer_fast_input(struct ww_peer *peer, const uint8_t *record, size_t size)
{
    if (!peer->fast)
        return;
    uint8_t kind = record[0];
    int code;
    if (kind == WW_FAST_PROBE || kind == WW_FAST_PROBE_ANSWER)
        code = on_probe(peer, record, size);
    else if (kind == WW_FAST_REPORT)
        code = on_report(peer, record, size);
    else if (kind == WW_FAST_MARKS)
        code = on_marks(peer, record, size);
    else
        code = ww_fast_input(peer->fast, record, size, peer->hears_mark,
                             ww_loop_now_us(peer->net->loop));
    peer->is_report_due |= kind <= WW_FAST_DATA;
    if (code)
        ww_peer_fail(peer, code);
    ww_net_touch(peer);
}

void ww_peer_fast_path(struct ww_peer *peer)
{
    if (!peer->fast)
        return;
    ww_pieces_path(&peer->pieces);
    start_marks(peer);
    start_mtu(peer);
    ww_fast_path(peer->fast, record_bytes(peer), ww_loop_now_us(peer->net->loop));
    use_width(peer);
}

bool ww_peer_fast_take(struct ww_peer *peer)
{
    uint8_t *data;
    size_t size;
    enum ww_ecn mark;
    int code = 0, left;
    for (left = MESSAGES_PER_TURN; left && ww_fast_take(peer->fast, &data, &size, &code); left--) {
        if (peer->callbacks.message)
            peer->callbacks.message(peer->arg, data, size);
        if (peer->destroyed)
            return false;
    }
    if (code)
        ww_peer_fail(peer, code);
    bool has_more = left == 0;
    for (left = DATAGRAMS_PER_TURN; left && ww_fast_take_datagram(peer->fast, &data, &size, &mark);
         left--) {
        if (peer->callbacks.datagram)
            peer->callbacks.datagram(peer->arg, data, size, mark);
        if (peer->destroyed)
            return false;
    }
    bool is_writable = ww_fast_is_writable(peer->fast);
    if (peer->is_datagram_held && ww_transport_has_room(peer)) {
        peer->is_datagram_held = false;
        is_writable = true;
    }
    if (is_writable && peer->callbacks.writable)
        peer->callbacks.writable(peer->arg);
    return has_more || left == 0;
}

void ww_peer_fast_output(struct ww_peer *peer)
{
    uint64_t now_us = ww_loop_now_us(peer->net->loop);
    if (!peer->fast || !peer->connected || peer->fail_code)
        return;
    if (ww_change_look(peer))
        send_probe(peer, 0, PROBE_HEAD + WW_DTLS_OVERHEAD);
    probe_mtu(peer, now_us);
    report(peer, now_us);
    send_marks(peer, now_us);
    uint64_t next_us = WW_MIN(ww_fast_output(peer->fast, now_us), ww_mtu_next_us(&peer->mtu));
    next_us = WW_MIN(next_us, ww_change_next_us(peer));
    next_us = WW_MIN(next_us, marks_next_us(peer));
    if (next_us == UINT64_MAX)
        ww_timer_stop(peer->fast_timer);
    else
        ww_timer_start(peer->fast_timer, next_us > now_us ? next_us - now_us : 0);
}

/* --- the public functions ------------------------------------------------------------------------
 */

bool ww_peer_has_fast(const struct ww_peer *peer)
{
    return peer->fast != NULL;
}

static int check(const struct ww_peer *peer)
{
    if (peer->closed || peer->fail_code)
        return WW_ECLOSED;
    return peer->fast && peer->connected ? 0 : WW_EUNSUPPORTED;
}

int ww_peer_send(struct ww_peer *peer, const uint8_t *head, size_t head_size,
                 const uint8_t *payload, size_t payload_size)
{
    int code = check(peer);
    if (code)
        return code;
    ww_net_touch(peer);
    return ww_fast_write(peer->fast, head, head_size, payload, payload_size);
}

size_t ww_peer_record_room(const struct ww_peer *peer)
{
    return peer->fast ? ww_fast_datagram_room(peer->fast) : 0;
}

int ww_peer_send_datagram(struct ww_peer *peer, const uint8_t *head, size_t head_size,
                          const uint8_t *payload, size_t payload_size, enum ww_ecn mark,
                          size_t room)
{
    int code = check(peer);
    if (code)
        return code;
    ww_net_touch(peer);
    /* What waits for a worker is bounded here, where whoever has packets can keep them. */
    peer->is_datagram_held = peer->loan && !ww_loan_has_room(peer->loan);
    if (peer->is_datagram_held)
        return WW_EAGAIN;
    return ww_fast_datagram(peer->fast, head, head_size, payload, payload_size, mark, room);
}
