/* Questions about the journal, and the plainest of them: its newest decisions.
 *
 * Reading it all takes tens of milliseconds, so it is done on the pool's thread. Relies on views,
 * which stay as they are while the journal goes on.
 */
#include "policy_look.h"

#include <stdio.h>
#include <string.h>

#include "policy_candidate.h"
#include "ww/buf.h"

#define LISTED_MAX 1000 /* of one answer … */
#define RESULT_MAX 1000 /* … with so many bytes of each result: the control socket holds 4 MiB */

int policy_look_view(struct policy_look *look, struct node_policies *policies, struct ww_call *call)
{
    uint64_t now_s = ww_clock_wall_ms() / 1000;
    uint64_t back_s = now_s;
    struct ww_policy_journal *journal;

    if (!policies->live)
        return WW_ESHUTDOWN;
    journal = ww_policy_live_journal(policies->live);
    if (!journal) {
        ww_call_reason(call, "this node keeps no journal: policy.journal_mib is 0");
        return WW_EUNSUPPORTED;
    }
    int rc = ww_call_u64(call, "since_s", &back_s);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    look->policies = policies;
    return ww_policy_view_create(journal, now_s, now_s - WW_MIN(back_s, now_s), &look->view);
}

int policy_look_submit(struct policy_look *look, struct ww_call *call, ww_loop_fn work,
                       ww_loop_fn tell)
{
    look->job.work = work;
    look->job.done = tell;
    look->job.arg = look;
    int rc = ww_call_function(call, "done", &look->done);
    if (!rc && (rc = ww_pool_submit(look->policies->pool, &look->job)))
        ww_ops_forget(look->policies->ops, look->done);
    if (rc == WW_ELIMIT)
        ww_call_reason(call, "%d questions about policies wait: ask again when they are answered",
                       POLICY_JOBS_MAX);
    return rc;
}

void policy_look_forget(struct policy_look *look)
{
    ww_policy_view_destroy(look->view);
    look->view = NULL;
}

void policy_look_end(struct policy_look *look, struct ww_call *call)
{
    if (look->rc && look->why[0])
        ww_call_reason(call, "%s", look->why);
    policy_look_forget(look);
    ww_ops_finish(call, look->done, look->rc);
}

/* --- the newest --------------------------------------------------------------------------- */

struct listed {
    struct ww_policy_record record; /* without input and result */
    char *result;                   /* as text */
};

struct listing {
    struct policy_look look;
    int hook;            /* -1: all */
    size_t count;        /* how many at most */
    size_t found;        /* in the list */
    struct listed *list; /* oldest first */
};

static void listing_destroy(struct listing *listing)
{
    policy_look_forget(&listing->look);
    for (size_t index = 0; listing->list && index < listing->count; index++)
        ww_free(listing->list[index].result);
    ww_free(listing->list);
    ww_free(listing);
}

static int print(const struct ww_policy_record *record, char **text)
{
    struct ww_buf out;
    size_t size;

    ww_buf_init(&out, 1 << 16);
    ww_hook_print_result(record->hook, record->input, record->result, &out);
    size = WW_MIN(out.size, RESULT_MAX);
    while (size < out.size && size > 0 && (out.data[size] & 0xc0) == 0x80)
        size--; /* no character is cut in two */
    ww_free(*text);
    *text = ww_strndup((const char *)out.data, size);
    ww_buf_deinit(&out);
    return *text ? 0 : WW_ENOMEM;
}

/* On the pool's thread. Positions first, so that only what is told is printed. */
static void list(void *arg)
{
    struct listing *listing = arg;
    struct ww_policy_view *view = listing->look.view;
    struct ww_policy_record record;
    size_t total = 0, skip, seen = 0;

    while (ww_policy_view_next(view, &record))
        total += listing->hook < 0 || (int)record.hook == listing->hook;
    skip = total - WW_MIN(total, listing->count);
    ww_policy_view_rewind(view);
    while (!listing->look.rc && ww_policy_view_next(view, &record)) {
        if (listing->hook >= 0 && (int)record.hook != listing->hook)
            continue;
        if (seen++ < skip)
            continue;
        listing->list[listing->found].record = record;
        listing->look.rc = print(&record, &listing->list[listing->found].result);
        listing->found++;
    }
}

static void put_listed(struct ww_call *call, const struct listed *listed)
{
    const struct ww_policy_record *record = &listed->record;
    char id[WW_POLICY_DECISION_TEXT_SIZE];

    ww_policy_decision_format(record->id, id);
    ww_call_begin(call, NULL, false);
    ww_call_put_text(call, "id", id);
    ww_call_put_u64(call, "at_s", record->now_s);
    ww_call_put_text(call, "hook", ww_hook_name(record->hook));
    ww_call_put_u64(call, "number", record->number);
    ww_call_put_text(call, "result", listed->result);
    ww_call_put_bool(call, "fallback", record->fallback);
    ww_call_put_u64(call, "instructions", record->instructions);
    if (record->kind)
        ww_call_put_text(call, "kind", node_fault_word(record->kind));
    ww_call_end(call);
}

static void tell_list(void *arg)
{
    struct listing *listing = arg;
    struct ww_call call;

    ww_ops_begin(listing->look.policies->ops, &call);
    ww_call_begin(&call, "decisions", true);
    for (size_t index = 0; !listing->look.rc && index < listing->found; index++)
        put_listed(&call, &listing->list[index]);
    ww_call_end(&call);
    policy_look_end(&listing->look, &call);
    listing_destroy(listing);
}

static int read_listing(struct ww_call *call, struct listing *listing)
{
    const char *name = NULL;
    enum ww_hook hook;
    uint64_t count = 20;

    int rc = ww_call_text(call, "hook", &name, NULL);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    listing->hook = -1;
    if (!rc && ww_hook_parse(name, &hook)) {
        ww_call_reason(call, "there is no hook of that name");
        return WW_EINVAL;
    } else if (!rc) {
        listing->hook = (int)hook;
    }
    rc = ww_call_u64(call, "count", &count);
    listing->count = WW_MIN(WW_MAX(count, 1), LISTED_MAX);
    return rc == WW_ENOTFOUND ? 0 : rc;
}

int policy_journal(void *context, struct ww_call *call)
{
    struct listing *listing = ww_alloc(1, sizeof(*listing));

    if (!listing)
        return WW_ENOMEM;
    int rc = read_listing(call, listing);
    if (!rc) {
        listing->list = ww_alloc(listing->count, sizeof(*listing->list));
        rc = listing->list ? policy_look_view(&listing->look, context, call) : WW_ENOMEM;
    }
    if (!rc)
        rc = policy_look_submit(&listing->look, call, list, tell_list);
    if (rc)
        listing_destroy(listing);
    return rc;
}
