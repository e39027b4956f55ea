/* Inside of the room: the table of flows. */
#pragma once
#include <sys/queue.h>

#include "ww/flow.h"

#define FLOW_CHUNK 256        /* flows allocated at once */
#define FLOW_NONE  UINT32_MAX /* no index */
/* Of one answer to a denied packet: a bucket then holds as many as pass in a second. */
#define FLOW_REJECT_COST (WW_FLOW_BURST_BYTES / WW_FLOW_REJECTS_PER_S)

struct flow_list {
    uint32_t oldest, newest;
};

struct flow_slot {
    uint32_t hash;
    uint32_t index; /* FLOW_NONE: free */
};

struct flow_fragment {
    uint64_t hash; /* of addresses, id and protocol, with the table's secret */
    uint64_t since_us;
    uint32_t index;
    uint64_t serial; /* of the flow that had the index then */
};

/* In flow->tcp. */
#define FLOW_SEEN_FIN_IN  1
#define FLOW_SEEN_FIN_OUT 2
#define FLOW_SEEN_IN      4
#define FLOW_SEEN_SYN     8 /* flow->syn is known */

struct inspection;
TAILQ_HEAD(inspections, inspection); /* by age */

struct ww_flows {
    struct ww_flows_config config;
    struct inspections inspections; /* of its flows */
    size_t inspections_count;
    size_t asked; /* packets of its flows that the inspecting process has not answered */
    uint64_t secret[2];
    struct ww_flow **chunks; /* flows_max / FLOW_CHUNK of them, as they are needed */
    uint64_t *serials;       /* by index: which flow it is */
    uint32_t chunks_count, chunks_max;
    uint32_t free; /* first of the free flows, linked by `newer` */
    uint32_t count;
    struct flow_slot *slots; /* open addressing, linear */
    uint32_t slots_mask, slots_used;
    struct ww_flow *last; /* of the last packet: the next one mostly is of the same flow */
    struct flow_list lists[WW_FLOW_STATES];
    struct flow_fragment fragments[WW_FLOWS_FRAGMENTS];
    struct ww_flow_bucket rejects;
    struct ww_flows_stats stats;
    uint64_t serial;
};

/* flow_list.c: the slab, and lists by state in order of the last packet, to a second. */
struct ww_flow *flow_at(const struct ww_flows *flows, uint32_t index);
/* NULL: out of memory, or flows_max are in use. Zeroed, but for its index. */
struct ww_flow *flow_take(struct ww_flows *flows);
void flow_give_back(struct ww_flows *flows, struct ww_flow *flow);
void flow_list_add(struct ww_flows *flows, struct ww_flow *flow, enum ww_flow_state state);
void flow_list_remove(struct ww_flows *flows, struct ww_flow *flow);

/* flow.c */
void flow_close(struct ww_flows *flows, struct ww_flow *flow);
/* False: there are only streams. */
bool flow_push_one_out(struct ww_flows *flows);
