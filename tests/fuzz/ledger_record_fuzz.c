/* What the ledger reads from its store: items of a journal record, whole records, and snapshot
 * objects. What decodes must encode to the same bytes again. The first byte chooses; where a
 * digest guards the content, it is made right first, or nothing would get past it. */
#include <stdlib.h>
#include <string.h>

#include "../../engine/ledger/image.h"
#include "ww/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    struct ww_buf buf;

    /* A fuzzer that watches comparisons finds a fitting digest. */
    if (ww_journal_open(data, size, &raw, &got, &items) == 0)
        read_items(items);
    ww_buf_init(&buf, 1 << 20);
    ww_journal_begin(&buf);
    ww_buf_put(&buf, data, size);
    check(ww_journal_end(&buf, &head, &written) == 0);
    check(ww_journal_open(buf.data, buf.size, &read, &got, &items) == 0);
    check(memcmp(&written, &read, sizeof(read)) == 0 && memcmp(&head, &got, sizeof(got)) == 0);
    check(items.size == size);
    read_items(items);
    ww_buf_deinit(&buf);
}

/* A byte for the size of the key, the key, then the value without version and digest. */
static void read_object(const uint8_t *data, size_t size)
{
    uint8_t key[WW_OBJECT_KEY_MAX];
    struct ww_object object;
    struct ww_store_batch *batch;
    struct ww_buf value, again;
    size_t key_size = size > 0 ? data[0] : 0;

    if (size < 1 + key_size)
        return;
    ww_object_load(data + 1, key_size, data + 1 + key_size, size - 1 - key_size, &object);
    if (key_size > WW_OBJECT_KEY_MAX)
        return;
    ww_buf_init(&value, 1 << 20);
    ww_buf_init(&again, 1 << 20);
    ww_object_begin(&value);
    ww_buf_put(&value, data + 1 + key_size, size - 1 - key_size);
    check(ww_object_end(&value, data + 1, key_size) == 0);
    if (ww_object_load(data + 1, key_size, value.data, value.size, &object) == 0 &&
        object.kind != WW_OBJECT_FOREIGN) {
        check(ww_object_key(&object, key) == key_size && !memcmp(key, data + 1, key_size));
        if (object.kind != WW_OBJECT_JOURNAL) {
            check(ww_store_batch_create(&batch) == 0);
            check(ww_object_store(batch, &again, &object) == 0);
            check(again.size == value.size && !memcmp(again.data, value.data, value.size));
            ww_store_batch_destroy(batch);
        }
    }
    ww_buf_deinit(&value);
    ww_buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_cursor items;

    if (size == 0 || size > 1 << 16)
        return 0;
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
