/* Inside of the room: a fair way through for many clients in one direction. Each has a rate, all
 * together have one, and a client that must wait has a queue of its own, served by deficit round
 * robin (Shreedhar and Varghese 1995): one that is slow or floods holds up nobody else. Pure: time
 * comes in, packets go out by a callback. Memory is taken once. */
#pragma once

#include "ww/base.h"
#include "ww/limits.h"
#include "ww/offload.h"

struct ww_fair;

struct ww_fair_options {
    uint32_t clients;            /* 1 to WW_EXIT_CLIENTS_MAX; they are numbered from 0 */
    uint64_t client_bytes_per_s; /* of each; 0: no limit */
    uint64_t total_bytes_per_s;  /* of all; 0: no limit */
    /* The packet goes on, borrowed and writable. WW_EAGAIN: not now, it is kept, and nothing of
     * this client is tried before ww_fair_ready. WW_ETOOBIG: a super-packet is to be cut, and told
     * packet by packet; so it is when it has to wait. Anything else: it is gone. Of this one's
     * functions only ww_fair_ready and ww_fair_forget may be called from here. */
    int (*deliver)(void *arg, uint32_t client, uint8_t *packet, size_t size,
                   struct ww_offload offload);
    void *arg;
};
struct ww_fair_counts {
    uint64_t passed_packets, passed_bytes; /* delivered */
    uint64_t queued_packets;               /* … of them after waiting */
    uint64_t dropped_packets; /* the queue was full, or they waited for too long, or are too large
                               * to wait */
};

/* WW_ENOMEM, WW_EINVAL. *fair is the caller's. */
int ww_fair_create(const struct ww_fair_options *options, struct ww_fair **fair);
void ww_fair_destroy(struct ww_fair *fair); /* what waits is gone; NULL is fine */
/* Delivers at once when nothing is in the way, else keeps a copy or drops. */
void ww_fair_packet(struct ww_fair *fair, uint32_t client, uint8_t *packet, size_t size,
                    struct ww_offload offload, uint64_t now_us);
/* As above, but delivers nothing before ww_fair_run. */
void ww_fair_later(struct ww_fair *fair, uint32_t client, const uint8_t *packet, size_t size,
                   struct ww_offload offload, uint64_t now_us);
/* Serves what waits. The microseconds until it should be called again, or 0: nothing waits for
 * time to pass. */
uint64_t ww_fair_run(struct ww_fair *fair, uint64_t now_us);
/* This client takes packets again; ww_fair_run serves it. */
void ww_fair_ready(struct ww_fair *fair, uint32_t client);
/* Drops what waits for a client, and begins its counts anew. */
void ww_fair_forget(struct ww_fair *fair, uint32_t client);
size_t ww_fair_waiting(const struct ww_fair *fair, uint32_t client); /* packets */
void ww_fair_counts(const struct ww_fair *fair, uint32_t client, struct ww_fair_counts *counts);
