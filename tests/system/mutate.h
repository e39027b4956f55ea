/* Packets that are not as they should be, for the tunnel's tests. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Changes a packet, one to four times: bits of its heads, lengths, addresses that nobody may have,
 * fragments' fields, protocols, flags, checksums, its end cut off or something behind it, or all of
 * it. Returns its new size, 1 to `room`; 20 at least must be there. *state: any number but 0. */
size_t mutate(uint8_t *packet, size_t size, size_t room, uint64_t *state);
uint64_t mutate_draw(uint64_t *state);
