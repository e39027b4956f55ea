/* Makes the second socket of a lane: SO_REUSEPORT after the fact on libnice's, a second bind, and
 * the BPF program that tells the two apart by a datagram's first byte (RFC 7983). libnice's own
 * socket keeps working if any step fails.
 */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lane_internal.h"

/* Both directions of 4 MiB: a window of SCTP's fits. Beyond rmem_max it takes CAP_NET_ADMIN. */
#define SOCKET_BYTES (4 << 20)

static void raise_buffer(int fd, int option, int forced_option)
{
    const int size = SOCKET_BYTES;
    if (setsockopt(fd, SOL_SOCKET, forced_option, &size, sizeof size))
        setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
}

void ww_lane_raise_buffers(int fd)
{
    raise_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE);
    raise_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE);
}

/* Sockets of a reuseport group are numbered in the order in which they joined: libnice's, which
 * was bound first, is 0, ours is 1. The program sees the UDP payload. */
static int attach_split(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 3, 1, 0), /* STUN starts with 0 to 3 */
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 1),
    };
    struct sock_fprog program = {.len = WW_ARRAY_COUNT(code), .filter = code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

/* Where libnice's datagrams go, ours go (ww_loop_mark_socket). */
static void copy_mark(int from, int to)
{
    uint32_t mark = 0;
    socklen_t size = sizeof mark;
    if (getsockopt(from, SOL_SOCKET, SO_MARK, &mark, &size) == 0 && mark != 0)
        setsockopt(to, SOL_SOCKET, SO_MARK, &mark, sizeof mark);
}

/* Datagrams go whole or not at all, whatever routers may have said: the search for the path's MTU
 * (mtu.c) relies on what arrives, not on ICMP that anybody may forge. */
static void never_cut(int fd, int family)
{
    const int v4 = IP_PMTUDISC_PROBE, v6 = IPV6_PMTUDISC_PROBE;
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof v6);
    else
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof v4);
}

/* Without them each datagram counts as one without a mark, and the other side sees that (marks.h).
 */
static void read_marks(int fd, int family)
{
    const int on = 1;
    if (family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on)
                           : setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on))
        ww_log(WW_LOG_INFO, "net", "marks of congestion aren't read", "errno=%d", errno);
}

int ww_lane_socket_open(int nice_fd, int *fd)
{
    const int on = 1;
    const char *step = "address";
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int made = -1;

    if (getsockname(nice_fd, (struct sockaddr *)&address, &size))
        goto fail;
    step = "SO_REUSEPORT";
    if (setsockopt(nice_fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on))
        goto fail;
    step = "socket";
    made = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        goto fail;
    copy_mark(nice_fd, made);
    if (address.ss_family == AF_INET6 &&
        setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
        goto fail;
    step = "bind";
    if (setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) ||
        bind(made, (struct sockaddr *)&address, size))
        goto fail;
    step = "BPF";
    if (attach_split(made))
        goto fail;
    /* Without GRO it works, packet by packet. */
    if (setsockopt(made, IPPROTO_UDP, UDP_GRO, &on, sizeof on))
        ww_log(WW_LOG_INFO, "net", "no UDP_GRO on this kernel", "errno=%d", errno);
    never_cut(made, address.ss_family);
    read_marks(made, address.ss_family);
    ww_lane_raise_buffers(made);
    *fd = made;
    return 0;
fail:
    ww_log(WW_LOG_WARN, "net", "data stays on libnice's socket", "step=%s errno=%d", step, errno);
    if (made >= 0)
        close(made);
    return WW_ESYSTEM;
}
