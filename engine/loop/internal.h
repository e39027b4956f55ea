/* What the files of this room share. Nothing here leaves the room. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "ww/limits.h"
#include "ww/loop.h"

struct ww_post {
    ww_loop_fn fn;
    void *arg;
};

struct ww_post_list {
    struct ww_post *posts;
    size_t count;
    size_t capacity;
};

/* One block of a stream's write queue. */
struct ww_chunk {
    TAILQ_ENTRY(ww_chunk) link;
    size_t begin; /* sent up to here */
    size_t end;   /* filled up to here */
    uint8_t data[WW_STREAM_CHUNK_BYTES];
};
TAILQ_HEAD(ww_chunk_list, ww_chunk);

TAILQ_HEAD(ww_stream_list, ww_stream);
LIST_HEAD(ww_child_list, ww_child);

struct ww_loop {
    struct event_base *base;
    atomic_bool stopping;
    bool in_turn;
    uint32_t mark;
    uint64_t now_us; /* 0: not read in this turn yet */

    int wait_fd; /* a timer that ends the wait at wait_us */
    struct event wait_event;
    uint64_t wait_us; /* 0: not armed */

    /* Mailbox. `waiting` is filled by any thread under the mutex and swapped with `running`. */
    pthread_mutex_t post_mutex;
    struct ww_post_list waiting;
    struct ww_post_list running;
    int wake_fd;
    struct event wake_event;

    /* Binary heap by due time. Room for every timer that exists is made when it is created, so
     * that starting one can't fail. */
    struct ww_timer **heap;
    size_t heap_count;
    size_t heap_capacity;
    size_t timer_count;
    uint64_t next_sequence; /* of a timer that is started */

    struct ww_child_list children;

    struct ww_stream_list deferred;
    size_t deferred_count;
    uint8_t *scratch;                  /* WW_STREAM_READ_BYTES, what a readable stream lends */
    struct ww_stream *scratch_stream;  /* the stream that has lent it now */
    struct ww_chunk_list spare_chunks; /* kept for the next writer */
    size_t spare_count;
};

/* post.c */
int ww_loop_posts_init(struct ww_loop *loop);
void ww_loop_posts_deinit(struct ww_loop *loop);
/* Runs what was queued when it was called; false if there was nothing. */
bool ww_loop_posts_run(struct ww_loop *loop);
void ww_loop_wake(struct ww_loop *loop);

/* timer.c */
void ww_loop_timers_run(struct ww_loop *loop);
/* Due time of the first timer, UINT64_MAX if none runs. */
uint64_t ww_loop_timers_next_us(const struct ww_loop *loop);

/* stream.c */
void ww_loop_streams_run(struct ww_loop *loop);
void ww_loop_streams_deinit(struct ww_loop *loop);

/* child.c */
void ww_loop_children_deinit(struct ww_loop *loop);
