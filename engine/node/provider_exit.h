/* Inside of the room: where a provider's packets go out: a TUN device, for one client at a time, as
 * all clients have the same inner addresses. What is behind it, routes and translates. */
#pragma once
#include "ww/tun.h"

struct provider_exit;

struct provider_exit_callbacks {
    /* For the client: borrowed. WW_EAGAIN: not now, it is kept until provider_exit_ready. Anything
     * else: it is gone. */
    int (*packet)(void *arg, const uint8_t *packet, size_t size, bool is_partial);
    void (*batch_end)(void *arg);
};

/* As ww_tun_create. Callbacks are borrowed; arg comes with the client. */
int provider_exit_create(struct ww_loop *loop, const char *device,
                         const struct provider_exit_callbacks *callbacks,
                         struct provider_exit **out);
void provider_exit_destroy(struct provider_exit *out);
/* WW_ELIMIT: another one has it. */
int provider_exit_open(struct provider_exit *out, void *client);
void provider_exit_close(struct provider_exit *out, const void *client);
/* A packet of the client's that was judged. */
void provider_exit_packet(struct provider_exit *out, const uint8_t *packet, size_t size,
                          bool is_partial);
/* The client takes packets again. */
void provider_exit_ready(struct provider_exit *out);
struct provider_exit_counts {
    uint64_t out_dropped; /* the device didn't take it */
    uint64_t in_dropped;  /* no client, or no room */
    size_t waiting;
};
void provider_exit_count(const struct provider_exit *out, struct provider_exit_counts *counts);
const char *provider_exit_name(const struct provider_exit *out);
