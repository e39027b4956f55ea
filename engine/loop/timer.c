/* Timers on a binary heap of our own: room for each is made when it is created, so starting one
 * can't fail and costs no system call. A timer must never fire before its time. */
#include "internal.h"

#define NOT_RUNNING SIZE_MAX

struct ww_timer {
    struct ww_loop *loop;
    ww_loop_fn fn;
    void *arg;
    uint64_t due_us;
    uint64_t sequence; /* equal due times fire in order of start */
    size_t index;      /* in the heap, or NOT_RUNNING */
};

int ww_timer_create(struct ww_loop *loop, ww_loop_fn fn, void *arg, struct ww_timer **out)
{
    struct ww_timer *timer;

    if (loop->timer_count == loop->heap_capacity) {
        size_t capacity = loop->heap_capacity ? loop->heap_capacity * 2 : 64;
        struct ww_timer **heap = ww_realloc(loop->heap, capacity, sizeof(struct ww_timer *));

        if (!heap)
            return WW_ENOMEM;
        loop->heap = heap;
        loop->heap_capacity = capacity;
    }
    timer = ww_alloc(1, sizeof(*timer));
    if (!timer)
        return WW_ENOMEM;
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    timer->index = NOT_RUNNING;
    loop->timer_count++;
    *out = timer;
    return 0;
}

static bool is_before(const struct ww_timer *a, const struct ww_timer *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->sequence < b->sequence;
}

static void place(struct ww_loop *loop, struct ww_timer *timer, size_t index)
{
    loop->heap[index] = timer;
    timer->index = index;
}

static void sift_up(struct ww_loop *loop, struct ww_timer *timer, size_t index)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;

        if (!is_before(timer, loop->heap[parent]))
            break;
        place(loop, loop->heap[parent], index);
        index = parent;
    }
    place(loop, timer, index);
}

static void sift_down(struct ww_loop *loop, struct ww_timer *timer, size_t index)
{
    size_t child;

    while ((child = 2 * index + 1) < loop->heap_count) {
        if (child + 1 < loop->heap_count && is_before(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (!is_before(loop->heap[child], timer))
            break;
        place(loop, loop->heap[child], index);
        index = child;
    }
    place(loop, timer, index);
}

void ww_timer_stop(struct ww_timer *timer)
{
    struct ww_loop *loop = timer->loop;
    size_t index = timer->index;
    struct ww_timer *last;

    if (index == NOT_RUNNING)
        return;
    timer->index = NOT_RUNNING;
    last = loop->heap[--loop->heap_count];
    if (last == timer)
        return;
    sift_up(loop, last, index);
    sift_down(loop, last, last->index);
}

void ww_timer_start(struct ww_timer *timer, uint64_t delay_us)
{
    struct ww_loop *loop = timer->loop;
    uint64_t now_us = ww_loop_now_us(loop);

    ww_timer_stop(timer);
    timer->due_us = delay_us < UINT64_MAX - now_us ? now_us + delay_us : UINT64_MAX - 1;
    timer->sequence = loop->next_sequence++;
    loop->heap_count++;
    sift_up(loop, timer, loop->heap_count - 1);
}

bool ww_timer_running(const struct ww_timer *timer)
{
    return timer->index != NOT_RUNNING;
}

void ww_timer_destroy(struct ww_timer *timer)
{
    if (!timer)
        return;
    ww_timer_stop(timer);
    timer->loop->timer_count--;
    ww_free(timer);
}

uint64_t ww_loop_timers_next_us(const struct ww_loop *loop)
{
    return loop->heap_count ? loop->heap[0]->due_us : UINT64_MAX;
}

void ww_loop_timers_run(struct ww_loop *loop)
{
    uint64_t now_us;
    uint64_t sequence_end = loop->next_sequence;

    if (!loop->heap_count)
        return;
    now_us = ww_loop_now_us(loop);
    /* One that is started with no delay by a callback waits for the next turn. */
    while (loop->heap_count && loop->heap[0]->due_us <= now_us &&
           loop->heap[0]->sequence < sequence_end) {
        struct ww_timer *timer = loop->heap[0];

        ww_timer_stop(timer);
        timer->fn(timer->arg);
    }
}
