/* Randomness from the kernel, and a seeded generator for tests and simulation. Secrets come from
 * ww_random_* only; ww_prng is predictable by design. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "ww/base.h"

void ww_random_bytes(void *out, size_t size)
{
    uint8_t *next = out;

    while (size) {
        ssize_t got = getrandom(next, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        WW_REQUIRE(got > 0);
        next += got;
        size -= (size_t)got;
    }
}

uint64_t ww_random_below(uint64_t bound)
{
    uint64_t value;
    uint64_t unfair;

    WW_REQUIRE(bound > 0);
    /* Values below 2^64 mod bound would make small results likelier: draw again. */
    unfair = (0 - bound) % bound;
    do {
        ww_random_bytes(&value, sizeof(value));
    } while (value < unfair);
    return value % bound;
}

/* splitmix64, which the authors of xoshiro recommend for seeding it. */
static uint64_t split_mix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void ww_prng_seed(struct ww_prng *prng, uint64_t seed)
{
    for (size_t i = 0; i < WW_ARRAY_COUNT(prng->state); i++)
        prng->state[i] = split_mix(&seed);
}

/* xoshiro256** 1.0, Blackman and Vigna. */
uint64_t ww_prng_next(struct ww_prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

void ww_prng_fill(struct ww_prng *prng, void *out, size_t size)
{
    uint8_t *next = out;

    while (size) {
        uint64_t word = ww_prng_next(prng);
        size_t part = WW_MIN(size, sizeof(word));

        memcpy(next, &word, part);
        next += part;
        size -= part;
    }
}
