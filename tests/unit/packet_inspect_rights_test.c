/* The inspecting process: what it may not do, and that it ends with its node. This program is it,
 * too: it executes itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <seccomp.h>

#include "inspect_child.h"
#include "inspect_room.h"
#include "packet_inspect_rig.h"

static struct ww_loop *loop;

/* --- what it may not do ----------------------------------------------------------------------- */

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
    rig_status(pid, "Name", value, sizeof(value));
    assert_string_equal(value, "ww-inspect");
    rig_status(pid, "Seccomp", value, sizeof(value));
    assert_string_equal(value, "2");
    rig_status(pid, "NoNewPrivs", value, sizeof(value));
    assert_string_equal(value, "1");
    for (size_t i = 0; i < WW_ARRAY_COUNT(caps); i++) {
        rig_status(pid, caps[i], value, sizeof(value));
        assert_string_equal(value, "0000000000000000");
    }
    if (is_root()) { /* who else may not look */
        rig_status(pid, "Uid", value, sizeof(value));
        assert_string_equal(value, "65534\t65534\t65534\t65534");
        rig_status(pid, "Gid", value, sizeof(value));
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

/* --- what can't give up its rights reads nothing ------------------------------------------------
 */

struct refusal {
    int call, error, option; /* of prctl */
};

static const struct refusal REFUSALS[] = {
    {SCMP_SYS(close_range), ENOSYS, 0},
    {SCMP_SYS(prlimit64), EPERM, 0},
    {SCMP_SYS(capset), EPERM, 0},
    {SCMP_SYS(prctl), EINVAL, PR_SET_NO_NEW_PRIVS},
    {SCMP_SYS(prctl), EINVAL, PR_SET_DUMPABLE},
    {SCMP_SYS(prctl), EINVAL, PR_SET_PDEATHSIG},
    {SCMP_SYS(setresuid), EAGAIN, 0}, /* root only */
    {SCMP_SYS(seccomp), ENOSYS, 0},
};

/* As a system does that lacks it, or forbids it; from now on. Without seccomp(2), prctl(2) is asked
 * for the same. */
static void refuse(const struct refusal *refusal)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    uint32_t action = SCMP_ACT_ERRNO((uint32_t)refusal->error);

    WW_REQUIRE(filter);
    if (refusal->option)
        WW_REQUIRE(seccomp_rule_add(filter, action, refusal->call, 1,
                                    SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)refusal->option, 0)) ==
                   0);
    else
        WW_REQUIRE(seccomp_rule_add(filter, action, refusal->call, 0) == 0);
    if (refusal->call == SCMP_SYS(seccomp))
        WW_REQUIRE(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                                    SCMP_A0_64(SCMP_CMP_EQ, PR_SET_SECCOMP, 0)) == 0);
    WW_REQUIRE(seccomp_load(filter) == 0);
    seccomp_release(filter);
}

static void what_cannot_be_given_up_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(REFUSALS); i++) {
        int status = 0;
        if (REFUSALS[i].call == SCMP_SYS(setresuid) && !is_root())
            continue;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            refuse(&REFUSALS[i]);
            int rc = inspect_child_confine(STDIN_FILENO);
            syscall(SYS_exit_group, rc == WW_ESYSTEM ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status != 0)
            fail_msg("refusal %zu: %#x", i, (unsigned)status);
    }
}

/* The process says nothing, so it is none that packets are read by, and flows go on. */
static void without_a_filter_nothing_is_read(void **state)
{
    static const struct inspect_how how = {
        .program = "/proc/self/exe", .answer_ms = 60000, .again_ms = 20};
    int status = 0;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        struct ww_inspector *inspector;
        struct ww_loop *own;
        bool is_ready = false;

        refuse(&REFUSALS[WW_ARRAY_COUNT(REFUSALS) - 1]);
        WW_REQUIRE(ww_loop_create(&own) == 0 && inspect_create(own, &how, &inspector) == 0);
        for (int i = 0; i < 1000 && rig_stats(inspector).starts < 3 && !is_ready; i++) {
            ww_loop_turn(own, 20000);
            is_ready = rig_stats(inspector).is_ready;
        }
        _exit(!is_ready && rig_stats(inspector).starts == 3 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* A node without CAP_KILL ends only what is its own user's. */
static void it_stays_one_that_its_node_may_end(void **state)
{
    int status = 0;

    (void)state;
    if (!is_root())
        skip();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct ww_inspector *inspector;
        struct ww_loop *own;
        char value[128];

        WW_REQUIRE(prctl(PR_CAPBSET_DROP, CAP_KILL) == 0);
        WW_REQUIRE(ww_loop_create(&own) == 0 && ww_inspector_create(own, &inspector) == 0);
        rig_ready(own, inspector);
        rig_status(rig_stats(inspector).pid, "Uid", value, sizeof(value));
        _exit(strcmp(value, "0\t0\t0\t0") == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* --- its end ---------------------------------------------------------------------------------- */

/* Also if it stands still, and does not see that its socket is closed. */
static void it_ends_with_its_node(void **state)
{
    int ends[2], status = 0, pid = 0;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t node = fork();
    assert_true(node >= 0);
    if (node == 0) {
        struct ww_inspector *inspector;
        struct ww_loop *own;

        WW_REQUIRE(ww_loop_create(&own) == 0 && ww_inspector_create(own, &inspector) == 0);
        rig_ready(own, inspector);
        rig_stand_still(inspector);
        pid = rig_stats(inspector).pid;
        WW_REQUIRE(write(ends[1], &pid, sizeof(pid)) == sizeof(pid));
        for (;;)
            pause();
    }
    assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
    close(ends[0]);
    close(ends[1]);
    kill(node, SIGKILL);
    assert_int_equal(waitpid(node, NULL, 0), node);
    pid_t ended = 0;
    for (int i = 0; i < 1000 && (ended = waitpid(pid, &status, WNOHANG)) == 0; i++)
        usleep(10000);
    if (ended != pid)
        kill(pid, SIGKILL);
    assert_int_equal(ended, pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_process_has_no_rights),
        cmocka_unit_test(a_forbidden_call_ends_it),
        cmocka_unit_test(a_packet_without_end_ends_it),
        cmocka_unit_test(what_it_needs_is_allowed),
        cmocka_unit_test(what_cannot_be_given_up_is_told),
        cmocka_unit_test(without_a_filter_nothing_is_read),
        cmocka_unit_test(it_stays_one_that_its_node_may_end),
        cmocka_unit_test(it_ends_with_its_node),
    };
    ww_inspect_main(argc, argv);
    if (ww_loop_create(&loop))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ww_loop_destroy(loop);
    return failed;
}
