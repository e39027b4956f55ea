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

/* 0: the table is in place. Else it is not, or no longer as it was meant: nft said no (WW_EPERM;
 * why has its words), gave no answer for 5 s, or ended (WW_ESYSTEM). Then nothing else follows, and
 * `nft` is to be closed, from here if one likes. */
typedef void (*ww_exit_nft_fn)(void *arg, int code, const char *why);

/* Has the table put in place, instead of one that a crash has left; told says when it is, and later
 * when it is not. Doesn't wait. WW_ENOTFOUND (there is no nft), WW_ENOMEM, WW_ESYSTEM, and why says
 * what. */
int ww_exit_nft_open(struct ww_loop *loop, const struct ww_exit_rules *rules, ww_exit_nft_fn told,
                     void *arg, char why[WW_EXIT_WHY_BYTES], struct ww_exit_nft **nft);
/* More elements of "turned_v4" or "turned_v6", of a table that is in place. */
void ww_exit_nft_add(struct ww_exit_nft *nft, const char *set, const char *elements);
/* The table goes. NULL is fine. */
void ww_exit_nft_close(struct ww_exit_nft *nft);
