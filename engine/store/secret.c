/* Secrets of a store on disk: one small file each, beside the folder, so that no file of the
 * database ever holds them. Relies on a file system that overwrites in place, as ext4 and xfs do;
 * one that copies on write, or a disk's own spare blocks, may keep an older copy. Must never leave
 * a secret half written under its name, nor answer that one is erased before the disk has said so.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static int path_of(const char *folder, unsigned slot, const char *suffix, char path[PATH_MAX])
{
    size_t size = strlen(folder);
    int length;

    while (size > 1 && folder[size - 1] == '/')
        size--;
    length = snprintf(path, PATH_MAX, "%.*s-%u.key%s", (int)size, folder, slot, suffix);
    return length < 0 || length >= PATH_MAX ? WW_EINVAL : 0;
}

/* Syncs the folder that the file is in: its name is on disk, or off it. */
static int sync_parent(char path[PATH_MAX])
{
    char *slash = strrchr(path, '/');
    int fd, rc;

    if (slash)
        slash[slash == path ? 1 : 0] = '\0';
    fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return WW_EIO;
    rc = fsync(fd) == 0 ? 0 : WW_EIO;
    close(fd);
    return rc;
}

static int failed(const char *what, const char *path)
{
    ww_log(WW_LOG_ERROR, "store", what, "file=%s errno=%d", WW_Q(path), errno);
    return WW_EIO;
}

int ww_secret_file_get(const char *folder, unsigned slot, uint8_t bytes[WW_STORE_SECRET_BYTES_MAX],
                       size_t *size)
{
    static const uint8_t zeros[WW_STORE_SECRET_BYTES_MAX];
    char path[PATH_MAX];
    struct stat status;
    ssize_t got;
    int fd;

    if (path_of(folder, slot, "", path))
        return WW_EINVAL;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return WW_ENOTFOUND;
    if (fd < 0)
        return failed("A secret can't be opened", path);
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_size > WW_STORE_SECRET_BYTES_MAX) {
        close(fd);
        return failed("A secret is not a file of ours", path);
    }
    got = read(fd, bytes, WW_STORE_SECRET_BYTES_MAX);
    close(fd);
    if (got < 0)
        return failed("A secret can't be read", path);
    *size = (size_t)got;
    /* Overwritten, not yet removed. */
    return memcmp(bytes, zeros, *size) == 0 ? WW_ENOTFOUND : 0;
}

int ww_secret_file_put(const char *folder, unsigned slot, const struct ww_store_secret *secret)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    bool written;
    int fd;

    if (path_of(folder, slot, "", path) || path_of(folder, slot, ".new", temporary))
        return WW_EINVAL;
    unlink(temporary); /* of a put that was cut off: nothing was ever sealed with it */
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed("A secret can't be made", temporary);
    written = write(fd, secret->bytes, secret->size) == (ssize_t)secret->size && fsync(fd) == 0;
    if (close(fd) != 0 || !written || rename(temporary, path) != 0) {
        unlink(temporary);
        return failed("A secret can't be written", path);
    }
    return sync_parent(path);
}

int ww_secret_file_erase(const char *folder, unsigned slot)
{
    static const uint8_t zeros[WW_STORE_SECRET_BYTES_MAX];
    char path[PATH_MAX];
    struct stat status;
    bool erased;
    int fd;

    if (path_of(folder, slot, "", path))
        return WW_EINVAL;
    fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return failed("A secret can't be opened", path);
    erased = fstat(fd, &status) == 0 && status.st_size <= WW_STORE_SECRET_BYTES_MAX &&
             pwrite(fd, zeros, (size_t)status.st_size, 0) == status.st_size && fsync(fd) == 0;
    if (close(fd) != 0 || !erased || unlink(path) != 0)
        return failed("A secret can't be erased", path);
    return sync_parent(path);
}
