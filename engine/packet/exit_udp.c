/* UDP of clients through the egress's flows: one socket for each flow. Relies on ww/egress.h, which
 * judges the destination again. */
#include <netinet/in.h>
#include <string.h>

#include "exit_user.h"

#define UDP_HEADER_BYTES 8

struct udp_join {
    struct ww_exit_join head;
    struct ww_egress_flow *outside;
};

static void put_u16(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static void on_ready(void *arg, const struct sockaddr *local)
{
    (void)arg;
    (void)local;
}

static void on_datagram(void *arg, const uint8_t *data, size_t size)
{
    struct udp_join *join = arg;
    struct ww_exit_user *user = join->head.user;
    struct ww_exit_flow *flow = ww_exit_table_at(user->exit->table, join->head.flow);
    uint8_t *datagram = user->datagram;

    if (size > WW_EXIT_DATAGRAM_BYTES - UDP_HEADER_BYTES - 40)
        return;
    put_u16(datagram, flow->key.destination_port);
    put_u16(datagram + 2, flow->key.source_port);
    put_u16(datagram + 4, size + UDP_HEADER_BYTES);
    put_u16(datagram + 6, 0);
    memcpy(datagram + UDP_HEADER_BYTES, data, size);
    ww_exit_table_touch(user->exit->table, join->head.flow, ww_loop_now_us(user->exit->loop));
    ww_exit_send(user, &flow->key, ww_egress_flow_came(join->outside), datagram,
                 size + UDP_HEADER_BYTES);
}

static void on_closed(void *arg, int code)
{
    struct udp_join *join = arg;
    struct ww_exit_user *user = join->head.user;
    struct ww_exit_key key = ww_exit_table_at(user->exit->table, join->head.flow)->key;

    ww_exit_table_at(user->exit->table, join->head.flow)->join = NULL;
    ww_exit_table_close(user->exit->table, join->head.flow);
    ww_free(join);
    if (code == WW_ECONNREFUSED)
        ww_exit_send_closed(user, &key);
}

static const struct ww_egress_flow_callbacks callbacks = {
    .ready = on_ready, .datagram = on_datagram, .closed = on_closed};

void ww_exit_udp_closed(struct ww_exit_join *head)
{
    struct udp_join *join = WW_CONTAINER_OF(head, struct udp_join, head);

    ww_egress_flow_close(join->outside);
    ww_free(join);
}

static int open_join(struct ww_exit_user *user, const struct ww_exit_key *key, uint32_t number,
                     struct udp_join **opened)
{
    struct ww_target target = {.kind = key->is_v4 ? WW_TARGET_IPV4 : WW_TARGET_IPV6,
                               .port = key->destination_port};
    struct udp_join *join = ww_alloc(1, sizeof(*join));
    int rc;

    if (!join)
        return WW_ENOMEM;
    memcpy(target.address, key->destination + (key->is_v4 ? 12 : 0), key->is_v4 ? 4 : 16);
    join->head = (struct ww_exit_join){WW_EXIT_JOIN_UDP, user, number};
    rc = ww_egress_flow_open(user->egress, NULL, &target, &callbacks, join, &join->outside);
    if (rc) {
        ww_free(join);
        return rc;
    }
    *opened = join;
    return 0;
}

void ww_exit_udp_out(struct ww_exit_user *user, const struct ww_exit_key *key, enum ww_ecn mark,
                     const uint8_t *head, size_t size)
{
    struct ww_exit *exit = user->exit;
    struct ww_exit_flow *flow;
    struct udp_join *join;
    uint32_t number;
    int rc = 0;

    if (size < UDP_HEADER_BYTES || (size_t)(head[4] << 8 | head[5]) != size) {
        ww_exit_refuse(exit, key->client);
        return;
    }
    if (ww_exit_table_open(exit->table, key, ww_loop_now_us(exit->loop), &number) != 0)
        return;
    flow = ww_exit_table_at(exit->table, number);
    join = flow->join;
    if (!join)
        rc = open_join(user, key, number, &join);
    if (rc == WW_ELIMIT && ww_exit_table_make_way(exit->table, key->client, IPPROTO_UDP))
        rc = open_join(user, key, number, &join);
    if (rc) {
        ww_exit_table_close(exit->table, number);
        ww_exit_refuse(exit, key->client);
        return;
    }
    flow->join = &join->head;
    ww_egress_flow_mark(join->outside, mark);
    ww_egress_flow_send(join->outside, head + UDP_HEADER_BYTES, size - UDP_HEADER_BYTES);
}
