/* A peer, what carries its two lanes, and transfer, joined.
 *
 * Relies on net and transfer. The lanes are the peer's fast lane, where both sides have it; else
 * two data channels, which the client opens: "ww" (ordered, reliable) and "ww-datagram" (unordered,
 * never sent again). Net never calls back from inside a call, so transfer is never entered twice.
 */
#include "conn.h"

#include <string.h>

#include "ww/base.h"
#include "ww/super.h"
#include "ww/tun.h"

#define LABEL_RELIABLE "ww"
#define LABEL_DATAGRAM "ww-datagram"
/* A path that was silent and is heard again: a line that comes and goes has a few seconds to show.
 */
#define TRUST_US 5000000

static void schedule(struct conn *conn, uint64_t due_us)
{
    uint64_t now_us = ww_loop_now_us(conn->loop);
    if (due_us == UINT64_MAX || (due_us >= conn->timer_due_us && ww_timer_running(conn->timer)))
        return;
    conn->timer_due_us = due_us;
    ww_timer_start(conn->timer, due_us > now_us ? due_us - now_us : 0);
}

void conn_touch(struct conn *conn)
{
    if (conn->transfer && !conn->closing_code)
        schedule(conn, ww_transfer_tick(conn->transfer, ww_loop_now_us(conn->loop)));
}

void conn_lose(struct conn *conn, int code)
{
    if (conn->closing_code || conn->is_closed)
        return;
    conn->closing_code = code ? code : WW_ECLOSED;
    conn->timer_due_us = UINT64_MAX;
    schedule(conn, 0);
}

static void timer_fired(void *arg)
{
    struct conn *conn = arg;
    conn->timer_due_us = UINT64_MAX;
    if (!conn->closing_code) {
        conn_touch(conn);
        return;
    }
    conn->is_closed = true;
    conn->is_ready = false;
    if (conn->transfer)
        ww_transfer_lost(conn->transfer, conn->closing_code, ww_loop_now_us(conn->loop));
    conn->callbacks->closed(conn, conn->closing_code);
}

/* --- lanes ------------------------------------------------------------------------------------ */

/* A channel takes one block, so head and payload are joined here: 16 KiB at most, once, into the
 * caller's stack. */
static int channel_send(struct conn *conn, enum ww_lane lane, const uint8_t *head, size_t head_size,
                        const uint8_t *payload, size_t payload_size)
{
    struct ww_channel *channel = lane == WW_LANE_RELIABLE ? conn->reliable : conn->datagram;
    uint8_t message[WW_WIRE_DATA_HEAD_MAX + WW_MESSAGE_BYTES_MAX];

    if (!channel)
        return WW_EAGAIN;
    if (payload_size == 0)
        return ww_channel_send(channel, WW_CHANNEL_BINARY, head, head_size);
    if (head_size + payload_size > sizeof(message))
        return WW_ETOOBIG;
    memcpy(message, head, head_size);
    memcpy(message + head_size, payload, payload_size);
    return ww_channel_send(channel, WW_CHANNEL_BINARY, message, head_size + payload_size);
}

/* Transfer's callback. */
static int lane_send(void *arg, enum ww_lane lane, const uint8_t *head, size_t head_size,
                     const uint8_t *payload, size_t payload_size)
{
    struct conn *conn = arg;
    size_t room = conn->packets.sends_room;

    conn->packets.sends_room = 0; /* it is the packet's own, not what else this call sends */
    if (!conn->is_fast)
        return channel_send(conn, lane, head, head_size, payload, payload_size);
    if (lane == WW_LANE_RELIABLE)
        return ww_peer_send(conn->peer, head, head_size, payload, payload_size);
    return ww_peer_send_datagram(conn->peer, head, head_size, payload, payload_size,
                                 conn->packets.sends_mark, room);
}

static void lane_failed(void *arg, int code, const char *why)
{
    struct conn *conn = arg;
    char peer[WW_HASH_TEXT_SIZE];
    ww_log(WW_LOG_WARN, "node", "a peer broke the protocol", "peer=%s code=%s why=\"%s\"",
           ww_hash_format(&conn->remote, peer), ww_error_name(code), why);
    conn_lose(conn, code);
}

static void receive(struct conn *conn, enum ww_lane lane, uint8_t *data, size_t size)
{
    if (conn->closing_code)
        return;
    if (lane == WW_LANE_RELIABLE)
        conn->heard_us = ww_loop_now_us(conn->loop);
    ww_transfer_receive(conn->transfer, lane, data, size, ww_loop_now_us(conn->loop));
    conn_touch(conn);
}

static void fast_message(void *arg, uint8_t *data, size_t size)
{
    receive(arg, WW_LANE_RELIABLE, data, size);
}

static void fast_datagram(void *arg, uint8_t *data, size_t size, enum ww_ecn mark)
{
    struct conn *conn = arg;

    conn->packets.came_mark = mark;
    receive(conn, WW_LANE_DATAGRAM, data, size);
    conn->packets.came_mark = WW_ECN_NONE;
}

static void channel_message(struct conn *conn, enum ww_lane lane, enum ww_channel_kind kind,
                            void *data, size_t size)
{
    if (kind == WW_CHANNEL_BINARY)
        receive(conn, lane, data, size);
    else
        conn_lose(conn, WW_EPROTOCOL);
}

static void reliable_message(void *arg, enum ww_channel_kind kind, void *data, size_t size)
{
    channel_message(arg, WW_LANE_RELIABLE, kind, data, size);
}

static void datagram_message(void *arg, enum ww_channel_kind kind, void *data, size_t size)
{
    channel_message(arg, WW_LANE_DATAGRAM, kind, data, size);
}

static void lane_writable(void *arg)
{
    struct conn *conn = arg;
    if (conn->closing_code)
        return;
    ww_transfer_writable(conn->transfer, ww_loop_now_us(conn->loop));
    conn_touch(conn);
}

static void reliable_closed(void *arg, int code)
{
    struct conn *conn = arg;
    conn->reliable = NULL;
    conn_lose(conn, code ? code : WW_ECLOSED);
}

static void datagram_closed(void *arg, int code)
{
    struct conn *conn = arg;
    conn->datagram = NULL;
    conn_lose(conn, code ? code : WW_ECLOSED);
}

static const struct ww_channel_callbacks RELIABLE_CALLBACKS = {
    .message = reliable_message, .writable = lane_writable, .closed = reliable_closed};
static const struct ww_channel_callbacks DATAGRAM_CALLBACKS = {
    .message = datagram_message, .writable = lane_writable, .closed = datagram_closed};

/* --- packets ---------------------------------------------------------------------------------- */

int conn_packet_send(struct conn *conn, const uint8_t *packet, size_t size,
                     struct ww_offload offload)
{
    int rc;

    conn->packets.sends_mark = ww_ecn_get(packet, size);
    conn->packets.sends_room = offload.segment_size ? WW_TUN_HEADROOM : 0;
    rc = ww_transfer_packet_send(conn->transfer, conn->packets.stream_id, packet, size, offload,
                                 ww_loop_now_us(conn->loop));
    conn->packets.sends_mark = WW_ECN_NONE;
    conn->packets.sends_room = 0;
    return rc;
}

bool conn_packet_came(struct conn *conn, uint8_t *packet, size_t size)
{
    enum ww_ecn mark, inner = ww_ecn_get(packet, size);

    if (!ww_ecn_combine(inner, conn->packets.came_mark, &mark)) {
        conn->packets.unmarkable++;
        return false;
    }
    if (mark != inner)
        ww_ecn_set(packet, mark);
    return true;
}

/* --- peer ------------------------------------------------------------------------------------- */

static void check_ready(struct conn *conn)
{
    if (conn->is_ready || (!conn->is_fast && (!conn->reliable || !conn->datagram)))
        return;
    conn->is_ready = true;
    ww_transfer_writable(conn->transfer, ww_loop_now_us(conn->loop));
    conn->callbacks->ready(conn);
    conn_touch(conn);
}

static void peer_signal(void *arg, const char *text)
{
    struct conn *conn = arg;
    conn->callbacks->signal(conn, text);
}

static void peer_path(void *arg, enum ww_path_event event)
{
    struct conn *conn = arg;
    uint64_t now_us = ww_loop_now_us(conn->loop);

    if (event == WW_PATH_IS_LOST) {
        conn->is_cut = true;
    } else if (event == WW_PATH_IS_DOUBTED || event == WW_PATH_IS_SILENT) {
        conn->doubted_us = conn->is_doubted ? conn->doubted_us : now_us;
        conn->is_doubted = true;
        conn->is_silent |= event == WW_PATH_IS_SILENT;
    } else {
        conn->trusted_us = conn->is_silent ? now_us + TRUST_US : conn->trusted_us;
        conn->is_doubted = conn->is_silent = false;
        conn->is_cut &= event != WW_PATH_HAS_CHANGED;
    }
    if (!conn->closing_code)
        conn->callbacks->path(conn, event);
}

static void peer_connected_client(void *arg)
{
    static const struct ww_channel_config reliable = {.label = LABEL_RELIABLE,
                                                      .max_retransmits = -1};
    static const struct ww_channel_config datagram = {
        .label = LABEL_DATAGRAM, .unordered = true, .max_retransmits = 0};
    struct conn *conn = arg;

    conn->is_fast = ww_peer_has_fast(conn->peer);
    if (conn->is_fast) {
        check_ready(conn);
        return;
    }
    int rc = ww_channel_open(conn->peer, &reliable, &RELIABLE_CALLBACKS, conn, &conn->reliable);
    if (!rc)
        rc = ww_channel_open(conn->peer, &datagram, &DATAGRAM_CALLBACKS, conn, &conn->datagram);
    if (rc)
        conn_lose(conn, rc);
    else
        check_ready(conn);
}

static void peer_connected_provider(void *arg)
{
    struct conn *conn = arg;
    conn->is_fast = ww_peer_has_fast(conn->peer);
    check_ready(conn); /* else the client opens the channels */
}

static void peer_channel(void *arg, struct ww_channel *channel)
{
    struct conn *conn = arg;
    const char *label = ww_channel_label(channel);

    /* The counts of a contract rest on it. */
    if (strcmp(label, LABEL_RELIABLE) == 0 && !conn->reliable &&
        !ww_channel_is_unordered(channel) && ww_channel_is_reliable(channel)) {
        conn->reliable = channel;
        ww_channel_accept(channel, &RELIABLE_CALLBACKS, conn);
    } else if (strcmp(label, LABEL_DATAGRAM) == 0 && !conn->datagram) {
        conn->datagram = channel;
        ww_channel_accept(channel, &DATAGRAM_CALLBACKS, conn);
    }
    check_ready(conn);
}

static void peer_closed(void *arg, int code)
{
    conn_lose(arg, code);
}

int conn_create(const struct conn_config *config, struct conn **out)
{
    bool client = config->role == WW_TRANSFER_CLIENT;
    struct ww_transfer_config transfer = {.role = config->role};
    struct ww_transfer_callbacks callbacks = config->callbacks->transfer;
    struct ww_peer_callbacks peer_callbacks = {
        .signal = peer_signal,
        .connected = client ? peer_connected_client : peer_connected_provider,
        .channel = client ? NULL : peer_channel,
        .message = fast_message,
        .datagram = fast_datagram,
        .writable = lane_writable,
        .path = peer_path,
        .closed = peer_closed,
    };
    struct ww_peer_config peer = {.role = client ? WW_PEER_CLIENT : WW_PEER_SERVER,
                                  .remote = config->remote};
    struct conn *conn = ww_alloc(1, sizeof(*conn));

    if (!conn)
        return WW_ENOMEM;
    conn->remote = config->remote;
    conn->loop = config->loop;
    conn->callbacks = config->callbacks;
    conn->owner = config->owner;
    conn->timer_due_us = UINT64_MAX;
    memcpy(transfer.epoch, config->epoch, WW_EPOCH_SIZE);
    ww_random_bytes(&transfer.seed, sizeof(transfer.seed));
    callbacks.send = lane_send;
    callbacks.failed = lane_failed;
    int rc = ww_timer_create(config->loop, timer_fired, conn, &conn->timer);
    if (!rc)
        rc = ww_transfer_create(&transfer, &callbacks, conn, &conn->transfer);
    if (!rc)
        rc = ww_peer_create(config->net, &peer, &peer_callbacks, conn, &conn->peer);
    if (rc) {
        conn_destroy(conn);
        return rc;
    }
    *out = conn;
    return 0;
}

size_t conn_packet_room(const struct conn *conn)
{
    size_t room = conn->is_fast ? ww_peer_record_room(conn->peer) : 0;
    size_t taken = ww_transfer_packet_room(conn->transfer);

    return room > WW_TRANSFER_HEAD_MAX ? WW_MIN(room - WW_TRANSFER_HEAD_MAX, taken) : 0;
}

unsigned conn_worker(struct conn *conn)
{
    unsigned worker = conn->is_fast ? ww_peer_worker(conn->peer) : 0;

    if (worker) /* called back for a moment, it keeps its queue, and packets their order */
        conn->packets.worker = worker;
    return conn->packets.worker;
}

void conn_packet_cut(struct conn *conn,
                     void (*fn)(void *arg, uint64_t stream_id, uint8_t *packet, size_t size,
                                struct ww_offload offload),
                     uint64_t stream_id, uint8_t *packet, size_t size, struct ww_offload offload)
{
    struct ww_super super;

    if (!ww_super_begin(&super, packet, size, offload.segment_size))
        return;
    while ((size = ww_super_next(&super, 0, &packet, &offload)) > 0)
        fn(conn, stream_id, packet, size, offload);
}

int conn_peer_key(struct conn *conn, struct ww_public_key **key)
{
    uint8_t spki[WW_PUBLIC_KEY_SIZE];
    int rc = 0;

    if (!conn->peer_key)
        rc = conn->peer && ww_peer_public_key(conn->peer, spki)
                 ? ww_public_key_parse(spki, sizeof(spki), &conn->peer_key)
                 : WW_EPEERKEY;
    *key = conn->peer_key;
    return rc == WW_EMALFORMED ? WW_EPEERKEY : rc;
}

void conn_destroy(struct conn *conn)
{
    if (!conn)
        return;
    ww_public_key_destroy(conn->peer_key);
    ww_peer_destroy(conn->peer);
    ww_transfer_destroy(conn->transfer);
    ww_timer_destroy(conn->timer);
    packet_queue_deinit(&conn->packets.queue);
    ww_free(conn);
}
