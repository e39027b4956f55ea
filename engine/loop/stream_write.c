/* Writing: into a queue of blocks that is sent at the end of the turn with one sendmsg, so that
 * many small writes make few segments. Errors are told by `closed`, never by the call that wrote.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "stream.h"

#define SEND_PARTS_MAX 16

static struct ww_chunk *chunk_take(struct ww_loop *loop)
{
    struct ww_chunk *chunk = TAILQ_FIRST(&loop->spare_chunks);

    if (chunk) {
        TAILQ_REMOVE(&loop->spare_chunks, chunk, link);
        loop->spare_count--;
    } else {
        chunk = ww_buffer_alloc(sizeof(*chunk));
        if (!chunk)
            return NULL;
    }
    chunk->begin = 0;
    chunk->end = 0;
    return chunk;
}

static void chunk_give(struct ww_loop *loop, struct ww_chunk *chunk)
{
    if (loop->spare_count == WW_STREAM_SPARE_CHUNKS) {
        ww_buffer_free(chunk, sizeof(*chunk));
        return;
    }
    TAILQ_INSERT_HEAD(&loop->spare_chunks, chunk, link);
    loop->spare_count++;
}

static void drop_head(struct ww_stream *stream)
{
    struct ww_chunk *chunk = TAILQ_FIRST(&stream->queue);

    TAILQ_REMOVE(&stream->queue, chunk, link);
    chunk_give(stream->loop, chunk);
}

/* Appends all or nothing. */
static int enqueue(struct ww_stream *stream, const uint8_t *data, size_t size)
{
    struct ww_chunk *last = TAILQ_LAST(&stream->queue, ww_chunk_list);
    size_t room = last ? sizeof(last->data) - last->end : 0;
    size_t added = 0;
    struct ww_chunk_list fresh = TAILQ_HEAD_INITIALIZER(fresh);
    struct ww_chunk *chunk;

    for (added = room; added < size; added += sizeof(chunk->data)) {
        chunk = chunk_take(stream->loop);
        if (!chunk)
            goto fail;
        TAILQ_INSERT_TAIL(&fresh, chunk, link);
    }
    TAILQ_CONCAT(&stream->queue, &fresh, link);
    stream->queued += size;
    for (chunk = last ? last : TAILQ_FIRST(&stream->queue); size; chunk = TAILQ_NEXT(chunk, link)) {
        size_t part = WW_MIN(size, sizeof(chunk->data) - chunk->end);

        memcpy(chunk->data + chunk->end, data, part);
        chunk->end += part;
        data += part;
        size -= part;
    }
    return 0;

fail:
    while ((chunk = TAILQ_FIRST(&fresh))) {
        TAILQ_REMOVE(&fresh, chunk, link);
        ww_buffer_free(chunk, sizeof(*chunk));
    }
    return WW_ENOMEM;
}

static void remove_sent(struct ww_stream *stream, size_t sent)
{
    stream->queued -= sent;
    while (sent) {
        struct ww_chunk *chunk = TAILQ_FIRST(&stream->queue);
        size_t part = WW_MIN(sent, chunk->end - chunk->begin);

        chunk->begin += part;
        sent -= part;
        if (chunk->begin == chunk->end)
            drop_head(stream);
    }
}

static ssize_t send_parts(struct ww_stream *stream, struct iovec *parts, size_t count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent;

    do {
        sent = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    ww_stream_fail(stream, ww_stream_error(errno));
    return -1;
}

/* Sends until the queue is empty or the socket full. */
static void send_queue(struct ww_stream *stream)
{
    while (stream->queued) {
        struct iovec parts[SEND_PARTS_MAX];
        size_t count = 0;
        size_t offered = 0;
        struct ww_chunk *chunk;
        ssize_t sent;

        TAILQ_FOREACH (chunk, &stream->queue, link) {
            if (count == SEND_PARTS_MAX)
                break;
            parts[count].iov_base = chunk->data + chunk->begin;
            parts[count].iov_len = chunk->end - chunk->begin;
            offered += parts[count++].iov_len;
        }
        sent = send_parts(stream, parts, count);
        if (sent <= 0)
            return;
        remove_sent(stream, (size_t)sent);
        if ((size_t)sent < offered)
            return;
    }
}

static void update_writing(struct ww_stream *stream)
{
    bool wanted = stream->state == STREAM_OPEN && stream->queued;

    if (wanted == stream->writes)
        return;
    stream->writes = wanted;
    if (!wanted) {
        event_del(&stream->write_event);
    } else if (event_add(&stream->write_event, NULL) != 0) {
        stream->writes = false;
        ww_stream_fail(stream, WW_ESYSTEM);
    }
}

void ww_stream_flush(struct ww_stream *stream)
{
    bool was_above = stream->queued > stream->low_mark;

    if (stream->state != STREAM_OPEN)
        return;
    send_queue(stream);
    update_writing(stream);
    if (stream->state != STREAM_OPEN)
        return;
    if (!stream->queued && stream->is_finishing && !stream->is_finished) {
        stream->is_finished = true;
        if (shutdown(stream->fd, SHUT_WR) != 0) {
            ww_stream_fail(stream, ww_stream_error(errno));
            return;
        }
    }
    if (was_above && stream->queued <= stream->low_mark && stream->callbacks->drained) {
        ww_stream_enter(stream);
        stream->callbacks->drained(stream->arg);
        ww_stream_leave(stream);
    }
}

void ww_stream_on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    ww_stream_flush(arg);
}

int ww_stream_write(struct ww_stream *stream, const void *data, size_t size)
{
    int rc;

    if (stream->state == STREAM_CLOSED || stream->is_finishing)
        return WW_ECLOSED;
    if (!size)
        return 0;
    rc = enqueue(stream, data, size);
    if (rc)
        return rc;
    /* With the write event added, the socket is known to be full. */
    if (stream->state == STREAM_OPEN && !stream->writes)
        ww_stream_defer(stream, WORK_FLUSH);
    return 0;
}

size_t ww_stream_queued(const struct ww_stream *stream)
{
    return stream->queued;
}

void ww_stream_set_low_mark(struct ww_stream *stream, size_t bytes)
{
    stream->low_mark = bytes;
}

void ww_stream_finish(struct ww_stream *stream)
{
    if (stream->is_finishing)
        return;
    stream->is_finishing = true;
    if (stream->state == STREAM_OPEN)
        ww_stream_defer(stream, WORK_FLUSH);
}

void ww_stream_write_deinit(struct ww_stream *stream)
{
    while (!TAILQ_EMPTY(&stream->queue))
        drop_head(stream);
}
