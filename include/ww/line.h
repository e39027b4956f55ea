/* Lines typed on a terminal: editing, history, completion, inputs of several lines, paste.
 *
 * Wraps libedit, and drives it from the loop: a key is handled when it has come, so that timers and
 * sockets go on meanwhile. An input is what Enter ends, if `is_complete` says so; otherwise Enter
 * adds a line to it. What is pasted (bracketed paste) is text, whatever is in it: only Enter runs
 * it.
 *
 * All text is UTF-8, NUL-terminated. Thread: the loop's. One at a time in a process: it has the
 * process's terminal, and its locale (LC_CTYPE).
 */
#pragma once
#include "ww/loop.h"

struct ww_line;

/* Called from the loop. `text` is borrowed. A callback may call any function here but
 * ww_line_destroy. */
struct ww_line_callbacks {
    /* Enter was pressed: true ends the input, false goes on in a new line. */
    bool (*is_complete)(void *arg, const char *text);
    /* The input, without its last end of line. The line has stopped, as by ww_line_stop. */
    void (*entered)(void *arg, const char *text);
    /* Tab was pressed; `cursor` bytes of the text are left of the cursor. Keys wait until
     * ww_line_completed is called. */
    void (*complete)(void *arg, const char *text, size_t cursor);
    /* Ctrl-D on an empty input (0), or the terminal is gone (WW_ECLOSED). The line has stopped. */
    void (*ended)(void *arg, int code);
};

/* Reads from fd 0 and writes to fd 1, which are borrowed. *line is owned by the caller. WW_EINVAL
 * when fd 0 or 1 is no terminal, or one that can't move its cursor; WW_ENOMEM. */
int ww_line_create(struct ww_loop *loop, const struct ww_line_callbacks *callbacks, void *arg,
                   struct ww_line **line);
/* Gives the terminal back as it was. NULL is fine. */
void ww_line_destroy(struct ww_line *line);
/* Shows a prompt of at most WW_LINE_PROMPT_BYTES_MAX bytes (more are cut), and reads an input. What
 * stands between two bytes of value 1 in it is sent to the terminal and has no width: colours. */
void ww_line_prompt(struct ww_line *line, const char *prompt);
/* Stops reading, and gives the terminal its own line editing and echo until the next prompt. Keys
 * that come meanwhile are kept for it. */
void ww_line_stop(struct ww_line *line);
/* The end of a completion: `text` goes in at the cursor, and `list` is shown, unless NULL. Nothing
 * of either: the terminal's bell. */
void ww_line_completed(struct ww_line *line, const char *text, const char *list);
/* Shows text, which ends without an end of line, above what is being typed. */
void ww_line_show(struct ww_line *line, const char *text);
/* Throws away what is being typed, and begins anew. */
void ww_line_discard(struct ww_line *line);
/* The terminal has another size. */
void ww_line_resize(struct ww_line *line);
/* Adds an input to what the arrow keys go through; at most WW_LINE_HISTORY_MAX are kept. */
void ww_line_remember(struct ww_line *line, const char *text);
