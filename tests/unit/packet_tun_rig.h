/* A device for tests: over a pair of sockets whose other end plays the kernel, or a real one whose
 * packets are sent back to where they came from. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/virtio_net.h>
#include <netinet/in.h>

#include "ww/limits.h"
#include "ww/tun.h"

/* What the callbacks have seen, whose argument it is. */
struct rig_seen {
    struct ww_tun *tun;
    int packets, batches, failed, failures;
    size_t bytes;                    /* of the mirror: of the largest */
    bool is_partial, destroy, pause; /* the latter two: what the next packet brings about */
    uint8_t last[65536];
};
extern struct rig_seen rig_seen;
extern struct ww_loop *rig_loop; /* the test makes it */
extern int rig_kernel;           /* the pair's other end */

extern const struct ww_tun_callbacks rig_callbacks;
/* Sends each packet back with its addresses changed over: a host whose neighbour is itself. */
extern const struct ww_tun_callbacks rig_mirror;

void rig_open_pair(bool is_plain, struct ww_workers *workers);
void rig_close_pair(void);
/* UDP from 192.0.0.2 to 8.8.4.4, sum of the pseudo header in the checksum. Its size. */
size_t rig_make_udp(uint8_t *packet, size_t payload);
/* To the device's reading end; vnet NULL: without. */
void rig_give(const struct virtio_net_hdr *vnet, const uint8_t *packet, size_t size);

/* Of a real device: it is up then. */
void rig_set_address(const char *name, in_addr_t address);
/* So many bytes from this host to 10.77.0.1, which is this host again if its packets are mirrored.
 */
void rig_transfer(size_t wanted);
