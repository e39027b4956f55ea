/* Inside of the room: one nftables table that lives as long as this process. */
#pragma once

#include "ww/buf.h"
#include "ww/exit.h"
#include "ww/loop.h"

struct ww_exit_nft;

/* The table's name is this and the device's. */
#define WW_EXIT_TABLE "ww-"

/* What the table is made of. */
struct ww_exit_rules {
    const char *device;
    const uint8_t *pool_v4; /* 4 bytes, a /16 */
    const uint8_t *pool_v6; /* 16 bytes, a /64 */
    const struct ww_prefix *allowed;
    size_t allowed_count;
    const char *turned_v4, *turned_v6; /* interfaces that were no router before, as elements */
    bool all_v6;                       /* … nor was this host for IPv6 at all */
};
/* The whole table in one line, which is one transaction. Errors stay in out. Pure. */
void ww_exit_rules_put(const struct ww_exit_rules *rules, bool is_owned, struct ww_buf *out);

/* Puts the table in place, instead of one that a crash has left. lost: it is gone without our doing
 * (its holder was killed). Waits for the kernel's answer, 5 s at most. WW_ENOTFOUND (there is no
 * nft), WW_EPERM (it said no; why has its words), WW_ENOMEM, WW_ESYSTEM. */
int ww_exit_nft_open(struct ww_loop *loop, const struct ww_exit_rules *rules,
                     void (*lost)(void *arg), void *arg, char why[WW_EXIT_WHY_BYTES],
                     struct ww_exit_nft **nft);
/* More elements of "turned_v4" or "turned_v6". */
void ww_exit_nft_add(struct ww_exit_nft *nft, const char *set, const char *elements);
/* The table goes. NULL is fine. */
void ww_exit_nft_close(struct ww_exit_nft *nft);
