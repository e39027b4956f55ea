/* Signatures of the parties: a keyed checksum, or (one seed of fifty) ECDSA as in ww/crypto.h. */
#include <string.h>

#include "world.h"

void sign_open(struct world *world)
{
    for (size_t i = 0; i < world->party_count; i++) {
        struct party *party = &world->parties[i];
        uint8_t spki[WW_PUBLIC_KEY_SIZE];

        party->secret = ww_prng_next(&world->prng);
        if (!world->is_real_crypto)
            continue;
        CHECK(world, ww_key_generate(&party->key) == 0, "no key");
        ww_key_public(party->key, spki);
        CHECK(world, ww_public_key_parse(spki, sizeof(spki), &party->public_key) == 0, "no key");
    }
}

void sign_close(struct world *world)
{
    for (size_t i = 0; i < world->party_count; i++) {
        ww_key_destroy(world->parties[i].key);
        ww_public_key_destroy(world->parties[i].public_key);
    }
}

static void checksum(const struct party *party, const char *context, const uint8_t *bytes,
                     size_t size, uint8_t signature[WW_SIGNATURE_BYTES])
{
    uint64_t sum = party->secret;

    for (; *context; context++)
        sum = (sum ^ (uint8_t)*context) * 1099511628211u;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * 1099511628211u;
    for (size_t i = 0; i < WW_SIGNATURE_BYTES; i++)
        signature[i] = (uint8_t)(sum >> (i % 8 * 8));
}

void sign_bytes(const struct party *party, const char *context, const uint8_t *bytes, size_t size,
                uint8_t signature[WW_SIGNATURE_BYTES])
{
    if (!party->key)
        checksum(party, context, bytes, size, signature);
    else
        WW_REQUIRE(ww_sign(party->key, context, bytes, size, signature) == 0);
}

bool sign_is_good(const struct party *party, const char *context, const uint8_t *bytes, size_t size,
                  const uint8_t signature[WW_SIGNATURE_BYTES])
{
    uint8_t right[WW_SIGNATURE_BYTES];

    if (party->key)
        return ww_verify(party->public_key, context, bytes, size, signature) == 0;
    checksum(party, context, bytes, size, right);
    return memcmp(right, signature, sizeof(right)) == 0;
}
