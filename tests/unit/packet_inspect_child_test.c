/* The inspecting process: what it may not do, and that it may end at any time. This program is it,
 * too: it executes itself. */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "inspect_child.h"
#include "inspect_ndpi.h"
#include "inspect_room.h"
#include "packet_hello.h"
#include "packet_inspect_rig.h"

static struct ww_loop *loop;

static int on_named(void *arg, struct ww_flow *flow)
{
    (void)flow;
    ++*(unsigned *)arg;
    return 0;
}

static const struct ww_flow_callbacks CALLBACKS = {.named = on_named};

static struct ww_flows *make(struct ww_inspector *inspector, unsigned *named)
{
    struct ww_flows_config config = {
        .flows_max = 1000, .inspector = inspector, .callbacks = &CALLBACKS, .arg = named};
    struct ww_flows *flows = NULL;
    assert_int_equal(ww_flows_create(&config, &flows), 0);
    return flows;
}

/* --- what it may not do ----------------------------------------------------------------------- */

static void status_line(int pid, const char *key, char *value, size_t size)
{
    char path[64], line[256];
    size_t length = strlen(key);

    *value = '\0';
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            snprintf(value, size, "%.*s", (int)strcspn(line + length + 2, "\n"), line + length + 2);
    }
    fclose(file);
}

static unsigned open_files(int pid)
{
    char path[64];
    unsigned count = 0;
    const struct dirent *entry;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while ((entry = readdir(folder)))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* Root of the machine, and not only of a user namespace with no other user. */
static bool is_root(void)
{
    unsigned long first = 1, outside = 0, count = 0;
    FILE *file = fopen("/proc/self/uid_map", "r");

    assert_non_null(file);
    bool is_read = fscanf(file, "%lu %lu %lu", &first, &outside, &count) == 3;
    fclose(file);
    return geteuid() == 0 && is_read && first == 0 && count > 65534;
}

static void the_process_has_no_rights(void **state)
{
    static const char *caps[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
    struct ww_inspector *inspector;
    char value[128], path[64], byte;

    (void)state;
    assert_int_equal(setenv("WW_SECRET", "a secret", 1), 0);
    assert_int_equal(ww_inspector_create(loop, &inspector), 0);
    rig_ready(loop, inspector);
    int pid = rig_stats(inspector).pid;
    status_line(pid, "Name", value, sizeof(value));
    assert_string_equal(value, "ww-inspect");
    status_line(pid, "Seccomp", value, sizeof(value));
    assert_string_equal(value, "2");
    status_line(pid, "NoNewPrivs", value, sizeof(value));
    assert_string_equal(value, "1");
    for (size_t i = 0; i < WW_ARRAY_COUNT(caps); i++) {
        status_line(pid, caps[i], value, sizeof(value));
        assert_string_equal(value, "0000000000000000");
    }
    if (is_root()) { /* who else may not look */
        status_line(pid, "Uid", value, sizeof(value));
        assert_string_equal(value, "65534\t65534\t65534\t65534");
        status_line(pid, "Gid", value, sizeof(value));
        assert_string_equal(value, "65534\t65534\t65534\t65534");
        assert_int_equal(open_files(pid), 1);
        snprintf(path, sizeof(path), "/proc/%d/environ", pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, &byte, 1), 0);
        close(fd);
    }
    ww_inspector_destroy(inspector);
}

static void be_allowed(int fd)
{
    char byte = 'x';
    void *blocks[100];

    for (size_t i = 0; i < 100; i++)
        WW_REQUIRE((blocks[i] = malloc(i * 3000 + 1)));
    for (size_t i = 0; i < 100; i++)
        free(blocks[i]);
    for (size_t i = 0; i < 2; i++) {
        size_t size = i == 0 ? WW_INSPECT_MEMORY_BYTES / 2 : 2 * WW_INSPECT_MEMORY_BYTES;
        void *much = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        WW_REQUIRE((much == MAP_FAILED) == (i == 1));
    }
    WW_REQUIRE(write(fd, &byte, 1) == 1);
    WW_REQUIRE(ww_clock_mono_us() > 0);
}

static void open_a_file(int fd)
{
    (void)fd;
    syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static void make_a_socket(int fd)
{
    (void)fd;
    syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void signal_its_parent(int fd)
{
    (void)fd;
    syscall(SYS_kill, getppid(), 0);
}

static void become_another(int fd)
{
    const char *const none[] = {NULL};
    (void)fd;
    syscall(SYS_execve, "/bin/true", none, none);
}

static void be_two(int fd)
{
    (void)fd;
    if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0)
        syscall(SYS_exit_group, 0);
}

static void make_code(int fd)
{
    (void)fd;
    syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void make_memory_code(int fd)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)fd;
    syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
}

static void write_elsewhere(int fd)
{
    syscall(SYS_write, fd == 2 ? 1 : 2, "x", 1);
}

static void get_a_descriptor(int fd)
{
    struct msghdr message = {0};
    syscall(SYS_recvmsg, fd, &message, MSG_DONTWAIT);
}

/* How a process ends that does this when it has given up its rights. */
static int end_of(void (*deed)(int fd))
{
    int pair[2], status = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (inspect_child_confine(pair[1]))
            _exit(9);
        deed(pair[1]);
        syscall(SYS_exit_group, 0); /* not _exit: AddressSanitizer makes calls of its own before */
    }
    close(pair[0]);
    close(pair[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void never_end(int fd)
{
    (void)fd;
    inspect_child_begin();
    for (volatile unsigned i = 0;; i++)
        continue;
}

static void stay(int fd)
{
    (void)fd;
}

static void a_forbidden_call_ends_it(void **state)
{
    static void (*const deeds[])(int fd) = {open_a_file,      make_a_socket,   signal_its_parent,
                                            become_another,   be_two,          make_code,
                                            make_memory_code, write_elsewhere, get_a_descriptor};

    (void)state;
    int status = end_of(stay);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (size_t i = 0; i < WW_ARRAY_COUNT(deeds); i++) {
        status = end_of(deeds[i]);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("deed %zu ended with %#x", i, (unsigned)status);
    }
}

static void a_packet_without_end_ends_it(void **state)
{
    (void)state;
    int status = end_of(never_end);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGPROF);
}

static void what_it_needs_is_allowed(void **state)
{
    int pair[2], status = 0;
    char byte = 0;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (inspect_child_confine(pair[1]))
            _exit(9);
        be_allowed(pair[1]);
        syscall(SYS_exit_group, 0);
    }
    close(pair[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(pair[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(pair[0]);
}

/* --- that it may end -------------------------------------------------------------------------- */

static const struct inspect_how SOON = {
    .program = "/proc/self/exe", .answer_ms = 300, .again_ms = 50};

/* Signals take their time. */
static void stand_still(const struct ww_inspector *inspector)
{
    int pid = rig_stats(inspector).pid;
    char value[128] = "";

    kill(pid, SIGSTOP);
    while (*value != 'T') {
        status_line(pid, "State", value, sizeof(value));
        usleep(1000);
    }
}

static void flows_go_on_when_it_is_killed(void **state)
{
    struct at at = {IPPROTO_UDP, 40000, 443, 0, false};
    struct ww_inspector *inspector;
    struct ww_flow *flow = NULL, *before = NULL;
    uint8_t bytes[1200], query[2048];
    unsigned named = 0;
    size_t size = hello_tls("www.youtube.com", query, sizeof(query));

    (void)state;
    assert_int_equal(inspect_create(loop, &SOON, &inspector), 0);
    struct ww_flows *flows = make(inspector, &named);
    rig_ready(loop, inspector);
    hello_quic(NULL, bytes);
    int pid = rig_stats(inspector).pid;
    assert_int_equal(send_payload(flows, &at, bytes, sizeof(bytes), &before), WW_FLOW_PASS);
    rig_settle(loop, inspector);
    stand_still(inspector);
    at.here++;
    assert_int_equal(send_payload(flows, &at, bytes, sizeof(bytes), &flow), WW_FLOW_PASS);
    kill(pid, SIGKILL);
    TURN_UNTIL(loop, rig_stats(inspector).missed == 1);
    assert_int_equal(rig_stats(inspector).waiting, 0);
    assert_null(flow->name);
    /* Without it: packets pass, and what is read here is known. */
    at = (struct at){IPPROTO_TCP, 40000, 443, 1, false};
    assert_int_equal(send_payload(flows, &at, query, size, &flow), WW_FLOW_PASS);
    assert_string_equal(flow->name, "www.youtube.com");
    rig_ready(loop, inspector);
    assert_int_equal(rig_stats(inspector).starts, 2);
    at = (struct at){IPPROTO_UDP, 40009, 443, 0, false};
    send_payload(flows, &at, bytes, sizeof(bytes), &flow);
    at.here = 40000; /* one that it had been asked about goes on */
    send_payload(flows, &at, bytes, sizeof(bytes), NULL);
    rig_settle(loop, inspector);
    assert_string_equal(flow->name, "example.com");
    assert_string_equal(before->name, "example.com");
    ww_flows_destroy(flows);
    assert_int_equal(ww_inspector_count(inspector), 0);
    ww_inspector_destroy(inspector);
}

/* One that stands still has a bounded queue, of which a client has its share, and is ended. */
static void one_that_stands_still_is_ended(void **state)
{
    struct at at = {IPPROTO_UDP, 1, 443, 0, false};
    struct ww_inspector *inspector;
    struct ww_flow *flow = NULL;
    uint8_t bytes[1200];
    unsigned named = 0;

    (void)state;
    assert_int_equal(inspect_create(loop, &SOON, &inspector), 0);
    struct ww_flows *flows = make(inspector, &named), *other = make(inspector, &named);
    rig_ready(loop, inspector);
    hello_quic(NULL, bytes);
    stand_still(inspector);
    for (int i = 0; i < 2 * WW_INSPECT_ASKED_TABLE; i++, at.here++) /* small: all fit for anybody */
        assert_int_equal(send_payload(flows, &at, bytes, 100, &flow), WW_FLOW_PASS);
    assert_int_equal(rig_stats(inspector).waiting, WW_INSPECT_ASKED_TABLE);
    assert_int_equal(rig_stats(inspector).missed, WW_INSPECT_ASKED_TABLE);
    send_payload(other, &at, bytes, sizeof(bytes), &flow);
    assert_int_equal(rig_stats(inspector).waiting, WW_INSPECT_ASKED_TABLE + 1);
    ww_flows_destroy(flows); /* its questions are still open */
    uint64_t until_us = ww_clock_mono_us() + 8000000;
    while (rig_stats(inspector).starts < 2 && ww_clock_mono_us() < until_us) {
        ww_loop_turn(loop, 20000);
        at.here++;
        send_payload(other, &at, bytes, sizeof(bytes), &flow);
    }
    assert_int_equal(rig_stats(inspector).starts, 2);
    rig_ready(loop, inspector);
    at.here++;
    send_payload(other, &at, bytes, sizeof(bytes), &flow);
    rig_settle(loop, inspector);
    assert_string_equal(flow->name, "example.com");
    ww_flows_destroy(other);
    ww_inspector_destroy(inspector);
}

/* More flows than it can follow: those that it was asked about have their answers. */
static void a_flood_has_some_names(void **state)
{
    struct at at = {IPPROTO_UDP, 1, 443, 0, false};
    struct ww_inspector *inspector;
    const struct ww_flow *flow = NULL;
    uint8_t bytes[1200];
    unsigned named = 0, names = 0;

    (void)state;
    assert_int_equal(ww_inspector_create(loop, &inspector), 0);
    struct ww_flows *flows = make(inspector, &named);
    rig_ready(loop, inspector);
    hello_quic(NULL, bytes);
    stand_still(inspector);
    for (int i = 0; i < 900; i++, at.here++)
        send_payload(flows, &at, bytes, sizeof(bytes), NULL);
    assert_int_equal(ww_inspector_count(inspector), WW_INSPECTIONS_TABLE);
    kill(rig_stats(inspector).pid, SIGCONT);
    rig_settle(loop, inspector);
    while ((flow = ww_flows_next(flows, flow)))
        names += flow->name != NULL;
    assert_int_equal(names, WW_INSPECT_ASKED_TABLE);
    assert_int_equal(rig_stats(inspector).missed, 900 - WW_INSPECT_ASKED_TABLE);
    ww_flows_destroy(flows);
    ww_inspector_destroy(inspector);
}

static void one_that_cannot_be_started(void **state)
{
    const struct inspect_how how = {.program = "/nowhere/at/all", .answer_ms = 300, .again_ms = 50};
    struct at at = {IPPROTO_UDP, 40000, 443, 0, false};
    struct ww_inspector *inspector;
    struct ww_flow *flow = NULL;
    uint8_t bytes[1200];
    unsigned named = 0;

    (void)state;
    assert_int_equal(inspect_create(loop, &how, &inspector), 0);
    struct ww_flows *flows = make(inspector, &named);
    hello_quic(NULL, bytes);
    for (int i = 0; i < 2 * WW_INSPECT_PACKETS; i++)
        assert_int_equal(send_payload(flows, &at, bytes, sizeof(bytes), &flow), WW_FLOW_PASS);
    assert_int_equal(ww_inspector_count(inspector), 0); /* all that was kept of it is freed */
    assert_int_equal(rig_stats(inspector).missed, WW_INSPECT_PACKETS);
    assert_null(flow->name);
    ww_loop_turn(loop, 80000); /* it is tried again, in vain */
    assert_int_equal(rig_stats(inspector).starts, 0);
    ww_flows_destroy(flows);
    ww_inspector_destroy(inspector);
}

/* --- what it keeps ---------------------------------------------------------------------------- */

static size_t question(uint8_t *bytes, uint32_t flow, uint16_t slot, bool has_packet)
{
    static const uint8_t packet[44] = {0x45, 0,    0, 44, 0, 0,   0, 0, 64, 17,   0,
                                       0,    10,   0, 0,  1, 192, 0, 2, 1,  0x9c, 0x40,
                                       0x27, 0x0f, 0, 24, 0, 0,   1, 2, 3};
    struct inspect_head head = {flow, slot, 1000};

    inspect_head_write(&head, bytes);
    memcpy(bytes + INSPECT_HEAD_BYTES, packet, sizeof(packet));
    return INSPECT_HEAD_BYTES + (has_packet ? sizeof(packet) : 0);
}

static void what_it_keeps_is_bounded(void **state)
{
    uint8_t bytes[INSPECT_QUESTION_MAX], answer[INSPECT_ANSWER_BYTES];
    struct inspect_ndpi *ndpi;
    size_t size;

    (void)state;
    assert_int_equal(inspect_ndpi_create(&ndpi), 0);
    assert_int_equal(inspect_ndpi_count(ndpi), 0);
    for (uint32_t flow = 1; flow < 1000; flow++) {
        size_t asked = question(bytes, flow, (uint16_t)(flow % INSPECT_SLOTS), true);
        assert_int_equal(inspect_ndpi_answer(ndpi, bytes, asked, answer, &size), 0);
        assert_int_equal(size, 12);
    }
    assert_int_equal(inspect_ndpi_count(ndpi), INSPECT_SLOTS);
    size_t asked = question(bytes, 1000, 3, false);
    assert_int_equal(inspect_ndpi_answer(ndpi, bytes, asked, answer, &size), 0);
    assert_int_equal(size, 0);
    assert_int_equal(inspect_ndpi_count(ndpi), INSPECT_SLOTS - 1);
    for (int i = 0; i < WW_INSPECT_PACKETS; i++) {
        asked = question(bytes, 1001, 4, true);
        assert_int_equal(inspect_ndpi_answer(ndpi, bytes, asked, answer, &size), 0);
        assert_int_equal(inspect_ndpi_count(ndpi),
                         INSPECT_SLOTS - 1 - (i + 1 == WW_INSPECT_PACKETS));
    }
    asked = question(bytes, 1, INSPECT_SLOTS, true);
    assert_int_equal(inspect_ndpi_answer(ndpi, bytes, asked, answer, &size), WW_EMALFORMED);
    asked = question(bytes, 1, 1, true);
    assert_int_equal(inspect_ndpi_answer(ndpi, bytes, 15, answer, &size), WW_EMALFORMED);
    inspect_ndpi_destroy(ndpi);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_process_has_no_rights),
        cmocka_unit_test(a_forbidden_call_ends_it),
        cmocka_unit_test(a_packet_without_end_ends_it),
        cmocka_unit_test(what_it_needs_is_allowed),
        cmocka_unit_test(flows_go_on_when_it_is_killed),
        cmocka_unit_test(one_that_stands_still_is_ended),
        cmocka_unit_test(a_flood_has_some_names),
        cmocka_unit_test(one_that_cannot_be_started),
        cmocka_unit_test(what_it_keeps_is_bounded),
    };
    ww_inspect_main(argc, argv);
    if (ww_loop_create(&loop))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ww_loop_destroy(loop);
    return failed;
}
