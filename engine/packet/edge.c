/* The order of an edge's last events: bytes, then the end of reading, and the close when the queue
 * of the other direction is empty too. Relies on a stream; it must never call its owner. */
#include "edge.h"

#include "ww/limits.h"

void ww_edge_init(struct ww_edge *edge, struct ww_stream *stream)
{
    bool is_eof = edge->is_eof;

    *edge = (struct ww_edge){.stream = stream, .is_eof = is_eof, .has_news = true};
    ww_stream_set_low_mark(stream, WW_PACKET_LOW_MARK_BYTES);
}

enum ww_edge_event ww_edge_next(struct ww_edge *edge)
{
    size_t readable = ww_stream_readable(edge->stream);

    if (edge->has_news && !edge->is_paused) {
        edge->has_news = false;
        if (readable)
            return WW_EDGE_READABLE;
    }
    if (edge->is_eof && !edge->is_eof_told && readable == 0) {
        edge->is_eof_told = true;
        return WW_EDGE_EOF;
    }
    if (edge->is_eof_told && edge->is_finished && !edge->is_done &&
        ww_stream_queued(edge->stream) == 0) {
        edge->is_done = true;
        return WW_EDGE_DONE;
    }
    return WW_EDGE_NONE;
}

bool ww_edge_consume(struct ww_edge *edge, size_t size)
{
    ww_stream_consume(edge->stream, size);
    return edge->is_eof && !edge->is_eof_told && ww_stream_readable(edge->stream) == 0;
}

bool ww_edge_finish(struct ww_edge *edge)
{
    if (edge->is_finished)
        return false;
    edge->is_finished = true;
    /* The last `drained` is to come when nothing is left, not at the mark for refilling. */
    ww_stream_set_low_mark(edge->stream, 0);
    ww_stream_finish(edge->stream);
    return ww_stream_queued(edge->stream) == 0;
}

void ww_edge_pause(struct ww_edge *edge, bool is_paused)
{
    edge->is_paused = is_paused;
    if (is_paused)
        ww_stream_pause(edge->stream);
    else
        ww_stream_resume(edge->stream); /* calls readable for what it holds */
}
