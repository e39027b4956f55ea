/* Editing of lines on a terminal: libedit, driven by the loop.
 *
 * libedit is used unbuffered: each call of el_gets takes one key, and keys are there before it is
 * called (keys.c). Two of its commands, search (Ctrl-R) and quoting (Ctrl-V), read more keys while
 * they run; those wait for the terminal, and the loop with them.
 */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "ww/limits.h"
#include "ww/line.h"

#include "keys.h"

#define CTRL_D     4
#define INSERT_KEY 0x1f /* Ctrl-_, which has no other meaning here */
#define PASTE_ON   "\x1b[?2004h"
#define PASTE_OFF  "\x1b[?2004l"

struct ww_line {
    struct ww_watch *watch;
    struct ww_line_callbacks callbacks;
    void *arg;
    EditLine *editor;
    History *history;
    struct keys keys;
    char prompt[WW_LINE_PROMPT_BYTES_MAX + 1];
    struct ww_timer *go_on; /* there are keys from before the prompt */
    const char *insertion;  /* what INSERT_KEY puts in */
    bool is_reading;        /* there is a prompt */
    bool is_completing;     /* Tab waits for its answer */
    bool wants_tab;         /* Tab was pressed in this call of el_gets */
    bool is_cut;            /* a signal ended what libedit was doing; it took that for the end */
    bool wants_insert;      /* the next character is INSERT_KEY */
};

static struct ww_line *line_of(EditLine *editor)
{
    void *line = NULL;
    el_get(editor, EL_CLIENTDATA, &line);
    return line;
}

static char *give_prompt(EditLine *editor)
{
    return line_of(editor)->prompt;
}

/* Reads what the terminal has; false at its end. */
static bool fill(struct ww_line *line)
{
    size_t room = 0;
    char *into = keys_room(&line->keys, &room);
    ssize_t got;

    do
        got = read(STDIN_FILENO, into, room);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return false;
    keys_add(&line->keys, (size_t)got);
    return true;
}

/* False when a signal comes first, such as that of Ctrl-C: its handler is the loop's. */
static bool wait_for_key(void)
{
    struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&terminal, 1, -1) > 0;
}

/* One character of what is there. */
static int give_character(EditLine *editor, wchar_t *character)
{
    struct ww_line *line = line_of(editor);

    if (line->wants_insert) {
        line->wants_insert = false;
        *character = INSERT_KEY;
        return 1;
    }
    for (;;) {
        mbstate_t state = {0};
        size_t used = line->keys.size
                          ? mbrtowc(character, line->keys.bytes, line->keys.size, &state)
                          : (size_t)-2;
        if (used == (size_t)-2) {
            if (!wait_for_key() || !fill(line)) {
                line->is_cut = true;
                return 0;
            }
            continue;
        }
        if (used == (size_t)-1) {
            *character = L'?'; /* not UTF-8 */
            used = 1;
        }
        keys_drop(&line->keys, used ? used : 1);
        return 1;
    }
}

/* The text that is typed, without anything after it: libedit's buffer has no NUL. The caller frees
 * it. */
static char *typed(struct ww_line *line, size_t *cursor)
{
    const LineInfo *info = el_line(line->editor);
    if (cursor)
        *cursor = (size_t)(info->cursor - info->buffer);
    return ww_strndup(info->buffer, (size_t)(info->lastchar - info->buffer));
}

/* Between prompts, too: libedit has no function for text from the program's side. */
static void put(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}

static unsigned char on_insert(EditLine *editor, int key)
{
    struct ww_line *line = line_of(editor);
    (void)key;
    if (!line->insertion || el_insertstr(editor, line->insertion))
        return CC_ERROR;
    return CC_REFRESH;
}

/* As if it were typed, whatever is in it: by a command of libedit's, which then draws what changed.
 */
static void insert(struct ww_line *line, const char *text)
{
    const LineInfo *info = el_line(line->editor);
    int count = 0;

    if ((size_t)(info->lastchar - info->buffer) + strlen(text) > WW_LINE_INPUT_BYTES_MAX) {
        put("\a");
        return;
    }
    line->insertion = text;
    line->wants_insert = true;
    el_gets(line->editor, &count);
    line->insertion = NULL;
}

static unsigned char on_tab(EditLine *editor, int key)
{
    (void)key;
    line_of(editor)->wants_tab = true;
    return CC_NORM;
}

void ww_line_stop(struct ww_line *line)
{
    if (!line->is_reading)
        return;
    line->is_reading = line->is_completing = false;
    ww_watch_set(line->watch, 0);
    put(PASTE_OFF);
    el_set(line->editor, EL_UNBUFFERED, 0);
}

static void end(struct ww_line *line, int code)
{
    ww_line_stop(line);
    put("\n");
    line->callbacks.ended(line->arg, code);
}

/* Text is put in as it is; a tab would move what follows, and other control characters are dropped.
 */
static void paste(struct ww_line *line, size_t size)
{
    char *text = ww_alloc(size + 1, 4); /* zeros */
    size_t out = 0;

    for (size_t at = 0; text && at < size; at++) {
        char byte = line->keys.bytes[at];
        if (byte == '\t') {
            memcpy(text + out, "    ", 4);
            out += 4;
        } else if (byte == '\r' || byte == '\n') {
            if (byte == '\n' && at > 0 && line->keys.bytes[at - 1] == '\r')
                continue;
            text[out++] = '\n';
        } else if ((unsigned char)byte >= ' ' && byte != 0x7f) {
            text[out++] = byte;
        }
    }
    keys_drop(&line->keys, size);
    if (text && out)
        insert(line, text);
    ww_free(text);
}

/* Enter: true when a line was added instead of ending the input. */
static bool add_line(struct ww_line *line)
{
    char *text = typed(line, NULL);
    bool is_complete = !text || line->callbacks.is_complete(line->arg, text);

    if (!is_complete) {
        keys_drop(&line->keys, 1);
        el_cursor(line->editor, (int)strlen(text));
        insert(line, "\n");
    }
    ww_free(text);
    return !is_complete;
}

/* One key; the first byte of it is `key`. */
static void take_key(struct ww_line *line, char key)
{
    int count = 0;

    if ((key == '\r' || key == '\n') && add_line(line))
        return;
    const char *text = el_gets(line->editor, &count);

    if (line->wants_tab) {
        size_t cursor = 0;
        char *now = typed(line, &cursor);
        line->wants_tab = false;
        line->is_completing = now != NULL;
        if (now)
            line->callbacks.complete(line->arg, now, cursor);
        ww_free(now);
        return;
    }
    if (line->is_cut) {
        line->is_cut = false;
        ww_line_discard(line);
        return;
    }
    if (!text || count <= 0)
        return;
    if (count == 1 && text[0] == CTRL_D) {
        end(line, 0);
    } else if (text[count - 1] == '\n') {
        char *input = ww_strndup(text, (size_t)count - 1);
        ww_line_stop(line);
        if (input)
            line->callbacks.entered(line->arg, input);
        ww_free(input);
    }
}

static void take(struct ww_line *line)
{
    size_t size = 0;

    while (line->is_reading && !line->is_completing) {
        switch (keys_next(&line->keys, &size)) {
        case KEYS_NONE:
            return;
        case KEYS_TYPED:
            take_key(line, line->keys.bytes[0]);
            break;
        case KEYS_PASTED:
            paste(line, size);
            break;
        }
    }
}

static void go_on(void *arg)
{
    take(arg);
}

static void readable(void *arg, int fd, unsigned events)
{
    struct ww_line *line = arg;
    (void)fd;
    (void)events;

    if (line->is_completing && line->keys.size == sizeof(line->keys.bytes)) {
        ww_watch_set(line->watch, 0);
        return;
    }
    if (!fill(line)) {
        end(line, WW_ECLOSED);
        return;
    }
    take(line);
}

/* What terminals send for keys that libedit does not find in terminfo; keys.c drops others. */
static void bind_keys(EditLine *editor)
{
    static const char *const keys[][2] = {
        {"\\e[1~", "ed-move-to-beg"},      {"\\e[7~", "ed-move-to-beg"},
        {"\\e[H", "ed-move-to-beg"},       {"\\eOH", "ed-move-to-beg"},
        {"\\e[4~", "ed-move-to-end"},      {"\\e[8~", "ed-move-to-end"},
        {"\\e[F", "ed-move-to-end"},       {"\\eOF", "ed-move-to-end"},
        {"\\e[3~", "ed-delete-next-char"}, {"\\e[1;5C", "em-next-word"},
        {"\\e[1;5D", "ed-prev-word"},      {"^R", "em-inc-search-prev"},
    };
    for (size_t index = 0; index < WW_ARRAY_COUNT(keys); index++)
        el_set(editor, EL_BIND, keys[index][0], keys[index][1], NULL);
}

static int open_editor(struct ww_line *line)
{
    HistEvent event;

    line->history = history_init();
    line->editor = line->history ? el_init("ww", stdin, stdout, stderr) : NULL;
    if (!line->editor)
        return WW_ENOMEM;
    history(line->history, &event, H_SETSIZE, WW_LINE_HISTORY_MAX);
    history(line->history, &event, H_SETUNIQUE, 1);
    el_set(line->editor, EL_CLIENTDATA, line);
    el_set(line->editor, EL_PROMPT_ESC, give_prompt, '\1');
    el_set(line->editor, EL_SIGNAL, 0);
    el_set(line->editor, EL_EDITOR, "emacs");
    el_set(line->editor, EL_HIST, history, line->history);
    el_set(line->editor, EL_GETCFN, give_character);
    el_wset(line->editor, EL_ADDFN, L"ww-insert", L"puts text in", on_insert);
    el_wset(line->editor, EL_ADDFN, L"ww-complete", L"completes a name", on_tab);
    bind_keys(line->editor);
    el_source(line->editor, NULL); /* ~/.editrc, such as bind -v */
    el_set(line->editor, EL_BIND, "^M", "ed-newline", NULL);
    el_set(line->editor, EL_BIND, "^J", "ed-newline", NULL);
    el_set(line->editor, EL_BIND, "^_", "ww-insert", NULL);
    el_set(line->editor, EL_BIND, "^I", "ww-complete", NULL);
    return 0;
}

int ww_line_create(struct ww_loop *loop, const struct ww_line_callbacks *callbacks, void *arg,
                   struct ww_line **out)
{
    const char *terminal = getenv("TERM");

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !terminal ||
        strcmp(terminal, "dumb") == 0)
        return WW_EINVAL;
    struct ww_line *line = ww_alloc(1, sizeof(*line));
    if (!line)
        return WW_ENOMEM;
    line->callbacks = *callbacks;
    line->arg = arg;
    /* All text here is UTF-8, whatever the user's language is. */
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8");
    signal(SIGTSTP, SIG_IGN); /* a stopped process would leave the terminal as libedit has it */
    int rc = open_editor(line);
    if (!rc)
        rc = ww_timer_create(loop, go_on, line, &line->go_on);
    if (!rc)
        rc = ww_watch_create(loop, STDIN_FILENO, 0, readable, line, &line->watch);
    if (rc) {
        ww_line_destroy(line);
        return rc;
    }
    *out = line;
    return 0;
}

void ww_line_destroy(struct ww_line *line)
{
    if (!line)
        return;
    if (line->editor)
        ww_line_stop(line);
    ww_watch_destroy(line->watch);
    ww_timer_destroy(line->go_on);
    if (line->editor)
        el_end(line->editor);
    if (line->history)
        history_end(line->history);
    ww_free(line);
}

void ww_line_prompt(struct ww_line *line, const char *prompt)
{
    snprintf(line->prompt, sizeof(line->prompt), "%s", prompt);
    if (line->is_reading)
        return;
    line->is_reading = true;
    put(PASTE_ON);
    el_set(line->editor, EL_UNBUFFERED, 1);
    ww_watch_set(line->watch, WW_WATCH_READ);
    if (line->keys.size)
        ww_timer_start(line->go_on, 0);
}

void ww_line_show(struct ww_line *line, const char *text)
{
    if (line->is_reading)
        put("\r\x1b[J");
    put(text);
    put("\n");
    if (line->is_reading)
        el_set(line->editor, EL_REFRESH);
}

void ww_line_completed(struct ww_line *line, const char *text, const char *list)
{
    if (!line->is_completing)
        return;
    line->is_completing = false;
    if (!text && !list)
        put("\a");
    if (text && text[0])
        insert(line, text);
    if (list) {
        put("\n\x1b[J");
        put(list);
        put("\n");
        el_set(line->editor, EL_REFRESH);
    }
    ww_watch_set(line->watch, WW_WATCH_READ);
    if (line->keys.size)
        ww_timer_start(line->go_on, 0);
}

void ww_line_discard(struct ww_line *line)
{
    if (!line->is_reading)
        return;
    line->keys.size = 0;
    line->keys.is_pasting = line->is_completing = false;
    put("^C\n");
    el_set(line->editor, EL_UNBUFFERED, 0);
    el_reset(line->editor);
    el_set(line->editor, EL_UNBUFFERED, 1);
    ww_watch_set(line->watch, WW_WATCH_READ);
}

void ww_line_resize(struct ww_line *line)
{
    el_resize(line->editor);
    if (line->is_reading) {
        /* libedit takes the cursor to be where it began. */
        put("\r\x1b[J");
        el_set(line->editor, EL_REFRESH);
    }
}

void ww_line_remember(struct ww_line *line, const char *text)
{
    HistEvent event;
    history(line->history, &event, H_ENTER, text);
}
