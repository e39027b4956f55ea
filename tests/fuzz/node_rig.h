/* What both ends of the tunnel need to be run without their node. */
#pragma once
#include "edge.h"

/* A loop, a store in memory, and flows. The policy is this: ports that are 13 beyond a multiple of
 * 16 are denied. What would be told to Lua is not. */
void rig_start_edge(struct edge *edge, enum ww_transfer_role role);
/* A connection without a peer, in the edge's table. */
void rig_open_conn(struct edge *edge, struct conn *conn,
                   const struct ww_transfer_callbacks *callbacks);
void rig_close_conn(struct edge *edge, struct conn *conn);
/* A frame from the other side. */
void rig_receive(struct conn *conn, enum ww_lane lane, const struct ww_frame *frame);
/* The next packet of the other side, in a frame. */
void rig_receive_packet(struct conn *conn, uint64_t *index, bool is_partial, const uint8_t *packet,
                        size_t size);
/* What transfer sends: fn is told each packet in it. */
void rig_sent(const uint8_t *head, size_t head_size, const uint8_t *payload, size_t payload_size,
              void (*fn)(const uint8_t *packet, size_t size, bool is_partial));
