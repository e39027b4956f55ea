/* Internet checksums. Relies on that a sum of 32-bit words, folded, is that of their halves. */
#include "checksum.h"

#include <arpa/inet.h>
#include <string.h>

uint64_t ww_checksum_add(uint64_t sum, const uint8_t *bytes, size_t size)
{
    uint64_t second = 0, word;
    uint32_t half;
    uint16_t quarter = 0;

    for (; size >= 16; bytes += 16, size -= 16) {
        memcpy(&word, bytes, 8);
        sum += (word & UINT32_MAX) + (word >> 32);
        memcpy(&word, bytes + 8, 8);
        second += (word & UINT32_MAX) + (word >> 32);
    }
    for (; size >= 4; bytes += 4, size -= 4) {
        memcpy(&half, bytes, 4);
        sum += half;
    }
    if (size >= 2) {
        memcpy(&quarter, bytes, 2);
        sum += quarter;
        bytes += 2;
        size -= 2;
    }
    if (size == 1) { /* as if a zero followed */
        quarter = 0;
        memcpy(&quarter, bytes, 1);
        sum += quarter;
    }
    return sum + second;
}

uint16_t ww_checksum_fold(uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t)((sum & UINT16_MAX) + (sum >> 16));
}

uint64_t ww_checksum_add_number(uint64_t sum, uint32_t number)
{
    return sum + htonl(number);
}

uint64_t ww_checksum_pseudo(const uint8_t *packet, bool is_v4, uint8_t protocol)
{
    uint64_t sum = ww_checksum_add_number(0, protocol);

    return is_v4 ? ww_checksum_add(sum, packet + 12, 8) : ww_checksum_add(sum, packet + 8, 32);
}

void ww_checksum_store(uint8_t *field, uint16_t value)
{
    memcpy(field, &value, 2);
}

uint16_t ww_checksum_load(const uint8_t *field)
{
    uint16_t value;

    memcpy(&value, field, 2);
    return value;
}

void ww_checksum_ipv4(uint8_t *head, size_t size)
{
    ww_checksum_store(head + 10, 0);
    ww_checksum_store(head + 10, (uint16_t)~ww_checksum_fold(ww_checksum_add(0, head, size)));
}
