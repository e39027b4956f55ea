/* What the policies of a client or provider remember, in its state: 'M' and the hook's name, as
 * ww_policy_memory_encode has it.
 */
#include <string.h>

#include "edge.h"

#define KIND 'M'

static int recall(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                  size_t value_size)
{
    struct edge *edge = arg;
    char hook[64];

    if (key_size > sizeof(hook))
        return 0;
    memcpy(hook, key + 1, key_size - 1);
    hook[key_size - 1] = '\0';
    node_policies_recall(&edge->policies, hook, value, value_size);
    return 0;
}

static void saved(void *arg, int rc)
{
    (void)arg;
    if (rc)
        ww_log(WW_LOG_ERROR, "node", "what a policy remembers could not be stored", "code=%s",
               ww_error_name(rc));
}

static int save(void *store, const char *hook, const void *bytes, size_t size)
{
    struct edge *edge = store;
    struct ww_store_batch *batch = NULL;
    size_t hook_size = strlen(hook);
    char key[64] = {KIND};

    WW_REQUIRE(hook_size < sizeof(key));
    memcpy(key + 1, hook, hook_size);
    int rc = ww_store_batch_create(&batch);
    if (rc)
        return rc;
    if (size > 0)
        ww_store_batch_put(batch, key, 1 + hook_size, bytes, size);
    else
        ww_store_batch_delete(batch, key, 1 + hook_size);
    return ww_committer_submit(edge->committer, batch, saved, edge);
}

int edge_memory_open(struct edge *edge)
{
    static const char prefix[] = {KIND};
    int rc = ww_store_scan(edge->store, prefix, sizeof(prefix), recall, edge);

    if (!rc)
        node_policies_store(&edge->policies, save, edge);
    return rc;
}
