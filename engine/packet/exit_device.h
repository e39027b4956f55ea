/* Inside of the room: addresses of a TUN device, and what the host forwards. */
#pragma once

#include "ww/address.h"
#include "ww/buf.h"

struct ww_exit_device {
    const char *name;
    uint8_t v4[4], v6[16]; /* of this end */
    unsigned v4_bits, v6_bits;
    unsigned mtu; /* 0: left as it is */
};
/* Sets addresses and the MTU, and takes the device up; *has_v6 says whether this kernel has IPv6.
 * Only system calls: safe between fork and exec. 0 or -1 with errno. */
int ww_exit_device_up(const struct ww_exit_device *device, bool *has_v6);

/* Interfaces that packets come back by: those of default routes, and of routes to one of the
 * prefixes. */
#define WW_EXIT_UPLINKS_MAX 16
struct ww_exit_uplinks {
    size_t count;
    struct {
        char name[16];
        bool is_v4, is_v6;
    } list[WW_EXIT_UPLINKS_MAX];
};
void ww_exit_uplinks_read(const struct ww_prefix *prefixes, size_t prefix_count,
                          struct ww_exit_uplinks *uplinks);

/* Lets the kernel forward between the device and the uplinks; what was another way before is noted
 * in `folder` first, synced, so that a crash can be undone. Which uplinks were no router before is
 * appended to `turned_v4` and `turned_v6` as nftables elements ("\"eth0\","); `all_v6` is set if
 * IPv6 was forwarded nowhere, and had to be switched on for every interface. folder NULL: nothing
 * is changed, only told what would be. An uplink that
 * would have to be switched on, and whose name nftables can't be told (a quote, '*', a backslash,
 * what is not ASCII), is left alone, as are those after it: WW_EUNSUPPORTED. Also WW_EPERM, WW_EIO.
 */
struct ww_exit_forward {
    struct ww_buf turned_v4, turned_v6;
    bool all_v6;
};
int ww_exit_forward_on(const char *folder, const char *device,
                       const struct ww_exit_uplinks *uplinks, struct ww_exit_forward *forward);
/* Undoes what is noted, unless somebody has changed it since. Nothing noted is fine. */
void ww_exit_forward_undo(const char *folder);
