/* Ids and hashes. Relies on random.c for an id's random part; an id must never be guessable from
 * another one, so no counter goes into it. */
#include <string.h>

#include "ww/id.h"

#define WALL_BYTES 6 /* 48 bits of milliseconds, as in UUIDv7 (RFC 9562 section 5.7) */

struct ww_id ww_id_make(uint64_t wall_ms)
{
    struct ww_id id;

    for (int i = 0; i < WALL_BYTES; i++)
        id.bytes[i] = (uint8_t)(wall_ms >> (8 * (WALL_BYTES - 1 - i)));
    ww_random_bytes(id.bytes + WALL_BYTES, sizeof(id.bytes) - WALL_BYTES);
    return id;
}

uint64_t ww_id_wall_ms(const struct ww_id *id)
{
    uint64_t wall_ms = 0;

    for (int i = 0; i < WALL_BYTES; i++)
        wall_ms = (wall_ms << 8) | id->bytes[i];
    return wall_ms;
}

bool ww_id_equal(const struct ww_id *a, const struct ww_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ww_hash_equal(const struct ww_hash *a, const struct ww_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ww_hash_is_zero(const struct ww_hash *a)
{
    static const struct ww_hash zero;

    return ww_hash_equal(a, &zero);
}

const char *ww_id_format(const struct ww_id *id, char *out)
{
    return ww_hex_format(id->bytes, sizeof(id->bytes), out);
}

const char *ww_hash_format(const struct ww_hash *hash, char *out)
{
    return ww_base32_format(hash->bytes, sizeof(hash->bytes), out);
}

int ww_id_parse(const char *text, struct ww_id *out)
{
    return ww_hex_parse(text, out->bytes, sizeof(out->bytes));
}

int ww_hash_parse(const char *text, struct ww_hash *out)
{
    return ww_base32_parse(text, out->bytes, sizeof(out->bytes));
}
