/* The store's semantics, by one table of tests for both kinds of store; then what is special about
 * each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "ww/limits.h"
#include "ww/store.h"

static char folder[64];

static int memory_set_up(void **state)
{
    return ww_store_memory_create((struct ww_store **)state);
}

static int leveldb_set_up(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/ww-store-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    return ww_store_open(folder, (struct ww_store **)state);
}

static int remove_folder(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

static int memory_tear_down(void **state)
{
    ww_store_close(*state);
    return 0;
}

static int leveldb_tear_down(void **state)
{
    ww_store_close(*state);
    return remove_folder();
}

static void put(struct ww_store *store, const char *key, const char *value, bool sync)
{
    struct ww_store_batch *batch;

    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_put(batch, key, strlen(key), value, strlen(value));
    assert_int_equal(ww_store_write(store, batch, sync), 0);
    ww_store_batch_destroy(batch);
}

static void assert_value(struct ww_store *store, const char *key, const char *expected)
{
    uint8_t *value;
    size_t size;
    int rc = ww_store_get(store, key, strlen(key), &value, &size);

    if (!expected) {
        assert_int_equal(rc, WW_ENOTFOUND);
        return;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(value, expected, size);
    ww_free(value);
}

/* Keys and values as "k=v;" into a text. */
static int collect(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                   size_t value_size)
{
    char *text = arg;

    snprintf(text + strlen(text), 1024 - strlen(text), "%.*s=%.*s;", (int)key_size,
             (const char *)key, (int)value_size, (const char *)value);
    return 0;
}

static void assert_scan(struct ww_store *store, const char *prefix, const char *expected)
{
    char text[1024] = "";

    assert_int_equal(ww_store_scan(store, prefix, strlen(prefix), collect, text), 0);
    assert_string_equal(text, expected);
}

static void test_put_get_delete(void **state)
{
    struct ww_store *store = *state;
    struct ww_store_batch *batch;

    assert_value(store, "a", NULL);
    put(store, "a", "1", true);
    assert_value(store, "a", "1");
    put(store, "a", "", false);
    assert_value(store, "a", "");
    put(store, "", "empty key", false);
    assert_value(store, "", "empty key");
    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_delete(batch, "a", 1);
    ww_store_batch_delete(batch, "never there", 11);
    assert_int_equal(ww_store_write(store, batch, true), 0);
    /* A batch is borrowed: it may be written twice. */
    assert_int_equal(ww_store_write(store, batch, true), 0);
    ww_store_batch_destroy(batch);
    assert_value(store, "a", NULL);
}

static void test_later_operations_win(void **state)
{
    struct ww_store *store = *state;
    struct ww_store_batch *batch;

    assert_int_equal(ww_store_batch_create(&batch), 0);
    assert_int_equal(ww_store_batch_bytes(batch), 0);
    assert_int_equal(ww_store_write(store, batch, true), 0);
    ww_store_batch_put(batch, "x", 1, "1", 1);
    ww_store_batch_put(batch, "x", 1, "2", 1);
    ww_store_batch_put(batch, "y", 1, "1", 1);
    ww_store_batch_delete(batch, "y", 1);
    ww_store_batch_delete(batch, "z", 1);
    ww_store_batch_put(batch, "z", 1, "3", 1);
    assert_true(ww_store_batch_bytes(batch) > 0);
    assert_int_equal(ww_store_write(store, batch, false), 0);
    ww_store_batch_destroy(batch);
    assert_scan(store, "", "x=2;z=3;");
}

static void test_scan_order(void **state)
{
    struct ww_store *store = *state;

    put(store, "b/2", "2", false);
    put(store, "b/10", "10", false);
    put(store, "b", "b", false);
    put(store, "a", "a", false);
    put(store, "b/1", "1", false);
    put(store, "c", "c", false);
    put(store, "b\xff", "ff", false);
    put(store, "b/2", "two", false);
    assert_scan(store, "", "a=a;b=b;b/1=1;b/10=10;b/2=two;b\xff=ff;c=c;");
    assert_scan(store, "b/", "b/1=1;b/10=10;b/2=two;");
    assert_scan(store, "b/1", "b/1=1;b/10=10;");
    assert_scan(store, "bb", "");
    assert_scan(store, "d", "");
}

static int stop_at_second(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                          size_t value_size)
{
    (void)key;
    (void)key_size;
    (void)value;
    (void)value_size;
    return ++*(int *)arg == 2 ? 42 : 0;
}

static void test_scan_stops(void **state)
{
    struct ww_store *store = *state;
    int visited = 0;

    put(store, "a", "", false);
    put(store, "b", "", false);
    put(store, "c", "", false);
    assert_int_equal(ww_store_scan(store, "", 0, stop_at_second, &visited), 42);
    assert_int_equal(visited, 2);
}

static int end_scans(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                     size_t value_size)
{
    (void)key;
    (void)key_size;
    (void)value;
    (void)value_size;
    ww_store_end_scans(arg);
    return 0;
}

/* Whoever closes a store that a thread reads need not wait until it has read all of it. */
static void test_scans_can_be_ended(void **state)
{
    struct ww_store *store = *state;
    int visited = 0;

    put(store, "a", "", false);
    put(store, "b", "", false);
    assert_int_equal(ww_store_scan(store, "b", 1, end_scans, store), 0); /* nothing is left out */
    assert_int_equal(ww_store_scan(store, "", 0, stop_at_second, &visited), WW_ESHUTDOWN);
    assert_int_equal(visited, 0);
    put(store, "c", "", false); /* everything else goes on */
}

struct changing {
    struct ww_store *store;
    char text[1024];
};

/* Writes while the scan runs: it must see the state of its beginning. */
static int change(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                  size_t value_size)
{
    struct changing *changing = arg;
    struct ww_store_batch *batch;

    collect(changing->text, key, key_size, value, value_size);
    put(changing->store, "b", "changed", false);
    put(changing->store, "c2", "new", false);
    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_delete(batch, "c", 1);
    assert_int_equal(ww_store_write(changing->store, batch, true), 0);
    ww_store_batch_destroy(batch);
    return 0;
}

static void test_scan_is_a_snapshot(void **state)
{
    struct changing changing = {.store = *state};

    put(*state, "a", "1", false);
    put(*state, "b", "2", false);
    put(*state, "c", "3", false);
    assert_int_equal(ww_store_scan(*state, "", 0, change, &changing), 0);
    assert_string_equal(changing.text, "a=1;b=2;c=3;");
    assert_scan(*state, "", "a=1;b=changed;c2=new;");
}

static void test_any_bytes(void **state)
{
    struct ww_store *store = *state;
    struct ww_store_batch *batch;
    uint8_t key[256], big[100000];
    struct ww_prng prng;
    uint8_t *value;
    size_t size;

    for (int i = 0; i < 256; i++)
        key[i] = (uint8_t)i;
    ww_prng_seed(&prng, 8);
    ww_prng_fill(&prng, big, sizeof(big));
    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_put(batch, key, sizeof(key), big, sizeof(big));
    ww_store_batch_put(batch, key, sizeof(key) - 1, NULL, 0);
    assert_int_equal(ww_store_write(store, batch, true), 0);
    ww_store_batch_destroy(batch);
    assert_int_equal(ww_store_get(store, key, sizeof(key), &value, &size), 0);
    assert_int_equal(size, sizeof(big));
    assert_memory_equal(value, big, size);
    ww_free(value);
    assert_int_equal(ww_store_get(store, key, sizeof(key) - 1, &value, &size), 0);
    assert_int_equal(size, 0);
    ww_free(value);
}

/* A batch with an error writes nothing at all. */
static void test_bad_batch_writes_nothing(void **state)
{
    struct ww_store *store = *state;
    struct ww_store_batch *batch;
    static uint8_t big[1 << 20];

    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_put(batch, "good", 4, "1", 1);
    for (int i = 0; i < WW_STORE_BATCH_BYTES_MAX / (1 << 20); i++)
        ww_store_batch_put(batch, "big", 3, big, sizeof(big));
    ww_store_batch_put(batch, "after", 5, "1", 1);
    assert_int_equal(ww_store_write(store, batch, true), WW_ETOOBIG);
    ww_store_batch_destroy(batch);
    assert_scan(store, "", "");
}

/* Each allocation fails in turn: all of the batch is written or nothing. */
static void test_every_allocation_fails(void **state)
{
    struct ww_store *store = *state;
    uint64_t n = 0;
    int rc;

    do {
        struct ww_store_batch *batch = NULL;
        uint8_t *value = NULL;
        size_t size;

        ww_alloc_fail_after(++n);
        rc = ww_store_batch_create(&batch);
        for (int i = 0; !rc && i < 20; i++) {
            char key[16];

            snprintf(key, sizeof(key), "key %d", i);
            ww_store_batch_put(batch, key, strlen(key), "value", 5);
        }
        if (!rc)
            rc = ww_store_write(store, batch, false);
        ww_alloc_fail_after(0);
        ww_store_batch_destroy(batch);
        assert_true(rc == 0 || rc == WW_ENOMEM);
        assert_int_equal(ww_store_get(store, "key 19", 6, &value, &size), rc ? WW_ENOTFOUND : 0);
        ww_free(value);
        if (rc)
            assert_scan(store, "", "");
        assert_true(n < 100);
    } while (rc);
    assert_true(n > 3);
}

/* --- memory only --- */

static void test_memory_fail_write(void **state)
{
    struct ww_store *store = *state;
    struct ww_store_batch *batch;

    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_put(batch, "a", 1, "1", 1);
    ww_store_memory_fail_write(store, 2);
    assert_int_equal(ww_store_write(store, batch, true), 0);
    ww_store_batch_put(batch, "b", 1, "2", 1);
    assert_int_equal(ww_store_write(store, batch, true), WW_EIO);
    assert_scan(store, "", "a=1;");
    assert_int_equal(ww_store_write(store, batch, true), 0);
    assert_scan(store, "", "a=1;b=2;");
    ww_store_batch_destroy(batch);
}

static void test_memory_drop_unsynced(void **state)
{
    struct ww_store *store = *state;
    struct ww_store_batch *batch;

    put(store, "a", "1", false);
    put(store, "b", "1", true);
    put(store, "a", "2", false);
    put(store, "a", "3", false);
    put(store, "c", "1", false);
    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_delete(batch, "b", 1);
    ww_store_batch_delete(batch, "c", 1);
    ww_store_batch_delete(batch, "d", 1);
    assert_int_equal(ww_store_write(store, batch, false), 0);
    ww_store_batch_destroy(batch);
    assert_scan(store, "", "a=3;");
    ww_store_memory_drop_unsynced(store);
    assert_scan(store, "", "a=1;b=1;");
    ww_store_memory_drop_unsynced(store);
    put(store, "e", "1", false);
    put(store, "f", "1", true);
    ww_store_memory_drop_unsynced(store);
    assert_scan(store, "", "a=1;b=1;e=1;f=1;");
}

/* --- LevelDB only --- */

static void test_leveldb_reopens(void **state)
{
    struct ww_store *second;
    struct stat status;

    put(*state, "a", "1", true);
    put(*state, "b", "2", false);
    assert_int_equal(ww_store_open(folder, &second), WW_EAGAIN);
    ww_store_close(*state);
    assert_int_equal(ww_store_open(folder, (struct ww_store **)state), 0);
    assert_scan(*state, "", "a=1;b=2;");
    assert_int_equal(stat(folder, &status), 0);
    assert_int_equal(status.st_mode & 077, 0);
    assert_int_equal(ww_store_open("/no/such/folder/at/all", &second), WW_EIO);
    ww_store_close(NULL);
}

/* A flipped byte in the middle of the log is an error, not a silent hole. */
static void test_leveldb_notices_damage(void **state)
{
    char command[256];
    char value[2000];

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < 100; i++)
        put(*state, "key", value, true);
    ww_store_close(*state);
    *state = NULL;
    snprintf(command, sizeof(command),
             "printf X | dd of=$(ls %s/*.log) bs=1 seek=50000 conv=notrunc 2>/dev/null", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(ww_store_open(folder, (struct ww_store **)state), WW_ECORRUPT);
    *state = NULL;
}

/* A record that was being written when the power went was never confirmed: it is dropped. */
static void test_leveldb_drops_a_torn_tail(void **state)
{
    char command[256];

    put(*state, "a", "1", true);
    put(*state, "b", "2", true);
    ww_store_close(*state);
    *state = NULL;
    snprintf(command, sizeof(command), "truncate -s -3 $(ls %s/*.log)", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(ww_store_open(folder, (struct ww_store **)state), 0);
    assert_scan(*state, "", "a=1;");
}

#define FOR_BOTH(test)                                                                             \
    {#test " (memory)", test, memory_set_up, memory_tear_down, NULL},                              \
    {                                                                                              \
#test " (leveldb)", test, leveldb_set_up, leveldb_tear_down, NULL                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_BOTH(test_put_get_delete),
        FOR_BOTH(test_later_operations_win),
        FOR_BOTH(test_scan_order),
        FOR_BOTH(test_scan_stops),
        FOR_BOTH(test_scans_can_be_ended),
        FOR_BOTH(test_scan_is_a_snapshot),
        FOR_BOTH(test_any_bytes),
        FOR_BOTH(test_bad_batch_writes_nothing),
        FOR_BOTH(test_every_allocation_fails),
        {"test_memory_fail_write", test_memory_fail_write, memory_set_up, memory_tear_down, NULL},
        {"test_memory_drop_unsynced", test_memory_drop_unsynced, memory_set_up, memory_tear_down,
         NULL},
        {"test_leveldb_reopens", test_leveldb_reopens, leveldb_set_up, leveldb_tear_down, NULL},
        {"test_leveldb_drops_a_torn_tail", test_leveldb_drops_a_torn_tail, leveldb_set_up,
         leveldb_tear_down, NULL},
        {"test_leveldb_notices_damage", test_leveldb_notices_damage, leveldb_set_up,
         leveldb_tear_down, NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
