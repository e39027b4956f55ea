/* The forwarder as Lua sees it: its configuration, its state, and questions of the operator. */
#include "client_dns.h"

#include <string.h>

#include "node.h"

/* --- start ------------------------------------------------------------------------------------ */

static int add_upstreams(struct client_dns *dns, struct ww_call *call)
{
    struct ww_target target;
    const char *text = NULL;
    int rc;

    for (size_t index = 0; !(rc = ww_call_text_at(call, "dns_upstreams", index, &text)); index++) {
        rc = node_parse_listen(text, &target);
        if (!rc)
            rc = ww_dns_add_upstream(dns->dns, &target);
        if (rc) {
            ww_call_reason(call, "dns.upstreams has at most %d addresses with ports, not %s",
                           WW_DNS_UPSTREAMS_MAX, text);
            return rc;
        }
    }
    return rc == WW_ENOTFOUND ? 0 : rc;
}

static int add_private_names(struct client_dns *dns, struct ww_call *call)
{
    const char *text = NULL;
    int rc;

    for (size_t index = 0; !(rc = ww_call_text_at(call, "dns_private_names", index, &text));
         index++) {
        rc = ww_dns_allow_private(dns->dns, text);
        if (rc) {
            ww_call_reason(call, "dns.private_names: %s is no name", text);
            return rc;
        }
    }
    return rc == WW_ENOTFOUND ? 0 : rc;
}

static int listen_at(struct client_dns *dns, struct ww_call *call, const char *text)
{
    struct ww_target target;
    int rc = node_parse_listen(text, &target);

    if (rc) {
        ww_call_reason(call, "%s is no address with a port", text);
        return rc;
    }
    if (dns->listener_count >= CLIENT_DNS_LISTENERS_MAX)
        return WW_ELIMIT;
    rc = ww_dns_listener_create(dns->client->edge.loop, dns->dns, &target,
                                &dns->listeners[dns->listener_count]);
    if (rc)
        node_listen_reason(call, text, rc);
    else
        dns->listener_count++;
    return rc;
}

static int listen_at_all(struct client_dns *dns, struct ww_call *call)
{
    const char *text = NULL;
    int rc;

    for (size_t index = 0; !(rc = ww_call_text_at(call, "dns_listen", index, &text)); index++) {
        rc = listen_at(dns, call, text);
        if (rc)
            return rc;
    }
    return rc == WW_ENOTFOUND ? 0 : rc;
}

int client_dns_start(struct client *client, struct ww_call *call)
{
    enum ww_dns_denial denial = WW_DNS_EMPTY;
    const char *word = "empty";

    ww_call_text(call, "dns_private_answers", &word, NULL);
    if (strcmp(word, "nxdomain") == 0)
        denial = WW_DNS_NXDOMAIN;
    else if (strcmp(word, "refused") == 0)
        denial = WW_DNS_REFUSED;
    int rc = client_dns_create(client, denial, &client->dns);
    if (!rc)
        rc = add_upstreams(client->dns, call);
    if (!rc)
        rc = add_private_names(client->dns, call);
    if (!rc)
        rc = client_dns_lists_start(client, call);
    if (!rc)
        rc = listen_at_all(client->dns, call);
    return rc;
}

/* --- status ----------------------------------------------------------------------------------- */

static void put_upstreams(const struct client_dns *dns, struct ww_call *call)
{
    struct ww_dns_upstream_stats upstream;
    char text[WW_TARGET_TEXT_BYTES];

    ww_call_begin(call, "upstreams", true);
    for (size_t index = 0; ww_dns_upstream_stats(dns->dns, index, &upstream); index++) {
        ww_call_begin(call, NULL, false);
        ww_call_put_text(call, "address", ww_target_format(&upstream.target, text));
        ww_call_put_u64(call, "sent", upstream.sent);
        ww_call_put_u64(call, "answered", upstream.answered);
        if (upstream.last_error)
            ww_call_put_text(call, "last_error", ww_error_name(upstream.last_error));
        ww_call_end(call);
    }
    ww_call_end(call);
}

static void put_listener(const struct ww_dns_listener *listener, struct ww_call *call)
{
    char text[WW_TARGET_TEXT_BYTES];
    struct ww_target target;

    ww_dns_listener_address(listener, &target);
    ww_call_put_text(call, NULL, ww_target_format(&target, text));
}

void client_dns_put(const struct client_dns *dns, struct ww_call *call)
{
    struct ww_dns_stats stats;

    ww_dns_stats(dns->dns, &stats);
    ww_call_begin(call, "dns", false);
    ww_call_begin(call, "listen", true);
    for (size_t index = 0; index < dns->listener_count; index++)
        put_listener(dns->listeners[index], call);
    for (size_t index = 0; index < CLIENT_DNS_INNER; index++) {
        if (dns->inner[index])
            put_listener(dns->inner[index], call);
    }
    ww_call_end(call);
    put_upstreams(dns, call);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"asks", stats.asks},
        {"hits", stats.hits},
        {"joined", stats.joined},
        {"local", stats.local},
        {"blocked", stats.blocked},
        {"denied", stats.denied},
        {"exchanges", stats.exchanges},
        {"answers", stats.answers},
        {"timeouts", stats.timeouts},
        {"failures", stats.failures},
        {"streams", stats.streams},
        {"bad", stats.bad},
        {"overflows", stats.overflows},
        {"waiting", stats.waiting},
        {"cached", stats.cached},
        {"cached_bytes", stats.cached_bytes},
        {"names", stats.names},
        {"lists", stats.lists},
        {"listed", stats.listed},
        {"excluded", dns->excluder ? ww_host_excluded_each(dns->excluder, NULL, NULL) : 0},
    };
    for (size_t index = 0; index < WW_ARRAY_COUNT(rows); index++)
        ww_call_put_u64(call, rows[index].name, rows[index].value);
    ww_call_end(call);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* An operator's question. */
struct client_dns_query {
    struct ww_dns_ask ask;
    LIST_ENTRY(client_dns_query) link;
    struct client_dns *dns;
    int function;
};

static int put_reply(struct ww_call *call, const uint8_t *reply, size_t size)
{
    unsigned code = 0, why = 0;
    struct ww_buf lines;

    ww_buf_init(&lines, 1 << 20);
    int rc = ww_dns_print(reply, size, &code, &lines);
    if (!rc)
        rc = lines.error;
    if (!rc) {
        ww_call_put_text(call, "code", ww_dns_code_word(code));
        ww_call_put_text(call, "lines", ww_buf_text(&lines));
        ww_call_put_u64(call, "bytes", size);
        if (ww_dns_print_why(reply, size, &why) == 0)
            ww_call_put_u64(call, "why", why);
    }
    ww_buf_deinit(&lines);
    return rc;
}

static void on_reply(void *arg, struct ww_dns_ask *ask, const uint8_t *reply, size_t size)
{
    struct client_dns_query *query = arg;
    struct ww_call call;

    (void)ask;
    LIST_REMOVE(query, link);
    ww_ops_begin(query->dns->client->edge.ops, &call);
    int function = query->function, rc = put_reply(&call, reply, size);
    ww_free(query);
    ww_ops_finish(&call, function, rc);
}

int client_dns_bound_query(void *context, struct ww_call *call)
{
    struct client *client = context;
    const char *name = NULL, *word = "A";
    uint8_t message[WW_DNS_QUERY_BYTES];
    const uint8_t *reply = NULL;
    size_t size = 0;
    int function;

    int rc = client->dns ? ww_call_text(call, "name", &name, NULL) : WW_ESHUTDOWN;
    if (rc)
        return rc;
    ww_call_text(call, "type", &word, NULL);
    uint16_t type = ww_dns_type_parse(word);
    if (!type || ww_dns_query(name, type, 0, message, &size)) {
        ww_call_reason(call, type ? "%s is no name" : "%s is no type of record",
                       type ? name : word);
        return WW_EINVAL;
    }
    struct client_dns_query *query = ww_alloc(1, sizeof(*query));
    if (!query)
        return WW_ENOMEM;
    query->dns = client->dns;
    query->ask = (struct ww_dns_ask){.fn = on_reply, .arg = query, .is_stream = true};
    rc = ww_call_function(call, "done", &function);
    if (!rc)
        rc = ww_dns_ask(client->dns->dns, &query->ask, message, size, &reply, &size);
    if (rc == WW_EAGAIN) {
        query->function = function;
        LIST_INSERT_HEAD(&client->dns->queries, query, link);
        ww_call_put_bool(call, "waits", true);
        return 0;
    }
    ww_free(query);
    if (rc)
        return rc;
    ww_ops_forget(client->edge.ops, function);
    return put_reply(call, reply, size);
}

void client_dns_forget_queries(struct client_dns *dns)
{
    struct client_dns_query *query;

    while ((query = LIST_FIRST(&dns->queries))) {
        LIST_REMOVE(query, link);
        ww_dns_cancel(&query->ask);
        ww_free(query); /* its function goes with the VM */
    }
}

int client_dns_bound_flush(void *context, struct ww_call *call)
{
    const struct client *client = context;

    (void)call;
    if (!client->dns)
        return WW_ESHUTDOWN;
    ww_dns_flush(client->dns->dns);
    if (client->dns->excluder)
        ww_host_exclude_nothing(client->dns->excluder);
    return 0;
}
