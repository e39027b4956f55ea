/* Any bytes as what a store has of a hook's memory, which the first byte chooses: they are refused,
 * and nothing has changed, or what is read is within its bounds, and is encoded to the same bytes.
 */
#include <string.h>

#include "ww/buf.h"
#include "ww/policy_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct ww_policy_memory_entry *entry)
{
    WW_REQUIRE(entry->key[0] && memchr(entry->key, 0, sizeof(entry->key)));
    WW_REQUIRE(entry->value.number <= WW_HOOK_NUMBER_MAX);
    WW_REQUIRE(memchr(entry->value.text, 0, sizeof(entry->value.text)));
    WW_REQUIRE(entry->value.is_text || !entry->value.text[0]);
}

static void encode(struct ww_policy_memory *memory, enum ww_hook hook, struct ww_buf *out)
{
    ww_buf_clear(out);
    ww_policy_memory_encode(memory, hook, out);
    WW_REQUIRE(!out->error);
}

/* What lives is kept by a sweep, and no name is there twice: set again, it takes its own place. */
static void use(struct ww_policy_memory *memory, enum ww_hook hook)
{
    struct ww_hook_memory_write write = {.seconds = 60};
    const struct ww_policy_memory_entry *entries;
    size_t count = ww_policy_memory_get(memory, hook, 0, &entries);

    WW_REQUIRE(count <= WW_POLICY_MEMORY_MAX);
    for (size_t index = 0; index < count; index++)
        check_entry(&entries[index]);
    if (count == 0)
        return;
    memcpy(write.key, entries[count - 1].key, sizeof(write.key));
    WW_REQUIRE(ww_policy_memory_set(memory, hook, &write, 0) == 0);
    WW_REQUIRE(ww_policy_memory_get(memory, hook, 0, &entries) == count);
    ww_policy_memory_sweep(memory, UINT64_MAX / 2);
    WW_REQUIRE(ww_policy_memory_get(memory, hook, UINT64_MAX / 2, &entries) <= count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[WW_POLICY_MEMORY_BYTES_MAX];
    struct ww_buf out = {.data = bytes, .capacity = sizeof(bytes), .limit = sizeof(bytes)};
    struct ww_policy_memory *memory = NULL;
    const struct ww_policy_memory_entry *entries;
    enum ww_hook hook;

    if (size < 1 || size > WW_POLICY_MEMORY_BYTES_MAX + 64)
        return 0;
    hook = (enum ww_hook)(data[0] % WW_HOOK_COUNT);
    if (ww_policy_memory_create(0, &memory))
        return 0;
    if (ww_policy_memory_decode(memory, hook, data + 1, size - 1)) {
        WW_REQUIRE(ww_policy_memory_get(memory, hook, 0, &entries) == 0);
    } else {
        encode(memory, hook, &out);
        WW_REQUIRE(out.size == size - 1 && memcmp(out.data, data + 1, out.size) == 0);
        WW_REQUIRE(!ww_policy_memory_changed(memory, hook));
        use(memory, hook);
    }
    ww_policy_memory_destroy(memory);
    return 0;
}
