/* The kernel keeps an established connection for five days, and has room for so many of the whole
 * host: a client that opens and leaves them would use it up, and whoever gets its address next
 * would inherit them. So what our table forgets is forgotten there (ctnetlink, by libmnl). */
#include "exit_conntrack.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define MESSAGE_BYTES 512
#define ECHO_V4       8
#define ECHO_V6       128

struct mnl_socket *ww_exit_conntrack_open(void)
{
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0)
        return socket;
    ww_exit_conntrack_close(socket);
    return NULL;
}

void ww_exit_conntrack_close(struct mnl_socket *socket)
{
    if (socket)
        mnl_socket_close(socket);
}

static void put_addresses(struct nlmsghdr *message, const struct ww_exit_key *key,
                          const uint8_t source[16])
{
    struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_IP);

    if (key->is_v4) {
        mnl_attr_put(message, CTA_IP_V4_SRC, 4, source + 12);
        mnl_attr_put(message, CTA_IP_V4_DST, 4, key->destination + 12);
    } else {
        mnl_attr_put(message, CTA_IP_V6_SRC, 16, source);
        mnl_attr_put(message, CTA_IP_V6_DST, 16, key->destination);
    }
    mnl_attr_nest_end(message, nest);
}

static void put_transport(struct nlmsghdr *message, const struct ww_exit_key *key)
{
    struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);

    mnl_attr_put_u8(message, CTA_PROTO_NUM, key->protocol);
    if (key->protocol == IPPROTO_TCP || key->protocol == IPPROTO_UDP) {
        mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(key->source_port));
        mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(key->destination_port));
    } else {
        mnl_attr_put_u16(message, key->is_v4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID,
                         htons(key->source_port));
        mnl_attr_put_u8(message, key->is_v4 ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE,
                        key->is_v4 ? ECHO_V4 : ECHO_V6);
        mnl_attr_put_u8(message, key->is_v4 ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE, 0);
    }
    mnl_attr_nest_end(message, nest);
}

void ww_exit_conntrack_forget(struct mnl_socket *socket, const struct ww_exit_key *key,
                              const uint8_t source[16])
{
    uint8_t bytes[MESSAGE_BYTES];
    struct nlmsghdr *message;
    struct nfgenmsg *head;
    struct nlattr *nest;

    if (!socket)
        return;
    /* Its answer is only ever that there was nothing: those of before are thrown away. */
    while (mnl_socket_recvfrom(socket, bytes, sizeof(bytes)) > 0)
        continue;
    message = mnl_nlmsg_put_header(bytes);
    message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
    message->nlmsg_flags = NLM_F_REQUEST;
    head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
    head->nfgen_family = key->is_v4 ? AF_INET : AF_INET6;
    head->version = NFNETLINK_V0;
    nest = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
    put_addresses(message, key, source);
    put_transport(message, key);
    mnl_attr_nest_end(message, nest);
    (void)mnl_socket_sendto(socket, message, message->nlmsg_len);
}
