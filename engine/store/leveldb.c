/* LevelDB as a store. Relies on its locking of the folder and on paranoid checks: without them it
 * opens a damaged log with a hole in it and says nothing. A folder is made with mode 0700. LevelDB
 * syncs its files, but not the names of new logs: a name that its folder has not synced may be gone
 * after a power cut, with all that was synced under it, so that is done here. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <leveldb/c.h>

#include "internal.h"

/* The default of 4 MiB would be full eight times a second at 80,000 batches/s of 450 bytes. */
#define WRITE_BUFFER_BYTES (16 << 20)
#define OPEN_FILES_MAX     128

struct leveldb_store {
    struct ww_store store;
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_readoptions_t *read_options;
    leveldb_writeoptions_t *write_options;
    leveldb_writeoptions_t *sync_options;
    char *folder; /* whose secrets it has */
    int folder_fd;
    struct timespec names_synced; /* the folder's time of change at its last sync */
};

static struct leveldb_store *of(struct ww_store *store)
{
    return WW_CONTAINER_OF(store, struct leveldb_store, store);
}

/* Logs and frees LevelDB's message; its first word is all that tells the kinds of failure apart. */
static int take_error(char *message, const char *what)
{
    int rc = WW_EIO;

    if (!message)
        return 0;
    if (strncmp(message, "Corruption", strlen("Corruption")) == 0)
        rc = WW_ECORRUPT;
    else if (strstr(message, "/LOCK"))
        rc = WW_EAGAIN;
    ww_log(WW_LOG_ERROR, "store", what, "error=%s", WW_Q(message));
    leveldb_free(message);
    return rc;
}

static int db_get(struct ww_store *store, const void *key, size_t key_size, uint8_t **value,
                  size_t *value_size)
{
    struct leveldb_store *self = of(store);
    char *error = NULL;
    size_t size = 0;
    char *found = leveldb_get(self->db, self->read_options, key, key_size, &size, &error);

    if (error)
        return take_error(error, "Reading a key failed");
    if (!found)
        return WW_ENOTFOUND;
    *value = (uint8_t *)ww_strndup(found, size);
    *value_size = size;
    leveldb_free(found);
    return *value ? 0 : WW_ENOMEM;
}

static int db_scan(struct ww_store *store, const void *prefix, size_t prefix_size,
                   ww_store_visit_fn fn, void *arg)
{
    struct leveldb_store *self = of(store);
    /* An iterator reads from the state at its creation. */
    leveldb_iterator_t *iterator = leveldb_create_iterator(self->db, self->read_options);
    char *error = NULL;
    int rc = 0;

    for (leveldb_iter_seek(iterator, prefix, prefix_size); !rc && leveldb_iter_valid(iterator);
         leveldb_iter_next(iterator)) {
        size_t key_size;
        size_t value_size;
        const char *key = leveldb_iter_key(iterator, &key_size);
        const char *value = leveldb_iter_value(iterator, &value_size);

        if (key_size < prefix_size || (prefix_size && memcmp(key, prefix, prefix_size) != 0))
            break;
        rc = fn(arg, (const uint8_t *)key, key_size, (const uint8_t *)value, value_size);
    }
    if (!rc) {
        leveldb_iter_get_error(iterator, &error);
        rc = take_error(error, "Reading a range failed");
    }
    leveldb_iter_destroy(iterator);
    return rc;
}

/* One fstat a write; a sync only when a log has been begun, every 16 MiB. */
static int sync_names(struct leveldb_store *self)
{
    struct stat folder;

    if (fstat(self->folder_fd, &folder) != 0)
        return WW_EIO;
    if (folder.st_mtim.tv_sec == self->names_synced.tv_sec &&
        folder.st_mtim.tv_nsec == self->names_synced.tv_nsec)
        return 0;
    if (fsync(self->folder_fd) != 0) {
        ww_log(WW_LOG_ERROR, "store", "The folder can't be synced", "errno=%d", errno);
        return WW_EIO;
    }
    self->names_synced = folder.st_mtim;
    return 0;
}

static int db_write(struct ww_store *store, const struct ww_store_batch_list *batches, bool sync)
{
    struct leveldb_store *self = of(store);
    const struct ww_store_batch *batch;
    leveldb_writebatch_t *all;
    char *error = NULL;
    int rc = ww_store_batches_error(batches);

    if (rc)
        return rc;
    all = leveldb_writebatch_create();
    STAILQ_FOREACH (batch, batches, link) {
        struct ww_store_operation operation;
        struct ww_cursor cursor;

        ww_store_batch_cursor(batch, &cursor);
        while (ww_store_operation_next(&cursor, &operation)) {
            const char *key = (const char *)operation.key;

            if (operation.value)
                leveldb_writebatch_put(all, key, operation.key_size, (const char *)operation.value,
                                       operation.value_size);
            else
                leveldb_writebatch_delete(all, key, operation.key_size);
        }
    }
    leveldb_write(self->db, sync ? self->sync_options : self->write_options, all, &error);
    leveldb_writebatch_destroy(all);
    rc = take_error(error, "Writing a batch failed");
    return rc || !sync ? rc : sync_names(self);
}

static void db_close(struct ww_store *store)
{
    struct leveldb_store *self = of(store);

    if (self->db)
        leveldb_close(self->db);
    leveldb_writeoptions_destroy(self->sync_options);
    leveldb_writeoptions_destroy(self->write_options);
    leveldb_readoptions_destroy(self->read_options);
    leveldb_options_destroy(self->options);
    if (self->folder_fd >= 0)
        close(self->folder_fd);
    ww_free(self->folder);
    ww_free(self);
}

static int db_secret_get(struct ww_store *store, unsigned slot,
                         uint8_t bytes[WW_STORE_SECRET_BYTES_MAX], size_t *size)
{
    return ww_secret_file_get(of(store)->folder, slot, bytes, size);
}

static int db_secret_put(struct ww_store *store, unsigned slot,
                         const struct ww_store_secret *secret)
{
    return ww_secret_file_put(of(store)->folder, slot, secret);
}

static int db_secret_erase(struct ww_store *store, unsigned slot)
{
    return ww_secret_file_erase(of(store)->folder, slot);
}

static const struct ww_store_kind leveldb_kind = {
    db_get, db_scan, db_write, db_close, db_secret_get, db_secret_put, db_secret_erase,
};

/* Makes the folder if it isn't there, so that its name lasts; its fd, or -1. */
static int open_folder(const char *folder)
{
    bool is_new = mkdir(folder, 0700) == 0;
    int fd = is_new || errno == EEXIST ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int above = fd >= 0 && is_new ? openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0 && is_new && (above < 0 || fsync(above) != 0)) {
        close(fd);
        fd = -1;
    }
    if (above >= 0)
        close(above);
    if (fd < 0)
        ww_log(WW_LOG_ERROR, "store", "The folder can't be made", "folder=%s errno=%d",
               WW_Q(folder), errno);
    return fd;
}

int ww_store_open_as(const char *folder, const char *secrets_folder, bool damaged,
                     struct ww_store **out)
{
    struct leveldb_store *self = ww_alloc(1, sizeof(*self));
    char *error = NULL;
    int rc;

    if (!self)
        return WW_ENOMEM;
    self->folder = ww_strndup(secrets_folder, strlen(secrets_folder));
    self->folder_fd = self->folder ? open_folder(folder) : -1;
    if (self->folder_fd < 0) {
        rc = self->folder ? WW_EIO : WW_ENOMEM;
        ww_free(self->folder);
        ww_free(self);
        return rc;
    }
    self->store.kind = &leveldb_kind;
    self->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(self->options, 1);
    leveldb_options_set_paranoid_checks(self->options, !damaged);
    leveldb_options_set_write_buffer_size(self->options, WRITE_BUFFER_BYTES);
    leveldb_options_set_max_open_files(self->options, OPEN_FILES_MAX);
    self->read_options = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(self->read_options, 1);
    self->write_options = leveldb_writeoptions_create();
    self->sync_options = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(self->sync_options, 1);

    self->db = leveldb_open(self->options, folder, &error);
    rc = take_error(error, "Opening the store failed");
    if (rc) {
        self->db = NULL;
        db_close(&self->store);
        return rc;
    }
    *out = &self->store;
    return 0;
}

int ww_store_open(const char *folder, struct ww_store **out)
{
    return ww_store_open_as(folder, folder, false, out);
}
