/* Where flows lie: pieces of FLOW_CHUNK that stay where they are, and one list for each state. The
 * order in a list is right to a second, so that most packets don't touch their neighbours. */
#include <string.h>

#include "flow_room.h"

struct ww_flow *flow_at(const struct ww_flows *flows, uint32_t index)
{
    return &flows->chunks[index / FLOW_CHUNK][index % FLOW_CHUNK];
}

static bool grow(struct ww_flows *flows)
{
    if (flows->chunks_count == flows->chunks_max)
        return false;
    struct ww_flow *chunk = ww_alloc(FLOW_CHUNK, sizeof(*chunk));
    if (!chunk)
        return false;
    uint32_t first = flows->chunks_count * FLOW_CHUNK;
    for (uint32_t i = FLOW_CHUNK; i-- > 0;) {
        chunk[i].index = first + i;
        chunk[i].newer = flows->free;
        flows->free = first + i;
    }
    flows->chunks[flows->chunks_count++] = chunk;
    return true;
}

struct ww_flow *flow_take(struct ww_flows *flows)
{
    if (flows->count >= flows->config.flows_max || (flows->free == FLOW_NONE && !grow(flows)))
        return NULL;
    struct ww_flow *flow = flow_at(flows, flows->free);
    uint32_t index = flow->index;
    flows->free = flow->newer;
    flows->count++;
    memset(flow, 0, sizeof(*flow));
    flow->index = index;
    flow->is_used = true;
    flows->serials[index] = ++flows->serial;
    return flow;
}

void flow_give_back(struct ww_flows *flows, struct ww_flow *flow)
{
    flow->is_used = false;
    flow->newer = flows->free;
    flows->free = flow->index;
    flows->serials[flow->index] = 0;
    flows->count--;
}

void flow_list_add(struct ww_flows *flows, struct ww_flow *flow, enum ww_flow_state state)
{
    struct flow_list *list = &flows->lists[state];

    flow->state = (uint8_t)state;
    flow->newer = FLOW_NONE;
    flow->older = list->newest;
    if (list->newest == FLOW_NONE)
        list->oldest = flow->index;
    else
        flow_at(flows, list->newest)->newer = flow->index;
    list->newest = flow->index;
}

void flow_list_remove(struct ww_flows *flows, struct ww_flow *flow)
{
    struct flow_list *list = &flows->lists[flow->state];

    if (flow->older == FLOW_NONE)
        list->oldest = flow->newer;
    else
        flow_at(flows, flow->older)->newer = flow->newer;
    if (flow->newer == FLOW_NONE)
        list->newest = flow->older;
    else
        flow_at(flows, flow->newer)->older = flow->older;
}
