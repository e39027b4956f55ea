/* Calls between Lua and the rooms above, as named arguments and results (struct ww_call).
 *
 * Relies on the VM. Keeps the Lua API out of every other room.
 */
#include <stdio.h>
#include <string.h>

#include "vm.h"

struct bound {
    ww_bound_fn fn;
    void *context;
};

static int finish_bound(lua_State *lua, struct ww_call *call, int rc)
{
    WW_REQUIRE(call->depth == 1);
    if (rc) {
        /* An optional argument that is absent explains nothing that happened later. */
        bool absent = call->absent && rc == WW_ENOTFOUND;
        return ww_ops_push_error(lua, absent ? WW_EINVAL : rc,
                                 call->absent && !absent ? NULL : call->reason);
    }
    lua_pushvalue(lua, call->tables[0]);
    return 1;
}

static int call_bound(lua_State *lua)
{
    struct bound *bound = lua_touserdata(lua, lua_upvalueindex(1));
    struct ww_call call = {.ops = ww_ops_of(lua), .lua = lua};

    if (!lua_isnoneornil(lua, 1)) {
        luaL_checktype(lua, 1, LUA_TTABLE);
        call.arguments = 1;
    }
    lua_settop(lua, 1);
    luaL_checkstack(lua, 64, "too many nested calls");
    lua_newtable(lua);
    call.tables[0] = 2;
    call.depth = 1;
    return finish_bound(lua, &call, bound->fn(bound->context, &call));
}

struct bind_request {
    const char *space;
    const struct ww_ops_function *functions;
    size_t count;
    void *context;
};

static int bind_protected(lua_State *lua)
{
    const struct bind_request *request = lua_touserdata(lua, 1);
    lua_getglobal(lua, "ww");
    lua_getfield(lua, -1, request->space);
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        lua_newtable(lua);
    }
    for (size_t index = 0; index < request->count; index++) {
        struct bound *bound = lua_newuserdata(lua, sizeof(*bound));
        bound->fn = request->functions[index].fn;
        bound->context = request->context;
        lua_pushcclosure(lua, call_bound, 1);
        lua_setfield(lua, -2, request->functions[index].name);
    }
    lua_setfield(lua, -2, request->space);
    return 0;
}

int ww_ops_bind(struct ww_ops *ops, const char *space, const struct ww_ops_function *functions,
                size_t count, void *context)
{
    struct bind_request request = {space, functions, count, context};
    return lua_cpcall(ops->lua, bind_protected, &request) ? WW_ENOMEM : 0;
}

/* --- arguments -------------------------------------------------------------------------------- */

/* Pushes the field; the caller pops it. */
static int push_argument(struct ww_call *call, const char *name)
{
    lua_State *lua = call->lua;
    if (call->arguments) {
        lua_getfield(lua, call->arguments, name);
        if (!lua_isnil(lua, -1))
            return 0;
        lua_pop(lua, 1);
    }
    ww_call_reason(call, "%s is missing", name);
    call->absent = true;
    return WW_ENOTFOUND;
}

int ww_call_text(struct ww_call *call, const char *name, const char **text, size_t *size)
{
    lua_State *lua = call->lua;
    int rc = push_argument(call, name);
    if (rc)
        return rc;
    if (lua_type(lua, -1) != LUA_TSTRING) {
        ww_call_reason(call, "%s must be text", name);
        rc = WW_EINVAL;
    } else {
        *text = lua_tolstring(lua, -1, size);
    }
    lua_pop(lua, 1); /* the arguments' table keeps it */
    return rc;
}

int ww_call_u64(struct ww_call *call, const char *name, uint64_t *value)
{
    lua_State *lua = call->lua;
    int rc = push_argument(call, name);
    if (rc)
        return rc;
    rc = WW_EINVAL;
    if (lua_type(lua, -1) == LUA_TNUMBER) {
        double number = lua_tonumber(lua, -1);
        if (number >= 0 && number <= 9007199254740992.0 && number == (double)(uint64_t)number) {
            *value = (uint64_t)number;
            rc = 0;
        }
    } else if (lua_type(lua, -1) == LUA_TSTRING) {
        struct ww_amount amount;
        size_t size = 0;
        const char *text = lua_tolstring(lua, -1, &size);
        if (!ww_amount_parse(text, size, &amount) && amount.units <= UINT64_MAX) {
            *value = (uint64_t)amount.units;
            rc = 0;
        }
    }
    lua_pop(lua, 1);
    if (rc)
        ww_call_reason(call, "%s must be a whole number", name);
    return rc;
}

int ww_call_bool(struct ww_call *call, const char *name, bool *value)
{
    lua_State *lua = call->lua;
    int rc = push_argument(call, name);
    if (rc)
        return rc;
    if (lua_isboolean(lua, -1)) {
        *value = lua_toboolean(lua, -1);
    } else {
        ww_call_reason(call, "%s must be true or false", name);
        rc = WW_EINVAL;
    }
    lua_pop(lua, 1);
    return rc;
}

int ww_call_hash(struct ww_call *call, const char *name, struct ww_hash *value)
{
    const char *text = NULL;
    int rc = ww_call_text(call, name, &text, NULL);
    if (rc)
        return rc;
    rc = ww_hash_parse(text, value);
    if (rc)
        ww_call_reason(call, "%s must be 52 digits of base32", name);
    return rc;
}

int ww_call_id(struct ww_call *call, const char *name, struct ww_id *value)
{
    const char *text = NULL;
    int rc = ww_call_text(call, name, &text, NULL);
    if (rc)
        return rc;
    rc = ww_id_parse(text, value);
    if (rc)
        ww_call_reason(call, "%s must be 32 hex digits", name);
    return rc;
}

int ww_call_amount(struct ww_call *call, const char *name, struct ww_amount *value)
{
    const char *text = NULL;
    size_t size = 0;
    int rc = ww_call_text(call, name, &text, &size);
    if (rc)
        return rc;
    rc = ww_amount_parse(text, size, value);
    if (rc)
        ww_call_reason(call, "%s must be a whole number of base units, as decimal digits", name);
    return rc;
}

int ww_call_text_at(struct ww_call *call, const char *name, size_t index, const char **text)
{
    lua_State *lua = call->lua;
    int rc = push_argument(call, name);
    if (rc)
        return rc;
    if (!lua_istable(lua, -1)) {
        lua_pop(lua, 1);
        ww_call_reason(call, "%s must be a list", name);
        return WW_EINVAL;
    }
    lua_rawgeti(lua, -1, (int)index + 1);
    if (lua_isnil(lua, -1)) {
        rc = WW_ENOTFOUND;
    } else if (lua_type(lua, -1) != LUA_TSTRING) {
        ww_call_reason(call, "%s must be a list of texts", name);
        rc = WW_EINVAL;
    } else {
        *text = lua_tostring(lua, -1);
    }
    lua_pop(lua, 2);
    return rc;
}

int ww_call_function(struct ww_call *call, const char *name, int *function)
{
    lua_State *lua = call->lua;
    int rc = push_argument(call, name);
    if (rc)
        return rc;
    if (!lua_isfunction(lua, -1)) {
        lua_pop(lua, 1);
        ww_call_reason(call, "%s must be a function", name);
        return WW_EINVAL;
    }
    *function = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 0;
}

void ww_call_reason(struct ww_call *call, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(call->reason, sizeof(call->reason), format, arguments);
    va_end(arguments);
    call->absent = false;
}

/* --- results ---------------------------------------------------------------------------------- */

/* Moves the value on top into the innermost table. */
static void set_result(struct ww_call *call, const char *name)
{
    lua_State *lua = call->lua;
    int level = call->depth - 1;
    WW_REQUIRE(level >= 0);
    if (name)
        lua_setfield(lua, call->tables[level], name);
    else
        lua_rawseti(lua, call->tables[level], (int)++call->counts[level]);
}

void ww_call_put_bytes(struct ww_call *call, const char *name, const void *data, size_t size)
{
    lua_pushlstring(call->lua, data, size);
    set_result(call, name);
}

void ww_call_put_text(struct ww_call *call, const char *name, const char *text)
{
    ww_call_put_bytes(call, name, text, strlen(text));
}

void ww_call_put_u64(struct ww_call *call, const char *name, uint64_t value)
{
    lua_pushnumber(call->lua, (lua_Number)value);
    set_result(call, name);
}

void ww_call_put_bool(struct ww_call *call, const char *name, bool value)
{
    lua_pushboolean(call->lua, value);
    set_result(call, name);
}

void ww_call_put_hash(struct ww_call *call, const char *name, const struct ww_hash *value)
{
    char text[WW_HASH_TEXT_SIZE];
    ww_call_put_text(call, name, ww_hash_format(value, text));
}

void ww_call_put_id(struct ww_call *call, const char *name, const struct ww_id *value)
{
    char text[WW_ID_TEXT_SIZE];
    ww_call_put_text(call, name, ww_id_format(value, text));
}

void ww_call_put_amount(struct ww_call *call, const char *name, struct ww_amount value)
{
    char text[WW_AMOUNT_TEXT_SIZE];
    ww_call_put_text(call, name, ww_amount_format(value, text));
}

void ww_call_put_error(struct ww_call *call, const char *name, int code, const char *reason)
{
    ww_ops_push_error_table(call->lua, code, reason);
    set_result(call, name);
}

void ww_call_begin(struct ww_call *call, const char *name, bool list)
{
    lua_State *lua = call->lua;
    WW_REQUIRE(call->depth < WW_CALL_DEPTH_MAX);
    lua_newtable(lua);
    if (list)
        ww_ops_mark_list(lua);
    lua_pushvalue(lua, -1);
    set_result(call, name);
    call->tables[call->depth] = lua_gettop(lua);
    call->counts[call->depth] = 0;
    call->depth++;
}

void ww_call_end(struct ww_call *call)
{
    WW_REQUIRE(call->depth > 1);
    call->depth--;
    lua_settop(call->lua, call->tables[call->depth] - 1);
}

/* --- C to Lua --------------------------------------------------------------------------------- */

void ww_ops_begin(struct ww_ops *ops, struct ww_call *call)
{
    WW_REQUIRE(ops->depth == 0); /* from the loop only: see ww/ops.h */
    *call = (struct ww_call){.ops = ops, .lua = ops->lua};
    lua_newtable(ops->lua);
    call->tables[0] = lua_gettop(ops->lua);
    call->depth = 1;
}

void ww_ops_emit(struct ww_call *call, const char *event)
{
    struct ww_ops *ops = call->ops;
    lua_State *lua = ops->lua;
    WW_REQUIRE(call->depth == 1);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, ops->handlers);
    lua_getfield(lua, -1, event);
    lua_remove(lua, -2);
    if (!lua_isfunction(lua, -1)) {
        lua_pop(lua, 2);
        return;
    }
    lua_insert(lua, call->tables[0]);
    ww_ops_protected(ops, 1, 0);
}

void ww_ops_finish(struct ww_call *call, int function, int code)
{
    struct ww_ops *ops = call->ops;
    lua_State *lua = ops->lua;
    WW_REQUIRE(call->depth == 1);
    ww_ops_push_ref(ops, function);
    ww_ops_unref(ops, &function);
    lua_insert(lua, call->tables[0]);
    if (code) {
        lua_pop(lua, 1);
        ww_ops_push_error(lua, code, call->reason);
        ww_ops_protected(ops, 2, 0);
    } else {
        ww_ops_protected(ops, 1, 0);
    }
}

void ww_ops_forget(struct ww_ops *ops, int function)
{
    ww_ops_unref(ops, &function);
}
