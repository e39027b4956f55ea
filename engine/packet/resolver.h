/* Names to addresses, as the host is configured (resolv.conf, nsswitch.conf's order of files and
 * DNS, hosts), by c-ares on the loop: nothing waits, so a name whose servers are silent holds up no
 * other.
 *
 * Each lookup has a c-ares channel of its own, which costs 13 us and 75 KB: sockets, and so ports
 * that nobody can guess, of its own; what one server's answer breaks is one lookup; cancelling ends
 * it, sockets and all; and resolv.conf is read afresh.
 *
 * The search list of resolv.conf is never applied: "host" must not become "host.example.com" of the
 * provider's office. Judges nothing. */
#pragma once

#include "ww/loop.h"

struct ww_resolver;
struct ww_resolver_query; /* owned by the resolver, until it called back or was cancelled */

struct ww_resolver_address {
    uint8_t bytes[16]; /* IPv4: the first four */
    bool is_v4;
};
/* rc 0 with 1 to WW_EGRESS_ADDRESSES_MAX addresses in the order of RFC 6724, borrowed; WW_ERESOLVE;
 * WW_ENOMEM. On the loop's thread, never from inside a function of the resolver. The query is gone
 * when this is called; any other query, and the resolver, may be ended in it. */
typedef void (*ww_resolver_fn)(void *arg, int rc, const struct ww_resolver_address *addresses,
                               size_t count);

/* *resolver is owned by the caller. WW_ENOMEM, WW_ESYSTEM. */
int ww_resolver_create(struct ww_loop *loop, struct ww_resolver **resolver);
/* For tests: reads this file, which is borrowed, in resolv.conf's place, and asks its servers at
 * this port. */
void ww_resolver_set_source(struct ww_resolver *resolver, const char *path, uint16_t port);
/* Cancels what is under way. NULL is fine. */
void ww_resolver_destroy(struct ww_resolver *resolver);
/* The name is copied. The client is who it is for; only compared, NULL is one, too. WW_ELIMIT when
 * WW_RESOLVER_LOOKUPS_MAX lookups are under way, or WW_RESOLVER_SHARE of this client's; WW_ENOMEM,
 * WW_ESYSTEM. */
int ww_resolver_start(struct ww_resolver *resolver, const void *client, const char *name,
                      ww_resolver_fn fn, void *arg, struct ww_resolver_query **query);
/* fn is not called. NULL is fine. */
void ww_resolver_cancel(struct ww_resolver_query *query);
