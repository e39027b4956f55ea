/* The memory of a node's policies: see policy_memory.h. Relies on `save` for where it is kept. */
#include "policy_memory.h"

#include <string.h>

#include "ww/buf.h"

#define SAVE_US 1000000 /* how long what was remembered may be lost by a crash */

static struct ww_policy_memory *memory_of(struct node_policies *policies)
{
    return policies->live ? ww_policy_live_memory(policies->live) : NULL;
}

static void save(struct node_policies *policies, enum ww_hook hook)
{
    struct ww_policy_memory *memory = memory_of(policies);
    const struct ww_policy_memory_entry *entries;
    uint8_t bytes[WW_POLICY_MEMORY_BYTES_MAX];
    struct ww_buf out = {.data = bytes, .capacity = sizeof(bytes), .limit = sizeof(bytes)};
    int rc;

    if (ww_policy_memory_get(memory, hook, 0, &entries) > 0)
        ww_policy_memory_encode(memory, hook, &out);
    ww_policy_memory_stored(memory, hook, true);
    rc = policies->save(policies->store, ww_hook_name(hook), bytes, out.size);
    if (!rc)
        return;
    ww_policy_memory_stored(memory, hook, false); /* again in a second */
    ww_log(WW_LOG_WARN, "policy", "what a policy remembers can't be written", "hook=%s code=%s",
           ww_hook_name(hook), ww_error_name(rc));
}

void node_policies_save(struct node_policies *policies, uint64_t now_s)
{
    struct ww_policy_memory *memory = memory_of(policies);

    if (!memory || !policies->save)
        return;
    ww_policy_memory_sweep(memory, now_s);
    for (int hook = 0; hook < WW_HOOK_COUNT; hook++) {
        if (ww_policy_memory_changed(memory, (enum ww_hook)hook))
            save(policies, (enum ww_hook)hook);
    }
}

static void save_due(void *arg)
{
    struct node_policies *policies = arg;

    node_policies_save(policies, ww_clock_wall_ms() / 1000);
    ww_timer_start(policies->save_timer, SAVE_US);
}

int policy_memory_start(struct node_policies *policies, uint32_t without)
{
    struct ww_policy_memory *memory = NULL;
    int rc = ww_timer_create(policies->loop, save_due, policies, &policies->save_timer);

    if (!rc)
        rc = ww_policy_memory_create(without, &memory);
    if (rc)
        return rc;
    ww_policy_live_remember(policies->live, memory);
    return 0;
}

void node_policies_recall(struct node_policies *policies, const char *name, const void *bytes,
                          size_t size)
{
    enum ww_hook hook;
    int rc = ww_hook_parse(name, &hook);

    if (!rc)
        rc = ww_policy_memory_decode(memory_of(policies), hook, bytes, size);
    if (rc)
        ww_log(WW_LOG_WARN, "policy", "what a policy remembered can't be read, and is dropped",
               "hook=%s code=%s", WW_Q(name), ww_error_name(rc));
}

void node_policies_store(struct node_policies *policies, node_policies_save_fn fn, void *store)
{
    policies->save = fn;
    policies->store = store;
    ww_timer_start(policies->save_timer, SAVE_US);
}

void node_policies_unstore(struct node_policies *policies)
{
    node_policies_save(policies, ww_clock_wall_ms() / 1000);
    policies->save = NULL;
}

void policy_memory_stop(struct node_policies *policies)
{
    ww_timer_destroy(policies->save_timer);
    policies->save_timer = NULL;
    policies->save = NULL;
}

/* --- for the operator --------------------------------------------------------------------- */

/* An optional hook; -1 when there is none. */
static int read_hook(struct ww_call *call, int *hook)
{
    const char *name = NULL;
    enum ww_hook found;
    int rc = ww_call_text(call, "hook", &name, NULL);

    *hook = -1;
    if (rc)
        return rc == WW_ENOTFOUND ? 0 : rc;
    if (ww_hook_parse(name, &found)) {
        ww_call_reason(call, "there is no hook of that name");
        return WW_EINVAL;
    }
    *hook = (int)found;
    return 0;
}

static void put_entry(struct ww_call *call, int hook, const struct ww_policy_memory_entry *entry)
{
    ww_call_begin(call, NULL, false);
    ww_call_put_text(call, "hook", ww_hook_name((enum ww_hook)hook));
    ww_call_put_text(call, "key", entry->key);
    if (entry->value.is_text)
        ww_call_put_text(call, "value", entry->value.text);
    else
        ww_call_put_u64(call, "value", entry->value.number);
    ww_call_put_u64(call, "until_s", entry->until_s);
    ww_call_end(call);
}

int policy_memory(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    uint64_t now_s = ww_clock_wall_ms() / 1000;
    int wanted;
    int rc = read_hook(call, &wanted);

    if (rc)
        return rc;
    if (!memory_of(policies))
        return WW_ESHUTDOWN;
    ww_call_begin(call, "values", true);
    for (int hook = 0; hook < WW_HOOK_COUNT; hook++) {
        const struct ww_policy_memory_entry *entries;
        size_t count =
            ww_policy_memory_get(memory_of(policies), (enum ww_hook)hook, now_s, &entries);

        for (size_t index = 0; index < count && (wanted < 0 || wanted == hook); index++)
            put_entry(call, hook, &entries[index]);
    }
    ww_call_end(call);
    return 0;
}

/* A text that fits, behind which there are zeros. */
static int read_text(struct ww_call *call, const char *name, char *out, size_t out_size)
{
    const char *text = NULL;
    size_t size = 0;
    int rc = ww_call_text(call, name, &text, &size);

    if (rc)
        return rc;
    if (size >= out_size || memchr(text, 0, size)) {
        ww_call_reason(call, "%s has at most %zu bytes", name, out_size - 1);
        return WW_EINVAL;
    }
    memcpy(out, text, size);
    return 0;
}

static int read_write(struct ww_call *call, struct ww_hook_memory_write *write)
{
    int rc = read_text(call, "key", write->key, sizeof(write->key));

    if (!rc)
        rc = ww_call_u64(call, "seconds", &write->seconds);
    if (rc || write->seconds == 0)
        return rc;
    rc = read_text(call, "text", write->value.text, sizeof(write->value.text));
    write->value.is_text = !rc;
    return rc == WW_ENOTFOUND ? ww_call_u64(call, "number", &write->value.number) : rc;
}

int policy_memory_set(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct ww_hook_memory_write write = {.seconds = 0};
    int hook;
    int rc = read_hook(call, &hook);

    if (!rc && hook < 0)
        rc = WW_ENOTFOUND;
    if (!rc)
        rc = read_write(call, &write);
    if (rc)
        return rc;
    if (!memory_of(policies))
        return WW_ESHUTDOWN;
    rc = ww_policy_memory_set(memory_of(policies), (enum ww_hook)hook, &write,
                              ww_clock_wall_ms() / 1000);
    if (rc == WW_EINVAL)
        ww_call_reason(call,
                       "a key is plain text, a value plain text or a whole number, and kept "
                       "for %d seconds at most",
                       WW_POLICY_MEMORY_S_MAX);
    else if (rc == WW_EUNSUPPORTED)
        ww_call_reason(call, "this hook remembers nothing on this kind of node");
    return rc;
}
