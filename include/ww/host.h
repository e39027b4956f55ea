/* What a client's tunnel changes on its host: addresses, routes, the kill switch, names.
 *
 * The device is made elsewhere (ww/tun.h) and known here by its name. All of it is state of the
 * kernel, found again by what it is called: the nftables table `inet ww_tunnel`, rules and routes
 * of protocol WW_HOST_PROTOCOL, a mount over /etc/resolv.conf. So it needs no memory of its own,
 * any process may undo what another one did, and nothing outlives a reboot. Nothing of others is
 * changed but one switch of the kernel, which is put back (docs/internals/tunnel-host.md).
 *
 * Thread: the loop's. Calls wait for the kernel, for some milliseconds. For network and mount
 * namespaces of the caller.
 */
#pragma once
#include <net/if.h>

#include "ww/address.h"
#include "ww/loop.h"

struct ww_host_users {
    uint32_t first, last; /* user ids, both included; below UINT32_MAX */
};

/* What goes into the tunnel: everything, or, once there is an include list, what is in one of them;
 * but for what is in an exclude list. Names, if `dns`, always. Borrowed for the call. */
struct ww_host_tunnel {
    const char *device;     /* of 1 to 15 letters, digits, '-', '_' and '.' */
    bool kill_switch;       /* what belongs into the tunnel never leaves by another way */
    bool dns;               /* names are asked of the tunnel's resolver, and of nobody else */
    bool exclude_by_policy; /* ww_host_exclude may add addresses that are reached outside */
    const struct ww_prefix *include, *exclude; /* at most WW_HOST_PREFIXES_MAX each */
    size_t include_count, exclude_count;
    const struct ww_host_users *include_users, *exclude_users; /* WW_HOST_USERS_MAX each */
    size_t include_users_count, exclude_users_count;
};

#define WW_HOST_REASON_SIZE 256

/* Sets all of it up, or brings it up to date: from any state. Before it returns 0, the filter is
 * there before the first rule. WW_EINVAL (a field), WW_EPERM (needs CAP_NET_ADMIN), WW_ENOTFOUND
 * (no such device), WW_ENOMEM, WW_ESYSTEM; `reason` then says what failed, and what was done stays:
 * call ww_host_down. `dns` is not looked at but by the filter: ww_host_names_up is a call of its
 * own. */
int ww_host_up(const struct ww_host_tunnel *tunnel, char reason[WW_HOST_REASON_SIZE]);
/* Takes all of it away, names too; from any state, and 0 if there is nothing. WW_EPERM, WW_ENOMEM,
 * WW_ESYSTEM: the rest is taken away all the same. Rules go before the filter does. */
int ww_host_down(char reason[WW_HOST_REASON_SIZE]);

/* Has /etc/resolv.conf say the tunnel's resolver, by a mount over it: the file itself stays as it
 * is. WW_EPERM (needs CAP_SYS_ADMIN), WW_ENOTFOUND (there is no such file), WW_ESYSTEM. */
int ww_host_names_up(char reason[WW_HOST_REASON_SIZE]);
int ww_host_names_down(char reason[WW_HOST_REASON_SIZE]);
/* Whether names are asked of the tunnel's resolver by that mount. Cheap, for anybody. */
bool ww_host_names_are_ours(void);

struct ww_host_state {
    bool has_filter;  /* the table is there; without a kill switch, too */
    bool kill_switch; /* … and lets nothing past the tunnel */
    bool has_rules;   /* packets are routed into the tunnel */
    bool has_names;   /* /etc/resolv.conf is ours */
};
/* WW_EPERM: only root sees filters; the rest is told. WW_EUNSUPPORTED, WW_ENOMEM, WW_ESYSTEM. */
int ww_host_state(struct ww_host_state *state);
/* Whether this process may do all that (CAP_NET_ADMIN). */
bool ww_host_may(void);

/* --- addresses that a policy excludes ------------------------------------------------------------
 *
 * They are elements of sets of the table, each with a time after which the kernel takes it out:
 * this process may end as it likes. What begins while its address is in a set stays outside of the
 * tunnel until it ends, and what began in the tunnel stays there. nft(8) adds them, beside the
 * loop, all that came meanwhile in one run. */

struct ww_host_excluder;
/* From the loop: the addresses of `id` are in force (0), or can't be (WW_EPERM, WW_ENOTFOUND: there
 * is no such table, WW_EUNSUPPORTED, WW_ETIMEDOUT, WW_ESYSTEM). */
typedef void (*ww_host_excluded_fn)(void *arg, uint64_t id, int rc);
/* *excluder is owned by the caller. WW_ENOMEM. */
int ww_host_excluder_create(struct ww_loop *loop, ww_host_excluded_fn fn, void *arg,
                            struct ww_host_excluder **excluder);
/* Elements stay until their time is over; fn is not called any more. NULL is fine. */
void ww_host_excluder_destroy(struct ww_host_excluder *excluder);
/* Excludes `count` addresses (16 bytes, IPv4 mapped) for so many seconds, and WW_HOST_EXCLUDED_S
 * more. 0: they are already; WW_EAGAIN: fn is called later; WW_ELIMIT: too many now, none of them
 * is. The name, in words for people, is told by ww_host_excluded_each. */
int ww_host_exclude(struct ww_host_excluder *excluder, uint64_t id, const char *name,
                    const uint8_t (*addresses)[16], size_t count, uint32_t seconds);
/* Empties the sets, before what is added from now on. */
void ww_host_exclude_nothing(struct ww_host_excluder *excluder);
/* Tells each address that is excluded now, the name that it was last excluded for, and for how many
 * seconds more. Returns how many there are. each may be NULL. */
size_t ww_host_excluded_each(const struct ww_host_excluder *excluder,
                             void (*each)(void *arg, const char *name, const uint8_t address[16],
                                          uint32_t seconds),
                             void *arg);

/* --- parts, for tests ----------------------------------------------------------------------------
 */

/* Appends the whole transaction for nft(8) that replaces the table. src_valid_mark_was_off becomes
 * part of the table, for whoever takes it away. WW_EINVAL, or out->error. */
int ww_host_filter_text(const struct ww_host_tunnel *tunnel, bool src_valid_mark_was_off,
                        struct ww_buf *out);
