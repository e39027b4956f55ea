/* Error codes. 0 is success, an error is one of the negative WW_E… of errors.def. */
#pragma once

enum ww_error {
#define WW_ERROR(name, code, http, what, fix) WW_##name = (code),
#include "ww/errors.def"
#undef WW_ERROR
};

/* "EFUNDS" for WW_EFUNDS; "OK" for 0; "EUNKNOWN" for any other number. Static storage. */
const char *ww_error_name(int code);
/* The code for a name such as "EFUNDS", 0 if there is none. */
int ww_error_code(const char *name);
/* One sentence: what happened. Static storage. */
const char *ww_error_what(int code);
/* One sentence: what to do next. Static storage. */
const char *ww_error_fix(int code);
/* The HTTP status that carries the code: 200 for 0, 500 for an unknown one. */
int ww_error_http(int code);
