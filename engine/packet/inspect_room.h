/* Inside of the room: a flow that is looked at. */
#pragma once
#include "flow_room.h"
#include "ww/inspect.h"

/* Looks at one packet of a flow, the first with payload included. True: its name or application has
 * become known by this packet. flow->inspection is the room's memory of it. */
bool inspect_packet(struct ww_flows *flows, struct ww_flow *flow,
                    const struct ww_flow_packet *packet, uint64_t now_us);
/* The flow closes. */
void inspect_end(struct ww_flows *flows, struct ww_flow *flow);
