/* Rules of routing (ip-rule(8)): which packets look into the tunnel's table. Those that stay
 * outside jump behind the tunnel's rules, to where they would have gone without it. New rules come
 * before old ones go, so that bringing them up to date leaves no gap. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "host_room.h"

/* In this order; those of one step are alike. */
enum step { STEP_RESOLVER, STEP_BACK, STEP_OWN, STEP_DHCP, STEP_EXCLUDE, STEP_INCLUDE, STEP_END };

#define MESSAGE_BYTES 1024
#define RULES_MAX     (2 * (WW_HOST_PREFIXES_MAX + WW_HOST_USERS_MAX) * 2 + 16)
#define BEHIND        (WW_HOST_RULES_FROM + STEP_END)
#define ROUNDS_MAX    8 /* a dump that was changed meanwhile is read again */

/* As bytes, with nothing between them: two are equal when their bytes are. */
struct rule {
    uint32_t priority, table, target, mark;
    uint32_t user_first, user_last;
    uint8_t address[16];
    char input[IF_NAMESIZE]; /* the device that it came by; lo: from this host */
    uint16_t port, from_port, bits, protocol;
    uint8_t family, action, has_users, unused;
};

struct rules {
    struct rule list[RULES_MAX];
    size_t count;
    bool overflow;
};

/* --- what there should be ------------------------------------------------------------------------
 */

static struct rule *add(struct rules *rules, int family, enum step step, bool into_tunnel)
{
    WW_REQUIRE(rules->count < RULES_MAX);
    struct rule *rule = &rules->list[rules->count++];

    memset(rule, 0, sizeof(*rule));
    rule->family = (uint8_t)family;
    rule->priority = WW_HOST_RULES_FROM + step;
    rule->action = into_tunnel ? FR_ACT_TO_TBL : FR_ACT_GOTO;
    if (into_tunnel)
        rule->table = WW_HOST_TABLE;
    else
        rule->target = BEHIND;
    return rule;
}

/* Everything is two halves: the kernel takes a rule without an address for any other one of its
 * priority when it is asked to add it (EEXIST) or to remove it. */
static void add_prefix(struct rules *rules, int family, enum step step, const uint8_t *address,
                       unsigned bits)
{
    bool is_whole = bits == 0;

    for (unsigned half = 0; half <= (unsigned)is_whole; half++) {
        struct rule *rule = add(rules, family, step, step == STEP_INCLUDE);
        rule->bits = (uint16_t)(is_whole ? 1 : bits);
        memcpy(rule->address, address, family == AF_INET ? 4 : 16);
        rule->address[0] |= half ? 0x80 : 0;
    }
}

static void add_prefixes(struct rules *rules, int family, enum step step,
                         const struct ww_host_tunnel *tunnel)
{
    bool into = step == STEP_INCLUDE;
    const struct ww_prefix *list = into ? tunnel->include : tunnel->exclude;
    size_t count = into ? tunnel->include_count : tunnel->exclude_count;

    for (size_t index = 0; index < count; index++) {
        bool is_v4 = host_prefix_is_v4(&list[index]);
        if (is_v4 == (family == AF_INET))
            add_prefix(rules, family, step, list[index].address + (is_v4 ? 12 : 0),
                       list[index].bits - (is_v4 ? 96U : 0));
    }
}

static void add_users(struct rules *rules, int family, enum step step,
                      const struct ww_host_tunnel *tunnel)
{
    bool into = step == STEP_INCLUDE;
    const struct ww_host_users *list = into ? tunnel->include_users : tunnel->exclude_users;
    size_t count = into ? tunnel->include_users_count : tunnel->exclude_users_count;

    for (size_t index = 0; index < count; index++) {
        struct rule *rule = add(rules, family, step, into);
        rule->has_users = 1;
        rule->user_first = list[index].first;
        rule->user_last = list[index].last;
    }
}

static void add_family(struct rules *rules, int family, const struct ww_host_tunnel *tunnel)
{
    static const uint8_t everything[16];
    bool is_v4 = family == AF_INET;
    struct rule *rule = add(rules, family, STEP_RESOLVER, true);

    /* Names of everybody, also of users that stay outside, if that is asked for. With the device
     * the address is this host's own; when the client has died and it is gone, no question may
     * leave. */
    rule->bits = is_v4 ? 32 : 128;
    inet_pton(family, is_v4 ? WW_TUNNEL_PEER_V4 : WW_TUNNEL_PEER_V6, rule->address);
    /* Only for rp_filter, which asks as this host would: what has come out of the tunnel for a user
     * whose traffic goes in there, when nobody else's does. */
    rule = add(rules, family, STEP_BACK, true);
    rule->mark = WW_HOST_MARK_BACK;
    memcpy(rule->input, "lo", sizeof("lo"));
    add(rules, family, STEP_OWN, false)->mark = WW_HOST_MARK;
    /* Answers to containers and guests that this host routes for don't go in again. */
    rule = add(rules, family, STEP_OWN, false);
    snprintf(rule->input, sizeof(rule->input), "%s", tunnel->device);
    rule = add(rules, family, STEP_DHCP, false);
    rule->protocol = IPPROTO_UDP;
    /* The lower ports are root's: anybody may send to 67, and is not let past the tunnel. */
    rule->port = is_v4 ? 67 : 547;
    rule->from_port = is_v4 ? 68 : 546;
    add_prefixes(rules, family, STEP_EXCLUDE, tunnel);
    add_users(rules, family, STEP_EXCLUDE, tunnel);
    if (!tunnel->include_count && !tunnel->include_users_count)
        add_prefix(rules, family, STEP_INCLUDE, everything, 0);
    add_prefixes(rules, family, STEP_INCLUDE, tunnel);
    add_users(rules, family, STEP_INCLUDE, tunnel);
    rule = add(rules, family, STEP_END, false);
    rule->action = FR_ACT_NOP;
    rule->target = 0;
}

/* --- netlink -------------------------------------------------------------------------------------
 */

static void put_port(struct nlmsghdr *message, uint16_t type, uint16_t port)
{
    struct fib_rule_port_range ports = {.start = port, .end = port};

    if (port)
        mnl_attr_put(message, type, sizeof(ports), &ports);
}

static uint16_t read_port(const void *payload, size_t size)
{
    return size == sizeof(struct fib_rule_port_range)
               ? ((const struct fib_rule_port_range *)payload)->start
               : 0;
}

static struct nlmsghdr *rule_message(uint8_t *bytes, const struct rule *rule, uint16_t type)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
    struct fib_rule_hdr *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));

    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    if (type == RTM_NEWRULE)
        message->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
    head->family = rule->family;
    head->action = rule->action;
    head->dst_len = (uint8_t)rule->bits;
    head->table = RT_TABLE_UNSPEC;
    mnl_attr_put_u32(message, FRA_PRIORITY, rule->priority);
    mnl_attr_put_u8(message, FRA_PROTOCOL, WW_HOST_PROTOCOL);
    if (rule->table)
        mnl_attr_put_u32(message, FRA_TABLE, rule->table);
    if (rule->target)
        mnl_attr_put_u32(message, FRA_GOTO, rule->target);
    if (rule->mark)
        mnl_attr_put_u32(message, FRA_FWMARK, rule->mark);
    if (rule->input[0])
        mnl_attr_put_strz(message, FRA_IIFNAME, rule->input);
    if (rule->bits)
        mnl_attr_put(message, FRA_DST, rule->family == AF_INET ? 4 : 16, rule->address);
    if (rule->protocol)
        mnl_attr_put_u8(message, FRA_IP_PROTO, (uint8_t)rule->protocol);
    put_port(message, FRA_DPORT_RANGE, rule->port);
    put_port(message, FRA_SPORT_RANGE, rule->from_port);
    if (rule->has_users) {
        struct fib_rule_uid_range users = {.start = rule->user_first, .end = rule->user_last};
        mnl_attr_put(message, FRA_UID_RANGE, sizeof(users), &users);
    }
    return message;
}

static void read_attribute(const struct nlattr *attribute, struct rule *rule, bool *is_ours)
{
    const void *payload = mnl_attr_get_payload(attribute);
    size_t size = mnl_attr_get_payload_len(attribute);
    uint32_t number = size == 4 ? mnl_attr_get_u32(attribute) : 0;

    switch (mnl_attr_get_type(attribute)) {
    case FRA_PROTOCOL:
        *is_ours = size == 1 && mnl_attr_get_u8(attribute) == WW_HOST_PROTOCOL;
        break;
    case FRA_PRIORITY:
        rule->priority = number;
        break;
    case FRA_TABLE:
        rule->table = rule->action == FR_ACT_TO_TBL ? number : 0;
        break;
    case FRA_GOTO:
        rule->target = number;
        break;
    case FRA_FWMARK:
        rule->mark = number;
        break;
    case FRA_DST:
        memcpy(rule->address, payload, WW_MIN(size, sizeof(rule->address)));
        break;
    case FRA_IIFNAME:
        if (size <= sizeof(rule->input))
            memcpy(rule->input, payload, size);
        break;
    case FRA_IP_PROTO:
        rule->protocol = size == 1 ? mnl_attr_get_u8(attribute) : 0;
        break;
    case FRA_DPORT_RANGE:
        rule->port = read_port(payload, size);
        break;
    case FRA_SPORT_RANGE:
        rule->from_port = read_port(payload, size);
        break;
    case FRA_UID_RANGE:
        if (size != sizeof(struct fib_rule_uid_range))
            break;
        rule->has_users = 1;
        rule->user_first = ((const struct fib_rule_uid_range *)payload)->start;
        rule->user_last = ((const struct fib_rule_uid_range *)payload)->end;
        break;
    default:
        break;
    }
}

static int read_rule(const struct nlmsghdr *message, void *arg)
{
    struct rules *rules = arg;
    const struct fib_rule_hdr *head = mnl_nlmsg_get_payload(message);
    struct nlattr *attribute; /* not const: the macro casts it */
    struct rule rule;
    bool is_ours = false;

    if (message->nlmsg_type != RTM_NEWRULE)
        return MNL_CB_OK;
    memset(&rule, 0, sizeof(rule));
    rule.family = head->family;
    rule.action = head->action;
    rule.bits = head->dst_len;
    mnl_attr_for_each(attribute, message, sizeof(*head))
    {
        read_attribute(attribute, &rule, &is_ours);
    }
    if (!is_ours)
        return MNL_CB_OK;
    rules->overflow = rules->count == RULES_MAX;
    if (!rules->overflow)
        rules->list[rules->count++] = rule;
    return MNL_CB_OK;
}

/* Adds our rules of one family, as far as they fit. */
static int read_rules(struct host_netlink *netlink, int family, struct rules *rules)
{
    uint8_t bytes[MESSAGE_BYTES];
    size_t before = rules->count;
    int error = EINTR;

    for (int round = 0; round < ROUNDS_MAX && error == EINTR; round++) {
        struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
        struct fib_rule_hdr *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
        message->nlmsg_type = RTM_GETRULE;
        message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        head->family = (uint8_t)family;
        rules->count = before;
        error = host_netlink_talk(netlink, message, read_rule, rules);
    }
    return error == EAFNOSUPPORT || error == EOPNOTSUPP ? 0 : error;
}

static int read_all(struct host_netlink *netlink, struct rules *rules, char *reason)
{
    int error = read_rules(netlink, AF_INET, rules);

    if (!error && host_has_v6())
        error = read_rules(netlink, AF_INET6, rules);
    return error ? host_fail(reason, error, "the rules of routing can't be read") : 0;
}

/* --- up and down ---------------------------------------------------------------------------------
 */

static bool has(const struct rules *rules, const struct rule *wanted)
{
    for (size_t index = 0; index < rules->count; index++) {
        if (memcmp(&rules->list[index], wanted, sizeof(*wanted)) == 0)
            return true;
    }
    return false;
}

/* From the end: who jumps finds its place, and nothing is caught before what stays outside is. */
static int add_missing(struct host_netlink *netlink, const struct rules *wanted, char *reason)
{
    uint8_t bytes[MESSAGE_BYTES];

    for (size_t index = wanted->count; index > 0; index--) {
        struct nlmsghdr *message = rule_message(bytes, &wanted->list[index - 1], RTM_NEWRULE);
        int error = host_netlink_talk(netlink, message, NULL, NULL);
        if (error && error != EEXIST)
            return host_fail(reason, error, "a rule of routing");
    }
    return 0;
}

/* Deletes ours that are not wanted; wanted NULL: all. What can't be read at once is in the next
 * round. */
static int remove_others(struct host_netlink *netlink, const struct rules *wanted, char *reason)
{
    uint8_t bytes[MESSAGE_BYTES];
    struct rules *found = ww_alloc(1, sizeof(*found));
    int rc = found ? 0 : WW_ENOMEM;

    do {
        if (!rc) {
            memset(found, 0, sizeof(*found));
            rc = read_all(netlink, found, reason);
        }
        for (size_t index = 0; !rc && index < found->count; index++) {
            if (wanted && has(wanted, &found->list[index]))
                continue;
            struct nlmsghdr *message = rule_message(bytes, &found->list[index], RTM_DELRULE);
            int error = host_netlink_talk(netlink, message, NULL, NULL);
            if (error && error != ENOENT)
                rc = host_fail(reason, error, "a rule of routing can't be removed");
        }
    } while (!rc && found->overflow && !wanted);
    ww_free(found);
    return rc;
}

int host_rules_up(struct host_netlink *netlink, const struct ww_host_tunnel *tunnel, char *reason)
{
    struct rules *wanted = ww_alloc(1, sizeof(*wanted));

    if (!wanted)
        return WW_ENOMEM;
    add_family(wanted, AF_INET, tunnel);
    if (host_has_v6())
        add_family(wanted, AF_INET6, tunnel);
    int rc = add_missing(netlink, wanted, reason);
    if (!rc)
        rc = remove_others(netlink, wanted, reason);
    ww_free(wanted);
    return rc;
}

int host_rules_down(struct host_netlink *netlink, char *reason)
{
    return remove_others(netlink, NULL, reason);
}

int host_rules_count(struct host_netlink *netlink, size_t *count)
{
    char reason[WW_HOST_REASON_SIZE];
    struct rules *found = ww_alloc(1, sizeof(*found));

    if (!found)
        return WW_ENOMEM;
    int rc = read_all(netlink, found, reason);
    *count = found->count;
    ww_free(found);
    return rc;
}
