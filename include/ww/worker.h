/* Packet workers: threads beside the loop's that carry packets. A worker has a loop of its own;
 * what rooms let it do, and how they talk to it, is theirs to say: each opens a port at it, which
 * is a ring of records each way. A node makes its workers and hands them to its rooms.
 *
 * "The loop" is the one that the workers were created with, "the worker" the other side. A worker
 * never waits for the loop's thread. Either side is woken only when it rests, which it does when
 * all of its rings are empty, and then once for all of its ports.
 *
 * Loop's thread, unless something else is said. docs/internals/loop-and-store.md tells more.
 */
#pragma once
#include "ww/loop.h"
#include "ww/ring.h"

struct ww_workers; /* all of a node */
struct ww_worker;
struct ww_port; /* of one room at one worker */

/* Starts as many as can be had of `count`, at most WW_WORKERS_MAX; that there are fewer is said in
 * the log. 0: *workers is NULL, which all of these functions take. WW_EINVAL, WW_ENOMEM. */
int ww_workers_create(struct ww_loop *loop, unsigned count, struct ww_workers **workers);
/* Ends and joins the threads. All ports must be closed. */
void ww_workers_destroy(struct ww_workers *workers);
unsigned ww_workers_count(const struct ww_workers *workers);
/* index: below the count. Borrowed. */
struct ww_worker *ww_workers_at(struct ww_workers *workers, unsigned index);
/* The loop's thread may have got another nice value: they get it, too. For a clock: it asks. */
void ww_workers_follow(struct ww_workers *workers);

/* From 1 on; its thread is called ww-packets-NUMBER. From any thread. */
unsigned ww_worker_number(const struct ww_worker *worker);
/* The worker's own: what is made in it is made and destroyed on its thread, in a call. */
struct ww_loop *ww_worker_loop(const struct ww_worker *worker);
/* Calls fn(arg) on the worker's thread and waits for its end, that is for what the worker does in
 * one turn at most. What fn writes is seen after it. */
void ww_worker_call(struct ww_worker *worker, ww_loop_fn fn, void *arg);
/* The worker's ports are told to take, though nothing was published. */
void ww_worker_wake(struct ww_worker *worker);
/* The same for the loop's ends of its ports. From both threads. */
void ww_worker_tell(struct ww_worker *worker);

struct ww_port_config {
    size_t out_bytes, in_bytes; /* of the rings to the worker and from it; as ww_ring_create */
    /* On the worker's thread: takes what was published in `out` so far, and no more. */
    ww_loop_fn take_out;
    /* On the loop's: the same of `in`. The port may be closed in it. */
    ww_loop_fn take_in;
};
/* *port is owned by the caller. The config is borrowed. WW_ENOMEM. */
int ww_port_open(struct ww_worker *worker, const struct ww_port_config *config, void *arg,
                 struct ww_port **port);
/* Neither function is called any more; what is in the rings is lost. NULL is fine. */
void ww_port_close(struct ww_port *port);
/* `out` is put into by the loop's thread, and taken from by the worker's; `in` the other way round.
 */
struct ww_ring *ww_port_out(const struct ww_port *port);
struct ww_ring *ww_port_in(const struct ww_port *port);
/* What was put is published, and who is to take it woken if it rests. */
void ww_port_publish_out(struct ww_port *port);
/* The worker's thread. */
void ww_port_publish_in(struct ww_port *port);
/* While it is held, take_in is not called, and what the worker publishes stays. */
void ww_port_hold(struct ww_port *port, bool is_held);
