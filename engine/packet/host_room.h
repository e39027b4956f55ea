/* Inside of the room: the parts of the host's set-up. */
#pragma once
#include "ww/host.h"

/* IPv4 comes mapped into ::ffff:0:0/96. */
bool host_prefix_is_v4(const struct ww_prefix *prefix);
/* WW_EINVAL. */
int host_tunnel_check(const struct ww_host_tunnel *tunnel, char *reason);
/* Writes the reason with what errno says, and gives WW_EPERM, WW_ENOMEM, WW_ENOTFOUND or
 * WW_ESYSTEM. */
int host_fail(char *reason, int error, const char *what);

/* host_nft.c: runs commands for nft(8) as one transaction. WW_EPERM, WW_ENOTFOUND (what they name),
 * WW_EUNSUPPORTED (no nft), WW_ENOMEM, WW_ESYSTEM. */
int host_nft_run(const char *commands, char *reason);
/* Where nft is, each tried in turn; NULL ends it. */
extern const char *const host_nft_places[];
/* A file in memory with this text, read from its start; -1: errno. */
int host_nft_file(const char *text);
/* What a run said that failed, as an error and its reason. */
int host_nft_failure(int messages, char *reason);
/* Whether `list` of this (such as "table inet ww_tunnel") finds something. */
int host_nft_has(const char *what, bool *has, char *reason);

/* host_link.c */
struct mnl_socket;
struct nlmsghdr;
struct host_netlink {
    struct mnl_socket *socket;
    uint32_t sequence;
};
int host_netlink_open(struct host_netlink *netlink, char *reason);
void host_netlink_close(struct host_netlink *netlink);
/* Sends and waits for the answer: 0 or a positive errno. each is called for every message of a
 * dump; may be NULL. */
int host_netlink_talk(struct host_netlink *netlink, struct nlmsghdr *message,
                      int (*each)(const struct nlmsghdr *message, void *arg), void *arg);
/* A machine may have no IPv6, or have it switched off. */
bool host_has_v6(void);
/* Up, with the tunnel's addresses, and the way into it in a table of its own. */
int host_link_up(struct host_netlink *netlink, const char *device, char *reason);
/* Behind the way into the tunnel, one to nowhere: what the rules send there finds no other when the
 * device is gone, whoever has flushed the filter. */
int host_wall_set(struct host_netlink *netlink, bool is_up, char *reason);

/* host_rules.c */
int host_rules_up(struct host_netlink *netlink, const struct ww_host_tunnel *tunnel, char *reason);
int host_rules_down(struct host_netlink *netlink, char *reason);
int host_rules_count(struct host_netlink *netlink, size_t *count);
