/* Happy eyeballs (RFC 8305 section 5): attempts to the addresses of one destination, a new one
 * every WW_EGRESS_ATTEMPT_MS and at once when one fails; the first that connects wins and the
 * others are closed. The deadline is the stream's. It must never leave two connections open. */
#include "egress_room.h"

/* A refusal says most (somebody is there); else the last error stands. */
static void keep_error(struct ww_egress_stream *stream, int code)
{
    if (stream->error != WW_ECONNREFUSED)
        stream->error = code;
}

static void on_connected(void *arg)
{
    struct ww_egress_attempt *attempt = arg;
    struct ww_egress_stream *stream = attempt->owner;

    ww_egress_race_stop(stream, attempt->stream);
    ww_egress_stream_open(stream, attempt->stream);
}

static void on_readable(void *arg)
{
    ww_egress_stream_on_readable(((struct ww_egress_attempt *)arg)->owner);
}

static void on_drained(void *arg)
{
    ww_egress_stream_on_drained(((struct ww_egress_attempt *)arg)->owner);
}

static void on_eof(void *arg)
{
    ww_egress_stream_on_eof(((struct ww_egress_attempt *)arg)->owner);
}

/* Tries addresses until one attempt runs. False when there is none left. */
static bool start_next(struct ww_egress_stream *stream);

static void on_closed(void *arg, int code)
{
    struct ww_egress_attempt *attempt = arg;
    struct ww_egress_stream *stream = attempt->owner;

    if (stream->state != EGRESS_RACING) {
        ww_egress_stream_end(stream, code);
        return;
    }
    ww_stream_destroy(attempt->stream);
    attempt->stream = NULL;
    stream->attempts_live--;
    keep_error(stream, code);
    if (!start_next(stream) && stream->attempts_live == 0)
        ww_egress_stream_end(stream, stream->error);
}

static const struct ww_stream_callbacks attempt_callbacks = {
    .connected = on_connected,
    .readable = on_readable,
    .drained = on_drained,
    .eof = on_eof,
    .closed = on_closed,
};

static bool start_next(struct ww_egress_stream *stream)
{
    while (stream->attempts_started < stream->attempt_count) {
        struct ww_egress_attempt *attempt = &stream->attempts[stream->attempts_started++];
        int rc;

        attempt->owner = stream;
        rc = ww_stream_connect(stream->egress->loop, &attempt->address.any,
                               ww_egress_address_size(&attempt->address), &attempt_callbacks,
                               attempt, &attempt->stream);
        if (rc == 0) {
            stream->attempts_live++;
            if (stream->attempts_started < stream->attempt_count)
                ww_timer_start(stream->attempt_timer, WW_EGRESS_ATTEMPT_MS * 1000ULL);
            return true;
        }
        keep_error(stream, rc);
    }
    ww_timer_stop(stream->attempt_timer);
    return false;
}

int ww_egress_race_start(struct ww_egress_stream *stream)
{
    stream->state = EGRESS_RACING;
    return start_next(stream) ? 0 : stream->error;
}

void ww_egress_race_on_timer(void *arg)
{
    struct ww_egress_stream *stream = arg;

    /* An address that fails at once leaves the attempts that run; they, or the deadline, decide. */
    start_next(stream);
}

void ww_egress_race_stop(struct ww_egress_stream *stream, const struct ww_stream *winner)
{
    ww_timer_stop(stream->attempt_timer);
    for (size_t i = 0; i < stream->attempts_started; i++) {
        struct ww_egress_attempt *attempt = &stream->attempts[i];

        if (attempt->stream && attempt->stream != winner) {
            ww_stream_reset(attempt->stream);
            attempt->stream = NULL;
        }
    }
}
