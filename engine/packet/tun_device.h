/* A TUN device as the kernel has it: opening, and what it can do. */
#pragma once

#include "ww/limits.h"
#include "ww/tun.h"

struct ww_tun_device {
    unsigned count; /* of queues: one, or up to as many as there are workers */
    int fds[WW_WORKERS_MAX];
    char name[16];
    bool has_vnet, has_uso;
};
/* As ww_tun_create says; the fds are non-blocking and the caller's. On error options->fd is left
 * alone. */
int ww_tun_device_open(const struct ww_tun_options *options, struct ww_tun_device *device);
void ww_tun_device_close(struct ww_tun_device *device);
/* One packet with its vnet header. Its size; 0: no more now; WW_ECLOSED: the device is gone,
 * WW_ESYSTEM. From any thread. */
int ww_tun_device_read(int fd, uint8_t *to, size_t most);
