/* A provider that sends what nobody asked for, with WW_SENDS_JUNK set. */
#pragma once

#include "ww/transfer.h"

/* The linker's name: the function itself. */
int __real_ww_transfer_packet_send(struct ww_transfer *transfer, uint64_t stream_id,
                                   const uint8_t *packet, size_t size, struct ww_offload offload,
                                   uint64_t now_us);
/* With each echo reply of its own an answer to echo requests 1001 to 1004, number 9999, that may go
 * by another provider, and 140,000 bytes of nothing. */
void junk_send(struct ww_transfer *transfer, uint64_t stream_id, const uint8_t *packet, size_t size,
               uint64_t now_us);
