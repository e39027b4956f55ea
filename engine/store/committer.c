/* Group commit: one thread that writes and syncs; everything that was submitted while the last sync
 * ran goes into the next one. Relies on the loop's mailbox to deliver results: one post wakes the
 * loop, which then takes all that is done. It must never confirm a batch that is not durable, nor
 * write one after another has failed. */
#include <pthread.h>
#include <unistd.h>

#include "internal.h"
#include "ww/loop.h"

#define POST_RETRY_US 1000

struct ww_committer {
    struct ww_store *store;
    struct ww_loop *loop;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t filled;

    /* Under the mutex. */
    struct ww_store_batch_list queue;
    struct ww_store_batch_list done;
    bool is_stopping;
    bool is_posted; /* a delivery is in the loop's mailbox */

    /* The thread's own. */
    int failure;

    /* The loop's own. */
    size_t pending;      /* submitted, callback not yet called */
    unsigned deliveries; /* on the stack */
    bool is_destroyed;
};

static void committer_free(struct ww_committer *committer)
{
    pthread_cond_destroy(&committer->filled);
    pthread_mutex_destroy(&committer->mutex);
    ww_free(committer);
}

static struct ww_store_batch *take_done(struct ww_committer *committer)
{
    struct ww_store_batch *batch;

    pthread_mutex_lock(&committer->mutex);
    batch = STAILQ_FIRST(&committer->done);
    if (batch)
        STAILQ_REMOVE_HEAD(&committer->done, link);
    pthread_mutex_unlock(&committer->mutex);
    return batch;
}

/* A callback may submit more, or destroy the committer, which delivers the rest inside it. */
static void deliver(struct ww_committer *committer)
{
    struct ww_store_batch *batch;

    committer->deliveries++;
    while ((batch = take_done(committer))) {
        ww_commit_fn fn = batch->fn;
        void *arg = batch->arg;
        int rc = batch->rc;

        committer->pending--;
        ww_store_batch_destroy(batch);
        if (fn)
            fn(arg, rc);
    }
    committer->deliveries--;
}

static void on_post(void *arg)
{
    struct ww_committer *committer = arg;
    bool is_posted;

    pthread_mutex_lock(&committer->mutex);
    committer->is_posted = false;
    pthread_mutex_unlock(&committer->mutex);
    deliver(committer);
    pthread_mutex_lock(&committer->mutex);
    is_posted = committer->is_posted;
    pthread_mutex_unlock(&committer->mutex);
    if (committer->is_destroyed && !committer->deliveries && !is_posted)
        committer_free(committer);
}

/* Takes what is queued, up to the bytes of one group; false when there is nothing and no more will
 * come. */
static bool take_group(struct ww_committer *committer, struct ww_store_batch_list *group)
{
    struct ww_store_batch *batch;
    size_t bytes = 0;

    pthread_mutex_lock(&committer->mutex);
    while (STAILQ_EMPTY(&committer->queue) && !committer->is_stopping)
        pthread_cond_wait(&committer->filled, &committer->mutex);
    while ((batch = STAILQ_FIRST(&committer->queue))) {
        bytes += ww_store_batch_bytes(batch);
        if (bytes > WW_COMMITTER_GROUP_BYTES && !STAILQ_EMPTY(group))
            break;
        STAILQ_REMOVE_HEAD(&committer->queue, link);
        STAILQ_INSERT_TAIL(group, batch, link);
    }
    pthread_mutex_unlock(&committer->mutex);
    return !STAILQ_EMPTY(group);
}

static void give_done(struct ww_committer *committer, struct ww_store_batch_list *group)
{
    bool must_post;

    pthread_mutex_lock(&committer->mutex);
    STAILQ_CONCAT(&committer->done, group);
    must_post = !committer->is_posted && !committer->is_stopping;
    committer->is_posted |= must_post;
    pthread_mutex_unlock(&committer->mutex);

    while (must_post && ww_loop_post(committer->loop, on_post, committer) != 0) {
        /* The mailbox is full: the loop empties it, unless it waits for us to end. */
        usleep(POST_RETRY_US);
        pthread_mutex_lock(&committer->mutex);
        if (committer->is_stopping) {
            committer->is_posted = false;
            must_post = false;
        }
        pthread_mutex_unlock(&committer->mutex);
    }
}

static void *store_thread(void *arg)
{
    struct ww_committer *committer = arg;
    struct ww_store_batch_list group = STAILQ_HEAD_INITIALIZER(group);
    struct ww_store_batch *batch;

    pthread_setname_np(pthread_self(), "ww-store");
    while (take_group(committer, &group)) {
        int rc = committer->failure;

        if (!rc)
            rc = ww_store_batches_write(committer->store, &group, true);
        /* After a hole nothing may follow: what comes later may depend on what is missing. */
        committer->failure = rc;
        STAILQ_FOREACH (batch, &group, link)
            batch->rc = rc;
        give_done(committer, &group);
    }
    return NULL;
}

int ww_committer_create(struct ww_store *store, struct ww_loop *loop, struct ww_committer **out)
{
    struct ww_committer *committer = ww_alloc(1, sizeof(*committer));

    if (!committer)
        return WW_ENOMEM;
    committer->store = store;
    committer->loop = loop;
    STAILQ_INIT(&committer->queue);
    STAILQ_INIT(&committer->done);
    pthread_mutex_init(&committer->mutex, NULL);
    pthread_cond_init(&committer->filled, NULL);
    if (pthread_create(&committer->thread, NULL, store_thread, committer) != 0) {
        committer_free(committer);
        return WW_ESYSTEM;
    }
    *out = committer;
    return 0;
}

int ww_committer_submit(struct ww_committer *committer, struct ww_store_batch *batch,
                        ww_commit_fn fn, void *arg)
{
    int rc = batch->operations.error;

    if (!rc && committer->is_destroyed)
        rc = WW_ESHUTDOWN;
    if (!rc && committer->pending >= WW_COMMITTER_QUEUE_MAX)
        rc = WW_ELIMIT;
    if (rc) {
        ww_store_batch_destroy(batch);
        return rc;
    }
    batch->fn = fn;
    batch->arg = arg;
    committer->pending++;
    pthread_mutex_lock(&committer->mutex);
    STAILQ_INSERT_TAIL(&committer->queue, batch, link);
    pthread_cond_signal(&committer->filled);
    pthread_mutex_unlock(&committer->mutex);
    return 0;
}

size_t ww_committer_pending(const struct ww_committer *committer)
{
    return committer->pending;
}

void ww_committer_destroy(struct ww_committer *committer)
{
    bool is_posted;

    if (!committer || committer->is_destroyed)
        return;
    committer->is_destroyed = true;
    pthread_mutex_lock(&committer->mutex);
    committer->is_stopping = true;
    pthread_cond_signal(&committer->filled);
    pthread_mutex_unlock(&committer->mutex);
    pthread_join(committer->thread, NULL);

    deliver(committer);
    pthread_mutex_lock(&committer->mutex);
    is_posted = committer->is_posted;
    pthread_mutex_unlock(&committer->mutex);
    /* Otherwise the post or the delivery that is on its way frees it. */
    if (!is_posted && !committer->deliveries)
        committer_free(committer);
}
