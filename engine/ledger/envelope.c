/* Versions, seals and digests of stored values. Relies on crypto's AES-256-GCM and SHA-256;
 * nothing else of the ledger knows how a value is protected. Must never look into the items or the
 * objects. */
#include "envelope.h"

#include <string.h>

#include "ww/crypto.h"

#define VERSION_CLEAR  1
#define VERSION_SEALED 2
/* version(1) epoch(8) */
#define SEALED_HEAD_SIZE 9
/* … sequence(8) */
#define RECORD_HEAD_SIZE (SEALED_HEAD_SIZE + 8)
_Static_assert(WW_JOURNAL_OVERHEAD == RECORD_HEAD_SIZE + WW_JOURNAL_HEAD_SIZE + WW_SEAL_OVERHEAD,
               "the header says what sealing adds");

static void store_u64(uint8_t *out, uint64_t value)
{
    for (size_t index = 0; index < 8; index++)
        out[index] = (uint8_t)(value >> (56 - 8 * index));
}

static uint64_t load_u64(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (size_t index = 0; index < 8; index++)
        value = value << 8 | bytes[index];
    return value;
}

int ww_ledger_hash(const void *first, size_t first_size, const void *second, size_t second_size,
                   struct ww_hash *out)
{
    struct ww_sha256_stream *stream;
    int rc = ww_sha256_begin(&stream);

    if (rc)
        return rc;
    ww_sha256_add(stream, first, first_size);
    ww_sha256_add(stream, second, second_size);
    ww_sha256_end(stream, out);
    return 0;
}

uint64_t ww_sealed_epoch(const uint8_t *value, size_t size)
{
    return size < SEALED_HEAD_SIZE ? 0 : load_u64(value + 1);
}

/* --- sealing -------------------------------------------------------------------------------- */

/* What a value is bound to: its head, then where it is. */
struct binding {
    uint8_t bytes[RECORD_HEAD_SIZE + WW_OBJECT_KEY_MAX];
    size_t size;
};

static void bind(struct binding *binding, const uint8_t *head, size_t head_size,
                 const uint8_t *place, size_t place_size)
{
    WW_REQUIRE(head_size + place_size <= sizeof(binding->bytes));
    memcpy(binding->bytes, head, head_size);
    memcpy(binding->bytes + head_size, place, place_size);
    binding->size = head_size + place_size;
}

/* epochs->sealed becomes the head and what `plain` is sealed to. */
static int seal(struct ww_epochs *epochs, const uint8_t *head, size_t head_size,
                const struct binding *binding, const struct ww_buf *plain)
{
    struct ww_buf *sealed = &epochs->sealed;
    uint8_t *space;
    int rc;

    WW_REQUIRE(epochs->current.id != 0);
    ww_buf_clear(sealed);
    space = ww_buf_reserve(sealed, head_size + plain->size + WW_SEAL_OVERHEAD);
    if (!space)
        return sealed->error;
    memcpy(space, head, head_size);
    rc = ww_seal(epochs->current.key, binding->bytes, binding->size, plain->data, plain->size,
                 space + head_size);
    if (!rc)
        sealed->size = head_size + plain->size + WW_SEAL_OVERHEAD;
    return rc;
}

/* Judges the head of a sealed value; *epoch is the one that it was sealed in. */
static int find_epoch(const struct ww_epochs *epochs, const uint8_t *value, size_t size,
                      size_t head_size, const struct ww_epoch **epoch)
{
    if (size > 0 && value[0] == VERSION_CLEAR)
        return WW_EUNSUPPORTED;
    if (size < head_size + WW_SEAL_OVERHEAD || value[0] != VERSION_SEALED)
        return WW_EMALFORMED;
    *epoch = ww_epochs_find(epochs, load_u64(value + 1));
    return *epoch ? 0 : WW_ENOTFOUND;
}

/* epochs->plain becomes what was sealed. */
static int unseal(struct ww_epochs *epochs, const struct ww_epoch *epoch,
                  const struct binding *binding, const uint8_t *body, size_t size)
{
    struct ww_buf *plain = &epochs->plain;
    uint8_t *space;
    int rc;

    ww_buf_clear(plain);
    space = ww_buf_reserve(plain, size); /* never empty: a place to point at */
    if (!space)
        return plain->error == WW_ETOOBIG ? WW_EMALFORMED : plain->error;
    rc = ww_unseal(epoch->key, binding->bytes, binding->size, body, size, space);
    if (!rc)
        plain->size = size - WW_SEAL_OVERHEAD;
    return rc;
}

/* --- journal -------------------------------------------------------------------------------- */

void ww_journal_begin(struct ww_buf *buf)
{
    static const uint8_t empty[WW_JOURNAL_HEAD_SIZE];

    ww_buf_put(buf, empty, sizeof(empty));
}

int ww_journal_seal(struct ww_epochs *epochs, struct ww_buf *buf,
                    const struct ww_journal_head *head, struct ww_ledger_digest *chain)
{
    uint8_t record_head[RECORD_HEAD_SIZE] = {VERSION_SEALED};
    struct binding binding;
    int rc;

    if (buf->error)
        return buf->error;
    WW_REQUIRE(buf->size >= WW_JOURNAL_HEAD_SIZE);
    store_u64(buf->data, head->uptime_ms);
    store_u64(buf->data + 8, head->horizon_ms);
    store_u64(record_head + 1, epochs->current.id);
    store_u64(record_head + SEALED_HEAD_SIZE, head->sequence);
    bind(&binding, record_head, sizeof(record_head), chain->bytes, sizeof(chain->bytes));
    rc = seal(epochs, record_head, sizeof(record_head), &binding, buf);
    if (!rc)
        memcpy(chain->bytes, epochs->sealed.data + epochs->sealed.size - WW_DIGEST_SIZE,
               sizeof(chain->bytes));
    return rc;
}

int ww_journal_open(struct ww_epochs *epochs, const uint8_t *value, size_t size,
                    struct ww_ledger_digest *chain, struct ww_journal_head *head,
                    struct ww_cursor *items)
{
    const struct ww_epoch *epoch = NULL;
    struct binding binding;
    int rc = find_epoch(epochs, value, size, RECORD_HEAD_SIZE + WW_JOURNAL_HEAD_SIZE, &epoch);

    if (rc)
        return rc;
    bind(&binding, value, RECORD_HEAD_SIZE, chain->bytes, sizeof(chain->bytes));
    rc = unseal(epochs, epoch, &binding, value + RECORD_HEAD_SIZE, size - RECORD_HEAD_SIZE);
    if (rc)
        return rc;
    memcpy(chain->bytes, value + size - WW_DIGEST_SIZE, sizeof(chain->bytes));
    ww_cursor_init(items, epochs->plain.data, epochs->plain.size);
    head->sequence = load_u64(value + SEALED_HEAD_SIZE);
    head->uptime_ms = ww_cursor_u64(items);
    head->horizon_ms = ww_cursor_u64(items);
    return 0;
}

/* --- snapshot objects, sealed --------------------------------------------------------------- */

int ww_object_seal(struct ww_epochs *epochs, const uint8_t *key, size_t key_size)
{
    uint8_t head[SEALED_HEAD_SIZE] = {VERSION_SEALED};
    struct binding binding;

    if (epochs->plain.error)
        return epochs->plain.error;
    store_u64(head + 1, epochs->current.id);
    bind(&binding, head, sizeof(head), key, key_size);
    return seal(epochs, head, sizeof(head), &binding, &epochs->plain);
}

int ww_object_unseal(struct ww_epochs *epochs, const uint8_t *key, size_t key_size,
                     const uint8_t *value, size_t size)
{
    const struct ww_epoch *epoch = NULL;
    struct binding binding;
    int rc = find_epoch(epochs, value, size, SEALED_HEAD_SIZE, &epoch);

    if (rc)
        return rc;
    bind(&binding, value, SEALED_HEAD_SIZE, key, key_size);
    return unseal(epochs, epoch, &binding, value + SEALED_HEAD_SIZE, size - SEALED_HEAD_SIZE);
}

/* --- snapshot objects, in clear ------------------------------------------------------------- */

/* SHA-256(key || SHA-256(data)), cut: the data need not be copied behind the key. */
static int digest_of(const uint8_t *key, size_t key_size, const void *data, size_t size,
                     struct ww_ledger_digest *out)
{
    struct ww_hash hash;
    int rc = ww_ledger_hash(data, size, "", 0, &hash);

    if (!rc)
        rc = ww_ledger_hash(key, key_size, hash.bytes, sizeof(hash.bytes), &hash);
    if (!rc)
        memcpy(out->bytes, hash.bytes, sizeof(out->bytes));
    return rc;
}

void ww_object_begin(struct ww_buf *buf)
{
    ww_buf_put_u8(buf, VERSION_CLEAR);
}

int ww_object_end(struct ww_buf *buf, const uint8_t *key, size_t key_size)
{
    struct ww_ledger_digest digest;

    int rc = buf->error;

    if (!rc)
        rc = digest_of(key, key_size, buf->data, buf->size, &digest);
    if (rc)
        return rc;
    ww_buf_put(buf, digest.bytes, sizeof(digest.bytes));
    return buf->error;
}

int ww_object_open(const uint8_t *key, size_t key_size, const uint8_t *value, size_t size,
                   struct ww_cursor *payload)
{
    struct ww_ledger_digest digest;
    int rc;

    if (key_size > WW_OBJECT_KEY_MAX || size < 1 + WW_DIGEST_SIZE || value[0] != VERSION_CLEAR)
        return WW_EMALFORMED;
    size -= WW_DIGEST_SIZE;
    rc = digest_of(key, key_size, value, size, &digest);
    if (rc)
        return rc;
    if (memcmp(digest.bytes, value + size, sizeof(digest.bytes)) != 0)
        return WW_ECORRUPT;
    ww_cursor_init(payload, value + 1, size - 1);
    return 0;
}
