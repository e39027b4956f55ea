/* The loop itself: libevent's base, turned one batch of events at a time, so that the time is read
 * once a turn and streams send once a turn. Relies on libevent without its locks: only the mailbox
 * (post.c) is shared with other threads; nothing else here may be touched by them. */
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "internal.h"

#define WAIT_FOR_EVER UINT64_MAX
/* A post that posts itself again must not keep ww_loop_destroy from ending. */
#define FINAL_ROUNDS 1000

static pthread_once_t libevent_once = PTHREAD_ONCE_INIT;

static void *libevent_malloc(size_t size)
{
    return ww_realloc(NULL, 1, size);
}

static void *libevent_realloc(void *block, size_t size)
{
    return ww_realloc(block, 1, size);
}

static void libevent_log(int severity, const char *message)
{
    if (severity == EVENT_LOG_WARN || severity == EVENT_LOG_ERR)
        ww_log(WW_LOG_WARN, "loop", "libevent complains", "message=%s", WW_Q(message));
}

static void prepare_libevent(void)
{
    event_set_mem_functions(libevent_malloc, libevent_realloc, ww_free);
    event_set_log_callback(libevent_log);
}

/* The wait is over; what is due is done after libevent's callbacks. Edge-triggered, so nothing has
 * to be read. */
static void on_wait_end(evutil_socket_t fd, short what, void *arg)
{
    struct ww_loop *loop = arg;

    (void)fd;
    (void)what;
    loop->wait_us = 0;
}

/* libevent's own timers (http's timeouts) are coarse and rarely armed: those of this room, which
 * SCTP and acknowledgements need to the millisecond, are a timerfd's that is only set to an earlier
 * time. libevent's precise timer would set one in every turn. */
static int wait_init(struct ww_loop *loop)
{
    loop->wait_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->wait_fd < 0)
        return WW_ESYSTEM;
    if (event_assign(&loop->wait_event, loop->base, loop->wait_fd, EV_READ | EV_PERSIST | EV_ET,
                     on_wait_end, loop) == 0 &&
        event_add(&loop->wait_event, NULL) == 0)
        return 0;
    close(loop->wait_fd);
    return WW_ENOMEM;
}

static void wait_deinit(struct ww_loop *loop)
{
    event_del(&loop->wait_event);
    close(loop->wait_fd);
}

static struct event_base *base_create(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (!config)
        return NULL;
    /* One thread only; and epoll, whatever the environment says: on_wait_end relies on edges. */
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0 &&
        event_config_require_features(config, EV_FEATURE_ET) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

int ww_loop_create(struct ww_loop **out)
{
    struct ww_loop *loop;
    int rc = WW_ENOMEM;

    pthread_once(&libevent_once, prepare_libevent);
    loop = ww_alloc(1, sizeof(*loop));
    if (!loop)
        return WW_ENOMEM;
    LIST_INIT(&loop->children);
    TAILQ_INIT(&loop->deferred);
    TAILQ_INIT(&loop->spare_chunks);

    loop->scratch = ww_buffer_alloc(WW_STREAM_READ_BYTES);
    if (!loop->scratch)
        goto fail_loop;
    loop->base = base_create();
    if (!loop->base)
        goto fail_scratch;
    rc = wait_init(loop);
    if (rc)
        goto fail_base;
    rc = ww_loop_posts_init(loop);
    if (rc)
        goto fail_wait;
    *out = loop;
    return 0;

fail_wait:
    wait_deinit(loop);
fail_base:
    event_base_free(loop->base);
fail_scratch:
    ww_buffer_free(loop->scratch, WW_STREAM_READ_BYTES);
fail_loop:
    ww_free(loop);
    return rc;
}

void ww_loop_destroy(struct ww_loop *loop)
{
    if (!loop)
        return;
    for (int i = 0; i < FINAL_ROUNDS && ww_loop_posts_run(loop); i++)
        ;
    ww_loop_children_deinit(loop);
    ww_loop_streams_deinit(loop);
    ww_loop_posts_deinit(loop);
    /* Bufferevents that http has freed are finished by libevent in its next turn only. */
    event_base_loop(loop->base, EVLOOP_NONBLOCK);
    wait_deinit(loop);
    event_base_free(loop->base);
    ww_free(loop->heap);
    ww_buffer_free(loop->scratch, WW_STREAM_READ_BYTES);
    ww_free(loop);
}

struct event_base *ww_loop_base(struct ww_loop *loop)
{
    return loop->base;
}

uint64_t ww_loop_now_us(struct ww_loop *loop)
{
    /* Between turns nobody would refresh it. */
    if (!loop->in_turn)
        return ww_clock_mono_us();
    if (!loop->now_us)
        loop->now_us = ww_clock_mono_us();
    return loop->now_us;
}

/* Makes the wait end at until_us, or before: then the next turn waits for the rest. False: it
 * can't. */
static bool arm_wait(struct ww_loop *loop, uint64_t until_us)
{
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(until_us / 1000000),
                                           .tv_nsec = (long)(until_us % 1000000) * 1000}};

    if (loop->wait_us && loop->wait_us <= until_us)
        return true;
    loop->wait_us =
        timerfd_settime(loop->wait_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0 ? until_us : 0;
    return loop->wait_us != 0;
}

static void turn(struct ww_loop *loop, uint64_t wait_us)
{
    uint64_t next_us = ww_loop_timers_next_us(loop);
    int flags = EVLOOP_ONCE;

    if (loop->deferred_count || wait_us == 0) {
        flags |= EVLOOP_NONBLOCK;
    } else if (next_us != UINT64_MAX || wait_us != WAIT_FOR_EVER) {
        uint64_t now_us = ww_clock_mono_us();
        uint64_t until_us = wait_us < UINT64_MAX - now_us ? now_us + wait_us : UINT64_MAX;

        until_us = WW_MIN(until_us, next_us);
        if (until_us <= now_us || !arm_wait(loop, until_us))
            flags |= EVLOOP_NONBLOCK;
    }

    WW_REQUIRE(!loop->in_turn);
    loop->in_turn = true;
    loop->now_us = 0;
    event_base_loop(loop->base, flags);
    ww_loop_timers_run(loop);
    ww_loop_streams_run(loop);
    loop->now_us = 0;
    loop->in_turn = false;
}

void ww_loop_run(struct ww_loop *loop)
{
    while (!atomic_load_explicit(&loop->stopping, memory_order_relaxed))
        turn(loop, WAIT_FOR_EVER);
    atomic_store(&loop->stopping, false);
}

void ww_loop_turn(struct ww_loop *loop, uint64_t wait_us)
{
    turn(loop, wait_us);
}

void ww_loop_stop(struct ww_loop *loop)
{
    atomic_store(&loop->stopping, true);
    ww_loop_wake(loop);
}
