/* Names, sentences and HTTP statuses of error codes. Relies on errors.def, of which every function
 * here is one expansion; it must never answer NULL, since callers print what they get. */
#include <string.h>

#include "ww/base.h"

struct error_row {
    int code;
    int http;
    const char *name;
    const char *what;
    const char *fix;
};

static const struct error_row rows[] = {
#define WW_ERROR(error_name, error_code, error_http, error_what, error_fix)                        \
    {error_code, error_http, #error_name, error_what, error_fix},
#include "ww/errors.def"
#undef WW_ERROR
};

/* errors.def has some seventy rows and an error is rare: a linear search is enough. */
static const struct error_row *row_of(int code)
{
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        if (rows[i].code == code)
            return &rows[i];
    }
    return NULL;
}

const char *ww_error_name(int code)
{
    const struct error_row *row = row_of(code);

    if (code == 0)
        return "OK";
    return row ? row->name : "EUNKNOWN";
}

int ww_error_code(const char *name)
{
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].code;
    }
    return 0;
}

const char *ww_error_what(int code)
{
    const struct error_row *row = row_of(code);

    if (code == 0)
        return "It worked";
    return row ? row->what : "Something unknown went wrong";
}

const char *ww_error_fix(int code)
{
    const struct error_row *row = row_of(code);

    if (code == 0)
        return "Nothing";
    return row ? row->fix : "Report it as a bug";
}

int ww_error_http(int code)
{
    const struct error_row *row = row_of(code);

    if (code == 0)
        return 200;
    return row ? row->http : 500;
}
