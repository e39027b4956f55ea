/* What the configuration tells policies: see policy_thresholds.h. */
#include "policy_thresholds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

struct policy_thresholds {
    struct policy_thresholds *before; /* that was in force earlier */
    size_t count;
    struct ww_policy_threshold items[WW_POLICY_THRESHOLDS_MAX]; /* names are in `names` */
    char names[WW_POLICY_THRESHOLDS_MAX][WW_POLICY_THRESHOLD_NAME_SIZE];
};

/* "name 5" */
static int read_one(const char *text, struct policy_thresholds *made)
{
    size_t size = strspn(text, NAME_LETTERS);
    struct ww_policy_threshold *item = &made->items[made->count];
    char *name = made->names[made->count];
    unsigned long long value;
    char *end = NULL;

    if (size == 0 || size >= WW_POLICY_THRESHOLD_NAME_SIZE || text[size] != ' ' ||
        text[size + 1] < '0' || text[size + 1] > '9')
        return WW_EINVAL;
    errno = 0;
    value = strtoull(text + size + 1, &end, 10);
    if (errno || *end || value > WW_HOOK_NUMBER_MAX)
        return WW_EINVAL;
    memcpy(name, text, size);
    for (size_t index = 0; index < made->count; index++) {
        if (strcmp(made->names[index], name) == 0)
            return WW_EINVAL;
    }
    item->name = name;
    item->value = value;
    made->count++;
    return 0;
}

static int read_all(struct ww_call *call, struct policy_thresholds *made)
{
    const char *text = NULL;
    int rc = 0;

    while (!rc && !(rc = ww_call_text_at(call, "thresholds", made->count, &text)))
        rc = made->count < WW_POLICY_THRESHOLDS_MAX ? read_one(text, made) : WW_EINVAL;
    if (rc == WW_ENOTFOUND)
        return 0;
    ww_call_reason(call, "thresholds are at most %d whole numbers by name, of a-z, 0-9 and _",
                   WW_POLICY_THRESHOLDS_MAX);
    return rc;
}

static bool is_same(const struct policy_thresholds *a, const struct policy_thresholds *b)
{
    bool same = a->count == b->count && memcmp(a->names, b->names, sizeof(a->names)) == 0;

    for (size_t index = 0; same && index < a->count; index++)
        same = a->items[index].value == b->items[index].value;
    return same;
}

/* One that was in force before is taken again, and comes first. */
static int put_in_force(struct node_policies *policies, struct policy_thresholds *made)
{
    struct policy_thresholds **at = &policies->thresholds;
    size_t kept = 0;

    for (; *at && !is_same(*at, made); at = &(*at)->before)
        kept++;
    if (!*at && kept >= WW_POLICY_THRESHOLD_TABLES_MAX) {
        ww_free(made);
        return WW_ELIMIT;
    }
    if (*at) {
        ww_free(made);
        made = *at;
        *at = made->before;
    }
    made->before = policies->thresholds;
    policies->thresholds = made;
    return 0;
}

int policy_thresholds(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct policy_thresholds *made = ww_alloc(1, sizeof(*made));
    int rc;

    if (!made)
        return WW_ENOMEM;
    rc = read_all(call, made);
    if (rc) {
        ww_free(made);
        return rc;
    }
    rc = put_in_force(policies, made);
    if (rc == WW_ELIMIT)
        ww_call_reason(call, "the thresholds were changed %d times since the node has started",
                       WW_POLICY_THRESHOLD_TABLES_MAX);
    return rc;
}

int policy_thresholds_shown(void *context, struct ww_call *call)
{
    const struct node_policies *policies = context;
    const struct policy_thresholds *shown = policies->thresholds;

    ww_call_begin(call, "thresholds", false);
    for (size_t index = 0; shown && index < shown->count; index++)
        ww_call_put_u64(call, shown->items[index].name, shown->items[index].value);
    ww_call_end(call);
    return 0;
}

void policy_thresholds_in_force(const struct node_policies *policies,
                                struct ww_policy_context *context)
{
    if (!policies->thresholds)
        return;
    context->thresholds = policies->thresholds->items;
    context->threshold_count = policies->thresholds->count;
}

void policy_thresholds_stop(struct node_policies *policies)
{
    while (policies->thresholds) {
        struct policy_thresholds *made = policies->thresholds;

        policies->thresholds = made->before;
        ww_free(made);
    }
}
