/* Interest in file descriptors and signals, on libevent's events. A callback may destroy its own
 * watch: nothing here is touched after it. */
#include "internal.h"

struct ww_watch {
    struct event event;
    struct event_base *base;
    unsigned events;
    int fd;
    ww_watch_fn fn;
    void *arg;
};

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct ww_watch *watch = arg;
    unsigned events = (what & EV_READ ? WW_WATCH_READ : 0) | (what & EV_WRITE ? WW_WATCH_WRITE : 0);

    watch->fn(watch->arg, fd, events);
}

static int apply(struct ww_watch *watch, unsigned events)
{
    short what = EV_PERSIST;

    what |= events & WW_WATCH_READ ? EV_READ : 0;
    what |= events & WW_WATCH_WRITE ? EV_WRITE : 0;
    event_del(&watch->event);
    watch->events = 0;
    if (event_assign(&watch->event, watch->base, watch->fd, what, on_ready, watch) != 0)
        return WW_ESYSTEM;
    if (events && event_add(&watch->event, NULL) != 0)
        return WW_ESYSTEM;
    watch->events = events;
    return 0;
}

int ww_watch_create(struct ww_loop *loop, int fd, unsigned events, ww_watch_fn fn, void *arg,
                    struct ww_watch **out)
{
    struct ww_watch *watch = ww_alloc(1, sizeof(*watch));
    int rc;

    if (!watch)
        return WW_ENOMEM;
    watch->base = loop->base;
    watch->fd = fd;
    watch->fn = fn;
    watch->arg = arg;
    /* Adding it once makes libevent allocate what it needs for this fd, so that only the kernel
     * can refuse ww_watch_set later on. */
    event_assign(&watch->event, watch->base, fd, EV_READ | EV_PERSIST, on_ready, watch);
    rc = apply(watch, events ? events : WW_WATCH_READ);
    if (rc == 0 && !events)
        rc = apply(watch, 0);
    if (rc) {
        ww_free(watch);
        return rc;
    }
    *out = watch;
    return 0;
}

void ww_watch_set(struct ww_watch *watch, unsigned events)
{
    if (watch->events == events)
        return;
    if (apply(watch, events) != 0)
        ww_log(WW_LOG_ERROR, "loop", "The kernel refused to watch a file descriptor", "fd=%d",
               watch->fd);
}

void ww_watch_destroy(struct ww_watch *watch)
{
    if (!watch)
        return;
    event_del(&watch->event);
    ww_free(watch);
}

struct ww_signal {
    struct event event;
    ww_signal_fn fn;
    void *arg;
};

static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
    struct ww_signal *watched = arg;

    (void)what;
    watched->fn(watched->arg, signal_number);
}

int ww_signal_create(struct ww_loop *loop, int signal_number, ww_signal_fn fn, void *arg,
                     struct ww_signal **out)
{
    struct ww_signal *watched = ww_alloc(1, sizeof(*watched));

    if (!watched)
        return WW_ENOMEM;
    watched->fn = fn;
    watched->arg = arg;
    if (evsignal_assign(&watched->event, loop->base, signal_number, on_signal, watched) != 0 ||
        event_add(&watched->event, NULL) != 0) {
        ww_free(watched);
        return WW_ESYSTEM;
    }
    *out = watched;
    return 0;
}

void ww_signal_destroy(struct ww_signal *watched)
{
    if (!watched)
        return;
    event_del(&watched->event);
    ww_free(watched);
}
