/* ww.ledger: backups.
 *
 * backup{path=, leave_out=, done=fn(result or nil, error)}: of a running arbiter's books, by its
 * reader. backup_folder(folder, path, leave_out) -> result, of books at
 * rest. restore(folder, path) -> result, into a folder that isn't there yet. result: {path,
 * made_ms, batches, accounts, facts, contracts, bytes, held = list of {asset, amount}}.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ww/ledger.h"
#include "ww/loop.h"
#include "ww/store.h"

#include "vm.h"

#define PATH_SIZE 4096

struct backup {
    struct ww_ops_reader reader;
    int rc;
    struct ww_ledger_backup result;
    char leave_out[WW_LEDGER_KEY_BYTES_MAX + 1];
    char path[PATH_SIZE];
};

static void set_number(lua_State *lua, const char *name, uint64_t value)
{
    lua_pushnumber(lua, (lua_Number)value);
    lua_setfield(lua, -2, name);
}

static int push_result(lua_State *lua, int rc, const char *path,
                       const struct ww_ledger_backup *result)
{
    char text[WW_AMOUNT_TEXT_SIZE];

    if (rc)
        return ww_ops_push_error(lua, rc, result->why[0] ? result->why : path);
    lua_newtable(lua);
    lua_pushstring(lua, path);
    lua_setfield(lua, -2, "path");
    set_number(lua, "made_ms", result->wall_ms);
    set_number(lua, "batches", result->batches);
    set_number(lua, "accounts", result->accounts);
    set_number(lua, "facts", result->facts);
    set_number(lua, "contracts", result->contracts);
    set_number(lua, "bytes", result->bytes);
    lua_newtable(lua);
    ww_ops_mark_list(lua);
    for (size_t index = 0; index < result->asset_count; index++) {
        lua_newtable(lua);
        lua_pushstring(lua, result->held[index].asset);
        lua_setfield(lua, -2, "asset");
        lua_pushstring(lua, ww_amount_format(result->held[index].amount, text));
        lua_setfield(lua, -2, "amount");
        lua_rawseti(lua, -2, (int)index + 1);
    }
    lua_setfield(lua, -2, "held");
    return 1;
}

/* --- of a running arbiter ------------------------------------------------------------------- */

static struct backup *backup_of(struct ww_ops_reader *reader)
{
    return WW_CONTAINER_OF(reader, struct backup, reader);
}

static void backup_read(struct ww_ops_reader *reader)
{
    struct backup *backup = backup_of(reader);

    backup->rc = ww_ledger_backup(reader->store, backup->path,
                                  backup->leave_out[0] ? backup->leave_out : NULL, &backup->result);
}

static int backup_push(lua_State *lua, struct ww_ops_reader *reader)
{
    const struct backup *backup = backup_of(reader);

    return push_result(lua, backup->rc, backup->path, &backup->result);
}

static void backup_destroy(struct ww_ops_reader *reader)
{
    ww_free(backup_of(reader));
}

static int lua_backup(lua_State *lua)
{
    const char *path = ww_ops_field_text(lua, 1, "path", "");
    const char *leave_out = ww_ops_field_text(lua, 1, "leave_out", "");
    struct backup *backup;

    if (!path[0] || strlen(path) >= PATH_SIZE || strlen(leave_out) > WW_LEDGER_KEY_BYTES_MAX)
        return ww_ops_push_error(lua, WW_EINVAL, "path is the name of a file to be made");
    backup = ww_alloc(1, sizeof(*backup));
    if (!backup)
        return ww_ops_push_error(lua, WW_ENOMEM, NULL);
    backup->reader.read = backup_read;
    backup->reader.push = backup_push;
    backup->reader.destroy = backup_destroy;
    snprintf(backup->path, sizeof(backup->path), "%s", path);
    snprintf(backup->leave_out, sizeof(backup->leave_out), "%s", leave_out);
    return ww_ops_reader_start(lua, &backup->reader);
}

/* --- of books at rest ----------------------------------------------------------------------- */

static int lua_backup_folder(lua_State *lua)
{
    const char *folder = luaL_checkstring(lua, 1);
    const char *path = luaL_checkstring(lua, 2);
    const char *leave_out = luaL_optstring(lua, 3, NULL);
    struct ww_ledger_backup result = {0};
    struct ww_store *store = NULL;
    int rc = ww_store_open(folder, &store);

    if (!rc)
        rc = ww_ledger_backup(store, path, leave_out, &result);
    if (store)
        ww_store_close(store);
    return push_result(lua, rc, path, &result);
}

/* Made beside, with the keys of the folder that it becomes, and named once it is whole. */
static int lua_restore(lua_State *lua)
{
    const char *folder = luaL_checkstring(lua, 1);
    const char *path = luaL_checkstring(lua, 2);
    struct ww_ledger_backup result = {0};
    struct ww_store *store = NULL;
    char beside[PATH_SIZE];
    int rc;

    if (snprintf(beside, sizeof(beside), "%s.restore", folder) >= (int)sizeof(beside))
        return ww_ops_push_error(lua, WW_ETOOBIG, folder);
    if (access(folder, F_OK) == 0)
        return ww_ops_push_error(lua, WW_EEXIST, folder);
    rc = ww_store_remove(beside); /* of a restore that was cut off */
    if (!rc)
        rc = ww_store_open_as(beside, folder, false, &store);
    if (!rc)
        rc = ww_ledger_restore(store, path, &result);
    if (store)
        ww_store_close(store);
    if (!rc)
        rc = ww_store_rename(beside, folder);
    if (rc)
        ww_store_remove(beside);
    return push_result(lua, rc, path, &result);
}

void ww_ops_add_ledger_backup(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"backup", lua_backup},
        {"backup_folder", lua_backup_folder},
        {"restore", lua_restore},
        {NULL, NULL},
    };

    luaL_register(lua, NULL, functions);
}
