/* The event loop: timers, readiness, streams, signals, child processes and mailboxes.
 *
 * The only room with libevent's loop; http and net take its base with ww_loop_base. All
 * functions belong to the loop's own thread but ww_loop_post and ww_loop_stop. A callback may
 * destroy the object that it was called for; none is called from inside a function of the same
 * object. If a start function fails, its callback is never called. All objects of a loop must be
 * destroyed before it. docs/internals/loop-and-store.md tells how it works.
 *
 * Glossary: stream - a connected TCP or unix socket with a bounded write queue;
 *           watch  - interest in a file descriptor; post - a call handed to the loop's thread;
 *           pool   - threads for work that would hold up the loop.
 */
#pragma once
#include <sys/queue.h>
#include <sys/socket.h>

#include "ww/base.h"

struct ww_loop;
struct event_base;

typedef void (*ww_loop_fn)(void *arg);

/* *loop is owned by the caller. WW_ENOMEM, WW_ESYSTEM. */
int ww_loop_create(struct ww_loop **loop);
/* Runs posts that are still queued, then frees. NULL is fine. */
void ww_loop_destroy(struct ww_loop *loop);
/* Runs until ww_loop_stop; returns at once if that was called before. */
void ww_loop_run(struct ww_loop *loop);
/* One turn: waits at most wait_us for something to do. For tests. Turns do not nest: neither this
 * nor ww_loop_run may be called from a callback. */
void ww_loop_turn(struct ww_loop *loop, uint64_t wait_us);
/* Ends ww_loop_run after the current turn. From any thread. */
void ww_loop_stop(struct ww_loop *loop);
/* Microseconds (monotonic), read once a turn: cheap enough for every packet. */
uint64_t ww_loop_now_us(struct ww_loop *loop);
/* Calls fn(arg) on the loop's thread, in order. From any thread. WW_ELIMIT when the mailbox
 * (WW_LOOP_POSTS_MAX) is full, WW_ENOMEM: the caller keeps what arg owns. What a post posts runs
 * in the next turn. */
int ww_loop_post(struct ww_loop *loop, ww_loop_fn fn, void *arg);
/* Libevent's base, borrowed; for http and net only. */
struct event_base *ww_loop_base(struct ww_loop *loop);

/* The mark (SO_MARK) that the node's own sockets get, by which the host's routes tell them from
 * everybody else's: 0, the default, for none. Before sockets and threads are made. */
void ww_loop_set_mark(struct ww_loop *loop, uint32_t mark);
/* Marks a socket, before it connects. Without the right to (CAP_NET_ADMIN) it stays as it is. From
 * any thread. */
void ww_loop_mark_socket(const struct ww_loop *loop, int fd);

/* --- timers --------------------------------------------------------------------------------- */
struct ww_timer;
int ww_timer_create(struct ww_loop *loop, ww_loop_fn fn, void *arg, struct ww_timer **timer);
/* Fires once after delay_us, counted from ww_loop_now_us and never early; a running timer is set
 * anew. Can't fail. With 0 it fires in this turn or, from a timer's callback, in the next. */
void ww_timer_start(struct ww_timer *timer, uint64_t delay_us);
void ww_timer_stop(struct ww_timer *timer);
bool ww_timer_running(const struct ww_timer *timer);
void ww_timer_destroy(struct ww_timer *timer);

/* --- readiness -------------------------------------------------------------------------------- */
enum ww_watch_events { WW_WATCH_READ = 1, WW_WATCH_WRITE = 2 };
struct ww_watch;
typedef void (*ww_watch_fn)(void *arg, int fd, unsigned events);
/* Level-triggered. The fd is borrowed and must outlive the watch. */
int ww_watch_create(struct ww_loop *loop, int fd, unsigned events, ww_watch_fn fn, void *arg,
                    struct ww_watch **watch);
void ww_watch_set(struct ww_watch *watch, unsigned events);
void ww_watch_destroy(struct ww_watch *watch);

/* --- signals and children --------------------------------------------------------------------- */
struct ww_signal;
typedef void (*ww_signal_fn)(void *arg, int signal_number);
int ww_signal_create(struct ww_loop *loop, int signal_number, ww_signal_fn fn, void *arg,
                     struct ww_signal **signal);
void ww_signal_destroy(struct ww_signal *signal);

struct ww_child;
/* Called once, when the process has ended and is reaped. status as waitpid gives it. */
typedef void (*ww_child_fn)(void *arg, int status);
struct ww_child_options {
    const char *const *argv;            /* NULL-terminated; argv[0] is a path or found in PATH */
    const char *program;                /* NULL: argv[0], which else is only a name for ps */
    const char *const *env;             /* NULL: inherit */
    int stdin_fd, stdout_fd, stderr_fd; /* -1: inherit */
    bool die_with_parent;               /* PR_SET_PDEATHSIG */
    bool own_group;                     /* a Ctrl-C at the terminal does not reach it */
    bool own_session;                   /* nor does the terminal's end; instead of own_group. Of
                                         * what is open, it gets the standard three only */
};
/* Starts it; all signals are at their defaults in it. WW_ENOTFOUND if there is no such program,
 * WW_ESYSTEM with errno kept. die_with_parent: it gets SIGKILL when the calling thread ends. */
int ww_child_create(struct ww_loop *loop, const struct ww_child_options *options, ww_child_fn fn,
                    void *arg, struct ww_child **child);
int ww_child_pid(const struct ww_child *child);
/* WW_ENOTFOUND once it has been reaped; a reused pid is never hit. */
int ww_child_kill(struct ww_child *child, int signal_number);
/* Does not kill; the process is reaped all the same, and fn is not called any more. */
void ww_child_destroy(struct ww_child *child);

/* --- work on other threads ---------------------------------------------------------------------
 */
struct ww_pool;
STAILQ_HEAD(ww_pool_jobs, ww_pool_job);
/* The caller's memory, zeroed but for the three functions' fields; the pool's from submit until
 * done is called. */
struct ww_pool_job {
    STAILQ_ENTRY(ww_pool_job) link;
    ww_loop_fn work; /* on a thread of the pool: touches nothing that others may touch meanwhile */
    ww_loop_fn done; /* on the loop's thread, in one of its next turns; the job is the caller's */
    void *arg;
};
/* Starts 1 to 16 threads that do at most waiting_max jobs that are not done yet. WW_ENOMEM,
 * WW_ESYSTEM, WW_EINVAL. */
int ww_pool_create(struct ww_loop *loop, unsigned threads, size_t waiting_max,
                   struct ww_pool **pool);
/* WW_ELIMIT: waiting_max jobs are under way; WW_ESHUTDOWN. Then the job is still the caller's and
 * done is not called. Nothing else fails. With one thread jobs are done in order. */
int ww_pool_submit(struct ww_pool *pool, struct ww_pool_job *job);
/* Jobs handed over whose done has not been called. */
size_t ww_pool_pending(const struct ww_pool *pool);
/* Waits until all that was handed over is done and told, then frees. NULL is fine. Not from a
 * done. */
void ww_pool_destroy(struct ww_pool *pool);

/* --- streams ---------------------------------------------------------------------------------- */
struct ww_stream;
/* Any may be NULL. The struct is borrowed: it must outlive the stream. */
struct ww_stream_callbacks {
    void (*connected)(void *arg);        /* outgoing only */
    void (*readable)(void *arg);         /* new bytes: peek and consume; may leave some */
    void (*drained)(void *arg);          /* the write queue fell to its low mark */
    void (*eof)(void *arg);              /* the other side shut down its writing; bytes that
                                            were left may still be peeked at */
    void (*closed)(void *arg, int code); /* error or reset; nothing follows, but the stream
                                            must still be destroyed. WW_E… */
};
struct ww_listener;
/* fd is owned by the callee. */
typedef void (*ww_accept_fn)(void *arg, int fd, const struct sockaddr *peer, socklen_t peer_size);

/* Listens. Port 0 picks one. WW_ESYSTEM with errno kept. The fds are non-blocking and closed on
 * exec. A unix socket gets mode 0600 and is removed with its listener; one that nobody listens on
 * any more is replaced; WW_EEXIST if somebody does, or if the path is no socket. An IPv6 socket
 * takes IPv6 only. */
int ww_listener_create(struct ww_loop *loop, const struct sockaddr *address, socklen_t size,
                       ww_accept_fn fn, void *arg, struct ww_listener **listener);
int ww_listener_address(const struct ww_listener *listener, struct sockaddr_storage *address);
void ww_listener_destroy(struct ww_listener *listener);

/* Takes an accepted fd (owned from now on; closed on error too). Sets TCP_NODELAY on TCP. */
int ww_stream_accept(struct ww_loop *loop, int fd, const struct ww_stream_callbacks *callbacks,
                     void *arg, struct ww_stream **stream);
/* Connects; connected or closed tells how it went, never before this returns. An immediate refusal
 * is returned (WW_ECONNREFUSED, WW_EUNREACHABLE, …). What is written before is sent then. There is
 * no timeout but the kernel's: use a timer. */
int ww_stream_connect(struct ww_loop *loop, const struct sockaddr *address, socklen_t size,
                      const struct ww_stream_callbacks *callbacks, void *arg,
                      struct ww_stream **stream);
/* Received bytes: a contiguous borrowed view of at most `max` bytes, valid until the next call
 * on the stream. NULL with *size 0 when there are none. */
const uint8_t *ww_stream_peek(struct ww_stream *stream, size_t max, size_t *size);
void ww_stream_consume(struct ww_stream *stream, size_t size);
size_t ww_stream_readable(const struct ww_stream *stream);
/* Reading stops by itself while so many bytes are unconsumed: 1 to WW_STREAM_READ_BYTES, which it
 * is at first. What is held already stays. */
void ww_stream_set_read_max(struct ww_stream *stream, size_t bytes);
/* Stops and goes on reading from the socket; without it reading stops by itself while
 * WW_STREAM_READ_BYTES are left unconsumed. After resume, readable is called for bytes that are
 * held already. While paused, neither eof nor a reset by the other side is noticed. */
void ww_stream_pause(struct ww_stream *stream);
void ww_stream_resume(struct ww_stream *stream);
/* Copies into the write queue, all or nothing; it is sent at the end of the turn. WW_ENOMEM;
 * WW_ECLOSED. The queue is the caller's to bound, by ww_stream_queued. */
int ww_stream_write(struct ww_stream *stream, const void *data, size_t size);
size_t ww_stream_queued(const struct ww_stream *stream);
/* drained is called when the queue falls from above to this many bytes or fewer (default 0). */
void ww_stream_set_low_mark(struct ww_stream *stream, size_t bytes);
/* Sends FIN once the queue is empty; nothing can be written any more. Reading goes on. */
void ww_stream_finish(struct ww_stream *stream);
/* Closes with RST (TCP) and frees. */
void ww_stream_reset(struct ww_stream *stream);
/* Tries to flush nothing: closes and frees. NULL is fine. */
void ww_stream_destroy(struct ww_stream *stream);
int ww_stream_fd(const struct ww_stream *stream);
