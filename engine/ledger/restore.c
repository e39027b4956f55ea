/* Books from a backup, into an empty store. Relies on the hash at the file's end, and believes
 * nothing else in it: every object is decoded as one from a store, and the sums are checked. Must
 * never give a store a head before everything else is in it: without one it doesn't open. */
#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far below what one batch of the store may have. */
#define CHUNK_BYTES (4 << 20)

static int wrong(struct ww_ledger_backup *backup, const char *why)
{
    snprintf(backup->why, sizeof(backup->why), "%s", why);
    return WW_ECORRUPT;
}

/* --- decoding ------------------------------------------------------------------------------- */

struct reading {
    struct ww_ledger *ledger;
    struct ww_ledger_backup *backup;
    struct ww_object_counts found, said;
};

static void get_head(struct reading *reading, struct ww_cursor *cursor)
{
    struct ww_ledger *ledger = reading->ledger;

    ww_cursor_bytes(cursor, WW_BACKUP_MAGIC_SIZE);
    reading->backup->wall_ms = ww_cursor_u64(cursor);
    ledger->last.sequence = ww_cursor_u64(cursor);
    ledger->last.uptime_ms = ww_cursor_u64(cursor);
    ledger->last.horizon_ms = ww_cursor_u64(cursor);
    ww_cursor_copy(cursor, ledger->chain.bytes, sizeof(ledger->chain.bytes));
    reading->said.accounts = ww_cursor_u64(cursor);
    reading->said.assets = ww_cursor_u64(cursor);
    reading->said.facts = ww_cursor_u64(cursor);
    reading->said.contracts = ww_cursor_u64(cursor);
    ledger->horizon_ms = ledger->last.horizon_ms;
    reading->backup->batches = ledger->last.sequence;
    reading->backup->accounts = reading->said.accounts;
    reading->backup->facts = reading->said.facts;
    reading->backup->contracts = reading->said.contracts;
}

static int take(struct reading *reading, const uint8_t *key, size_t key_size, const uint8_t *value,
                size_t size)
{
    struct ww_ledger *ledger = reading->ledger;
    struct ww_object object;
    int rc = 0;

    /* Nothing of an epoch: there is no key here. */
    if (key[0] == WW_OBJECT_ACCOUNT)
        reading->found.accounts++;
    else if (key[0] == WW_OBJECT_ASSET)
        reading->found.assets++;
    else if (key[0] == WW_OBJECT_FACT)
        reading->found.facts++;
    else
        return wrong(reading->backup, "it has something that no backup has");
    rc = ww_object_load(&ledger->epochs, key, key_size, value, size, &object);
    if (!rc)
        rc = ww_books_load(ledger->books, &object);
    if (rc == WW_ENOMEM || !rc)
        return rc;
    return wrong(reading->backup, "one of its objects can't be taken in");
}

static int take_all(struct reading *reading, struct ww_cursor *cursor)
{
    int rc = 0;

    while (!rc) {
        size_t key_size = ww_cursor_u16(cursor), size;
        const uint8_t *key, *value;

        if (cursor->failed || key_size == 0)
            break;
        key = ww_cursor_bytes(cursor, key_size);
        size = ww_cursor_u32(cursor);
        value = ww_cursor_bytes(cursor, size);
        if (cursor->failed)
            break;
        rc = take(reading, key, key_size, value, size);
    }
    if (!rc && ww_cursor_end(cursor))
        rc = wrong(reading->backup, "it is malformed");
    return rc;
}

int ww_backup_decode(const uint8_t *data, size_t size, struct ww_ledger *ledger,
                     struct ww_ledger_backup *backup)
{
    struct reading reading = {.ledger = ledger, .backup = backup};
    struct ww_cursor cursor;
    struct ww_hash hash;
    int rc;

    if (size < WW_BACKUP_MAGIC_SIZE || memcmp(data, WW_BACKUP_MAGIC, WW_BACKUP_MAGIC_SIZE) != 0)
        return WW_EUNSUPPORTED;
    if (size < WW_BACKUP_HEAD_SIZE + WW_BACKUP_END_SIZE)
        return wrong(backup, "it is cut short");
    size -= sizeof(hash.bytes);
    rc = ww_ledger_hash(data, size, "", 0, &hash);
    if (rc)
        return rc;
    if (memcmp(hash.bytes, data + size, sizeof(hash.bytes)) != 0)
        return wrong(backup, "it was changed, or cut short");
    ww_cursor_init(&cursor, data, size);
    get_head(&reading, &cursor);
    rc = take_all(&reading, &cursor);
    if (rc)
        return rc;
    if (reading.found.accounts != reading.said.accounts ||
        reading.found.assets != reading.said.assets || reading.found.facts != reading.said.facts)
        return wrong(backup, "it has lost or gained an account or fact");
    return 0;
}

static int read_file(const char *path, uint8_t **data, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
    struct stat status;
    size_t done = 0;

    if (fd < 0)
        return errno == ENOENT ? WW_ENOTFOUND : WW_EIO;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        rc = WW_EIO;
    else if ((uint64_t)status.st_size > WW_LEDGER_BACKUP_BYTES_MAX)
        rc = WW_ETOOBIG;
    *size = rc ? 0 : (size_t)status.st_size;
    *data = rc ? NULL : ww_alloc(1, *size + 1);
    if (!rc && !*data)
        rc = WW_ENOMEM;
    while (!rc && done < *size) {
        ssize_t got = read(fd, *data + done, *size - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            rc = WW_EIO;
        else
            done += (size_t)got;
    }
    close(fd);
    return rc;
}

/* --- purging and writing -------------------------------------------------------------------- */

/* Escrow and disputes go back to who paid them. */
static int purge(struct ww_ledger *ledger, struct ww_ledger_backup *backup)
{
    struct ww_amount all;

    for (struct ww_account *account = ledger->books->accounts; account;
         account = account->hh.next) {
        struct ww_amount *wallets = account->wallets;

        if (ww_amount_add(wallets[WW_WALLET_ESCROW], wallets[WW_WALLET_DISPUTE], &all) ||
            ww_amount_add(wallets[WW_WALLET_MARKET], all, &wallets[WW_WALLET_MARKET]))
            return wrong(backup, "a sum is more than 128 bits");
        wallets[WW_WALLET_ESCROW] = wallets[WW_WALLET_DISPUTE] = WW_AMOUNT_ZERO;
    }
    return 0;
}

static int write_batch(struct ww_store *store, struct ww_store_batch **batch)
{
    int rc = ww_store_write(store, *batch, true);

    ww_store_batch_destroy(*batch);
    *batch = NULL;
    return rc ? rc : ww_store_batch_create(batch);
}

static int put_entities(struct ww_ledger *ledger, struct ww_store *store,
                        struct ww_store_batch **batch)
{
    struct ww_entity *entity;
    int rc = 0;

    TAILQ_FOREACH (entity, &ledger->books->changed, link) {
        struct ww_object object;

        ww_books_image(ledger->books, entity, &object);
        rc = ww_object_store(*batch, &ledger->epochs, &object);
        if (!rc && ww_store_batch_bytes(*batch) > CHUNK_BYTES)
            rc = write_batch(store, batch);
        if (rc)
            return rc;
    }
    return write_batch(store, batch);
}

static int write_store(struct ww_ledger *ledger, struct ww_store *store)
{
    struct ww_object head = {.kind = WW_OBJECT_HEAD};
    struct ww_store_batch *batch = NULL;
    int rc = ww_store_batch_create(&batch);

    if (!rc)
        rc = put_entities(ledger, store, &batch);
    head.head.last = ledger->last;
    head.head.chain = ledger->chain;
    head.head.counts = ww_books_counts(ledger->books);
    if (!rc)
        rc = ww_object_store(batch, &ledger->epochs, &head);
    if (!rc)
        rc = ww_store_write(store, batch, true);
    ww_store_batch_destroy(batch);
    return rc;
}

static int is_there(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                    size_t value_size)
{
    (void)arg, (void)key, (void)key_size, (void)value, (void)value_size;
    return WW_ESTATE;
}

static int restore(struct ww_store *store, const uint8_t *data, size_t size,
                   struct ww_ledger_backup *backup)
{
    struct ww_ledger *ledger = ww_ledger_at_rest();
    struct ww_ledger_report report = {.ok = true};
    int rc;

    if (!ledger)
        return WW_ENOMEM;
    rc = ww_backup_decode(data, size, ledger, backup);
    if (!rc && ww_backup_held(ledger->books, backup))
        rc = wrong(backup, "a sum is more than 128 bits");
    if (!rc)
        rc = purge(ledger, backup);
    if (!rc)
        rc = ww_ledger_check(ledger, &report);
    if (!rc)
        rc = write_store(ledger, store);
    if (!rc)
        rc = ww_ledger_verify(store, &report);
    if (rc == WW_ECORRUPT && !report.ok)
        wrong(backup, report.why);
    ww_ledger_close(ledger);
    return rc;
}

int ww_ledger_restore(struct ww_store *store, const char *path, struct ww_ledger_backup *backup)
{
    uint8_t *data = NULL;
    size_t size = 0;
    int rc = ww_store_scan(store, "", 0, is_there, NULL);

    memset(backup, 0, sizeof(*backup));
    if (!rc)
        rc = read_file(path, &data, &size);
    backup->bytes = size;
    if (!rc)
        rc = restore(store, data, size, backup);
    ww_free(data);
    return rc;
}
