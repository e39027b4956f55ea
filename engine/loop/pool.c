/* A few threads for work that would hold up the loop, such as signatures. A job is the caller's
 * own memory, so handing one over, doing it and telling of it allocates nothing and can't fail but
 * by the bound. The list of finished jobs is guarded by the pool's mutex; an eventfd wakes the
 * loop when the first one is on it. It must never call anything while it holds the mutex. */
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"

#define THREADS_MAX 16

struct ww_pool {
    pthread_mutex_t mutex; /* over waiting, finished, running and is_closing */
    pthread_cond_t news;   /* a job waits, or the pool closes */
    struct ww_pool_jobs waiting, finished;
    size_t waiting_max;
    bool is_closing;
    size_t count; /* handed over and not told; the loop's thread only */
    int wake_fd;
    struct ww_watch *watch;
    unsigned thread_count;
    pthread_t threads[THREADS_MAX];
};

static void *work(void *arg)
{
    struct ww_pool *pool = arg;
    struct ww_pool_job *job;
    uint64_t one = 1;

    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (!(job = STAILQ_FIRST(&pool->waiting)) && !pool->is_closing)
            pthread_cond_wait(&pool->news, &pool->mutex);
        if (!job)
            break;
        STAILQ_REMOVE_HEAD(&pool->waiting, link);
        pthread_mutex_unlock(&pool->mutex);
        job->work(job->arg);
        pthread_mutex_lock(&pool->mutex);
        bool is_first = STAILQ_EMPTY(&pool->finished);
        STAILQ_INSERT_TAIL(&pool->finished, job, link);
        /* Can't fail: the counter is read long before it is full. */
        if (is_first && write(pool->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
            WW_REQUIRE(false);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static void tell(struct ww_pool *pool)
{
    struct ww_pool_jobs finished = STAILQ_HEAD_INITIALIZER(finished);
    struct ww_pool_job *job;

    pthread_mutex_lock(&pool->mutex);
    STAILQ_CONCAT(&finished, &pool->finished);
    pthread_mutex_unlock(&pool->mutex);
    while ((job = STAILQ_FIRST(&finished))) {
        STAILQ_REMOVE_HEAD(&finished, link);
        pool->count--;
        job->done(job->arg); /* may free the job, or hand it over again */
    }
}

static void on_wake(void *arg, int fd, unsigned events)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof(count));

    (void)got; /* only resets it: the list says what there is */
    (void)events;
    tell(arg);
}

static void join(struct ww_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->is_closing = true;
    pthread_cond_broadcast(&pool->news);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned index = 0; index < pool->thread_count; index++)
        pthread_join(pool->threads[index], NULL);
    pool->thread_count = 0;
}

static int start_threads(struct ww_pool *pool, unsigned count)
{
    sigset_t all, before;
    int rc = 0;

    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (!rc && pool->thread_count < count) {
        if (pthread_create(&pool->threads[pool->thread_count], NULL, work, pool) != 0)
            rc = WW_ESYSTEM;
        else
            pool->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int ww_pool_create(struct ww_loop *loop, unsigned threads, size_t waiting_max, struct ww_pool **out)
{
    struct ww_pool *pool;
    int rc = WW_ESYSTEM;

    if (threads == 0 || threads > THREADS_MAX || waiting_max == 0)
        return WW_EINVAL;
    pool = ww_alloc(1, sizeof(*pool));
    if (!pool)
        return WW_ENOMEM;
    STAILQ_INIT(&pool->waiting);
    STAILQ_INIT(&pool->finished);
    pool->waiting_max = waiting_max;
    pool->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->wake_fd < 0)
        goto fail_pool;
    rc = ww_watch_create(loop, pool->wake_fd, WW_WATCH_READ, on_wake, pool, &pool->watch);
    if (rc)
        goto fail_fd;
    pthread_mutex_init(&pool->mutex, NULL); /* with default attributes neither can fail */
    pthread_cond_init(&pool->news, NULL);
    rc = start_threads(pool, threads);
    if (rc) {
        ww_pool_destroy(pool);
        return rc;
    }
    *out = pool;
    return 0;

fail_fd:
    close(pool->wake_fd);
fail_pool:
    ww_free(pool);
    return rc;
}

int ww_pool_submit(struct ww_pool *pool, struct ww_pool_job *job)
{
    if (pool->count >= pool->waiting_max)
        return WW_ELIMIT;
    pthread_mutex_lock(&pool->mutex);
    bool is_closing = pool->is_closing;
    if (!is_closing) {
        STAILQ_INSERT_TAIL(&pool->waiting, job, link);
        pthread_cond_signal(&pool->news);
    }
    pthread_mutex_unlock(&pool->mutex);
    if (is_closing)
        return WW_ESHUTDOWN;
    pool->count++;
    return 0;
}

size_t ww_pool_pending(const struct ww_pool *pool)
{
    return pool->count;
}

void ww_pool_destroy(struct ww_pool *pool)
{
    if (!pool)
        return;
    join(pool);
    tell(pool);
    ww_watch_destroy(pool->watch);
    close(pool->wake_fd);
    pthread_cond_destroy(&pool->news);
    pthread_mutex_destroy(&pool->mutex);
    ww_free(pool);
}
