/* Opens TUN devices and asks what they can do. Relies on Linux's tuntap interface
 * (Documentation/networking/tuntap.rst), present since 2.6.27 with what is needed; several queues
 * came with 3.8, USO with 6.2. */
#include "tun_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ww/worker.h"

#ifndef TUN_F_USO4 /* not in the headers of Linux 6.1 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static int open_error(void)
{
    switch (errno) {
    case EACCES:
    case EPERM:
        return WW_EPERM;
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return WW_ENOTFOUND;
    case EBUSY:
        return WW_EEXIST;
    case EINVAL: /* of another kind, say a TAP device */
        return WW_EUNSUPPORTED;
    default:
        return WW_ESYSTEM;
    }
}

/* One more queue of the device of that name, which is made if need be; *fd is attached to it. */
static int attach_queue(struct ifreq *request, int *fd)
{
    int rc;

    *fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return open_error();
    if (ioctl(*fd, TUNSETIFF, request) == 0)
        return 0;
    rc = open_error();
    close(*fd);
    return rc;
}

static int control(unsigned long what, struct ifreq *request)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error;
    int rc = fd < 0 ? -1 : ioctl(fd, what, request);

    error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return rc;
}

static bool exists(const char *name)
{
    struct ifreq request = {0};

    memcpy(request.ifr_name, name, sizeof(request.ifr_name));
    return control(SIOCGIFINDEX, &request) == 0;
}

/* How many are attached to the device; -1: this kernel doesn't say, or there is none. */
static int queues_of(const char *name)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq request = {.ifr_data = (void *)&channels};

    memcpy(request.ifr_name, name, sizeof(request.ifr_name));
    return control(SIOCETHTOOL, &request) == 0 ? (int)channels.combined_count : -1;
}

/* The first of several queues. A device that has several lets others in, which one of a single
 * queue doesn't. Where the kernel doesn't count them, one that was there before is somebody's. */
static int attach_first(struct ifreq *request, int *fd)
{
    bool existed = request->ifr_name[0] && exists(request->ifr_name);
    int rc, count;

    if (existed && queues_of(request->ifr_name) > 0)
        return WW_EEXIST;
    rc = attach_queue(request, fd);
    if (rc)
        return rc;
    count = queues_of(request->ifr_name);
    if (count == 1 || (count < 0 && !existed))
        return 0;
    close(*fd);
    return WW_EEXIST; /* at the same moment */
}

/* As many queues as there are workers. A device that has one queue, because this kernel knows no
 * others (before 3.8) or whoever made it wanted so, refuses to be one of many. */
static int attach(const struct ww_tun_options *options, struct ww_tun_device *device)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    size_t size = options->name ? strlen(options->name) : 0;
    unsigned wanted = ww_workers_count(options->workers);
    int rc;

    if (size >= sizeof(request.ifr_name) || strpbrk(options->name ? options->name : "", "/% \t\n"))
        return WW_EINVAL;
    if (size > 0)
        memcpy(request.ifr_name, options->name, size);
    if (!options->is_plain)
        request.ifr_flags |= IFF_VNET_HDR;
    if (wanted > 1)
        request.ifr_flags |= IFF_MULTI_QUEUE;
    rc = wanted > 1 ? attach_first(&request, &device->fds[0])
                    : attach_queue(&request, &device->fds[0]);
    if (rc == WW_EUNSUPPORTED && wanted > 1) {
        wanted = 1;
        request.ifr_flags &= ~IFF_MULTI_QUEUE;
        rc = attach_queue(&request, &device->fds[0]);
    }
    if (rc) /* one with several queues is refused for its kind before it is for being in use */
        return rc == WW_EUNSUPPORTED && queues_of(request.ifr_name) > 0 ? WW_EEXIST : rc;
    memcpy(device->name, request.ifr_name, sizeof(device->name));
    device->has_vnet = !options->is_plain;
    for (device->count = 1; device->count < wanted && rc == 0; device->count += rc == 0)
        rc = attach_queue(&request, &device->fds[device->count]);
    if (rc)
        ww_log(WW_LOG_WARN, "packet", "A device has fewer queues than there are workers",
               "device=%s queues=%u workers=%u code=%s", device->name, device->count, wanted,
               ww_error_name(rc));
    return 0;
}

/* Looks at a descriptor that somebody else opened. */
static int adopt(const struct ww_tun_options *options, struct ww_tun_device *device)
{
    struct ifreq request = {0};
    int flags = fcntl(options->fd, F_GETFL);

    if (flags < 0 || fcntl(options->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return WW_EINVAL;
    device->fds[0] = options->fd;
    device->count = 1;
    device->has_vnet = !options->is_plain;
    if (ioctl(options->fd, TUNGETIFF, &request) != 0)
        return errno == EBADFD ? WW_EUNSUPPORTED : 0; /* not attached; or a pair of sockets */
    if (!(request.ifr_flags & IFF_TUN) || !(request.ifr_flags & IFF_NO_PI))
        return WW_EUNSUPPORTED;
    memcpy(device->name, request.ifr_name, sizeof(device->name));
    device->has_vnet = request.ifr_flags & IFF_VNET_HDR;
    return 0;
}

/* Tells the kernel what this end takes, as much as it knows of. */
static int offload(struct ww_tun_device *device)
{
    unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    int size = sizeof(struct virtio_net_hdr);

    if (ioctl(device->fds[0], TUNSETVNETHDRSZ, &size) != 0)
        return WW_ESYSTEM;
    if (ioctl(device->fds[0], TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0)
        device->has_uso = true;
    else if (ioctl(device->fds[0], TUNSETOFFLOAD, tcp) != 0)
        return WW_ESYSTEM;
    return 0;
}

static int set_mtu(const struct ww_tun_device *device, unsigned mtu)
{
    struct ifreq request = {.ifr_mtu = (int)mtu};

    memcpy(request.ifr_name, device->name, sizeof(request.ifr_name));
    if (control(SIOCSIFMTU, &request) == 0)
        return 0;
    return errno == EPERM ? WW_EPERM : errno == EINVAL ? WW_EINVAL : WW_ESYSTEM;
}

int ww_tun_device_open(const struct ww_tun_options *options, struct ww_tun_device *device)
{
    int rc;

    memset(device, 0, sizeof(*device));
    rc = options->fd >= 0 ? adopt(options, device) : attach(options, device);
    if (rc)
        return rc;
    if (device->has_vnet && device->name[0])
        rc = offload(device);
    if (rc == 0 && options->mtu && device->name[0])
        rc = set_mtu(device, options->mtu);
    if (rc && options->fd < 0)
        ww_tun_device_close(device);
    return rc;
}

void ww_tun_device_close(struct ww_tun_device *device)
{
    int error = errno;

    while (device->count > 0)
        close(device->fds[--device->count]);
    errno = error;
}

int ww_tun_device_read(int fd, uint8_t *to, size_t most)
{
    ssize_t got;

    do {
        got = read(fd, to, most);
    } while (got < 0 && errno == EINTR);
    if (got > 0)
        return (int)got;
    if (got == 0 || errno == EBADFD || errno == ENODEV)
        return WW_ECLOSED;
    return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : WW_ESYSTEM;
}
