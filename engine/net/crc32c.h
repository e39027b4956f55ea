/* CRC32c as SCTP's checksum has it (RFC 9260 appendix A): usrsctp leaves it to us. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Finished CRC32c of `size` bytes. */
uint32_t ww_crc32c(const void *data, size_t size);
/* Sets, and checks, the checksum field of an SCTP packet of at least 12 bytes. */
void ww_crc32c_seal(uint8_t *packet, size_t size);
/* `packet` is written to and restored. */
_Bool ww_crc32c_check(uint8_t *packet, size_t size);
