/* The order in which a tunnel is put up and taken away: the filter is there before the first packet
 * is routed, and goes after the last. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host_room.h"

#define TABLE          "inet ww_tunnel"
#define SRC_VALID_MARK "/proc/sys/net/ipv4/conf/all/src_valid_mark"
#define CAP_NET_ADMIN  12 /* linux/capability.h */

bool ww_host_may(void)
{
    unsigned long long capabilities = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");

    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
            break;
    }
    if (file)
        fclose(file);
    return capabilities >> CAP_NET_ADMIN & 1;
}

/* --- checks --------------------------------------------------------------------------------------
 */

static bool is_device(const char *name)
{
    size_t size = name ? strlen(name) : 0;

    return size > 0 && size < IFNAMSIZ && strcmp(name, "lo") != 0 && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
               size;
}

static bool are_users(const struct ww_host_users *list, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        if (list[index].first > list[index].last || list[index].last == UINT32_MAX)
            return false;
    }
    return count <= WW_HOST_USERS_MAX;
}

int host_tunnel_check(const struct ww_host_tunnel *tunnel, char *reason)
{
    const char *wrong = NULL;

    if (!is_device(tunnel->device))
        wrong = "the device's name";
    else if (tunnel->include_count > WW_HOST_PREFIXES_MAX ||
             tunnel->exclude_count > WW_HOST_PREFIXES_MAX)
        wrong = "too many networks";
    else if (!are_users(tunnel->include_users, tunnel->include_users_count) ||
             !are_users(tunnel->exclude_users, tunnel->exclude_users_count))
        wrong = "the users";
    if (!wrong)
        return 0;
    snprintf(reason, WW_HOST_REASON_SIZE, "%s", wrong);
    return WW_EINVAL;
}

/* --- the one switch ------------------------------------------------------------------------------
 */

/* Whether a strict rp_filter looks at marks. Without /proc/sys it can't be strict either. */
static bool src_valid_mark_is_off(void)
{
    FILE *file = fopen(SRC_VALID_MARK, "re");
    int value = file ? fgetc(file) : EOF;

    if (file)
        fclose(file);
    return value == '0';
}

static void src_valid_mark_set(bool is_on)
{
    FILE *file = fopen(SRC_VALID_MARK, "we");

    if (!file)
        return;
    fputc(is_on ? '1' : '0', file);
    fclose(file);
}

/* --- up and down ---------------------------------------------------------------------------------
 */

static int filter_up(const struct ww_host_tunnel *tunnel, char *reason)
{
    struct ww_buf text;
    bool was_off = false;

    /* What an earlier `up` has found stays with the table. */
    int rc = host_nft_has("chain " TABLE " src_valid_mark_was_off", &was_off, reason);
    if (rc)
        return rc;
    was_off = was_off || src_valid_mark_is_off();
    ww_buf_init(&text, WW_HOST_FILTER_BYTES_MAX);
    rc = ww_host_filter_text(tunnel, was_off, &text);
    if (!rc)
        rc = host_nft_run(ww_buf_text(&text), reason);
    ww_buf_deinit(&text);
    if (!rc)
        src_valid_mark_set(true);
    return rc;
}

int ww_host_up(const struct ww_host_tunnel *tunnel, char reason[WW_HOST_REASON_SIZE])
{
    struct host_netlink netlink = {0};
    int rc;

    reason[0] = '\0';
    rc = host_tunnel_check(tunnel, reason);
    if (!rc && !ww_host_may())
        rc = host_fail(reason, EPERM, "the network's settings");
    if (!rc)
        rc = host_netlink_open(&netlink, reason);
    if (rc)
        return rc;
    rc = host_link_up(&netlink, tunnel->device, reason);
    if (!rc)
        rc = filter_up(tunnel, reason);
    if (!rc)
        rc = host_wall_set(&netlink, tunnel->kill_switch, reason);
    if (!rc)
        rc = host_rules_up(&netlink, tunnel, reason);
    host_netlink_close(&netlink);
    return rc;
}

static int filter_down(char *reason)
{
    bool was_off = false, is_there = false;
    int rc = host_nft_has("table " TABLE, &is_there, reason);

    if (!rc && is_there)
        rc = host_nft_has("chain " TABLE " src_valid_mark_was_off", &was_off, reason);
    if (!rc && is_there)
        rc = host_nft_run("delete table " TABLE, reason);
    if (!rc && was_off)
        src_valid_mark_set(false);
    return rc == WW_ENOTFOUND ? 0 : rc;
}

int ww_host_down(char reason[WW_HOST_REASON_SIZE])
{
    struct host_netlink netlink = {0};
    char later[WW_HOST_REASON_SIZE] = "";

    reason[0] = '\0';
    if (!ww_host_may())
        return host_fail(reason, EPERM, "the network's settings");
    int rc = host_netlink_open(&netlink, reason);
    if (!rc)
        rc = host_rules_down(&netlink, reason);
    if (!rc)
        rc = host_wall_set(&netlink, false, reason);
    host_netlink_close(&netlink);
    int names = ww_host_names_down(later);
    if (rc == 0 && names) {
        rc = names;
        memcpy(reason, later, sizeof(later));
    }
    int filter = filter_down(later);
    if (rc == 0 && filter) {
        rc = filter;
        memcpy(reason, later, sizeof(later));
    }
    return rc;
}

int ww_host_state(struct ww_host_state *state)
{
    struct host_netlink netlink = {0};
    char reason[WW_HOST_REASON_SIZE];
    size_t rules = 0;

    memset(state, 0, sizeof(*state));
    state->has_names = ww_host_names_are_ours();
    int rc = host_netlink_open(&netlink, reason);
    if (!rc)
        rc = host_rules_count(&netlink, &rules);
    host_netlink_close(&netlink);
    state->has_rules = rules > 0;
    if (!rc && !ww_host_may())
        return WW_EPERM;
    if (!rc)
        rc = host_nft_has("table " TABLE, &state->has_filter, reason);
    if (!rc && state->has_filter)
        rc = host_nft_has("chain " TABLE " output", &state->kill_switch, reason);
    return rc;
}
