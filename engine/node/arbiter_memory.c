/* What the arbiter's policies remember: a private fact of the ledger for each hook. A policy may
 * build its keys of whatever it is given, so it is sealed as contracts are, in no backup, and what
 * is over is gone with the epoch.
 */
#include <stdio.h>
#include <string.h>

#include "arbiter.h"

#define PREFIX "~memory/"

_Static_assert(WW_LEDGER_PRIVATE == '~', "PREFIX");

static void recall(void *arg, const char *key, const void *value, size_t value_size)
{
    struct arbiter *arbiter = arg;

    node_policies_recall(&arbiter->policies, key + strlen(PREFIX), value, value_size);
}

static int save(void *store, const char *hook, const void *bytes, size_t size)
{
    struct arbiter *arbiter = store;
    char key[WW_LEDGER_KEY_BYTES_MAX];

    snprintf(key, sizeof(key), PREFIX "%s", hook);
    int rc = ww_ledger_put(arbiter->ledger, key, size > 0 ? bytes : NULL, size);
    return rc ? rc : arbiter_commit(arbiter, NULL, NULL);
}

void arbiter_memory_open(struct arbiter *arbiter)
{
    ww_ledger_each_fact(arbiter->ledger, PREFIX, recall, arbiter);
    node_policies_store(&arbiter->policies, save, arbiter);
}
