/* Secrets of a store: put before a batch, erased after it, and gone then; and the faults that the
 * store in memory has on demand. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "ww/store.h"

static char parent[64], folder[96], file[128];

static int memory_set_up(void **state)
{
    return ww_store_memory_create((struct ww_store **)state);
}

static int leveldb_set_up(void **state)
{
    snprintf(parent, sizeof(parent), "/tmp/ww-store-XXXXXX");
    if (!mkdtemp(parent))
        return -1;
    snprintf(folder, sizeof(folder), "%s/db", parent);
    snprintf(file, sizeof(file), "%s/db-1.key", parent);
    return ww_store_open(folder, (struct ww_store **)state);
}

static int memory_tear_down(void **state)
{
    ww_store_close(*state);
    return 0;
}

static int leveldb_tear_down(void **state)
{
    char command[128];

    ww_store_close(*state);
    snprintf(command, sizeof(command), "rm -r %s", parent);
    return system(command);
}

/* Puts (text) or erases (NULL) a secret, with a key beside it. */
static int change(struct ww_store *store, unsigned slot, const char *text, const char *key)
{
    struct ww_store_batch *batch;
    int rc;

    assert_int_equal(ww_store_batch_create(&batch), 0);
    if (key)
        ww_store_batch_put(batch, key, strlen(key), "v", 1);
    if (text)
        ww_store_batch_secret_put(batch, slot, text, strlen(text));
    else
        ww_store_batch_secret_erase(batch, slot);
    rc = ww_store_write(store, batch, false);
    ww_store_batch_destroy(batch);
    return rc;
}

static void assert_secret(struct ww_store *store, unsigned slot, const char *text)
{
    uint8_t bytes[WW_STORE_SECRET_BYTES_MAX];
    size_t size = 0;
    int rc = ww_store_secret_get(store, slot, bytes, &size);

    assert_int_equal(rc, text ? 0 : WW_ENOTFOUND);
    if (!text)
        return;
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, size);
}

static bool has_key(struct ww_store *store, const char *key)
{
    uint8_t *value = NULL;
    size_t size;
    int rc = ww_store_get(store, key, strlen(key), &value, &size);

    ww_free(value);
    return rc == 0;
}

static void put_get_erase(void **state)
{
    assert_secret(*state, 0, NULL);
    assert_int_equal(change(*state, 0, "first", "a"), 0);
    assert_int_equal(change(*state, 1, "second", NULL), 0);
    assert_secret(*state, 0, "first");
    assert_secret(*state, 1, "second");
    assert_int_equal(change(*state, 0, "a longer one", NULL), 0);
    assert_secret(*state, 0, "a longer one");
    assert_int_equal(change(*state, 0, NULL, "b"), 0);
    assert_secret(*state, 0, NULL);
    assert_secret(*state, 1, "second");
    assert_int_equal(change(*state, 0, NULL, NULL), 0);
    assert_true(has_key(*state, "a") && has_key(*state, "b"));
}

static void every_allocation_fails(void **state)
{
    struct ww_store_batch *batch;
    uint64_t n = 0;
    int rc;

    do {
        ww_alloc_fail_after(++n);
        rc = ww_store_batch_create(&batch);
        if (!rc) {
            ww_store_batch_secret_put(batch, 1, "second", 6);
            ww_store_batch_secret_erase(batch, 0);
            rc = ww_store_write(*state, batch, true);
            ww_store_batch_destroy(batch);
        }
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
        if (rc)
            assert_secret(*state, 1, NULL);
    } while (rc);
    assert_true(n > 2);
    assert_secret(*state, 1, "second");
}

/* --- memory only ---------------------------------------------------------------------------- */

/* A put fails before the batch, an erase after it; each counts as a write. */
static void secrets_fail_as_writes(void **state)
{
    ww_store_memory_fail_write(*state, 1);
    assert_int_equal(change(*state, 0, "first", "a"), WW_EIO);
    assert_secret(*state, 0, NULL);
    assert_false(has_key(*state, "a"));
    ww_store_memory_fail_write(*state, 2);
    assert_int_equal(change(*state, 0, "first", "a"), WW_EIO);
    assert_secret(*state, 0, "first");
    assert_false(has_key(*state, "a"));
    ww_store_memory_fail_write(*state, 2);
    assert_int_equal(change(*state, 0, NULL, "b"), WW_EIO);
    assert_secret(*state, 0, "first");
    assert_true(has_key(*state, "b"));
    assert_int_equal(change(*state, 0, NULL, NULL), 0);
    assert_secret(*state, 0, NULL);
}

static void a_torn_write_keeps_its_first_operations(void **state)
{
    struct ww_store_batch *batch;

    assert_int_equal(change(*state, 0, "first", "old"), 0);
    for (size_t keep = 0; keep <= 4; keep++) {
        assert_int_equal(ww_store_batch_create(&batch), 0);
        ww_store_batch_delete(batch, "old", 3);
        ww_store_batch_put(batch, "a", 1, "1", 1);
        ww_store_batch_put(batch, "b", 1, "2", 1);
        ww_store_memory_tear_write(*state, 1, keep);
        assert_int_equal(ww_store_write(*state, batch, true), WW_EIO);
        ww_store_batch_destroy(batch);
        assert_int_equal(has_key(*state, "old"), keep < 1);
        assert_int_equal(has_key(*state, "a"), keep >= 2);
        assert_int_equal(has_key(*state, "b"), keep >= 3);
        /* The next one is whole again. */
        assert_int_equal(ww_store_batch_create(&batch), 0);
        ww_store_batch_put(batch, "old", 3, "v", 1);
        ww_store_batch_delete(batch, "a", 1);
        ww_store_batch_delete(batch, "b", 1);
        assert_int_equal(ww_store_write(*state, batch, true), 0);
        ww_store_batch_destroy(batch);
    }
}

/* What was torn and synced stays; an unsynced one is lost with the rest. */
static void a_torn_write_can_be_lost(void **state)
{
    struct ww_store_batch *batch;

    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_put(batch, "a", 1, "1", 1);
    ww_store_batch_put(batch, "b", 1, "2", 1);
    ww_store_memory_tear_write(*state, 1, 1);
    assert_int_equal(ww_store_write(*state, batch, false), WW_EIO);
    assert_true(has_key(*state, "a"));
    ww_store_memory_drop_unsynced(*state);
    assert_false(has_key(*state, "a"));
    ww_store_batch_destroy(batch);
}

/* --- LevelDB only --------------------------------------------------------------------------- */

static void a_file_beside_the_folder(void **state)
{
    struct stat status;
    struct dirent *entry;
    DIR *list;

    assert_int_equal(change(*state, 1, "second", NULL), 0);
    assert_int_equal(stat(file, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    ww_store_close(*state);
    assert_int_equal(ww_store_open(folder, (struct ww_store **)state), 0);
    assert_secret(*state, 1, "second");
    assert_int_equal(change(*state, 1, NULL, NULL), 0);
    list = opendir(parent);
    assert_non_null(list);
    while ((entry = readdir(list)))
        assert_null(strstr(entry->d_name, ".key"));
    closedir(list);
}

/* The old content is overwritten in the file itself, not only unlinked. */
static void erasing_overwrites(void **state)
{
    char bytes[16] = {0};
    char copy[140];
    FILE *stream;

    assert_int_equal(change(*state, 1, "second", NULL), 0);
    snprintf(copy, sizeof(copy), "%s.link", file);
    assert_int_equal(link(file, copy), 0); /* the same file by another name */
    assert_int_equal(change(*state, 1, NULL, NULL), 0);
    assert_int_equal(access(file, F_OK), -1);
    stream = fopen(copy, "rb");
    assert_non_null(stream);
    assert_int_equal(fread(bytes, 1, sizeof(bytes), stream), 6);
    fclose(stream);
    for (size_t index = 0; index < 6; index++)
        assert_int_equal(bytes[index], 0);
    /* A crash between overwriting and removing: it counts as erased. */
    assert_int_equal(rename(copy, file), 0);
    assert_secret(*state, 1, NULL);
    assert_int_equal(change(*state, 1, NULL, NULL), 0);
    assert_int_equal(access(file, F_OK), -1);
}

static void files_that_are_not_ours(void **state)
{
    uint8_t bytes[WW_STORE_SECRET_BYTES_MAX];
    char command[300];
    size_t size;

    assert_int_equal(mkdir(file, 0700), 0);
    assert_int_equal(ww_store_secret_get(*state, 1, bytes, &size), WW_EIO);
    assert_int_equal(change(*state, 1, "second", NULL), WW_EIO);
    assert_int_equal(rmdir(file), 0);
    assert_int_equal(symlink("/etc/passwd", file), 0);
    assert_int_equal(ww_store_secret_get(*state, 1, bytes, &size), WW_EIO);
    assert_int_equal(unlink(file), 0);
    snprintf(command, sizeof(command), "head -c 65 /dev/zero > %s", file);
    assert_int_equal(system(command), 0);
    assert_int_equal(ww_store_secret_get(*state, 1, bytes, &size), WW_EIO);
    assert_int_equal(unlink(file), 0);
    /* What a put that was cut off has left is in nobody's way. */
    snprintf(command, sizeof(command), "echo x > %s.new", file);
    assert_int_equal(system(command), 0);
    assert_secret(*state, 1, NULL);
    assert_int_equal(change(*state, 1, "second", NULL), 0);
    assert_secret(*state, 1, "second");
}

#define FOR_BOTH(test)                                                                             \
    {#test " (memory)", test, memory_set_up, memory_tear_down, NULL},                              \
    {                                                                                              \
#test " (leveldb)", test, leveldb_set_up, leveldb_tear_down, NULL                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_BOTH(put_get_erase),
        FOR_BOTH(every_allocation_fails),
        {"secrets_fail_as_writes", secrets_fail_as_writes, memory_set_up, memory_tear_down, NULL},
        {"a_torn_write_keeps_its_first_operations", a_torn_write_keeps_its_first_operations,
         memory_set_up, memory_tear_down, NULL},
        {"a_torn_write_can_be_lost", a_torn_write_can_be_lost, memory_set_up, memory_tear_down,
         NULL},
        {"a_file_beside_the_folder", a_file_beside_the_folder, leveldb_set_up, leveldb_tear_down,
         NULL},
        {"erasing_overwrites", erasing_overwrites, leveldb_set_up, leveldb_tear_down, NULL},
        {"files_that_are_not_ours", files_that_are_not_ours, leveldb_set_up, leveldb_tear_down,
         NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
