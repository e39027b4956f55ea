/* The Lua files and policies that are built into the program, as text.
 *
 * Implemented by the library ww_scripts, which the build generates (engine/cmake/WwEmbed.cmake); a
 * room that looks scripts up names it among its LIBRARIES. Names are paths in the source tree, such
 * as "lua/ops/cli.lua" and "policies/default/contract.lua"; the argument parser, which comes from
 * the system, is "lua/vendor/argparse.lua".
 * Thread: any; everything is constant.
 */
#pragma once
#include <stddef.h>

/* The text of a script: static storage, `size` bytes and then a NUL that is not counted.
 * WW_ENOTFOUND. */
int ww_script_find(const char *name, const char **data, size_t *size);
/* How many there are. */
size_t ww_script_count(void);
/* The index-th one in order of name, index < ww_script_count(); WW_ERANGE otherwise. */
int ww_script_at(size_t index, const char **name, const char **data, size_t *size);
