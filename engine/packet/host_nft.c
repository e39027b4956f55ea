/* nftables by nft(8), a transaction a run. Its library does the same, but its licence (GPL-2 only)
 * can't be joined with this program's. Text and messages go by files in memory: nobody waits for a
 * pipe. The kernel does what it was told before nft ends. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host_room.h"

#define WAIT_MS 10000 /* a second is a lot: 30 ms here, under sanitizers */

const char *const host_nft_places[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", NULL};

int host_nft_file(const char *text)
{
    ssize_t size = (ssize_t)strlen(text);
    int fd = memfd_create("ww-nft", MFD_CLOEXEC);

    if (fd >= 0 && pwrite(fd, text, (size_t)size, 0) != size) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* What it says: "/dev/stdin:1:1-22: Error: Could not process rule: Operation not permitted". */
int host_nft_failure(int messages, char *reason)
{
    char text[WW_HOST_REASON_SIZE] = "";
    ssize_t size = pread(messages, text, sizeof(text) - 1, 0);

    text[size > 0 ? size : 0] = '\0';
    const char *error = strstr(text, "Error: ");
    error = error ? error + 7 : text;
    snprintf(reason, WW_HOST_REASON_SIZE, "nft: %.*s", (int)WW_MIN(strcspn(error, "\n"), 200U),
             error);
    if (strstr(text, "Operation not permitted"))
        return WW_EPERM;
    return strstr(text, "No such file or directory") ? WW_ENOTFOUND : WW_ESYSTEM;
}

static int start(int commands, int messages, pid_t *pid)
{
    char name[] = "nft", from[] = "-f", input[] = "-", language[] = "LC_ALL=C";
    char *arguments[] = {name, from, input, NULL}, *environment[] = {language, NULL};
    posix_spawn_file_actions_t files;
    int error = posix_spawn_file_actions_init(&files);

    if (error)
        return error;
    error = posix_spawn_file_actions_adddup2(&files, commands, STDIN_FILENO);
    if (!error)
        error = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&files, messages, STDERR_FILENO);
    bool is_ready = !error;
    error = is_ready ? ENOENT : error;
    for (size_t index = 0; is_ready && error == ENOENT && host_nft_places[index]; index++)
        error = posix_spawn(pid, host_nft_places[index], &files, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

/* Its exit code, or -1. */
static int finish(pid_t pid)
{
    struct pollfd end = {.fd = pidfd_open(pid, 0), .events = POLLIN};
    int status = 0, ready;

    do
        ready = end.fd >= 0 ? poll(&end, 1, WAIT_MS) : 0;
    while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        kill(pid, SIGKILL);
    if (end.fd >= 0)
        close(end.fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int host_nft_run(const char *text, char *reason)
{
    int commands = host_nft_file(text), messages = host_nft_file("");
    pid_t pid = 0;
    int rc = 0;

    if (commands < 0 || messages < 0) {
        rc = host_fail(reason, errno, "a file in memory");
        goto out;
    }
    int error = start(commands, messages, &pid);
    if (error == ENOENT) {
        snprintf(reason, WW_HOST_REASON_SIZE,
                 "there is no nft here (Debian: apt install nftables)");
        rc = WW_EUNSUPPORTED;
    } else if (error) {
        rc = host_fail(reason, error, "nft");
    } else if (finish(pid) != 0) {
        rc = host_nft_failure(messages, reason);
    }
out:
    if (commands >= 0)
        close(commands);
    if (messages >= 0)
        close(messages);
    return rc;
}

int host_nft_has(const char *what, bool *has, char *reason)
{
    char command[128];

    snprintf(command, sizeof(command), "list %s\n", what);
    int rc = host_nft_run(command, reason);
    *has = rc == 0;
    return rc == WW_ENOTFOUND ? 0 : rc;
}
