/* A backup as it is read at a restore: the input with a right hash at its end, or nothing would get
 * past it, and as it came. What is taken in adds up, or is refused. */
#include <stdlib.h>
#include <string.h>

#include "../../engine/ledger/backup.h"
#include "ww/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *data, size_t size)
{
    struct ww_ledger *ledger = ww_ledger_at_rest();
    struct ww_ledger_backup backup = {0};
    struct ww_ledger_report report;
    int rc;

    if (!ledger)
        abort();
    rc = ww_backup_decode(data, size, ledger, &backup);
    if (!rc) {
        ww_backup_held(ledger->books, &backup);
        ww_ledger_check(ledger, &report);
    } else if (rc != WW_EUNSUPPORTED && !backup.why[0]) {
        abort();
    }
    ww_ledger_close(ledger);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_hash hash;
    uint8_t *whole;

    if (size > 1 << 16)
        return 0;
    decode(data, size);
    whole = malloc(WW_BACKUP_MAGIC_SIZE + size + sizeof(hash.bytes));
    if (!whole)
        return 0;
    memcpy(whole, WW_BACKUP_MAGIC, WW_BACKUP_MAGIC_SIZE);
    if (size > 0)
        memcpy(whole + WW_BACKUP_MAGIC_SIZE, data, size);
    ww_sha256(whole, WW_BACKUP_MAGIC_SIZE + size, &hash);
    memcpy(whole + WW_BACKUP_MAGIC_SIZE + size, hash.bytes, sizeof(hash.bytes));
    decode(whole, WW_BACKUP_MAGIC_SIZE + size + sizeof(hash.bytes));
    free(whole);
    return 0;
}
