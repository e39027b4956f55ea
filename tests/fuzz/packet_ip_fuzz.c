/* Packets: what passes has the few shapes that are carried, to an address that the rules allow. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ww/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ww_ip_fragments fragments;
    const char *rule = NULL;
    struct ww_ip ip, about;
    int error = ww_ip_read_error(data, size, &ip, &about);

    check(error == 0 || error == WW_EMALFORMED || error == WW_EUNSUPPORTED);
    check(error != 0 || (about.is_v4 == ip.is_v4 && ip.payload_size >= 16));
    int rc = ww_ip_judge(NULL, data, size, &ip, &rule);

    check(error != 0 || rc != 0); /* never both */

    check(rule != NULL);
    check(rc == 0 || rc == WW_EMALFORMED || rc == WW_EUNSUPPORTED || rc == WW_EDESTINATION);
    if (rc != 0)
        return 0;
    check(strcmp(rule, "public") == 0);
    check(data[0] >> 4 == (ip.is_v4 ? 4 : 6));
    check((size_t)ip.header_size + ip.payload_size == size);
    check(ip.is_v4 ? ip.header_size >= 20 && ip.header_size <= 60
                   : ip.header_size == 40 || ip.header_size == 48);
    check(memcmp(data + (ip.is_v4 ? 16 : 24), ip.destination + (ip.is_v4 ? 12 : 0),
                 ip.is_v4 ? 4 : 16) == 0);
    check(ww_address_judge(NULL, ip.destination, ip.is_v4, NULL) == 0);
    check(ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP || ip.protocol == IPPROTO_ICMP ||
          ip.protocol == IPPROTO_ICMPV6);
    check(ip.is_fragment == (ip.offset > 0 || !ip.is_last));
    if (ip.is_fragment)
        ww_ip_fragment(&fragments, &ip, 1, &rule);
    if (ip.offset == 0 && (ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP))
        check(ww_address_judge_port(ip.protocol, ip.destination_port, NULL) == 0);
    return 0;
}
