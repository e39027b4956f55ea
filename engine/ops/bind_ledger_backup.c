/* ww.ledger: backups.
 *
 * backup{path=, leave_out=, done=fn(result or nil, error)}: of a running arbiter's books, on a
 * thread of its own; one at a time. backup_folder(folder, path, leave_out) -> result, of books at
 * rest. restore(folder, path) -> result, into a folder that isn't there yet. result: {path,
 * made_ms, batches, accounts, facts, contracts, bytes, held = list of {asset, amount}}.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ww/ledger.h"
#include "ww/loop.h"
#include "ww/store.h"

#include "vm.h"

#define PATH_SIZE 4096
/* Looking whether the thread is done costs nothing, and needs no message that could come late. */
#define LOOK_US 20000

struct ww_ops_backup {
    struct ww_ops *ops;
    struct ww_store *store;
    struct ww_timer *timer;
    pthread_t thread;
    atomic_bool is_done;
    int rc, function;
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

static void *backup_thread(void *arg)
{
    struct ww_ops_backup *backup = arg;

    pthread_setname_np(pthread_self(), "ww-backup");
    backup->rc = ww_ledger_backup(backup->store, backup->path,
                                  backup->leave_out[0] ? backup->leave_out : NULL, &backup->result);
    atomic_store(&backup->is_done, true);
    return NULL;
}

static void backup_free(struct ww_ops_backup *backup)
{
    backup->ops->backup = NULL;
    ww_timer_destroy(backup->timer);
    ww_free(backup);
}

static void look(void *arg)
{
    struct ww_ops_backup *backup = arg;
    struct ww_ops *ops = backup->ops;
    int count;

    if (!atomic_load(&backup->is_done)) {
        ww_timer_start(backup->timer, LOOK_US);
        return;
    }
    pthread_join(backup->thread, NULL);
    ww_ops_push_ref(ops, backup->function);
    ww_ops_unref(ops, &backup->function);
    count = push_result(ops->lua, backup->rc, backup->path, &backup->result);
    backup_free(backup);
    ww_ops_protected(ops, count, 0);
}

void ww_ops_end_backup(struct ww_ops *ops)
{
    struct ww_ops_backup *backup = ops->backup;

    if (!backup)
        return;
    pthread_join(backup->thread, NULL);
    if (!ops->closing && ops->lua)
        ww_ops_unref(ops, &backup->function);
    backup_free(backup);
}

static int start(struct ww_ops_backup *backup)
{
    int rc = ww_timer_create(backup->ops->loop, look, backup, &backup->timer);

    if (!rc && pthread_create(&backup->thread, NULL, backup_thread, backup) != 0)
        rc = WW_ESYSTEM;
    if (rc)
        return rc;
    backup->ops->backup = backup;
    ww_timer_start(backup->timer, LOOK_US);
    return 0;
}

static int lua_backup(lua_State *lua)
{
    struct ww_ops *ops = ww_ops_of(lua);
    const char *path = ww_ops_field_text(lua, 1, "path", "");
    const char *leave_out = ww_ops_field_text(lua, 1, "leave_out", "");
    struct ww_ops_backup *backup;
    int rc;

    if (!ops->store)
        return ww_ops_push_error(lua, WW_ENOTFOUND, "this node has no books");
    if (ops->backup)
        return ww_ops_push_error(lua, WW_EAGAIN, "a backup is being made");
    if (!path[0] || strlen(path) >= PATH_SIZE || strlen(leave_out) > WW_LEDGER_KEY_BYTES_MAX)
        return ww_ops_push_error(lua, WW_EINVAL, "path is the name of a file to be made");
    backup = ww_alloc(1, sizeof(*backup));
    if (!backup)
        return ww_ops_push_error(lua, WW_ENOMEM, NULL);
    backup->ops = ops;
    backup->store = ops->store;
    snprintf(backup->path, sizeof(backup->path), "%s", path);
    snprintf(backup->leave_out, sizeof(backup->leave_out), "%s", leave_out);
    backup->function = ww_ops_field_function(lua, 1, "done");
    rc = start(backup);
    if (rc) {
        ww_ops_unref(ops, &backup->function);
        ww_timer_destroy(backup->timer);
        ww_free(backup);
        return ww_ops_push_error(lua, rc, NULL);
    }
    lua_pushboolean(lua, 1);
    return 1;
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
