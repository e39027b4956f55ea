/* Our pattern matcher against LuaJIT's own, on many small random patterns and subjects; and how
 * long its worst cases take. */
#include "test.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <string.h>
#include <time.h>

#include "pattern.h"
#include "ww/base.h"
#include "ww/limits.h"

#define ROUNDS 40000

static size_t random_text(struct ww_prng *prng, const char *const *pieces, size_t piece_count,
                          size_t most, char *out)
{
    size_t count = ww_prng_next(prng) % (most + 1);
    size_t size = 0;

    for (size_t index = 0; index < count; index++) {
        const char *piece = pieces[ww_prng_next(prng) % piece_count];

        memcpy(out + size, piece, strlen(piece));
        size += strlen(piece);
    }
    out[size] = '\0';
    return size;
}

#define FOUND_SIZE 512 /* captures as text */

/* 1 and the captures' text for a match at the first place, 0 for none, -1 for an error. */
static int ours(const char *subject, size_t subject_size, const char *pattern, size_t pattern_size,
                char *found)
{
    struct ww_pattern state = {.subject = subject,
                               .subject_size = subject_size,
                               .pattern = pattern,
                               .pattern_size = pattern_size,
                               .steps_max = 10000000};
    size_t skip = pattern_size > 0 && pattern[0] == '^';
    size_t size = 0;

    for (size_t start = 0; start <= subject_size; start++) {
        size_t end;

        if (ww_pattern_match_at(&state, start, skip, &end)) {
            size += (size_t)snprintf(found, FOUND_SIZE, "%zu-%zu", start + 1, end);
            for (size_t index = 0; index < state.level; index++) {
                const struct ww_pattern_capture *capture = &state.captures[index];

                if (capture->size == WW_PATTERN_POSITION)
                    size += (size_t)snprintf(found + size, FOUND_SIZE - size, "|%zu",
                                             capture->start + 1);
                else
                    size += (size_t)snprintf(found + size, FOUND_SIZE - size, "|%.*s",
                                             (int)capture->size, subject + capture->start);
            }
            return 1;
        }
        if (state.error)
            return -1;
        if (skip)
            return 0;
    }
    return 0;
}

static int theirs(lua_State *lua, const char *subject, size_t subject_size, const char *pattern,
                  size_t pattern_size, char *found)
{
    size_t size = 0;

    lua_settop(lua, 0);
    lua_getglobal(lua, "string");
    lua_getfield(lua, -1, "find");
    lua_pushlstring(lua, subject, subject_size);
    lua_pushlstring(lua, pattern, pattern_size);
    if (lua_pcall(lua, 2, LUA_MULTRET, 0))
        return -1;
    if (lua_isnil(lua, 2))
        return 0;
    size = (size_t)snprintf(found, FOUND_SIZE, "%s-", lua_tostring(lua, 2));
    size += (size_t)snprintf(found + size, FOUND_SIZE - size, "%s", lua_tostring(lua, 3));
    for (int index = 4; index <= lua_gettop(lua); index++)
        size += (size_t)snprintf(found + size, FOUND_SIZE - size, "|%s", lua_tostring(lua, index));
    return 1;
}

static void test_same_as_luajit(void **state)
{
    static const char *const items[] = {
        "a",  "b",     ".",  "%a", "%d",  "[ab]", "[^a]", "[a-c]",  "*",      "+",   "-",   "?",
        "(",  ")",     "()", "^",  "$",   "%1",   "%b()", "%f[a]",  "%%",     "[]]", "[^]", "%w",
        "%S", "[%a_]", "%",  "[",  "(a)", "(.-)", "%2",   "%f[%W]", "[%d-a]", "c",
    };
    static const char *const texts[] = {"a", "b", "c", "ab", "1", "(", ")", " ", "_", "%"};
    lua_State *lua = luaL_newstate();
    struct ww_prng prng;
    unsigned matches = 0;
    unsigned errors = 0;

    (void)state;
    luaL_openlibs(lua);
    ww_prng_seed(&prng, 20260401);
    for (unsigned round = 0; round < ROUNDS; round++) {
        char pattern[128];
        char subject[64];
        char got[FOUND_SIZE] = "";
        char wanted[FOUND_SIZE] = "";
        size_t pattern_size =
            random_text(&prng, items, sizeof(items) / sizeof(items[0]), 7, pattern);
        size_t subject_size =
            random_text(&prng, texts, sizeof(texts) / sizeof(texts[0]), 10, subject);
        int our_rc;
        int their_rc;

        if (!strpbrk(pattern, "^$*+?.([%-"))
            continue; /* LuaJIT looks for such a text as it is, even ")" */
        our_rc = ours(subject, subject_size, pattern, pattern_size, got);
        their_rc = theirs(lua, subject, subject_size, pattern, pattern_size, wanted);

        if (our_rc != their_rc || strcmp(got, wanted) != 0)
            print_error("'%s' on '%s': %d %s, LuaJIT %d %s\n", pattern, subject, our_rc, got,
                        their_rc, wanted);
        assert_int_equal(our_rc, their_rc);
        assert_string_equal(got, wanted);
        matches += our_rc == 1;
        errors += our_rc == -1;
    }
    assert_true(matches > ROUNDS / 20);
    assert_true(errors > ROUNDS / 20);
    lua_close(lua);
}

static double elapsed_ms(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)(now.tv_sec - start->tv_sec) * 1e3 +
           (double)(now.tv_nsec - start->tv_nsec) / 1e6;
}

static void test_worst_cases_are_bounded(void **state)
{
    static const char *const bombs[] = {
        ".-.-.-b",
        ".*.*.*.*b",
        "(.-)(.-)%1%2b",
        "a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaaaaaab",
        "%b()%b()b",
        "[^b]-[^b]-[^b]-b",
        "%f[a].-%f[b].-b",
        ".-.-.-.-.-.-.-.-.-.-.-.-.-.-.-.-b",
        "[abcdefghijklmnopqrstuvwxyz]*[abcdefghijklmnopqrstuvwxyz]*!",
    };
    static char subject[WW_POLICY_SUBJECT_BYTES_MAX];
    double worst_ms = 0;
    const char *worst = "";

    (void)state;
    memset(subject, 'a', sizeof(subject));
    for (size_t index = 0; index < sizeof(bombs) / sizeof(bombs[0]); index++) {
        struct ww_pattern match = {.subject = subject,
                                   .subject_size = sizeof(subject),
                                   .pattern = bombs[index],
                                   .pattern_size = strlen(bombs[index]),
                                   .steps_max = WW_POLICY_PATTERN_STEPS_MAX};
        struct timespec start;
        size_t end;
        double took_ms;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
        for (size_t from = 0; from <= sizeof(subject) && !match.error; from++)
            assert_false(ww_pattern_match_at(&match, from, 0, &end));
        took_ms = elapsed_ms(&start);
        if (took_ms > worst_ms) {
            worst_ms = took_ms;
            worst = bombs[index];
        }
        assert_true(took_ms < 50);
    }
    print_message("slowest pattern: %s, %.2f ms\n", worst, worst_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_luajit),
        cmocka_unit_test(test_worst_cases_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
