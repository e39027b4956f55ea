/* Counters by rule: see uses.h. The rule that decided last is looked at first: most decisions of a
 * hook are made by one or two rules. */
#include "uses.h"

#include <stdio.h>
#include <string.h>

static bool is_at(const struct ww_policy_use *use, const struct ww_policy_report *report)
{
    return use->line == report->line && strcmp(use->file, report->file) == 0;
}

static struct ww_policy_use *find(struct ww_policy_uses *uses, enum ww_hook hook,
                                  const struct ww_policy_report *report)
{
    size_t last = uses->last[hook], index = 0;

    if (last > 0 && is_at(&uses->items[last - 1], report))
        return &uses->items[last - 1];
    while (index < uses->count &&
           (uses->items[index].hook != hook || !is_at(&uses->items[index], report)))
        index++;
    if (index == WW_POLICY_USES_MAX)
        return NULL;
    if (index == uses->count) {
        struct ww_policy_use *made = &uses->items[uses->count++];

        *made = (struct ww_policy_use){.hook = hook, .line = report->line};
        snprintf(made->file, sizeof(made->file), "%s", report->file);
    }
    uses->last[hook] = (uint8_t)(index + 1);
    return &uses->items[index];
}

bool ww_policy_uses_looks(const struct ww_policy_counters *counters)
{
    uint64_t calls = counters->calls;

    if (calls < WW_POLICY_USES_FIRST || counters->instructions <= calls * WW_POLICY_USES_LONG)
        return true;
    /* Not each 64th: what is asked in turns would be looked at in the same turn. */
    return calls * 0x9e3779b97f4a7c15ULL < UINT64_MAX / WW_POLICY_USES_EVERY;
}

void ww_policy_uses_add(struct ww_policy_uses *uses, enum ww_hook hook, uint64_t now_s,
                        const struct ww_policy_effect *effect,
                        const struct ww_policy_report *report)
{
    struct ww_policy_use *use = report->line ? find(uses, hook, report) : NULL;

    if (!use) {
        uses->beyond += report->line > 0;
        uses->unseen[hook].count++;
        uses->unseen[hook].last_s = now_s;
        return;
    }
    use->looks++;
    use->last_s = now_s;
    use->instructions += report->instructions;
    use->time_ns += report->time_ns;
    use->bytes += effect->bytes;
    ww_amount_add(use->nano_usd, effect->nano_usd, &use->nano_usd); /* 2^128 is never reached */
}
