/* What a configuration says about addresses, for clients and providers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"

int node_parse_listen(const char *text, struct ww_target *target)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    size_t size;

    if (!colon || colon == text)
        return WW_EINVAL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end || port > 65535)
        return WW_EINVAL;
    size = (size_t)(colon - text);
    if (text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    int rc = ww_target_parse(text, size, (uint16_t)port, target);
    return rc ? rc : target->kind == WW_TARGET_NAME ? WW_EINVAL : 0;
}

void node_listen_reason(struct ww_call *call, const char *text, int rc)
{
    if (rc == WW_ESYSTEM)
        ww_call_reason(call, "can't listen on %s: %s", text, strerror(errno));
    else
        ww_call_reason(call, "can't listen on %s", text);
}

int node_address_rules(struct ww_call *call, bool with_local, struct ww_address_rules **out)
{
    struct ww_address_rules *rules = NULL;
    struct ww_prefix prefix;
    const char *text = NULL;
    size_t count = 0;

    int rc = ww_address_rules_create(with_local, &rules);
    while (!rc && !ww_call_text_at(call, "allow_private", count, &text)) {
        rc = ww_prefix_parse(text, &prefix);
        if (rc)
            ww_call_reason(call, "allow_private: %.60s is no address prefix", text);
        else
            rc = ww_address_rules_allow(rules, &prefix);
        if (!rc)
            ww_log(WW_LOG_WARN, "node", "private addresses are allowed as destinations",
                   "prefix=%s", text);
        count++;
    }
    if (rc) {
        ww_address_rules_destroy(rules);
        return rc;
    }
    *out = rules;
    return 0;
}
