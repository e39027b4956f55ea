/* Probes of a tunnel: see ww/probe.h. There is one right text of each, so they are compared with
 * what would be written.
 */
#include "ww/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "checksum.h"
#include "ww/limits.h"

#define HEAD_BYTES    20
#define ECHO_ANSWER   0
#define ECHO          8
#define AT_IDENTIFIER (HEAD_BYTES + 4)
#define AT_SEQUENCE   (HEAD_BYTES + 6)
#define IDENTIFIER    0x7777 /* no other echo goes to this address: any will do */

static void write_echo(uint8_t type, const char *from, const char *to, uint16_t sequence,
                       uint8_t *packet)
{
    memset(packet, 0, WW_PROBE_BYTES);
    packet[0] = 0x45;
    packet[3] = WW_PROBE_BYTES;
    packet[6] = 0x40; /* not to be fragmented, so its id says nothing (RFC 6864) */
    packet[8] = 1;    /* it is not to be forwarded */
    packet[9] = IPPROTO_ICMP;
    inet_pton(AF_INET, from, packet + 12);
    inet_pton(AF_INET, to, packet + 16);
    ww_checksum_ipv4(packet, HEAD_BYTES);
    packet[HEAD_BYTES] = type;
    packet[AT_IDENTIFIER] = IDENTIFIER >> 8;
    packet[AT_IDENTIFIER + 1] = IDENTIFIER & 0xff;
    packet[AT_SEQUENCE] = (uint8_t)(sequence >> 8);
    packet[AT_SEQUENCE + 1] = (uint8_t)sequence;
    uint64_t sum = ww_checksum_add(0, packet + HEAD_BYTES, WW_PROBE_BYTES - HEAD_BYTES);
    ww_checksum_store(packet + HEAD_BYTES + 2, (uint16_t)~ww_checksum_fold(sum));
}

void ww_probe_ask(uint16_t sequence, uint8_t probe[WW_PROBE_BYTES])
{
    write_echo(ECHO, WW_TUNNEL_V4, WW_TUNNEL_PEER_V4, sequence, probe);
}

bool ww_probe_answer(const uint8_t *packet, size_t size, uint8_t answer[WW_PROBE_BYTES])
{
    uint8_t probe[WW_PROBE_BYTES];

    if (size != WW_PROBE_BYTES)
        return false;
    uint16_t sequence = (uint16_t)(packet[AT_SEQUENCE] << 8 | packet[AT_SEQUENCE + 1]);
    ww_probe_ask(sequence, probe);
    if (memcmp(packet, probe, sizeof(probe)) != 0)
        return false;
    write_echo(ECHO_ANSWER, WW_TUNNEL_PEER_V4, WW_TUNNEL_V4, sequence, answer);
    return true;
}

bool ww_probe_is_answer(const uint8_t *packet, size_t size, uint16_t sequence)
{
    uint8_t answer[WW_PROBE_BYTES];

    write_echo(ECHO_ANSWER, WW_TUNNEL_PEER_V4, WW_TUNNEL_V4, sequence, answer);
    return size == sizeof(answer) && memcmp(packet, answer, sizeof(answer)) == 0;
}
