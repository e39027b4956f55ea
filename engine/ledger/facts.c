/* Facts: small durable pairs that commit with the money. Relies on ww_ledger_run. Must never give
 * a key or a value a meaning. */
#include "internal.h"

#include <string.h>

int ww_ledger_put(struct ww_ledger *ledger, const char *key, const void *value, size_t value_size)
{
    struct ww_ledger_item item = {.kind = value ? WW_ITEM_FACT : WW_ITEM_UNFACT};
    size_t key_size = strnlen(key, WW_LEDGER_KEY_BYTES_MAX + 1);
    int rc;

    if (key_size == 0 || key_size > WW_LEDGER_KEY_BYTES_MAX ||
        value_size > WW_LEDGER_VALUE_BYTES_MAX || (!value && value_size > 0))
        return WW_EINVAL;
    item.fact = (struct ww_ledger_fact){
        .key = key, .key_size = key_size, .value = value, .value_size = value_size};
    rc = ww_ledger_run(ledger, &item, 1);
    return !value && rc == WW_ENOTFOUND ? 0 : rc;
}

int ww_ledger_get(const struct ww_ledger *ledger, const char *key, const void **value,
                  size_t *value_size)
{
    const struct ww_fact *fact = ww_books_fact(ledger->books, key, strlen(key));

    if (!fact)
        return WW_ENOTFOUND;
    *value = fact->value;
    *value_size = fact->value_size;
    return 0;
}

void ww_ledger_each_fact(const struct ww_ledger *ledger, const char *prefix, ww_ledger_fact_fn fn,
                         void *arg)
{
    for (const struct ww_fact *fact = ww_books_list_facts(ledger->books, prefix); fact;
         fact = fact->listed)
        fn(arg, fact->key, fact->value, fact->value_size);
}
