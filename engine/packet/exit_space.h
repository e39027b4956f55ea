/* Inside of the room: a user and network namespace of our own, as descriptors. */
#pragma once

#include "ww/exit.h"

/* Addresses in there. Nobody else sees them: they only name flows to the kernel's TCP. */
#define WW_EXIT_SPACE_V4      10, 0, 0, 1  /* of its end of the TUN device, /8 */
#define WW_EXIT_SPACE_FLOW_V4 10, 64, 0, 0 /* and the number of a flow */
#define WW_EXIT_SPACE_V6      0xfd, 0x77, [15] = 1
#define WW_EXIT_SPACE_FLOW_V6 0xfd, 0x77, [8] = 1
#define WW_EXIT_SPACE_PORT    7

struct ww_exit_space {
    int tun_fd;       /* a TUN device with vnet headers, up, without packet information */
    int listen_v4_fd; /* TCP, listening on WW_EXIT_SPACE_PORT */
    int listen_v6_fd; /* -1 without IPv6 */
};
/* Makes it, in a process that ends before this returns; the namespace lives as long as one of the
 * descriptors, which are non-blocking and the caller's. Needs no rights, but a kernel that grants
 * unprivileged user namespaces and /dev/net/tun that may be opened. WW_EPERM, WW_ENOTFOUND,
 * WW_ESYSTEM, with why. */
int ww_exit_space_make(unsigned mtu, struct ww_exit_space *space, char why[WW_EXIT_WHY_BYTES]);
