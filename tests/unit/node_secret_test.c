/* A provider's session secrets over a restart: sealed on disk, the present one and those before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "provider.h"

struct rig {
    struct provider provider;
    char folder[64];
    struct ww_loop *loop;
};

static void open_state(struct rig *rig)
{
    rig->provider.edge.loop = rig->loop;
    rig->provider.edge.role = WW_TRANSFER_PROVIDER;
    assert_int_equal(edge_state_open(&rig->provider.edge, rig->folder), 0);
}

static void create(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    snprintf(rig->folder, sizeof(rig->folder), "/tmp/ww-secret-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    assert_int_equal(ww_loop_create(&rig->loop), 0);
    open_state(rig);
    assert_int_equal(provider_load_secrets(&rig->provider, rig->folder), 0);
}

static void close_state(struct rig *rig)
{
    provider_forget_secrets(&rig->provider);
    edge_state_close(&rig->provider.edge);
    memset(&rig->provider, 0, sizeof(rig->provider));
}

static int restart(struct rig *rig)
{
    close_state(rig);
    open_state(rig);
    return provider_load_secrets(&rig->provider, rig->folder);
}

static void destroy(struct rig *rig)
{
    char command[128];

    close_state(rig);
    ww_loop_destroy(rig->loop);
    snprintf(command, sizeof(command), "rm -r %s", rig->folder);
    assert_int_equal(system(command), 0);
}

static const struct provider_secret *find(const struct rig *rig, uint8_t number)
{
    const struct ww_id key_id = {{number}};
    struct provider_secret *entry = NULL;

    HASH_FIND(hh, rig->provider.secrets, &key_id, sizeof(key_id), entry);
    return entry;
}

static int set(struct rig *rig, uint8_t number)
{
    const struct ww_id key_id = {{number}};
    uint8_t secret[32];

    memset(secret, number, sizeof(secret));
    return provider_set_secret(&rig->provider, &key_id, secret);
}

static void test_restart(void **state)
{
    struct rig rig;

    (void)state;
    create(&rig);
    assert_int_equal(set(&rig, 1), 0);
    assert_int_equal(set(&rig, 1), 0);
    assert_int_equal(restart(&rig), 0);
    assert_non_null(find(&rig, 1));
    assert_int_equal(find(&rig, 1)->secret[31], 1);
    assert_true(find(&rig, 1)->until_s == UINT64_MAX);
    /* A new one: the one before is kept as long as a contract under it may run. */
    assert_int_equal(set(&rig, 2), 0);
    assert_int_equal(restart(&rig), 0);
    assert_true(find(&rig, 2)->until_s == UINT64_MAX);
    assert_in_range(find(&rig, 1)->until_s, ww_clock_wall_ms() / 1000 + WW_EXPIRES_S,
                    ww_clock_wall_ms() / 1000 + WW_EXPIRES_S + 2 * WW_OPEN_BY_S);
    destroy(&rig);
}

static void test_expired(void **state)
{
    struct provider_secret *entry;
    struct rig rig;

    (void)state;
    create(&rig);
    assert_int_equal(set(&rig, 1), 0);
    entry = (struct provider_secret *)(uintptr_t)find(&rig, 1);
    entry->until_s = 1; /* 1970 */
    assert_int_equal(set(&rig, 2), 0);
    assert_null(find(&rig, 1));
    assert_int_equal(restart(&rig), 0);
    assert_null(find(&rig, 1));
    assert_non_null(find(&rig, 2));
    destroy(&rig);
}

static void test_bounded(void **state)
{
    struct rig rig;

    (void)state;
    create(&rig);
    for (uint8_t i = 1; i <= WW_NODE_SECRETS_MAX; i++)
        assert_int_equal(set(&rig, i), 0);
    assert_int_equal(set(&rig, 200), WW_ELIMIT);
    destroy(&rig);
}

/* The database without the key that lies beside it says nothing. */
static void test_sealed(void **state)
{
    struct rig rig;
    struct stat info;
    char path[96];

    (void)state;
    create(&rig);
    assert_int_equal(set(&rig, 1), 0);
    snprintf(path, sizeof(path), "%s/store.key", rig.folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, 32);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(restart(&rig), WW_ECORRUPT);
    destroy(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_sealed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
