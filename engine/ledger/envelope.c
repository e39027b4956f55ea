/* Versions and digests of stored values. Relies on crypto's SHA-256 only; nothing else of the
 * ledger knows how a value is protected. Must never look into the items or the objects. */
#include "envelope.h"

#include <string.h>

#include "ww/crypto.h"

#define VERSION 1

/* SHA-256(salt || SHA-256(data)), cut: the data need not be copied behind the salt. */
static void digest_of(const void *salt, size_t salt_size, const void *data, size_t size,
                      struct ww_ledger_digest *out)
{
    uint8_t joined[WW_OBJECT_KEY_MAX + sizeof(struct ww_hash)];
    struct ww_hash hash;

    WW_REQUIRE(salt_size <= WW_OBJECT_KEY_MAX);
    ww_sha256(data, size, &hash);
    memcpy(joined, salt, salt_size);
    memcpy(joined + salt_size, hash.bytes, sizeof(hash.bytes));
    ww_sha256(joined, salt_size + sizeof(hash.bytes), &hash);
    memcpy(out->bytes, hash.bytes, sizeof(out->bytes));
}

static void store_u64(uint8_t *out, uint64_t value)
{
    for (size_t index = 0; index < 8; index++)
        out[index] = (uint8_t)(value >> (56 - 8 * index));
}

/* --- journal -------------------------------------------------------------------------------- */

void ww_journal_begin(struct ww_buf *buf)
{
    static const uint8_t empty[WW_JOURNAL_HEAD_SIZE];

    ww_buf_put(buf, empty, sizeof(empty));
}

int ww_journal_end(struct ww_buf *buf, const struct ww_journal_head *head,
                   struct ww_ledger_digest *chain)
{
    struct ww_ledger_digest digest;

    if (buf->error)
        return buf->error;
    WW_REQUIRE(buf->size >= WW_JOURNAL_HEAD_SIZE);
    buf->data[0] = VERSION;
    store_u64(buf->data + 1, head->sequence);
    store_u64(buf->data + 9, head->uptime_ms);
    store_u64(buf->data + 17, head->horizon_ms);
    digest_of(chain->bytes, sizeof(chain->bytes), buf->data, buf->size, &digest);
    ww_buf_put(buf, digest.bytes, sizeof(digest.bytes));
    if (buf->error)
        return buf->error;
    *chain = digest;
    return 0;
}

int ww_journal_open(const uint8_t *value, size_t size, struct ww_ledger_digest *chain,
                    struct ww_journal_head *head, struct ww_cursor *items)
{
    struct ww_ledger_digest digest;

    if (size < WW_JOURNAL_OVERHEAD || value[0] != VERSION)
        return WW_EMALFORMED;
    size -= WW_DIGEST_SIZE;
    digest_of(chain->bytes, sizeof(chain->bytes), value, size, &digest);
    if (memcmp(digest.bytes, value + size, sizeof(digest.bytes)) != 0)
        return WW_ECORRUPT;
    *chain = digest;
    ww_cursor_init(items, value, size);
    ww_cursor_u8(items);
    head->sequence = ww_cursor_u64(items);
    head->uptime_ms = ww_cursor_u64(items);
    head->horizon_ms = ww_cursor_u64(items);
    return 0;
}

/* --- snapshot objects ----------------------------------------------------------------------- */

void ww_object_begin(struct ww_buf *buf)
{
    ww_buf_put_u8(buf, VERSION);
}

int ww_object_end(struct ww_buf *buf, const uint8_t *key, size_t key_size)
{
    struct ww_ledger_digest digest;

    if (buf->error)
        return buf->error;
    digest_of(key, key_size, buf->data, buf->size, &digest);
    ww_buf_put(buf, digest.bytes, sizeof(digest.bytes));
    return buf->error;
}

int ww_object_open(const uint8_t *key, size_t key_size, const uint8_t *value, size_t size,
                   struct ww_cursor *payload)
{
    struct ww_ledger_digest digest;

    if (key_size > WW_OBJECT_KEY_MAX || size < 1 + WW_DIGEST_SIZE || value[0] != VERSION)
        return WW_EMALFORMED;
    size -= WW_DIGEST_SIZE;
    digest_of(key, key_size, value, size, &digest);
    if (memcmp(digest.bytes, value + size, sizeof(digest.bytes)) != 0)
        return WW_ECORRUPT;
    ww_cursor_init(payload, value + 1, size - 1);
    return 0;
}
