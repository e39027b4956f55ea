/* The files of a store that nobody has open: copied, so that a repair never touches the only one
 * there is, and put in its place. Relies on LevelDB's lock, a POSIX lock on the file LOCK, and on a
 * store's folder being flat. Must never leave half a copy under the name of a whole one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static int failed(const char *what, const char *path)
{
    ww_log(WW_LOG_ERROR, "store", what, "path=%s errno=%d", WW_Q(path), errno);
    return WW_EIO;
}

/* *fd holds the lock until it is closed. */
static int lock(const char *folder, int *fd)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/LOCK", folder) >= PATH_MAX)
        return WW_EINVAL;
    *fd = open(path, O_RDWR | O_CLOEXEC);
    if (*fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? WW_ENOTFOUND : failed("No lock", path);
    if (fcntl(*fd, F_SETLK, &range) == 0)
        return 0;
    close(*fd);
    return WW_EAGAIN;
}

static int sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return WW_EIO;
    rc = fsync(fd) == 0 ? 0 : WW_EIO;
    close(fd);
    return rc;
}

static int sync_parent(const char *path)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int size = slash ? (int)(slash - path) : 0;

    if (size >= PATH_MAX)
        return WW_EINVAL;
    snprintf(parent, sizeof(parent), "%.*s", size, path);
    return sync_folder(slash ? (size ? parent : "/") : ".");
}

static int copy_content(int from, int to)
{
    ssize_t sent;

    do
        sent = sendfile(to, from, NULL, 1 << 24);
    while (sent > 0 || (sent < 0 && errno == EINTR));
    return sent == 0 && fsync(to) == 0 ? 0 : WW_EIO;
}

static int copy_file(const char *folder, const char *to_folder, const char *name)
{
    char from_path[PATH_MAX], to_path[PATH_MAX];
    int from, to, rc;

    if (snprintf(from_path, sizeof(from_path), "%s/%s", folder, name) >= PATH_MAX ||
        snprintf(to_path, sizeof(to_path), "%s/%s", to_folder, name) >= PATH_MAX)
        return WW_EINVAL;
    from = open(from_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return failed("A file can't be read", from_path);
    to = open(to_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    rc = to < 0 ? WW_EIO : copy_content(from, to);
    if (to >= 0 && close(to) != 0)
        rc = WW_EIO;
    close(from);
    return rc ? failed("A file can't be copied", to_path) : 0;
}

/* Calls fn for each file of the folder. */
static int each_file(const char *folder, const char *to,
                     int (*fn)(const char *folder, const char *to, const char *name))
{
    DIR *list = opendir(folder);
    const struct dirent *entry;
    int rc = 0;

    if (!list)
        return errno == ENOENT ? WW_ENOTFOUND : failed("A folder can't be listed", folder);
    while (!rc && (entry = readdir(list)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = fn(folder, to, entry->d_name);
    closedir(list);
    return rc;
}

static int copy_entry(const char *folder, const char *to, const char *name)
{
    return strcmp(name, "LOCK") == 0 ? 0 : copy_file(folder, to, name);
}

static int remove_entry(const char *folder, const char *to, const char *name)
{
    char path[PATH_MAX];

    (void)to;
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= PATH_MAX)
        return WW_EINVAL;
    return unlink(path) == 0 ? 0 : failed("A file can't be removed", path);
}

int ww_store_remove(const char *folder)
{
    int rc = each_file(folder, NULL, remove_entry);

    if (rc == WW_ENOTFOUND)
        return 0;
    if (!rc && rmdir(folder) != 0)
        rc = failed("A folder can't be removed", folder);
    return rc;
}

int ww_store_copy(const char *folder, const char *to)
{
    int fd, rc = lock(folder, &fd);

    if (rc)
        return rc;
    if (mkdir(to, 0700) != 0) {
        rc = errno == EEXIST ? WW_EEXIST : failed("A folder can't be made", to);
        close(fd);
        return rc;
    }
    rc = each_file(folder, to, copy_entry);
    if (!rc)
        rc = sync_folder(to);
    close(fd);
    if (rc)
        ww_store_remove(to);
    return rc ? rc : sync_parent(to);
}

int ww_store_rename(const char *folder, const char *to)
{
    if (access(to, F_OK) == 0)
        return WW_EEXIST;
    return rename(folder, to) == 0 ? sync_parent(to) : failed("A store can't be named", to);
}

int ww_store_replace(const char *folder, const char *copy, const char *aside)
{
    int fd, rc = lock(folder, &fd);

    if (rc)
        return rc;
    if (access(aside, F_OK) == 0) {
        rc = WW_EEXIST;
    } else if (rename(folder, aside) != 0) {
        rc = failed("The store can't be put aside", folder);
    } else if (rename(copy, folder) != 0) {
        rc = failed("The copy can't be put in its place", folder);
        rename(aside, folder);
    }
    close(fd);
    return rc ? rc : sync_parent(folder);
}
