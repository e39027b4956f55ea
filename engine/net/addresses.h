/* This machine's addresses and routes: tells when they have changed, and which address it would
 * send from. Linux (rtnetlink). Loop's thread.
 */
#pragma once
#include "ww/loop.h"
#include "ww/net_codec.h"

struct ww_addresses;

/* Calls `changed` once WW_ADDRESS_QUIET_MS after the last of several changes, at the latest four
 * times that after the first. WW_ENOMEM, WW_ESYSTEM (no netlink here). */
int ww_addresses_watch(struct ww_loop *loop, void (*changed)(void *arg), void *arg,
                       struct ww_addresses **addresses);
/* NULL is fine. */
void ww_addresses_destroy(struct ww_addresses *addresses);
/* The largest IP packet that the link towards `remote` takes, as the kernel has it; 0: not known.
 */
size_t ww_addresses_link_bytes(const union ww_address *remote);
/* The address that datagrams to `remote` leave from, port 0; false where there is no route. */
bool ww_addresses_source(const struct ww_loop *loop, const union ww_address *remote,
                         union ww_address *source);
