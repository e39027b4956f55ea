/* A stream's insides, for stream*.c only. */
#pragma once
#include "internal.h"

enum stream_state { STREAM_CONNECTING, STREAM_OPEN, STREAM_CLOSED };

/* What is to be done at the end of the turn. */
enum stream_work {
    WORK_CONNECTED = 1, /* connect() succeeded at once */
    WORK_READABLE = 2,  /* held bytes were waiting for ww_stream_resume */
    WORK_FLUSH = 4,     /* something was written or finished */
    WORK_CLOSED = 8,    /* `code` has not been told yet */
};

struct ww_stream {
    struct ww_loop *loop;
    const struct ww_stream_callbacks *callbacks;
    void *arg;
    int fd;
    enum stream_state state;
    int code;          /* why it is closed */
    unsigned calls;    /* callbacks of this stream on the stack */
    bool is_destroyed; /* freed when the last of them returns */
    bool is_paused;
    bool is_eof;
    bool is_finishing; /* FIN once the queue is empty */
    bool is_finished;
    bool reads;  /* read_event is added */
    bool writes; /* write_event is added */
    struct event read_event;
    struct event write_event;

    unsigned work;
    TAILQ_ENTRY(ww_stream) deferred_link;

    /* Bytes to read: a part of the loop's scratch during the callback, `held` after it. */
    const uint8_t *view;
    size_t view_size;
    uint8_t *held;
    size_t held_begin; /* of the view in it */
    size_t held_capacity;
    size_t read_max; /* held at most */

    struct ww_chunk_list queue;
    size_t queued;
    size_t low_mark;
};

/* stream.c */
void ww_stream_defer(struct ww_stream *stream, unsigned work);
/* Stops everything; `closed` is called at the end of the turn. */
void ww_stream_fail(struct ww_stream *stream, int code);
/* The WW_E… for an errno of a socket. */
int ww_stream_error(int error);
/* Around every callback. leave is false when the stream is gone. */
void ww_stream_enter(struct ww_stream *stream);
bool ww_stream_leave(struct ww_stream *stream);

/* stream_read.c */
void ww_stream_on_readable(evutil_socket_t fd, short what, void *arg);
void ww_stream_tell_readable(struct ww_stream *stream);
/* Adds or removes read_event as the state asks. */
void ww_stream_update_reading(struct ww_stream *stream);
void ww_stream_read_deinit(struct ww_stream *stream);

/* stream_write.c */
void ww_stream_on_writable(evutil_socket_t fd, short what, void *arg);
void ww_stream_flush(struct ww_stream *stream);
void ww_stream_write_deinit(struct ww_stream *stream);
