/* The log's lines, read back from a pipe that stands in for stderr; and the built-in scripts. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"
#include "ww/base.h"
#include "ww/scripts.h"

static int saved_stderr;
static int pipe_read;

static int capture(void **state)
{
    int ends[2];

    (void)state;
    unsetenv("JOURNAL_STREAM");
    if (pipe(ends) != 0)
        return -1;
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    pipe_read = ends[0];
    return 0;
}

static int release(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(pipe_read);
    ww_log_set_json(false);
    ww_log_set_level(WW_LOG_INFO);
    unsetenv("JOURNAL_STREAM");
    return 0;
}

/* What one call wrote: one read, since it is one write. */
static const char *line(void)
{
    static char text[4096];
    ssize_t size = read(pipe_read, text, sizeof(text) - 1);

    assert_true(size > 0 && size <= WW_LOG_LINE_BYTES);
    text[size] = '\0';
    assert_ptr_equal(strchr(text, '\n'), text + size - 1);
    return text;
}

static void test_plain_line(void **state)
{
    const char *text;

    (void)state;
    errno = 77;
    ww_log(WW_LOG_WARN, "net", "It \"said\"", "peer=%s bytes=%d", "abc", 12);
    assert_int_equal(errno, 77);
    text = line();
    assert_int_equal(strncmp(text, "ts=20", 5), 0);
    assert_int_equal(text[strlen("ts=2026-01-02T03:04:05.678")], 'Z');
    assert_non_null(
        strstr(text, " level=warn room=net msg=\"It \\\"said\\\"\" peer=abc bytes=12\n"));
    ww_log(WW_LOG_INFO, "net", "Nothing to add", "");
    assert_non_null(strstr(line(), " room=net msg=\"Nothing to add\"\n"));
}

static void test_escaping(void **state)
{
    (void)state;
    ww_log(WW_LOG_INFO, "net", "a\nb", "reason=%s n=1", WW_Q("x y\"z\\\n\x7f level=error"));
    assert_non_null(strstr(
        line(), "msg=\"a\\u000ab\" reason=\"x y\\\"z\\\\\\u000a\\u007f level=error\" n=1\n"));
    ww_log(WW_LOG_INFO, "net", "m", "reason=%s",
           WW_Q("\xc2\x9b"
                "2J \xc2\xa0\xc2"));
    assert_non_null(strstr(line(), " reason=\"\\u009b2J \xc2\xa0\xc2\"\n"));
    /* One who forgets to quote can't start a new line. */
    ww_log(WW_LOG_INFO, "net", "m", "value=%s", "a\nts=forged");
    assert_non_null(strstr(line(), " value=a?ts=forged\n"));
}

static void test_json(void **state)
{
    (void)state;
    ww_log_set_json(true);
    ww_log(WW_LOG_ERROR, "store", "Broken", "n=42 zero=0 lead=007 text=%s name=abc flag",
           WW_Q("a \"b\""));
    assert_non_null(strstr(line(), "\",\"level\":\"error\",\"room\":\"store\",\"msg\":\"Broken\","
                                   "\"n\":42,\"zero\":0,\"lead\":\"007\","
                                   "\"text\":\"a \\\"b\\\"\",\"name\":\"abc\",\"flag\":true}\n"));
    ww_log(WW_LOG_ERROR, "store", "m", "bad=\"un\"quoted");
    assert_non_null(strstr(line(), ",\"bad\":\"\\\"un\\\"quoted\"}\n"));
}

static void test_long_lines(void **state)
{
    char big[3000];
    const char *text;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    ww_log(WW_LOG_INFO, "net", big, "k=1");
    text = line();
    assert_true(strlen(text) > WW_LOG_LINE_BYTES - 8);
    assert_string_equal(text + strlen(text) - 3, "x\"\n");
    ww_log(WW_LOG_INFO, "net", "m", "first=1 big=%s", big);
    assert_non_null(strstr(line(), " first=1\n"));
    ww_log_set_json(true);
    ww_log(WW_LOG_INFO, "net", big, "k=1");
    text = line();
    assert_string_equal(text + strlen(text) - 4, "x\"}\n");
}

static void test_levels_and_journal(void **state)
{
    enum ww_log_level level;

    (void)state;
    assert_false(ww_log_enabled(WW_LOG_DEBUG));
    ww_log(WW_LOG_DEBUG, "net", "Hidden", "");
    assert_int_equal(ww_log_level_parse("debug", &level), 0);
    assert_int_equal(ww_log_level_parse("loud", &level), WW_EINVAL);
    ww_log_set_level(level);
    setenv("JOURNAL_STREAM", "8:1", 1);
    ww_log(WW_LOG_DEBUG, "net", "Shown", "");
    assert_int_equal(strncmp(line(), "<7>ts=", 6), 0);
}

/* The newest line that is kept. */
static struct ww_log_line newest(void)
{
    struct ww_log_line last = {.number = 0}, next;

    while (ww_log_line(last.number + 1, &next))
        last = next;
    return last;
}

static void test_kept_lines(void **state)
{
    char big[3000];
    struct ww_log_line line = newest();
    uint64_t before = line.number;

    (void)state;
    assert_false(ww_log_line(before + 1, &line));
    ww_log(WW_LOG_WARN, "net", "It \"said\"", "peer=%s bytes=%d", WW_Q("a b"), 12);
    ww_log(WW_LOG_DEBUG, "net", "Hidden", "");
    assert_true(ww_log_line(before + 1, &line));
    assert_int_equal(line.number, before + 1);
    assert_int_equal(line.level, WW_LOG_WARN);
    assert_string_equal(line.room, "net");
    assert_string_equal(line.message, "It \"said\"");
    assert_string_equal(line.pairs, "peer=\"a b\" bytes=12");
    assert_true(line.time_ms > 1000000);
    assert_false(ww_log_line(before + 2, &line));

    /* Kept without being written, and no longer. */
    ww_log_set_level(WW_LOG_ERROR);
    ww_log_keep_level(WW_LOG_DEBUG);
    assert_true(ww_log_enabled(WW_LOG_DEBUG));
    ww_log(WW_LOG_DEBUG, "net", "Seen by one", "");
    ww_log_keep_level(WW_LOG_ERROR);
    assert_false(ww_log_enabled(WW_LOG_DEBUG));
    ww_log(WW_LOG_ERROR, "net", "Written", "");
    assert_true(ww_log_line(before + 2, &line));
    assert_string_equal(line.message, "Seen by one");

    /* Long ones are cut between characters; of many the last are there. */
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    memcpy(big + sizeof(line.message) - 2, "\xe2\x82\xac", 3);
    ww_log(WW_LOG_ERROR, "net", big, "");
    assert_int_equal(strlen(newest().message), sizeof(line.message) - 2);
    before = newest().number;
    ww_log_set_level(WW_LOG_ERROR);
    ww_log_keep_level(WW_LOG_DEBUG);
    for (int i = 0; i < WW_LOG_KEPT_LINES + 5; i++)
        ww_log(WW_LOG_DEBUG, "net", "One of many", "");
    ww_log_keep_level(WW_LOG_ERROR);
    assert_true(ww_log_line(1, &line));
    assert_int_equal(line.number, before + 6);
}

static void *log_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++)
        ww_log(WW_LOG_DEBUG, "net", "One of many", "n=%d", i);
    return NULL;
}

static void test_kept_by_threads(void **state)
{
    pthread_t threads[2];
    struct ww_log_line line;
    uint64_t last = 0;

    (void)state;
    ww_log_keep_level(WW_LOG_DEBUG);
    for (size_t i = 0; i < WW_ARRAY_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        if (!ww_log_line(last + 1, &line))
            continue;
        assert_true(line.number > last);
        last = line.number;
    }
    for (size_t i = 0; i < WW_ARRAY_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    ww_log_keep_level(WW_LOG_ERROR);
    assert_string_equal(newest().message, "One of many");
}

static void test_scripts(void **state)
{
    const char *data;
    const char *before = "";
    size_t size;

    (void)state;
    assert_int_equal(ww_script_find("lua/vendor/argparse.lua", &data, &size), 0);
    assert_true(size > 1000);
    assert_int_equal(data[size], '\0');
    assert_non_null(strstr(data, "argparse"));
    assert_int_equal(ww_script_find("lua/vendor/argparse", &data, &size), WW_ENOTFOUND);
    for (size_t i = 0; i < ww_script_count(); i++) {
        const char *name;
        const char *found;
        size_t found_size;

        assert_int_equal(ww_script_at(i, &name, &data, &size), 0);
        assert_true(strcmp(before, name) < 0);
        assert_int_equal(ww_script_find(name, &found, &found_size), 0);
        assert_ptr_equal(found, data);
        assert_int_equal(found_size, size);
        before = name;
    }
    assert_int_equal(ww_script_at(ww_script_count(), &before, &data, &size), WW_ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain_line, capture, release),
        cmocka_unit_test_setup_teardown(test_escaping, capture, release),
        cmocka_unit_test_setup_teardown(test_json, capture, release),
        cmocka_unit_test_setup_teardown(test_long_lines, capture, release),
        cmocka_unit_test_setup_teardown(test_levels_and_journal, capture, release),
        cmocka_unit_test_setup_teardown(test_kept_lines, capture, release),
        cmocka_unit_test_setup_teardown(test_kept_by_threads, capture, release),
        cmocka_unit_test(test_scripts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
