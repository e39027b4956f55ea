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
/* The routes of one /proc/net/route (IPv4) text: on-link prefixes and gateways. Lines that can't be
 * read are skipped. WW_ENOMEM, WW_ELIMIT. */
int ww_address_host_add_routes(struct ww_address_host *host, const char *text);
