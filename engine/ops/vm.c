/* The trusted VM: libraries, module loading from the built-in scripts, protected calls.
 *
 * Relies on LuaJIT and on ww_scripts. Never lets a Lua error leave a callback: it is logged, with
 * its traceback, and the node goes on.
 */
#include "vm.h"

#include <errno.h>
#include <lua5.1/lua-cjson.h>
#include <stdio.h>
#include <string.h>

#include "ww/limits.h"
#include "ww/scripts.h"

#define EXIT_BROKEN 70 /* EX_SOFTWARE of sysexits.h */

static const char OPS_KEY = 0; /* its address is the registry key of struct ww_ops */

struct ww_ops *ww_ops_of(lua_State *lua)
{
    lua_pushlightuserdata(lua, (void *)(uintptr_t)&OPS_KEY);
    lua_rawget(lua, LUA_REGISTRYINDEX);
    struct ww_ops *ops = lua_touserdata(lua, -1);
    lua_pop(lua, 1);
    return ops;
}

static int traceback(lua_State *lua)
{
    const char *message = lua_tostring(lua, 1);
    luaL_traceback(lua, lua, message ? message : "(error object is not a string)", 1);
    return 1;
}

bool ww_ops_protected(struct ww_ops *ops, int argument_count, int result_count)
{
    lua_State *lua = ops->lua;
    int base = lua_gettop(lua) - argument_count;

    WW_REQUIRE(base >= 1);
    if (ops->closing) {
        lua_settop(lua, base - 1);
        for (int index = 0; index < result_count; index++)
            lua_pushnil(lua);
        return false;
    }
    lua_pushcfunction(lua, traceback);
    lua_insert(lua, base);
    ops->depth++;
    int rc = lua_pcall(lua, argument_count, result_count, base);
    ops->depth--;
    lua_remove(lua, base);
    if (rc == 0)
        return true;
    const char *message = lua_tostring(lua, -1);
    ww_log(WW_LOG_ERROR, "ops", message ? message : "a script failed", "%s", "");
    lua_pop(lua, 1);
    for (int index = 0; index < result_count; index++)
        lua_pushnil(lua);
    return false;
}

void ww_ops_push_ref(struct ww_ops *ops, int reference)
{
    lua_rawgeti(ops->lua, LUA_REGISTRYINDEX, reference);
}

void ww_ops_unref(struct ww_ops *ops, int *reference)
{
    luaL_unref(ops->lua, LUA_REGISTRYINDEX, *reference);
    *reference = LUA_NOREF;
}

void ww_ops_push_error_table(lua_State *lua, int code, const char *reason)
{
    lua_createtable(lua, 0, 4);
    lua_pushstring(lua, ww_error_name(code));
    lua_setfield(lua, -2, "code");
    lua_pushstring(lua, ww_error_what(code));
    lua_setfield(lua, -2, "what");
    lua_pushstring(lua, ww_error_fix(code));
    lua_setfield(lua, -2, "fix");
    lua_pushinteger(lua, ww_error_http(code));
    lua_setfield(lua, -2, "status");
    if (reason && reason[0]) {
        lua_pushstring(lua, reason);
        lua_setfield(lua, -2, "reason");
    }
}

int ww_ops_push_error(lua_State *lua, int code, const char *reason)
{
    lua_pushnil(lua);
    ww_ops_push_error_table(lua, code, reason);
    return 2;
}

int ww_ops_push_system_error(lua_State *lua, int code, const char *subject)
{
    char reason[512];
    if (code != WW_ESYSTEM)
        return ww_ops_push_error(lua, code, subject);
    snprintf(reason, sizeof(reason), "%s: %s", subject, strerror(errno));
    ww_ops_push_error(lua, code, reason);
    lua_pushliteral(lua, "Correct what the reason says, then try again");
    lua_setfield(lua, -2, "fix");
    return 2;
}

const char *ww_ops_field_text(lua_State *lua, int index, const char *name, const char *fallback)
{
    lua_getfield(lua, index, name);
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        return fallback;
    }
    if (lua_type(lua, -1) != LUA_TSTRING)
        luaL_error(lua, "%s must be a string", name);
    const char *text = lua_tostring(lua, -1);
    lua_pop(lua, 1); /* the options table keeps it alive */
    return text;
}

lua_Integer ww_ops_field_integer(lua_State *lua, int index, const char *name, lua_Integer fallback)
{
    lua_getfield(lua, index, name);
    lua_Integer value = fallback;
    if (!lua_isnil(lua, -1)) {
        if (lua_type(lua, -1) != LUA_TNUMBER)
            luaL_error(lua, "%s must be a number", name);
        value = lua_tointeger(lua, -1);
    }
    lua_pop(lua, 1);
    return value;
}

bool ww_ops_field_bool(lua_State *lua, int index, const char *name, bool fallback)
{
    lua_getfield(lua, index, name);
    bool value = lua_isnil(lua, -1) ? fallback : lua_toboolean(lua, -1);
    lua_pop(lua, 1);
    return value;
}

int ww_ops_field_function(lua_State *lua, int index, const char *name)
{
    lua_getfield(lua, index, name);
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        return LUA_NOREF;
    }
    if (!lua_isfunction(lua, -1))
        luaL_error(lua, "%s must be a function", name);
    return luaL_ref(lua, LUA_REGISTRYINDEX);
}

void ww_ops_class(lua_State *lua, const char *name, const luaL_Reg *methods, lua_CFunction finalise)
{
    luaL_newmetatable(lua, name);
    lua_newtable(lua);
    luaL_register(lua, NULL, methods);
    lua_setfield(lua, -2, "__index");
    if (finalise) {
        lua_pushcfunction(lua, finalise);
        lua_setfield(lua, -2, "__gc");
    }
    lua_pop(lua, 1);
}

void ww_ops_mark_list(lua_State *lua)
{
    luaL_getmetatable(lua, "ww.list");
    lua_setmetatable(lua, -2);
}

/* --- modules --------------------------------------------------------------------------------- */

/* "ops.cli.status" is lua/ops/cli/status.lua, in the folder first, then built in. */
static int load_module(lua_State *lua)
{
    struct ww_ops *ops = ww_ops_of(lua);
    const char *module = luaL_checkstring(lua, 1);
    char name[256];
    const char *text = NULL;
    size_t size = 0;

    int length = snprintf(name, sizeof(name), "lua/%s.lua", module);
    if (length < 0 || (size_t)length >= sizeof(name))
        return luaL_error(lua, "module name %s is too long", module);
    for (char *at = name + 4; at < name + length - 4; at++)
        if (*at == '.')
            *at = '/';
    if (strcmp(module, "argparse") == 0)
        snprintf(name, sizeof(name), "lua/vendor/argparse.lua");
    if (ops->lua_folder) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", ops->lua_folder, name + 4);
        int rc = luaL_loadfile(lua, path);
        if (rc == 0)
            return 1;
        if (rc != LUA_ERRFILE)
            return lua_error(lua);
        lua_pop(lua, 1);
    }
    if (ww_script_find(name, &text, &size)) {
        lua_pushfstring(lua, "\n\tno built-in script %s", name);
        return 1;
    }
    char chunk[260];
    snprintf(chunk, sizeof(chunk), "@%s", name);
    if (luaL_loadbufferx(lua, text, size, chunk, "t"))
        return lua_error(lua);
    return 1;
}

/* Modules come from the built-in scripts and the folder only, never from the current directory. */
static void set_loader(lua_State *lua)
{
    lua_getglobal(lua, "package");
    lua_newtable(lua);
    lua_getfield(lua, -2, "loaders");
    lua_rawgeti(lua, -1, 1); /* package.preload */
    lua_rawseti(lua, -3, 1);
    lua_pop(lua, 1);
    lua_pushcfunction(lua, load_module);
    lua_rawseti(lua, -2, 2);
    lua_setfield(lua, -2, "loaders");
    lua_pushliteral(lua, "");
    lua_setfield(lua, -2, "path");
    lua_pushliteral(lua, "");
    lua_setfield(lua, -2, "cpath");
    lua_pop(lua, 1);
}

/* --- ww.on, ww.exit --------------------------------------------------------------------------- */

static int lua_on(lua_State *lua)
{
    struct ww_ops *ops = ww_ops_of(lua);
    luaL_checkstring(lua, 1);
    if (!lua_isnil(lua, 2))
        luaL_checktype(lua, 2, LUA_TFUNCTION);
    lua_settop(lua, 2);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, ops->handlers);
    lua_insert(lua, 1);
    lua_rawset(lua, 1);
    return 0;
}

static int lua_exit(lua_State *lua)
{
    struct ww_ops *ops = ww_ops_of(lua);
    ops->exit_code = (int)luaL_optinteger(lua, 1, 0);
    ops->exited = true;
    ww_loop_stop(ops->loop);
    return 0;
}

static int lua_log(lua_State *lua)
{
    static const char *const names[] = {"error", "warn", "info", "debug", NULL};
    enum ww_log_level level = (enum ww_log_level)luaL_checkoption(lua, 1, "info", names);
    const char *fields = luaL_optstring(lua, 4, "");
    ww_log_write(level, luaL_checkstring(lua, 2), luaL_checkstring(lua, 3),
                 fields[0] ? " %s" : "%s", fields);
    return 0;
}

/* A value for the fourth argument of ww.log: quoted, and cut to what a line has room for. */
static int lua_quote(lua_State *lua)
{
    lua_pushstring(lua, ww_log_quote(luaL_checkstring(lua, 1)));
    return 1;
}

static int lua_log_setup(lua_State *lua)
{
    enum ww_log_level level = WW_LOG_INFO;
    if (ww_log_level_parse(luaL_checkstring(lua, 1), &level))
        return ww_ops_push_error(lua, WW_EINVAL, "a log level is error, warn, info or debug");
    ww_log_set_level(level);
    ww_log_set_json(lua_toboolean(lua, 2));
    const char *file = luaL_optstring(lua, 3, NULL);
    int rc = file ? ww_log_to_file(file, WW_LOG_FILE_BYTES_MAX) : 0;
    if (rc)
        return ww_ops_push_error(lua, rc, rc == WW_EIO ? strerror(errno) : file);
    lua_pushboolean(lua, 1);
    return 1;
}

static int lua_error_table(lua_State *lua)
{
    int code = ww_error_code(luaL_checkstring(lua, 1));
    ww_ops_push_error_table(lua, code ? code : WW_EINVAL, luaL_optstring(lua, 2, NULL));
    return 1;
}

static int lua_scripts(lua_State *lua)
{
    const char *prefix = luaL_optstring(lua, 1, "");
    size_t found = 0;
    lua_newtable(lua);
    for (size_t index = 0; index < ww_script_count(); index++) {
        const char *name = NULL, *data = NULL;
        size_t size = 0;
        if (ww_script_at(index, &name, &data, &size) || strncmp(name, prefix, strlen(prefix)) != 0)
            continue;
        lua_pushstring(lua, name);
        lua_rawseti(lua, -2, (int)++found);
    }
    return 1;
}

static const luaL_Reg WW_FUNCTIONS[] = {
    {"on", lua_on},
    {"exit", lua_exit},
    {"log", lua_log},
    {"quote", lua_quote},
    {"log_setup", lua_log_setup},
    {"error", lua_error_table},
    {"scripts", lua_scripts},
    {NULL, NULL},
};

/* ww.cjson is the plain library; lua/ops/json.lua adds lists (ww.list marks them) and limits. */
static void open_cjson(lua_State *lua)
{
    lua_pushcfunction(lua, luaopen_cjson);
    lua_call(lua, 0, 1);
    lua_setfield(lua, -2, "cjson");
    luaL_newmetatable(lua, "ww.list");
    lua_setfield(lua, -2, "list");
}

static int open_all(lua_State *lua)
{
    struct ww_ops *ops = lua_touserdata(lua, 1);

    luaL_openlibs(lua);
    set_loader(lua);
    lua_pushlightuserdata(lua, (void *)(uintptr_t)&OPS_KEY);
    lua_pushlightuserdata(lua, ops);
    lua_rawset(lua, LUA_REGISTRYINDEX);
    lua_newtable(lua);
    ops->handlers = luaL_ref(lua, LUA_REGISTRYINDEX);

    lua_newtable(lua);
    luaL_register(lua, NULL, WW_FUNCTIONS);
    open_cjson(lua);
    lua_pushliteral(lua, WW_VERSION);
    lua_setfield(lua, -2, "version");
    lua_pushvalue(lua, -1);
    lua_setglobal(lua, "ww");
    ww_ops_open_loop(lua);
    ww_ops_open_process(lua);
    ww_ops_open_http(lua);
    ww_ops_open_http_client(lua);
    ww_ops_open_crypto(lua);
    ww_ops_open_fs(lua);
    ww_ops_open_ledger(lua);
    ww_ops_open_control(lua);
    ww_ops_open_net(lua);
    ww_ops_open_slice(lua);
    ww_ops_open_line(lua);
    ww_ops_open_trace(lua);
    ww_ops_open_log(lua);
    return 0;
}

int ww_ops_create(struct ww_loop *loop, const struct ww_ops_config *config, struct ww_ops **out)
{
    struct ww_ops *ops = ww_alloc(1, sizeof(*ops));
    if (!ops)
        return WW_ENOMEM;
    ops->loop = loop;
    if (config->lua_folder && !(ops->lua_folder = ww_strdup(config->lua_folder)))
        goto fail;
    ops->lua = luaL_newstate();
    if (!ops->lua)
        goto fail;
    ww_ops_memory_attach(&ops->memory, ops->lua, config->fail_allocation);
    if (lua_cpcall(ops->lua, open_all, ops))
        goto fail;
    lua_newtable(ops->lua);
    for (int index = 0; index < config->argc; index++) {
        lua_pushstring(ops->lua, config->argv[index]);
        lua_rawseti(ops->lua, -2, index);
    }
    lua_setglobal(ops->lua, "arg");
    *out = ops;
    return 0;
fail:
    ww_ops_destroy(ops);
    return WW_ENOMEM;
}

int ww_ops_run(struct ww_ops *ops, const char *module)
{
    lua_State *lua = ops->lua;

    lua_getglobal(lua, "require");
    lua_pushstring(lua, module);
    if (!ww_ops_protected(ops, 1, 1)) {
        lua_pop(lua, 1);
        return EXIT_BROKEN;
    }
    if (!lua_istable(lua, -1)) {
        ww_log(WW_LOG_ERROR, "ops", "a module gives no table", "module=%s", WW_Q(module));
        lua_pop(lua, 1);
        return EXIT_BROKEN;
    }
    lua_getfield(lua, -1, "main");
    lua_remove(lua, -2);
    if (!ww_ops_protected(ops, 0, 0))
        return EXIT_BROKEN;
    if (!ops->exited)
        ww_loop_run(ops->loop);
    return ops->exited ? ops->exit_code
                       : EXIT_BROKEN; /* the engine stopped the loop: it can't go on */
}

static void free_later(void *arg)
{
    ww_free(arg);
}

/* The loop's mailbox may still hold posts that look at the VM, and closing it posts more: the
 * struct goes after all of them. */
void ww_ops_destroy(struct ww_ops *ops)
{
    if (!ops)
        return;
    ops->closing = true;
    if (ops->lua) {
        ww_ops_memory_detach(&ops->memory, ops->lua);
        lua_close(ops->lua);
    }
    ops->lua = NULL;
    ww_free(ops->lua_folder);
    ops->lua_folder = NULL;
    if (ww_loop_post(ops->loop, free_later, ops))
        ww_free(ops);
}

struct ww_loop *ww_ops_loop(struct ww_ops *ops)
{
    return ops->loop;
}

void ww_ops_set_ledger(struct ww_ops *ops, struct ww_ledger *ledger, struct ww_store *store)
{
    if (!store)
        ww_ops_reader_end(ops); /* it reads the store that is about to be closed */
    ops->ledger = ledger;
    ops->store = store;
}
