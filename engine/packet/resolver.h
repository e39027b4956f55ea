/* Names to addresses, by the host's own resolver (getaddrinfo) on a few threads.
 *
 * Why not evdns: the provider's operator has set up a resolver (nsswitch, hosts, a validating or
 * encrypting stub), and a second one that is configured elsewhere is a surprise. Why not
 * getaddrinfo_a: it starts threads without a bound and can't be told to forget.
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
 * WW_ENOMEM. On the loop's thread. The query is gone when this is called. */
typedef void (*ww_resolver_fn)(void *arg, int rc, const struct ww_resolver_address *addresses,
                               size_t count);

int ww_resolver_create(struct ww_loop *loop, struct ww_resolver **resolver);
/* All queries must be cancelled. Does not wait for lookups that run: their threads end alone and
 * touch neither the loop nor a query's owner any more. NULL is fine. */
void ww_resolver_destroy(struct ww_resolver *resolver);
/* The name is copied. Starts the threads when it is called first. WW_ELIMIT when
 * WW_RESOLVER_QUEUE_MAX lookups wait; WW_ENOMEM, WW_ESYSTEM. */
int ww_resolver_start(struct ww_resolver *resolver, const char *name, ww_resolver_fn fn, void *arg,
                      struct ww_resolver_query **query);
/* fn is not called. NULL is fine. */
void ww_resolver_cancel(struct ww_resolver_query *query);
