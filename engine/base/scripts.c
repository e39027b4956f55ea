/* Looks up the Lua files that are built into the program. Relies on a table that the build
 * generates in order of name (engine/cmake/WwEmbed.cmake), ended by a row without a name. */
#include <string.h>

#include "ww/base.h"
#include "ww/scripts.h"

struct script {
    const char *name;
    const char *begin;
    const char *end;
};

#include "table.inc"

size_t ww_script_count(void)
{
    return WW_ARRAY_COUNT(scripts) - 1;
}

int ww_script_at(size_t index, const char **name, const char **data, size_t *size)
{
    if (index >= ww_script_count())
        return WW_ERANGE;
    *name = scripts[index].name;
    *data = scripts[index].begin;
    *size = (size_t)(scripts[index].end - scripts[index].begin);
    return 0;
}

int ww_script_find(const char *name, const char **data, size_t *size)
{
    size_t low = 0;
    size_t high = ww_script_count();

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(scripts[middle].name, name);

        if (order == 0)
            return ww_script_at(middle, &name, data, size);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return WW_ENOTFOUND;
}
