/* ww.fs: the few file operations that trusted Lua needs.
 *
 * read(path) , write(path, text, mode, unsynced) (atomic: temporary file, sync, rename; unsynced:
 * no sync, for what may be lost in a crash and must not hold up the loop), append(path, text) (mode
 * 0600, not synced: for logs), watch(path, fn) (bind_watch.c), mkdir(path, mode) with parents,
 * exists(path), remove(path) of a file, remove_tree(path), list(path), is_dir(path), mode(path) ->
 * permission bits, temp_dir(prefix). Each gives nil and an error table on failure.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm.h"

#define READ_BYTES_MAX (4 << 20)

static int fail(lua_State *lua, const char *what, const char *path)
{
    char reason[512];
    int code = errno == ENOENT ? WW_ENOTFOUND : errno == EEXIST ? WW_EEXIST : WW_EIO;
    snprintf(reason, sizeof(reason), "can't %s %s: %s", what, path, strerror(errno));
    return ww_ops_push_error(lua, code, reason);
}

static int fs_read(lua_State *lua)
{
    const char *path = luaL_checkstring(lua, 1);
    char block[16384];
    size_t got, total = 0;
    FILE *file = fopen(path, "rbe");
    luaL_Buffer buffer;

    if (!file)
        return fail(lua, "read", path);
    luaL_buffinit(lua, &buffer);
    while ((got = fread(block, 1, sizeof(block), file)) > 0 && total <= READ_BYTES_MAX) {
        luaL_addlstring(&buffer, block, got);
        total += got;
    }
    bool failed = ferror(file);
    fclose(file);
    luaL_pushresult(&buffer);
    if (failed)
        return fail(lua, "read", path);
    if (total > READ_BYTES_MAX) {
        char reason[512];
        snprintf(reason, sizeof(reason), "%s has more than %d bytes", path, READ_BYTES_MAX);
        return ww_ops_push_error(lua, WW_ETOOBIG, reason);
    }
    return 1;
}

static int write_all(int fd, const char *text, size_t size, bool sync)
{
    while (size > 0) {
        ssize_t written = write(fd, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        text += written;
        size -= (size_t)written;
    }
    return sync ? fsync(fd) : 0;
}

static int fs_write(lua_State *lua)
{
    const char *path = luaL_checkstring(lua, 1);
    size_t size = 0;
    const char *text = luaL_checklstring(lua, 2, &size);
    int mode = (int)luaL_optinteger(lua, 3, 0600);
    bool unsynced =
        lua_toboolean(lua, 4); /* what may be lost in a crash must not hold up the loop */
    char temporary[4096];

    snprintf(temporary, sizeof(temporary), "%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
    if (fd < 0)
        return fail(lua, "write", temporary);
    int rc = write_all(fd, text, size, !unsynced);
    if (close(fd) || rc || rename(temporary, path)) {
        int saved = errno;
        unlink(temporary);
        errno = saved;
        return fail(lua, "write", path);
    }
    lua_pushboolean(lua, 1);
    return 1;
}

static int fs_append(lua_State *lua)
{
    const char *path = luaL_checkstring(lua, 1);
    size_t size = 0;
    const char *text = luaL_checklstring(lua, 2, &size);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return fail(lua, "append to", path);
    ssize_t written = write(fd, text, size);
    if (close(fd) || written != (ssize_t)size)
        return fail(lua, "append to", path);
    lua_pushboolean(lua, 1);
    return 1;
}

static int fs_mkdir(lua_State *lua)
{
    const char *path = luaL_checkstring(lua, 1);
    mode_t mode = (mode_t)luaL_optinteger(lua, 2, 0700);
    char part[4096];
    size_t size = strlen(path);

    if (size == 0 || size >= sizeof(part))
        return ww_ops_push_error(lua, WW_EINVAL, "path is empty or too long");
    for (size_t index = 1; index <= size; index++) {
        if (path[index] != '/' && path[index] != '\0')
            continue;
        memcpy(part, path, index);
        part[index] = '\0';
        if (mkdir(part, mode) && errno != EEXIST)
            return fail(lua, "make folder", part);
    }
    lua_pushboolean(lua, 1);
    return 1;
}

static int fs_exists(lua_State *lua)
{
    lua_pushboolean(lua, access(luaL_checkstring(lua, 1), F_OK) == 0);
    return 1;
}

static int fs_is_dir(lua_State *lua)
{
    struct stat status;
    lua_pushboolean(lua, stat(luaL_checkstring(lua, 1), &status) == 0 && S_ISDIR(status.st_mode));
    return 1;
}

static int fs_mode(lua_State *lua)
{
    struct stat status;
    const char *path = luaL_checkstring(lua, 1);
    if (stat(path, &status))
        return fail(lua, "look at", path);
    lua_pushinteger(lua, (lua_Integer)(status.st_mode & 07777));
    return 1;
}

static int fs_remove(lua_State *lua)
{
    const char *path = luaL_checkstring(lua, 1);
    if (unlink(path))
        return fail(lua, "remove", path);
    lua_pushboolean(lua, 1);
    return 1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int fs_remove_tree(lua_State *lua)
{
    const char *path = luaL_checkstring(lua, 1);
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS))
        return fail(lua, "remove", path);
    lua_pushboolean(lua, 1);
    return 1;
}

static int fs_list(lua_State *lua)
{
    const char *path = luaL_checkstring(lua, 1);
    DIR *folder = opendir(path);
    struct dirent *entry;
    int count = 0;

    if (!folder)
        return fail(lua, "list", path);
    lua_newtable(lua);
    while ((entry = readdir(folder))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        lua_pushstring(lua, entry->d_name);
        lua_rawseti(lua, -2, ++count);
    }
    closedir(folder);
    return 1;
}

static int fs_temp_dir(lua_State *lua)
{
    const char *base = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.XXXXXX", base && base[0] ? base : "/tmp",
             luaL_checkstring(lua, 1));
    if (!mkdtemp(path))
        return fail(lua, "make", path);
    lua_pushstring(lua, path);
    return 1;
}

void ww_ops_open_fs(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"read", fs_read},     {"write", fs_write},
        {"append", fs_append}, {"mkdir", fs_mkdir},
        {"exists", fs_exists}, {"is_dir", fs_is_dir},
        {"remove", fs_remove}, {"remove_tree", fs_remove_tree},
        {"list", fs_list},     {"temp_dir", fs_temp_dir},
        {"mode", fs_mode},     {NULL, NULL},
    };
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    ww_ops_add_watch(lua);
    lua_setfield(lua, -2, "fs");
}
