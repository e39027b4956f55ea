/* A TUN device as the kernel has it: opening, and what it can do. */
#pragma once

#include "ww/tun.h"

struct ww_tun_device {
    int fd;
    char name[16];
    bool has_vnet, has_uso;
};
/* As ww_tun_create says; the fd is non-blocking and the caller's. On error options->fd is left
 * alone. */
int ww_tun_device_open(const struct ww_tun_options *options, struct ww_tun_device *device);
