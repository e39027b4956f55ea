/* An end of a tunnel that sends three other packets after each, with WW_MUTATES=SEED set. Part of
 * the rigged program, which is linked with this in the place of ww_transfer_packet_send (ld's
 * --wrap). */
#include <stdlib.h>
#include <string.h>

#include "junk.h"
#include "mutate.h"
#include "ww/tun.h"

#define EACH 3

/* The linker's name. */
int __wrap_ww_transfer_packet_send(struct ww_transfer *transfer, uint64_t stream_id,
                                   const uint8_t *packet, size_t size, struct ww_offload offload,
                                   uint64_t now_us);

int __wrap_ww_transfer_packet_send(struct ww_transfer *transfer, uint64_t stream_id,
                                   const uint8_t *packet, size_t size, struct ww_offload offload,
                                   uint64_t now_us)
{
    static uint64_t state;
    uint8_t room[WW_TUN_HEADROOM + 1500], *other = room + WW_TUN_HEADROOM;
    const size_t most = sizeof(room) - WW_TUN_HEADROOM;

    junk_send(transfer, stream_id, packet, size, now_us);
    int rc = __real_ww_transfer_packet_send(transfer, stream_id, packet, size, offload, now_us);

    if (rc || size < 20 || size > most || !getenv("WW_MUTATES"))
        return rc;
    if (!state)
        state = strtoull(getenv("WW_MUTATES"), NULL, 10) * 0x9e3779b97f4a7c15ULL | 1;
    for (int i = 0; i < EACH; i++) {
        memcpy(other, packet, size);
        size_t new_size = mutate(other, size, most, &state);
        __real_ww_transfer_packet_send(
            transfer, stream_id, other, new_size,
            (struct ww_offload){mutate_draw(&state) % 4 == 0 ? (uint16_t)mutate_draw(&state) : 0,
                                mutate_draw(&state) % 2},
            now_us);
    }
    return rc;
}
