/* Counters by rule: see uses.h. The rule that decided last is looked at first: most decisions of a
 * hook are made by one or two rules. */
#include "uses.h"

static struct ww_policy_use *find(struct ww_policy_uses *uses, enum ww_hook hook, unsigned line)
{
    size_t last = uses->last[hook], index = 0;

    if (last > 0 && uses->items[last - 1].line == line)
        return &uses->items[last - 1];
    while (index < uses->count &&
           (uses->items[index].hook != hook || uses->items[index].line != line))
        index++;
    if (index == WW_POLICY_USES_MAX)
        return NULL;
    if (index == uses->count)
        uses->items[uses->count++] = (struct ww_policy_use){.hook = hook, .line = line};
    uses->last[hook] = (uint8_t)(index + 1);
    return &uses->items[index];
}

bool ww_policy_uses_looks(const struct ww_policy_counters *counters)
{
    uint64_t calls = counters->calls, every = WW_POLICY_USES_EVERY;

    /* A look costs some time for each line that is run: a long ranking's is a quarter of its own.
     */
    if (counters->instructions > calls * WW_POLICY_USES_LONG)
        every *= WW_POLICY_USES_EVERY;
    /* Not each eighth: what is asked in turns would be looked at in the same turn. */
    return calls < WW_POLICY_USES_FIRST || calls * 0x9e3779b97f4a7c15ULL < UINT64_MAX / every;
}

void ww_policy_uses_add(struct ww_policy_uses *uses, enum ww_hook hook, uint64_t now_s,
                        const struct ww_policy_effect *effect,
                        const struct ww_policy_report *report)
{
    struct ww_policy_use *use = find(uses, hook, report->line);

    if (!use) {
        uses->beyond++;
        return;
    }
    use->looks++;
    use->last_s = now_s;
    use->instructions += report->instructions;
    use->time_ns += report->time_ns;
    use->bytes += effect->bytes;
    ww_amount_add(use->nano_usd, effect->nano_usd, &use->nano_usd); /* 2^128 is never reached */
}
