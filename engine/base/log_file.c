/* The log's file, for nodes that nobody reads the standard error of: bounded, one old file is kept.
 *
 * Like the log itself it allocates nothing and waits for nobody. The descriptor has one number from
 * the start on and is exchanged by dup3, so a thread that writes meanwhile writes its line to the
 * old file or to the new one, and never to none.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log_room.h"

static char path_now[PATH_MAX], path_old[PATH_MAX + 2];
static uint64_t bytes_limit;
static atomic_int sink = -1;
static atomic_ullong size_now;
static atomic_flag is_rotating = ATOMIC_FLAG_INIT;

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* No link is followed: the folder may be another user's, and this process root's. */
static int open_file(struct stat *found)
{
    int fd =
        open(path_now, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (fd < 0)
        return WW_EIO;
    if (fstat(fd, found) != 0 || !S_ISREG(found->st_mode)) {
        close(fd);
        errno = EINVAL;
        return WW_EINVAL;
    }
    return fd;
}

/* A process that was killed may have left a piece of a line, if that lay across two pages. */
static void end_line(int fd, struct stat *found)
{
    char last = '\n';

    if (found->st_size > 0 && pread(fd, &last, 1, found->st_size - 1) == 1 && last != '\n' &&
        write(fd, "\n", 1) == 1)
        found->st_size++;
}

/* Where it can't be done the file goes on, and this is tried again an eighth later; with twice the
 * limit it begins anew. */
static void rotate(int fd)
{
    struct stat now, there, fresh;
    int made;

    atomic_store(&size_now, bytes_limit - bytes_limit / 8);
    if (fstat(fd, &now) != 0)
        return;
    /* Unless somebody else has: another process with the same file, or a person. */
    if (lstat(path_now, &there) == 0 && is_same(&now, &there) && rename(path_now, path_old) != 0) {
        /* The disk is worth more than the lines. */
        if ((uint64_t)now.st_size >= 2 * bytes_limit && ftruncate(fd, 0) == 0)
            atomic_store(&size_now, 0);
        return;
    }
    made = open_file(&fresh);
    if (made < 0)
        return;
    for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++) {
        if (fstat(i, &there) == 0 && is_same(&now, &there))
            dup2(made, i);
    }
    dup3(made, fd, O_CLOEXEC);
    close(made);
    atomic_store(&size_now, (unsigned long long)fresh.st_size);
}

int ww_log_sink(size_t line_size)
{
    int fd = atomic_load_explicit(&sink, memory_order_acquire);
    uint64_t before;

    if (fd < 0)
        return STDERR_FILENO;
    before = atomic_fetch_add(&size_now, line_size);
    if (before + line_size > bytes_limit && before > 0 &&
        !atomic_flag_test_and_set_explicit(&is_rotating, memory_order_acquire)) {
        /* Not if another thread just has. */
        if (atomic_load(&size_now) > bytes_limit) {
            rotate(fd);
            atomic_fetch_add(&size_now, line_size);
        }
        atomic_flag_clear_explicit(&is_rotating, memory_order_release);
    }
    return fd;
}

bool ww_log_has_file(void)
{
    return atomic_load_explicit(&sink, memory_order_relaxed) >= 0;
}

int ww_log_to_file(const char *path, uint64_t bytes_max)
{
    struct stat found;
    int fd;

    if (ww_log_has_file())
        return WW_EEXIST;
    if (strlen(path) >= sizeof(path_now) || bytes_max < WW_LOG_LINE_BYTES)
        return WW_EINVAL;
    snprintf(path_now, sizeof(path_now), "%s", path);
    snprintf(path_old, sizeof(path_old), "%s.1", path);
    bytes_limit = bytes_max;
    fd = open_file(&found);
    if (fd < 0)
        return fd;
    end_line(fd, &found);
    atomic_store(&size_now, (unsigned long long)found.st_size);
    atomic_store_explicit(&sink, fd, memory_order_release);
    return 0;
}
