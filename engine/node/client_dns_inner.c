/* The resolver inside the tunnel: sockets on the tunnel's other address, which the device has as a
 * second one, so that the kernel delivers questions to this process instead of into the tunnel.
 *
 * Relies on nobody to say when the device has the address: it is tried until it has. A socket stays
 * when an address goes and comes back. */
#include "client_dns.h"

#include <errno.h>
#include <string.h>

#define RESOLVER_PORT  53
#define FIRST_TRY_US   50000
#define LONGEST_TRY_US 2000000 /* an address that never comes: IPv6 is off */

static const char *const ADDRESSES[CLIENT_DNS_INNER] = {WW_TUNNEL_PEER_V4, WW_TUNNEL_PEER_V6};

/* True once it listens. What is in its way is said once. */
static bool try_one(struct client_dns *dns, size_t index)
{
    struct ww_target target;
    int rc = ww_target_parse(ADDRESSES[index], strlen(ADDRESSES[index]), RESOLVER_PORT, &target);

    if (dns->inner[index])
        return true;
    errno = 0;
    if (!rc)
        rc = ww_dns_listener_create(dns->client->edge.loop, dns->dns, &target, &dns->inner[index]);
    if (!rc)
        return true;
    if (errno != EADDRNOTAVAIL && !dns->inner_is_logged)
        ww_log(WW_LOG_WARN, "dns", "the tunnel has no resolver yet: its address is taken",
               "address=%s code=%s errno=%d", ADDRESSES[index], ww_error_name(rc), errno);
    dns->inner_is_logged = dns->inner_is_logged || errno != EADDRNOTAVAIL;
    return false;
}

static void try_all(void *arg)
{
    struct client_dns *dns = arg;
    bool has_all = true;

    for (size_t index = 0; index < CLIENT_DNS_INNER; index++)
        has_all = try_one(dns, index) && has_all;
    if (has_all)
        return;
    ww_timer_start(dns->inner_timer, dns->inner_wait_us);
    dns->inner_wait_us *= 2;
    if (dns->inner_wait_us > LONGEST_TRY_US)
        dns->inner_wait_us = LONGEST_TRY_US;
}

void client_dns_inner_open(struct client *client)
{
    struct client_dns *dns = client->dns;

    if (!dns)
        return;
    if (!dns->inner_timer && ww_timer_create(client->edge.loop, try_all, dns, &dns->inner_timer)) {
        ww_log(WW_LOG_WARN, "dns", "the tunnel has no resolver: there is no memory", "");
        return;
    }
    dns->inner_wait_us = FIRST_TRY_US;
    dns->inner_is_logged = false;
    try_all(dns);
}

void client_dns_inner_close(struct client *client)
{
    struct client_dns *dns = client->dns;

    if (!dns)
        return;
    client_dns_exclude_close(dns);
    ww_timer_destroy(dns->inner_timer);
    dns->inner_timer = NULL;
    for (size_t index = 0; index < CLIENT_DNS_INNER; index++) {
        ww_dns_listener_destroy(dns->inner[index]);
        dns->inner[index] = NULL;
    }
}
