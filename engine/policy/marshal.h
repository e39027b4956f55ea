/* Structs of the hooks to Lua tables and back, by their descriptions.
 *
 * All functions run inside a protected call, may raise Lua errors for lack of memory, and leave
 * the stack as they found it but for what they say they push.
 */
#pragma once
#include <lua.h>

#include "fields.h"

struct ww_policy_reader {
    const struct ww_policy_hook *hook;
    const void *input; /* what orders refer to; NULL while an input itself is read */
    bool partial;      /* fields may be missing: a test's input over a sample */
    unsigned depth;    /* lists that are being read; start with 0 */
    char why[200];     /* after a false: one sentence that begins with the field's name */
};

/* Pushes a new table. `hook` and `input` are for orders; NULL for an input. */
void ww_policy_push(lua_State *lua, const struct ww_policy_struct *type, const void *data,
                    const struct ww_policy_hook *hook, const void *input);
/* Reads the table on top over `data`, which holds the defaults. False with reader->why. */
bool ww_policy_read(lua_State *lua, const struct ww_policy_struct *type, void *data,
                    struct ww_policy_reader *reader);
/* One value of a memory, likewise. */
void ww_policy_push_value(lua_State *lua, const struct ww_hook_value *value);
bool ww_policy_read_value(lua_State *lua, struct ww_hook_value *value,
                          struct ww_policy_reader *reader);
/* True for UTF-8 without control characters: it can go to logs and JSON as it is. */
bool ww_policy_is_text(const char *text, size_t size);
