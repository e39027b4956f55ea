/* The tunnel's nftables table, as commands for nft(8): pure text. One transaction replaces the
 * table, so that there is no moment without it. */
#include <arpa/inet.h>
#include <string.h>

#include "host_room.h"

static const char TABLE[] = "inet ww_tunnel";

bool host_prefix_is_v4(const struct ww_prefix *prefix)
{
    static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};

    return prefix->bits >= 96 && memcmp(prefix->address, MAPPED, sizeof(MAPPED)) == 0;
}

static void put_prefix(struct ww_buf *out, const struct ww_prefix *prefix)
{
    char text[INET6_ADDRSTRLEN];
    bool is_v4 = host_prefix_is_v4(prefix);

    inet_ntop(is_v4 ? AF_INET : AF_INET6, prefix->address + (is_v4 ? 12 : 0), text, sizeof(text));
    ww_buf_printf(out, "%s/%d", text, is_v4 ? prefix->bits - 96 : prefix->bits);
}

/* A rule with all prefixes of one family: no rule if there is none. */
static void put_prefixes(struct ww_buf *out, const struct ww_prefix *list, size_t count, bool is_v4,
                         const char *verdict)
{
    const char *before = "";

    for (size_t index = 0; index < count; index++) {
        if (host_prefix_is_v4(&list[index]) != is_v4)
            continue;
        if (!*before)
            ww_buf_printf(out, "    %s daddr { ", is_v4 ? "ip" : "ip6");
        ww_buf_put_text(out, before);
        put_prefix(out, &list[index]);
        before = ", ";
    }
    if (*before)
        ww_buf_printf(out, " } %s\n", verdict);
}

static void put_users(struct ww_buf *out, const struct ww_host_users *list, size_t count,
                      const char *verdict)
{
    for (size_t index = 0; index < count; index++)
        ww_buf_printf(out, "    meta skuid %u-%u %s\n", list[index].first, list[index].last,
                      verdict);
}

/* What belongs into the tunnel and would leave by another way. */
static void put_refusals(const struct ww_host_tunnel *tunnel, bool with_users, struct ww_buf *out)
{
    static const char REJECT[] = "counter name refused reject with icmpx admin-prohibited";

    put_prefixes(out, tunnel->exclude, tunnel->exclude_count, true, "accept");
    put_prefixes(out, tunnel->exclude, tunnel->exclude_count, false, "accept");
    if (with_users)
        put_users(out, tunnel->exclude_users, tunnel->exclude_users_count, "accept");
    if (!tunnel->include_count && !tunnel->include_users_count) {
        ww_buf_printf(out, "    %s\n", REJECT);
        return;
    }
    put_prefixes(out, tunnel->include, tunnel->include_count, true, REJECT);
    put_prefixes(out, tunnel->include, tunnel->include_count, false, REJECT);
    if (with_users)
        put_users(out, tunnel->include_users, tunnel->include_users_count, REJECT);
}

/* What policies exclude. A socket has chosen the tunnel's address as its own before its packets are
 * marked: it is replaced on the way out. A connection keeps what it began as: its ends know its
 * addresses. Questions for names are not for resolvers outside, whatever is excluded. */
static void put_excluded(const struct ww_host_tunnel *tunnel, struct ww_buf *out)
{
    ww_buf_printf(out,
                  "  set excluded_v4 {\n    type ipv4_addr; flags timeout; size %d;\n  }\n"
                  "  set excluded_v6 {\n    type ipv6_addr; flags timeout; size %d;\n  }\n"
                  "  chain excluded {\n"
                  "    type route hook output priority mangle; policy accept;\n"
                  "    meta mark != 0 accept\n",
                  WW_HOST_EXCLUDED_SET_SIZE, WW_HOST_EXCLUDED_SET_SIZE);
    if (tunnel->dns)
        ww_buf_put_text(out, "    meta l4proto { tcp, udp } th dport { 53, 853 } accept\n");
    ww_buf_printf(
        out,
        "    oifname \"%s\" ct state new ip daddr @excluded_v4 ct mark set %d\n"
        "    oifname \"%s\" ct state new ip6 daddr @excluded_v6 ct mark set %d\n"
        "    ct mark %d meta mark set %d\n"
        "  }\n"
        "  chain excluded_source {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        "    oifname != { \"lo\", \"%s\" } ip saddr " WW_TUNNEL_V4 " meta mark %d masquerade\n"
        "    oifname != { \"lo\", \"%s\" } ip6 saddr " WW_TUNNEL_V6 " meta mark %d masquerade\n"
        "  }\n",
        tunnel->device, WW_HOST_MARK, tunnel->device, WW_HOST_MARK, WW_HOST_MARK, WW_HOST_MARK,
        tunnel->device, WW_HOST_MARK, tunnel->device, WW_HOST_MARK);
}

static void put_kill_switch(const struct ww_host_tunnel *tunnel, struct ww_buf *out)
{
    ww_buf_printf(out,
                  "  counter refused {\n  }\n"
                  "  chain output {\n"
                  "    type filter hook output priority filter; policy accept;\n"
                  "    oifname { \"lo\", \"%s\" } accept\n"
                  "    meta mark %d accept\n"
                  /* Ports below 1024 are root's: the address of this host's own interface. */
                  "    udp sport 68 udp dport 67 accept\n"
                  "    udp sport 546 udp dport 547 accept\n"
                  "    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, "
                  "mld-listener-report, mld-listener-done, mld2-listener-report } accept\n",
                  tunnel->device, WW_HOST_MARK);
    if (tunnel->dns)
        ww_buf_put_text(out, "    meta l4proto { tcp, udp } th dport { 53, 853 } counter name "
                             "refused reject with icmpx admin-prohibited\n");
    put_refusals(tunnel, true, out);
    ww_buf_printf(out,
                  "  }\n"
                  "  chain forward {\n"
                  "    type filter hook forward priority filter; policy accept;\n"
                  "    iifname \"%s\" accept\n"
                  "    oifname \"%s\" accept\n",
                  tunnel->device, tunnel->device);
    put_refusals(tunnel, false, out);
    ww_buf_put_text(out, "  }\n");
}

int ww_host_filter_text(const struct ww_host_tunnel *tunnel, bool src_valid_mark_was_off,
                        struct ww_buf *out)
{
    char reason[WW_HOST_REASON_SIZE];
    int rc = host_tunnel_check(tunnel, reason);

    if (rc)
        return rc;
    /* Made before it is deleted, since there may be none. */
    ww_buf_printf(out, "table %s {\n}\ndelete table %s\ntable %s {\n", TABLE, TABLE, TABLE);
    if (src_valid_mark_was_off)
        ww_buf_put_text(out, "  chain src_valid_mark_was_off {\n  }\n");
    ww_buf_printf(
        out,
        "  chain prerouting {\n"
        "    type filter hook prerouting priority raw; policy accept;\n"
        /* Nobody beside this host may guess at its connections in the tunnel (CVE-2019-14899). */
        "    iifname != { \"lo\", \"%s\" } ip daddr { " WW_TUNNEL_V4 ", " WW_TUNNEL_PEER_V4
        " } drop\n"
        "    iifname != { \"lo\", \"%s\" } ip6 daddr { " WW_TUNNEL_V6 ", " WW_TUNNEL_PEER_V6
        " } drop\n"
        /* The check of a sender's address (rp_filter) looks up the way back, and for what comes to
         * the node's own sockets that is the way past the tunnel. */
        "    iifname != { \"lo\", \"%s\" } meta mark 0 fib daddr type { local, broadcast, "
        "multicast } meta mark set %d\n"
        "    iifname \"%s\" meta mark 0 fib daddr type local meta mark set %d\n"
        "  }\n"
        "  chain postrouting {\n"
        "    type filter hook postrouting priority srcnat + 10; policy accept;\n"
        /* No provider learns another address of this host, and no network that of the tunnel. */
        "    oifname \"%s\" ip saddr != " WW_TUNNEL_V4 " drop\n"
        "    oifname \"%s\" ip6 saddr != " WW_TUNNEL_V6 " drop\n"
        "    oifname != { \"lo\", \"%s\" } ip saddr " WW_TUNNEL_V4 " drop\n"
        "    oifname != { \"lo\", \"%s\" } ip6 saddr " WW_TUNNEL_V6 " drop\n"
        "  }\n",
        tunnel->device, tunnel->device, tunnel->device, WW_HOST_MARK, tunnel->device,
        WW_HOST_MARK_BACK, tunnel->device, tunnel->device, tunnel->device, tunnel->device);
    if (tunnel->exclude_by_policy)
        put_excluded(tunnel, out);
    if (tunnel->kill_switch)
        put_kill_switch(tunnel, out);
    ww_buf_put_text(out, "}\n");
    return out->error;
}
