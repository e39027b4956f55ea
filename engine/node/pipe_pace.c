/* Wakes pipes that have a rate: see pipe_pace.h. The timer runs only while there are some. */
#include "pipe_pace.h"

#define TURN_US 20000 /* a rate's bucket holds a quarter of a second */

static void turn(void *arg)
{
    struct pipe_pace *pace = arg;
    struct pipe *pipe, *next = TAILQ_FIRST(&pace->pipes);
    const struct pipe *last = TAILQ_LAST(&pace->pipes, paced_pipes);

    if (!last)
        return;
    ww_timer_start(pace->timer, TURN_US);
    do {
        pipe = next;
        next = TAILQ_NEXT(pipe, paced);
        if (!pipe->is_starved)
            continue;
        pipe->is_starved = pipe->had_turn = false;
        pipe_drained(pipe);
        pipe_pump(pipe, ww_loop_now_us(pace->loop));
        pace->touched(pipe);
        if (pipe->had_turn) { /* who shares its rate may find nothing left */
            TAILQ_REMOVE(&pace->pipes, pipe, paced);
            TAILQ_INSERT_TAIL(&pace->pipes, pipe, paced);
        }
    } while (pipe != last);
}

int pipe_pace_init(struct pipe_pace *pace, struct ww_loop *loop, void (*touched)(struct pipe *pipe))
{
    pace->loop = loop;
    pace->touched = touched;
    TAILQ_INIT(&pace->pipes);
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
    TAILQ_INSERT_TAIL(&pace->pipes, pipe, paced);
    pipe->pace = pace;
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
    TAILQ_REMOVE(&pipe->pace->pipes, pipe, paced);
}
