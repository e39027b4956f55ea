/* What both ends of the tunnel need to be run without their node. */
#pragma once
#include "edge.h"
#include "node_packets.h"
#include "segment.h"

/* A loop, a store in memory, and flows. The policy is this: ports that are 13 beyond a multiple of
 * 16 are denied. What would be told to Lua is not. */
void rig_start_edge(struct edge *edge, enum ww_transfer_role role);
/* A connection without a peer, in the edge's table. */
void rig_open_conn(struct edge *edge, struct conn *conn,
                   const struct ww_transfer_callbacks *callbacks);
void rig_close_conn(struct edge *edge, struct conn *conn);
/* The other side takes super-packets. */
void rig_take_supers(struct conn *conn);
/* Transfer's callbacks: receipts are neither signed nor looked at. */
void rig_receipt_due(void *arg, const struct ww_receipt *receipt);
void rig_receipt_came(void *arg, const struct ww_id *id, const uint8_t *bytes, size_t size);
void rig_contract_ended(void *arg, const struct ww_id *id, const struct ww_transfer_counts *counts,
                        bool clean);
void rig_failed(void *arg, int code, const char *why);
/* A frame from the other side. */
void rig_receive(struct conn *conn, enum ww_lane lane, const struct ww_frame *frame);
/* The next packet of the other side, in a frame. */
void rig_receive_packet(struct conn *conn, uint64_t *index, struct ww_offload offload,
                        const uint8_t *packet, size_t size);
/* As a record of the script has it, of at most rig_room bytes, mended if it says so. Whether its
 * sum is wrong. */
size_t rig_room(const struct packets_record *record);
bool rig_receive_record(struct conn *conn, uint64_t *index, const struct packets_record *record,
                        uint8_t *packet, size_t size);
/* Bytes that may be frames, on either lane. */
void rig_receive_bytes(struct conn *conn, const struct packets_record *record);

/* The kernel's end of the device: two turns, then fn is told each packet that came out; and bytes
 * that go in, dropped where its queue is full. */
void rig_drain(const struct conn *conn, int device, ww_segment_fn fn);
void rig_from_kernel(int device, const uint8_t *bytes, size_t size);

/* What transfer sends: fn is told each packet in it. */
void rig_sent(const uint8_t *head, size_t head_size, const uint8_t *payload, size_t payload_size,
              void (*fn)(const uint8_t *packet, size_t size, bool is_partial));
