/* The egress itself, and the judging of destinations for its streams and flows. Relies on the
 * address rules and the resolver. It must never hand on an address that was not judged after it
 * was resolved: what is checked is what is connected to, so a second answer changes nothing. */
#include "ww/egress.h"

#include <errno.h>
#include <string.h>

#include "egress_room.h"

#define DATAGRAM_BYTES_MAX 65536

int ww_egress_create(struct ww_loop *loop, const struct ww_address_rules *rules,
                     struct ww_egress **egress)
{
    struct ww_egress *created = ww_alloc(1, sizeof(*created));
    int rc = WW_ENOMEM;

    if (!created)
        return WW_ENOMEM;
    created->loop = loop;
    created->rules = rules;
    created->flow_idle_us = WW_EGRESS_FLOW_IDLE_MS * 1000ULL;
    created->drain_us = WW_EGRESS_DRAIN_MS * 1000ULL;
    LIST_INIT(&created->streams);
    LIST_INIT(&created->flows);
    created->datagram = ww_alloc(1, DATAGRAM_BYTES_MAX);
    if (!created->datagram)
        goto fail;
    rc = ww_resolver_create(loop, &created->resolver);
    if (rc != 0)
        goto fail;
    *egress = created;
    return 0;

fail:
    ww_free(created->datagram);
    ww_free(created);
    return rc;
}

void ww_egress_destroy(struct ww_egress *egress)
{
    struct ww_egress_stream *stream;
    struct ww_egress_flow *flow;

    if (!egress)
        return;
    while ((stream = LIST_FIRST(&egress->streams)))
        ww_egress_reset(stream);
    while ((flow = LIST_FIRST(&egress->flows)))
        ww_egress_flow_close(flow);
    ww_resolver_destroy(egress->resolver);
    ww_free(egress->datagram);
    ww_free(egress);
}

size_t ww_egress_count(const struct ww_egress *egress)
{
    return egress->stream_count + egress->flow_count;
}

socklen_t ww_egress_address_size(const union ww_egress_address *address)
{
    return address->any.sa_family == AF_INET ? sizeof(address->ipv4) : sizeof(address->ipv6);
}

int ww_egress_error(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return WW_ECONNREFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: /* a host without IPv6 */
    case EACCES:       /* a firewall, or broadcast */
    case EPERM:
        return WW_EUNREACHABLE;
    case ENOMEM:
    case ENOBUFS:
        return WW_ENOMEM;
    default:
        return WW_ESYSTEM;
    }
}

int ww_egress_judge_target(const struct ww_egress *egress, int protocol,
                           const struct ww_target *target, struct ww_target *checked, bool *is_name)
{
    uint8_t address[16];
    int rc = ww_address_judge_port(protocol, target->port, NULL);

    if (rc != 0)
        return rc;
    *checked = *target;
    /* A peer may send an address in a name's place. */
    if (target->kind == WW_TARGET_NAME &&
        ww_target_parse(target->name, strnlen(target->name, sizeof(target->name)), target->port,
                        checked) != 0)
        return WW_ERESOLVE;
    *is_name = checked->kind == WW_TARGET_NAME;
    if (*is_name)
        return 0;
    if (checked->kind == WW_TARGET_IPV4)
        ww_address_map(checked->address, address);
    else
        memcpy(address, checked->address, 16);
    return ww_address_judge(egress->rules, address, checked->kind == WW_TARGET_IPV4, NULL);
}

static void fill_address(const struct ww_resolver_address *found, uint16_t port,
                         union ww_egress_address *address)
{
    memset(address, 0, sizeof(*address));
    if (found->is_v4) {
        address->ipv4.sin_family = AF_INET;
        address->ipv4.sin_port = htons(port);
        memcpy(&address->ipv4.sin_addr, found->bytes, 4);
    } else {
        address->ipv6.sin6_family = AF_INET6;
        address->ipv6.sin6_port = htons(port);
        memcpy(&address->ipv6.sin6_addr, found->bytes, 16);
    }
}

/* The next of this family from *at on, or NULL; *at is moved behind it. */
static const struct ww_resolver_address *next_of(const struct ww_resolver_address *found,
                                                 size_t count, bool is_v4, size_t *at)
{
    while (*at < count) {
        const struct ww_resolver_address *address = &found[(*at)++];

        if (address->is_v4 == is_v4)
            return address;
    }
    return NULL;
}

int ww_egress_judge_found(const struct ww_egress *egress, const struct ww_resolver_address *found,
                          size_t found_count, uint16_t port, union ww_egress_address *allowed,
                          size_t *count)
{
    struct ww_resolver_address kept[WW_EGRESS_ADDRESSES_MAX];
    size_t kept_count = 0;
    size_t at[2] = {0, 0}; /* by is_v4 */
    bool is_v4;

    for (size_t i = 0; i < found_count && kept_count < WW_EGRESS_ADDRESSES_MAX; i++) {
        uint8_t address[16];

        if (found[i].is_v4)
            ww_address_map(found[i].bytes, address);
        else
            memcpy(address, found[i].bytes, 16);
        if (ww_address_judge(egress->rules, address, found[i].is_v4, NULL) == 0)
            kept[kept_count++] = found[i];
    }
    if (kept_count == 0)
        return WW_EDESTINATION;
    /* RFC 8305 section 4: families take turns, beginning with that of the first. */
    is_v4 = kept[0].is_v4;
    for (*count = 0; *count < kept_count; is_v4 = !is_v4) {
        const struct ww_resolver_address *next = next_of(kept, kept_count, is_v4, &at[is_v4]);

        if (next)
            fill_address(next, port, &allowed[(*count)++]);
    }
    return 0;
}
