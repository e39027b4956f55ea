/* The log: one line a call, written with one write(2) so that lines of several threads don't mix.
 * Relies on nothing that allocates or locks, so it works when memory has run out; it must never let
 * a value from outside forge a line or another pair. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log_room.h"

#define QUOTE_SLOTS 8

struct line {
    char text[WW_LOG_LINE_BYTES];
    size_t size;
    bool full; /* something did not fit: nothing more is added */
};

static atomic_int level_max = WW_LOG_INFO;
static atomic_bool is_json;

static const char *const level_names[] = {"error", "warn", "info", "debug"};
/* syslog's priorities, which the journal reads from a "<n>" prefix (sd-daemon(3)). */
static const char level_priorities[] = {'3', '4', '6', '7'};

void ww_log_set_level(enum ww_log_level level)
{
    atomic_store(&level_max, (int)level);
}

static bool is_written(enum ww_log_level level)
{
    return (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

bool ww_log_enabled(enum ww_log_level level)
{
    return is_written(level) || ww_log_is_kept(level);
}

void ww_log_set_json(bool json)
{
    atomic_store(&is_json, json);
}

const char *ww_log_level_name(enum ww_log_level level)
{
    return level_names[level];
}

int ww_log_level_parse(const char *text, enum ww_log_level *level)
{
    for (size_t i = 0; i < WW_ARRAY_COUNT(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum ww_log_level)i;
            return 0;
        }
    }
    return WW_EINVAL;
}

/* What begins at `text` between quotes, as JSON escapes it: a byte, or a control character beyond
 * ASCII (U+0080 to U+009F), which a terminal may obey as well. Returns its length in out, at most
 * 6, and in *used how many bytes it stands for. */
static size_t escape(const char *text, size_t left, char out[8], size_t *used)
{
    const char c = *text;
    unsigned char byte = (unsigned char)c;
    unsigned char next = left > 1 ? (unsigned char)text[1] : 0;

    *used = 1;
    if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {
        *used = 2;
        return (size_t)snprintf(out, 8, "\\u%04x", next);
    }
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = c;
        return 2;
    }
    if (byte < 0x20 || byte == 0x7f)
        return (size_t)snprintf(out, 8, "\\u%04x", byte);
    out[0] = c;
    return 1;
}

const char *ww_log_quote(const char *text)
{
    static _Thread_local char slots[QUOTE_SLOTS][WW_LOG_QUOTE_BYTES];
    static _Thread_local unsigned next;
    char *slot = slots[next++ % QUOTE_SLOTS];
    size_t size = 0;

    slot[size++] = '"';
    for (size_t left = strlen(text), used; left > 0; text += used, left -= used) {
        char escaped[8];
        size_t length = escape(text, left, escaped, &used);

        if (size + length + 2 > WW_LOG_QUOTE_BYTES)
            break;
        memcpy(slot + size, escaped, length);
        size += length;
    }
    slot[size++] = '"';
    slot[size] = '\0';
    return slot;
}

/* Adds all of it or nothing; the last two bytes of a line are kept for its end. */
static bool add(struct line *line, const char *text, size_t size)
{
    if (line->full || size > sizeof(line->text) - 2 - line->size) {
        line->full = true;
        return false;
    }
    memcpy(line->text + line->size, text, size);
    line->size += size;
    return true;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

/* Cut where it doesn't fit, so that a long message still closes its quotes. */
static void add_quoted(struct line *line, const char *text, size_t size)
{
    add(line, "\"", 1);
    for (size_t i = 0, used; i < size && !line->full; i += used) {
        char escaped[8];
        size_t length = escape(text + i, size - i, escaped, &used);

        if (line->size + length + 3 > sizeof(line->text))
            break;
        add(line, escaped, length);
    }
    add(line, "\"", 1);
}

static void add_time(struct line *line)
{
    uint64_t now_ms = ww_clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char text[64];
    size_t size;

    gmtime_r(&seconds, &utc);
    size = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + size, sizeof(text) - size, ".%03uZ", (unsigned)(now_ms % 1000));
    add_text(line, text);
}

/* The length of the pair at `text`: to the next space outside quotes. */
static size_t pair_size(const char *text)
{
    bool quoted = false;
    size_t i;

    for (i = 0; text[i] && (quoted || text[i] != ' '); i++) {
        if (quoted && text[i] == '\\' && text[i + 1])
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
    }
    return i;
}

static bool is_number(const char *text, size_t size)
{
    /* 15 digits: every reader of JSON holds that many exactly. No leading zero. */
    if (size == 0 || size > 15 || (text[0] == '0' && size > 1))
        return false;
    return strspn(text, "0123456789") >= size;
}

/* `key=value` as `,"key":value`. A value that ww_log_quote made is JSON already. */
static void add_json_pair(struct line *line, const char *pair, size_t size)
{
    const char *equals = memchr(pair, '=', size);
    size_t key_size = equals ? (size_t)(equals - pair) : size;
    const char *value = equals ? equals + 1 : "true";
    size_t value_size = equals ? size - key_size - 1 : strlen(value);
    size_t before = line->size;

    add(line, ",", 1);
    add_quoted(line, pair, key_size);
    add(line, ":", 1);
    if (!equals || is_number(value, value_size))
        add(line, value, value_size);
    else if (value_size >= 2 && value[0] == '"' && value[value_size - 1] == '"' &&
             pair_size(value) == value_size)
        add(line, value, value_size);
    else
        add_quoted(line, value, value_size);
    if (line->full)
        line->size = before;
}

static void add_pairs(struct line *line, const char *pairs, bool json)
{
    while (*pairs && !line->full) {
        size_t size = pair_size(pairs);

        if (size && json) {
            add_json_pair(line, pairs, size);
        } else if (size) {
            size_t before = line->size;

            add(line, " ", 1);
            if (!add(line, pairs, size))
                line->size = before;
        }
        pairs += size;
        pairs += *pairs == ' ';
    }
}

static void add_head(struct line *line, enum ww_log_level level, const char *room,
                     const char *message, bool json)
{
    if (getenv("JOURNAL_STREAM") && !ww_log_has_file()) {
        const char prefix[] = {'<', level_priorities[level], '>'};

        add(line, prefix, sizeof(prefix));
    }
    add_text(line, json ? "{\"ts\":\"" : "ts=");
    add_time(line);
    add_text(line, json ? "\",\"level\":\"" : " level=");
    add_text(line, level_names[level]);
    add_text(line, json ? "\",\"room\":\"" : " room=");
    add_text(line, room);
    add_text(line, json ? "\",\"msg\":" : " msg=");
    add_quoted(line, message, strlen(message));
}

static void write_line(enum ww_log_level level, const char *room, const char *message,
                       const char *pairs)
{
    bool json = atomic_load_explicit(&is_json, memory_order_relaxed);
    struct line line;
    ssize_t written;
    int sink;

    line.size = 0;
    line.full = false;
    add_head(&line, level, room, message, json);
    add_pairs(&line, pairs, json);
    if (json)
        line.text[line.size++] = '}';
    line.text[line.size++] = '\n';
    sink = ww_log_sink(line.size);
    do {
        written = write(sink, line.text, line.size);
    } while (written < 0 && errno == EINTR);
}

void ww_log_write(enum ww_log_level level, const char *room, const char *message,
                  const char *format, ...)
{
    int errno_before = errno;
    char pairs[WW_LOG_LINE_BYTES];
    va_list arguments;

    if (!ww_log_enabled(level))
        return;
    va_start(arguments, format);
    if (vsnprintf(pairs, sizeof(pairs), format, arguments) < 0)
        pairs[0] = '\0';
    va_end(arguments);
    /* A caller that forgot to quote must not be able to begin a second line. */
    for (char *c = pairs; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    if (is_written(level))
        write_line(level, room, message, pairs);
    ww_log_keep(level, room, message, pairs);
    errno = errno_before;
}

_Noreturn void ww_require_failed(const char *condition, const char *file, int line)
{
    ww_log_write(WW_LOG_ERROR, "base", "A condition that must hold does not",
                 "condition=%s at=%s:%d", ww_log_quote(condition), file, line);
    abort();
}
