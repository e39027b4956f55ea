/* What the files of the log share: from the line that was written to the lines that are kept. */
#pragma once
#include "ww/base.h"

/* Where a line of so many bytes is to be written: a descriptor that stays open. */
int ww_log_sink(size_t line_size);
/* Whether that is a file. */
bool ww_log_has_file(void);
/* Whether lines of this level are kept beyond those that are written. */
bool ww_log_is_kept(enum ww_log_level level);
/* Keeps a line; pairs is without control characters, and begins with a space or is empty. */
void ww_log_keep(enum ww_log_level level, const char *room, const char *message, const char *pairs);
