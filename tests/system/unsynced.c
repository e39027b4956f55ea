/* A power cut for one process's files: the rigged program has an fsync and an fdatasync of its own,
 * which keep what was durable, and a command that puts a folder back to that.
 *
 * What survives is what POSIX promises: a file's bytes as of its last sync, under the names that
 * its folder had at the folder's last sync. So a new file whose folder was never synced is gone, a
 * rename or a removal whose folder was never synced has not happened. Crueller than any file
 * system, on purpose.
 *
 * Linked into the program instead of preloaded, as a sanitizer wants to come first. For processes
 * with WW_UNSYNCED_ROOT (the folder) and WW_UNSYNCED_KEPT (beside it, on the same file system) set:
 *   KEPT/data/INODE    the bytes of a file as of its last sync
 *   KEPT/names/INODE   the names and inodes of a folder as of its last sync
 *   KEPT/links/INODE   another name for a file, so that its inode number is not used again
 * At its first start everything is durable. `system_rigged restore` with the same variables puts
 * the folder back, and forgets what was kept.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 8

int rigged_main(int argc, char **argv);

static const char *root, *kept;
static pthread_mutex_t keeping = PTHREAD_MUTEX_INITIALIZER; /* LevelDB syncs on two threads */

static void die(const char *what, const char *path)
{
    fprintf(stderr, "unsynced: %s %s: %s\n", what, path, strerror(errno));
    _exit(70);
}

static void join(char out[PATH_MAX], const char *folder, const char *name)
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        die("the path is too long:", name);
}

static void kept_path(char out[PATH_MAX], const char *kind, ino_t inode)
{
    if (snprintf(out, PATH_MAX, "%s/%s/%llu", kept, kind, (unsigned long long)inode) >= PATH_MAX)
        die("the path is too long:", kept);
}

static int real_sync(const char *name, int fd)
{
    int (*function)(int) = NULL;
    void *symbol = dlsym(RTLD_NEXT, name);

    memcpy(&function, &symbol, sizeof(function));
    return function(fd);
}

/* --- keeping ---------------------------------------------------------------------------------- */

/* From `offset` on; the rest is there already. */
static void copy_bytes(int from, const char *path, off_t offset)
{
    struct stat info;
    int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (to < 0 || fstat(from, &info) != 0 || lseek(to, offset, SEEK_SET) < 0)
        die("can't write", path);
    while (offset < info.st_size) {
        if (sendfile(to, from, &offset, (size_t)(info.st_size - offset)) <= 0)
            die("can't copy to", path);
    }
    if (ftruncate(to, info.st_size) != 0)
        die("can't cut", path);
    close(to);
}

/* LevelDB only appends to its files, and they are large. */
static bool only_grows(const char *path)
{
    const char *name = strrchr(path, '/');

    return strstr(path, ".log") || strstr(path, ".ldb") ||
           (name && strncmp(name, "/MANIFEST", 9) == 0);
}

static void keep_file(int fd, const char *path, ino_t inode)
{
    struct stat info = {0};
    char copy[PATH_MAX], fd_path[64];
    off_t offset = 0;

    kept_path(copy, "data", inode);
    if (only_grows(path) && stat(copy, &info) == 0)
        offset = info.st_size;
    snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", fd);
    int from = open(fd_path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        die("can't read", path);
    copy_bytes(from, copy, offset);
    close(from);
}

static void keep_names(const char *path, ino_t inode)
{
    char list[PATH_MAX], fresh[PATH_MAX], file[PATH_MAX], link_path[PATH_MAX];
    DIR *folder = opendir(path);
    struct dirent *entry;
    struct stat info;

    kept_path(list, "names", inode);
    join(fresh, kept, "names/fresh");
    FILE *out = fopen(fresh, "we");
    if (!folder || !out)
        die("can't list", path);
    while ((entry = readdir(folder))) {
        join(file, path, entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            lstat(file, &info) != 0 || !(S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)))
            continue;
        if (S_ISREG(info.st_mode)) {
            kept_path(link_path, "links", info.st_ino);
            if (link(file, link_path) != 0 && errno != EEXIST)
                continue; /* it has gone meanwhile */
        }
        fprintf(out, "%c %llu %o %s\n", S_ISDIR(info.st_mode) ? 'd' : 'f',
                (unsigned long long)info.st_ino, info.st_mode & 07777, entry->d_name);
    }
    closedir(folder);
    if (fclose(out) != 0 || rename(fresh, list) != 0)
        die("can't keep the names of", path);
}

static void keep_tree(const char *path, int depth)
{
    char child[PATH_MAX];
    struct stat info;

    if (depth == DEPTH_MAX || lstat(path, &info) != 0)
        die("can't keep", path);
    if (S_ISREG(info.st_mode)) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            die("can't open", path);
        keep_file(fd, path, info.st_ino);
        close(fd);
    }
    if (!S_ISDIR(info.st_mode))
        return;
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        join(child, path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            keep_tree(child, depth + 1);
    }
    closedir(folder);
    keep_names(path, info.st_ino);
}

__attribute__((constructor)) static void begin(void)
{
    char path[PATH_MAX];

    root = getenv("WW_UNSYNCED_ROOT");
    kept = getenv("WW_UNSYNCED_KEPT");
    if (!root || !kept)
        return;
    if (mkdir(kept, 0700) != 0) {
        if (errno != EEXIST)
            die("can't make", kept);
        return; /* a later start */
    }
    for (const char *const *kind = (const char *const[]){"data", "names", "links", NULL}; *kind;
         kind++) {
        join(path, kept, *kind);
        if (mkdir(path, 0700) != 0)
            die("can't make", path);
    }
    keep_tree(root, 0);
}

/* Before the caller is told: so whatever it acknowledges is kept. */
static void note_sync(int fd)
{
    char fd_path[64], path[PATH_MAX];
    int saved = errno;
    struct stat info;

    snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", fd);
    ssize_t size = root && kept ? readlink(fd_path, path, sizeof(path) - 1) : -1;
    if (size > 0) {
        path[size] = '\0';
        if (strncmp(path, root, strlen(root)) == 0 && fstat(fd, &info) == 0) {
            pthread_mutex_lock(&keeping);
            if (S_ISREG(info.st_mode))
                keep_file(fd, path, info.st_ino);
            else if (S_ISDIR(info.st_mode))
                keep_names(path, info.st_ino);
            pthread_mutex_unlock(&keeping);
        }
    }
    errno = saved;
}

/* Seen by the libraries, too: LevelDB's calls end here. */
#pragma GCC visibility push(default)
int fsync(int fd)
{
    int rc = real_sync("fsync", fd);

    if (rc == 0)
        note_sync(fd);
    return rc;
}

int fdatasync(int fd)
{
    int rc = real_sync("fdatasync", fd);

    if (rc == 0)
        note_sync(fd);
    return rc;
}

#pragma GCC visibility pop

/* --- restoring -------------------------------------------------------------------------------- */

static void restore_file(const char *path, ino_t inode, mode_t mode)
{
    char copy[PATH_MAX];

    kept_path(copy, "data", inode);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (to < 0)
        die("can't make", path);
    fchmod(to, mode);
    close(to);
    int from = open(copy, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return; /* it was never synced: an empty file */
    copy_bytes(from, path, 0);
    close(from);
}

static void restore_folder(const char *path, ino_t inode, int depth)
{
    char list[PATH_MAX], line[PATH_MAX], child[PATH_MAX];

    kept_path(list, "names", inode);
    FILE *in = fopen(list, "re");
    while (in && fgets(line, sizeof(line), in)) {
        unsigned long long number;
        unsigned mode;
        int name_at = 0;
        char kind;

        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%c %llu %o %n", &kind, &number, &mode, &name_at) != 3 || !name_at)
            die("can't read", list);
        join(child, path, line + name_at);
        if (kind == 'f') {
            restore_file(child, (ino_t)number, mode);
        } else {
            if (mkdir(child, mode) != 0 || depth == DEPTH_MAX)
                die("can't make", child);
            restore_folder(child, (ino_t)number, depth + 1);
        }
    }
    if (in)
        fclose(in);
}

int main(int argc, char **argv)
{
    char fresh[PATH_MAX], old[PATH_MAX];
    struct stat info;

    if (argc != 2 || strcmp(argv[1], "restore") != 0 || !root || !kept)
        return rigged_main(argc, argv);
    if (stat(root, &info) != 0)
        die("there is no", root);
    join(fresh, kept, "fresh");
    join(old, kept, "old");
    if (mkdir(fresh, info.st_mode & 07777) != 0)
        die("can't make", fresh);
    restore_folder(fresh, info.st_ino, 0);
    if (rename(root, old) != 0 || rename(fresh, root) != 0)
        die("can't put back", root);
    return 0;
}
