/* The log's file: what is lost and what is kept when it is full, also by several threads, by one
 * process after another that is killed, and where somebody else has moved it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"
#include "ww/base.h"

#define LIMIT   65536
#define THREADS 4
#define LINES   120 /* of each thread: more than one file has room for, less than two */
#define KILLS   25

static char folder[] = "/tmp/ww-log-XXXXXX";
static char file[64], old_file[64], moved[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof(file), "%s/log", folder);
    snprintf(old_file, sizeof(old_file), "%s/log.1", folder);
    snprintf(moved, sizeof(moved), "%s/moved", folder);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(file);
    unlink(old_file);
    unlink(moved);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static size_t size_of(const char *path)
{
    struct stat found;

    return stat(path, &found) == 0 ? (size_t)found.st_size : 0;
}

/* Runs it in a process of its own, since a process has one log; gives how that ended. */
static int in_child(void (*run)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* What stands after `key` in each line of the file that is whole, in order; returns how many. A
 * line that a kill has torn lacks its end, and has a line of its own all the same. */
static size_t read_numbers(const char *path, const char *key, unsigned *numbers, size_t most)
{
    char line[WW_LOG_LINE_BYTES + 1];
    size_t count = 0;
    FILE *input = fopen(path, "re");

    while (input && fgets(line, sizeof(line), input)) {
        const char *found = strstr(line, key);

        assert_null(strstr(line + 1, "ts=20"));
        if (!found || !strstr(found, " whole=1\n"))
            continue;
        assert_true(count < most);
        numbers[count++] = (unsigned)strtoul(found + strlen(key), NULL, 10);
    }
    if (input)
        fclose(input);
    return count;
}

static char filler[101];

static void open_log(void)
{
    memset(filler, 'x', sizeof(filler) - 1);
    if (ww_log_to_file(file, LIMIT) != 0)
        _exit(1);
}

static pthread_barrier_t all_there;

static void *write_lines(void *arg)
{
    unsigned first = *(const unsigned *)arg;

    pthread_barrier_wait(&all_there);
    for (unsigned i = 0; i < LINES; i++)
        ww_log(WW_LOG_INFO, "net", "One of many", "fill=%s n=%u whole=1", filler, first + i);
    return NULL;
}

static void threads_write(void)
{
    pthread_t threads[THREADS];
    unsigned first[THREADS];

    open_log();
    pthread_barrier_init(&all_there, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        first[i] = i * LINES;
        if (pthread_create(&threads[i], NULL, write_lines, &first[i]) != 0)
            _exit(1);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all_there);
}

static void check_threads(void)
{
    unsigned numbers[THREADS * LINES];
    bool seen[THREADS * LINES] = {0};
    size_t count;

    assert_int_equal(in_child(threads_write), 0);
    count = read_numbers(old_file, " n=", numbers, WW_ARRAY_COUNT(numbers));
    assert_true(count > 0 && count < WW_ARRAY_COUNT(numbers));
    count += read_numbers(file, " n=", numbers + count, WW_ARRAY_COUNT(numbers) - count);
    assert_int_equal(count, WW_ARRAY_COUNT(numbers));
    for (size_t i = 0; i < count; i++) {
        assert_true(numbers[i] < WW_ARRAY_COUNT(numbers) && !seen[numbers[i]]);
        seen[numbers[i]] = true;
    }
}

static void test_threads_lose_nothing(void **state)
{
    for (int i = 0; i < 20; i++) {
        check_threads();
        remove_files(state);
    }
}

static atomic_uint *written; /* shared with the child: lines that are certainly written */

static void write_until_killed(void)
{
    open_log();
    for (;;) {
        unsigned n = atomic_load(written);

        ww_log(WW_LOG_INFO, "net", "One of many", "fill=%s n=%u whole=1", filler, n);
        atomic_store(written, n + 1);
    }
}

/* The last lines are there without a gap, however often the process dies (in the old file only, if
 * that was before there was a new one). One line may be there twice: written, and not yet counted.
 */
static void test_kills_lose_nothing(void **state)
{
    static unsigned numbers[4 * LIMIT / 100];
    size_t count;

    (void)state;
    written =
        mmap(NULL, sizeof(*written), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(written, MAP_FAILED);
    for (unsigned i = 0; i < KILLS; i++) {
        unsigned before = atomic_load(written);
        pid_t child = fork();

        if (child == 0)
            write_until_killed();
        while (atomic_load(written) < before + 100 + 37 * i)
            usleep(100);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        count = read_numbers(old_file, " n=", numbers, WW_ARRAY_COUNT(numbers));
        count += read_numbers(file, " n=", numbers + count, WW_ARRAY_COUNT(numbers) - count);
        assert_true(count > 0 && numbers[count - 1] + 1 >= atomic_load(written));
        for (size_t k = 1; k < count; k++)
            assert_in_range(numbers[k] - numbers[k - 1], 0, 1);
        assert_in_range(size_of(file), 0, LIMIT);
        assert_in_range(size_of(old_file), 0, LIMIT);
    }
    assert_true(size_of(old_file) > LIMIT - WW_LOG_LINE_BYTES);
    munmap(written, sizeof(*written));
}

static void fill(void)
{
    for (size_t i = 0; i * sizeof(filler) < LIMIT; i++)
        ww_log(WW_LOG_INFO, "net", "Filler", "fill=%s", filler);
}

static void write_with_stderr(void)
{
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT, 0600);

    dup2(fd, STDERR_FILENO);
    close(fd);
    open_log();
    fill();
    dprintf(STDERR_FILENO, "ts=2026 a library's last words last=7 whole=1\n");
}

static void write_one(void)
{
    open_log();
    ww_log(WW_LOG_INFO, "net", "After", "mark=1 whole=1");
}

/* A kill may leave a piece of a line, when the line lies across two pages. */
static void test_begins_a_line(void **state)
{
    unsigned number = 0;
    FILE *output = fopen(file, "we");

    (void)state;
    assert_non_null(output);
    fputs("ts=2026-11-27 level=info room=net msg=\"One of", output);
    fclose(output);
    assert_int_equal(in_child(write_one), 0);
    assert_int_equal(read_numbers(file, "msg=\"After\" mark=", &number, 1), 1);
}

/* What is not the log's own, an abort's words, would else be in a file that nobody looks into. */
static void test_stderr_moves_along(void **state)
{
    unsigned number = 0;

    (void)state;
    assert_int_equal(in_child(write_with_stderr), 0);
    assert_true(size_of(old_file) > 0);
    assert_int_equal(read_numbers(file, " last=", &number, 1), 1);
    assert_int_equal(number, 7);
}

static void write_when_moved(void)
{
    open_log();
    ww_log(WW_LOG_INFO, "net", "Before", "mark=1 whole=1");
    if (rename(file, moved) != 0)
        _exit(1);
    fill();
    ww_log(WW_LOG_INFO, "net", "After", "mark=2 whole=1");
}

static void test_moved_by_others(void **state)
{
    unsigned number = 0;

    (void)state;
    assert_int_equal(in_child(write_when_moved), 0);
    assert_int_equal(read_numbers(moved, " mark=", &number, 1), 1);
    assert_int_equal(number, 1);
    assert_int_equal(read_numbers(file, " mark=", &number, 1), 1);
    assert_int_equal(number, 2);
    assert_int_equal(access(old_file, F_OK), -1);
}

static void write_with_no_place(void)
{
    open_log();
    for (unsigned i = 0; i < 4; i++)
        fill();
    ww_log(WW_LOG_INFO, "net", "After", "mark=2 whole=1");
}

/* Where the old one can't go, it is the disk that is spared. */
static void test_no_place_for_the_old(void **state)
{
    unsigned number = 0;

    (void)state;
    assert_int_equal(mkdir(old_file, 0700), 0);
    assert_int_equal(in_child(write_with_no_place), 0);
    assert_in_range(size_of(file), 1, 2 * LIMIT + LIMIT / 4);
    assert_int_equal(read_numbers(file, " mark=", &number, 1), 1);
    assert_int_equal(number, 2);
    assert_int_equal(rmdir(old_file), 0);
}

static void refuse(void)
{
    char too_long[8192];

    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    if (ww_log_to_file(too_long, LIMIT) != WW_EINVAL || ww_log_to_file(file, 5) != WW_EINVAL)
        _exit(1);
    if (symlink(moved, file) != 0 || ww_log_to_file(file, LIMIT) != WW_EIO || errno != ELOOP)
        _exit(2);
    if (unlink(file) != 0 || ww_log_to_file("/dev/null", LIMIT) != WW_EINVAL)
        _exit(3);
    if (ww_log_to_file(file, LIMIT) != 0 || ww_log_to_file(file, LIMIT) != WW_EEXIST)
        _exit(4);
}

static void test_refused(void **state)
{
    struct stat found;

    (void)state;
    assert_int_equal(in_child(refuse), 0);
    assert_int_equal(stat(file, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_threads_lose_nothing, remove_files),
        cmocka_unit_test_teardown(test_kills_lose_nothing, remove_files),
        cmocka_unit_test_teardown(test_begins_a_line, remove_files),
        cmocka_unit_test_teardown(test_stderr_moves_along, remove_files),
        cmocka_unit_test_teardown(test_moved_by_others, remove_files),
        cmocka_unit_test_teardown(test_no_place_for_the_old, remove_files),
        cmocka_unit_test_teardown(test_refused, remove_files),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
