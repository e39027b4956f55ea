/* A page of a node's open flows. See flow_list.h. Costs some microseconds a flow, and nothing while
 * nobody asks.
 */
#include "flow_list.h"

#include "ww/ops.h"

#define PAGE_MAX 500 /* as JSON far less than a control session's queue holds */

int flow_page_begin(struct flow_page *page, struct ww_call *call, struct ww_loop *loop)
{
    *page = (struct flow_page){.call = call, .loop = loop, .before = UINT64_MAX, .left = PAGE_MAX};
    int rc = ww_call_u64(call, "after", &page->before);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    rc = ww_call_u64(call, "limit", &page->left);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    rc = ww_call_hash(call, "peer", &page->peer);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    page->has_peer = !rc;
    page->left = WW_MIN(page->left, (uint64_t)PAGE_MAX);
    ww_call_begin(call, "flows", true);
    return 0;
}

/* The contract under which bytes are sent now: a flow may outlive many. */
static void put_contract(struct ww_call *call, const struct conn *conn)
{
    struct ww_transfer_contract_info contracts[4];
    size_t count = ww_transfer_contracts(conn->transfer, contracts, WW_ARRAY_COUNT(contracts));

    for (size_t index = 0; index < count; index++) {
        if (contracts[index].state == WW_TC_CURRENT)
            ww_call_put_id(call, "contract", &contracts[index].id);
    }
}

static void put_verdict(struct ww_call *call, const struct verdict *verdict)
{
    char destination[VERDICT_KEY_SIZE];

    ww_call_put_text(call, "protocol", verdict_destination(verdict, destination));
    ww_call_put_text(call, "destination", destination);
    ww_call_put_text(call, "verdict", ww_hook_word("flow", verdict->decision));
    if (verdict->decision == WW_HOOK_LIMIT)
        ww_call_put_u64(call, "max_flows", verdict->max_flows);
}

bool flow_page_put(struct flow_page *page, const struct flow_view *view)
{
    struct ww_call *call = page->call;
    uint64_t age_us = ww_loop_now_us(page->loop) - view->since_us;

    if (page->left == 0)
        return false;
    if (view->number >= page->before ||
        (page->has_peer && (!view->conn || !ww_hash_equal(&view->conn->remote, &page->peer))))
        return true;
    page->left--;
    ww_call_begin(call, NULL, false);
    ww_call_put_u64(call, "number", view->number);
    ww_call_put_text(call, "state", view->state);
    ww_call_put_u64(call, "age_s", age_us / 1000000);
    ww_call_put_u64(call, "bytes_up", view->bytes_up);
    ww_call_put_u64(call, "bytes_down", view->bytes_down);
    if (view->verdict)
        put_verdict(call, view->verdict);
    if (view->conn) {
        ww_call_put_hash(call, "peer", &view->conn->remote);
        put_contract(call, view->conn);
    }
    ww_call_end(call);
    return true;
}

void flow_page_end(struct flow_page *page)
{
    ww_call_end(page->call);
}
