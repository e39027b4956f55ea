/* What belongs to a contract's case and has no room in its record: a declaration that came with a
 * close, and second closes that differ from the first, as they were signed.
 *
 * Facts "~case/<contract>/…", in pieces that a fact can hold, written in the batch of the close and
 * gone in the batch that ends the contract.
 */
#include <stdio.h>
#include <string.h>

#include "arbiter.h"

#define PREFIX     "~case/" /* sealed: it names a contract */
#define PIECES_MAX 2 /* of WW_LEDGER_VALUE_BYTES_MAX: a close has at most WW_CLOSE_BYTES_MAX */
_Static_assert(WW_CLOSE_BYTES_MAX <= PIECES_MAX * WW_LEDGER_VALUE_BYTES_MAX, "a close fits");

static const char *const seconds[] = {"client", "provider"};

static void key_of(const struct ww_id *id, const char *what, unsigned piece, char key[80])
{
    char text[WW_ID_TEXT_SIZE];

    snprintf(key, 80, PREFIX "%s/%s/%u", ww_id_format(id, text), what, piece);
}

/* Without room in the batch a part stays, until arbiter_case_sweep finds it. */
static void drop(struct arbiter *arbiter, const struct ww_id *id, const char *what)
{
    const void *value = NULL;
    size_t size = 0;
    char key[80];

    for (unsigned piece = 0; piece < PIECES_MAX; piece++) {
        key_of(id, what, piece, key);
        if (ww_ledger_get(arbiter->ledger, key, &value, &size) == 0)
            ww_ledger_put(arbiter->ledger, key, NULL, 0);
    }
}

static int put(struct arbiter *arbiter, const struct ww_id *id, const char *what,
               const uint8_t *bytes, size_t size)
{
    char key[80];
    int rc = 0;

    for (unsigned piece = 0; !rc && size > 0; piece++) {
        size_t count = WW_MIN(size, (size_t)WW_LEDGER_VALUE_BYTES_MAX);

        key_of(id, what, piece, key);
        rc = ww_ledger_put(arbiter->ledger, key, bytes, count);
        bytes += count;
        size -= count;
    }
    if (rc)
        drop(arbiter, id, what);
    return rc;
}

void arbiter_case_drop(struct arbiter *arbiter, const struct ww_id *id)
{
    drop(arbiter, id, "declaration");
    drop(arbiter, id, seconds[WW_CONTRACT_CLIENT]);
    drop(arbiter, id, seconds[WW_CONTRACT_PROVIDER]);
}

/* --- what was left ---------------------------------------------------------------------------- */

struct sweep {
    struct arbiter *arbiter;
    size_t count;
    char keys[64][80];
};

static void find_orphan(void *arg, const char *key, const void *value, size_t size)
{
    struct sweep *sweep = arg;
    char text[WW_ID_TEXT_SIZE] = "";
    struct ww_id id;

    (void)value, (void)size;
    memcpy(text, key + sizeof(PREFIX) - 1, strnlen(key + sizeof(PREFIX) - 1, sizeof(text) - 1));
    if (sweep->count < WW_ARRAY_COUNT(sweep->keys) &&
        (ww_id_parse(text, &id) || !arbiter_find(sweep->arbiter, &id)))
        snprintf(sweep->keys[sweep->count++], sizeof(sweep->keys[0]), "%s", key);
}

int arbiter_case_sweep(struct arbiter *arbiter)
{
    struct sweep sweep = {.arbiter = arbiter};
    int rc = 0;

    do {
        sweep.count = 0;
        ww_ledger_each_fact(arbiter->ledger, PREFIX, find_orphan, &sweep);
        for (size_t index = 0; !rc && index < sweep.count; index++)
            rc = ww_ledger_put(arbiter->ledger, sweep.keys[index], NULL, 0);
    } while (!rc && sweep.count > 0);
    return rc;
}

/* --- putting and getting ---------------------------------------------------------------------- */

int arbiter_case_put_declaration(struct arbiter *arbiter, const struct ww_close *record)
{
    return put(arbiter, &record->contract_id, "declaration", record->declaration,
               record->declaration_size);
}

int arbiter_case_declaration(const struct arbiter *arbiter, const struct ww_id *id,
                             uint8_t out[WW_DECLARATION_BYTES_MAX], size_t *size)
{
    const void *value = NULL;
    char key[80];

    key_of(id, "declaration", 0, key); /* it fits into one piece */
    int rc = ww_ledger_get(arbiter->ledger, key, &value, size);
    if (!rc && *size > WW_DECLARATION_BYTES_MAX)
        rc = WW_ECORRUPT;
    if (!rc)
        memcpy(out, value, *size);
    return rc;
}

int arbiter_case_put_second(struct arbiter *arbiter, const struct ww_id *id,
                            enum ww_contract_party party, const uint8_t *bytes, size_t size)
{
    return put(arbiter, id, seconds[party], bytes, size);
}

bool arbiter_case_has_second(const struct arbiter *arbiter, const struct ww_id *id,
                             enum ww_contract_party party)
{
    const void *value = NULL;
    size_t size = 0;
    char key[80];

    key_of(id, seconds[party], 0, key);
    return ww_ledger_get(arbiter->ledger, key, &value, &size) == 0;
}
