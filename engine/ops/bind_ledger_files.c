/* ww.ledger: what is done to the books of an arbiter that doesn't run.
 *
 * repair(folder, confirm, aside) -> {needed, cut, whole, first, last, records, bytes, why, damaged,
 * books}: looks at a copy of the store; with confirm, the copy without its damaged tail becomes the
 * store, and the store before gets the name aside. nil, error when nothing may be cut.
 */
#include <stdio.h>
#include <string.h>

#include "ww/ledger.h"
#include "ww/store.h"

#include "vm.h"

#define PATH_SIZE 4096

/* A store whose files can't be read in full: `damaged` then, and what can be read. */
static int open_copy(const char *copy, const char *folder, bool *damaged, struct ww_store **store)
{
    int rc = ww_store_open_as(copy, folder, false, store);

    *damaged = rc == WW_ECORRUPT;
    return *damaged ? ww_store_open_as(copy, folder, true, store) : rc;
}

static void set_number(lua_State *lua, const char *name, uint64_t value)
{
    lua_pushnumber(lua, (lua_Number)value);
    lua_setfield(lua, -2, name);
}

static void push_repair(lua_State *lua, const struct ww_ledger_tail *tail, bool damaged, bool cut)
{
    bool needed = damaged || tail->first > 0;

    lua_newtable(lua);
    lua_pushboolean(lua, needed);
    lua_setfield(lua, -2, "needed");
    lua_pushboolean(lua, cut && needed);
    lua_setfield(lua, -2, "cut");
    lua_pushboolean(lua, damaged);
    lua_setfield(lua, -2, "damaged");
    set_number(lua, "whole", tail->whole);
    set_number(lua, "first", tail->first);
    set_number(lua, "last", tail->last);
    set_number(lua, "records", tail->records);
    set_number(lua, "bytes", tail->bytes);
    lua_pushstring(lua, tail->why);
    lua_setfield(lua, -2, "why");
    ww_ops_push_report(lua, &tail->books);
    lua_setfield(lua, -2, "books");
}

static int repair(const char *folder, const char *copy, const char *aside,
                  struct ww_ledger_tail *tail, bool *damaged)
{
    struct ww_store *store = NULL;
    int rc = open_copy(copy, folder, damaged, &store);

    if (!rc)
        rc = ww_ledger_tail(store, tail);
    if (!rc && aside)
        rc = ww_ledger_cut_tail(store, tail);
    if (store)
        ww_store_close(store);
    if (!rc && aside && (*damaged || tail->first))
        rc = ww_store_replace(folder, copy, aside);
    return rc;
}

static int lua_repair(lua_State *lua)
{
    const char *folder = luaL_checkstring(lua, 1);
    bool confirm = lua_toboolean(lua, 2);
    const char *aside = luaL_checkstring(lua, 3);
    struct ww_ledger_tail tail = {0};
    char copy[PATH_SIZE];
    bool damaged = false;
    int rc, removed;

    if (snprintf(copy, sizeof(copy), "%s.repair", folder) >= (int)sizeof(copy))
        return ww_ops_push_error(lua, WW_ETOOBIG, folder);
    rc = ww_store_remove(copy); /* of a repair that was cut off */
    if (!rc)
        rc = ww_store_copy(folder, copy);
    if (!rc)
        rc = repair(folder, copy, confirm ? aside : NULL, &tail, &damaged);
    removed = ww_store_remove(copy); /* unless it is the store now */
    if (!rc)
        rc = removed;
    if (rc)
        return ww_ops_push_error(lua, rc, tail.why[0] ? tail.why : folder);
    push_repair(lua, &tail, damaged, confirm);
    return 1;
}

void ww_ops_add_ledger_files(lua_State *lua)
{
    lua_pushcfunction(lua, lua_repair);
    lua_setfield(lua, -2, "repair");
}
