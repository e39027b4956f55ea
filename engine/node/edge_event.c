/* Events of a client or provider for its Lua, handed over by the loop. */
#include "edge.h"

#include <string.h>

static const char *event_name(enum edge_event event)
{
    switch (event) {
    case EDGE_SIGNAL:
        return "signal";
    case EDGE_READY:
        return "ready";
    case EDGE_LOST:
        return "lost";
    case EDGE_CLOSE:
        return "close";
    case EDGE_OPENED:
        return "opened";
    case EDGE_REFUSED:
        return "refused";
    case EDGE_WANTED:
        return "wanted";
    case EDGE_DEMAND:
        return "demand";
    }
    return "unknown";
}

static void deliver(void *arg)
{
    struct edge_note *note = arg;
    struct ww_call call;

    ww_ops_begin(note->edge->ops, &call);
    ww_call_put_hash(&call, "peer", &note->peer);
    if (note->has_contract)
        ww_call_put_id(&call, "contract", &note->contract);
    if (note->event == EDGE_CLOSE) {
        ww_call_put_text(&call, "close", note->text);
        ww_call_put_u64(&call, "bytes_up", note->bytes_up);
        ww_call_put_u64(&call, "bytes_down", note->bytes_down);
        ww_call_put_bool(&call, "clean", note->clean);
    } else if (note->event == EDGE_WANTED) {
        ww_call_put_u64(&call, "bytes_left", note->bytes_up);
    } else if (note->text) {
        ww_call_put_text(&call, "text", note->text);
    }
    if (note->code)
        ww_call_put_error(&call, "error", note->code, note->text);
    ww_ops_emit(&call, event_name(note->event));
    ww_free(note->text);
    ww_free(note);
}

void edge_tell(const struct edge_note *note)
{
    struct edge_note *copy = ww_alloc(1, sizeof(*copy));
    if (!copy)
        return;
    *copy = *note;
    if (note->text && !(copy->text = ww_strdup(note->text))) {
        ww_free(copy);
        return;
    }
    if (ww_loop_post(note->edge->loop, deliver, copy)) {
        ww_free(copy->text);
        ww_free(copy);
    }
}

void edge_conn_signal(struct conn *conn, const char *text)
{
    struct edge_note note = {.edge = conn->owner,
                             .event = EDGE_SIGNAL,
                             .peer = conn->remote,
                             .contract = conn->contract,
                             .has_contract = conn->has_contract};
    char *copy = ww_strdup(text);
    if (!copy)
        return;
    note.text = copy;
    edge_tell(&note);
    ww_free(copy);
}

void edge_conn_ready(struct conn *conn)
{
    struct edge_note note = {.edge = conn->owner, .event = EDGE_READY, .peer = conn->remote};
    edge_tell(&note);
}
