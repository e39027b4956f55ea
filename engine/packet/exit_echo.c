/* Echo requests of clients by unprivileged ICMP sockets, which the kernel grants to the groups in
 * net.ipv4.ping_group_range. It puts an id of its own into the request and takes only answers to
 * it; the client's comes back here. Relies on the address rules, which it asks again. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "exit_user.h"

#define ECHO_HEADER_BYTES 8
#define TURN              16 /* answers of one flow in a turn of the loop */

struct echo_join {
    struct ww_exit_join head;
    struct ww_watch *watch;
    int fd;
};

static int open_socket(bool is_v4)
{
    return socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                  is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

bool ww_exit_echo_is_allowed(bool is_v4)
{
    int fd = open_socket(is_v4);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void on_readable(void *arg, int fd, unsigned events)
{
    const struct echo_join *join = arg;
    struct ww_exit_user *user = join->head.user;
    struct ww_exit_table *table = user->exit->table;
    uint32_t number = join->head.flow;
    struct ww_exit_key key = ww_exit_table_at(table, number)->key;
    uint8_t *message = user->datagram;

    (void)events;
    for (int i = 0; i < TURN; i++) {
        ssize_t got = recv(fd, message, WW_EXIT_DATAGRAM_BYTES - 40, 0);
        const struct ww_exit_flow *flow;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < ECHO_HEADER_BYTES) /* an ICMP error about it, or nothing */
            return;
        if (message[0] != (key.is_v4 ? 0 : 129) || message[1] != 0)
            continue;
        message[2] = message[3] = 0;
        message[4] = (uint8_t)(key.source_port >> 8);
        message[5] = (uint8_t)key.source_port;
        ww_exit_table_touch(table, number, ww_loop_now_us(user->exit->loop));
        ww_exit_send(user, &key, WW_ECN_NONE, message, (size_t)got);
        flow = ww_exit_table_at(table, number);
        if (!flow || flow->join != &join->head) /* its client was closed meanwhile */
            return;
    }
}

void ww_exit_echo_closed(struct ww_exit_join *head)
{
    struct echo_join *join = WW_CONTAINER_OF(head, struct echo_join, head);

    ww_watch_destroy(join->watch);
    if (join->fd >= 0)
        close(join->fd);
    join->head.user->echo_count--;
    ww_free(join);
}

static int connect_to(int fd, const struct ww_exit_key *key)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    memcpy(&v4.sin_addr, key->destination + 12, 4);
    memcpy(&v6.sin6_addr, key->destination, 16);
    return key->is_v4 ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
                      : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
}

static int open_join(struct ww_exit_user *user, const struct ww_exit_key *key, uint32_t number,
                     struct echo_join **opened)
{
    struct echo_join *join;

    if (ww_address_judge(user->exit->options.rules, key->destination, key->is_v4, NULL) != 0)
        return WW_EDESTINATION;
    if (user->echo_count >= WW_EXIT_ECHOES_MAX)
        return WW_ELIMIT;
    join = ww_alloc(1, sizeof(*join));
    if (!join)
        return WW_ENOMEM;
    user->echo_count++;
    join->head = (struct ww_exit_join){WW_EXIT_JOIN_ECHO, user, number};
    join->fd = open_socket(key->is_v4);
    if (join->fd < 0 || connect_to(join->fd, key) != 0 ||
        ww_watch_create(user->exit->loop, join->fd, WW_WATCH_READ, on_readable, join,
                        &join->watch) != 0) {
        ww_exit_echo_closed(&join->head);
        return WW_EUNREACHABLE;
    }
    *opened = join;
    return 0;
}

void ww_exit_echo_out(struct ww_exit_user *user, const struct ww_exit_key *key, uint8_t *head,
                      size_t size)
{
    struct ww_exit *exit = user->exit;
    struct ww_exit_flow *flow;
    struct echo_join *join;
    uint32_t number;
    int rc = 0;

    if (size < ECHO_HEADER_BYTES || head[0] != (key->is_v4 ? 8 : 128)) {
        ww_exit_refuse(exit, key->client); /* an answer that nobody asked for */
        return;
    }
    if (ww_exit_table_open(exit->table, key, ww_loop_now_us(exit->loop), &number) != 0)
        return;
    flow = ww_exit_table_at(exit->table, number);
    join = flow->join;
    if (!join)
        rc = open_join(user, key, number, &join);
    if (rc == WW_ELIMIT && ww_exit_table_make_way(exit->table, key->client, key->protocol))
        rc = open_join(user, key, number, &join);
    if (rc) {
        ww_exit_table_close(exit->table, number);
        ww_exit_refuse(exit, key->client);
        return;
    }
    flow->join = &join->head;
    send(join->fd, head, size, MSG_NOSIGNAL); /* what is not sent is lost, as packets are */
}
