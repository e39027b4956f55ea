/* Names that the policy excludes from the tunnel: the forwarder's answers wait until the host lets
 * their addresses past it. Only while `ww up` has said that they may be. */
#include "client_dns.h"

#include <arpa/inet.h>
#include <string.h>

#define LISTED_MAX 512 /* told at once */

int client_dns_exclude(void *arg, uint64_t hold, const char *name, const uint8_t (*addresses)[16],
                       size_t count, uint32_t seconds)
{
    const struct client_dns *dns = arg;

    if (!dns->excluder) /* not any more: since it was asked for, the tunnel has been closed */
        return WW_ESTATE;
    return ww_host_exclude(dns->excluder, hold, name, addresses, count, seconds);
}

static void on_excluded(void *arg, uint64_t hold, int rc)
{
    const struct client_dns *dns = arg;

    ww_dns_excluded(dns->dns, hold, rc);
}

void client_dns_exclude_close(struct client_dns *dns)
{
    if (!dns || !dns->excluder)
        return;
    ww_host_excluder_destroy(dns->excluder);
    dns->excluder = NULL;
    ww_dns_flush(dns->dns);
}

int client_dns_bound_exclude(void *context, struct ww_call *call)
{
    struct client *client = context;
    struct client_dns *dns = client->dns;
    bool is_on = false;
    int rc = ww_call_bool(call, "on", &is_on);

    if (rc)
        return rc;
    client_dns_exclude_close(dns);
    if (!is_on)
        return 0;
    if (!dns || !client->tunnel)
        return WW_ESTATE;
    ww_dns_flush(dns->dns);
    return ww_host_excluder_create(client->edge.loop, on_excluded, dns, &dns->excluder);
}

struct listing {
    struct ww_call *call;
    size_t count;
};

static void put_one(void *arg, const char *name, const uint8_t address[16], uint32_t seconds)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_v4 = memcmp(address, mapped, sizeof(mapped)) == 0;
    struct listing *listing = arg;
    char text[INET6_ADDRSTRLEN];

    if (++listing->count > LISTED_MAX)
        return;
    inet_ntop(is_v4 ? AF_INET : AF_INET6, address + (is_v4 ? 12 : 0), text, sizeof(text));
    ww_call_begin(listing->call, NULL, false);
    ww_call_put_text(listing->call, "name", name);
    ww_call_put_text(listing->call, "address", text);
    ww_call_put_u64(listing->call, "seconds", seconds);
    ww_call_end(listing->call);
}

int client_dns_bound_excluded(void *context, struct ww_call *call)
{
    const struct client *client = context;
    struct listing listing = {.call = call};

    if (!client->dns)
        return WW_ESTATE;
    ww_call_put_bool(call, "is_on", client->dns->excluder != NULL);
    ww_call_begin(call, "excluded", true);
    if (client->dns->excluder)
        ww_host_excluded_each(client->dns->excluder, put_one, &listing);
    ww_call_end(call);
    ww_call_put_u64(call, "count", listing.count);
    return 0;
}
