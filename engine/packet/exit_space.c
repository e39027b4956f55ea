/* Makes a network namespace without rights: a forked process enters a new user namespace, where it
 * may make a TUN device and sockets, and hands those over (unix(7), SCM_RIGHTS). They keep the
 * namespace; the process ends. Between fork and exit it makes only calls that are safe in the child
 * of a process with threads: nothing allocates or locks. */
#include "exit_space.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exit_device.h"
#include "exit_room.h"

#define BACKLOG  4096
#define ANSWER_S 10
#define FDS      3

enum step { STEP_DONE, STEP_SPACE, STEP_DEVICE_FILE, STEP_DEVICE, STEP_ADDRESS, STEP_LISTEN };
static const char *const steps[] = {
    [STEP_SPACE] = "a user and network namespace can't be made",
    [STEP_DEVICE_FILE] = "/dev/net/tun can't be opened",
    [STEP_DEVICE] = "a TUN device can't be made in a namespace",
    [STEP_ADDRESS] = "the TUN device gets no address in a namespace",
    [STEP_LISTEN] = "no TCP port in a namespace",
};

struct report {
    enum step step; /* that failed */
    int error;
    bool has_v6;
};

/* --- in the child ----------------------------------------------------------------------------- */

static int make_device(char name[IFNAMSIZ], enum step *step)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    *step = STEP_DEVICE_FILE;
    if (fd < 0)
        return -1;
    *step = STEP_DEVICE;
    if (ioctl(fd, TUNSETIFF, &request) != 0)
        return -1;
    memcpy(name, request.ifr_name, IFNAMSIZ);
    return fd;
}

static int listen_at(const void *address, socklen_t size)
{
    int family = ((const struct sockaddr *)address)->sa_family, on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        bind(fd, address, size) != 0 || listen(fd, BACKLOG) != 0)
        return -1;
    return fd;
}

static enum step build(unsigned mtu, int fds[FDS], bool *has_v6)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(WW_EXIT_SPACE_PORT)};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                                    .sin6_port = htons(WW_EXIT_SPACE_PORT)};
    char name[IFNAMSIZ];
    struct ww_exit_device device = {.name = name,
                                    .v4 = {WW_EXIT_SPACE_V4},
                                    .v6 = {WW_EXIT_SPACE_V6},
                                    .v4_bits = 8,
                                    .v6_bits = 32,
                                    .mtu = mtu};
    enum step step;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return STEP_SPACE;
    fds[0] = make_device(name, &step);
    if (fds[0] < 0)
        return step;
    if (ww_exit_device_up(&device, has_v6) != 0)
        return STEP_ADDRESS;
    fds[1] = listen_at(&v4, sizeof(v4));
    if (fds[1] >= 0 && *has_v6)
        fds[2] = listen_at(&v6, sizeof(v6));
    return fds[1] < 0 || (*has_v6 && fds[2] < 0) ? STEP_LISTEN : STEP_DONE;
}

static void send_report(int socket_fd, struct report *report, const int fds[FDS])
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(FDS * sizeof(int))];
    } control;
    struct iovec piece = {report, sizeof(*report)};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    size_t size = (report->has_v6 ? FDS : FDS - 1) * sizeof(int);

    if (report->step == STEP_DONE) {
        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(size);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(&control.head), fds, size);
    }
    while (sendmsg(socket_fd, &message, MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

static _Noreturn void be_child(unsigned mtu, int socket_fd)
{
    int fds[FDS] = {-1, -1, -1};
    struct report report;

    memset(&report, 0, sizeof(report));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    report.step = build(mtu, fds, &report.has_v6);
    report.error = errno;
    send_report(socket_fd, &report, fds);
    _exit(0);
}

/* --- in the parent ---------------------------------------------------------------------------- */

static int receive(int socket_fd, struct ww_exit_space *space, char why[WW_EXIT_WHY_BYTES])
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(FDS * sizeof(int))];
    } control;
    struct report report;
    struct iovec piece = {&report, sizeof(report)};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int fds[FDS] = {-1, -1, -1};
    ssize_t got;

    do {
        got = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got != sizeof(report))
        return ww_exit_explain(why, WW_ESYSTEM, steps[STEP_SPACE], got < 0 ? errno : 0);
    if (report.step != STEP_DONE) {
        bool is_right = report.error == EPERM || report.error == EACCES || report.error == EUSERS;

        return ww_exit_explain(why, is_right ? WW_EPERM : WW_ESYSTEM, steps[report.step],
                               report.error);
    }
    if (message.msg_controllen < CMSG_LEN(2 * sizeof(int)) || control.head.cmsg_type != SCM_RIGHTS)
        return ww_exit_explain(why, WW_ESYSTEM, "no descriptors from a namespace", 0);
    memcpy(fds, CMSG_DATA(&control.head), WW_MIN(control.head.cmsg_len - CMSG_LEN(0), sizeof(fds)));
    *space = (struct ww_exit_space){fds[0], fds[1], fds[2]};
    return 0;
}

int ww_exit_space_make(unsigned mtu, struct ww_exit_space *space, char why[WW_EXIT_WHY_BYTES])
{
    const struct timeval patience = {.tv_sec = ANSWER_S};
    int pair[2], rc;
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return ww_exit_explain(why, WW_ESYSTEM, "no pair of sockets", errno);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    child = fork();
    if (child == 0)
        be_child(mtu, pair[1]);
    close(pair[1]);
    if (child < 0)
        rc = ww_exit_explain(why, WW_ESYSTEM, "a process can't be forked", errno);
    else
        rc = receive(pair[0], space, why);
    close(pair[0]);
    if (child > 0) {
        kill(child, SIGKILL); /* it has ended, or never will */
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    return rc;
}
