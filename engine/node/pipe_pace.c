/* Wakes pipes that have a rate: see pipe_pace.h. The timer runs only while there are some. */
#include "pipe_pace.h"

#define TURN_US 20000 /* a rate's bucket holds a quarter of a second */

static void turn(void *arg)
{
    struct pipe_pace *pace = arg;
    struct pipe *pipe, *next;

    if (LIST_EMPTY(&pace->pipes))
        return;
    ww_timer_start(pace->timer, TURN_US);
    for (pipe = LIST_FIRST(&pace->pipes); pipe; pipe = next) {
        next = LIST_NEXT(pipe, paced);
        if (!pipe->is_starved)
            continue;
        pipe->is_starved = false;
        pipe_drained(pipe);
        pipe_pump(pipe, ww_loop_now_us(pace->loop));
        pace->touched(pipe);
    }
}

int pipe_pace_init(struct pipe_pace *pace, struct ww_loop *loop, void (*touched)(struct pipe *pipe))
{
    pace->loop = loop;
    pace->touched = touched;
    LIST_INIT(&pace->pipes);
    return ww_timer_create(loop, turn, pace, &pace->timer);
}

void pipe_pace_deinit(struct pipe_pace *pace)
{
    ww_timer_destroy(pace->timer);
    pace->timer = NULL;
}

void pipe_pace_add(struct pipe_pace *pace, struct pipe *pipe, struct ww_flow_bucket *bucket)
{
    if (bucket->bytes_s == 0 || pipe->bucket)
        return;
    pipe->bucket = bucket;
    if (pipe->flow)
        pipe->flow->bucket = bucket;
    LIST_INSERT_HEAD(&pace->pipes, pipe, paced);
    if (!ww_timer_running(pace->timer))
        ww_timer_start(pace->timer, TURN_US);
}

void pipe_pace_remove(struct pipe *pipe)
{
    if (!pipe->bucket)
        return;
    pipe->bucket = NULL;
    if (pipe->flow)
        pipe->flow->bucket = NULL;
    LIST_REMOVE(pipe, paced);
}
