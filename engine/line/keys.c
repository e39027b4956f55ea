/* Cuts what a terminal sends into keys: a character, an escape sequence, or pasted text.
 *
 * A sequence is handed on only when all of it is there, so that libedit, which would wait for its
 * rest, never holds up the loop. Bracketed paste: ESC [ 200 ~ text ESC [ 201 ~.
 */
#include <string.h>

#include "keys.h"

#define ESC         '\x1b'
#define PASTE_BEGIN "\x1b[200~"
#define PASTE_END   "\x1b[201~"
#define PASTE_SIZE  (sizeof(PASTE_BEGIN) - 1)

char *keys_room(struct keys *keys, size_t *size)
{
    *size = sizeof(keys->bytes) - keys->size;
    return keys->bytes + keys->size;
}

void keys_add(struct keys *keys, size_t size)
{
    keys->size += size;
}

void keys_drop(struct keys *keys, size_t size)
{
    keys->size -= size;
    memmove(keys->bytes, keys->bytes + size, keys->size);
}

/* How many bytes a character of UTF-8 has by its first one; 1 for what is none. */
static size_t character_size(char first)
{
    unsigned char byte = (unsigned char)first;
    return byte >= 0xf0 && byte < 0xf8   ? 4
           : byte >= 0xe0 && byte < 0xf0 ? 3
           : byte >= 0xc0 && byte < 0xe0 ? 2
                                         : 1;
}

/* The size of what begins with ESC: ESC [ … letter, ESC O letter, ESC key; 0: not all is there. */
static size_t sequence_size(const char *bytes, size_t size)
{
    if (size < 2 || bytes[0] != ESC)
        return 0;
    if (bytes[1] == 'O')
        return size < 3 ? 0 : 3;
    if (bytes[1] != '[')
        return 1 + character_size(bytes[1]) <= size ? 1 + character_size(bytes[1]) : 0;
    for (size_t at = 2; at < size; at++)
        if (bytes[at] >= '@' && bytes[at] <= '~')
            return at + 1;
    return size > 32 ? size : 0; /* no key has a sequence that long */
}

/* A sequence that no key here has: libedit would type its end. */
static bool is_unknown(const char *bytes, size_t size)
{
    static const char *const known[] = {"[A",  "[B",  "[C",  "[D",    "[H",    "[F",   "OA",
                                        "OB",  "OC",  "OD",  "OH",    "OF",    "[1~",  "[3~",
                                        "[4~", "[7~", "[8~", "[1;5C", "[1;5D", "[200~"};
    if (size < 3 || (bytes[1] != '[' && bytes[1] != 'O'))
        return false;
    for (size_t index = 0; index < WW_ARRAY_COUNT(known); index++)
        if (strlen(known[index]) == size - 1 && memcmp(known[index], bytes + 1, size - 1) == 0)
            return false;
    return true;
}

static enum keys_unit next_pasted(struct keys *keys, size_t *size)
{
    char *end = memmem(keys->bytes, keys->size, PASTE_END, PASTE_SIZE);

    if (end) {
        *size = (size_t)(end - keys->bytes);
        if (*size)
            return KEYS_PASTED;
        keys_drop(keys, PASTE_SIZE);
        keys->is_pasting = false;
        return KEYS_NONE;
    }
    /* The mark may have come in part: an ESC near the end, and what follows it, waits. */
    const char *escape = keys->size ? memrchr(keys->bytes, ESC, keys->size) : NULL;
    *size = keys->size;
    if (escape && keys->size - (size_t)(escape - keys->bytes) < PASTE_SIZE)
        *size = (size_t)(escape - keys->bytes);
    return *size ? KEYS_PASTED : KEYS_NONE;
}

/* Drops what no key has, and the mark that a paste begins; true if there was one. */
static bool begin_paste(struct keys *keys)
{
    for (size_t size = 0; (size = sequence_size(keys->bytes, keys->size));) {
        if (!is_unknown(keys->bytes, size))
            break;
        keys_drop(keys, size);
    }
    if (keys->size < PASTE_SIZE || memcmp(keys->bytes, PASTE_BEGIN, PASTE_SIZE) != 0)
        return false;
    keys_drop(keys, PASTE_SIZE);
    keys->is_pasting = true;
    return true;
}

enum keys_unit keys_next(struct keys *keys, size_t *size)
{
    *size = 0;
    while (keys->is_pasting || begin_paste(keys)) {
        enum keys_unit unit = next_pasted(keys, size);
        if (unit != KEYS_NONE || keys->is_pasting)
            return unit;
    }
    if (!keys->size)
        return KEYS_NONE;
    size_t wanted = keys->bytes[0] == ESC ? sequence_size(keys->bytes, keys->size)
                                          : character_size(keys->bytes[0]);
    if (!wanted || wanted > keys->size)
        return KEYS_NONE;
    *size = wanted;
    return KEYS_TYPED;
}
