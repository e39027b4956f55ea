/* Internet checksums (RFC 1071). Sums are of 16-bit words as they lie in memory, so that they are
 * right on every machine as long as they are stored as they come. Pure. */
#pragma once

#include "ww/base.h"

/* Adds bytes to a sum, which begins with 0. All but the last piece must have an even size. */
uint64_t ww_checksum_add(uint64_t sum, const uint8_t *bytes, size_t size);
/* The 16 bits of a sum, not complemented. */
uint16_t ww_checksum_fold(uint64_t sum);
/* The sum of the pseudo header of a packet (RFC 9293, 768, 8200) but for the length. */
uint64_t ww_checksum_pseudo(const uint8_t *packet, bool is_v4, uint8_t protocol);
/* Adds a number as a 16-bit or 32-bit field would. */
uint64_t ww_checksum_add_number(uint64_t sum, uint32_t number);
/* Stores a 16-bit result as it came, and reads it. */
void ww_checksum_store(uint8_t *field, uint16_t value);
uint16_t ww_checksum_load(const uint8_t *field);
/* Sets the checksum of an IPv4 head. */
void ww_checksum_ipv4(uint8_t *head, size_t size);
