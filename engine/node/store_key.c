/* The key that seals what a node's database keeps secret: one file of 32 bytes, mode 0600, beside
 * the database, so that a copy of the database alone says nothing. It is on disk, under its name,
 * before anything is sealed with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "ww/crypto.h"

#include "node.h"

static bool sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return false;
    bool synced = fsync(fd) == 0;
    close(fd);
    return synced;
}

static int make(const char *folder, const char *path, uint8_t key[NODE_STORE_KEY_SIZE])
{
    char temporary[4096];
    int length = snprintf(temporary, sizeof(temporary), "%s.new", path);

    if (length < 0 || (size_t)length >= sizeof(temporary))
        return WW_ETOOBIG;
    unlink(temporary); /* of a start that was cut off */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return WW_EIO;
    ww_random_bytes(key, NODE_STORE_KEY_SIZE);
    bool written = write(fd, key, NODE_STORE_KEY_SIZE) == NODE_STORE_KEY_SIZE && fsync(fd) == 0;
    close(fd);
    if (!written || rename(temporary, path))
        return WW_EIO;
    return sync_folder(folder) ? 0 : WW_EIO;
}

int node_store_key(const char *folder, uint8_t key[NODE_STORE_KEY_SIZE])
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/store.key", folder);

    if (length < 0 || (size_t)length >= sizeof(path))
        return WW_ETOOBIG;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? make(folder, path, key) : WW_EIO;
    ssize_t size = read(fd, key, NODE_STORE_KEY_SIZE);
    close(fd);
    return size == NODE_STORE_KEY_SIZE ? 0 : WW_ECORRUPT;
}
