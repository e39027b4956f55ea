/* A node in which the WW_LUA_FAILS_AT-th allocation of trusted Lua fails. Part of the rigged
 * program, which is linked with this in the place of ww_ops_create (ld's --wrap). */
#include <stdlib.h>

#include "ww/ops.h"

/* The linker's names. */
int __wrap_ww_ops_create(struct ww_loop *loop, const struct ww_ops_config *config,
                         struct ww_ops **ops);
int __real_ww_ops_create(struct ww_loop *loop, const struct ww_ops_config *config,
                         struct ww_ops **ops);

int __wrap_ww_ops_create(struct ww_loop *loop, const struct ww_ops_config *config,
                         struct ww_ops **ops)
{
    struct ww_ops_config rigged = *config;
    const char *text = getenv("WW_LUA_FAILS_AT");

    if (text)
        rigged.fail_allocation = strtoull(text, NULL, 10);
    return __real_ww_ops_create(loop, &rigged, ops);
}
