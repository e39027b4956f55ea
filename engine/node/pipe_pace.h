/* Inside of the room: pipes that the flow policy has given a rate. One pace serves a node's: it
 * wakes those that ran out of it. Thread: the loop's. */
#pragma once
#include <sys/queue.h>

#include "ww/loop.h"

#include "pipe.h"

struct pipe_pace {
    struct ww_loop *loop;
    struct ww_timer *timer;
    TAILQ_HEAD(paced_pipes, pipe) pipes; /* who has waited longest for a rate comes first */
    void (*touched)(struct pipe *pipe);  /* its stream has something to send */
};

/* WW_ENOMEM. Deinit in any case. */
int pipe_pace_init(struct pipe_pace *pace, struct ww_loop *loop,
                   void (*touched)(struct pipe *pipe));
void pipe_pace_deinit(struct pipe_pace *pace);
/* From now on its bytes, both ways, come out of the bucket, which is borrowed until
 * pipe_pace_remove. One without a rate is not added. */
void pipe_pace_add(struct pipe_pace *pace, struct pipe *pipe, struct ww_flow_bucket *bucket);
/* Fine for one that was not added. */
void pipe_pace_remove(struct pipe *pipe);
