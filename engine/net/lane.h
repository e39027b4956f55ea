/* The direct data path: a UDP socket of ours beside libnice's, on the same address. A classic BPF
 * program in the kernel gives STUN to libnice's socket and all else to ours, so ICE goes on
 * undisturbed while data never passes it. Datagrams are sent and received in batches (UDP_SEGMENT,
 * UDP_GRO). Linux only. On the thread of its room's loop.
 */
#pragma once
#include "ww/ecn.h"
#include "ww/loop.h"
#include "ww/net_codec.h"

struct ww_lane;
/* What the lanes of one thread share: its loop, batches for the next use, a buffer to receive in.
 */
struct ww_lane_room;

struct ww_lane_counters {
    uint64_t datagrams_sent, bytes_sent, datagrams_received, bytes_received, dropped;
};

struct ww_lane_callbacks {
    /* Datagrams of one sender, one after the other: `each` bytes, but for the last, which may have
     * fewer. In scratch of ours; not reentrant. `mark` is that of their IP packets. */
    void (*datagrams)(void *arg, const uint8_t *data, size_t size, size_t each, enum ww_ecn mark);
    void (*batch_end)(void *arg); /* no more for now */
};

/* The loop is borrowed. WW_ENOMEM. */
int ww_lane_room_create(struct ww_loop *loop, struct ww_lane_room **room);
/* After all of its lanes. NULL is fine. */
void ww_lane_room_destroy(struct ww_lane_room *room);

/* Larger socket buffers for libnice's socket: the system's 208 KB lose packets at speed. */
void ww_lane_raise_buffers(int fd);
/* nice_fd is borrowed for the call. WW_ESYSTEM (said in the log) where it can't be had. */
int ww_lane_create(struct ww_lane_room *room, int nice_fd, const union ww_address *remote,
                   const struct ww_lane_callbacks *callbacks, void *arg, struct ww_lane **lane);
/* Flushes and closes. NULL is fine. */
void ww_lane_destroy(struct ww_lane *lane);
/* Copies the datagram into the batch; false when too much is waiting and it was dropped. `alone`:
 * it may be longer than the link takes, so no other shares its fate. All of a batch have one mark:
 * others begin another. */
bool ww_lane_send(struct ww_lane *lane, const uint8_t *data, size_t size, enum ww_ecn mark,
                  bool alone);
/* Copies a record as `count` datagrams into batches, all or none: the head, whose second byte is
 * the piece's index, and `each` bytes of it; what the last lacks is zeros. Same results. */
bool ww_lane_send_pieces(struct ww_lane *lane, const uint8_t *head, size_t head_size,
                         const uint8_t *record, size_t size, size_t each, unsigned count,
                         enum ww_ecn mark);
/* Less than half of what may wait does. */
bool ww_lane_has_room(const struct ww_lane *lane);
/* Sends what is batched. */
void ww_lane_flush(struct ww_lane *lane);
void ww_lane_counters(const struct ww_lane *lane, struct ww_lane_counters *counters);

/* To another thread and back, while the lane's own waits: ww_lane_rest on its own, then
 * ww_lane_borrow, and no other call on its own until ww_lane_give_back, and at last ww_lane_resume.
 * What waits to be sent goes along. */
void ww_lane_rest(struct ww_lane *lane);
/* On the thread of that room. WW_ENOMEM, WW_ESYSTEM: nothing has changed. */
int ww_lane_borrow(struct ww_lane *lane, struct ww_lane_room *room,
                   const struct ww_lane_callbacks *callbacks, void *arg);
void ww_lane_give_back(struct ww_lane *lane);
void ww_lane_resume(struct ww_lane *lane);
/* Nothing is received until it is told so. */
void ww_lane_pause(struct ww_lane *lane, bool is_paused);
