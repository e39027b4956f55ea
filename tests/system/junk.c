/* Part of the rigged program, which is linked with mutant.c in the place of
 * ww_transfer_packet_send (ld's --wrap). */
#include "junk.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ID   1001
#define LAST_ID    1004
#define NUMBER     9999
#define JUNK_COUNT 100
#define ECHO_BYTES 84

static void put_u16(uint8_t *bytes, unsigned value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* Of an echo reply with only zeros behind its head. */
static void forge(const uint8_t *packet, unsigned id, uint8_t forged[ECHO_BYTES])
{
    unsigned sum = id + NUMBER;

    memset(forged, 0, ECHO_BYTES);
    memcpy(forged, packet, 20); /* an echo reply is its model: the IP head is the same */
    put_u16(forged + 20 + 2, ~((sum & 0xffff) + (sum >> 16)));
    put_u16(forged + 20 + 4, id);
    put_u16(forged + 20 + 6, NUMBER);
}

void junk_send(struct ww_transfer *transfer, uint64_t stream_id, const uint8_t *packet, size_t size,
               uint64_t now_us)
{
    static const uint8_t nothing[1400];
    uint8_t forged[ECHO_BYTES];

    if (!getenv("WW_SENDS_JUNK") || size != ECHO_BYTES || packet[0] != 0x45 || packet[20] != 0)
        return;
    for (unsigned id = FIRST_ID; id <= LAST_ID; id++) {
        forge(packet, id, forged);
        __real_ww_transfer_packet_send(transfer, stream_id, forged, size, WW_OFFLOAD_NONE, now_us);
    }
    for (unsigned i = 0; i < JUNK_COUNT; i++)
        __real_ww_transfer_packet_send(transfer, stream_id, nothing, sizeof(nothing),
                                       WW_OFFLOAD_NONE, now_us);
}
