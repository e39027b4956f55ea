/* Flows for Lua, as functions of ww.client and ww.provider beside the node's own.
 *
 * flows_list{sort=, limit=, after=, peer=} -> {flows, open}; flows_block{text=, done=},
 * flows_unblock{text=, done=}, flows_blocks{} -> {blocks}; footprint{by=, days=, from_s=, limit=}
 * -> {rows, is_kept, next_s?}; footprint_forget{done=}. What changes the state calls done(result,
 * error) once that is on disk.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "flows_room.h"
#include "footprint.h"

#define LIST_MAX 2000 /* as JSON less than half of what a control session's queue holds */
#define ROWS_MAX 8000 /* likewise */

/* --- a list of flows -------------------------------------------------------------------------- */

static uint64_t bytes_of(const struct ww_flow *flow)
{
    return flow->bytes[0] + flow->bytes[1];
}

static int compare(uint64_t left, uint64_t right)
{
    return left < right ? 1 : left > right ? -1 : 0;
}

#define FLOW(pointer) (*(const struct ww_flow *const *)(pointer))

static int by_bytes(const void *a, const void *b)
{
    return compare(bytes_of(FLOW(a)), bytes_of(FLOW(b)));
}

static int by_up(const void *a, const void *b)
{
    return compare(FLOW(a)->bytes[1], FLOW(b)->bytes[1]);
}

static int by_down(const void *a, const void *b)
{
    return compare(FLOW(a)->bytes[0], FLOW(b)->bytes[0]);
}

static int by_last(const void *a, const void *b)
{
    return compare(FLOW(a)->last_us, FLOW(b)->last_us);
}

static int by_first(const void *a, const void *b)
{
    const struct flow_info *left = FLOW(a)->owner, *right = FLOW(b)->owner;
    return compare(left ? left->id : 0, right ? right->id : 0); /* as they were opened */
}

static const struct {
    const char *word;
    int (*compare)(const void *a, const void *b);
} SORTS[] = {
    {"bytes", by_bytes}, {"up", by_up}, {"down", by_down}, {"last", by_last}, {"first", by_first}};

static const char *protocol_word(const struct ww_flow *flow)
{
    return flow->protocol == IPPROTO_TCP ? "tcp" : flow->protocol == IPPROTO_UDP ? "udp" : "icmp";
}

static void put_address(struct ww_call *call, const uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, none[16];
    char text[INET6_ADDRSTRLEN];

    if (memcmp(address, none, sizeof(none)) == 0)
        return; /* a proxy asked for a name */
    if (memcmp(address, mapped, sizeof(mapped)) == 0)
        inet_ntop(AF_INET, address + 12, text, sizeof(text));
    else
        inet_ntop(AF_INET6, address, text, sizeof(text));
    ww_call_put_text(call, "address", text);
}

/* Who carries it, and the contract under which bytes are sent now: a flow may outlive many. */
static void put_peer(struct ww_call *call, struct edge *edge, const struct ww_hash *peer)
{
    struct ww_transfer_contract_info contracts[4];
    const struct conn *conn = edge_find(edge, peer);
    size_t count =
        conn ? ww_transfer_contracts(conn->transfer, contracts, WW_ARRAY_COUNT(contracts)) : 0;

    ww_call_put_hash(call, "peer", peer);
    for (size_t i = 0; i < count; i++) {
        if (contracts[i].state == WW_TC_CURRENT)
            ww_call_put_id(call, "contract", &contracts[i].id);
    }
}

static void put_flow(struct ww_call *call, struct edge *edge, const struct ww_flow *flow)
{
    static const char *states[WW_FLOW_STATES] = {"closing", "echo",        "open",  "opening",
                                                 "open",    "established", "stream"};
    static const char *sources[] = {NULL, "request", "tls", "quic", "http", "dns"};
    const struct flow_info *info = flow->owner;

    ww_call_begin(call, NULL, false);
    if (info)
        ww_call_put_u64(call, "id", info->id);
    ww_call_put_text(call, "protocol", protocol_word(flow));
    put_address(call, flow->there);
    ww_call_put_u64(call, "port", flow->there_port);
    if (flow->name) {
        ww_call_put_text(call, "name", flow->name);
        ww_call_put_text(call, "name_from", sources[flow->name_from]);
    } else if (info && info->asked) {
        ww_call_put_text(call, "name", info->asked);
        ww_call_put_text(call, "name_from", "answer");
    }
    if (flow->application)
        ww_call_put_text(call, "application", flow->application);
    if (info && info->place.country[0])
        ww_call_put_text(call, "country", info->place.country);
    if (info && info->place.network)
        ww_call_put_u64(call, "network", info->place.network);
    if (info && info->has_peer)
        put_peer(call, edge, &info->peer);
    ww_call_put_u64(call, "bytes_up", flow->bytes[1]);
    ww_call_put_u64(call, "bytes_down", flow->bytes[0]);
    ww_call_put_u64(call, "packets_up", flow->packets[1]);
    ww_call_put_u64(call, "packets_down", flow->packets[0]);
    ww_call_put_u64(call, "dropped", flow->dropped);
    ww_call_put_u64(call, "first_ms", edge_wall_ms(flow->first_us));
    ww_call_put_u64(call, "last_ms", edge_wall_ms(flow->last_us));
    if (info)
        ww_call_put_text(call, "verdict", ww_hook_word("flow", info->decision));
    ww_call_put_text(call, "state", flow->is_denied ? "denied" : states[flow->state]);
    ww_call_put_u64(call, "bytes_s", flow->bucket ? flow->bucket->bytes_s : 0);
    ww_call_end(call);
}

/* Which are asked for. */
struct wanted {
    uint64_t before; /* only flows with a lower id */
    struct ww_hash peer;
    bool has_peer;
};

static bool is_wanted(const struct wanted *wanted, const struct ww_flow *flow)
{
    const struct flow_info *info = flow->owner;

    if (wanted->before == UINT64_MAX && !wanted->has_peer)
        return true;
    return info && info->id < wanted->before &&
           (!wanted->has_peer || (info->has_peer && ww_hash_equal(&info->peer, &wanted->peer)));
}

static int read_wanted(struct ww_call *call, struct wanted *wanted)
{
    *wanted = (struct wanted){.before = UINT64_MAX};
    int rc = ww_call_u64(call, "after", &wanted->before);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    rc = ww_call_hash(call, "peer", &wanted->peer);
    wanted->has_peer = !rc;
    return rc == WW_ENOTFOUND ? 0 : rc;
}

/* All of them, in no order. NULL: none, or no memory. */
static const struct ww_flow **collect(struct flows *flows, const struct wanted *wanted,
                                      size_t *count)
{
    const struct ww_flow **all;
    struct flow_table *table;
    size_t most = 0, used = 0;

    LIST_FOREACH (table, &flows->tables, link)
        most += ww_flows_count_open(table->flows);
    *count = 0;
    if (most == 0 || !(all = ww_alloc(most, sizeof(*all))))
        return NULL;
    LIST_FOREACH (table, &flows->tables, link) {
        struct ww_flow *flow = NULL;
        while (used < most && (flow = ww_flows_next(table->flows, flow))) {
            if (is_wanted(wanted, flow))
                all[used++] = flow;
        }
    }
    *count = used;
    return all;
}

static int bound_list(void *context, struct ww_call *call)
{
    struct edge *edge = context;
    const char *sort = "bytes";
    uint64_t limit = LIST_MAX;
    struct wanted wanted;
    size_t count, chosen = 0;

    if (!edge->flows)
        return WW_ESTATE;
    ww_call_text(call, "sort", &sort, NULL);
    ww_call_u64(call, "limit", &limit);
    while (chosen < WW_ARRAY_COUNT(SORTS) && strcmp(SORTS[chosen].word, sort) != 0)
        chosen++;
    if (chosen == WW_ARRAY_COUNT(SORTS))
        return WW_EINVAL;
    int rc = read_wanted(call, &wanted);
    if (rc)
        return rc;
    const struct ww_flow **all = collect(edge->flows, &wanted, &count);
    if (all)
        qsort(all, count, sizeof(all[0]), SORTS[chosen].compare);
    limit = WW_MIN(WW_MIN(limit, (uint64_t)LIST_MAX), (uint64_t)count);
    ww_call_put_u64(call, "open", count);
    ww_call_begin(call, "flows", true);
    for (size_t i = 0; i < limit; i++)
        put_flow(call, edge, all[i]);
    ww_call_end(call);
    ww_free(all);
    return 0;
}

/* --- what is blocked -------------------------------------------------------------------------- */

struct change {
    struct ww_ops *ops;
    int done;
};

static void changed(void *arg, int rc)
{
    struct change *change = arg;
    struct ww_call call;

    ww_ops_begin(change->ops, &call);
    ww_ops_finish(&call, change->done, rc);
    ww_free(change);
}

/* *change is `changed`'s. */
static int begin_change(struct edge *edge, struct ww_call *call, struct change **out)
{
    struct change *change;

    if (!edge->flows)
        return WW_ESTATE;
    if (!(change = ww_alloc(1, sizeof(*change))))
        return WW_ENOMEM;
    change->ops = edge->ops;
    int rc = ww_call_function(call, "done", &change->done);
    if (rc) {
        ww_free(change);
        return rc;
    }
    *out = change;
    return 0;
}

static int end_change(struct change *change, int rc)
{
    if (rc) {
        ww_ops_forget(change->ops, change->done);
        ww_free(change);
    }
    return rc;
}

static int change_blocks(struct edge *edge, struct ww_call *call,
                         int (*fn)(struct edge *edge, const char *text, ww_commit_fn fn, void *arg))
{
    struct change *change = NULL;
    const char *text = NULL;

    int rc = ww_call_text(call, "text", &text, NULL);
    if (!rc)
        rc = begin_change(edge, call, &change);
    if (rc)
        return rc;
    rc = end_change(change, fn(edge, text, changed, change));
    if (rc == WW_EINVAL)
        ww_call_reason(call, "neither a host name, an address or prefix, nor an application");
    if (!rc)
        flows_judge_again(edge);
    return rc;
}

static int bound_block(void *context, struct ww_call *call)
{
    return change_blocks(context, call, blocks_add);
}

static int bound_unblock(void *context, struct ww_call *call)
{
    return change_blocks(context, call, blocks_remove);
}

static int bound_blocks(void *context, struct ww_call *call)
{
    const struct edge *edge = context;

    if (!edge->flows)
        return WW_ESTATE;
    ww_call_begin(call, "blocks", true);
    for (size_t i = 0; i < edge->flows->blocks_count; i++) {
        const struct block *block = &edge->flows->blocks[i];
        ww_call_begin(call, NULL, false);
        ww_call_put_text(call, "kind", block_word(block->kind));
        ww_call_put_text(call, "text", block->text);
        ww_call_put_u64(call, "since_s", block->since_s);
        ww_call_end(call);
    }
    ww_call_end(call);
    return 0;
}

/* --- the footprint ---------------------------------------------------------------------------- */

struct rows {
    struct ww_call *call;
    uint64_t left, begin_s, next_s;
};

/* Ends with a whole period, so that the next call goes on with the next one. */
static int put_row(void *arg, const struct footprint_row *row)
{
    struct rows *rows = arg;

    if (rows->left == 0 && row->begin_s != rows->begin_s) {
        rows->next_s = row->begin_s;
        return 1;
    }
    rows->begin_s = row->begin_s;
    rows->left -= rows->left > 0;
    ww_call_begin(rows->call, NULL, false);
    ww_call_put_u64(rows->call, "begin_s", row->begin_s);
    ww_call_put_text(rows->call, "key", row->key);
    ww_call_put_u64(rows->call, "up", row->up);
    ww_call_put_u64(rows->call, "down", row->down);
    ww_call_end(rows->call);
    return 0;
}

struct rows_wanted {
    enum footprint_by by;
    bool days;
    uint64_t from_s;
};

static int read_rows_wanted(struct ww_call *call, struct rows_wanted *wanted)
{
    static const char *bys[FOOTPRINT_BYS] = {"host", "application", "country", "provider"};
    const char *by = "host";
    int column = 0;

    *wanted = (struct rows_wanted){.from_s = 0};
    ww_call_text(call, "by", &by, NULL);
    ww_call_bool(call, "days", &wanted->days);
    ww_call_u64(call, "from_s", &wanted->from_s);
    while (column < FOOTPRINT_BYS && strcmp(bys[column], by) != 0)
        column++;
    wanted->by = (enum footprint_by)column;
    return column == FOOTPRINT_BYS ? WW_EINVAL : 0;
}

static int bound_footprint(void *context, struct ww_call *call)
{
    struct edge *edge = context;
    struct rows rows = {.call = call, .left = ROWS_MAX};
    struct rows_wanted wanted;

    if (!edge->flows)
        return WW_ESTATE;
    if (!edge->flows->footprint) {
        ww_call_reason(call, "a provider keeps no footprint");
        return WW_EUNSUPPORTED;
    }
    ww_call_put_bool(call, "is_kept", edge->flows->keeps_footprint);
    int rc = read_rows_wanted(call, &wanted);
    if (rc)
        return rc;
    flows_count_now(edge);
    ww_call_begin(call, "rows", true);
    rc = footprint_visit(edge->flows->footprint, wanted.by, wanted.days, wanted.from_s, put_row,
                         &rows);
    ww_call_end(call);
    if (rows.next_s)
        ww_call_put_u64(call, "next_s", rows.next_s);
    return rc < 0 ? rc : 0;
}

/* Of a copy: a database that is opened writes, and a node couldn't open what root has written. */
int flows_bound_footprint_of(void *context, struct ww_call *call)
{
    struct rows rows = {.call = call, .left = UINT64_MAX};
    const char *folder = NULL, *copy = NULL;
    struct ww_store *store = NULL;
    struct rows_wanted wanted;

    (void)context;
    int rc = ww_call_text(call, "folder", &folder, NULL);
    if (!rc)
        rc = ww_call_text(call, "copy", &copy, NULL);
    if (!rc)
        rc = read_rows_wanted(call, &wanted);
    if (!rc)
        rc = ww_store_remove(copy); /* of a look that was cut off */
    if (!rc)
        rc = ww_store_copy(folder, copy);
    if (rc)
        return rc;
    rc = ww_store_open_as(copy, folder, false, &store);
    ww_call_begin(call, "rows", true);
    if (!rc)
        rc = footprint_visit_store(store, wanted.by, wanted.days, wanted.from_s, put_row, &rows);
    ww_call_end(call);
    if (store)
        ww_store_close(store);
    int removed = ww_store_remove(copy);
    return rc ? rc : removed;
}

static int bound_forget(void *context, struct ww_call *call)
{
    struct edge *edge = context;
    struct change *change = NULL;

    if (!edge->flows || !edge->flows->footprint) {
        ww_call_reason(call, "a provider keeps no footprint");
        return WW_EUNSUPPORTED;
    }
    int rc = begin_change(edge, call, &change);
    if (rc)
        return rc;
    flows_count_now(edge); /* what was carried so far is forgotten, too */
    return end_change(change, footprint_forget(edge->flows->footprint, changed, change));
}

int flows_bind(struct edge *edge, struct ww_ops *ops, const char *space)
{
    static const struct ww_ops_function functions[] = {
        {"flows_list", bound_list},       {"flows_block", bound_block},
        {"flows_unblock", bound_unblock}, {"flows_blocks", bound_blocks},
        {"footprint", bound_footprint},   {"footprint_forget", bound_forget},
    };
    return ww_ops_bind(ops, space, functions, WW_ARRAY_COUNT(functions), edge);
}
