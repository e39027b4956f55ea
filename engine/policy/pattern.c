/* The pattern matcher. A direct reading of the manual: a pattern is a list of items; an item is a
 * class with an optional suffix, a capture, %b, %f or an anchor.
 *
 * Positions are indices, so that nothing points past an end. Every loop and every entry is one
 * step, which makes the worst pattern as bounded as any other code.
 */
#include "pattern.h"

#include <ctype.h>
#include <string.h>

#include "ww/error.h"

#define UNCLOSED (SIZE_MAX - 1)

struct ww_pattern_place {
    size_t subject;
    size_t pattern;
};

static bool match(struct ww_pattern *state, struct ww_pattern_place at, size_t *end);

static bool fail(struct ww_pattern *state, int error, const char *what)
{
    if (!state->error) {
        state->error = error;
        state->what = what;
    }
    return false;
}

static bool step(struct ww_pattern *state)
{
    if (state->error)
        return false;
    if (++state->steps > state->steps_max)
        return fail(state, WW_EPOLICY_BUDGET, "the pattern takes too many steps");
    return true;
}

/* The index after the single-character class at `start`; 0 with the error set. */
static size_t class_end(struct ww_pattern *state, size_t start)
{
    const char *pattern = state->pattern;
    size_t index = start + 1;

    if (pattern[start] == '%') {
        if (index >= state->pattern_size) {
            fail(state, WW_EINVAL, "malformed pattern (ends with '%')");
            return 0;
        }
        return index + 1;
    }
    if (pattern[start] != '[')
        return index;
    if (index < state->pattern_size && pattern[index] == '^')
        index++;
    do { /* a ] that comes first is a member of the set */
        if (index >= state->pattern_size) {
            fail(state, WW_EINVAL, "malformed pattern (missing ']')");
            return 0;
        }
        if (pattern[index++] == '%')
            index++;
    } while (index >= state->pattern_size || pattern[index] != ']');
    return index + 1;
}

static bool in_class(unsigned char c, unsigned char class)
{
    bool found;

    switch (tolower(class)) {
    case 'a':
        found = isalpha(c);
        break;
    case 'c':
        found = iscntrl(c);
        break;
    case 'd':
        found = isdigit(c);
        break;
    case 'g':
        found = isgraph(c);
        break;
    case 'l':
        found = islower(c);
        break;
    case 'p':
        found = ispunct(c);
        break;
    case 's':
        found = isspace(c);
        break;
    case 'u':
        found = isupper(c);
        break;
    case 'w':
        found = isalnum(c);
        break;
    case 'x':
        found = isxdigit(c);
        break;
    default:
        return class == c;
    }
    return isupper(class) ? !found : found;
}

/* Whether c is in the set pattern[start] == '[' … pattern[last] == ']'. A long one is more than one
 * step. */
static bool in_set(struct ww_pattern *state, unsigned char c, size_t start, size_t last)
{
    const unsigned char *pattern = (const unsigned char *)state->pattern;
    bool negated = pattern[start + 1] == '^';

    state->steps += (last - start) / 16;
    for (size_t index = start + 1 + negated; index < last; index++) {
        if (pattern[index] == '%') {
            if (in_class(c, pattern[++index]))
                return !negated;
        } else if (index + 2 < last && pattern[index + 1] == '-') {
            if (pattern[index] <= c && c <= pattern[index + 2])
                return !negated;
            index += 2;
        } else if (pattern[index] == c) {
            return !negated;
        }
    }
    return negated;
}

/* Whether the character at `subject` is in the class pattern[start] … pattern[end - 1]. */
static bool single(struct ww_pattern *state, size_t subject, size_t start, size_t end)
{
    unsigned char c;

    if (subject >= state->subject_size)
        return false;
    c = (unsigned char)state->subject[subject];
    switch (state->pattern[start]) {
    case '.':
        return true;
    case '%':
        return in_class(c, (unsigned char)state->pattern[start + 1]);
    case '[':
        return in_set(state, c, start, end - 1);
    default:
        return (unsigned char)state->pattern[start] == c;
    }
}

static bool match_longest(struct ww_pattern *state, struct ww_pattern_place at, size_t class_stop,
                          size_t count_min, size_t *end)
{
    size_t count = 0;

    while (single(state, at.subject + count, at.pattern, class_stop)) {
        if (!step(state))
            return false;
        count++;
    }
    for (; count + 1 > count_min; count--) {
        struct ww_pattern_place rest = {at.subject + count, class_stop + 1};

        if (match(state, rest, end))
            return true;
        if (state->error || count == 0)
            return false;
    }
    return false;
}

static bool match_shortest(struct ww_pattern *state, struct ww_pattern_place at, size_t class_stop,
                           size_t *end)
{
    for (;;) {
        struct ww_pattern_place rest = {at.subject, class_stop + 1};

        if (match(state, rest, end))
            return true;
        if (!step(state) || !single(state, at.subject, at.pattern, class_stop))
            return false;
        at.subject++;
    }
}

static bool match_open(struct ww_pattern *state, struct ww_pattern_place at, size_t size,
                       size_t *end)
{
    if (state->level >= WW_PATTERN_CAPTURES_MAX)
        return fail(state, WW_EINVAL, "too many captures");
    state->captures[state->level++] = (struct ww_pattern_capture){at.subject, size};
    if (match(state, at, end))
        return true;
    state->level--;
    return false;
}

static bool match_close(struct ww_pattern *state, struct ww_pattern_place at, size_t *end)
{
    for (size_t level = state->level; level > 0; level--) {
        struct ww_pattern_capture *capture = &state->captures[level - 1];

        if (capture->size != UNCLOSED)
            continue;
        capture->size = at.subject - capture->start;
        if (match(state, at, end))
            return true;
        capture->size = UNCLOSED;
        return false;
    }
    return fail(state, WW_EINVAL, "invalid pattern capture");
}

/* %1 … %9: the same text again. Moves `at` on. */
static bool skip_back_reference(struct ww_pattern *state, struct ww_pattern_place *at)
{
    size_t level = (size_t)(state->pattern[at->pattern + 1] - '1');
    const struct ww_pattern_capture *capture;

    if (level >= state->level || state->captures[level].size == UNCLOSED)
        return fail(state, WW_EINVAL, "invalid capture index");
    capture = &state->captures[level];
    if (capture->size == WW_PATTERN_POSITION)
        return false; /* a position has no text */
    state->steps += capture->size / 16;
    if (state->subject_size - at->subject < capture->size ||
        memcmp(state->subject + capture->start, state->subject + at->subject, capture->size) != 0)
        return false;
    at->subject += capture->size;
    at->pattern += 2;
    return true;
}

/* %bxy: a balanced run. Moves `at` on. */
static bool skip_balanced(struct ww_pattern *state, struct ww_pattern_place *at)
{
    size_t depth = 0;
    char open;
    char close;

    if (state->pattern_size - at->pattern < 4)
        return fail(state, WW_EINVAL, "malformed pattern (%b needs two characters)");
    open = state->pattern[at->pattern + 2];
    close = state->pattern[at->pattern + 3];
    if (at->subject >= state->subject_size || state->subject[at->subject] != open)
        return false;
    for (size_t index = at->subject; index < state->subject_size; index++) {
        if (!step(state))
            return false;
        if (index > at->subject && state->subject[index] == close) {
            if (--depth == 0) {
                at->subject = index + 1;
                at->pattern += 4;
                return true;
            }
        } else if (state->subject[index] == open) {
            depth++;
        }
    }
    return false;
}

/* %f[set]: between a character outside the set and one inside; the ends count as NUL. */
static bool skip_frontier(struct ww_pattern *state, struct ww_pattern_place *at)
{
    size_t start = at->pattern + 2;
    size_t end;
    unsigned char before = 0;
    unsigned char here = 0;

    if (start >= state->pattern_size || state->pattern[start] != '[')
        return fail(state, WW_EINVAL, "missing '[' after '%f' in pattern");
    end = class_end(state, start);
    if (!end)
        return false;
    if (at->subject > 0)
        before = (unsigned char)state->subject[at->subject - 1];
    if (at->subject < state->subject_size)
        here = (unsigned char)state->subject[at->subject];
    if (in_set(state, before, start, end - 1) || !in_set(state, here, start, end - 1))
        return false;
    at->pattern = end;
    return true;
}

/* An item that is not a class with a suffix. 1: it matched and `at` moved on; 0: it did not, or an
 * error is set; -1: it is a class after all; 2: *matched is the answer for the whole rest. */
static int special(struct ww_pattern *state, struct ww_pattern_place *at, size_t *end,
                   bool *matched)
{
    struct ww_pattern_place after = {at->subject, at->pattern + 1};
    char next = at->pattern + 1 < state->pattern_size ? state->pattern[at->pattern + 1] : '\0';

    switch (state->pattern[at->pattern]) {
    case '(':
        if (next == ')')
            after.pattern++;
        *matched = match_open(state, after, next == ')' ? WW_PATTERN_POSITION : UNCLOSED, end);
        return 2;
    case ')':
        *matched = match_close(state, after, end);
        return 2;
    case '$':
        if (after.pattern < state->pattern_size)
            return -1;
        *matched = at->subject == state->subject_size;
        *end = at->subject;
        return 2;
    case '%':
        if (next == 'b')
            return skip_balanced(state, at);
        if (next == 'f')
            return skip_frontier(state, at);
        if (next >= '0' && next <= '9')
            return skip_back_reference(state, at);
        return -1;
    default:
        return -1;
    }
}

/* A class and its suffix. As special(), without -1. */
static int simple(struct ww_pattern *state, struct ww_pattern_place *at, size_t *end, bool *matched)
{
    size_t stop = class_end(state, at->pattern);
    char suffix;

    if (!stop)
        return 0;
    suffix = stop < state->pattern_size ? state->pattern[stop] : '\0';
    switch (suffix) {
    case '*':
    case '+':
        *matched = match_longest(state, *at, stop, suffix == '+', end);
        return 2;
    case '-':
        *matched = match_shortest(state, *at, stop, end);
        return 2;
    case '?':
        if (single(state, at->subject, at->pattern, stop)) {
            struct ww_pattern_place with = {at->subject + 1, stop + 1};

            if (match(state, with, end)) {
                *matched = true;
                return 2;
            }
        }
        at->pattern = stop + 1;
        return 1;
    default:
        if (!single(state, at->subject, at->pattern, stop))
            return 0;
        at->subject++;
        at->pattern = stop;
        return 1;
    }
}

static bool match(struct ww_pattern *state, struct ww_pattern_place at, size_t *end)
{
    while (step(state)) {
        bool matched = false;
        int done;

        if (at.pattern >= state->pattern_size) {
            *end = at.subject;
            return true;
        }
        done = special(state, &at, end, &matched);
        if (done < 0)
            done = simple(state, &at, end, &matched);
        if (done != 1)
            return done == 2 && matched;
    }
    return false;
}

bool ww_pattern_match_at(struct ww_pattern *state, size_t start, size_t pattern_start, size_t *end)
{
    struct ww_pattern_place at = {start, pattern_start};

    state->level = 0;
    if (!match(state, at, end))
        return false;
    for (size_t level = 0; level < state->level; level++) {
        if (state->captures[level].size == UNCLOSED)
            return fail(state, WW_EINVAL, "unfinished capture");
    }
    return true;
}
