/* Opens TUN devices and asks what they can do. Relies on Linux's tuntap interface
 * (Documentation/networking/tuntap.rst), present since 2.6.27 with what is needed; USO came with
 * 6.2. */
#include "tun_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* Attaches to the device of that name, which is made if need be. */
static int attach(const struct ww_tun_options *options, struct ww_tun_device *device)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    size_t size = options->name ? strlen(options->name) : 0;
    int rc;

    if (size >= sizeof(request.ifr_name) || strpbrk(options->name ? options->name : "", "/% \t\n"))
        return WW_EINVAL;
    if (size > 0)
        memcpy(request.ifr_name, options->name, size);
    if (!options->is_plain)
        request.ifr_flags |= IFF_VNET_HDR;
    device->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device->fd < 0)
        return open_error();
    if (ioctl(device->fd, TUNSETIFF, &request) != 0) {
        rc = open_error();
        close(device->fd);
        return rc;
    }
    memcpy(device->name, request.ifr_name, sizeof(device->name));
    device->has_vnet = !options->is_plain;
    return 0;
}

/* Looks at a descriptor that somebody else opened. */
static int adopt(const struct ww_tun_options *options, struct ww_tun_device *device)
{
    struct ifreq request = {0};
    int flags = fcntl(options->fd, F_GETFL);

    if (flags < 0 || fcntl(options->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return WW_EINVAL;
    device->fd = options->fd;
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

    if (ioctl(device->fd, TUNSETVNETHDRSZ, &size) != 0)
        return WW_ESYSTEM;
    if (ioctl(device->fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0)
        device->has_uso = true;
    else if (ioctl(device->fd, TUNSETOFFLOAD, tcp) != 0)
        return WW_ESYSTEM;
    return 0;
}

static int set_mtu(const struct ww_tun_device *device, unsigned mtu)
{
    struct ifreq request = {.ifr_mtu = (int)mtu};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0, error;

    memcpy(request.ifr_name, device->name, sizeof(request.ifr_name));
    if (fd < 0)
        return WW_ESYSTEM;
    if (ioctl(fd, SIOCSIFMTU, &request) != 0)
        rc = errno == EPERM ? WW_EPERM : errno == EINVAL ? WW_EINVAL : WW_ESYSTEM;
    error = errno;
    close(fd);
    errno = error;
    return rc;
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
        close(device->fd);
    return rc;
}
