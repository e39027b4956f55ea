/* The mailbox: calls that other threads hand to the loop's thread, in order. Relies on a mutex,
 * held only to append or to swap two lists, and on an eventfd that is written when the first call
 * arrives. It must never call anything while it holds the mutex. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"

void ww_loop_wake(struct ww_loop *loop)
{
    uint64_t one = 1;
    ssize_t written;

    do {
        written = write(loop->wake_fd, &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
    /* EAGAIN would mean that 2^64-2 wakes are pending: it is awake already. */
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof(count));

    (void)got; /* only resets it: the list says what there is */
    (void)what;
    ww_loop_posts_run(arg);
}

int ww_loop_posts_init(struct ww_loop *loop)
{
    int rc = WW_ENOMEM;

    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        return WW_ESYSTEM;
    if (event_assign(&loop->wake_event, loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake,
                     loop) != 0)
        goto fail;
    if (event_add(&loop->wake_event, NULL) != 0)
        goto fail;
    if (pthread_mutex_init(&loop->post_mutex, NULL) == 0)
        return 0;
    event_del(&loop->wake_event);
    rc = WW_ESYSTEM;
fail:
    close(loop->wake_fd);
    return rc;
}

void ww_loop_posts_deinit(struct ww_loop *loop)
{
    event_del(&loop->wake_event);
    close(loop->wake_fd);
    pthread_mutex_destroy(&loop->post_mutex);
    ww_free(loop->waiting.posts);
    ww_free(loop->running.posts);
}

static int append(struct ww_post_list *list, ww_loop_fn fn, void *arg)
{
    if (list->count == WW_LOOP_POSTS_MAX)
        return WW_ELIMIT;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        struct ww_post *posts = ww_realloc(list->posts, capacity, sizeof(*posts));

        if (!posts)
            return WW_ENOMEM;
        list->posts = posts;
        list->capacity = capacity;
    }
    list->posts[list->count++] = (struct ww_post){fn, arg};
    return 0;
}

int ww_loop_post(struct ww_loop *loop, ww_loop_fn fn, void *arg)
{
    bool is_first;
    int rc;

    pthread_mutex_lock(&loop->post_mutex);
    is_first = loop->waiting.count == 0;
    rc = append(&loop->waiting, fn, arg);
    pthread_mutex_unlock(&loop->post_mutex);
    if (rc == 0 && is_first)
        ww_loop_wake(loop);
    return rc;
}

bool ww_loop_posts_run(struct ww_loop *loop)
{
    struct ww_post_list list;

    pthread_mutex_lock(&loop->post_mutex);
    list = loop->waiting;
    loop->waiting = loop->running;
    pthread_mutex_unlock(&loop->post_mutex);

    for (size_t i = 0; i < list.count; i++)
        list.posts[i].fn(list.posts[i].arg);
    loop->running = list;
    loop->running.count = 0;
    return list.count > 0;
}
