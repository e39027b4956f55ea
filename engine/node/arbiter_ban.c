/* Bans: of a node's key, and of a network after three of them within 90 days.
 *
 * "ban/node/<id>" and "ban/network/<id>" hold when, the network, and why. A ban acts at once: no
 * new contract, open ones are cut (the other side is asked for its close, then they are settled as
 * receipts prove), and Lua is told, which closes sockets and drops tokens. It takes no money: what
 * a network has stays its own. Only the operator lifts one.
 */
#include <stdio.h>
#include <string.h>

#include "arbiter.h"

#define NODES_PREFIX    "ban/node/"
#define NETWORKS_PREFIX "ban/network/"
#define BAN_S           (90 * 86400) /* protocol: three bans of nodes within so long … */
#define BANS_OF_NETWORK 3            /* … ban their network */

struct ban {
    uint64_t time_s;
    struct ww_id network;
    char reason[WW_REASON_BYTES_MAX + 1];
};

static void node_key(const struct ww_hash *node, char key[80])
{
    char id[WW_HASH_TEXT_SIZE];

    snprintf(key, 80, NODES_PREFIX "%s", ww_hash_format(node, id));
}

static void network_key(const struct ww_id *network, char key[80])
{
    char id[WW_ID_TEXT_SIZE];

    snprintf(key, 80, NETWORKS_PREFIX "%s", ww_id_format(network, id));
}

static void read_ban(const void *value, size_t size, struct ban *ban)
{
    struct ww_cursor in;

    memset(ban, 0, sizeof(*ban));
    ww_cursor_init(&in, value, size);
    ban->time_s = ww_cursor_u64(&in);
    ww_cursor_copy(&in, ban->network.bytes, sizeof(ban->network.bytes));
    ww_cursor_copy(&in, (uint8_t *)ban->reason, WW_MIN(in.size, sizeof(ban->reason) - 1));
}

static int put_ban(struct arbiter *arbiter, const char *key, const struct ww_id *network,
                   const char *reason)
{
    uint8_t value[8 + 16 + WW_REASON_BYTES_MAX];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};
    struct ww_contract_event now;

    arbiter_now(arbiter, &now);
    ww_buf_put_u64(&out, now.now_s);
    ww_buf_put(&out, network->bytes, sizeof(network->bytes));
    ww_buf_put(&out, reason, strnlen(reason, WW_REASON_BYTES_MAX));
    return ww_ledger_put(arbiter->ledger, key, value, out.size);
}

static bool is_fact(const struct arbiter *arbiter, const char *key)
{
    const void *value = NULL;
    size_t size = 0;

    return ww_ledger_get(arbiter->ledger, key, &value, &size) == 0;
}

int arbiter_check_ban(const struct arbiter *arbiter, const struct ww_hash *node,
                      const struct ww_id *network)
{
    char key[80];

    node_key(node, key);
    if (is_fact(arbiter, key))
        return WW_EBANNED;
    network_key(network, key);
    return is_fact(arbiter, key) ? WW_EBANNED : 0;
}

/* Its contracts are cut by the next arbiter_cut_banned. */
static void will_cut(struct arbiter *arbiter, struct arbiter_holder *holder)
{
    if (!holder || holder->is_to_cut)
        return;
    holder->is_to_cut = true;
    LIST_INSERT_HEAD(&arbiter->to_cut, holder, cut);
}

static int cut_one(struct arbiter *arbiter, struct arbiter_contract *contract,
                   struct ww_contract_event *event)
{
    const struct ww_contract *terms = &contract->terms;

    event->banned[WW_CONTRACT_CLIENT] =
        arbiter_check_ban(arbiter, &terms->client, &terms->client_network) != 0;
    event->banned[WW_CONTRACT_PROVIDER] =
        arbiter_check_ban(arbiter, &terms->provider, &terms->provider_network) != 0;
    if (!event->banned[WW_CONTRACT_CLIENT] && !event->banned[WW_CONTRACT_PROVIDER])
        return 0;
    return arbiter_drive(arbiter, contract, event);
}

/* False: some can't be cut now, so that the holder is still there. It goes with its last contract.
 */
static bool cut_all(struct arbiter *arbiter, const struct arbiter_holder *holder)
{
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_CUT};
    struct arbiter_link *link, *next;
    bool done = true;

    arbiter_now(arbiter, &event);
    for (link = LIST_FIRST(&holder->links); link; link = next) {
        next = arbiter_next_link(link);
        if (cut_one(arbiter, link->contract, &event))
            done = false;
    }
    return done;
}

void arbiter_cut_banned(struct arbiter *arbiter)
{
    struct arbiter_cut_list again = LIST_HEAD_INITIALIZER(again);
    struct arbiter_holder *holder;

    while ((holder = LIST_FIRST(&arbiter->to_cut))) {
        LIST_REMOVE(holder, cut);
        holder->is_to_cut = false;
        if (cut_all(arbiter, holder))
            continue;
        holder->is_to_cut = true;
        LIST_INSERT_HEAD(&again, holder, cut);
    }
    while ((holder = LIST_FIRST(&again))) {
        LIST_REMOVE(holder, cut);
        LIST_INSERT_HEAD(&arbiter->to_cut, holder, cut);
    }
}

void arbiter_find_banned(struct arbiter *arbiter)
{
    struct arbiter_contract *contract, *next;

    HASH_ITER(hh, arbiter->contracts, contract, next)
    {
        const struct ww_contract *terms = &contract->terms;

        if (arbiter_check_ban(arbiter, &terms->client, &terms->client_network))
            will_cut(arbiter, contract->links[ARBITER_CLIENT].holder);
        if (arbiter_check_ban(arbiter, &terms->provider, &terms->provider_network))
            will_cut(arbiter, contract->links[ARBITER_PROVIDER].holder);
    }
}

/* --- banning ---------------------------------------------------------------------------------- */

struct banned {
    struct arbiter *arbiter;
    bool is_network;
    struct ww_hash node;
    struct ww_id network;
};

static void ban_durable(void *arg, int rc)
{
    struct banned *banned = arg;
    struct ww_call call;

    if (!rc) {
        ww_ops_begin(banned->arbiter->ops, &call);
        if (banned->is_network)
            ww_call_put_id(&call, "network", &banned->network);
        else
            ww_call_put_hash(&call, "node", &banned->node);
        ww_ops_emit(&call, "ban");
    }
    ww_free(banned);
}

/* Lua closes the sockets when the ban is durable. Without memory it hears of it at the next call of
 * a banned node, which is refused. */
static void tell_ban(struct arbiter *arbiter, const struct ww_hash *node,
                     const struct ww_id *network)
{
    struct banned *banned = ww_alloc(1, sizeof(*banned));

    if (!banned)
        return;
    banned->arbiter = arbiter;
    banned->is_network = !node;
    banned->network = *network;
    if (node)
        banned->node = *node;
    arbiter_commit_or_tell(arbiter, ban_durable, banned);
}

int arbiter_ban_network(struct arbiter *arbiter, const struct ww_id *network, const char *reason)
{
    char key[80];

    network_key(network, key);
    if (is_fact(arbiter, key))
        return 0;
    int rc = put_ban(arbiter, key, network, reason);
    if (rc)
        return rc;
    struct ww_hash holder = arbiter_network_key(network);
    will_cut(arbiter, arbiter_holder_of(arbiter, &holder));
    tell_ban(arbiter, NULL, network);
    return 0;
}

struct counting {
    const struct ww_id *network;
    uint64_t since_s;
    size_t count;
};

static void count_ban(void *arg, const char *key, const void *value, size_t size)
{
    struct counting *counting = arg;
    struct ban ban;

    (void)key;
    read_ban(value, size, &ban);
    if (ww_id_equal(&ban.network, counting->network) && ban.time_s > counting->since_s)
        counting->count++;
}

int arbiter_ban_node(struct arbiter *arbiter, const struct ww_hash *node,
                     const struct ww_id *network, const char *reason)
{
    struct ww_contract_event now;
    char key[80];

    node_key(node, key);
    if (is_fact(arbiter, key))
        return 0;
    int rc = put_ban(arbiter, key, network, reason);
    if (rc)
        return rc;
    will_cut(arbiter, arbiter_holder_of(arbiter, node));
    tell_ban(arbiter, node, network);
    arbiter_now(arbiter, &now);
    struct counting counting = {.network = network, .since_s = now.now_s - BAN_S};
    ww_ledger_each_fact(arbiter->ledger, NODES_PREFIX, count_ban, &counting);
    if (counting.count < BANS_OF_NETWORK)
        return 0;
    return arbiter_ban_network(arbiter, network, "three of its nodes were banned within 90 days");
}

/* --- bound ------------------------------------------------------------------------------------ */

/* {node=, network=} or {network=}: *node is NULL for a network. */
static int read_target(struct ww_call *call, struct ww_hash *storage, const struct ww_hash **node,
                       struct ww_id *network)
{
    int rc = ww_call_hash(call, "node", storage);

    *node = rc ? NULL : storage;
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    return ww_call_id(call, "network", network);
}

/* Calls `done` when everything so far is durable. */
static int answer_durable(struct arbiter *arbiter, struct ww_call *call)
{
    int done = FUNCTION_NONE;
    int rc = ww_call_function(call, "done", &done);

    return rc ? rc : arbiter_answer_later(arbiter, done, 0);
}

/* {node=, network=, reason=, done=} or {network=, reason=, done=} */
int arbiter_ban(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_hash storage;
    const struct ww_hash *node = NULL;
    const char *reason = NULL;
    struct ww_id network;

    int rc = read_target(call, &storage, &node, &network);
    if (!rc)
        rc = ww_call_text(call, "reason", &reason, NULL);
    if (!rc)
        rc = node ? arbiter_ban_node(arbiter, node, &network, reason)
                  : arbiter_ban_network(arbiter, &network, reason);
    if (rc)
        return rc;
    arbiter_cut_banned(arbiter);
    return answer_durable(arbiter, call);
}

/* The same arguments without a reason. WW_ENOTFOUND when there is no such ban. */
int arbiter_ban_lift(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_hash storage;
    const struct ww_hash *node = NULL;
    struct ww_id network;
    char key[80];

    int rc = read_target(call, &storage, &node, &network);
    if (rc)
        return rc;
    if (node)
        node_key(node, key);
    else
        network_key(&network, key);
    if (!is_fact(arbiter, key)) {
        ww_call_reason(call, "there is no such ban");
        return WW_EGONE;
    }
    rc = ww_ledger_put(arbiter->ledger, key, NULL, 0);
    return rc ? rc : answer_durable(arbiter, call);
}

/* {node=, network=} -> {banned=} */
int arbiter_is_banned(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_hash node;
    struct ww_id network;

    int rc = ww_call_hash(call, "node", &node);
    if (!rc)
        rc = ww_call_id(call, "network", &network);
    if (rc)
        return rc;
    ww_call_put_bool(call, "banned", arbiter_check_ban(arbiter, &node, &network) != 0);
    return 0;
}

struct listing {
    struct ww_call *call;
    size_t prefix_size, count;
    bool nodes;
};

static void list_ban(void *arg, const char *key, const void *value, size_t size)
{
    struct listing *listing = arg;
    struct ban ban;

    if (listing->count++ >= ARBITER_LIST_MAX)
        return;
    read_ban(value, size, &ban);
    ww_call_begin(listing->call, NULL, false);
    if (listing->nodes)
        ww_call_put_text(listing->call, "node", key + listing->prefix_size);
    ww_call_put_id(listing->call, "network", &ban.network);
    ww_call_put_u64(listing->call, "time_s", ban.time_s);
    ww_call_put_text(listing->call, "reason", ban.reason);
    ww_call_end(listing->call);
}

/* {} -> {bans = {{node?, network, time_s, reason}, …}} */
int arbiter_ban_list(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct listing listing = {.call = call, .prefix_size = sizeof(NODES_PREFIX) - 1, .nodes = true};

    ww_call_begin(call, "bans", true);
    ww_ledger_each_fact(arbiter->ledger, NODES_PREFIX, list_ban, &listing);
    listing.nodes = false;
    ww_ledger_each_fact(arbiter->ledger, NETWORKS_PREFIX, list_ban, &listing);
    ww_call_end(call);
    return 0;
}
