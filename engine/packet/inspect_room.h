/* Inside of the room: a flow that is looked at. */
#pragma once
#include "flow_room.h"
#include "inspect_link.h"

/* Looks at one packet of a flow, the first with payload included. True: its name has become known
 * by this packet. flow->inspection is the room's memory of it. */
bool inspect_packet(struct ww_flows *flows, struct ww_flow *flow,
                    const struct ww_flow_packet *packet, uint64_t now_us);
/* The flow closes. */
void inspect_end(struct ww_flows *flows, struct ww_flow *flow);
/* The table does, or no longer has an inspector: no flow of it is looked at any more. */
void inspect_leave(struct ww_flows *flows);

/* As ww_inspector_create, with another process, for tests. */
int inspect_create(struct ww_loop *loop, const struct inspect_how *how,
                   struct ww_inspector **inspector);
