/* Child processes, watched by pidfd: no SIGCHLD handler, no race with a reused pid. Relies on fork
 * and exec, because PR_SET_PDEATHSIG must be set between the two. Between fork and exec only calls
 * that are safe in a forked thread may be made: nothing that allocates or locks. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

struct ww_child {
    LIST_ENTRY(ww_child) link;
    struct ww_watch *watch;
    pid_t pid;
    int pidfd; /* -1 once it is reaped */
    bool is_destroyed;
    ww_child_fn fn;
    void *arg;
};

extern char **environ;

static void child_free(struct ww_child *child)
{
    LIST_REMOVE(child, link);
    ww_watch_destroy(child->watch);
    if (child->pidfd >= 0)
        close(child->pidfd);
    ww_free(child);
}

static void on_exit_of(void *arg, int fd, unsigned events)
{
    struct ww_child *child = arg;
    int status = 0;
    pid_t reaped = waitpid(child->pid, &status, WNOHANG);

    (void)fd;
    (void)events;
    if (reaped == 0 || (reaped < 0 && errno == EINTR))
        return;
    ww_watch_destroy(child->watch);
    child->watch = NULL;
    close(child->pidfd);
    child->pidfd = -1;
    if (child->is_destroyed)
        child_free(child);
    else
        child->fn(child->arg, status);
}

/* In the child: standard descriptors from copies above 2, so that they may be given in any order.
 */
static bool redirect(const struct ww_child_options *options)
{
    const int given[] = {options->stdin_fd, options->stdout_fd, options->stderr_fd};
    int copies[3] = {-1, -1, -1};

    for (int i = 0; i < 3; i++) {
        if (given[i] >= 0) {
            copies[i] = fcntl(given[i], F_DUPFD_CLOEXEC, 3);
            if (copies[i] < 0)
                return false;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (copies[i] >= 0 && dup2(copies[i], i) < 0)
            return false;
    }
    return true;
}

/* An ignored signal stays ignored through exec: the child gets the defaults. */
static void restore_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(const struct ww_child_options *options, pid_t parent, int report_fd)
{
    int error = 0;
    ssize_t written;
    union {
        const char *const *constant;
        char *const *variable; /* exec's prototype; it doesn't write */
    } argv = {options->argv}, env = {options->env};

    restore_signals();
    /* The report must survive the redirection of a low descriptor. */
    if (report_fd < 3)
        report_fd = fcntl(report_fd, F_DUPFD_CLOEXEC, 3);
    if (!redirect(options))
        error = errno;
    if (!error && options->own_group && setpgid(0, 0) != 0)
        error = errno;
    /* What outlives its parent must not hold open what the parent was given. */
    if (!error && options->own_session &&
        (setsid() < 0 || close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0))
        error = errno;
    if (!error && options->die_with_parent) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
            error = errno;
        else if (getppid() != parent)
            _exit(127);
    }
    if (!error) {
        execvpe(options->program ? options->program : options->argv[0], argv.variable,
                options->env ? env.variable : environ);
        error = errno;
    }
    written = write(report_fd, &error, sizeof(error));
    (void)written;
    _exit(127);
}

/* Forks; *pid is valid and executing when it returns 0. */
static int spawn(const struct ww_child_options *options, pid_t *pid)
{
    pid_t parent = getpid();
    int report[2];
    int error = 0;
    ssize_t got;

    if (pipe2(report, O_CLOEXEC) != 0)
        return WW_ESYSTEM;
    *pid = fork();
    if (*pid == 0)
        become(options, parent, report[1]);
    close(report[1]);
    if (*pid < 0) {
        close(report[0]);
        return WW_ESYSTEM;
    }
    /* Exec closes the pipe; whatever comes out of it is why exec failed. */
    do {
        got = read(report[0], &error, sizeof(error));
    } while (got < 0 && errno == EINTR);
    close(report[0]);
    if (got == 0)
        return 0;
    waitpid(*pid, NULL, 0);
    errno = error;
    return error == ENOENT ? WW_ENOTFOUND : WW_ESYSTEM;
}

int ww_child_create(struct ww_loop *loop, const struct ww_child_options *options, ww_child_fn fn,
                    void *arg, struct ww_child **out)
{
    struct ww_child *child = ww_alloc(1, sizeof(*child));
    int rc;

    if (!child)
        return WW_ENOMEM;
    child->fn = fn;
    child->arg = arg;
    child->pidfd = -1;
    rc = spawn(options, &child->pid);
    if (rc)
        goto fail;
    rc = WW_ESYSTEM;
    child->pidfd = pidfd_open(child->pid, 0);
    if (child->pidfd < 0)
        goto fail_running;
    rc = ww_watch_create(loop, child->pidfd, WW_WATCH_READ, on_exit_of, child, &child->watch);
    if (rc)
        goto fail_running;
    LIST_INSERT_HEAD(&loop->children, child, link);
    *out = child;
    return 0;

fail_running:
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    if (child->pidfd >= 0)
        close(child->pidfd);
fail:
    ww_free(child);
    return rc;
}

int ww_child_pid(const struct ww_child *child)
{
    return child->pid;
}

int ww_child_kill(struct ww_child *child, int signal_number)
{
    if (child->pidfd < 0)
        return WW_ENOTFOUND;
    return pidfd_send_signal(child->pidfd, signal_number, NULL, 0) == 0 ? 0 : WW_ESYSTEM;
}

void ww_child_destroy(struct ww_child *child)
{
    if (!child)
        return;
    child->is_destroyed = true;
    if (child->pidfd < 0)
        child_free(child);
}

void ww_loop_children_deinit(struct ww_loop *loop)
{
    struct ww_child *child;

    while ((child = LIST_FIRST(&loop->children)))
        child_free(child);
}
