/* Inside of the room: the flows of a node, those of packets and streams, in tables of packet's
 * (ww/flow.h). Here are their verdicts, what the user has blocked, where
 * addresses are, and the footprint. A provider has no footprint: where its clients go is not its to
 * keep. Thread: the loop's.
 */
#pragma once
#include <sys/queue.h>

#include "ww/geo.h"
#include "ww/inspect.h"
#include "ww/ops.h"

#include "verdict.h"

struct edge;
struct blocks;
struct footprint;

/* What ww_flow.owner points to. */
struct flow_info {
    uint64_t id;                /* counts up */
    struct verdict *verdict;    /* of packets; that of a stream is the stream's */
    enum ww_hook_flow decision; /* what the policy, or the user, has said of it */
    struct ww_hash peer;        /* who carries it, or at a provider whose it is */
    bool has_peer;
    struct ww_place place;
    char *asked; /* the name that an answer with this address was for, when it opened; or NULL. For
                  * people only: two names may share an address */
    uint64_t counted[2]; /* bytes that the footprint has of it */
};

struct flow_table {
    LIST_ENTRY(flow_table) link;
    struct edge *edge;
    struct ww_flows *flows;
    struct ww_hash peer; /* of new flows, until flow_set_peer says otherwise */
    bool has_peer;
    bool is_judged_again; /* … up to judged_at */
    uint32_t judged_at;
};

/* footprint{folder=, copy=, by=, days=, from_s=} -> {rows}: of a node that doesn't run, from a copy
 * of its store, which is made and removed. WW_EAGAIN when it does run. */
int flows_bound_footprint_of(void *context, struct ww_call *call);
/* What is wrong with a file of places, by what ww_geo_add returned. */
const char *flows_geo_why(int rc);
/* Reads {geo = {FILE, …}, inspect =, footprint =} and what is stored. The store is open. */
int flows_start(struct edge *edge, struct ww_call *call);
/* Closes all tables, before the store. */
void flows_stop(struct edge *edge);
/* Binds flows_list, flows_block, … as functions of ww.<space>. */
int flows_bind(struct edge *edge, struct ww_ops *ops, const char *space);

/* A table for packets: one for the device of a client, or for each client of a provider, whose id
 * is `peer`. First packets are looked at if the configuration says so. WW_ENOMEM, WW_ESTATE before
 * a start. */
int flow_table_open(struct edge *edge, const struct ww_hash *peer, struct flow_table **table);
/* NULL is fine. */
void flow_table_close(struct flow_table *table);
/* Who carries the flows that open from now on. */
void flow_table_set_peer(struct flow_table *table, const struct ww_hash *peer);

/* A stream (the proxy's, or of a provider), with what the policy has said of it: counted with
 * ww_flows_count, ended with flow_stream_close. NULL: none, which costs no more than that nobody
 * sees it. */
struct ww_flow *flow_stream_open(struct edge *edge, const struct ww_dest *dest,
                                 const struct verdict *verdict);
/* NULL is fine; *flow becomes NULL. */
void flow_stream_close(struct edge *edge, struct ww_flow **flow);
void flow_set_peer(struct ww_flow *flow, const struct ww_hash *peer);

/* "flows" of the status: {open, opened, pushed_out, dropped, rejected}, of all tables that there
 * were; and {inspect_pid, inspect_starts, inspect_missed} as in struct ww_inspector_stats. */
void flows_put(const struct edge *edge, struct ww_call *call);

/* Where a destination is; a name is nowhere. */
void flows_place(struct edge *edge, const struct ww_dest *dest, struct ww_place *place);
/* Whether the user has blocked it. */
bool flows_blocked(struct edge *edge, const struct verdict_about *about,
                   const struct ww_hook_flow_request *request);
