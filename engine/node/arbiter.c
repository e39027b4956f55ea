/* The arbiter's core: opening and closing its books, its contracts in memory, and the one place
 * where the outcome of a contract's step becomes money.
 *
 * Relies on ledger, contract, policy and store. Never replies before the ledger is durable: each
 * bound function that changes something commits, and calls Lua back from the commit.
 */
#include "arbiter.h"

#include <stdio.h>
#include <string.h>

#include "node.h"
#include "ww/book.h"

#define UPTIME_KEY   "uptime"
#define POOL_THREADS 2
#define TICK_US      250000 /* offers time out after 5 s: a quarter of a second is near enough */

void arbiter_policy_context(const struct arbiter *arbiter, struct ww_policy_context *context)
{
    memset(context, 0, sizeof(*context));
    context->now_s = ww_clock_wall_ms() / 1000 + arbiter->advance_s;
    ww_random_bytes(&context->seed, sizeof(context->seed));
}

void arbiter_now(const struct arbiter *arbiter, struct ww_contract_event *event)
{
    event->now_s = ww_clock_wall_ms() / 1000 + arbiter->advance_s;
    event->now_ms = arbiter->uptime_base_ms + ww_clock_mono_us() / 1000 - arbiter->started_mono_ms +
                    arbiter->advance_up_s * 1000;
    event->start_ms = arbiter->uptime_base_ms;
}

uint64_t arbiter_now_s(const struct arbiter *arbiter)
{
    struct ww_contract_event now;

    arbiter_now(arbiter, &now);
    return now.now_s;
}

static void fail_node(struct arbiter *arbiter, int rc)
{
    if (arbiter->failed)
        return;
    arbiter->failed = true;
    ww_log(WW_LOG_ERROR, "arbiter", "the books can't be written; stopping", "code=%s",
           ww_error_name(rc));
    ww_loop_stop(arbiter->loop);
}

/* The action, in the books. */
static int act(struct arbiter *arbiter, struct arbiter_applied *applied)
{
    struct ww_contract_booked booked;
    int rc = ww_contract_book(arbiter->ledger, &applied->terms, &applied->outcome, &booked);

    if (rc)
        return rc;
    memcpy(applied->paid, booked.paid, sizeof(applied->paid));
    applied->paid_count = booked.paid_count;
    applied->gone = booked.gone;
    if (applied->outcome.action == WW_CONTRACT_SETTLE) {
        arbiter->settled_count++;
        arbiter->forgiven_count += applied->outcome.forgiven > 0;
    }
    return 0;
}

/* What follows from a verdict. A ban that could not be written leaves the proof's bearer at large:
 * the log says so. */
static void judge(struct arbiter *arbiter, const struct arbiter_applied *applied)
{
    const struct ww_contract *terms = &applied->terms;
    const struct ww_contract_outcome *outcome = &applied->outcome;
    int rc = 0;

    if (outcome->ban[WW_CONTRACT_CLIENT])
        rc = arbiter_ban_node(arbiter, &terms->client, &terms->client_network, outcome->why);
    if (!rc && outcome->ban[WW_CONTRACT_PROVIDER])
        rc = arbiter_ban_node(arbiter, &terms->provider, &terms->provider_network, outcome->why);
    if (rc)
        ww_log(WW_LOG_ERROR, "arbiter", "a ban by verdict could not be written", "code=%s",
               ww_error_name(rc));
}

/* What goes with the action, in the same batch. */
static void account(struct arbiter *arbiter, const struct arbiter_applied *applied)
{
    enum ww_contract_action action = applied->outcome.action;

    arbiter->void_count += action == WW_CONTRACT_VOID;
    if (applied->gone)
        arbiter_case_drop(arbiter, &applied->terms.id);
    int rc = ww_account_book(arbiter->ledger, &applied->terms, &applied->outcome,
                             arbiter_now_s(arbiter));
    if (rc) /* advice: the step stands without it */
        ww_log(WW_LOG_WARN, "arbiter", "what is known of a network could not be written", "code=%s",
               ww_error_name(rc));
    judge(arbiter, applied);
    arbiter->dispute_count += action == WW_CONTRACT_DISPUTE || action == WW_CONTRACT_SPLIT;
}

int arbiter_apply(struct arbiter *arbiter, struct arbiter_contract *contract,
                  const struct ww_contract_event *event, struct arbiter_applied *applied)
{
    memset(applied, 0, sizeof(*applied));
    applied->terms = contract->terms;
    int rc = ww_contract_step(&applied->terms, event, &applied->outcome);
    if (!rc)
        rc = act(arbiter, applied);
    if (rc == WW_EIO)
        fail_node(arbiter, rc);
    if (rc)
        return rc;
    account(arbiter, applied);
    arbiter_update(arbiter, contract, &applied->terms);
    if (applied->outcome.action == WW_CONTRACT_VERIFY)
        arbiter_verify(arbiter, contract);
    return 0;
}

bool arbiter_is_news(const struct arbiter_applied *applied)
{
    switch (applied->outcome.action) {
    case WW_CONTRACT_RECALL:
    case WW_CONTRACT_VOID:
    case WW_CONTRACT_SETTLE:
    case WW_CONTRACT_DISPUTE:
    case WW_CONTRACT_SPLIT:
        return true;
    case WW_CONTRACT_NOTHING:
    case WW_CONTRACT_STORE:
    case WW_CONTRACT_SIGN:
    case WW_CONTRACT_VERIFY:
        break;
    }
    return false;
}

/* "cut" is not a state of its own: who is told closes now. */
static const char *state_of(const struct arbiter_applied *applied)
{
    if (applied->outcome.action == WW_CONTRACT_SETTLE)
        return "settled";
    if (applied->outcome.action == WW_CONTRACT_VOID)
        return "void";
    if (applied->terms.state != WW_CONTRACT_DISPUTED && applied->terms.ending == WW_CONTRACT_CUT)
        return "cut";
    return ww_contract_state_name(applied->terms.state);
}

void arbiter_put_applied(struct ww_call *call, const struct arbiter_applied *applied)
{
    const struct ww_contract *terms = &applied->terms;
    const char *state = state_of(applied);

    ww_call_put_id(call, "contract", &terms->id);
    ww_call_put_hash(call, "client", &terms->client);
    ww_call_put_hash(call, "provider", &terms->provider);
    ww_call_put_id(call, "client_network", &terms->client_network);
    ww_call_put_id(call, "provider_network", &terms->provider_network);
    ww_call_put_text(call, "state", state);
    if (applied->outcome.why)
        ww_call_put_text(call, "why", applied->outcome.why);
    if (applied->outcome.verdict != WW_VERDICT_UNDECIDED)
        ww_call_put_text(call, "verdict", ww_verdict_name(applied->outcome.verdict));
    if (applied->outcome.action != WW_CONTRACT_SETTLE &&
        applied->outcome.action != WW_CONTRACT_SPLIT)
        return;
    ww_call_put_u64(call, "bytes", applied->outcome.used);
    ww_call_begin(call, "paid", true);
    for (size_t index = 0; index < applied->paid_count; index++) {
        ww_call_begin(call, NULL, false);
        ww_call_put_text(call, "asset", applied->paid[index].asset);
        ww_call_put_amount(call, "amount", applied->paid[index].amount);
        ww_call_end(call);
    }
    ww_call_end(call);
}

void arbiter_tell(struct arbiter *arbiter, const struct arbiter_applied *applied)
{
    struct ww_call call;
    ww_ops_begin(arbiter->ops, &call);
    arbiter_put_applied(&call, applied);
    ww_ops_emit(&call, "contract");
}

struct arbiter_commit_note {
    LIST_ENTRY(arbiter_commit_note) link;
    struct arbiter *arbiter;
    ww_ledger_commit_fn fn;
    void *arg;
    int rc; /* why the commit could not be asked for */
};

static void note_committed(void *arg, int rc)
{
    struct arbiter_commit_note note = *(struct arbiter_commit_note *)arg;
    LIST_REMOVE((struct arbiter_commit_note *)arg, link);
    ww_free(arg);
    if (rc)
        fail_node(note.arbiter, rc);
    if (note.fn)
        note.fn(note.arg, rc);
}

int arbiter_commit(struct arbiter *arbiter, ww_ledger_commit_fn fn, void *arg)
{
    struct arbiter_commit_note *note = ww_alloc(1, sizeof(*note));
    if (!note)
        return WW_ENOMEM;
    *note = (struct arbiter_commit_note){.arbiter = arbiter, .fn = fn, .arg = arg};
    LIST_INSERT_HEAD(&arbiter->commits, note, link);
    int rc = ww_ledger_commit(arbiter->ledger, note_committed, note);
    if (rc) {
        LIST_REMOVE(note, link);
        ww_free(note);
    }
    if (rc == WW_EIO)
        fail_node(arbiter, rc); /* an earlier write, which nobody of ours waited for */
    return rc;
}

int arbiter_end_epoch(struct arbiter *arbiter, ww_ledger_commit_fn fn, void *arg)
{
    struct arbiter_commit_note *note = ww_alloc(1, sizeof(*note));
    if (!note)
        return WW_ENOMEM;
    *note = (struct arbiter_commit_note){.arbiter = arbiter, .fn = fn, .arg = arg};
    node_policies_save(&arbiter->policies, arbiter_now_s(arbiter));
    LIST_INSERT_HEAD(&arbiter->commits, note, link);
    int rc = ww_ledger_forget(arbiter->ledger, note_committed, note);
    if (rc) {
        LIST_REMOVE(note, link);
        ww_free(note);
    }
    if (rc == WW_EIO)
        fail_node(arbiter, rc);
    return rc;
}

/* Ends a list of notes that nobody else has; 0 stands for each one's own code. */
static void end_notes(struct arbiter_commit_note *note, int rc)
{
    while (note) {
        struct arbiter_commit_note *next = LIST_NEXT(note, link);
        if (note->fn)
            note->fn(note->arg, rc ? rc : note->rc);
        ww_free(note);
        note = next;
    }
}

static void tell_refused(void *arg)
{
    struct arbiter *arbiter = arg;
    struct arbiter_commit_note *notes = LIST_FIRST(&arbiter->refused);
    LIST_INIT(&arbiter->refused);
    end_notes(notes, 0);
}

void arbiter_commit_or_tell(struct arbiter *arbiter, ww_ledger_commit_fn fn, void *arg)
{
    int rc = arbiter_commit(arbiter, fn, arg);
    if (!rc)
        return;
    struct arbiter_commit_note *note = ww_alloc(1, sizeof(*note));
    if (!note) {
        fail_node(arbiter, WW_ENOMEM); /* somebody waits who can't be answered */
        return;
    }
    *note = (struct arbiter_commit_note){.arbiter = arbiter, .fn = fn, .arg = arg, .rc = rc};
    LIST_INSERT_HEAD(&arbiter->refused, note, link);
    ww_timer_start(arbiter->tell_refused, 0);
}

/* --- time ------------------------------------------------------------------------------------- */

struct told {
    struct arbiter *arbiter;
    struct arbiter_applied applied;
    int done;
};

static void told_durable(void *arg, int rc)
{
    struct told *told = arg;
    if (!rc && arbiter_is_news(&told->applied))
        arbiter_tell(told->arbiter, &told->applied);
    if (told->done != FUNCTION_NONE) {
        struct ww_call call;
        ww_ops_begin(told->arbiter->ops, &call);
        ww_call_reason(&call, "%s", told->applied.outcome.why);
        ww_ops_finish(&call, told->done, rc ? rc : WW_EDECLINED);
    }
    ww_free(told);
}

int arbiter_drive(struct arbiter *arbiter, struct arbiter_contract *contract,
                  const struct ww_contract_event *event)
{
    struct told *told = ww_alloc(1, sizeof(*told));
    if (!told)
        return WW_ENOMEM;
    told->arbiter = arbiter;
    told->done = FUNCTION_NONE;
    int rc = arbiter_apply(arbiter, contract, event, &told->applied);
    if (rc || told->applied.outcome.action == WW_CONTRACT_NOTHING) {
        ww_free(told);
        return rc;
    }
    if (told->applied.gone) {
        told->done = contract->done;
        contract->done = FUNCTION_NONE;
        arbiter_forget(arbiter, contract);
    }
    arbiter_commit_or_tell(arbiter, told_durable, told);
    return 0;
}

/* --- up-time ---------------------------------------------------------------------------------- */

static int load_uptime(struct arbiter *arbiter)
{
    const void *value = NULL;
    size_t size = 0;
    struct ww_cursor in;
    int rc = ww_ledger_get(arbiter->ledger, UPTIME_KEY, &value, &size);

    arbiter->started_mono_ms = ww_clock_mono_us() / 1000;
    arbiter->uptime_base_ms = 0;
    if (!rc) {
        ww_cursor_init(&in, value, size);
        arbiter->uptime_base_ms = ww_cursor_u64(&in);
    }
    arbiter->uptime_put_ms = arbiter->uptime_base_ms;
    return rc == WW_ENOTFOUND ? 0 : rc;
}

int arbiter_store_uptime(struct arbiter *arbiter)
{
    struct ww_contract_event now;
    uint8_t value[8];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};

    arbiter_now(arbiter, &now);
    ww_buf_put_u64(&out, now.now_ms);
    int rc = ww_ledger_put(arbiter->ledger, UPTIME_KEY, value, sizeof(value));
    if (!rc)
        arbiter->uptime_put_ms = now.now_ms;
    return rc;
}

static void tick(void *arg)
{
    struct arbiter *arbiter = arg;
    struct arbiter_contract *contract, *next;
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_TICK};

    arbiter_now(arbiter, &event);
    if (event.now_ms - arbiter->uptime_put_ms >= WW_UPTIME_EVERY_S * 1000ULL &&
        !arbiter_store_uptime(arbiter))
        arbiter_commit(arbiter, NULL, NULL);
    arbiter_cut_banned(arbiter);
    HASH_ITER(hh, arbiter->contracts, contract, next)
    {
        if (!contract->verifying &&
            ww_contract_deadline_ms(&contract->terms, &event) <= event.now_ms)
            arbiter_drive(arbiter, contract, &event);
    }
    ww_timer_start(arbiter->tick, TICK_US);
}

/* --- start and stop --------------------------------------------------------------------------- */

struct loading {
    struct arbiter *arbiter;
    int rc;
};

static void load_contract(void *arg, const struct ww_id *id, const struct ww_id *payer,
                          bool disputed, const struct ww_part *parts, size_t part_count,
                          const void *record, size_t record_size)
{
    struct loading *loading = arg;
    struct arbiter_contract *contract = NULL;
    struct ww_contract terms;

    (void)payer;
    (void)disputed;
    (void)parts;
    (void)part_count;
    int rc = ww_contract_decode(record, record_size, loading->arbiter->uptime_base_ms, &terms);
    if (!rc && !ww_id_equal(&terms.id, id))
        rc = WW_ECORRUPT;
    if (!rc)
        rc = arbiter_remember(loading->arbiter, &terms, &contract);
    if (rc && !loading->rc)
        loading->rc = rc;
}

/* Offers that nobody will answer any more are void. */
static int restart_contracts(struct arbiter *arbiter)
{
    struct loading loading = {.arbiter = arbiter};
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_RESTART};
    struct arbiter_contract *contract, *next;
    struct arbiter_applied applied;

    ww_ledger_each_contract(arbiter->ledger, load_contract, &loading);
    if (loading.rc)
        return loading.rc;
    arbiter_now(arbiter, &event);
    HASH_ITER(hh, arbiter->contracts, contract, next)
    {
        int rc = arbiter_apply(arbiter, contract, &event, &applied);
        if (rc)
            return rc;
        if (applied.gone)
            arbiter_forget(arbiter, contract);
    }
    return 0;
}

int arbiter_open(struct arbiter *arbiter, const char *state_folder, char *why, size_t why_size)
{
    char folder[4096];
    bool changed = false;

    snprintf(folder, sizeof(folder), "%s/ledger", state_folder);
    int rc = ww_store_open(folder, &arbiter->store);
    if (rc) {
        snprintf(why, why_size, "the ledger's store in %s can't be opened", folder);
        return rc;
    }
    rc = ww_committer_create(arbiter->store, arbiter->loop, &arbiter->committer);
    if (!rc)
        rc = ww_ledger_open(arbiter->store, arbiter->loop, arbiter->committer, &arbiter->ledger,
                            why, why_size);
    if (!rc)
        arbiter_memory_open(arbiter); /* before a policy is asked */
    if (!rc)
        rc = arbiter_secrets_open(arbiter, state_folder);
    if (!rc)
        rc = ww_pool_create(arbiter->loop, POOL_THREADS, WW_ARBITER_PROOFS_MAX, &arbiter->pool);
    if (!rc)
        rc = arbiter_market_open(arbiter);
    if (!rc)
        rc = load_uptime(arbiter);
    if (!rc)
        rc = restart_contracts(arbiter);
    if (!rc)
        rc = arbiter_case_sweep(arbiter);
    if (!rc)
        rc = arbiter_market_update(arbiter, &changed);
    if (!rc)
        rc = ww_timer_create(arbiter->loop, tell_refused, arbiter, &arbiter->tell_refused);
    if (!rc)
        rc = ww_timer_create(arbiter->loop, tick, arbiter, &arbiter->tick);
    if (!rc)
        rc = arbiter_commit(arbiter, NULL, NULL);
    if (rc)
        return rc;
    arbiter_find_banned(arbiter);
    ww_timer_start(arbiter->tick, TICK_US);
    ww_ops_set_ledger(arbiter->ops, arbiter->ledger, arbiter->store);
    return 0;
}

void arbiter_close_books(struct arbiter *arbiter)
{
    struct arbiter_contract *contract, *next;

    node_policies_unstore(&arbiter->policies);
    ww_ops_set_ledger(arbiter->ops, NULL, NULL);
    ww_timer_destroy(arbiter->tick);
    arbiter->tick = NULL;
    ww_timer_destroy(arbiter->tell_refused);
    arbiter->tell_refused = NULL;
    /* What is being verified is still taken, then the ledger: from here on it tells nobody of
     * commits that were on their way. */
    ww_pool_destroy(arbiter->pool);
    arbiter->pool = NULL;
    if (arbiter->ledger)
        ww_ledger_close(arbiter->ledger);
    arbiter->ledger = NULL;
    if (arbiter->committer)
        ww_committer_destroy(arbiter->committer);
    arbiter->committer = NULL;
    end_notes(LIST_FIRST(&arbiter->commits), WW_ESHUTDOWN);
    LIST_INIT(&arbiter->commits);
    end_notes(LIST_FIRST(&arbiter->refused), WW_ESHUTDOWN);
    LIST_INIT(&arbiter->refused);
    HASH_ITER(hh, arbiter->contracts, contract, next)
    arbiter_forget(arbiter, contract);
    arbiter_secrets_close(arbiter);
    if (arbiter->store)
        ww_store_close(arbiter->store);
    arbiter->store = NULL;
}
