/* The resolver's threads and their queue. A result is posted to the loop as the query itself, which
 * outlives its owner: cancelling only takes the callback out, on the loop's thread, the one thread
 * that reads it. Threads are detached, because getaddrinfo can't be interrupted: the pool is freed
 * by whoever leaves it last. It must never post to a loop after ww_resolver_destroy. */
#include "resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "ww/limits.h"

#define THREAD_STACK_BYTES 524288 /* nsswitch modules are of others, and some are wasteful */
#define POST_RETRY_US      10000
#define TRY_S              2 /* of one question to one server; resolv.conf has 5 and 2 tries */
#define TRY_COUNT          2

struct ww_resolver_query {
    TAILQ_ENTRY(ww_resolver_query) link;
    struct ww_resolver *resolver;
    bool is_waiting;   /* in the queue; under the mutex */
    ww_resolver_fn fn; /* NULL: cancelled. The loop's thread only, as arg */
    void *arg;
    char *name;
    int rc;
    size_t count;
    struct ww_resolver_address addresses[WW_EGRESS_ADDRESSES_MAX];
};

struct ww_resolver {
    pthread_mutex_t mutex; /* over all that follows */
    pthread_cond_t news;
    TAILQ_HEAD(query_list, ww_resolver_query) waiting;
    size_t waiting_count;
    bool is_closing;
    struct ww_loop *loop; /* used under the mutex, and not when closing */
    size_t holders;       /* the threads, and whoever created it */
    size_t thread_count;
};

static void query_free(struct ww_resolver_query *query)
{
    ww_free(query->name);
    ww_free(query);
}

/* --- on a thread of the pool -------------------------------------------------------------------
 */

static void keep_addresses(struct ww_resolver_query *query, const struct addrinfo *list)
{
    for (; list && query->count < WW_EGRESS_ADDRESSES_MAX; list = list->ai_next) {
        struct ww_resolver_address *address = &query->addresses[query->count];

        if (list->ai_family == AF_INET) {
            const struct sockaddr_in *ipv4 = (const void *)list->ai_addr;

            memcpy(address->bytes, &ipv4->sin_addr, 4);
            address->is_v4 = true;
            query->count++;
        } else if (list->ai_family == AF_INET6) {
            const struct sockaddr_in6 *ipv6 = (const void *)list->ai_addr;

            memcpy(address->bytes, &ipv6->sin6_addr, 16);
            query->count++;
        }
    }
}

static void look_up(struct ww_resolver_query *query)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int error;

    /* The thread's own resolver state, read afresh: resolv.conf may have changed. */
    if (res_init() == 0) {
        _res.options &= ~(unsigned long)(RES_DNSRCH | RES_DEFNAMES);
        _res.retrans = TRY_S;
        _res.retry = TRY_COUNT;
    }
    error = getaddrinfo(query->name, NULL, &hints, &list);
    if (error == 0) {
        keep_addresses(query, list);
        freeaddrinfo(list);
    }
    if (error == EAI_MEMORY)
        query->rc = WW_ENOMEM;
    else
        query->rc = query->count ? 0 : WW_ERESOLVE;
}

static void on_result(void *arg)
{
    struct ww_resolver_query *query = arg;

    if (query->fn)
        query->fn(query->arg, query->rc, query->addresses, query->count);
    query_free(query);
}

/* Hands the query to the loop; a full mailbox empties soon. Called and left with the mutex held. */
static void post_result(struct ww_resolver *resolver, struct ww_resolver_query *query)
{
    while (!resolver->is_closing) {
        if (ww_loop_post(resolver->loop, on_result, query) == 0)
            return;
        pthread_mutex_unlock(&resolver->mutex);
        usleep(POST_RETRY_US);
        pthread_mutex_lock(&resolver->mutex);
    }
    query_free(query);
}

/* Called with the mutex held; the last one to leave frees. */
static void leave(struct ww_resolver *resolver)
{
    bool is_last = --resolver->holders == 0;

    pthread_mutex_unlock(&resolver->mutex);
    if (!is_last)
        return;
    pthread_cond_destroy(&resolver->news);
    pthread_mutex_destroy(&resolver->mutex);
    ww_free(resolver);
}

static void *run_thread(void *arg)
{
    struct ww_resolver *resolver = arg;

    pthread_mutex_lock(&resolver->mutex);
    while (!resolver->is_closing) {
        struct ww_resolver_query *query = TAILQ_FIRST(&resolver->waiting);

        if (!query) {
            pthread_cond_wait(&resolver->news, &resolver->mutex);
            continue;
        }
        TAILQ_REMOVE(&resolver->waiting, query, link);
        resolver->waiting_count--;
        query->is_waiting = false;
        pthread_mutex_unlock(&resolver->mutex);
        look_up(query);
        pthread_mutex_lock(&resolver->mutex);
        post_result(resolver, query);
    }
    leave(resolver);
    return NULL;
}

/* --- on the loop's thread ------------------------------------------------------------------------
 */

int ww_resolver_create(struct ww_loop *loop, struct ww_resolver **resolver)
{
    struct ww_resolver *created = ww_alloc(1, sizeof(*created));

    if (!created)
        return WW_ENOMEM;
    if (pthread_mutex_init(&created->mutex, NULL) != 0)
        goto fail;
    if (pthread_cond_init(&created->news, NULL) != 0) {
        pthread_mutex_destroy(&created->mutex);
        goto fail;
    }
    TAILQ_INIT(&created->waiting);
    created->loop = loop;
    created->holders = 1;
    *resolver = created;
    return 0;

fail:
    ww_free(created);
    return WW_ESYSTEM;
}

void ww_resolver_destroy(struct ww_resolver *resolver)
{
    struct ww_resolver_query *query;

    if (!resolver)
        return;
    pthread_mutex_lock(&resolver->mutex);
    while ((query = TAILQ_FIRST(&resolver->waiting))) {
        TAILQ_REMOVE(&resolver->waiting, query, link);
        query_free(query);
    }
    resolver->is_closing = true;
    pthread_cond_broadcast(&resolver->news);
    leave(resolver);
}

/* Called with the mutex held. One thread is enough to go on with. */
static int start_threads(struct ww_resolver *resolver)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;

    if (pthread_attr_init(&attributes) != 0)
        return WW_ESYSTEM;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (resolver->thread_count < WW_RESOLVER_THREADS &&
           pthread_create(&thread, &attributes, run_thread, resolver) == 0) {
        resolver->thread_count++;
        resolver->holders++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return resolver->thread_count ? 0 : WW_ESYSTEM;
}

int ww_resolver_start(struct ww_resolver *resolver, const char *name, ww_resolver_fn fn, void *arg,
                      struct ww_resolver_query **query)
{
    struct ww_resolver_query *created = ww_alloc(1, sizeof(*created));
    int rc = WW_ENOMEM;

    if (!created)
        return WW_ENOMEM;
    created->resolver = resolver;
    created->fn = fn;
    created->arg = arg;
    created->name = ww_strdup(name);
    if (!created->name)
        goto fail;
    pthread_mutex_lock(&resolver->mutex);
    rc = resolver->waiting_count < WW_RESOLVER_QUEUE_MAX ? 0 : WW_ELIMIT;
    if (rc == 0 && resolver->thread_count == 0)
        rc = start_threads(resolver);
    if (rc == 0) {
        created->is_waiting = true;
        TAILQ_INSERT_TAIL(&resolver->waiting, created, link);
        resolver->waiting_count++;
        pthread_cond_signal(&resolver->news);
    }
    pthread_mutex_unlock(&resolver->mutex);
    if (rc != 0)
        goto fail;
    *query = created;
    return 0;

fail:
    query_free(created);
    return rc;
}

void ww_resolver_cancel(struct ww_resolver_query *query)
{
    struct ww_resolver *resolver;
    bool was_waiting;

    if (!query)
        return;
    resolver = query->resolver;
    query->fn = NULL;
    pthread_mutex_lock(&resolver->mutex);
    was_waiting = query->is_waiting;
    if (was_waiting) {
        TAILQ_REMOVE(&resolver->waiting, query, link);
        resolver->waiting_count--;
    }
    pthread_mutex_unlock(&resolver->mutex);
    if (was_waiting)
        query_free(query);
}
