/* A table of flows as a whole: made, aged, read; and the streams that stand in it beside the flows
 * of packets. */
#include <string.h>

#include "flow_room.h"
#include "inspect_room.h"

#define SLOTS_FIRST 64

int ww_flows_create(const struct ww_flows_config *config, struct ww_flows **out)
{
    static const struct ww_flow_callbacks none;

    if (config->flows_max == 0 || config->flows_max > WW_FLOWS_MAX)
        return WW_EINVAL;
    struct ww_flows *flows = ww_alloc(1, sizeof(*flows));
    if (!flows)
        return WW_ENOMEM;
    flows->config = *config;
    TAILQ_INIT(&flows->inspections);
    if (!config->callbacks)
        flows->config.callbacks = &none;
    flows->chunks_max = (config->flows_max + FLOW_CHUNK - 1) / FLOW_CHUNK;
    flows->chunks = ww_alloc(flows->chunks_max, sizeof(*flows->chunks));
    flows->serials = ww_alloc((size_t)flows->chunks_max * FLOW_CHUNK, sizeof(*flows->serials));
    flows->slots = ww_alloc(SLOTS_FIRST, sizeof(*flows->slots));
    if (!flows->chunks || !flows->serials || !flows->slots) {
        ww_flows_destroy(flows);
        return WW_ENOMEM;
    }
    memset(flows->slots, 0xff, SLOTS_FIRST * sizeof(*flows->slots));
    flows->slots_mask = SLOTS_FIRST - 1;
    flows->free = FLOW_NONE;
    for (int state = 0; state < WW_FLOW_STATES; state++)
        flows->lists[state] = (struct flow_list){FLOW_NONE, FLOW_NONE};
    flows->rejects.bytes_s = WW_FLOW_BURST_BYTES;
    ww_random_bytes(flows->secret, sizeof(flows->secret));
    *out = flows;
    return 0;
}

void ww_flows_destroy(struct ww_flows *flows)
{
    struct ww_flow *flow;

    if (!flows)
        return;
    while ((flow = ww_flows_next(flows, NULL)))
        flow_close(flows, flow);
    inspect_leave(flows);
    for (uint32_t i = 0; i < flows->chunks_count; i++)
        ww_free(flows->chunks[i]);
    ww_free(flows->chunks);
    ww_free(flows->serials);
    ww_free(flows->slots);
    ww_free(flows);
}

void ww_flows_set_inspector(struct ww_flows *flows, struct ww_inspector *inspector)
{
    struct ww_flow *flow = NULL;

    while (flows->config.inspector && (flow = ww_flows_next(flows, flow))) {
        inspect_end(flows, flow);
        flow->application = NULL; /* the inspector's */
    }
    inspect_leave(flows);
    flows->config.inspector = inspector;
}

struct ww_flow *ww_flows_next(struct ww_flows *flows, const struct ww_flow *flow)
{
    uint32_t end = flows->chunks_count * FLOW_CHUNK;

    if (flows->count == 0)
        return NULL;
    for (uint32_t index = flow ? flow->index + 1 : 0; index < end; index++) {
        if (flow_at(flows, index)->is_used)
            return flow_at(flows, index);
    }
    return NULL;
}

size_t ww_flows_count_open(const struct ww_flows *flows)
{
    return flows->count;
}

void ww_flows_stats(const struct ww_flows *flows, struct ww_flows_stats *stats)
{
    *stats = flows->stats;
}

bool ww_flows_judge_again(struct ww_flows *flows, uint32_t *at, size_t *most)
{
    uint32_t end = flows->chunks_count * FLOW_CHUNK;

    while (*at<end && * most> 0) {
        struct ww_flow *flow = flow_at(flows, (*at)++); /* named may set it back */
        if (!flow->is_used || !flows->config.callbacks->named)
            continue;
        flow->is_denied = flows->config.callbacks->named(flows->config.arg, flow) != 0;
        (*most)--;
    }
    return *at < end;
}

/* Lists are in order to a second, so a flow lives at most a second longer than it may. */
void ww_flows_expire(struct ww_flows *flows, uint64_t now_us)
{
    static const uint32_t seconds[WW_FLOW_STATES] = {
        [WW_FLOW_CLOSING] = WW_FLOW_CLOSING_S, [WW_FLOW_ICMP] = WW_FLOW_ICMP_S,
        [WW_FLOW_UDP] = WW_FLOW_UDP_S,         [WW_FLOW_UDP_BOTH] = WW_FLOW_UDP_BOTH_S,
        [WW_FLOW_OPENING] = WW_FLOW_OPENING_S, [WW_FLOW_ESTABLISHED] = WW_FLOW_ESTABLISHED_S,
    };
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    unsigned turn = 0;

    for (int state = 0; state < WW_FLOW_STREAM; state++) {
        const struct flow_list *list = &flows->lists[state];
        while (turn < WW_FLOWS_TURN && list->oldest != FLOW_NONE &&
               now_s - flow_at(flows, list->oldest)->moved_s > seconds[state]) {
            flow_close(flows, flow_at(flows, list->oldest));
            turn++;
        }
    }
}

/* --- streams ---------------------------------------------------------------------------------- */

int ww_flows_add_stream(struct ww_flows *flows, const struct ww_flow *what, const char *name_given,
                        uint64_t now_us, struct ww_flow **out)
{
    char *name = name_given ? ww_strdup(name_given) : NULL;

    if (name_given && !name)
        return WW_ENOMEM;
    bool is_full = flows->count >= flows->config.flows_max;
    if (is_full && !flow_push_one_out(flows)) {
        ww_free(name);
        return WW_ELIMIT;
    }
    struct ww_flow *flow = flow_take(flows);
    if (!flow) {
        ww_free(name);
        return WW_ENOMEM;
    }
    memcpy(flow->there, what->there, sizeof(flow->there));
    flow->there_port = what->there_port;
    flow->protocol = what->protocol;
    flow->name = name;
    flow->name_from = name ? WW_FLOW_NAME_REQUEST : WW_FLOW_NAME_NONE;
    flow->first_us = flow->last_us = now_us;
    flow_list_add(flows, flow, WW_FLOW_STREAM);
    flows->stats.opened++;
    *out = flow;
    return 0;
}

void ww_flows_count(struct ww_flow *flow, bool is_outgoing, size_t size, uint64_t now_us)
{
    flow->bytes[is_outgoing] += size;
    flow->last_us = now_us;
}

void ww_flows_end_stream(struct ww_flows *flows, struct ww_flow *flow)
{
    if (flow)
        flow_close(flows, flow);
}
