/* A backup's bytes, for backup.c and restore.c. Layout: docs/internals/ledger.md. */
#pragma once
#include "internal.h"

#define WW_BACKUP_MAGIC      "wwbooks1"
#define WW_BACKUP_MAGIC_SIZE 8
/* Magic; time; sequence, up-time, horizon; tag; accounts, assets, facts, contracts. */
#define WW_BACKUP_HEAD_SIZE (WW_BACKUP_MAGIC_SIZE + 8 + 3 * 8 + WW_DIGEST_SIZE + 4 * 8)
#define WW_BACKUP_END_SIZE  (2 + 32) /* a key of no bytes, SHA-256 of all before */

/* Books that were read from a store or a backup, without a committer. */
struct ww_ledger *ww_ledger_at_rest(void); /* NULL without memory; ww_ledger_close */
/* backup->held gets the sums of escrow and dispute wallets. WW_EOVERFLOW. */
int ww_backup_held(const struct ww_books *books, struct ww_ledger_backup *backup);
/* Reads a whole backup into books that are empty. WW_EUNSUPPORTED, WW_ECORRUPT, WW_ENOMEM. */
int ww_backup_decode(const uint8_t *data, size_t size, struct ww_ledger *ledger,
                     struct ww_ledger_backup *backup);
