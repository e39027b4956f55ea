/* `why` on a node: the record is found on the loop, and explained on the pool's thread. */
#include "policy_why.h"

#include <stdio.h>
#include <string.h>

#include "policy_look.h"
#include "ww/buf.h"
#include "ww/policy_why.h"

struct asking {
    struct policy_look look;
    struct ww_policy_record record; /* input and result are the view's */
    struct ww_policy_set *set;      /* a reference, given back on the loop */
    uint64_t number;                /* of its generation */
    struct ww_policy_why why;
};

static void asking_destroy(struct asking *asking)
{
    policy_look_forget(&asking->look);
    ww_policy_set_release(asking->set);
    ww_free(asking);
}

/* On the pool's thread. */
static void explain(void *arg)
{
    struct asking *asking = arg;

    asking->look.rc = ww_policy_explain(asking->set, &asking->record,
                                        &asking->look.policies->stopping, &asking->why);
}

static void put_line(struct ww_call *call, const char *file, unsigned line)
{
    char at[80];

    if (!file[0])
        return;
    snprintf(at, sizeof(at), "%s:%u", file, line);
    ww_call_put_text(call, "at", at);
}

static void put_why(struct ww_call *call, const struct ww_policy_why *why)
{
    if (why->fault.kind) {
        put_line(call, why->fault.file, why->fault.line);
        ww_call_put_text(call, "reason", why->fault.message);
    } else {
        put_line(call, why->file, why->line);
    }
    ww_call_put_bool(call, "same", why->same);
    ww_call_put_u64(call, "instructions", why->instructions);
    ww_call_put_u64(call, "tries", why->tries);
    ww_call_put_bool(call, "all_tried", why->all_tried);
    ww_call_begin(call, "flips", true);
    for (size_t index = 0; index < why->flip_count; index++) {
        const struct ww_policy_flip *flip = &why->flips[index];

        ww_call_begin(call, NULL, false);
        ww_call_put_text(call, "path", flip->path);
        ww_call_put_text(call, "was", flip->was);
        ww_call_put_text(call, "now", flip->now);
        ww_call_put_text(call, "decision", flip->decision);
        put_line(call, flip->file, flip->line);
        ww_call_end(call);
    }
    ww_call_end(call);
}

static void put_record(struct ww_call *call, const struct ww_policy_record *record)
{
    char id[WW_POLICY_DECISION_TEXT_SIZE];
    struct ww_buf text;

    ww_policy_decision_format(record->id, id);
    ww_call_put_text(call, "id", id);
    ww_call_put_u64(call, "at_s", record->now_s);
    ww_call_put_text(call, "hook", ww_hook_name(record->hook));
    ww_call_put_u64(call, "number", record->number);
    ww_call_put_bool(call, "fallback", record->fallback);
    if (record->kind)
        ww_call_put_text(call, "kind", node_fault_word(record->kind));
    ww_buf_init(&text, 1 << 18);
    ww_hook_print_input(record->hook, record->input, &text);
    ww_call_put_bytes(call, "input", text.data, text.size);
    ww_buf_clear(&text);
    ww_policy_print_memory(record->memory, record->memory_count, &text);
    if (record->memory_count > 0)
        ww_call_put_bytes(call, "memory", text.data, text.size);
    ww_buf_deinit(&text);
    ww_buf_init(&text, 1 << 18);
    ww_hook_print_result(record->hook, record->input, record->result, &text);
    ww_call_put_bytes(call, "result", text.data, text.size);
    ww_buf_deinit(&text);
}

static void tell(void *arg)
{
    struct asking *asking = arg;
    struct ww_call call;

    ww_ops_begin(asking->look.policies->ops, &call);
    if (!asking->look.rc) {
        put_record(&call, &asking->record);
        ww_call_put_u64(&call, "decided_by", asking->number);
        put_why(&call, &asking->why);
    }
    policy_look_end(&asking->look, &call);
    asking_destroy(asking);
}

/* The record, and the set that made it or else the one in force. */
static int find(struct asking *asking, struct node_policies *policies, struct ww_call *call)
{
    struct ww_policy_generation current;
    const char *text = NULL;
    uint64_t id = 0;

    int rc = ww_call_text(call, "id", &text, NULL);
    if (rc)
        return rc;
    rc = ww_policy_decision_parse(text, &id);
    if (rc) {
        ww_call_reason(call, "an id is such as 3fa9-17: see ww policy journal");
        return rc;
    }
    rc = policy_look_view(&asking->look, policies, call);
    if (rc)
        return rc;
    if (!ww_policy_view_find(asking->look.view, id, &asking->record)) {
        ww_call_reason(call, "the journal has no such decision, or not any more");
        return WW_ENOTFOUND;
    }
    ww_policy_live_current(policies->live, &current);
    asking->number = asking->record.number;
    if (!ww_policy_live_set(policies->live, asking->number))
        asking->number = current.number;
    asking->set = ww_policy_set_retain(ww_policy_live_set(policies->live, asking->number));
    return 0;
}

int policy_why(void *context, struct ww_call *call)
{
    struct asking *asking = ww_alloc(1, sizeof(*asking));

    if (!asking)
        return WW_ENOMEM;
    int rc = find(asking, context, call);
    if (!rc)
        rc = policy_look_submit(&asking->look, call, explain, tell);
    if (rc)
        asking_destroy(asking);
    return rc;
}
