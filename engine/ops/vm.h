/* Inside of the room: the VM's own fields and the helpers that bindings share. */
#pragma once
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>

#include "ww/ops.h"

struct ww_control;

/* A thread that reads a running arbiter's books: the first part of what it is to know, and finds.
 */
struct ww_ops_reader {
    struct ww_ops *ops;
    struct ww_store *store;
    struct ww_timer *timer;
    pthread_t thread;
    atomic_bool is_done;
    int function;                               /* of Lua: called with what `push` pushes */
    void (*read)(struct ww_ops_reader *reader); /* on the thread */
    int (*push)(lua_State *lua, struct ww_ops_reader *reader);
    void (*destroy)(struct ww_ops_reader *reader);
};

/* LuaJIT's own allocator, between it and the VM. */
struct ww_ops_memory {
    lua_Alloc allocate;
    void *data;
    uint64_t allocations, fail_allocation;
};

struct ww_ops {
    struct ww_loop *loop;
    lua_State *lua;
    struct ww_ops_memory memory;
    char *lua_folder;
    struct ww_ledger *ledger; /* borrowed; arbiter only */
    struct ww_store *store;
    struct ww_ops_reader *reader; /* the one that is reading, or NULL */
    int depth;                    /* nested calls from C into Lua */
    int trace;                    /* registry reference: who is told of decisions, or LUA_NOREF */
    int handlers;                 /* registry reference: table of event handlers */
    bool exited;
    bool closing; /* the VM is being closed: Lua must not be called any more */
    int exit_code;
};

void ww_ops_memory_attach(struct ww_ops_memory *memory, lua_State *lua, uint64_t fail_allocation);
void ww_ops_memory_detach(struct ww_ops_memory *memory, lua_State *lua);
struct ww_ops *ww_ops_of(lua_State *lua);
/* Calls the function below `argument_count` values on the main stack; errors are logged with a
 * traceback. Leaves `result_count` results (nil after an error) and returns false then. */
bool ww_ops_protected(struct ww_ops *ops, int argument_count, int result_count);
/* Pushes a function kept with luaL_ref. */
void ww_ops_push_ref(struct ww_ops *ops, int reference);
void ww_ops_unref(struct ww_ops *ops, int *reference);
/* Pushes nil and an error table {code, what, fix, reason}; returns 2. */
int ww_ops_push_error(lua_State *lua, int code, const char *reason);
/* The same about `subject`; for WW_ESYSTEM the reason says what errno means. */
int ww_ops_push_system_error(lua_State *lua, int code, const char *subject);
/* Pushes the error table only. */
void ww_ops_push_error_table(lua_State *lua, int code, const char *reason);
/* Fields of an options table at index: missing gives the default; a wrong type raises. */
const char *ww_ops_field_text(lua_State *lua, int index, const char *name, const char *fallback);
lua_Integer ww_ops_field_integer(lua_State *lua, int index, const char *name, lua_Integer fallback);
bool ww_ops_field_bool(lua_State *lua, int index, const char *name, bool fallback);
/* A registry reference to a function field, LUA_NOREF when missing. */
int ww_ops_field_function(lua_State *lua, int index, const char *name);
/* Makes a userdata class with methods and a finaliser. */
void ww_ops_class(lua_State *lua, const char *name, const luaL_Reg *methods,
                  lua_CFunction finalise);
/* Marks the table on top as a JSON array (empty ones, too). */
void ww_ops_mark_list(lua_State *lua);

/* One per namespace; each leaves its table as ww.<name>. */
void ww_ops_open_loop(lua_State *lua);
void ww_ops_open_http(lua_State *lua);
void ww_ops_open_http_client(lua_State *lua);
void ww_ops_open_crypto(lua_State *lua);
void ww_ops_open_fs(lua_State *lua);
/* Adds `watch` to the table on the stack. */
void ww_ops_add_watch(lua_State *lua);
void ww_ops_open_ledger(lua_State *lua);
/* Adds to the table on the stack what is done to books at rest. */
void ww_ops_add_ledger_files(lua_State *lua);
/* … and the backup of live ones. */
void ww_ops_add_ledger_backup(lua_State *lua);
/* Starts the reader's thread, and its function `done` of the table at index 1 will be called; one
 * at a time. Takes over the reader, whose read, push and destroy are set. Pushes true, or nil and
 * an error; returns how many. */
int ww_ops_reader_start(lua_State *lua, struct ww_ops_reader *reader);
/* Stops the thread that reads, if any, and waits for its end; nobody is told. The store can't be
 * scanned any more. */
void ww_ops_reader_end(struct ww_ops *ops);
struct ww_ledger_report;
void ww_ops_push_report(lua_State *lua, const struct ww_ledger_report *report);
void ww_ops_open_control(lua_State *lua);
void ww_ops_open_net(lua_State *lua);
void ww_ops_open_process(lua_State *lua);
void ww_ops_open_slice(lua_State *lua);
void ww_ops_open_line(lua_State *lua);
void ww_ops_open_trace(lua_State *lua);
void ww_ops_open_log(lua_State *lua);
