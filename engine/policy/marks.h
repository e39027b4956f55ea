/* Inside of the room: which lines of a set's files ran, and at which a function returned. */
#pragma once
#include <lua.h>

#include "ww/policy.h"

struct ww_policy_marks {
    const struct ww_policy_sources *sources; /* borrowed */
    /* A bit for each line: of a file there are as many as it has bytes. */
    uint8_t ran[WW_POLICY_FILES_MAX][WW_POLICY_FILE_BYTES_MAX / 8 + 1];
    uint8_t returned[WW_POLICY_FILES_MAX][WW_POLICY_FILE_BYTES_MAX / 8 + 1];
    bool news; /* a line ran, or returned, for the first time */
};

/* For the meter's hook: the line at `where`. */
void ww_policy_mark(struct ww_policy_marks *marks, lua_State *lua, lua_Debug *where);
