/* Packet workers: a thread with a loop and an eventfd for each, another eventfd at the main loop,
 * ports. Who rests says so first and looks at its rings then; who publishes does so first and looks
 * whether the other one rests then: so one of the two sees the other. Relies on ww/ring.h for that
 * order. It must never wait for the main loop's thread.
 */
#include "ww/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

LIST_HEAD(ww_port_list, ww_port);

struct ww_port {
    struct ww_worker *worker;
    const struct ww_port_config *config;
    void *arg;
    struct ww_ring *out, *in;
    LIST_ENTRY(ww_port) main_entry, worker_entry;
    bool is_held;
};

struct ww_worker {
    unsigned number;
    int wake_fd, main_fd;          /* wakes the worker; wakes the main loop */
    atomic_bool rests, main_rests; /* each is to be woken */
    pthread_mutex_t mutex;         /* of the call from the main loop's thread, which waits */
    pthread_cond_t done;
    ww_loop_fn call;
    void *call_arg;
    /* the main loop's thread */
    pthread_t thread;
    pid_t thread_id;
    struct ww_watch *main_watch;
    struct ww_port_list main_ports;
    struct ww_port *next; /* that is told to take after the one whose turn it is */
    /* the worker's */
    struct ww_loop *loop;
    struct ww_watch *watch;
    struct ww_port_list ports;
};

struct ww_workers {
    int nice;
    unsigned count;
    struct ww_worker *list[WW_WORKERS_MAX];
};

static void wake(int fd)
{
    const uint64_t one = 1;
    /* Can't fail: the counter is read long before it is full. */
    if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN)
        WW_REQUIRE(false);
}

static void calm(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got; /* only resets it */
}

void ww_worker_wake(struct ww_worker *worker)
{
    wake(worker->wake_fd);
}

void ww_worker_tell(struct ww_worker *worker)
{
    wake(worker->main_fd);
}

/* --- ports ------------------------------------------------------------------------------------ */

static void publish(struct ww_ring *ring, atomic_bool *rests, int fd)
{
    if (ww_ring_publish(ring) && atomic_load(rests) && atomic_exchange(rests, false))
        wake(fd);
}

void ww_port_publish_out(struct ww_port *port)
{
    publish(port->out, &port->worker->rests, port->worker->wake_fd);
}

void ww_port_publish_in(struct ww_port *port)
{
    publish(port->in, &port->worker->main_rests, port->worker->main_fd);
}

struct ww_ring *ww_port_out(const struct ww_port *port)
{
    return port->out;
}

struct ww_ring *ww_port_in(const struct ww_port *port)
{
    return port->in;
}

void ww_port_hold(struct ww_port *port, bool is_held)
{
    bool is_late = port->is_held && !is_held && !ww_ring_is_empty(port->in);
    port->is_held = is_held;
    if (is_late)
        ww_worker_tell(port->worker);
}

static void attach(void *arg)
{
    struct ww_port *port = arg;
    LIST_INSERT_HEAD(&port->worker->ports, port, worker_entry);
}

static void detach(void *arg)
{
    struct ww_port *port = arg;
    LIST_REMOVE(port, worker_entry);
}

static void release_port(struct ww_port *port)
{
    ww_ring_destroy(port->out);
    ww_ring_destroy(port->in);
    ww_free(port);
}

int ww_port_open(struct ww_worker *worker, const struct ww_port_config *config, void *arg,
                 struct ww_port **port)
{
    struct ww_port *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->worker = worker;
    made->config = config;
    made->arg = arg;
    int code = ww_ring_create(config->out_bytes, &made->out);
    if (!code)
        code = ww_ring_create(config->in_bytes, &made->in);
    if (code) {
        release_port(made);
        return code;
    }
    LIST_INSERT_HEAD(&worker->main_ports, made, main_entry);
    *port = made; /* before the worker may call */
    ww_worker_call(worker, attach, made);
    return 0;
}

void ww_port_close(struct ww_port *port)
{
    if (!port)
        return;
    ww_worker_call(port->worker, detach, port);
    if (port->worker->next == port)
        port->worker->next = LIST_NEXT(port, main_entry);
    LIST_REMOVE(port, main_entry);
    release_port(port);
}

/* --- the two ends ----------------------------------------------------------------------------- */

static void on_main(void *arg, int fd, unsigned events)
{
    struct ww_worker *worker = arg;
    struct ww_port *port;
    (void)events;
    calm(fd);
    atomic_store(&worker->main_rests, false);
    for (port = LIST_FIRST(&worker->main_ports); port; port = worker->next) {
        worker->next = LIST_NEXT(port, main_entry);
        if (!port->is_held)
            port->config->take_in(port->arg);
    }
    atomic_store(&worker->main_rests, true);
    LIST_FOREACH (port, &worker->main_ports, main_entry) {
        if (port->is_held || ww_ring_is_empty(port->in))
            continue;
        atomic_store(&worker->main_rests, false);
        wake(fd); /* after the others of this loop had their turn */
        break;
    }
}

static void take_call(struct ww_worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    if (worker->call) {
        worker->call(worker->call_arg);
        worker->call = NULL;
        pthread_cond_signal(&worker->done);
    }
    pthread_mutex_unlock(&worker->mutex);
}

static void on_wake(void *arg, int fd, unsigned events)
{
    struct ww_worker *worker = arg;
    struct ww_port *port;
    (void)events;
    calm(fd);
    atomic_store(&worker->rests, false);
    take_call(worker);
    LIST_FOREACH (port, &worker->ports, worker_entry)
        port->config->take_out(port->arg);
    atomic_store(&worker->rests, true);
    LIST_FOREACH (port, &worker->ports, worker_entry) {
        if (ww_ring_is_empty(port->out))
            continue;
        atomic_store(&worker->rests, false);
        wake(fd); /* after sockets and devices had their turn */
        break;
    }
}

void ww_worker_call(struct ww_worker *worker, ww_loop_fn fn, void *arg)
{
    pthread_mutex_lock(&worker->mutex);
    worker->call = fn;
    worker->call_arg = arg;
    wake(worker->wake_fd);
    while (worker->call)
        pthread_cond_wait(&worker->done, &worker->mutex);
    pthread_mutex_unlock(&worker->mutex);
}

unsigned ww_worker_number(const struct ww_worker *worker)
{
    return worker->number;
}

struct ww_loop *ww_worker_loop(const struct ww_worker *worker)
{
    return worker->loop;
}

/* --- life ------------------------------------------------------------------------------------- */

static void introduce(void *arg)
{
    struct ww_worker *worker = arg;
    worker->thread_id = (pid_t)syscall(SYS_gettid);
}

static void *work(void *arg)
{
    struct ww_worker *worker = arg;
    char name[16]; /* with its NUL, as the kernel has it */
    snprintf(name, sizeof name, "ww-packets-%u", worker->number % 100);
    pthread_setname_np(pthread_self(), name);
    ww_loop_run(worker->loop);
    return NULL;
}

static int start_thread(struct ww_worker *worker)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return WW_ESYSTEM;
    ww_worker_call(worker, introduce, worker);
    return 0;
}

static void release(struct ww_worker *worker)
{
    ww_watch_destroy(worker->watch);
    ww_watch_destroy(worker->main_watch);
    ww_loop_destroy(worker->loop);
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    if (worker->main_fd >= 0)
        close(worker->main_fd);
    pthread_cond_destroy(&worker->done);
    pthread_mutex_destroy(&worker->mutex);
    ww_free(worker);
}

static int create(struct ww_loop *main_loop, unsigned number, struct ww_worker **worker)
{
    struct ww_worker *made = ww_alloc(1, sizeof *made);
    int code;
    if (!made)
        return WW_ENOMEM;
    made->number = number;
    LIST_INIT(&made->ports);
    LIST_INIT(&made->main_ports);
    atomic_store(&made->rests, true);
    atomic_store(&made->main_rests, true);
    pthread_mutex_init(&made->mutex, NULL); /* with default attributes neither can fail */
    pthread_cond_init(&made->done, NULL);
    made->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    made->main_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    code = made->wake_fd < 0 || made->main_fd < 0 ? WW_ESYSTEM : 0;
    if (!code)
        code = ww_loop_create(&made->loop);
    if (!code)
        code =
            ww_watch_create(made->loop, made->wake_fd, WW_WATCH_READ, on_wake, made, &made->watch);
    if (!code)
        code = ww_watch_create(main_loop, made->main_fd, WW_WATCH_READ, on_main, made,
                               &made->main_watch);
    if (!code)
        code = start_thread(made);
    if (code) {
        release(made);
        return code;
    }
    *worker = made;
    return 0;
}

int ww_workers_create(struct ww_loop *loop, unsigned count, struct ww_workers **workers)
{
    struct ww_workers *made;
    int code = 0;
    *workers = NULL;
    if (count == 0)
        return 0;
    if (count > WW_WORKERS_MAX)
        return WW_EINVAL;
    made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->nice = getpriority(PRIO_PROCESS, 0);
    while (made->count < count && !code) {
        code = create(loop, made->count + 1, &made->list[made->count]);
        made->count += code == 0;
    }
    if (code)
        ww_log(WW_LOG_WARN, "loop", "not all packet workers could be started",
               "workers=%u wanted=%u code=%s", made->count, count, ww_error_name(code));
    *workers = made;
    return 0;
}

void ww_workers_destroy(struct ww_workers *workers)
{
    while (workers && workers->count > 0) {
        struct ww_worker *worker = workers->list[--workers->count];
        WW_REQUIRE(LIST_EMPTY(&worker->main_ports));
        ww_loop_stop(worker->loop);
        pthread_join(worker->thread, NULL);
        release(worker);
    }
    ww_free(workers);
}

unsigned ww_workers_count(const struct ww_workers *workers)
{
    return workers ? workers->count : 0;
}

struct ww_worker *ww_workers_at(struct ww_workers *workers, unsigned index)
{
    WW_REQUIRE(workers && index < workers->count);
    return workers->list[index];
}

void ww_workers_follow(struct ww_workers *workers)
{
    if (!workers)
        return;
    int nice = getpriority(PRIO_PROCESS, 0);
    if (nice == workers->nice)
        return;
    workers->nice = nice;
    /* Linux: of one thread. Where it isn't allowed, this one could not have got it either. */
    for (unsigned i = 0; i < workers->count; i++)
        setpriority(PRIO_PROCESS, (id_t)workers->list[i]->thread_id, nice);
}
