/* Names: a file of ours over /etc/resolv.conf, by a mount. The file itself is never written, so
 * there is nothing to repair: the mount is gone with `ww down`, or with a reboot, and meanwhile
 * nobody (a DHCP client, a VPN) can put another file in its place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host_room.h"

#define FOLDER     "/run/ww"
#define OURS       FOLDER "/resolv.conf"
#define SYSTEM     "/etc/resolv.conf"
#define MOUNTS_MAX 16 /* of ours, one over the other */

static const char TEXT[] = "# By ww up, while the tunnel is up; ww down takes this away.\n"
                           "nameserver " WW_TUNNEL_PEER_V4 "\n"
                           "nameserver " WW_TUNNEL_PEER_V6 "\n";

static bool is_same_file(const char *one, const char *other)
{
    struct stat a, b;

    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

bool ww_host_names_are_ours(void)
{
    return is_same_file(OURS, SYSTEM);
}

static int write_ours(char *reason)
{
    if (mkdir(FOLDER, 0755) && errno != EEXIST)
        return host_fail(reason, errno, FOLDER);
    int fd = open(OURS, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return host_fail(reason, errno, OURS);
    ssize_t size = (ssize_t)strlen(TEXT);
    int error = fchmod(fd, 0644) || write(fd, TEXT, (size_t)size) != size ? errno : 0;
    if (close(fd) && !error)
        error = errno;
    return error ? host_fail(reason, error, OURS) : 0;
}

int ww_host_names_up(char reason[WW_HOST_REASON_SIZE])
{
    if (ww_host_names_are_ours())
        return 0;
    int rc = write_ours(reason);
    if (!rc && mount(OURS, SYSTEM, NULL, MS_BIND, NULL))
        rc = host_fail(reason, errno, "a mount over " SYSTEM);
    return rc;
}

int ww_host_names_down(char reason[WW_HOST_REASON_SIZE])
{
    int error = 0;

    /* Where it is a link, the mount is where it leads; so is what is unmounted. */
    for (int count = 0; !error && count < MOUNTS_MAX && ww_host_names_are_ours(); count++)
        error = umount2(SYSTEM, MNT_DETACH) ? errno : 0;
    return error ? host_fail(reason, error, "the mount over " SYSTEM) : 0;
}
