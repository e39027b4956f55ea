/* The inspecting process: it reads packets of strangers with nDPI, so it has nothing that a
 * stranger could want. It is a new image of the program (exec), not a fork that went on, because
 * the node's memory has keys in it; it has no environment and no descriptor but its socket. Relies
 * on libseccomp. */
#include "inspect_child.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "inspect_ndpi.h"
#include "ww/inspect.h"

#define NOBODY 65534 /* Debian's user and group that own nothing */

/* --- giving up -------------------------------------------------------------------------------- */

/* A node that may end its own user's processes only must be able to end this one, too. In a user
 * namespace there may be no other id to become. Then only the rest holds, which leaves nothing that
 * an id is good for. */
static int drop_ids(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2];
    bool may_change = geteuid() == 0 && prctl(PR_CAPBSET_READ, CAP_KILL, 0, 0, 0) == 1;

    if (may_change && setgroups(0, NULL) != 0 && errno != EPERM)
        return WW_ESYSTEM;
    if (may_change &&
        (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0) &&
        errno != EPERM && errno != EINVAL)
        return WW_ESYSTEM;
    memset(none, 0, sizeof(none));
    if (syscall(SYS_capset, &head, none) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return WW_ESYSTEM;
    return 0;
}

/* So much more than it has now. */
static int limit_memory(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file)
        return WW_ESYSTEM;
    int found = fscanf(file, "%llu", &pages);
    fclose(file);
    rlim_t bytes = pages * (rlim_t)sysconf(_SC_PAGESIZE) + WW_INSPECT_MEMORY_BYTES;
    struct rlimit limit = {bytes, bytes};
    return found == 1 && setrlimit(RLIMIT_AS, &limit) == 0 ? 0 : WW_ESYSTEM;
}

static int limit_all(void)
{
    static const int none[] = {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CORE, RLIMIT_NPROC};
    const struct rlimit zero = {0, 0};

    for (size_t i = 0; i < WW_ARRAY_COUNT(none); i++) {
        if (setrlimit((__rlimit_resource_t)none[i], &zero) != 0)
            return WW_ESYSTEM;
    }
    return 0;
}

/* Memory is nobody else's and never code. */
static int allow_memory(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp no_code = SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp of_no_file =
        SCMP_A3_64(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS);
    static const int calls[] = {SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
                                SCMP_SYS(brk)};
    int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, no_code, of_no_file);

    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_code);
    for (size_t i = 0; !error && i < WW_ARRAY_COUNT(calls); i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return error;
}

static int filter_calls(int fd)
{
    /* The time, where the kernel's page for it does not serve; a timer of its own; its end. */
    static const int calls[] = {SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
                                SCMP_SYS(time),          SCMP_SYS(setitimer),
                                SCMP_SYS(exit),          SCMP_SYS(exit_group)};
    const struct scmp_arg_cmp own = SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)fd, 0);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);

    if (!filter)
        return WW_ESYSTEM;
    int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, own);
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, own);
    if (!error)
        error = allow_memory(filter);
    for (size_t i = 0; !error && i < WW_ARRAY_COUNT(calls); i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    if (!error)
        error = seccomp_load(filter);
    seccomp_release(filter);
    errno = -error;
    return error ? WW_ESYSTEM : 0;
}

int inspect_child_confine(int fd)
{
    int rc = fd > 0 && close_range(0, (unsigned)fd - 1, 0) != 0 ? WW_ESYSTEM : 0;

    if (!rc && close_range((unsigned)fd + 1, ~0U, 0) != 0)
        rc = WW_ESYSTEM;
    if (!rc)
        rc = limit_memory();
    if (!rc)
        rc = drop_ids();
    if (!rc)
        rc = limit_all();
    return rc ? rc : filter_calls(fd);
}

/* --- answering -------------------------------------------------------------------------------- */

static bool say(int fd, const void *bytes, size_t size)
{
    return write(fd, bytes, size) == (ssize_t)size;
}

static bool say_names(int fd, const struct inspect_names *names)
{
    static uint8_t bytes[INSPECT_NAMES_BYTES];
    struct ww_buf buf = {.data = bytes, .capacity = sizeof(bytes), .limit = sizeof(bytes)};

    inspect_names_write(names, &buf);
    return !buf.error && say(fd, buf.data, buf.size);
}

void inspect_child_begin(void)
{
    const struct itimerval time = {.it_value = {.tv_sec = WW_INSPECT_CPU_MS / 1000,
                                                .tv_usec = WW_INSPECT_CPU_MS % 1000 * 1000}};
    setitimer(ITIMER_PROF, &time, NULL);
}

/* Until the node is gone, or closes the socket. */
static void answer_all(struct inspect_ndpi *ndpi, int fd)
{
    static uint8_t question[INSPECT_QUESTION_MAX + 1];
    uint8_t answer[INSPECT_ANSWER_BYTES];
    size_t size;

    for (;;) {
        ssize_t got = read(fd, question, sizeof(question));
        if (got <= 0)
            return;
        inspect_child_begin();
        if (inspect_ndpi_answer(ndpi, question, (size_t)got, answer, &size) ||
            (size > 0 && !say(fd, answer, size)))
            return;
    }
}

/* The C library reads a file for the zone when it first makes a time of day, as nDPI does of
 * certificates: here is the last time when it may. */
static bool settle_zone(void)
{
    if (setenv("TZ", "UTC0", 1) != 0)
        return false;
    tzset();
    return true;
}

/* This program's main() calls ww_inspect_main. */
static bool is_prepared;

bool inspect_child_is_prepared(void)
{
    return is_prepared;
}

void ww_inspect_main(int argc, char **argv)
{
    struct inspect_ndpi *ndpi = NULL;

    is_prepared = true;
    if (argc != 2 || strcmp(argv[0], INSPECT_CHILD_NAME) != 0)
        return;
    prctl(PR_SET_NAME, INSPECT_CHILD_NAME);
    /* Whoever ends the node and all that is with it: the node is what ends this. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (!settle_zone() || inspect_ndpi_create(&ndpi))
        _exit(1);
    if (inspect_child_confine(STDIN_FILENO))
        _exit(INSPECT_CHILD_HAS_RIGHTS);
    if (!say_names(STDIN_FILENO, inspect_ndpi_names(ndpi)))
        syscall(SYS_exit_group, 1); /* see below */
    answer_all(ndpi, STDIN_FILENO);
    syscall(SYS_exit_group, 0); /* before _exit, AddressSanitizer makes a call that is forbidden */
}
