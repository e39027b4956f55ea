/* ww.host: what a client's tunnel changes on its host (ww/host.h), for `ww up`, `ww down` and
 * `ww status`. Each call waits for the kernel: for commands, not for a node.
 *
 * may{} -> {may}; names{} -> {ours, resolvers}, of what is cheap, also for a node; up{device=,
 * kill_switch=, dns=, exclude_by_policy=, include={…}, exclude={…}, include_users={…},
 * exclude_users={…}}, names_up{}, down{} -> {}; state{} -> {rules, names, and, where root asks,
 * filter, kill_switch}. Users are names, numbers or ranges of numbers. */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"
#include "ww/host.h"

struct lists {
    struct ww_prefix include[WW_HOST_PREFIXES_MAX], exclude[WW_HOST_PREFIXES_MAX];
    struct ww_host_users include_users[WW_HOST_USERS_MAX], exclude_users[WW_HOST_USERS_MAX];
};

static int read_prefixes(struct ww_call *call, const char *name, struct ww_prefix *list,
                         size_t *count)
{
    const char *text = NULL;

    for (*count = 0; !ww_call_text_at(call, name, *count, &text); (*count)++) {
        if (*count == WW_HOST_PREFIXES_MAX || ww_prefix_parse(text, &list[*count])) {
            ww_call_reason(call, "%s: %s", name, text);
            return WW_EINVAL;
        }
    }
    return 0;
}

/* "1000" or "1000-1999": false for a name. */
static bool parse_numbers(const char *text, struct ww_host_users *users)
{
    char *end = NULL;
    unsigned long first, last;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    first = last = strtoul(text, &end, 10);
    if (*end == '-' && isdigit((unsigned char)end[1]))
        last = strtoul(end + 1, &end, 10);
    if (*end != '\0' || errno || first > last || last >= UINT32_MAX)
        return false;
    *users = (struct ww_host_users){(uint32_t)first, (uint32_t)last};
    return true;
}

static int read_users(struct ww_call *call, const char *name, struct ww_host_users *list,
                      size_t *count)
{
    const char *text = NULL;

    for (*count = 0; !ww_call_text_at(call, name, *count, &text); (*count)++) {
        if (*count == WW_HOST_USERS_MAX) {
            ww_call_reason(call, "%s: too many", name);
            return WW_EINVAL;
        }
        if (parse_numbers(text, &list[*count]))
            continue;
        const struct passwd *found = getpwnam(text);
        if (!found) {
            ww_call_reason(call, "%s: there is no user %s here", name, text);
            return WW_EINVAL;
        }
        list[*count] = (struct ww_host_users){found->pw_uid, found->pw_uid};
    }
    return 0;
}

static int read_tunnel(struct ww_call *call, struct lists *lists, struct ww_host_tunnel *tunnel)
{
    int rc = ww_call_text(call, "device", &tunnel->device, NULL);

    if (!rc)
        rc = ww_call_bool(call, "kill_switch", &tunnel->kill_switch);
    if (!rc)
        rc = ww_call_bool(call, "dns", &tunnel->dns);
    if (!rc)
        rc = ww_call_bool(call, "exclude_by_policy", &tunnel->exclude_by_policy);
    if (!rc)
        rc = read_prefixes(call, "include", lists->include, &tunnel->include_count);
    if (!rc)
        rc = read_prefixes(call, "exclude", lists->exclude, &tunnel->exclude_count);
    if (!rc)
        rc = read_users(call, "include_users", lists->include_users, &tunnel->include_users_count);
    if (!rc)
        rc = read_users(call, "exclude_users", lists->exclude_users, &tunnel->exclude_users_count);
    tunnel->include = lists->include;
    tunnel->exclude = lists->exclude;
    tunnel->include_users = lists->include_users;
    tunnel->exclude_users = lists->exclude_users;
    return rc;
}

static int told(struct ww_call *call, int rc, const char *reason)
{
    if (rc && reason[0])
        ww_call_reason(call, "%s", reason);
    return rc;
}

static int bound_up(void *context, struct ww_call *call)
{
    char reason[WW_HOST_REASON_SIZE] = "";
    struct ww_host_tunnel tunnel = {0};
    struct lists *lists = ww_alloc(1, sizeof(*lists));

    (void)context;
    if (!lists)
        return WW_ENOMEM;
    int rc = read_tunnel(call, lists, &tunnel);
    if (!rc)
        rc = told(call, ww_host_up(&tunnel, reason), reason);
    ww_free(lists);
    return rc;
}

static int bound_names_up(void *context, struct ww_call *call)
{
    char reason[WW_HOST_REASON_SIZE] = "";

    (void)context;
    return told(call, ww_host_names_up(reason), reason);
}

static int bound_down(void *context, struct ww_call *call)
{
    char reason[WW_HOST_REASON_SIZE] = "";

    (void)context;
    return told(call, ww_host_down(reason), reason);
}

static int bound_state(void *context, struct ww_call *call)
{
    struct ww_host_state now;
    int rc = ww_host_state(&now);

    (void)context;
    ww_call_put_bool(call, "rules", now.has_rules);
    ww_call_put_bool(call, "names", now.has_names);
    if (rc)
        return rc == WW_EPERM || rc == WW_EUNSUPPORTED ? 0 : rc;
    ww_call_put_bool(call, "filter", now.has_filter);
    ww_call_put_bool(call, "kill_switch", now.kill_switch);
    return 0;
}

static int bound_may(void *context, struct ww_call *call)
{
    (void)context;
    ww_call_put_bool(call, "may", ww_host_may());
    return 0;
}

static int bound_names(void *context, struct ww_call *call)
{
    (void)context;
    ww_call_put_bool(call, "ours", ww_host_names_are_ours());
    ww_call_begin(call, "resolvers", true);
    ww_call_put_text(call, NULL, WW_TUNNEL_PEER_V4);
    ww_call_put_text(call, NULL, WW_TUNNEL_PEER_V6);
    ww_call_end(call);
    return 0;
}

int host_bind(struct ww_ops *ops)
{
    static const struct ww_ops_function functions[] = {
        {"up", bound_up},       {"names_up", bound_names_up}, {"down", bound_down},
        {"state", bound_state}, {"may", bound_may},           {"names", bound_names},
    };

    return ww_ops_bind(ops, "host", functions, WW_ARRAY_COUNT(functions), NULL);
}
