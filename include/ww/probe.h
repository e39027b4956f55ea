/* Whether packets get through a tunnel and back, and how long that takes: an ICMP echo from the
 * client's inner address to the tunnel's other end, which whoever takes the packets answers itself.
 * So it says nothing of the internet behind it, works where there is none, and tells nobody
 * anything. Pure. Thread: any.
 */
#pragma once
#include "ww/base.h"

#define WW_PROBE_BYTES 28

/* A probe, as an IPv4 packet. The sequence number comes back. */
void ww_probe_ask(uint16_t sequence, uint8_t probe[WW_PROBE_BYTES]);
/* Whether the packet is a probe; then its answer. */
bool ww_probe_answer(const uint8_t *packet, size_t size, uint8_t answer[WW_PROBE_BYTES]);
/* Whether the packet is the answer to the probe with that number. */
bool ww_probe_is_answer(const uint8_t *packet, size_t size, uint16_t sequence);
