/* See declared.h. A ring with chains through it: no allocation, no rehashing; a chain is as long as
 * the ring at worst. */
#include "declared.h"

#include <string.h>

#include "ww/crypto.h"

void declared_digest(const struct ww_dest *dest, uint8_t digest[DECLARED_DIGEST])
{
    uint8_t bytes[8 + sizeof(dest->address) + sizeof(dest->name)];
    struct ww_buf out = {.data = bytes, .capacity = sizeof(bytes), .limit = sizeof(bytes)};
    struct ww_hash hash;

    ww_buf_put_u8(&out, (uint8_t)dest->protocol);
    ww_buf_put_u8(&out, (uint8_t)dest->kind);
    ww_buf_put_u16(&out, dest->port);
    if (dest->kind == WW_DEST_NAME)
        ww_buf_put(&out, dest->name, strnlen(dest->name, sizeof(dest->name)));
    else
        ww_buf_put(&out, dest->address, dest->kind == WW_DEST_IPV4 ? 4 : 16);
    ww_sha256(bytes, out.size, &hash);
    memcpy(digest, hash.bytes, DECLARED_DIGEST);
}

static size_t head_of(const uint8_t digest[DECLARED_DIGEST])
{
    return (size_t)(digest[0] | digest[1] << 8) % WW_DECLARED_MAX;
}

bool declared_has(const struct declared *set, const uint8_t digest[DECLARED_DIGEST])
{
    for (uint16_t at = set->heads[head_of(digest)]; at; at = set->slots[at - 1].next) {
        if (memcmp(set->slots[at - 1].digest, digest, DECLARED_DIGEST) == 0)
            return true;
    }
    return false;
}

uint64_t declared_until(const struct declared *set, const uint8_t digest[DECLARED_DIGEST])
{
    for (uint16_t at = set->heads[head_of(digest)]; at; at = set->slots[at - 1].next) {
        uint64_t newest = set->count - 1;

        if (memcmp(set->slots[at - 1].digest, digest, DECLARED_DIGEST) == 0)
            return newest - (newest - (uint64_t)(at - 1)) % WW_DECLARED_MAX + WW_DECLARED_MAX;
    }
    return 0;
}

static void unlink_slot(struct declared *set, uint16_t name)
{
    uint16_t *at = &set->heads[head_of(set->slots[name - 1].digest)];

    while (*at != name)
        at = &set->slots[*at - 1].next;
    *at = set->slots[name - 1].next;
}

void declared_add(struct declared *set, const uint8_t digest[DECLARED_DIGEST])
{
    uint16_t name = (uint16_t)(set->count % WW_DECLARED_MAX + 1);
    struct declared_slot *slot = &set->slots[name - 1];
    uint16_t *head = &set->heads[head_of(digest)];

    if (declared_has(set, digest))
        return;
    if (set->count >= WW_DECLARED_MAX)
        unlink_slot(set, name);
    memcpy(slot->digest, digest, DECLARED_DIGEST);
    slot->next = *head;
    *head = name;
    set->count++;
}
