/* The memory of policies: small values by name, for each hook its own, that its results have told
 * to remember and that its later decisions see in ctx.memory. C keeps them, so decisions stay pure:
 * a policy is handed a copy, and says with its result what is to be kept.
 *
 * At most WW_POLICY_MEMORY_MAX values for a hook, each for WW_POLICY_MEMORY_S_MAX at most. When one
 * more comes, the one that would be forgotten first goes. Generations share it: another set
 * finds what the one before has remembered.
 *
 * One thread. No I/O: whoever stores it asks ww_policy_memory_changed, and encodes.
 */
#pragma once
#include "ww/policy.h"

struct ww_policy_memory;
struct ww_buf;

/* Hooks whose bits (1 << hook) are set in `without` remember nothing. WW_ENOMEM. */
int ww_policy_memory_create(uint32_t without, struct ww_policy_memory **memory);
/* NULL is fine. */
void ww_policy_memory_destroy(struct ww_policy_memory *memory);
/* What the hook has at `now_s`, in the order in which it came; what is over is dropped. Borrowed
 * until the next call. */
size_t ww_policy_memory_get(struct ww_policy_memory *memory, enum ww_hook hook, uint64_t now_s,
                            const struct ww_policy_memory_entry **entries);
/* Keeps the value until now_s + seconds, in the place of another of that name; 0 seconds forgets
 * it. WW_EINVAL (key, value or seconds out of bounds, or not plain text), WW_EUNSUPPORTED (the hook
 * remembers nothing), WW_ENOMEM. */
int ww_policy_memory_set(struct ww_policy_memory *memory, enum ww_hook hook,
                         const struct ww_hook_memory_write *write, uint64_t now_s);
/* Does what a result says; without memory for it, that is logged. */
void ww_policy_memory_apply(struct ww_policy_memory *memory, enum ww_hook hook, const void *result,
                            uint64_t now_s);
/* Drops what is over, of all hooks; and what a clock that was set back would keep for longer than
 * WW_POLICY_MEMORY_S_MAX now ends then. To be called now and then. */
void ww_policy_memory_sweep(struct ww_policy_memory *memory, uint64_t now_s);

/* --- storing ------------------------------------------------------------------------------ */

/* The largest encoding of a hook's memory: fits into a fact of a ledger. */
#define WW_POLICY_MEMORY_BYTES_MAX                                                                 \
    (2 + WW_POLICY_MEMORY_MAX * (1 + (WW_HOOK_KEY_SIZE - 1) + 2 + (WW_HOOK_VALUE_SIZE - 1) + 8))

/* Whether it differs from what was stored last. */
bool ww_policy_memory_changed(const struct ww_policy_memory *memory, enum ww_hook hook);
/* It is stored, or on its way; false: it is not after all. */
void ww_policy_memory_stored(struct ww_policy_memory *memory, enum ww_hook hook, bool is_stored);
/* Appends the hook's memory: version 1(1), count(1), and for each: size of its key(1), key,
 * kind(1), number(8) or size of its text(1) and text, until_s(8). */
void ww_policy_memory_encode(const struct ww_policy_memory *memory, enum ww_hook hook,
                             struct ww_buf *out);
/* In the place of what the hook has. Nothing of it is believed: WW_EMALFORMED, WW_ENOMEM; nothing
 * has changed then. */
int ww_policy_memory_decode(struct ww_policy_memory *memory, enum ww_hook hook, const void *bytes,
                            size_t size);
