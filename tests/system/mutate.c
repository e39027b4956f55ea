/* Packets that are not as they should be: see mutate.h. No code of the program, which would hide
 * its own faults. */

#include "mutate.h"

#include <string.h>

#define WW_COUNT(array) (sizeof(array) / sizeof(array[0]))

uint64_t mutate_draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Special ones, neighbours, and one of the world. */
static void another_address(uint8_t *packet, size_t size, uint64_t *state)
{
    static const uint8_t v4[][4] = {{127, 0, 0, 1},       {10, 119, 0, 1}, {192, 0, 0, 1},
                                    {169, 254, 169, 254}, {224, 0, 0, 1},  {255, 255, 255, 255},
                                    {0, 0, 0, 0},         {11, 0, 2, 2},   {11, 0, 2, 1},
                                    {10, 119, 0, 3},      {8, 8, 8, 8}};
    static const uint8_t v6[][16] = {{[15] = 1},
                                     {0},
                                     {0xfe, 0x80, [15] = 1},
                                     {0xff, 0x02, [15] = 1},
                                     {0xfd, 0x77, 0x77, 0, 1, 0x19, [15] = 3},
                                     {[10] = 0xff, 0xff, 127, 0, 0, 1},
                                     {0x20, 0x02, 127, 0, 0, 1},
                                     {0x2a, 0, 0, 0x11, 0, 0, 0, 2, [15] = 2},
                                     {0, 0x64, 0xff, 0x9b, [12] = 10, 0, 0, 1}};
    size_t is_source = mutate_draw(state) % 2;

    if (packet[0] >> 4 == 6 && size >= 40)
        memcpy(packet + (is_source ? 8 : 24), v6[mutate_draw(state) % WW_COUNT(v6)], 16);
    else
        memcpy(packet + (is_source ? 12 : 16), v4[mutate_draw(state) % WW_COUNT(v4)], 4);
}

static void another_number(uint8_t *packet, size_t size, uint64_t *state)
{
    static const uint8_t odd[] = {0, 1, 4, 5, 15, 0x40, 0x45, 0x46, 0x4f, 0x60, 0x7f, 0x80, 0xff};
    /* Length, fragment's field, protocol, checksum; payload length, next header; and ports, the
     * length of UDP, the head's length of TCP and its flags behind either head. */
    static const uint8_t fields[] = {0,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 20, 22, 24,
                                     25, 26, 32, 33, 34, 40, 41, 42, 44, 45, 46, 52, 53, 56};
    size_t at = fields[mutate_draw(state) % WW_COUNT(fields)];

    if (at < size)
        packet[at] = odd[mutate_draw(state) % WW_COUNT(odd)];
}

/* The sum of an IPv4 head is right again, so that what is wrong gets further. */
static void mend_sum(uint8_t *packet, size_t size)
{
    size_t head = (packet[0] & 15U) * 4U;
    uint32_t sum = 0;

    if (packet[0] >> 4 != 4 || head < 20 || head > size)
        return;
    packet[10] = packet[11] = 0;
    for (size_t i = 0; i < head; i += 2)
        sum += (uint32_t)(packet[i] << 8 | packet[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    packet[10] = (uint8_t)(sum >> 8);
    packet[11] = (uint8_t)sum;
}

static void right_length(uint8_t *packet, size_t size)
{
    if (packet[0] >> 4 == 6 && size >= 40) {
        packet[4] = (uint8_t)((size - 40) >> 8);
        packet[5] = (uint8_t)(size - 40);
    } else {
        packet[2] = (uint8_t)(size >> 8);
        packet[3] = (uint8_t)size;
    }
}

size_t mutate(uint8_t *packet, size_t size, size_t room, uint64_t *state)
{
    for (uint64_t times = 1 + mutate_draw(state) % 4; times > 0; times--) {
        size_t new_size = size;

        switch (mutate_draw(state) % 8) {
        case 0:
            packet[mutate_draw(state) % size] ^= (uint8_t)(1U << mutate_draw(state) % 8);
            break;
        case 1:
            packet[mutate_draw(state) % (size < 64 ? size : 64)] ^=
                (uint8_t)(1U << mutate_draw(state) % 8);
            break;
        case 2:
            another_address(packet, size, state);
            break;
        case 3:
            new_size = 20 + mutate_draw(state) % (size - 19);
            break;
        case 4:
            new_size = size + mutate_draw(state) % (room - size + 1);
            for (size_t i = size; i < new_size; i++)
                packet[i] = (uint8_t)mutate_draw(state);
            break;
        default:
            another_number(packet, size, state);
        }
        size = new_size;
        if (mutate_draw(state) % 2)
            right_length(packet, size);
    }
    if (mutate_draw(state) % 16 == 0) {
        for (size_t i = mutate_draw(state) % 2; i < size; i++)
            packet[i] = (uint8_t)mutate_draw(state);
    }
    if (mutate_draw(state) % 4)
        mend_sum(packet, size);
    return size;
}
