/* Bytes between a TCP connection and a stream of transfer. No allocation, no copy of its own.
 *
 * Relies on transfer and on the end's operations. At most WW_PIPE_QUEUE_BYTES wait in the
 * connection's write queue before credit is held back, and nothing is read that the stream did not
 * take.
 */
#include "pipe.h"

#define READ_MAX (16 * WW_MESSAGE_BYTES_MAX)

static void set_paused(struct pipe *pipe, bool paused)
{
    if (pipe->paused == paused || !pipe->end)
        return;
    pipe->paused = paused;
    pipe->ops->pause(pipe->end, paused);
}

static void send_fin(struct pipe *pipe, uint64_t now_us)
{
    size_t written = 0;
    if (pipe->fin_sent || !pipe->transfer)
        return;
    if (!ww_transfer_stream_write(pipe->transfer, pipe->stream_id, NULL, 0, true, now_us, &written))
        pipe->fin_sent = true;
}

/* As much of it as the rate lets pass now. */
static size_t allowed(struct pipe *pipe, size_t size, uint64_t now_us)
{
    size_t some = pipe->bucket ? ww_flow_bucket_take_some(pipe->bucket, size, now_us) : size;

    if (some < size)
        pipe->is_starved = true;
    pipe->had_turn |= some > 0;
    return some;
}

void pipe_pump(struct pipe *pipe, uint64_t now_us)
{
    while (pipe->end && pipe->transfer && !pipe->fin_sent) {
        size_t size = 0, written = 0;
        const uint8_t *data = pipe->ops->peek(pipe->end, READ_MAX, &size);
        if (!data || size == 0)
            break;
        size = allowed(pipe, size, now_us);
        if (size == 0) {
            set_paused(pipe, true);
            return;
        }
        int rc = ww_transfer_stream_write(pipe->transfer, pipe->stream_id, data, size, false,
                                          now_us, &written);
        if (pipe->bucket)
            ww_flow_bucket_give(pipe->bucket, size - written);
        if (rc)
            return; /* the stream's own end is told by its reset */
        if (pipe->flow && written)
            ww_flows_count(pipe->flow, !pipe->is_exit, written, now_us);
        if (written)
            pipe->ops->consume(pipe->end, written);
        if (written < size) {
            set_paused(pipe, true);
            return;
        }
    }
    set_paused(pipe, false);
    if (pipe->read_eof)
        send_fin(pipe, now_us);
}

void pipe_eof(struct pipe *pipe, uint64_t now_us)
{
    pipe->read_eof = true;
    pipe_pump(pipe, now_us);
}

void pipe_deliver(struct pipe *pipe, const uint8_t *data, size_t size, bool fin)
{
    if (!pipe->end) {
        if (pipe->transfer)
            ww_transfer_stream_consumed(pipe->transfer, pipe->stream_id, size);
        return;
    }
    if (size && pipe->ops->write(pipe->end, data, size)) {
        void *end = pipe->end;
        pipe_end_closed(pipe, WW_ERESET);
        pipe->ops->reset(end);
        return;
    }
    if (pipe->flow && size)
        ww_flows_count(pipe->flow, pipe->is_exit, size, ww_clock_mono_us());
    pipe->credit_owed += size;
    pipe_drained(pipe);
    if (fin) {
        pipe->fin_received = true;
        pipe->ops->finish(pipe->end);
    }
}

void pipe_drained(struct pipe *pipe)
{
    uint64_t owed = pipe->credit_owed;

    if (pipe->end && pipe->ops->queued(pipe->end) > WW_PIPE_QUEUE_BYTES)
        return; /* its rate allows more, but the queue has not run low */
    if (pipe->bucket && owed)
        owed = allowed(pipe, owed, ww_clock_mono_us());
    pipe->credit_owed -= owed;
    if (owed && pipe->transfer)
        ww_transfer_stream_consumed(pipe->transfer, pipe->stream_id, owed);
}

void pipe_end_closed(struct pipe *pipe, int code)
{
    struct ww_transfer *transfer = pipe->transfer;

    pipe->end = NULL;
    if (!transfer)
        return;
    if (pipe->fin_sent && pipe->fin_received) {
        /* Whatever its rate: nobody asks again. */
        if (pipe->credit_owed)
            ww_transfer_stream_consumed(transfer, pipe->stream_id, pipe->credit_owed);
        pipe->credit_owed = 0;
        return;
    }
    pipe->transfer = NULL;
    ww_transfer_stream_reset(transfer, pipe->stream_id, code ? code : WW_ERESET);
}

void pipe_stream_closed(struct pipe *pipe)
{
    void *end = pipe->end;
    pipe->transfer = NULL;
    pipe->end = NULL;
    if (end)
        pipe->ops->reset(end);
}
