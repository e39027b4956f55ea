/* Inside of the room: numbers in heads of our own, most significant byte first. */
#pragma once
#include "ww/base.h"

/* The lowest `size` bytes of the value, 1 to 8. */
static inline void number_put(uint8_t *out, uint64_t value, unsigned size)
{
    for (unsigned i = size; i > 0; i--, value >>= 8)
        out[i - 1] = (uint8_t)value;
}

static inline uint64_t number_get(const uint8_t *in, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value = value << 8 | in[i];
    return value;
}
