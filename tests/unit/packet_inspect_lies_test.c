/* An inspecting process that says anything. This program is it, too: it executes itself. */
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "inspect_room.h"
#include "packet_hello.h"
#include "packet_inspect_rig.h"

static struct ww_loop *loop;

static const struct inspect_how SOON = {
    .program = "/proc/self/exe", .answer_ms = 60000, .again_ms = 50};

enum lie {
    NO_NAMES,
    NAMES_WITH_CONTROLS,
    TOO_MANY_NAMES,
    OTHER_NAMES,
    UNASKED,
    ANOTHER_FLOW,
    ANOTHER_SLOT,
    UNKNOWN_APPLICATION,
    UNKNOWN_FLAG,
    BAD_HOST,
    LONG_HOST,
    SHORT,
    TWICE,
    HUGE,
    EMPTY,
    NAMES_TWICE,
    HANG_UP,
    LIES
};

static void lie_about_names(enum lie lie)
{
    static uint8_t bytes[4 * INSPECT_NAMES_BYTES];
    size_t size = 11;

    memcpy(bytes, "\7Unknown\2AA", size);
    if (lie == NAMES_WITH_CONTROLS)
        bytes[9] = '\n';
    if (lie == OTHER_NAMES) { /* the next process has another number, and not by chance the same */
        bytes[9] = (uint8_t)('A' + getpid() % 50);
        bytes[10] = (uint8_t)('A' + getpid() / 50 % 50);
    }
    if (lie == TOO_MANY_NAMES) {
        for (size = 0; size < 2 * (WW_INSPECT_APPLICATIONS + 1UL); size += 2)
            memcpy(bytes + size, "\1A", 2);
    }
    WW_REQUIRE(write(0, bytes, size) == (ssize_t)size);
}

/* What is none at all. */
static _Noreturn void say_no_answer(enum lie lie)
{
    if (lie == EMPTY)
        WW_REQUIRE(send(0, "", 0, 0) == 0);
    else if (lie == NAMES_TWICE)
        lie_about_names(lie);
    else
        close(0); /* and it lives on */
    for (;;)
        pause();
}

/* The process: one good answer's place, and what is wrong with it. */
static void be_liar(enum lie lie)
{
    static uint8_t bytes[4 * INSPECT_NAMES_BYTES];
    struct inspect_answer answer = {.application = 1, .host = "host.example"};
    struct inspect_head head = {0};

    if (lie != NO_NAMES)
        lie_about_names(lie);
    if (lie >= EMPTY)
        say_no_answer(lie);
    if (lie != UNASKED) {
        ssize_t got = read(0, bytes, sizeof(bytes));
        if (got <= 0 || inspect_head_read(bytes, (size_t)got, &head))
            _exit(3);
    }
    answer.flow = head.flow + (lie == ANOTHER_FLOW);
    answer.slot = (uint16_t)(head.slot + (lie == ANOTHER_SLOT));
    answer.application = lie == UNKNOWN_APPLICATION ? 2 : 1;
    answer.flags = lie == UNKNOWN_FLAG ? 0x80 : INSPECT_ANSWER_QUIC;
    if (lie == BAD_HOST)
        snprintf(answer.host, sizeof(answer.host), "a\"b<c>.example");
    size_t size = inspect_answer_write(&answer, bytes);
    if (lie == LONG_HOST)
        bytes[11] = 255;
    if (lie == HUGE)
        size = 2 * INSPECT_NAMES_BYTES;
    size = lie == SHORT ? 7 : size;
    for (int i = 0; i < (lie == TWICE ? 2 : 1); i++)
        WW_REQUIRE(write(0, bytes, size) == (ssize_t)size);
    for (;;)
        pause();
}

/* No lie reaches a flow, and none is told twice by the same process. */
static void lies_end_it(void **state)
{
    struct ww_inspector *inspectors[LIES];
    struct ww_flows *tables[LIES];
    struct ww_flow *flows[LIES];
    char words[LIES][8];
    const char *argv[LIES][3];
    struct at at = {IPPROTO_UDP, 40000, 443, 0, false};
    unsigned named[LIES] = {0};
    uint8_t bytes[1200];

    (void)state;
    hello_quic(NULL, bytes);
    for (unsigned lie = 0; lie < LIES; lie++) {
        struct inspect_how how = SOON;
        snprintf(words[lie], sizeof(words[lie]), "%u", lie);
        how.argv = argv[lie];
        argv[lie][0] = "liar", argv[lie][1] = words[lie], argv[lie][2] = NULL;
        assert_int_equal(inspect_create(loop, &how, &inspectors[lie]), 0);
        tables[lie] = rig_make(inspectors[lie], &named[lie]);
        send_payload(tables[lie], &at, bytes, sizeof(bytes), &flows[lie]);
    }
    for (unsigned lie = 0; lie < LIES; lie++) {
        if (lie == OTHER_NAMES) { /* the first has not lied, but the second says others */
            rig_ready(loop, inspectors[lie]);
            kill(rig_stats(inspectors[lie]).pid, SIGKILL);
            TURN_UNTIL(loop, rig_stats(inspectors[lie]).starts >= 3);
        }
        TURN_UNTIL(loop, rig_stats(inspectors[lie]).starts >= 2);
        if (lie != TWICE && lie != OTHER_NAMES) {
            assert_int_equal(named[lie], 0);
            assert_null(flows[lie]->name);
            assert_null(flows[lie]->application);
        }
        ww_flows_destroy(tables[lie]);
        ww_inspector_destroy(inspectors[lie]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lies_end_it),
    };
    if (argc == 2 && strcmp(argv[0], "liar") == 0)
        be_liar((enum lie)strtoul(argv[1], NULL, 10));
    if (ww_loop_create(&loop))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ww_loop_destroy(loop);
    return failed;
}
