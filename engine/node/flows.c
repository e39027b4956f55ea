/* The flows of a node: see flows.h. Relies on packet's tables, and on the flow policy. */
#include "flows.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "flows_room.h"
#include "footprint.h"

#define TICK_US             1000000
#define FOOTPRINT_TICKS     60
#define JUDGED_IN_TURN      500 /* flows judged again before packets go on: some 10 us each */
#define JUDGING_US          10000
#define APPLICATION_OF_NONE "unknown"

/* --- the footprint ---------------------------------------------------------------------------- */

static void host_of(const struct ww_flow *flow, char text[INET6_ADDRSTRLEN])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (memcmp(flow->there, mapped, sizeof(mapped)) == 0)
        inet_ntop(AF_INET, flow->there + 12, text, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, flow->there, text, INET6_ADDRSTRLEN);
}

/* What has come since it was last counted. A query for a name is one to the server that is asked.
 */
static void count_footprint(struct edge *edge, const struct ww_flow *flow)
{
    struct flow_info *info = flow->owner;
    char host[INET6_ADDRSTRLEN], peer[WW_HASH_TEXT_SIZE];
    const char *keys[FOOTPRINT_BYS];

    if (!edge->flows->keeps_footprint || !info ||
        (info->counted[0] == flow->bytes[0] && info->counted[1] == flow->bytes[1]))
        return;
    host_of(flow, host);
    keys[FOOTPRINT_HOST] = flow->name && flow->name_from != WW_FLOW_NAME_DNS ? flow->name : host;
    if (!flow->name && info->asked)
        keys[FOOTPRINT_HOST] = info->asked;
    keys[FOOTPRINT_APPLICATION] = flow->application ? flow->application : APPLICATION_OF_NONE;
    keys[FOOTPRINT_COUNTRY] = info->place.country;
    keys[FOOTPRINT_PROVIDER] = info->has_peer ? ww_hash_format(&info->peer, peer) : "";
    footprint_add(edge->flows->footprint, keys, flow->bytes[1] - info->counted[1],
                  flow->bytes[0] - info->counted[0]);
    info->counted[0] = flow->bytes[0];
    info->counted[1] = flow->bytes[1];
}

static void tick(void *arg)
{
    struct edge *edge = arg;
    struct flows *flows = edge->flows;
    struct flow_table *table;

    bool counts = flows->footprint && ++flows->ticks % FOOTPRINT_TICKS == 0;

    LIST_FOREACH (table, &flows->tables, link) {
        struct ww_flow *flow = NULL;
        while (counts && (flow = ww_flows_next(table->flows, flow)))
            count_footprint(edge, flow);
        ww_flows_expire(table->flows, ww_loop_now_us(edge->loop));
    }
    if (counts)
        footprint_save(flows->footprint);
    ww_timer_start(flows->clock, TICK_US);
}

void flows_count_now(struct edge *edge)
{
    struct flow_table *table;

    LIST_FOREACH (table, &edge->flows->tables, link) {
        struct ww_flow *flow = NULL;
        while ((flow = ww_flows_next(table->flows, flow)))
            count_footprint(edge, flow);
    }
}

/* --- verdicts --------------------------------------------------------------------------------- */

static void dest_of(const struct ww_flow *flow, struct ww_dest *dest)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    memset(dest, 0, sizeof(*dest));
    dest->protocol = flow->protocol == IPPROTO_TCP ? WW_DEST_TCP : WW_DEST_UDP;
    dest->port = flow->there_port;
    if (flow->name_from == WW_FLOW_NAME_REQUEST) {
        dest->kind = WW_DEST_NAME;
        memcpy(dest->name, flow->name, strlen(flow->name));
    } else if (memcmp(flow->there, mapped, sizeof(mapped)) == 0) {
        dest->kind = WW_DEST_IPV4;
        memcpy(dest->address, flow->there + 12, 4);
    } else {
        dest->kind = WW_DEST_IPV6;
        memcpy(dest->address, flow->there, 16);
    }
}

/* A stream keeps the verdict that it was opened with, whose rate follows the policy: only whether
 * it may go on is asked. */
static int judge_stream(struct edge *edge, const struct verdict_about *about)
{
    struct verdict *verdict;
    int rc = verdict_ask_about(edge, about, &verdict);

    verdict_end(&verdict);
    return rc == WW_EDENIED ? rc : 0;
}

/* Asks about a flow as far as it is known. */
static int judge(struct edge *edge, struct ww_flow *flow)
{
    struct flow_info *info = flow->owner;
    struct verdict_about about = {.application = flow->application,
                                  .name = flow->name,
                                  .country = info->place.country,
                                  .network = info->place.network};
    struct ww_dest dest;

    dest_of(flow, &dest);
    about.dest = &dest;
    about.is_echo = flow->protocol == IPPROTO_ICMP || flow->protocol == IPPROTO_ICMPV6;
    if (flow->state == WW_FLOW_STREAM) {
        about.name = NULL; /* the destination's own, as when it was opened */
        int rc = judge_stream(edge, &about);
        info->decision = rc ? WW_HOOK_DENY : info->decision;
        return rc;
    }
    flow->bucket = NULL;
    verdict_end(&info->verdict); /* before the next is asked for: it may be the same, and full */
    int rc = verdict_ask_about(edge, &about, &info->verdict);
    info->decision = rc ? WW_HOOK_DENY : info->verdict->decision;
    if (!rc && info->verdict->bucket.bytes_s)
        flow->bucket = &info->verdict->bucket;
    return rc;
}

static int table_opened(void *arg, struct ww_flow *flow)
{
    struct flow_table *table = arg;
    struct edge *edge = table->edge;
    struct flow_info *info = ww_alloc(1, sizeof(*info));

    if (!info)
        return WW_ENOMEM;
    info->id = ++edge->flows->ids;
    info->peer = table->peer;
    info->has_peer = table->has_peer;
    ww_geo_find(edge->flows->geo, flow->there, &info->place);
    const char *asked = edge->name_of ? edge->name_of(edge, flow->there) : NULL;
    info->asked = asked ? ww_strdup(asked) : NULL;
    flow->owner = info;
    return judge(edge, flow);
}

static int table_named(void *arg, struct ww_flow *flow)
{
    struct flow_table *table = arg;
    return flow->owner ? judge(table->edge, flow) : WW_ENOMEM;
}

static void table_closed(void *arg, struct ww_flow *flow)
{
    struct flow_table *table = arg;
    struct flow_info *info = flow->owner;

    if (!info)
        return;
    count_footprint(table->edge, flow);
    flow->bucket = NULL;
    verdict_end(&info->verdict);
    ww_free(info->asked);
    ww_free(info);
    flow->owner = NULL;
}

static const struct ww_flow_callbacks TABLE_CALLBACKS = {table_opened, table_named, table_closed};

/* True: there is more. Policies that fail may be left for those before meanwhile: then it begins
 * anew. */
static bool judge_some(struct edge *edge, size_t *most)
{
    struct flow_table *table;
    bool has_more = false;

    LIST_FOREACH (table, &edge->flows->tables, link) {
        if (!table->is_judged_again)
            continue;
        table->is_judged_again = false;
        if (ww_flows_judge_again(table->flows, &table->judged_at, most))
            table->is_judged_again = true;
    }
    LIST_FOREACH (table, &edge->flows->tables, link)
        has_more |= table->is_judged_again;
    return has_more;
}

/* What is denied is cut when all have been judged: by then it is sure whose word that is. */
static void judge_turn(void *arg)
{
    struct edge *edge = arg;
    size_t most = JUDGED_IN_TURN;
    bool has_more;

    do {
        has_more = judge_some(edge, &most);
    } while (has_more && most > 0);
    if (has_more)
        ww_timer_start(edge->flows->judging, JUDGING_US);
    else if (edge->judged)
        edge->judged(edge);
}

static void make_due(struct edge *edge)
{
    struct flow_table *table;

    LIST_FOREACH (table, &edge->flows->tables, link) {
        table->is_judged_again = true;
        table->judged_at = 0;
    }
}

void flows_judge_again(struct edge *edge)
{
    make_due(edge);
    judge_turn(edge);
}

/* This may be told from within a decision. */
static void generation_changed(void *arg)
{
    struct edge *edge = arg;

    make_due(edge);
    ww_timer_start(edge->flows->judging, 0);
}

/* --- tables ----------------------------------------------------------------------------------- */

static int table_create(struct edge *edge, const struct ww_hash *peer, struct flow_table **out)
{
    struct ww_flows_config config = {.flows_max = WW_NODE_TABLE_FLOWS,
                                     .callbacks = &TABLE_CALLBACKS};
    struct flow_table *table = ww_alloc(1, sizeof(*table));

    if (!table)
        return WW_ENOMEM;
    config.arg = table;
    table->edge = edge;
    int rc = ww_flows_create(&config, &table->flows);
    if (rc) {
        ww_free(table);
        return rc;
    }
    if (peer)
        flow_table_set_peer(table, peer);
    LIST_INSERT_HEAD(&edge->flows->tables, table, link);
    *out = table;
    return 0;
}

int flow_table_open(struct edge *edge, const struct ww_hash *peer, struct flow_table **table)
{
    struct flows *flows = edge->flows;

    if (!flows)
        return WW_ESTATE;
    if (flows->inspects && !flows->inspector && ww_inspector_create(edge->loop, &flows->inspector))
        ww_log(WW_LOG_WARN, "node", "first packets are not looked at", "code=ENOMEM");
    int rc = table_create(edge, peer, table);
    if (!rc)
        ww_flows_set_inspector((*table)->flows, flows->inspector);
    return rc;
}

static void add_stats(const struct flow_table *table, struct ww_flows_stats *sum)
{
    struct ww_flows_stats stats;

    ww_flows_stats(table->flows, &stats);
    sum->opened += stats.opened;
    sum->pushed_out += stats.pushed_out;
    sum->dropped += stats.dropped;
    sum->rejected += stats.rejected;
}

static void put_inspector(const struct ww_inspector *inspector, struct ww_call *call)
{
    struct ww_inspector_stats stats = {0};

    if (inspector)
        ww_inspector_stats(inspector, &stats);
    ww_call_put_u64(call, "inspect_pid", (uint64_t)stats.pid);
    ww_call_put_u64(call, "inspect_starts", stats.starts);
    ww_call_put_u64(call, "inspect_missed", stats.missed);
}

void flows_put(const struct edge *edge, struct ww_call *call)
{
    const struct flow_table *table;
    struct ww_flows_stats sum;
    size_t open = 0;

    if (!edge->flows)
        return;
    sum = edge->flows->gone;
    LIST_FOREACH (table, &edge->flows->tables, link) {
        open += ww_flows_count_open(table->flows);
        add_stats(table, &sum);
    }
    ww_call_begin(call, "flows", false);
    ww_call_put_u64(call, "open", open);
    ww_call_put_u64(call, "opened", sum.opened);
    ww_call_put_u64(call, "pushed_out", sum.pushed_out);
    ww_call_put_u64(call, "dropped", sum.dropped);
    ww_call_put_u64(call, "rejected", sum.rejected);
    put_inspector(edge->flows->inspector, call);
    ww_call_end(call);
}

void flow_table_close(struct flow_table *table)
{
    if (!table)
        return;
    LIST_REMOVE(table, link);
    add_stats(table, &table->edge->flows->gone);
    ww_flows_destroy(table->flows);
    ww_free(table);
}

void flow_table_set_peer(struct flow_table *table, const struct ww_hash *peer)
{
    table->peer = *peer;
    table->has_peer = true;
}

/* --- streams ---------------------------------------------------------------------------------- */

struct ww_flow *flow_stream_open(struct edge *edge, const struct ww_dest *dest,
                                 const struct verdict *verdict)
{
    struct ww_flow what = {.there_port = dest->port, .protocol = (uint8_t)dest->protocol};
    char name[WW_NAME_BYTES_MAX + 1] = "";
    struct flow_info *info;
    struct ww_flow *flow;

    if (!edge->flows || !edge->flows->streams || !(info = ww_alloc(1, sizeof(*info))))
        return NULL;
    if (dest->kind == WW_DEST_IPV4)
        ww_address_map(dest->address, what.there);
    else if (dest->kind == WW_DEST_IPV6)
        memcpy(what.there, dest->address, sizeof(what.there));
    for (size_t i = 0; dest->kind == WW_DEST_NAME && dest->name[i]; i++)
        name[i] = dest->name[i] >= 'A' && dest->name[i] <= 'Z' ? (char)(dest->name[i] | 0x20)
                                                               : dest->name[i];
    if (ww_flows_add_stream(edge->flows->streams->flows, &what, *name ? name : NULL,
                            ww_loop_now_us(edge->loop), &flow)) {
        ww_free(info);
        return NULL;
    }
    info->id = ++edge->flows->ids;
    info->decision = verdict->decision;
    flows_place(edge, dest, &info->place);
    flow->owner = info;
    return flow;
}

void flow_stream_close(struct edge *edge, struct ww_flow **flow)
{
    if (*flow && edge->flows)
        ww_flows_end_stream(edge->flows->streams->flows, *flow);
    *flow = NULL;
}

void flow_set_peer(struct ww_flow *flow, const struct ww_hash *peer)
{
    struct flow_info *info = flow ? flow->owner : NULL;

    if (!info)
        return;
    info->peer = *peer;
    info->has_peer = true;
}

void flows_place(struct edge *edge, const struct ww_dest *dest, struct ww_place *place)
{
    uint8_t address[16];

    memset(place, 0, sizeof(*place));
    if (!edge->flows || dest->kind == WW_DEST_NAME)
        return;
    if (dest->kind == WW_DEST_IPV4)
        ww_address_map(dest->address, address);
    else
        memcpy(address, dest->address, sizeof(address));
    ww_geo_find(edge->flows->geo, address, place);
}

/* --- starting and stopping -------------------------------------------------------------------- */

const char *flows_geo_why(int rc)
{
    return rc == WW_ENOTFOUND  ? "it is not there, or can't be read"
           : rc == WW_ECORRUPT ? "it is no file of MaxMind's format"
           : rc == WW_ELIMIT   ? "it is one file too many"
                               : ww_error_what(rc);
}

static int open_geo(struct flows *flows, struct ww_call *call)
{
    const char *path;
    size_t count = 0;
    int rc = ww_geo_create(&flows->geo);

    while (!rc && !ww_call_text_at(call, "geo", count++, &path)) {
        rc = ww_geo_add(flows->geo, path);
        if (!rc)
            continue;
        ww_call_reason(call, "geo: %.200s: %s", path, flows_geo_why(rc));
        rc = WW_ECONFIG;
    }
    return rc;
}

int flows_start(struct edge *edge, struct ww_call *call)
{
    struct flows *flows = ww_alloc(1, sizeof(*flows));
    if (!flows)
        return WW_ENOMEM;
    edge->flows = flows;
    LIST_INIT(&flows->tables);
    flows->inspects = true;
    flows->keeps_footprint = edge->role == WW_TRANSFER_CLIENT;
    ww_call_bool(call, "inspect", &flows->inspects);
    if (flows->keeps_footprint)
        ww_call_bool(call, "footprint", &flows->keeps_footprint);
    int rc = open_geo(flows, call);
    if (!rc)
        rc = blocks_load(edge);
    /* Where none is kept, too: what was kept before gets old, and may be forgotten. */
    if (!rc && edge->role == WW_TRANSFER_CLIENT)
        rc = footprint_create(edge, &flows->footprint);
    if (!rc)
        rc = table_create(edge, NULL, &flows->streams);
    if (!rc)
        rc = ww_timer_create(edge->loop, judge_turn, edge, &flows->judging);
    if (!rc)
        rc = ww_timer_create(edge->loop, tick, edge, &flows->clock);
    if (rc) {
        flows_stop(edge);
        return rc;
    }
    ww_policy_live_watch(edge->policies.live, generation_changed, edge);
    ww_timer_start(flows->clock, TICK_US);
    return 0;
}

void flows_stop(struct edge *edge)
{
    struct flows *flows = edge->flows;

    if (!flows)
        return;
    ww_policy_live_watch(edge->policies.live, NULL, NULL);
    while (!LIST_EMPTY(&flows->tables))
        flow_table_close(LIST_FIRST(&flows->tables));
    footprint_destroy(flows->footprint);
    ww_inspector_destroy(flows->inspector);
    ww_geo_destroy(flows->geo);
    ww_timer_destroy(flows->clock);
    ww_timer_destroy(flows->judging);
    ww_free(flows->blocks);
    ww_free(flows);
    edge->flows = NULL;
}
