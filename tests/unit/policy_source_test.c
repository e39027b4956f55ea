/* Where the files of a set come from: memory, the program, folders. */
#include "policy_set_make.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/policy-source-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    return system(command);
}

static void write_file(const char *name, const char *text, size_t size)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

static bool has(const struct ww_policy_sources *sources, const char *name, const char *text)
{
    for (size_t index = 0; index < sources->count; index++) {
        const struct ww_policy_source *source = &sources->items[index];

        if (strcmp(source->name, name) == 0)
            return !text ||
                   (source->size == strlen(text) && memcmp(source->text, text, source->size) == 0);
    }
    return false;
}

static void test_folder_overrides(void **state)
{
    static const char path[] = "return { choose = function() return { decision = 'turn' } end }";
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;
    size_t count;
    char from[256];
    char to[256];

    (void)state;
    write_file("elsewhere.txt", path, strlen(path));
    snprintf(from, sizeof(from), "%s/elsewhere.txt", folder);
    snprintf(to, sizeof(to), "%s/path.lua", folder);
    assert_int_equal(symlink(from, to), 0); /* links are fine */
    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add_embedded(&sources, "policies/default"), 0);
    count = sources.count;
    assert_true(has(&sources, "path.test.lua", NULL));
    assert_int_equal(ww_policy_sources_add_folder(&sources, folder, &fault), 0);
    assert_true(has(&sources, "path.lua", path));
    assert_false(has(&sources, "path.test.lua", NULL)); /* it tested the other one */
    assert_true(has(&sources, "contract.test.lua", NULL));
    assert_int_equal(sources.count, count - 1);
    write_file("path.test.lua", "test('x', function() end)", 25);
    assert_int_equal(ww_policy_sources_add_folder(&sources, folder, &fault), 0);
    assert_true(has(&sources, "path.test.lua", "test('x', function() end)"));
    for (size_t index = 1; index < sources.count; index++)
        assert_true(strcmp(sources.items[index - 1].name, sources.items[index].name) < 0);
    ww_policy_sources_deinit(&sources);
    remove_file("path.lua");
    remove_file("path.test.lua");
}

static void test_bad_files(void **state)
{
    static char large[WW_POLICY_FILE_BYTES_MAX + 1];
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;
    char path[256];

    (void)state;
    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add_folder(&sources, "/nowhere/at/all", &fault),
                     WW_ENOTFOUND);
    assert_int_equal(fault.kind, WW_ENOTFOUND);

    write_file("path.lua", large, sizeof(large));
    assert_int_equal(ww_policy_sources_add_folder(&sources, folder, &fault), WW_ETOOBIG);
    assert_string_equal(fault.file, "path.lua");
    remove_file("path.lua");

    snprintf(path, sizeof(path), "%s/path.lua", folder);
    assert_int_equal(mkfifo(path, 0600), 0); /* does not block */
    assert_int_equal(ww_policy_sources_add_folder(&sources, folder, &fault), WW_EINVAL);
    remove_file("path.lua");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(ww_policy_sources_add_folder(&sources, folder, &fault), WW_EINVAL);
    remove_file("path.lua");

    write_file("Path-2.lua", "", 0);
    assert_int_equal(ww_policy_sources_add_folder(&sources, folder, &fault), WW_EINVAL);
    assert_string_equal(fault.file, "Path-2.lua");
    remove_file("Path-2.lua");

    write_file(".hidden.lua", "", 0);
    write_file("notes.txt", "", 0);
    assert_int_equal(ww_policy_sources_add_folder(&sources, folder, &fault), 0);
    assert_int_equal(sources.count, 0);
    remove_file(".hidden.lua");
    remove_file("notes.txt");
    ww_policy_sources_deinit(&sources);
}

static void test_limits(void **state)
{
    static char large[WW_POLICY_FILE_BYTES_MAX];
    struct ww_policy_sources sources;
    char name[16];

    (void)state;
    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add(&sources, "../x.lua", "", 0), WW_EINVAL);
    assert_int_equal(ww_policy_sources_add(&sources, ".lua", "", 0), WW_EINVAL);
    assert_int_equal(ww_policy_sources_add(&sources, "x.luac", "", 0), WW_EINVAL);
    for (unsigned index = 0; index < WW_POLICY_FILES_MAX; index++) {
        snprintf(name, sizeof(name), "x%u.lua", index);
        assert_int_equal(ww_policy_sources_add(&sources, name, "", 0), 0);
    }
    assert_int_equal(ww_policy_sources_add(&sources, "y.lua", "", 0), WW_ELIMIT);
    for (unsigned index = 0; index < WW_POLICY_SET_BYTES_MAX / sizeof(large); index++) {
        snprintf(name, sizeof(name), "x%u.lua", index);
        assert_int_equal(ww_policy_sources_add(&sources, name, large, sizeof(large)), 0);
    }
    assert_int_equal(ww_policy_sources_add(&sources, "x9.lua", "x", 1), WW_ETOOBIG);
    assert_int_equal(ww_policy_sources_add(&sources, "x1.lua", "x", 1), 0); /* replaced: room */
    assert_int_equal(ww_policy_sources_add(&sources, "x9.lua", "x", 1), 0);
    ww_policy_sources_deinit(&sources);
    assert_int_equal(ww_policy_sources_add_embedded(&sources, "policies/none"), WW_ENOTFOUND);
}

static void test_unknown_file(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;

    (void)state;
    assert_int_equal(make_file_set("contracts.lua", "return {}", 9, NULL, &set, &fault),
                     WW_EPOLICY_LOAD);
    assert_string_equal(fault.message, "no hook lives in a file of this name");
    assert_string_equal(fault.file, "contracts.lua");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder_overrides),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_unknown_file),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
