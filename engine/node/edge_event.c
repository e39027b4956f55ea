/* Events of a client or provider for its Lua, handed over by the loop. */
#include "edge.h"

#include <string.h>

#include "ww/net_codec.h"

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
    case EDGE_PATH:
        return "path";
    case EDGE_NETWORK:
        return "network";
    }
    return "unknown";
}

static void note_free(struct edge_note *note)
{
    if (note->edge)
        LIST_REMOVE(note, entry);
    ww_free(note->text);
    ww_free(note->receipt);
    ww_free(note);
}

/* The mailbox outlives the edge: what it still holds at the end must not touch it. */
void edge_forget_notes(struct edge *edge)
{
    struct edge_note *note;

    while ((note = LIST_FIRST(&edge->pending_notes))) {
        LIST_REMOVE(note, entry);
        note->edge = NULL;
    }
}

void edge_emit(const struct edge_note *note)
{
    struct ww_call call;

    ww_ops_begin(note->edge->ops, &call);
    ww_call_put_hash(&call, "peer", &note->peer);
    if (note->has_contract)
        ww_call_put_id(&call, "contract", &note->contract);
    if (note->event == EDGE_CLOSE) {
        ww_call_put_text(&call, "close", note->text);
        if (note->receipt)
            ww_call_put_text(&call, "receipt", note->receipt);
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
}

static void deliver(void *arg)
{
    struct edge_note *note = arg;

    if (note->edge) {
        LIST_REMOVE(note, entry); /* the handler may stop the edge */
        edge_emit(note);
        note->edge = NULL;
    }
    note_free(note);
}

void edge_tell(const struct edge_note *note)
{
    struct edge_note *copy = ww_alloc(1, sizeof(*copy));
    if (!copy)
        return;
    *copy = *note;
    copy->text = note->text ? ww_strdup(note->text) : NULL;
    copy->receipt = note->receipt ? ww_strdup(note->receipt) : NULL;
    if ((note->text && !copy->text) || (note->receipt && !copy->receipt)) {
        ww_free(copy->text);
        ww_free(copy->receipt);
        ww_free(copy);
        return;
    }
    LIST_INSERT_HEAD(&copy->edge->pending_notes, copy, entry);
    if (ww_loop_post(copy->edge->loop, deliver, copy))
        note_free(copy);
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

void edge_conn_path(struct conn *conn, enum ww_path_event event)
{
    char texts[WW_PATH_EVENTS][sizeof("changed")] = {[WW_PATH_IS_LOST] = "lost",
                                                     [WW_PATH_IS_DOUBTED] = "doubted",
                                                     [WW_PATH_IS_SILENT] = "silent",
                                                     [WW_PATH_IS_HEARD] = "heard",
                                                     [WW_PATH_HAS_CHANGED] = "changed"};
    struct edge_note note = {
        .edge = conn->owner, .event = EDGE_PATH, .peer = conn->remote, .text = texts[event]};
    edge_tell(&note);
}

bool edge_answer_gone(struct edge *edge, const struct ww_hash *peer, const struct ww_id *contract,
                      const char *text)
{
    struct edge_note note = {.edge = edge,
                             .event = EDGE_SIGNAL,
                             .peer = *peer,
                             .contract = *contract,
                             .has_contract = true};
    struct ww_buf answer;

    ww_buf_init(&answer, WW_SIGNAL_BYTES_MAX);
    bool is_about_path = ww_signal_answer_gone(text, &answer);
    if (is_about_path && (note.text = ww_strdup(ww_buf_text(&answer))))
        edge_tell(&note);
    ww_free(note.text);
    ww_buf_deinit(&answer);
    return is_about_path;
}
