/* What comes from a terminal, cut into keys: the same whatever pieces it comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keys.h"

/* Feeds `bytes` in pieces of `piece` bytes; writes "[key]" for keys, and pasted text as "<text>".
 */
static void cut(const char *bytes, size_t size, size_t piece, char *out, size_t out_size)
{
    static struct keys keys;
    bool in_paste = false;
    size_t at = 0, used = 0;

    memset(&keys, 0, sizeof(keys));
    out[0] = '\0';
    while (at < size) {
        size_t room = 0, unit_size = 0, count = piece < size - at ? piece : size - at;
        char *into = keys_room(&keys, &room);
        assert_true(room >= count);
        memcpy(into, bytes + at, count);
        keys_add(&keys, count);
        at += count;
        enum keys_unit unit;
        while ((unit = keys_next(&keys, &unit_size)) != KEYS_NONE) {
            assert_true(unit_size > 0 && unit_size <= keys.size);
            if ((unit == KEYS_PASTED) != in_paste) {
                in_paste = unit == KEYS_PASTED;
                used += (size_t)snprintf(out + used, out_size - used, "%s", in_paste ? "<" : ">");
            }
            used += (size_t)snprintf(out + used, out_size - used,
                                     unit == KEYS_TYPED ? "[%.*s]" : "%.*s", (int)unit_size,
                                     keys.bytes);
            keys_drop(&keys, unit_size);
        }
    }
    if (in_paste)
        snprintf(out + used, out_size - used, ">");
}

static void same(const char *bytes, const char *expected)
{
    for (size_t piece = 1; piece <= strlen(bytes); piece++) {
        char out[512];
        cut(bytes, strlen(bytes), piece, out, sizeof(out));
        assert_string_equal(out, expected);
    }
}

static void keys_come_whole(void **state)
{
    (void)state;
    same("ab\r", "[a][b][\r]");
    same("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z", "[\xc3\xa4][\xe2\x82\xac][\xf0\x9f\x98\x80][z]");
    same("\x1b[A\x1bOBx", "[\x1b[A][\x1bOB][x]");
    same("\x1b[1;5Cx", "[\x1b[1;5C][x]");
    same("\x1b"
         "bx",
         "[\x1b"
         "b][x]");
    same("x\x1b", "[x]"); /* its rest has to come */
    same("\x1b[1", "");
}

static void unknown_sequences_are_dropped(void **state)
{
    (void)state;
    same("a\x1b[15~b", "[a][b]");
    same("a\x1b[<0;12;3Mb", "[a][b]");
    same("\x1bOP\x1b[24~c", "[c]");
}

static void paste_is_text(void **state)
{
    (void)state;
    same("a\x1b[200~x\ny\x1b[A\x1b[201~b", "[a]<x\ny\x1b[A>[b]");
    same("\x1b[200~\x1b[201~b", "[b]");
    same("\x1b[200~\x1b[200~\x1b[201~", "<\x1b[200~>");
    same("\x1b[200~a\x1b[20xyz", "<a\x1b[20xyz>");
}

/* Anything that a terminal could send, in pieces: it ends, and nothing is read out of bounds. */
static void anything_ends(void **state)
{
    static const char alphabet[] = "\x1b[O~;0123a\xc3\xa4\xff\r\x7f";
    char bytes[256], out[4096];
    struct ww_prng prng;
    (void)state;

    ww_prng_seed(&prng, 1);
    for (int round = 0; round < 20000; round++) {
        size_t size = ww_prng_next(&prng) % sizeof(bytes) + 1;
        for (size_t at = 0; at < size; at++)
            bytes[at] = alphabet[ww_prng_next(&prng) % (sizeof(alphabet) - 1)];
        if (round % 3 == 0 && size > 20)
            memcpy(bytes + ww_prng_next(&prng) % (size - 6), "\x1b[200~", 6);
        cut(bytes, size, ww_prng_next(&prng) % 9 + 1, out, sizeof(out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_whole),
        cmocka_unit_test(unknown_sequences_are_dropped),
        cmocka_unit_test(paste_is_text),
        cmocka_unit_test(anything_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
