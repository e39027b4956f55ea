/* What a flow is, from its first packets: the host name that it asks for, and the application.
 *
 * Names in TLS, HTTP and DNS are read here, in full, so that they are known with the packet that
 * says them. QUIC and applications are nDPI's, which reads packets of strangers in a process of its
 * own that has no rights: copies of first packets go there, and what it says comes later, from the
 * loop. Nothing waits for it: a flow goes on without, and while the process is gone, or has not
 * caught up, new flows have no application and QUIC no name. nDPI cuts names at 79 characters: a
 * name that may have been cut counts as unknown, and so does whatever nDPI made of it, as else
 * anybody could choose where it is cut.
 *
 * At most WW_INSPECT_PACKETS packets with payload and WW_INSPECT_BYTES bytes of a flow are looked
 * at; then everything about it is freed but the result, which is in struct ww_flow. Thread: the
 * loop's. */
#pragma once

#include "ww/loop.h"

struct ww_inspector;

/* The first thing that main() does: if this is the inspecting process, which the program itself is
 * when an inspector executes it (/proc/self/exe), it never returns. */
void ww_inspect_main(int argc, char **argv);

/* Starts the process, so it is made when the first packet comes. One serves many tables, which
 * must be destroyed before it, and it before the loop. *inspector is owned by the caller.
 * WW_ENOMEM; that the process can't be started is in the log, and tried again. In a program that
 * has not called ww_inspect_main there is none. */
int ww_inspector_create(struct ww_loop *loop, struct ww_inspector **inspector);
/* Ends the process. NULL is fine. */
void ww_inspector_destroy(struct ww_inspector *inspector);
/* Flows that are looked at now, at most WW_INSPECTIONS_MAX: the oldest is given up for a new one.
 */
size_t ww_inspector_count(const struct ww_inspector *inspector);

struct ww_inspector_stats {
    int pid;         /* of the process; 0: there is none now */
    bool is_ready;   /* it has said that it is there */
    uint64_t starts; /* 1, or more if it has ended before */
    uint64_t missed; /* packets that it was not shown, or whose answer came to nothing: it ended, or
                      * the flow had to make room for others */
    size_t waiting;  /* packets that it was shown and has not answered */
};
void ww_inspector_stats(const struct ww_inspector *inspector, struct ww_inspector_stats *stats);
