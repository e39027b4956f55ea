/* Streams and flows: opening, half-closing, resetting, credit, writing. A stream lives from its
 * STREAM_OPEN until both directions have finished or either side reset it; frames for ids that are
 * over are ignored. It must never keep more than WW_STREAMS_MAX of them, and copies no payload. */
#include "room.h"

/* A provider's peer may leave ids out, and so could put all its streams into one bucket: the secret
 * factor spreads whatever it chooses (multiply-shift hashing). */
static size_t bucket_of(const struct ww_transfer *t, uint64_t id)
{
    return id * (t->config.seed | 1) >> (64 - WW_TRANSFER_BUCKET_BITS);
}

struct transfer_stream *ww_transfer_stream_find(const struct ww_transfer *t, uint64_t id)
{
    struct transfer_stream *stream;

    LIST_FOREACH (stream, &t->buckets[bucket_of(t, id)], bucket) {
        if (stream->id == id)
            return stream;
    }
    return NULL;
}

static struct transfer_stream *add_stream(struct ww_transfer *t, uint64_t id,
                                          const struct ww_dest *dest)
{
    struct transfer_stream *stream = ww_alloc(1, sizeof(*stream));

    if (!stream)
        return NULL;
    stream->id = id;
    stream->dest = *dest;
    stream->is_packets = dest->protocol == WW_DEST_IP;
    stream->is_flow = stream->is_packets || dest->protocol == WW_DEST_UDP;
    if (stream->is_packets)
        t->packets = stream;
    LIST_INSERT_HEAD(&t->buckets[bucket_of(t, id)], stream, bucket);
    t->stream_count++;
    return stream;
}

void ww_transfer_stream_free(struct ww_transfer *t, struct transfer_stream *stream)
{
    if (stream->is_in_control)
        TAILQ_REMOVE(&t->control, stream, control);
    if (stream->is_waiting)
        TAILQ_REMOVE(&t->waiting, stream, waiting);
    if (t->packets == stream)
        t->packets = NULL;
    LIST_REMOVE(stream, bucket);
    t->stream_count--;
    t->credit_bytes -= stream->receive_credit - stream->consumed;
    ww_free(stream);
}

void ww_transfer_stream_free_if_done(struct ww_transfer *t, struct transfer_stream *stream)
{
    uint64_t unread = stream->receive_offset - stream->consumed;

    if (!stream->fin_received || !stream->fin_sent)
        return;
    ww_transfer_stream_free(t, stream);
    /* What its owner has not passed on yet is held all the same. */
    t->unread_bytes += unread;
    t->credit_bytes += unread;
}

void ww_transfer_stream_control(struct ww_transfer *t, struct transfer_stream *stream)
{
    if (!stream->is_in_control) {
        TAILQ_INSERT_TAIL(&t->control, stream, control);
        stream->is_in_control = true;
    }
    t->is_control_due = true;
}

/* --- credit ----------------------------------------------------------------------------------- */

/* A client's readers are its own; a provider's destinations may be the client's, and not read. */
static uint64_t window_of(const struct ww_transfer *t, const struct transfer_stream *stream)
{
    uint64_t window = t->config.stream_window_bytes << stream->doublings;

    if (!t->is_client && t->credit_bytes >= WW_CREDIT_BYTES_MAX)
        window = WW_MIN(window, (uint64_t)WW_STREAM_WINDOW_LEAST_BYTES);
    return window;
}

uint64_t ww_transfer_stream_credit_target(const struct ww_transfer *t,
                                          const struct transfer_stream *stream)
{
    uint64_t target = stream->consumed + window_of(t, stream);
    uint64_t left;

    if (t->is_client || !ww_transfer_contract_is_metered(t))
        return target;
    /* Until the arbiter confirms, each stream gets a little, from half of what may be served. */
    if (stream->receive_credit)
        return stream->receive_credit;
    left = WW_UNCONFIRMED_BYTES / 2 - WW_MIN(t->metered_credit, (uint64_t)WW_UNCONFIRMED_BYTES / 2);
    return WW_MIN(target, WW_MIN(left, (uint64_t)WW_UNCONFIRMED_BYTES / 8));
}

static bool takes_data(const struct transfer_stream *stream)
{
    return stream->is_accepted && !stream->is_flow && !stream->is_zombie && !stream->fin_received;
}

/* Credit is due. The window grows where it, and not the reader, held the peer up: most of it is
 * read by now, or it was read faster than in four round trips. Half of what may be promised stays
 * for other streams: of a client, since its readers may stop as well, a first window for each
 * stream. */
static void grow_window(const struct ww_transfer *t, struct transfer_stream *stream)
{
    uint64_t window = window_of(t, stream), took_us = t->now_us - stream->credit_us;
    bool is_used_up = stream->consumed + window / 4 >= stream->receive_credit;
    bool is_fast = stream->credit_us && took_us < 2 * t->rtt_us;
    uint64_t most = t->is_client ? WW_STREAMS_MAX * t->config.stream_window_bytes
                                 : (uint64_t)WW_CREDIT_BYTES_MAX;

    if (stream->doublings < WW_STREAM_WINDOW_DOUBLINGS && (is_used_up || is_fast) &&
        t->credit_bytes + window <= most / 2)
        stream->doublings++;
    stream->credit_us = t->now_us;
}

void ww_transfer_stream_refresh_credit(struct ww_transfer *t)
{
    for (size_t i = 0; i < WW_TRANSFER_BUCKETS; i++) {
        struct transfer_stream *stream;

        LIST_FOREACH (stream, &t->buckets[i], bucket) {
            if (takes_data(stream)) {
                stream->credit_due = true;
                ww_transfer_stream_control(t, stream);
            }
        }
    }
}

void ww_transfer_stream_consumed(struct ww_transfer *t, uint64_t stream_id, uint64_t bytes)
{
    struct transfer_stream *stream;

    if (t->is_dead)
        return;
    stream = ww_transfer_stream_find(t, stream_id);
    if (!stream) {
        bytes = WW_MIN(bytes, t->unread_bytes);
        t->unread_bytes -= bytes;
        t->credit_bytes -= bytes;
        return;
    }
    if (stream->is_flow || stream->is_zombie)
        return;
    ww_transfer_enter(t, 0);
    bytes = WW_MIN(bytes, stream->receive_offset - stream->consumed);
    stream->consumed += bytes;
    t->credit_bytes -= bytes;
    if (takes_data(stream) && ww_transfer_stream_credit_target(t, stream) >=
                                  stream->receive_credit + window_of(t, stream) / 2) {
        if (!stream->credit_due)
            grow_window(t, stream);
        stream->credit_due = true;
        ww_transfer_stream_control(t, stream);
    }
    ww_transfer_leave(t, false);
}

void ww_transfer_stream_on_credit(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct transfer_stream *stream = ww_transfer_stream_find(t, frame->credit.stream_id);

    if (frame->credit.stream_id >= t->next_stream_id || (stream && stream->is_flow)) {
        ww_transfer_fail(t, WW_EPROTOCOL, "Credit came for what is not an open stream");
        return;
    }
    if (!stream || frame->credit.offset <= stream->send_credit)
        return;
    stream->send_credit = frame->credit.offset;
    if (stream->wants_write || stream->fin_wanted)
        ww_transfer_waiting_add(t, stream);
}

/* --- opening ---------------------------------------------------------------------------------- */

int ww_transfer_stream_open(struct ww_transfer *t, const struct ww_dest *dest, uint64_t *stream_id)
{
    struct transfer_stream *stream;
    bool has_contract = ww_transfer_contract_is_open(t);

    if (t->is_dead)
        return WW_ECLOSED;
    if (!t->is_client)
        return WW_ESTATE;
    for (size_t i = 0; i < t->contract_count; i++)
        has_contract |= !t->contracts[i]->is_opened;
    if (!has_contract)
        return WW_ENOCONTRACT;
    if (t->stream_count >= WW_STREAMS_MAX)
        return WW_ELIMIT;
    if (dest->protocol == WW_DEST_IP && t->packets && !t->packets->is_zombie)
        return WW_EEXIST;
    stream = add_stream(t, t->next_stream_id, dest);
    if (!stream)
        return WW_ENOMEM;
    ww_transfer_enter(t, 0);
    *stream_id = t->next_stream_id++;
    stream->open_due = true;
    stream->credit_due = !stream->is_flow;
    ww_transfer_stream_control(t, stream);
    ww_transfer_leave(t, false);
    return 0;
}

void ww_transfer_stream_on_open(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct transfer_stream *stream;
    uint64_t id = frame->stream.stream_id;

    if (t->is_client) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A provider opened a stream");
        return;
    }
    if (id < t->next_stream_id)
        return;
    if (t->stream_count >= WW_STREAMS_MAX) {
        ww_transfer_fail(t, WW_ELIMIT, "The client opened too many streams");
        return;
    }
    if (frame->stream.dest.protocol == WW_DEST_IP && t->packets && !t->packets->is_zombie) {
        ww_transfer_fail(t, WW_EPROTOCOL, "The client opened a second flow of packets");
        return;
    }
    stream = add_stream(t, id, &frame->stream.dest);
    if (!stream) {
        ww_transfer_fail(t, WW_ENOMEM, "No memory for a stream");
        return;
    }
    t->next_stream_id = id + 1;
    if (!ww_transfer_contract_is_open(t)) {
        /* The contract may have ended while this was on its way. */
        ww_transfer_stream_reset(t, id, WW_ENOCONTRACT);
        return;
    }
    t->callbacks.stream_opened(t->arg, id, &frame->stream.dest);
}

int ww_transfer_stream_accept(struct ww_transfer *t, uint64_t stream_id,
                              const struct ww_dest *local)
{
    struct transfer_stream *stream;

    if (t->is_dead)
        return WW_ECLOSED;
    stream = ww_transfer_stream_find(t, stream_id);
    if (!stream || stream->is_zombie)
        return WW_ENOTFOUND;
    if (t->is_client || stream->is_accepted)
        return WW_ESTATE;
    ww_transfer_enter(t, 0);
    stream->is_accepted = true;
    stream->dest = *local;
    stream->opened_due = true;
    stream->credit_due = !stream->is_flow;
    ww_transfer_stream_control(t, stream);
    ww_transfer_leave(t, false);
    return 0;
}

void ww_transfer_stream_on_opened(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct transfer_stream *stream = ww_transfer_stream_find(t, frame->stream.stream_id);

    if (!t->is_client || frame->stream.stream_id >= t->next_stream_id ||
        (stream && stream->open_due)) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A stream was accepted that was not opened");
        return;
    }
    if (!stream || stream->is_accepted || stream->is_zombie)
        return;
    stream->is_accepted = true;
    if (stream->wants_write || stream->fin_wanted)
        ww_transfer_waiting_add(t, stream);
    t->callbacks.stream_accepted(t->arg, frame->stream.stream_id, &frame->stream.dest);
}

/* --- resetting -------------------------------------------------------------------------------- */

void ww_transfer_stream_reset(struct ww_transfer *t, uint64_t stream_id, int code)
{
    struct transfer_stream *stream;

    if (t->is_dead)
        return;
    stream = ww_transfer_stream_find(t, stream_id);
    if (!stream || stream->is_zombie)
        return;
    if (stream->open_due) { /* the peer never heard of it */
        ww_transfer_stream_free(t, stream);
        return;
    }
    ww_transfer_enter(t, 0);
    stream->is_zombie = true;
    stream->reset_due = true;
    stream->reset_code = code <= 0 ? code : WW_ERESET;
    stream->open_due = false;
    stream->opened_due = false;
    stream->credit_due = false;
    if (stream->is_waiting) {
        TAILQ_REMOVE(&t->waiting, stream, waiting);
        stream->is_waiting = false;
    }
    ww_transfer_stream_control(t, stream);
    ww_transfer_leave(t, false);
}

void ww_transfer_stream_on_reset(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct transfer_stream *stream = ww_transfer_stream_find(t, frame->reset.stream_id);
    bool is_known;

    if (frame->reset.stream_id >= t->next_stream_id || (stream && stream->open_due)) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A stream was reset that was not opened");
        return;
    }
    if (!stream)
        return;
    is_known = !stream->is_zombie; /* else both sides reset it: each has said so to its owner */
    ww_transfer_stream_free(t, stream);
    if (is_known)
        t->callbacks.stream_reset(t->arg, frame->reset.stream_id, frame->reset.code);
}
