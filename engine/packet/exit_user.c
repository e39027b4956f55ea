/* The way out without rights. TCP: the kernel in a namespace of our own ends the client's
 * connection, where each flow has an address by its number; UDP and echo: sockets of this host.
 * Relies on exit_space.c for the namespace and on the egress for what goes outside. */
#include "exit_user.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

void ww_exit_user_out(struct ww_exit *exit, uint32_t client, uint8_t *packet, struct ww_ip *ip,
                      struct ww_offload offload)
{
    struct ww_exit_user *user = exit->user;
    uint8_t *head = packet + ip->header_size;
    size_t size = ip->payload_size;
    enum ww_ecn mark = ww_ecn_get(packet, ip->header_size);
    struct ww_exit_key key;

    if (ip->protocol == IPPROTO_TCP) {
        if (ip->is_fragment) /* nobody sends these: TCP knows its path's MTU */
            ww_exit_refuse(exit, client);
        else
            ww_exit_tcp_out(user, client, packet, ip, offload);
        return;
    }
    ww_exit_key_of(ip, client, &key);
    if (ip->is_fragment) {
        struct ww_exit_whole *whole = ww_exit_collect(user, client, packet, ip);

        if (!whole)
            return;
        key = whole->key;
        head = whole->bytes;
        size = whole->size;
        mark = whole->mark;
    }
    if (ip->protocol == IPPROTO_UDP)
        ww_exit_udp_out(user, &key, mark, head, size);
    else
        ww_exit_echo_out(user, &key, head, size);
}

void ww_exit_user_in(struct ww_exit *exit, uint8_t *packet, size_t size, struct ww_offload offload)
{
    ww_exit_tcp_in(exit->user, packet, size, offload);
}

void ww_exit_user_closed(struct ww_exit *exit, struct ww_exit_flow *flow)
{
    struct ww_exit_join *join = flow->join;

    (void)exit;
    flow->join = NULL;
    if (!join)
        return;
    if (join->kind == WW_EXIT_JOIN_TCP)
        ww_exit_tcp_closed(join);
    else if (join->kind == WW_EXIT_JOIN_UDP)
        ww_exit_udp_closed(join);
    else
        ww_exit_echo_closed(join);
}

void ww_exit_user_status(const struct ww_exit *exit, struct ww_exit_status *status)
{
    status->has_echo_v4 = exit->user->has_echo_v4;
    status->has_echo_v6 = exit->user->has_echo_v6;
    status->held_bytes = exit->user->held.bytes;
}

static int watch(struct ww_exit_user *user)
{
    struct ww_loop *loop = user->exit->loop;
    int rc = ww_watch_create(loop, user->space.listen_v4_fd, WW_WATCH_READ, ww_exit_tcp_on_accept,
                             user, &user->listen_v4);

    if (rc == 0 && user->space.listen_v6_fd >= 0)
        rc = ww_watch_create(loop, user->space.listen_v6_fd, WW_WATCH_READ, ww_exit_tcp_on_accept,
                             user, &user->listen_v6);
    return rc;
}

int ww_exit_user_open(struct ww_exit *exit, char why[WW_EXIT_WHY_BYTES])
{
    struct ww_exit_user *user = ww_alloc(1, sizeof(*user));
    int rc;

    if (!user)
        return ww_exit_explain(why, WW_ENOMEM, "memory ran out", 0);
    user->exit = exit;
    user->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    user->space = (struct ww_exit_space){-1, -1, -1};
    exit->user = user;
    rc = ww_exit_space_make(exit->options.mtu, &user->space, why);
    if (rc)
        return rc;
    rc = ww_exit_attach(exit, NULL, user->space.tun_fd);
    if (rc == 0)
        rc = ww_egress_create(exit->loop, exit->options.rules, &user->egress);
    if (rc == 0)
        rc = watch(user);
    if (rc)
        return ww_exit_explain(why, rc, "the namespace can't be used", 0);
    user->has_echo_v4 = ww_exit_echo_is_allowed(true);
    user->has_echo_v6 = ww_exit_echo_is_allowed(false);
    return 0;
}

void ww_exit_user_close(struct ww_exit *exit)
{
    struct ww_exit_user *user = exit->user;

    if (!user)
        return;
    ww_watch_destroy(user->listen_v4);
    ww_watch_destroy(user->listen_v6);
    ww_tun_destroy(exit->tun); /* owns its descriptor */
    exit->tun = NULL;
    ww_egress_destroy(user->egress);
    if (user->space.listen_v4_fd >= 0)
        close(user->space.listen_v4_fd);
    if (user->space.listen_v6_fd >= 0)
        close(user->space.listen_v6_fd);
    if (user->spare_fd >= 0)
        close(user->spare_fd);
    for (size_t i = 0; i < WW_EXIT_WHOLES; i++)
        ww_free(user->wholes[i].bytes);
    ww_free(user);
    exit->user = NULL;
}
