/* Reading: one big recv a turn into the loop's scratch, which the readable callback looks at in
 * place; only what it leaves is copied, into memory that the stream has as long as it holds bytes.
 * Never holds more than read_max, WW_STREAM_READ_BYTES at most. */
#include <errno.h>
#include <string.h>

#include "stream.h"

#define HELD_BYTES_MIN 4096

void ww_stream_update_reading(struct ww_stream *stream)
{
    bool wanted = stream->state == STREAM_OPEN && !stream->is_paused && !stream->is_eof &&
                  stream->view_size < stream->read_max;

    if (wanted == stream->reads)
        return;
    stream->reads = wanted;
    if (!wanted) {
        event_del(&stream->read_event);
    } else if (event_add(&stream->read_event, NULL) != 0) {
        stream->reads = false;
        ww_stream_fail(stream, WW_ESYSTEM);
    }
}

static void release_held(struct ww_stream *stream)
{
    ww_free(stream->held);
    stream->held = NULL;
    stream->held_begin = 0;
    stream->held_capacity = 0;
}

/* Room for `size` bytes of view and `extra` more behind it, in held memory. */
static bool hold(struct ww_stream *stream, size_t extra)
{
    size_t needed = stream->view_size + extra;
    size_t capacity = WW_MAX(stream->held_capacity, (size_t)HELD_BYTES_MIN);
    uint8_t *bigger;

    if (stream->held && needed <= stream->held_capacity) {
        if (stream->held_begin + needed <= stream->held_capacity)
            return true;
        memmove(stream->held, stream->view, stream->view_size);
        stream->held_begin = 0;
        stream->view = stream->held;
        return true;
    }
    while (capacity < needed)
        capacity *= 2;
    bigger = ww_realloc(NULL, 1, capacity);
    if (!bigger)
        return false;
    if (stream->view_size)
        memcpy(bigger, stream->view, stream->view_size);
    ww_free(stream->held);
    stream->held = bigger;
    stream->held_begin = 0;
    stream->held_capacity = capacity;
    stream->view = bigger;
    return true;
}

/* Calls readable; afterwards the scratch is free again. */
void ww_stream_tell_readable(struct ww_stream *stream)
{
    struct ww_loop *loop = stream->loop;
    bool alive;

    ww_stream_enter(stream);
    if (stream->view_size && stream->callbacks->readable)
        stream->callbacks->readable(stream->arg);
    if (!stream->is_destroyed && loop->scratch_stream == stream) {
        if (stream->view_size && !hold(stream, 0)) {
            stream->view_size = 0;
            ww_stream_fail(stream, WW_ENOMEM);
        }
    }
    if (loop->scratch_stream == stream)
        loop->scratch_stream = NULL;
    alive = ww_stream_leave(stream);
    if (alive) {
        if (!stream->view_size)
            release_held(stream);
        ww_stream_update_reading(stream);
    }
}

/* Receives into the scratch, or behind what is held already. -1 with errno, as recv. */
static ssize_t receive(struct ww_stream *stream)
{
    struct ww_loop *loop = stream->loop;
    bool lends = !stream->view_size;
    size_t room = stream->read_max - stream->view_size;
    uint8_t *space = loop->scratch;
    ssize_t got;

    if (!lends) {
        /* Growing by halves, so that one byte left over doesn't cost 256 KiB. */
        room = WW_MIN(room, WW_MAX(stream->view_size, (size_t)HELD_BYTES_MIN));
        if (!hold(stream, room)) {
            errno = ENOMEM;
            return -1;
        }
        space = stream->held + stream->held_begin + stream->view_size;
    }
    do {
        got = recv(stream->fd, space, room, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0 && lends) {
        loop->scratch_stream = stream;
        stream->view = space;
    }
    return got;
}

static void tell_eof(struct ww_stream *stream)
{
    stream->is_eof = true;
    ww_stream_update_reading(stream);
    ww_stream_enter(stream);
    if (stream->callbacks->eof)
        stream->callbacks->eof(stream->arg);
    ww_stream_leave(stream);
}

void ww_stream_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct ww_stream *stream = arg;
    ssize_t got = receive(stream);

    (void)fd;
    (void)what;
    if (got > 0) {
        stream->view_size += (size_t)got;
        ww_stream_tell_readable(stream);
    } else if (got == 0) {
        tell_eof(stream);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
        ww_stream_fail(stream, ww_stream_error(errno));
    }
}

const uint8_t *ww_stream_peek(struct ww_stream *stream, size_t max, size_t *size)
{
    *size = WW_MIN(stream->view_size, max);
    return stream->view_size ? stream->view : NULL;
}

void ww_stream_consume(struct ww_stream *stream, size_t size)
{
    size = WW_MIN(size, stream->view_size);
    stream->view += size;
    stream->view_size -= size;
    if (stream->loop->scratch_stream == stream)
        return;
    stream->held_begin += size;
    /* In a callback the memory stays for the next bytes of the same call. */
    if (!stream->view_size && !stream->calls)
        release_held(stream);
    ww_stream_update_reading(stream);
}

size_t ww_stream_readable(const struct ww_stream *stream)
{
    return stream->view_size;
}

void ww_stream_set_read_max(struct ww_stream *stream, size_t bytes)
{
    if (stream->read_max == bytes)
        return;
    WW_REQUIRE(bytes > 0 && bytes <= WW_STREAM_READ_BYTES);
    stream->read_max = bytes;
    ww_stream_update_reading(stream);
}

void ww_stream_pause(struct ww_stream *stream)
{
    stream->is_paused = true;
    ww_stream_update_reading(stream);
}

void ww_stream_resume(struct ww_stream *stream)
{
    if (!stream->is_paused)
        return;
    stream->is_paused = false;
    ww_stream_update_reading(stream);
    if (stream->view_size && stream->state == STREAM_OPEN)
        ww_stream_defer(stream, WORK_READABLE);
}

void ww_stream_read_deinit(struct ww_stream *stream)
{
    if (stream->loop->scratch_stream == stream)
        stream->loop->scratch_stream = NULL;
    release_held(stream);
}
