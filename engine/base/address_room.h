/* What the address files of this room share: prefixes and the set that only this host knows. */
#pragma once

#include "ww/address.h"

/* A prefix and the static name of the rule that it stands for. */
struct ww_address_row {
    const char *rule;
    struct ww_prefix prefix;
};

struct ww_address_host {
    struct ww_address_row *rows; /* owned */
    size_t count;
};

/* Replaces what the set held by this host's addresses, on-link prefixes, gateways and metadata
 * services. On an error it stays as it was. WW_ENOMEM, WW_ESYSTEM, WW_ELIMIT. */
int ww_address_host_read(struct ww_address_host *host);
void ww_address_host_deinit(struct ww_address_host *host);
/* One more row, unless there is one of that prefix. WW_ENOMEM, WW_ELIMIT. */
int ww_address_host_add(struct ww_address_host *host, const char *rule, const uint8_t address[16],
                        unsigned bits);
/* What the kernel's routes say: gateways, on-link prefixes, prefixes that are all this host.
 * WW_ENOMEM, WW_ESYSTEM, WW_ELIMIT. */
int ww_address_host_add_routes(struct ww_address_host *host);
struct nlmsghdr;
/* The same of one route; message is whole, as NLMSG_OK says, and only read (the macros of
 * linux/rtnetlink.h want it writable). WW_ENOMEM, WW_ELIMIT. */
int ww_address_host_add_route(struct ww_address_host *host, struct nlmsghdr *message);
