/* Bounded tokens of a line of text, for the parsers of candidates, signals and SDP. Never reads
 * beyond the text and never needs a NUL.
 */
#pragma once
#include <string.h>

#include "ww/base.h"

struct token {
    const char *text;
    size_t size;
};

/* The next line of *rest without its LF or CRLF; false at the end. */
static inline bool token_line(struct token *rest, struct token *line)
{
    if (rest->size == 0)
        return false;
    const char *end = memchr(rest->text, '\n', rest->size);
    size_t taken = end ? (size_t)(end - rest->text) + 1 : rest->size;
    line->text = rest->text;
    line->size = end ? taken - 1 : taken;
    if (line->size > 0 && line->text[line->size - 1] == '\r')
        line->size--;
    rest->text += taken;
    rest->size -= taken;
    return true;
}

/* The next word of *rest, words being separated by single spaces; false at the end. */
static inline bool token_word(struct token *rest, struct token *word)
{
    if (rest->size == 0)
        return false;
    const char *end = memchr(rest->text, ' ', rest->size);
    size_t taken = end ? (size_t)(end - rest->text) + 1 : rest->size;
    word->text = rest->text;
    word->size = end ? taken - 1 : taken;
    rest->text += taken;
    rest->size -= taken;
    return word->size > 0;
}

static inline bool token_is(struct token token, const char *text)
{
    return token.size == strlen(text) && memcmp(token.text, text, token.size) == 0;
}

/* Takes `prefix` off; false (and nothing changed) if it isn't there. */
static inline bool token_skip(struct token *token, const char *prefix)
{
    size_t size = strlen(prefix);
    if (token->size < size || memcmp(token->text, prefix, size) != 0)
        return false;
    token->text += size;
    token->size -= size;
    return true;
}

/* A decimal number of digits only, at most `max`. */
static inline bool token_number(struct token token, uint64_t max, uint64_t *value)
{
    uint64_t number = 0;
    if (token.size == 0 || token.size > 19)
        return false;
    for (size_t i = 0; i < token.size; i++) {
        if (token.text[i] < '0' || token.text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(token.text[i] - '0');
    }
    *value = number;
    return number <= max;
}

/* A copy with NULs to the end of `out`, so that nothing is left of an earlier one; false if it
 * doesn't fit. */
static inline bool token_copy(struct token token, char *out, size_t out_size)
{
    if (token.size >= out_size)
        return false;
    memset(out, 0, out_size);
    memcpy(out, token.text, token.size);
    return true;
}
