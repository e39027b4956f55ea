/* Ports that the egress never serves. Relies on nothing. Whatever the address: a spammer's port,
 * and the UDP services that answer with far more than they are asked. */
#include <netinet/in.h>

#include "ww/address.h"

struct port_row {
    const char *rule;
    int protocol;
    uint16_t first;
    uint16_t last;
};

static const struct port_row port_rows[] = {
    {"port 0", IPPROTO_TCP, 0, 0},
    {"SMTP, TCP port 25", IPPROTO_TCP, 25, 25},
    {"port 0", IPPROTO_UDP, 0, 0},
    {"QOTD, UDP port 17", IPPROTO_UDP, 17, 17},
    {"chargen, UDP port 19", IPPROTO_UDP, 19, 19},
    {"SMTP, UDP port 25", IPPROTO_UDP, 25, 25},
    {"TFTP, UDP port 69", IPPROTO_UDP, 69, 69},
    {"portmap, UDP port 111", IPPROTO_UDP, 111, 111},
    {"RPC and NetBIOS, UDP ports 135-139", IPPROTO_UDP, 135, 139},
    {"SNMP, UDP port 161", IPPROTO_UDP, 161, 161},
    {"CLDAP, UDP port 389", IPPROTO_UDP, 389, 389},
    {"SMB, UDP port 445", IPPROTO_UDP, 445, 445},
    {"SSDP, UDP port 1900", IPPROTO_UDP, 1900, 1900},
    {"WS-Discovery, UDP port 3702", IPPROTO_UDP, 3702, 3702},
    {"mDNS, UDP port 5353", IPPROTO_UDP, 5353, 5353},
    {"LLMNR, UDP port 5355", IPPROTO_UDP, 5355, 5355},
    {"memcached, UDP port 11211", IPPROTO_UDP, 11211, 11211},
};

int ww_address_judge_port(int protocol, uint16_t port, const char **rule)
{
    const char *decided = "public";
    int rc = 0;

    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) {
        decided = "neither TCP nor UDP";
        rc = WW_EDESTINATION;
    }
    for (size_t i = 0; i < WW_ARRAY_COUNT(port_rows); i++) {
        const struct port_row *row = &port_rows[i];

        if (row->protocol == protocol && port >= row->first && port <= row->last) {
            decided = row->rule;
            rc = WW_EDESTINATION;
        }
    }
    if (rule)
        *rule = decided;
    return rc;
}
