/* Packets for the tests of flows. */
#pragma once

#include "ww/flow.h"

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* A packet between port `here` of 192.0.0.2 and port `there` of 8.8.8.8. */
struct shape {
    uint8_t protocol, flags;
    uint16_t here, there;
    bool is_incoming, is_v6;
    uint16_t id, offset;
    bool more;
    size_t payload;
};

/* Writes it, and what the parser would say of it; its size. */
size_t flows_packet(const struct shape *shape, uint8_t *bytes, struct ww_ip *ip);
