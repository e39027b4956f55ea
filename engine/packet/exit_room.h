/* The insides of the egress for packets, shared by its files. */
#pragma once

#include "exit_table.h"
#include "fair.h"
#include "rewrite.h"
#include "ww/exit.h"
#include "ww/super.h"
#include "ww/tun.h"

struct ww_exit_kernel;
struct ww_exit_user;

struct ww_exit {
    struct ww_loop *loop;
    struct ww_exit_options options;
    const struct ww_exit_callbacks *callbacks;
    void *arg;
    char why[WW_EXIT_WHY_BYTES];   /* not kernel, or why its way is not open */
    bool is_auto;                  /* … and while it never was, the other one is tried */
    char device[13], *folder;      /* the options' */
    struct ww_exit_kernel *kernel; /* one of the two */
    struct ww_exit_user *user;
    struct ww_tun *tun;
    struct ww_fair *out, *in;
    struct ww_exit_table *table;
    struct ww_timer *timer;     /* what waits is served */
    struct ww_timer *tick;      /* once a second */
    struct ww_exit_counts past; /* of clients that are gone */
    uint32_t client_count;
    bool is_reading; /* packets of the device: their end will be told */
    struct {
        bool is_open;
        unsigned worker;
        uint64_t refused_packets;
    } clients[WW_EXIT_CLIENTS_MAX];
};

/* --- exit.c --- */

/* A packet on its way to a client, its addresses the inner ones: into its queue and on. Only from
 * the loop. */
void ww_exit_in(struct ww_exit *exit, uint32_t client, uint8_t *packet, size_t size,
                struct ww_offload offload);
/* The same from inside a call of the owner: told in a later turn. */
void ww_exit_in_later(struct ww_exit *exit, uint32_t client, const uint8_t *packet, size_t size);
void ww_exit_refuse(struct ww_exit *exit, uint32_t client);
bool ww_exit_has_client(const struct ww_exit *exit, uint32_t client);
const uint8_t *ww_exit_inner(const struct ww_exit *exit, bool is_v4);
/* Opens exit->tun: a device by name, or one that is open already. As ww_tun_create. */
int ww_exit_attach(struct ww_exit *exit, const char *name, int fd);
/* "WHAT: ERROR" as why; returns code. */
int ww_exit_explain(char why[WW_EXIT_WHY_BYTES], int code, const char *what, int error);

/* The kernel's way is not open, and why: said once, and again when it is something else. Without it
 * ever having been, WW_EXIT_AUTO goes over to the other: exit->kernel is NULL then. */
void ww_exit_trouble(struct ww_exit *exit, const char *why);
/* It is open (again). */
void ww_exit_went_well(struct ww_exit *exit);

/* --- exit_kernel.c: TUN, forwarding, nftables --- */

int ww_exit_kernel_open(struct ww_exit *exit, char why[WW_EXIT_WHY_BYTES]);
void ww_exit_kernel_close(struct ww_exit *exit);
void ww_exit_kernel_out(struct ww_exit *exit, uint32_t client, uint8_t *packet, struct ww_ip *ip,
                        struct ww_offload offload);
void ww_exit_kernel_in(struct ww_exit *exit, uint8_t *packet, size_t size,
                       struct ww_offload offload);
void ww_exit_kernel_tick(struct ww_exit *exit);
/* A flow is closed by the table: the kernel forgets it, too. */
void ww_exit_kernel_closed(struct ww_exit *exit, const struct ww_exit_flow *flow);

/* --- exit_user.c: a namespace of our own, and sockets --- */

int ww_exit_user_open(struct ww_exit *exit, char why[WW_EXIT_WHY_BYTES]);
void ww_exit_user_close(struct ww_exit *exit);
void ww_exit_user_out(struct ww_exit *exit, uint32_t client, uint8_t *packet, struct ww_ip *ip,
                      struct ww_offload offload);
void ww_exit_user_in(struct ww_exit *exit, uint8_t *packet, size_t size, struct ww_offload offload);
void ww_exit_user_status(const struct ww_exit *exit, struct ww_exit_status *status);
/* A flow is closed by the table: what it joins ends. */
void ww_exit_user_closed(struct ww_exit *exit, struct ww_exit_flow *flow);
