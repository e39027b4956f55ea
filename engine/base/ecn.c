/* The ECN field through a tunnel. See ww/ecn.h. */
#include "ww/ecn.h"

bool ww_ecn_combine(enum ww_ecn inner, enum ww_ecn outer, enum ww_ecn *mark)
{
    *mark = inner;
    if (inner == WW_ECN_NONE)
        return outer != WW_ECN_CE;
    if (outer == WW_ECN_CE || (outer == WW_ECN_ECT1 && inner == WW_ECN_ECT0))
        *mark = outer;
    return true;
}

enum ww_ecn ww_ecn_share(enum ww_ecn a, enum ww_ecn b)
{
    if (a == b || a == WW_ECN_NONE || b == WW_ECN_CE)
        return a;
    return b == WW_ECN_NONE || a == WW_ECN_CE ? b : WW_ECN_ECT0;
}

enum ww_ecn ww_ecn_join(enum ww_ecn a, enum ww_ecn b)
{
    static const uint8_t RANK[] = {
        [WW_ECN_ECT0] = 0, [WW_ECN_ECT1] = 1, [WW_ECN_NONE] = 2, [WW_ECN_CE] = 3};
    return RANK[a] > RANK[b] ? a : b;
}

static bool is_v4(const uint8_t *packet)
{
    return packet[0] >> 4 == 4;
}

enum ww_ecn ww_ecn_get(const uint8_t *packet, size_t size)
{
    if (size < 20 || (!is_v4(packet) && packet[0] >> 4 != 6))
        return WW_ECN_NONE;
    return (enum ww_ecn)(is_v4(packet) ? packet[1] & 3 : packet[1] >> 4 & 3);
}

void ww_ecn_set(uint8_t *packet, enum ww_ecn mark)
{
    uint8_t before = packet[1];
    if (!is_v4(packet)) {
        packet[1] = (uint8_t)((before & 0xcf) | (unsigned)mark << 4);
        return;
    }
    packet[1] = (uint8_t)((before & 0xfc) | (unsigned)mark);
    /* HC' = ~(~HC + ~m + m'), of the word that holds version, length and this byte. */
    uint32_t checksum = (uint32_t)packet[10] << 8 | packet[11], head = (uint32_t)packet[0] << 8;
    uint32_t sum = (~checksum & 0xffff) + (~(head | before) & 0xffff) + (head | packet[1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    packet[10] = (uint8_t)(~sum >> 8);
    packet[11] = (uint8_t)~sum;
}
