/* A TUN device: whole IP packets between this program and the kernel.
 *
 * Where the kernel can, packets cross the border in super-packets of up to 64 KiB (TSO, USO), with
 * checksums that nobody has computed yet (ww/offload.h). What is read is cut into the packets that
 * go on a wire, which are at most the device's MTU; only whoever takes super-packets of TCP gets
 * those as they are. Packets and super-packets of one flow that are written together become one
 * super-packet again. A device without the vnet header works too, slower.
 *
 * Without packet workers (ww/worker.h) the device has one queue, which the loop's thread reads and
 * writes. With them it has one for each, which that one's thread does, where the kernel and the
 * device have several; else it has one, which is the first worker's. All functions and callbacks
 * are on the loop's thread all the same. Nothing is allocated after create. A callback may destroy
 * the device; none is called from inside a function of it. docs/internals/tunnel.md has the whole
 * way.
 */
#pragma once

#include "ww/limits.h"
#include "ww/loop.h"
#include "ww/offload.h"

struct ww_workers;

struct ww_tun;

/* Writable bytes before each packet that is read: room for a head. */
#define WW_TUN_HEADROOM 64

struct ww_tun_callbacks {
    /* A packet that the kernel sent into the device. Borrowed for the call and writable, with
     * WW_TUN_HEADROOM bytes before it; what is behind it must not be touched. Not judged: it may be
     * anything that the kernel routes. It is a super-packet only if takes_supers was set. Flows
     * stay in order; of TCP's plain acknowledgements a turn has one for each flow (RFC 3449 5.2.1).
     */
    void (*packet)(void *arg, uint8_t *packet, size_t size, struct ww_offload offload);
    /* The packets of this turn are told. NULL is fine. */
    void (*batch_end)(void *arg);
    /* The device is gone (WW_ECLOSED) or broken (WW_ESYSTEM): nothing follows, but it must still be
     * destroyed. */
    void (*failed)(void *arg, int code);
};

struct ww_tun_options {
    const char *name;  /* up to 15 bytes; made if there is none. NULL or "": the kernel names it */
    int fd;            /* -1, or one that is attached to a device already; then owned, whatever is
                        * returned, and name is ignored. A pair of sockets that keep message borders
                        * will do for a test: with vnet headers, unless is_plain */
    unsigned mtu;      /* 0: left as it is; else set, which takes the right to */
    bool is_plain;     /* without vnet headers and offloads */
    bool takes_supers; /* of TCP, as ww_super_read has them */
    struct ww_workers *workers; /* of the same loop; borrowed, and must outlive it. NULL: none */
};

/* WW_EPERM (no right to, or no device file), WW_ENOTFOUND (this kernel has none), WW_EEXIST (in use
 * by another program), WW_EUNSUPPORTED (fd is no TUN device without packet information),
 * WW_EINVAL, WW_ENOMEM, WW_ESYSTEM, errno kept. The device is neither up nor has it addresses.
 * Callbacks are borrowed. *tun is owned by the caller. */
int ww_tun_create(struct ww_loop *loop, const struct ww_tun_options *options,
                  const struct ww_tun_callbacks *callbacks, void *arg, struct ww_tun **tun);
/* Flushes nothing. The device goes with it unless it is persistent or held elsewhere. NULL is
 * fine. */
void ww_tun_destroy(struct ww_tun *tun);
/* What the kernel calls it; "" for a pair of sockets. Borrowed. */
const char *ww_tun_name(const struct ww_tun *tun);

/* Hands the kernel one packet or super-packet, which is copied. It is sent with others of its flow,
 * in order, at ww_tun_flush or at the end of this turn of the loop. Any bytes will do: only TCP and
 * UDP whose lengths agree are put together or completed; what is partial and is not that, is
 * dropped. Waits for nobody but the queue's worker, if that has 2 MiB to write already: what the
 * kernel doesn't take is dropped and counted. */
void ww_tun_write(struct ww_tun *tun, const uint8_t *packet, size_t size,
                  struct ww_offload offload);
void ww_tun_flush(struct ww_tun *tun);
/* What is written from now on goes by the queue of this worker, by its number: Linux gives a flow's
 * packets to the queue that has last written one of it. 0, or one without a queue: by the first. */
void ww_tun_steer(struct ww_tun *tun, unsigned worker);

/* Stops and goes on reading: packets then wait in the device's queue, whose length bounds them, and
 * TCP on this host slows down. In the middle of a batch, what has been read is still told; with
 * workers it may be told after ww_tun_resume. */
void ww_tun_pause(struct ww_tun *tun);
void ww_tun_resume(struct ww_tun *tun);

struct ww_tun_stats {
    uint64_t packets_read, bytes_read;       /* as told; packets as on a wire */
    uint64_t supers_read;                    /* reads of several packets at once */
    uint64_t acks_superseded;                /* read, not told: a later one of the turn says more */
    uint64_t packets_written, bytes_written; /* as given and taken by the kernel */
    uint64_t supers_written;                 /* writes of several packets at once */
    uint64_t read_refused;                   /* from the kernel, in a form that is not known here */
    uint64_t write_refused; /* partial without being so, TCP or UDP; a wrong head */
    uint64_t write_dropped; /* the kernel didn't take it */
    bool has_vnet, has_uso;
};
void ww_tun_stats(const struct ww_tun *tun, struct ww_tun_stats *stats);

struct ww_tun_queue_stats {
    unsigned worker;                        /* its number */
    uint64_t packets_read, packets_written; /* as in struct ww_tun_stats */
};
/* With workers, each queue's part. How many there are. */
unsigned ww_tun_queues(const struct ww_tun *tun, struct ww_tun_queue_stats list[WW_WORKERS_MAX]);
