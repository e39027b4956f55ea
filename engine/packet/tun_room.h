/* Inside of the room: a TUN device in parts. tun.c has what is read told and shares out what is
 * written, tun_write.c writes, tun_queue.c is a queue at a packet worker. */
#pragma once

#include <linux/virtio_net.h>

#include "ack.h"
#include "segment.h"
#include "tun_device.h"
#include "ww/limits.h"
#include "ww/tun.h"
#include "ww/worker.h"

/* What one read takes: one byte more than there should be. */
#define WW_TUN_READ_BYTES  (sizeof(struct virtio_net_hdr) + WW_SUPER_BYTES_MAX + 1)
#define WW_TUN_INPUT_BYTES (WW_TUN_HEADROOM + WW_TUN_READ_BYTES)

struct ww_tun_queue;

/* Of one descriptor, on one thread. */
struct ww_tun_writer {
    int fd;
    bool has_vnet;
    struct ww_coalesce coalesce;
    uint8_t *supers;                                          /* the slots' bytes */
    uint64_t packets, bytes, super_packets, refused, dropped; /* as in struct ww_tun_stats */
};

struct ww_tun {
    struct ww_tun_device device;
    struct ww_loop *loop;
    const struct ww_tun_callbacks *callbacks;
    void *arg;
    struct ww_timer *timer; /* the flush at the end of a turn */
    int calls;              /* callbacks on the stack */
    bool is_closed;         /* destroyed inside of one */
    bool is_paused, is_failed, takes_supers;
    struct ww_tun_stats stats; /* of what is read */
    struct ww_acks acks;
    /* Without workers. */
    struct ww_watch *watch;
    struct ww_tun_writer writer;
    uint8_t *input; /* of WW_TUN_INPUT_BYTES */
    /* With them: as many as the device has. */
    unsigned queue_count, at; /* at: which one is written to */
    struct ww_tun_queue *queues[WW_WORKERS_MAX];
};

/* --- tun.c */
/* One read, with its vnet header and WW_TUN_HEADROOM bytes before it, is told, now or at
 * ww_tun_taken. */
void ww_tun_take(struct ww_tun *tun, uint8_t *start, size_t size);
/* All of this turn was taken. */
void ww_tun_taken(struct ww_tun *tun);
void ww_tun_fail(struct ww_tun *tun, int code);
/* Around each callback; the device may be gone after the second. */
void ww_tun_enter(struct ww_tun *tun);
void ww_tun_leave(struct ww_tun *tun);

/* --- tun_write.c */
/* The descriptor is borrowed. WW_ENOMEM. */
int ww_tun_writer_init(struct ww_tun_writer *writer, const struct ww_tun_device *device, int fd);
void ww_tun_writer_deinit(struct ww_tun_writer *writer);
/* As ww_tun_write; size is 1 to WW_SUPER_BYTES_MAX. */
void ww_tun_writer_add(struct ww_tun_writer *writer, const uint8_t *packet, size_t size,
                       struct ww_offload offload);
void ww_tun_writer_flush(struct ww_tun_writer *writer);

/* --- tun_queue.c: all but its inside is on the loop's thread */
/* The descriptor is borrowed. WW_ENOMEM, WW_ESYSTEM. */
int ww_tun_queue_open(struct ww_tun *tun, struct ww_worker *worker, int fd,
                      struct ww_tun_queue **queue);
/* Nothing is read, written or told any more; the descriptor may be closed. */
void ww_tun_queue_stop(struct ww_tun_queue *queue);
/* After stop; NULL is fine. */
void ww_tun_queue_close(struct ww_tun_queue *queue);
void ww_tun_queue_write(struct ww_tun_queue *queue, const uint8_t *packet, size_t size,
                        struct ww_offload offload);
void ww_tun_queue_flush(struct ww_tun_queue *queue);
/* Of reading. */
void ww_tun_queue_pause(struct ww_tun_queue *queue, bool is_paused);
/* Adds what the queue has written. */
void ww_tun_queue_add(const struct ww_tun_queue *queue, struct ww_tun_stats *stats);
void ww_tun_queue_look(const struct ww_tun_queue *queue, struct ww_tun_queue_stats *stats);
