/* Data channels (RFC 8831) over a peer's SCTP streams, opened by DCEP (RFC 8832). Messages that
 * came in pieces are put together here, within a bound. A channel's number is free again when both
 * sides have reset their direction.
 */
#include <string.h>

#include "internal.h"
#include "ww/wire.h"

/* RFC 8831 8: payload protocol identifiers. An empty message is one zero byte of its own kind. */
enum {
    PPID_DCEP = 50,
    PPID_TEXT = 51,
    PPID_BINARY = 53,
    PPID_TEXT_EMPTY = 56,
    PPID_BINARY_EMPTY = 57,
};
#define DCEP_ACK  2 /* RFC 8832 8.2.1 */
#define DCEP_OPEN 3
/* RFC 8832 8.2.2 */
#define TYPE_UNORDERED   0x80
#define TYPE_RELIABLE    0x00
#define TYPE_RETRANSMITS 0x01
#define TYPE_TIMED       0x02
#define PRIORITY_NORMAL  256 /* RFC 8831 6.4 */

/* --- life --------------------------------------------------------------------------------------
 */

static struct ww_channel *make(struct ww_peer *peer, uint16_t number)
{
    struct ww_channel *channel = ww_alloc(1, sizeof *channel);
    if (!channel)
        return NULL;
    channel->peer = peer;
    channel->number = number;
    channel->max_retransmits = -1;
    ww_buf_init(&channel->partial, WW_CHANNEL_MESSAGE_BYTES_MAX);
    peer->channels[number] = channel;
    return channel;
}

/* The user may be in one of its callbacks: the memory goes at the end of the turn. */
static void drop(struct ww_channel *channel)
{
    struct ww_peer *peer = channel->peer;
    peer->channels[channel->number] = NULL;
    peer->blocked_count -= channel->blocked;
    channel->blocked = false;
    ww_buf_deinit(&channel->partial);
    SLIST_INSERT_HEAD(&peer->net->channel_zombies, channel, zombie_entry);
}

static void request_reset(struct ww_peer *peer, uint16_t number)
{
    uint64_t bit = (uint64_t)1 << number;
    peer->resets_pending &= ~bit;
    if (!peer->sctp || ww_sctp_reset(peer->sctp, number))
        peer->resets_pending |= bit;
}

static void begin_closing(struct ww_channel *channel)
{
    if (channel->closing)
        return;
    channel->closing = true;
    channel->peer->blocked_count -= channel->blocked;
    channel->blocked = false;
    ww_buf_deinit(&channel->partial);
    request_reset(channel->peer, channel->number);
}

/* The handle is gone for the user, who is told. */
static void tell_closed(struct ww_channel *channel, int code)
{
    if (!channel->user_has_it)
        return;
    channel->user_has_it = false;
    if (channel->callbacks.closed)
        channel->callbacks.closed(channel->arg, code);
}

void ww_channels_start(struct ww_peer *peer)
{
    peer->stream_count = ww_sctp_stream_count(peer->sctp);
}

void ww_channels_close(struct ww_peer *peer, int code)
{
    for (unsigned i = 0; i < WW_CHANNELS_MAX; i++) {
        struct ww_channel *channel = peer->channels[i];
        if (!channel)
            continue;
        drop(channel);
        if (code && !peer->destroyed)
            tell_closed(channel, code);
    }
}

/* --- DCEP ----------------------------------------------------------------------------------------
 */

static int send_open(struct ww_channel *channel)
{
    struct ww_dcep_open open;
    struct ww_buf message;
    const struct ww_sctp_message info = {
        .stream = channel->number, .ppid = PPID_DCEP, .max_retransmits = -1};
    int code;
    memset(&open, 0, sizeof open);
    open.channel_type =
        (uint8_t)((channel->max_retransmits >= 0 ? TYPE_RETRANSMITS : TYPE_RELIABLE) |
                  (channel->unordered ? TYPE_UNORDERED : 0));
    open.priority = PRIORITY_NORMAL;
    open.reliability = channel->max_retransmits >= 0 ? (uint32_t)channel->max_retransmits : 0;
    memcpy(open.label, channel->label, sizeof open.label);
    memcpy(open.protocol, channel->protocol, sizeof open.protocol);
    ww_buf_init(&message, 1024);
    code = ww_wire_dcep_open_encode(&open, &message);
    if (!code)
        code = ww_sctp_send(channel->peer->sctp, &info, message.data, message.size);
    ww_buf_deinit(&message);
    return code;
}

static int send_ack(struct ww_channel *channel)
{
    static const uint8_t ACK[] = {DCEP_ACK};
    const struct ww_sctp_message info = {
        .stream = channel->number, .ppid = PPID_DCEP, .max_retransmits = -1};
    return ww_sctp_send(channel->peer->sctp, &info, ACK, sizeof ACK);
}

/* The DTLS client opens even numbers, the server odd ones (RFC 8832 6). */
static bool is_theirs(const struct ww_peer *peer, uint16_t number)
{
    return (number % 2 == 0) == peer->is_dtls_server;
}

static void read_open(struct ww_channel *channel, const struct ww_dcep_open *open)
{
    channel->unordered = (open->channel_type & TYPE_UNORDERED) != 0;
    channel->unreliable = (open->channel_type & ~TYPE_UNORDERED) != TYPE_RELIABLE;
    if ((open->channel_type & ~TYPE_UNORDERED) == TYPE_RETRANSMITS)
        channel->max_retransmits = (int)WW_MIN(open->reliability, UINT16_MAX);
    memcpy(channel->label, open->label, sizeof channel->label);
    memcpy(channel->protocol, open->protocol, sizeof channel->protocol);
    channel->acknowledged = true;
}

/* On a stream in use. libdatachannel sends an OPEN twice when a channel is made in the moment in
 * which the association comes up: the same one again is acknowledged again. Any other breaks
 * RFC 8832 6, and the channel is closed. */
static void on_open_again(struct ww_channel *channel, const struct ww_dcep_open *open)
{
    struct ww_channel again = {.max_retransmits = -1};
    if (channel->closing)
        return;
    if (open)
        read_open(&again, open);
    if (open && is_theirs(channel->peer, channel->number) &&
        again.unordered == channel->unordered && again.unreliable == channel->unreliable &&
        again.max_retransmits == channel->max_retransmits &&
        strcmp(again.label, channel->label) == 0 &&
        strcmp(again.protocol, channel->protocol) == 0) {
        int code = send_ack(channel);
        if (code)
            ww_peer_fail(channel->peer, code);
        return;
    }
    begin_closing(channel);
    tell_closed(channel, WW_EPROTOCOL);
}

static void on_open(struct ww_peer *peer, uint16_t number, const uint8_t *data, size_t size)
{
    struct ww_dcep_open open;
    struct ww_channel *channel = peer->channels[number];
    bool is_sound = !ww_wire_dcep_open_decode(data, size, &open);
    if (channel) {
        on_open_again(channel, is_sound ? &open : NULL);
        return;
    }
    channel = make(peer, number);
    if (!channel) {
        ww_peer_fail(peer, WW_ENOMEM);
        return;
    }
    if (!is_sound || !is_theirs(peer, number)) {
        begin_closing(channel);
        return;
    }
    read_open(channel, &open);
    int code = send_ack(channel);
    if (code)
        ww_peer_fail(peer, code);
    else if (peer->callbacks.channel)
        peer->callbacks.channel(peer->arg, channel);
    /* The peer may be gone now, but not the memory of the channel. */
    if (!peer->destroyed && !channel->user_has_it && peer->channels[number] == channel)
        begin_closing(channel);
}

static void on_dcep(struct ww_peer *peer, uint16_t number, const uint8_t *data, size_t size)
{
    struct ww_channel *channel = peer->channels[number];
    if (size >= 1 && data[0] == DCEP_OPEN) {
        on_open(peer, number, data, size);
    } else if (size == 1 && data[0] == DCEP_ACK) {
        if (!channel || channel->acknowledged || channel->closing)
            return;
        channel->acknowledged = true;
        if (channel->callbacks.open)
            channel->callbacks.open(channel->arg);
    }
}

/* --- messages
 * ------------------------------------------------------------------------------------- */

static void deliver(struct ww_peer *peer, uint16_t number, uint32_t ppid, uint8_t *data,
                    size_t size)
{
    struct ww_channel *channel = peer->channels[number];
    bool is_empty = ppid == PPID_TEXT_EMPTY || ppid == PPID_BINARY_EMPTY;
    bool is_text = ppid == PPID_TEXT || ppid == PPID_TEXT_EMPTY;
    if (ppid == PPID_DCEP) {
        on_dcep(peer, number, data, size);
        return;
    }
    if (!channel || channel->closing || (!is_empty && !is_text && ppid != PPID_BINARY))
        return;
    /* Whoever sends data on a channel knows it: an ACK may still be on its way. */
    if (channel->user_has_it && channel->callbacks.message)
        channel->callbacks.message(channel->arg, is_text ? WW_CHANNEL_TEXT : WW_CHANNEL_BINARY,
                                   data, is_empty ? 0 : size);
}

void ww_channels_data(struct ww_peer *peer, const struct ww_sctp_received *received, uint8_t *data)
{
    struct ww_channel *channel;
    if (received->stream >= WW_CHANNELS_MAX)
        return;
    channel = peer->channels[received->stream];
    if (received->is_end && (!channel || channel->partial.size == 0)) {
        deliver(peer, received->stream, received->ppid, data, received->size);
        return;
    }
    /* In pieces: only for channels, DCEP's messages fit one piece. */
    if (!channel || channel->closing)
        return;
    if (channel->partial.size == 0)
        channel->partial_ppid = received->ppid;
    ww_buf_put(&channel->partial, data, received->size);
    if (channel->partial.error) {
        ww_peer_fail(peer, channel->partial.error == WW_ENOMEM ? WW_ENOMEM : WW_EPROTOCOL);
        return;
    }
    if (!received->is_end)
        return;
    /* The buffer is taken off the channel, which the user may close while he reads it. */
    struct ww_buf whole = channel->partial;
    ww_buf_init(&channel->partial, WW_CHANNEL_MESSAGE_BYTES_MAX);
    deliver(peer, received->stream, channel->partial_ppid, whole.data, whole.size);
    ww_buf_deinit(&whole);
}

void ww_channels_abandon(struct ww_peer *peer, uint16_t stream)
{
    struct ww_channel *channel = stream < WW_CHANNELS_MAX ? peer->channels[stream] : NULL;
    if (channel)
        ww_buf_clear(&channel->partial);
}

/* --- resets
 * ----------------------------------------------------------------------------------------- */

static void on_reset(struct ww_peer *peer, uint16_t number, enum ww_sctp_received_kind kind)
{
    struct ww_channel *channel = peer->channels[number];
    if (!channel)
        return;
    if (kind == WW_SCTP_RESET_FAILED) {
        if (channel->closing && !channel->reset_out)
            peer->resets_pending |= (uint64_t)1 << number;
        return;
    }
    if (kind == WW_SCTP_RESET_OUT) {
        channel->reset_out = true;
    } else {
        channel->reset_in = true;
        /* An incoming reset is answered by our own (RFC 8831 6.7). */
        begin_closing(channel);
        tell_closed(channel, 0);
    }
    if (channel->reset_in && channel->reset_out && !peer->destroyed &&
        peer->channels[number] == channel)
        drop(channel);
}

void ww_channels_reset(struct ww_peer *peer, const struct ww_sctp_received *received)
{
    for (uint16_t i = 0; i < WW_CHANNELS_MAX && !peer->destroyed; i++) {
        if (received->streams & (uint64_t)1 << i)
            on_reset(peer, i, received->kind);
    }
}

void ww_channels_turn(struct ww_peer *peer)
{
    uint64_t resets = peer->resets_pending;
    for (uint16_t i = 0; resets; i++, resets >>= 1) {
        if (resets & 1)
            request_reset(peer, i);
    }
    if (peer->blocked_count == 0 || ww_sctp_buffered(peer->sctp) > WW_SCTP_SEND_BYTES / 2)
        return;
    for (unsigned i = 0; i < WW_CHANNELS_MAX && !peer->destroyed; i++) {
        struct ww_channel *channel = peer->channels[i];
        if (!channel || !channel->blocked)
            continue;
        channel->blocked = false;
        peer->blocked_count--;
        if (channel->callbacks.writable)
            channel->callbacks.writable(channel->arg);
    }
}

/* --- the public functions
 * ------------------------------------------------------------------------------ */

static int copy_text(char *out, const char *text)
{
    size_t size = text ? strlen(text) : 0;
    if (size > WW_CHANNEL_LABEL_BYTES_MAX)
        return WW_ETOOBIG;
    memcpy(out, text ? text : "", size);
    out[size] = '\0';
    return 0;
}

int ww_channel_open(struct ww_peer *peer, const struct ww_channel_config *config,
                    const struct ww_channel_callbacks *callbacks, void *arg,
                    struct ww_channel **channel)
{
    struct ww_channel *made;
    unsigned number = peer->is_dtls_server ? 1 : 0;
    int code;
    if (peer->closed || peer->fail_code)
        return WW_ECLOSED;
    if (!peer->connected)
        return WW_EAGAIN;
    while (number < peer->stream_count && peer->channels[number])
        number += 2;
    if (number >= peer->stream_count)
        return WW_ELIMIT;
    made = make(peer, (uint16_t)number);
    if (!made)
        return WW_ENOMEM;
    made->callbacks = *callbacks;
    made->arg = arg;
    made->unordered = config->unordered;
    made->max_retransmits = config->max_retransmits < 0 ? -1 : config->max_retransmits;
    made->unreliable = made->max_retransmits >= 0;
    made->user_has_it = true;
    code = copy_text(made->label, config->label);
    if (!code)
        code = copy_text(made->protocol, config->protocol);
    if (!code)
        code = send_open(made);
    if (code) {
        drop(made);
        return code;
    }
    ww_net_touch(peer);
    *channel = made;
    return 0;
}

void ww_channel_accept(struct ww_channel *channel, const struct ww_channel_callbacks *callbacks,
                       void *arg)
{
    channel->callbacks = *callbacks;
    channel->arg = arg;
    channel->user_has_it = true;
}

int ww_channel_send(struct ww_channel *channel, enum ww_channel_kind kind, const void *data,
                    size_t size)
{
    static const uint8_t ZERO[1];
    struct ww_peer *peer = channel->peer;
    struct ww_sctp_message message = {
        .stream = channel->number,
        .unordered = channel->unordered && channel->acknowledged,
        .max_retransmits = channel->max_retransmits,
    };
    if (size > WW_CHANNEL_MESSAGE_BYTES_MAX)
        return WW_ETOOBIG;
    if (!peer->sctp || peer->fail_code || channel->closing)
        return WW_ECLOSED;
    if (size == 0)
        message.ppid = kind == WW_CHANNEL_TEXT ? PPID_TEXT_EMPTY : PPID_BINARY_EMPTY;
    else
        message.ppid = kind == WW_CHANNEL_TEXT ? PPID_TEXT : PPID_BINARY;
    int code = ww_sctp_send(peer->sctp, &message, size ? data : ZERO, size ? size : 1);
    if (code == WW_EAGAIN && !channel->blocked) {
        channel->blocked = true;
        peer->blocked_count++;
    }
    ww_net_touch(peer);
    return code;
}

size_t ww_channel_buffered(const struct ww_channel *channel)
{
    return channel->peer->sctp ? ww_sctp_buffered(channel->peer->sctp) : 0;
}

void ww_channel_close(struct ww_channel *channel)
{
    channel->user_has_it = false;
    begin_closing(channel);
    ww_net_touch(channel->peer);
}

const char *ww_channel_label(const struct ww_channel *channel)
{
    return channel->label;
}

const char *ww_channel_protocol(const struct ww_channel *channel)
{
    return channel->protocol;
}

uint16_t ww_channel_number(const struct ww_channel *channel)
{
    return channel->number;
}

bool ww_channel_is_unordered(const struct ww_channel *channel)
{
    return channel->unordered;
}

bool ww_channel_is_reliable(const struct ww_channel *channel)
{
    return !channel->unreliable;
}
