/* What the ledger reads from its store: items of a journal record, whole records, and snapshot
 * objects. What decodes must encode to the same bytes again. The first byte chooses; where a
 * seal or a digest guards the content, it is made right first, or nothing would get past it. */
#include <stdlib.h>
#include <string.h>

#include "../../engine/ledger/image.h"
#include "ww/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two with the same key: what was read is borrowed from the reader. */
static struct ww_epochs epochs, reader;

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void read_items(struct ww_cursor items)
{
    struct ww_buf again;

    ww_buf_init(&again, 1 << 20);
    while (items.size > 0) {
        const uint8_t *start = items.data;
        struct ww_ledger_item item;

        if (ww_ledger_item_get(&items, &item))
            break;
        ww_buf_clear(&again);
        ww_ledger_item_put(&again, &item);
        check(!again.error && again.size == (size_t)(items.data - start));
        check(memcmp(again.data, start, again.size) == 0);
    }
    ww_buf_deinit(&again);
}

/* The input is the items; the record around them is made, read back, and read as it came. */
static void read_record(const uint8_t *data, size_t size)
{
    struct ww_ledger_digest written = {{1}}, read = {{1}}, raw = {{1}};
    struct ww_journal_head head = {.sequence = 7, .uptime_ms = 8, .horizon_ms = 9}, got;
    struct ww_cursor items;
    struct ww_buf buf, value;

    if (ww_journal_open(&reader, data, size, &raw, &got, &items) == 0)
        read_items(items);
    ww_buf_init(&buf, 1 << 20);
    ww_buf_init(&value, 1 << 20);
    ww_journal_begin(&buf);
    ww_buf_put(&buf, data, size);
    check(ww_journal_seal(&epochs, &buf, &head, &written) == 0);
    ww_buf_put(&value, epochs.sealed.data, epochs.sealed.size);
    check(ww_journal_open(&reader, value.data, value.size, &read, &got, &items) == 0);
    check(memcmp(&written, &read, sizeof(read)) == 0 && memcmp(&head, &got, sizeof(got)) == 0);
    check(items.size == size);
    read_items(items);
    ww_buf_deinit(&buf);
    ww_buf_deinit(&value);
}

/* A sealed value has a nonce of its own each time: what was sealed is compared instead. */
static void check_stored_again(const struct ww_object *object, const struct ww_buf *payload,
                               const struct ww_buf *value)
{
    struct ww_store_batch *batch;
    const struct ww_buf *again = ww_object_sealed(object->kind) ? &epochs.plain : &epochs.sealed;
    const struct ww_buf *before = ww_object_sealed(object->kind) ? payload : value;

    check(ww_store_batch_create(&batch) == 0);
    check(ww_object_store(batch, &epochs, object) == 0);
    check(again->size == before->size && !memcmp(again->data, before->data, again->size));
    ww_store_batch_destroy(batch);
}

/* A byte for the size of the key, the key, then the payload. */
static void read_object(const uint8_t *data, size_t size)
{
    uint8_t key[WW_OBJECT_KEY_MAX];
    struct ww_object object;
    struct ww_buf value, payload;
    size_t key_size = size > 0 ? data[0] : 0;
    bool sealed;

    if (size < 1 + key_size)
        return;
    ww_object_load(&reader, data + 1, key_size, data + 1 + key_size, size - 1 - key_size, &object);
    if (key_size == 0 || key_size > WW_OBJECT_KEY_MAX)
        return;
    ww_buf_init(&value, 1 << 20);
    ww_buf_init(&payload, 1 << 20);
    ww_buf_put(&payload, data + 1 + key_size, size - 1 - key_size);
    sealed = ww_object_sealed((enum ww_object_kind)data[1]);
    if (sealed) {
        ww_buf_clear(&epochs.plain);
        ww_buf_put(&epochs.plain, payload.data, payload.size);
        check(ww_object_seal(&epochs, data + 1, key_size) == 0);
        ww_buf_put(&value, epochs.sealed.data, epochs.sealed.size);
    } else {
        ww_object_begin(&value);
        ww_buf_put(&value, payload.data, payload.size);
        check(ww_object_end(&value, data + 1, key_size) == 0);
    }
    if (ww_object_load(&reader, data + 1, key_size, value.data, value.size, &object) == 0 &&
        object.kind != WW_OBJECT_FOREIGN) {
        check(ww_object_key(&object, key) == key_size && !memcmp(key, data + 1, key_size));
        if (object.kind != WW_OBJECT_JOURNAL)
            check_stored_again(&object, &payload, &value);
    }
    ww_buf_deinit(&value);
    ww_buf_deinit(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_cursor items;

    if (size == 0 || size > 1 << 16)
        return 0;
    if (epochs.current.id == 0) {
        ww_epochs_init(&epochs);
        ww_epochs_turn(&epochs);
        ww_epochs_init(&reader);
        reader.current = epochs.current;
    }
    ww_cursor_init(&items, data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        read_items(items);
        break;
    case 1:
        read_record(data + 1, size - 1);
        break;
    default:
        read_object(data + 1, size - 1);
        break;
    }
    return 0;
}
