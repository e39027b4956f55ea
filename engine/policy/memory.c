/* What the hooks were told to remember. See policy_memory.h.
 *
 * A hook's entries are made when it remembers something for the first time: most never do. Keys are
 * few, so they are looked for one by one.
 */
#include "ww/policy_memory.h"

#include <string.h>

#include "fields.h"
#include "marshal.h"
#include "ww/buf.h"

#define VERSION     1
#define KIND_NUMBER 0
#define KIND_TEXT   1

struct entries {
    struct ww_policy_memory_entry *items; /* WW_POLICY_MEMORY_MAX; NULL: none so far */
    size_t count;
    bool changed;
};

struct ww_policy_memory {
    uint32_t without;
    struct entries hooks[WW_HOOK_COUNT];
};

_Static_assert(WW_HOOK_COUNT <= 32, "without has a bit for each hook");
_Static_assert(WW_POLICY_MEMORY_BYTES_MAX <= WW_LEDGER_VALUE_BYTES_MAX,
               "a hook's memory is a fact");

int ww_policy_memory_create(uint32_t without, struct ww_policy_memory **memory)
{
    struct ww_policy_memory *made = ww_alloc(1, sizeof(*made));

    if (!made)
        return WW_ENOMEM;
    made->without = without;
    *memory = made;
    return 0;
}

void ww_policy_memory_destroy(struct ww_policy_memory *memory)
{
    if (!memory)
        return;
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++)
        ww_free(memory->hooks[hook].items);
    ww_free(memory);
}

static void drop(struct entries *entries, size_t index)
{
    entries->count--;
    memmove(&entries->items[index], &entries->items[index + 1],
            (entries->count - index) * sizeof(entries->items[0]));
    memset(&entries->items[entries->count], 0, sizeof(entries->items[0]));
    entries->changed = true;
}

static void drop_over(struct entries *entries, uint64_t now_s)
{
    for (size_t index = entries->count; index > 0; index--) {
        if (entries->items[index - 1].until_s <= now_s)
            drop(entries, index - 1);
    }
}

size_t ww_policy_memory_get(struct ww_policy_memory *memory, enum ww_hook hook, uint64_t now_s,
                            const struct ww_policy_memory_entry **entries)
{
    struct entries *of = &memory->hooks[hook];

    if (of->count > 0)
        drop_over(of, now_s);
    *entries = of->items;
    return of->count;
}

void ww_policy_memory_sweep(struct ww_policy_memory *memory, uint64_t now_s)
{
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++) {
        struct entries *entries = &memory->hooks[hook];

        drop_over(entries, now_s);
        for (size_t index = 0; index < entries->count; index++) {
            uint64_t *until_s = &entries->items[index].until_s;

            *until_s = WW_MIN(*until_s, now_s + WW_POLICY_MEMORY_S_MAX);
        }
    }
}

/* entries->count when there is none. */
static size_t find(const struct entries *entries, const char *key)
{
    size_t index = 0;

    while (index < entries->count && strcmp(entries->items[index].key, key) != 0)
        index++;
    return index;
}

/* The one that ends first; of equals the one that came first. */
static size_t find_soonest(const struct entries *entries)
{
    size_t soonest = 0;

    for (size_t index = 1; index < entries->count; index++) {
        if (entries->items[index].until_s < entries->items[soonest].until_s)
            soonest = index;
    }
    return soonest;
}

static bool is_good_text(const char *text, size_t size)
{
    size_t used = strnlen(text, size);

    return used < size && ww_policy_is_text(text, used);
}

static bool is_good(const char *key, const struct ww_hook_value *value)
{
    return key[0] && is_good_text(key, WW_HOOK_KEY_SIZE) &&
           (value->is_text ? is_good_text(value->text, sizeof(value->text))
                           : value->number <= WW_HOOK_NUMBER_MAX);
}

int ww_policy_memory_set(struct ww_policy_memory *memory, enum ww_hook hook,
                         const struct ww_hook_memory_write *write, uint64_t now_s)
{
    struct entries *entries = &memory->hooks[hook];
    struct ww_policy_memory_entry *entry;
    size_t index;

    if (!is_good(write->key, &write->value) || write->seconds > WW_POLICY_MEMORY_S_MAX)
        return WW_EINVAL;
    if (memory->without >> hook & 1)
        return WW_EUNSUPPORTED;
    index = find(entries, write->key);
    if (write->seconds == 0) {
        if (index < entries->count)
            drop(entries, index);
        return 0;
    }
    if (!entries->items)
        entries->items = ww_alloc(WW_POLICY_MEMORY_MAX, sizeof(entries->items[0]));
    if (!entries->items)
        return WW_ENOMEM;
    if (index == entries->count) {
        drop_over(entries, now_s);
        if (entries->count == WW_POLICY_MEMORY_MAX)
            drop(entries, find_soonest(entries));
        index = entries->count++;
    }
    entry = &entries->items[index];
    memset(entry, 0, sizeof(*entry));
    memcpy(entry->key, write->key, strlen(write->key));
    entry->value = write->value;
    entry->until_s = now_s + write->seconds;
    entries->changed = true;
    return 0;
}

void ww_policy_memory_apply(struct ww_policy_memory *memory, enum ww_hook hook, const void *result,
                            uint64_t now_s)
{
    uint32_t count;
    const struct ww_hook_memory_write *writes =
        ww_policy_remembered(ww_policy_hooks[hook].result(), result, &count);

    for (uint32_t index = 0; index < count; index++) {
        int rc = ww_policy_memory_set(memory, hook, &writes[index], now_s);

        if (rc && rc != WW_EUNSUPPORTED)
            ww_log(WW_LOG_WARN, "policy", "a value could not be remembered", "hook=%s code=%s",
                   ww_policy_hooks[hook].name, ww_error_name(rc));
    }
}

/* --- storing ------------------------------------------------------------------------------ */

bool ww_policy_memory_changed(const struct ww_policy_memory *memory, enum ww_hook hook)
{
    return memory->hooks[hook].changed;
}

void ww_policy_memory_stored(struct ww_policy_memory *memory, enum ww_hook hook, bool is_stored)
{
    memory->hooks[hook].changed = !is_stored;
}

static void encode_text(const char *text, struct ww_buf *out)
{
    ww_buf_put_u8(out, (uint8_t)strlen(text));
    ww_buf_put_text(out, text);
}

void ww_policy_memory_encode(const struct ww_policy_memory *memory, enum ww_hook hook,
                             struct ww_buf *out)
{
    const struct entries *entries = &memory->hooks[hook];

    ww_buf_put_u8(out, VERSION);
    ww_buf_put_u8(out, (uint8_t)entries->count);
    for (size_t index = 0; index < entries->count; index++) {
        const struct ww_policy_memory_entry *entry = &entries->items[index];

        encode_text(entry->key, out);
        ww_buf_put_u8(out, entry->value.is_text ? KIND_TEXT : KIND_NUMBER);
        if (entry->value.is_text)
            encode_text(entry->value.text, out);
        else
            ww_buf_put_u64(out, entry->value.number);
        ww_buf_put_u64(out, entry->until_s);
    }
}

static bool decode_text(struct ww_cursor *cursor, char *text, size_t size)
{
    uint8_t length = ww_cursor_u8(cursor);

    return length < size && ww_cursor_copy(cursor, text, length) && !memchr(text, 0, length);
}

static bool decode_entry(struct ww_cursor *cursor, struct ww_policy_memory_entry *entry)
{
    uint8_t kind;

    if (!decode_text(cursor, entry->key, sizeof(entry->key)))
        return false;
    kind = ww_cursor_u8(cursor);
    entry->value.is_text = kind == KIND_TEXT;
    if (kind > KIND_TEXT)
        return false;
    if (!entry->value.is_text)
        entry->value.number = ww_cursor_u64(cursor);
    else if (!decode_text(cursor, entry->value.text, sizeof(entry->value.text)))
        return false;
    entry->until_s = ww_cursor_u64(cursor);
    return is_good(entry->key, &entry->value);
}

int ww_policy_memory_decode(struct ww_policy_memory *memory, enum ww_hook hook, const void *bytes,
                            size_t size)
{
    struct entries made = {
        .items = ww_alloc(WW_POLICY_MEMORY_MAX, sizeof(struct ww_policy_memory_entry))};
    struct ww_cursor cursor;
    bool good;
    size_t count;

    if (!made.items)
        return WW_ENOMEM;
    ww_cursor_init(&cursor, bytes, size);
    good = ww_cursor_u8(&cursor) == VERSION;
    count = ww_cursor_u8(&cursor);
    good = good && count <= WW_POLICY_MEMORY_MAX;
    while (good && made.count < count) {
        struct ww_policy_memory_entry *entry = &made.items[made.count];

        good = decode_entry(&cursor, entry) && find(&made, entry->key) == made.count;
        made.count++;
    }
    if (!good || ww_cursor_end(&cursor)) {
        ww_free(made.items);
        return WW_EMALFORMED;
    }
    ww_free(memory->hooks[hook].items);
    memory->hooks[hook] = made;
    return 0;
}
