/* Files that hold keys and certificates: written whole or not at all, read with suspicion.
 *
 * Relies on rename within one folder being atomic. Must never leave a secret readable by others,
 * not even for a moment, and never follow a symbolic link to one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* The path of the folder that holds `path`: "." and "/" included. */
static int folder_of(const char *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;

    if (path[0] == '\0' || strlen(path) >= PATH_MAX)
        return WW_EINVAL;
    if (!slash || size == 0)
        snprintf(folder, PATH_MAX, "%s", slash ? "/" : ".");
    else
        snprintf(folder, PATH_MAX, "%.*s", (int)size, path);
    return 0;
}

static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    int rc = folder_of(path, folder);
    int fd;

    if (rc)
        return rc;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return WW_EIO;
    rc = fsync(fd) == 0 ? 0 : WW_EIO;
    close(fd);
    return rc;
}

static int make_one(const char *folder)
{
    struct stat status;

    if (mkdir(folder, 0700) == 0)
        return sync_folder(folder); /* the one above it, which now names it */
    if (errno != EEXIST && errno != EROFS && errno != EACCES)
        return WW_EIO;
    return stat(folder, &status) == 0 && S_ISDIR(status.st_mode) ? 0 : WW_EIO;
}

int ww_crypto_folder_make(const char *path)
{
    char folder[PATH_MAX];
    int rc = folder_of(path, folder);

    for (char *at = folder + 1; !rc && *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        rc = make_one(folder);
        *at = '/';
    }
    return rc ? rc : make_one(folder);
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return WW_EIO;
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

/* Gives the finished file its name. */
static int publish(const char *temporary, const char *path, bool replace)
{
    if (replace)
        return rename(temporary, path) == 0 ? 0 : WW_EIO;
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EINVAL || errno == ENOSYS) { /* some network file systems */
        if (link(temporary, path) == 0) {
            unlink(temporary);
            return 0;
        }
    }
    return errno == EEXIST ? WW_EEXIST : WW_EIO;
}

int ww_crypto_file_write(const char *path, const void *data, size_t size, mode_t mode, bool replace)
{
    char temporary[PATH_MAX], suffix[2 * 8 + 1];
    uint8_t random[8];
    int rc, fd;

    ww_random_bytes(random, sizeof(random));
    ww_hex_format(random, sizeof(random), suffix);
    if (snprintf(temporary, sizeof(temporary), "%s.%s.tmp", path, suffix) >= PATH_MAX)
        return WW_EINVAL;
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return WW_EIO;
    rc = fchmod(fd, mode) == 0 ? 0 : WW_EIO; /* whatever the umask says */
    if (!rc)
        rc = write_all(fd, data, size);
    if (!rc && fsync(fd) != 0)
        rc = WW_EIO;
    if (close(fd) != 0 && !rc)
        rc = WW_EIO;
    if (!rc)
        rc = publish(temporary, path, replace);
    if (rc) {
        unlink(temporary);
        return rc;
    }
    return sync_folder(path);
}

static int check_open_file(int fd, size_t limit, bool secret, char *why, size_t why_size)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return ww_crypto_refuse(WW_EIO, why, why_size, "The file can't be examined");
    if (!S_ISREG(status.st_mode))
        return ww_crypto_refuse(WW_EKEYFILE, why, why_size, "It is not a regular file");
    if (secret && status.st_uid != geteuid())
        return ww_crypto_refuse(WW_EKEYFILE, why, why_size,
                                "It belongs to user %u, but this is user %u",
                                (unsigned)status.st_uid, (unsigned)geteuid());
    if (secret && (status.st_mode & 077) != 0)
        return ww_crypto_refuse(WW_EKEYFILE, why, why_size,
                                "Its mode is %04o, so others can use it; run chmod 600 on it",
                                (unsigned)(status.st_mode & 07777));
    if (status.st_size < 0 || (size_t)status.st_size > limit)
        return ww_crypto_refuse(WW_EKEYFILE, why, why_size, "It is larger than %zu bytes", limit);
    return 0;
}

/* Reads into memory taken once: growing it would leave copies of a secret behind. */
static int read_all(int fd, size_t limit, struct ww_buf *out)
{
    uint8_t *space = ww_buf_reserve(out, limit + 1); /* one more, to notice growth */

    if (!space)
        return out->error;
    while (out->size <= limit) {
        ssize_t got = read(fd, space + out->size, limit + 1 - out->size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return WW_EIO;
        if (got == 0)
            return 0;
        out->size += (size_t)got;
    }
    return WW_ETOOBIG;
}

int ww_crypto_file_read(const char *path, size_t limit, bool secret, struct ww_buf *out, char *why,
                        size_t why_size)
{
    /* O_NONBLOCK: a FIFO of that name must not hold the program up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (secret ? O_NOFOLLOW : 0));
    int rc;

    if (fd < 0) {
        if (errno == ENOENT)
            return ww_crypto_refuse(WW_ENOTFOUND, why, why_size, "There is no such file");
        if (errno == ELOOP)
            return ww_crypto_refuse(WW_EKEYFILE, why, why_size,
                                    "It is a symbolic link; name the file itself");
        return ww_crypto_refuse(WW_EKEYFILE, why, why_size, "It can't be opened: %m");
    }
    ww_buf_init(out, limit + 1);
    rc = check_open_file(fd, limit, secret, why, why_size);
    if (!rc) {
        rc = read_all(fd, limit, out);
        if (rc)
            ww_crypto_refuse(rc, why, why_size, "It can't be read");
    }
    close(fd);
    if (rc) {
        if (out->size > 0)
            ww_wipe(out->data, out->size);
        ww_buf_deinit(out);
    }
    return rc;
}
