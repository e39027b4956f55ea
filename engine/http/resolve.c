/* Names to addresses, by libevent's resolver.
 *
 * A lookup owns its resolver and frees itself from the loop, never from inside the resolver's
 * callback, since libevent 2.1 still uses the resolver after it. A cancelled lookup lives on
 * without its owner for the few turns in which the resolver takes notice of it, at the latest those
 * with which a loop ends.
 */
#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "dial.h"

struct ww_http_lookup {
    struct event_base *base;
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *request; /* NULL once it is answered */
    ww_http_lookup_fn fn;                      /* NULL: cancelled */
    void *arg;
    int code;
    size_t count;
    struct ww_http_address addresses[WW_HTTP_ADDRESSES_MAX];
};

static size_t put_v4(struct ww_http_address *out, const struct in_addr *address, uint16_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->address;
    memset(out, 0, sizeof(*out));
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    v4->sin_addr = *address;
    out->size = sizeof(*v4);
    return 1;
}

static size_t put_v6(struct ww_http_address *out, const struct in6_addr *address, uint16_t port)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->address;
    memset(out, 0, sizeof(*out));
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    v6->sin6_addr = *address;
    out->size = sizeof(*v6);
    return 1;
}

size_t ww_http_resolve_numeric(const char *host, uint16_t port, struct ww_http_address *addresses)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return put_v4(addresses, &v4, port);
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return put_v6(addresses, &v6, port);
    if (strcasecmp(host, "localhost") != 0)
        return 0;
    /* RFC 6761 section 6.3: never asked of a resolver. */
    v4.s_addr = htonl(INADDR_LOOPBACK);
    return put_v4(&addresses[0], &v4, port) + put_v6(&addresses[1], &in6addr_loopback, port);
}

static void on_loop(evutil_socket_t fd, short events, void *arg)
{
    struct ww_http_lookup *lookup = arg;
    (void)fd;
    (void)events;
    if (lookup->fn)
        lookup->fn(lookup->arg, lookup->code, lookup->addresses, lookup->count);
    evdns_base_free(lookup->dns, 0);
    ww_free(lookup);
}

static void finish_later(struct ww_http_lookup *lookup)
{
    static const struct timeval now = {0, 0};
    WW_REQUIRE(event_base_once(lookup->base, -1, EV_TIMEOUT, on_loop, lookup, &now) == 0);
}

static void on_answer(int result, struct evutil_addrinfo *list, void *arg)
{
    struct ww_http_lookup *lookup = arg;

    lookup->request = NULL;
    for (struct evutil_addrinfo *item = result == 0 ? list : NULL;
         item && lookup->count < WW_HTTP_ADDRESSES_MAX; item = item->ai_next) {
        struct ww_http_address *out = &lookup->addresses[lookup->count];
        if ((size_t)item->ai_addrlen > sizeof(out->address))
            continue;
        memcpy(&out->address, item->ai_addr, item->ai_addrlen);
        out->size = item->ai_addrlen;
        lookup->count++;
    }
    if (list)
        evutil_freeaddrinfo(list);
    lookup->code = lookup->count > 0 ? 0 : WW_ERESOLVE;
    finish_later(lookup);
}

int ww_http_lookup_create(struct ww_loop *loop, const char *host, uint16_t port,
                          ww_http_lookup_fn fn, void *arg, struct ww_http_lookup **lookup)
{
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_flags = EVUTIL_AI_ADDRCONFIG};
    char service[8];
    struct ww_http_lookup *made = ww_alloc(1, sizeof(*made));
    if (!made)
        return WW_ENOMEM;
    made->base = ww_loop_base(loop);
    made->dns = evdns_base_new(made->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                               EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!made->dns) {
        ww_free(made);
        return WW_ERESOLVE;
    }
    made->fn = fn;
    made->arg = arg;
    snprintf(service, sizeof(service), "%u", port);
    *lookup = made;
    /* The answer may come from inside, and then it is NULL; it is passed on from the loop in every
     * case. */
    made->request = evdns_getaddrinfo(made->dns, host, service, &hints, on_answer, made);
    return 0;
}

void ww_http_lookup_cancel(struct ww_http_lookup *lookup)
{
    lookup->fn = NULL;
    if (lookup->request)
        evdns_getaddrinfo_cancel(lookup->request); /* which is an answer, too, but not from here */
}
