/* ww.ledger: the arbiter's books, for routes and for the operator.
 *
 * Facts: put(key, text or nil), get(key) -> text, facts(prefix[, most]) -> list of {key, value};
 * commit(fn(ok, error)) calls back when all changes so far are durable.
 * Money: grant{id, network, asset, amount}, wallets(network or nil, limit or nil) -> list of
 * {network, asset, transfer, market, earned, escrow, dispute}, contracts() -> count.
 * Amounts are decimal texts in base units.
 * Checks: check() -> report, of what is in memory; verify{done=fn(report or nil, error)}, of the
 * live store, by its reader; verify_folder(folder) -> report, of an arbiter that doesn't run.
 */
#include <string.h>

#include "ww/ledger.h"
#include "ww/store.h"

#include "vm.h"

static struct ww_ledger *check_ledger(lua_State *lua)
{
    struct ww_ledger *ledger = ww_ops_of(lua)->ledger;
    if (!ledger)
        luaL_error(lua, "this node has no ledger");
    return ledger;
}

static int push_result(lua_State *lua, int rc)
{
    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    lua_pushboolean(lua, 1);
    return 1;
}

static int lua_put(lua_State *lua)
{
    size_t size = 0;
    struct ww_ledger *ledger = check_ledger(lua);
    const char *key = luaL_checkstring(lua, 1);
    const char *value = lua_isnoneornil(lua, 2) ? NULL : luaL_checklstring(lua, 2, &size);
    return push_result(lua, ww_ledger_put(ledger, key, value, size));
}

static int lua_get(lua_State *lua)
{
    const void *value = NULL;
    size_t size = 0;
    int rc = ww_ledger_get(check_ledger(lua), luaL_checkstring(lua, 1), &value, &size);
    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    lua_pushlstring(lua, value, size);
    return 1;
}

struct listing {
    lua_State *lua;
    int count;
    int limit; /* 0: none */
};

static void add_fact(void *arg, const char *key, const void *value, size_t value_size)
{
    struct listing *listing = arg;
    if (listing->limit && listing->count == listing->limit)
        return;
    lua_createtable(listing->lua, 0, 2);
    lua_pushstring(listing->lua, key);
    lua_setfield(listing->lua, -2, "key");
    lua_pushlstring(listing->lua, value, value_size);
    lua_setfield(listing->lua, -2, "value");
    lua_rawseti(listing->lua, -2, ++listing->count);
}

static int lua_facts(lua_State *lua)
{
    struct listing listing = {.lua = lua, .limit = (int)luaL_optinteger(lua, 2, 0)};
    const char *prefix = luaL_checkstring(lua, 1);
    struct ww_ledger *ledger = check_ledger(lua);
    lua_newtable(lua);
    ww_ledger_each_fact(ledger, prefix, add_fact, &listing);
    return 1;
}

struct commit_box {
    struct ww_ops *ops;
    int function;
};

static void committed(void *arg, int rc)
{
    struct commit_box *box = arg;
    struct ww_ops *ops = box->ops;
    ww_ops_push_ref(ops, box->function);
    ww_ops_unref(ops, &box->function);
    ww_free(box);
    if (rc) {
        ww_ops_push_error(ops->lua, rc, NULL);
        ww_ops_protected(ops, 2, 0);
    } else {
        lua_pushboolean(ops->lua, 1);
        ww_ops_protected(ops, 1, 0);
    }
}

static int lua_commit(lua_State *lua)
{
    struct ww_ledger *ledger = check_ledger(lua);
    luaL_checktype(lua, 1, LUA_TFUNCTION);
    struct commit_box *box = ww_alloc(1, sizeof(*box));
    if (!box)
        return ww_ops_push_error(lua, WW_ENOMEM, NULL);
    box->ops = ww_ops_of(lua);
    lua_pushvalue(lua, 1);
    box->function = luaL_ref(lua, LUA_REGISTRYINDEX);
    int rc = ww_ledger_commit(ledger, committed, box);
    if (rc) {
        ww_ops_unref(box->ops, &box->function);
        ww_free(box);
    }
    return push_result(lua, rc);
}

static int lua_grant(lua_State *lua)
{
    struct ww_id id, network;
    struct ww_amount amount;
    size_t size = 0;

    struct ww_ledger *ledger = check_ledger(lua);
    luaL_checktype(lua, 1, LUA_TTABLE);
    if (ww_id_parse(ww_ops_field_text(lua, 1, "id", ""), &id) ||
        ww_id_parse(ww_ops_field_text(lua, 1, "network", ""), &network))
        return ww_ops_push_error(lua, WW_EINVAL, "id and network are 32 hex digits");
    lua_getfield(lua, 1, "amount");
    const char *text = luaL_checklstring(lua, -1, &size);
    if (ww_amount_parse(text, size, &amount))
        return ww_ops_push_error(lua, WW_EINVAL, "amount is a whole number of base units");
    return push_result(lua, ww_ledger_grant(ledger, &id, &network,
                                            ww_ops_field_text(lua, 1, "asset", ""), amount));
}

static void set_amount(lua_State *lua, const char *name, struct ww_amount amount)
{
    char text[WW_AMOUNT_TEXT_SIZE];
    lua_pushstring(lua, ww_amount_format(amount, text));
    lua_setfield(lua, -2, name);
}

static void add_wallet(void *arg, const struct ww_id *network, const char *asset,
                       const struct ww_amount balances[WW_WALLET_COUNT])
{
    struct listing *listing = arg;
    lua_State *lua = listing->lua;
    char text[WW_ID_TEXT_SIZE];

    if (listing->limit && listing->count >= listing->limit)
        return;
    lua_createtable(lua, 0, 8);
    lua_pushstring(lua, ww_id_format(network, text));
    lua_setfield(lua, -2, "network");
    lua_pushstring(lua, asset);
    lua_setfield(lua, -2, "asset");
    set_amount(lua, "transfer", balances[WW_WALLET_TRANSFER]);
    set_amount(lua, "market", balances[WW_WALLET_MARKET]);
    set_amount(lua, "earned", balances[WW_WALLET_EARNED]);
    set_amount(lua, "escrow", balances[WW_WALLET_ESCROW]);
    set_amount(lua, "dispute", balances[WW_WALLET_DISPUTE]);
    lua_rawseti(lua, -2, ++listing->count);
}

static int lua_wallets(lua_State *lua)
{
    struct listing listing = {.lua = lua, .limit = (int)luaL_optinteger(lua, 2, 0)};
    struct ww_ledger *ledger = check_ledger(lua);
    struct ww_id network;
    bool one = !lua_isnoneornil(lua, 1);

    if (one && ww_id_parse(luaL_checkstring(lua, 1), &network))
        return ww_ops_push_error(lua, WW_EINVAL, "a network is 32 hex digits");
    lua_newtable(lua);
    ww_ops_mark_list(lua);
    ww_ledger_each_wallet(ledger, one ? &network : NULL, add_wallet, &listing);
    return 1;
}

void ww_ops_push_report(lua_State *lua, const struct ww_ledger_report *report)
{
    lua_newtable(lua);
    lua_pushboolean(lua, report->ok);
    lua_setfield(lua, -2, "ok");
    lua_pushstring(lua, report->why);
    lua_setfield(lua, -2, "why");
    lua_pushnumber(lua, (lua_Number)report->batches);
    lua_setfield(lua, -2, "batches");
    lua_pushnumber(lua, (lua_Number)report->contracts);
    lua_setfield(lua, -2, "contracts");
    lua_pushnumber(lua, (lua_Number)report->networks);
    lua_setfield(lua, -2, "networks");
    lua_newtable(lua);
    ww_ops_mark_list(lua);
    for (size_t index = 0; index < report->asset_count; index++) {
        const struct ww_ledger_totals *totals = &report->assets[index];
        lua_newtable(lua);
        lua_pushstring(lua, totals->asset);
        lua_setfield(lua, -2, "asset");
        set_amount(lua, "transfer", totals->transfer);
        set_amount(lua, "market", totals->market);
        set_amount(lua, "earned", totals->earned);
        set_amount(lua, "escrow", totals->escrow);
        set_amount(lua, "dispute", totals->dispute);
        set_amount(lua, "in", totals->in);
        set_amount(lua, "out", totals->out);
        lua_rawseti(lua, -2, (int)index + 1);
    }
    lua_setfield(lua, -2, "assets");
}

static int push_verified(lua_State *lua, int rc, const struct ww_ledger_report *report,
                         const char *folder)
{
    if (rc && !report->why[0])
        return ww_ops_push_error(lua, rc, folder);
    ww_ops_push_report(lua, report);
    return 1;
}

struct verification {
    struct ww_ops_reader reader;
    int rc;
    struct ww_ledger_report report;
};

static struct verification *verification_of(struct ww_ops_reader *reader)
{
    return WW_CONTAINER_OF(reader, struct verification, reader);
}

static void verification_read(struct ww_ops_reader *reader)
{
    struct verification *verification = verification_of(reader);

    verification->rc = ww_ledger_verify(reader->store, &verification->report);
}

static int verification_push(lua_State *lua, struct ww_ops_reader *reader)
{
    const struct verification *verification = verification_of(reader);

    return push_verified(lua, verification->rc, &verification->report, NULL);
}

static void verification_destroy(struct ww_ops_reader *reader)
{
    ww_free(verification_of(reader));
}

static int lua_verify(lua_State *lua)
{
    struct verification *verification;

    luaL_checktype(lua, 1, LUA_TTABLE);
    verification = ww_alloc(1, sizeof(*verification));
    if (!verification)
        return ww_ops_push_error(lua, WW_ENOMEM, NULL);
    verification->reader.read = verification_read;
    verification->reader.push = verification_push;
    verification->reader.destroy = verification_destroy;
    return ww_ops_reader_start(lua, &verification->reader);
}

static int lua_verify_folder(lua_State *lua)
{
    struct ww_ledger_report report = {0};
    struct ww_store *store = NULL;
    const char *folder = luaL_checkstring(lua, 1);
    int rc = ww_store_open(folder, &store);

    if (!rc)
        rc = ww_ledger_verify(store, &report);
    if (store)
        ww_store_close(store);
    return push_verified(lua, rc, &report, folder);
}

static int lua_check(lua_State *lua)
{
    struct ww_ledger_report report = {0};
    int rc = ww_ledger_check(check_ledger(lua), &report);
    if (rc && !report.why[0])
        return ww_ops_push_error(lua, rc, NULL);
    ww_ops_push_report(lua, &report);
    return 1;
}

void ww_ops_open_ledger(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"put", lua_put},       {"get", lua_get},
        {"facts", lua_facts},   {"commit", lua_commit},
        {"grant", lua_grant},   {"wallets", lua_wallets},
        {"verify", lua_verify}, {"verify_folder", lua_verify_folder},
        {"check", lua_check},   {NULL, NULL},
    };
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    ww_ops_add_ledger_files(lua);
    ww_ops_add_ledger_backup(lua);
    lua_setfield(lua, -2, "ledger");
}
