/* A backup of the books, from the store alone: they are read as at an open, and written as one file
 * of balances and facts. Relies on replay for the reading, and shares nothing with a live ledger
 * but the store. Must never write what names a contract or ties two networks: contracts, request
 * ids and private facts stay behind. */
#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ww/crypto.h"

/* Beside a live ledger an epoch may begin between the reading of its keys and the scan. */
#define ATTEMPTS 3

struct writer {
    FILE *file;
    struct ww_sha256_stream *hash;
    uint64_t bytes;
    bool failed;
};

/* --- reading -------------------------------------------------------------------------------- */

struct ww_ledger *ww_ledger_at_rest(void)
{
    struct ww_ledger *ledger = ww_alloc(1, sizeof(*ledger));

    if (!ledger)
        return NULL;
    ww_buf_init(&ledger->open, WW_LEDGER_BATCH_BYTES_MAX);
    ww_epochs_init(&ledger->epochs);
    TAILQ_INIT(&ledger->air);
    if (ww_books_create(&ledger->books)) {
        ww_ledger_close(ledger);
        return NULL;
    }
    return ledger;
}

static int read_once(struct ww_store *store, struct ww_ledger **out,
                     struct ww_ledger_backup *backup)
{
    struct ww_ledger *ledger = ww_ledger_at_rest();
    struct ww_ledger_report report;
    int rc;

    if (!ledger)
        return WW_ENOMEM;
    ledger->store = store;
    rc = ww_epochs_load(&ledger->epochs, store);
    if (!rc)
        rc = ww_ledger_replay(ledger, backup->why, sizeof(backup->why));
    if (!rc) {
        rc = ww_ledger_check(ledger, &report);
        if (rc)
            snprintf(backup->why, sizeof(backup->why), "%s", report.why);
    }
    if (rc)
        ww_ledger_close(ledger);
    else
        *out = ledger;
    return rc;
}

static int read_books(struct ww_store *store, struct ww_ledger **ledger,
                      struct ww_ledger_backup *backup)
{
    int rc = WW_ECORRUPT;

    for (unsigned attempt = 0; attempt < ATTEMPTS && rc == WW_ECORRUPT; attempt++)
        rc = read_once(store, ledger, backup);
    if (!rc)
        backup->why[0] = '\0';
    return rc;
}

int ww_backup_held(const struct ww_books *books, struct ww_ledger_backup *backup)
{
    backup->asset_count = books->asset_count;
    for (size_t index = 0; index < books->asset_count; index++)
        memcpy(backup->held[index].asset, books->assets[index].name, WW_ASSET_SIZE);
    for (const struct ww_account *account = books->accounts; account; account = account->hh.next) {
        struct ww_amount *held = &backup->held[account->key.asset].amount;

        if (ww_amount_add(*held, account->wallets[WW_WALLET_ESCROW], held) ||
            ww_amount_add(*held, account->wallets[WW_WALLET_DISPUTE], held))
            return WW_EOVERFLOW;
    }
    return 0;
}

/* --- writing -------------------------------------------------------------------------------- */

static void write_bytes(struct writer *writer, const void *data, size_t size)
{
    if (fwrite(data, 1, size, writer->file) != size)
        writer->failed = true;
    ww_sha256_add(writer->hash, data, size);
    writer->bytes += size;
}

static void write_number(struct writer *writer, uint64_t value, size_t size)
{
    uint8_t bytes[8];

    for (size_t index = 0; index < size; index++)
        bytes[index] = (uint8_t)(value >> (8 * (size - 1 - index)));
    write_bytes(writer, bytes, size);
}

static int write_object(struct writer *writer, struct ww_ledger *ledger,
                        const struct ww_entity *entity)
{
    const struct ww_buf *value = &ledger->epochs.sealed;
    uint8_t key[WW_OBJECT_KEY_MAX];
    struct ww_object object;
    size_t key_size;
    int rc;

    ww_books_image(ledger->books, entity, &object);
    rc = ww_object_value(&ledger->epochs, &object, key, &key_size);
    if (rc)
        return rc;
    write_number(writer, key_size, 2);
    write_bytes(writer, key, key_size);
    write_number(writer, value->size, 4);
    write_bytes(writer, value->data, value->size);
    return writer->failed ? WW_EIO : 0;
}

static bool is_kept(const struct ww_fact *fact, const char *leave_out)
{
    return fact->entity.kind == WW_OBJECT_FACT &&
           !(leave_out && strncmp(fact->key, leave_out, strlen(leave_out)) == 0);
}

/* An id that was done before must stay gone, and the newest may carry a time that is still to come.
 */
static uint64_t horizon_of(const struct ww_ledger *ledger)
{
    uint64_t horizon_ms = ledger->last.horizon_ms;

    for (const struct ww_request *request = ledger->books->requests; request;
         request = request->hh.next)
        horizon_ms = WW_MAX(horizon_ms, request->image.wall_ms);
    return horizon_ms;
}

static void write_head(struct writer *writer, const struct ww_ledger *ledger,
                       const struct ww_ledger_backup *backup)
{
    write_bytes(writer, WW_BACKUP_MAGIC, WW_BACKUP_MAGIC_SIZE);
    write_number(writer, backup->wall_ms, 8);
    write_number(writer, ledger->last.sequence, 8);
    write_number(writer, ledger->last.uptime_ms, 8);
    write_number(writer, horizon_of(ledger), 8);
    write_bytes(writer, ledger->chain.bytes, sizeof(ledger->chain.bytes));
    write_number(writer, backup->accounts, 8);
    write_number(writer, ledger->books->asset_count, 8);
    write_number(writer, backup->facts, 8);
    write_number(writer, backup->contracts, 8);
}

static int write_books(struct writer *writer, struct ww_ledger *ledger, const char *leave_out,
                       struct ww_ledger_backup *backup)
{
    struct ww_books *books = ledger->books;
    struct ww_hash hash;
    int rc = 0;

    write_head(writer, ledger, backup);
    ww_books_sort_accounts(books);
    for (struct ww_account *account = books->accounts; account && !rc; account = account->hh.next)
        rc = write_object(writer, ledger, &account->entity);
    for (size_t index = 0; index < books->asset_count && !rc; index++)
        rc = write_object(writer, ledger, &books->assets[index].entity);
    for (struct ww_fact *fact = ww_books_list_facts(books, ""); fact && !rc; fact = fact->listed)
        if (is_kept(fact, leave_out))
            rc = write_object(writer, ledger, &fact->entity);
    write_number(writer, 0, 2);
    ww_sha256_end(writer->hash, &hash);
    writer->hash = NULL;
    if (fwrite(hash.bytes, 1, sizeof(hash.bytes), writer->file) != sizeof(hash.bytes))
        writer->failed = true;
    writer->bytes += sizeof(hash.bytes);
    if (!rc && writer->bytes > WW_LEDGER_BACKUP_BYTES_MAX)
        rc = WW_ETOOBIG;
    return rc ? rc : writer->failed ? WW_EIO : 0;
}

static int sync_parent(const char *path)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int fd, rc;

    snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return WW_EIO;
    rc = fsync(fd) == 0 ? 0 : WW_EIO;
    close(fd);
    return rc;
}

/* Under another name, until it is whole. */
static int write_file(const char *temporary, struct ww_ledger *ledger, const char *leave_out,
                      struct ww_ledger_backup *backup)
{
    struct writer writer = {.file = NULL};
    int fd, rc = ww_sha256_begin(&writer.hash);

    if (rc)
        return rc;
    unlink(temporary); /* of a backup that was cut off */
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    writer.file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (writer.file) {
        rc = write_books(&writer, ledger, leave_out, backup);
        if (!rc && (fflush(writer.file) != 0 || fsync(fd) != 0))
            rc = WW_EIO;
        if (fclose(writer.file) != 0 && !rc)
            rc = WW_EIO;
    } else {
        rc = WW_EIO;
        snprintf(backup->why, sizeof(backup->why), "%.200s can't be made", temporary);
        if (fd >= 0)
            close(fd);
    }
    if (writer.hash)
        ww_sha256_end(writer.hash, NULL);
    backup->bytes = writer.bytes;
    return rc;
}

static int count(const struct ww_ledger *ledger, const char *leave_out,
                 struct ww_ledger_backup *backup)
{
    backup->wall_ms = ww_clock_wall_ms();
    backup->batches = ledger->last.sequence;
    backup->accounts = HASH_COUNT(ledger->books->accounts);
    backup->contracts = HASH_COUNT(ledger->books->holds);
    for (const struct ww_fact *fact = ledger->books->facts; fact; fact = fact->hh.next)
        backup->facts += is_kept(fact, leave_out);
    return ww_backup_held(ledger->books, backup);
}

int ww_ledger_backup(struct ww_store *store, const char *path, const char *leave_out,
                     struct ww_ledger_backup *backup)
{
    struct ww_ledger *ledger = NULL;
    char temporary[PATH_MAX];
    int rc;

    memset(backup, 0, sizeof(*backup));
    if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= PATH_MAX)
        return WW_ETOOBIG;
    if (access(path, F_OK) == 0)
        return WW_EEXIST;
    rc = read_books(store, &ledger, backup);
    if (rc)
        return rc;
    rc = count(ledger, leave_out, backup);
    if (!rc)
        rc = write_file(temporary, ledger, leave_out, backup);
    if (!rc && link(temporary, path) != 0) /* unlike rename, never in the place of another file */
        rc = errno == EEXIST ? WW_EEXIST : WW_EIO;
    unlink(temporary);
    if (!rc)
        rc = sync_parent(path);
    ww_ledger_close(ledger);
    return rc;
}
