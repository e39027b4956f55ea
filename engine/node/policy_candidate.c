/* Making the next set of a node, and putting it in force.
 *
 * The folder is read, compiled and tested on the pool's thread, which owns the candidate until it
 * is done; the loop only swaps a pointer. Relies on policy sets being of one thread at a time.
 */
#include "policy_candidate.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "node.h"
#include "policy_replay.h"

int policy_load(const char *folder, struct ww_policy_set **set, struct ww_policy_fault *fault)
{
    static const struct ww_policy_options options = {.repeat_later = true};
    struct ww_policy_sources sources;

    int rc = node_policy_sources(folder, &sources, fault);
    if (!rc)
        rc = ww_policy_set_create(&sources, &options, set, fault);
    if (!rc)
        ww_policy_set_prepare(*set);
    ww_policy_sources_deinit(&sources);
    return rc;
}

void policy_fault_text(const struct ww_policy_fault *fault, const char *folder, char *text,
                       size_t size)
{
    if (fault->line)
        snprintf(text, size, "%s:%u: %s", fault->file, fault->line, fault->message);
    else if (fault->message[0])
        snprintf(text, size, "%s%s%s", fault->file, fault->file[0] ? ": " : "", fault->message);
    else if (folder)
        snprintf(text, size, "policies in %s", folder);
    else
        text[0] = '\0';
}

struct candidate {
    struct ww_pool_job job;
    struct node_policies *policies;
    int done; /* Lua function */
    char *folder;
    bool by_itself; /* nobody asked: a file changed */
    struct ww_policy_set *set;
    struct ww_policy_view *view;     /* NULL: no journal */
    struct ww_policy_replay *replay; /* NULL: the same */
    struct ww_policy_fault fault;
    int rc;
};

static void candidate_destroy(struct candidate *candidate)
{
    ww_policy_replay_destroy(candidate->replay);
    ww_policy_view_destroy(candidate->view);
    ww_policy_set_release(candidate->set);
    ww_free(candidate->folder);
    ww_free(candidate);
}

/* On the pool's thread. */
static void make(void *arg)
{
    struct candidate *candidate = arg;

    const struct ww_policy_replay_options options = {
        .newest_max = WW_POLICY_RELOAD_DECISIONS_MAX,
        .ms_max = WW_POLICY_RELOAD_MS_MAX,
        .stop = &candidate->policies->stopping,
    };

    candidate->rc = policy_load(candidate->folder, &candidate->set, &candidate->fault);
    if (!candidate->rc && candidate->view)
        candidate->rc = ww_policy_replay_create(candidate->set, &candidate->replay);
    if (candidate->replay)
        candidate->rc = ww_policy_replay_run(candidate->replay, candidate->view, &options);
}

/* Time of this thread's own: what a busy machine takes is not the swap's. */
static uint64_t cpu_us(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Puts the candidate in force; the set is then no longer the candidate's. */
static int put_in_force(struct candidate *candidate, struct ww_call *call)
{
    struct ww_policy_live *live = candidate->policies->live;
    struct ww_policy_generation generation;
    bool given_up = candidate->by_itself &&
                    ww_policy_live_is_bad(live, ww_policy_set_generation(candidate->set));
    uint64_t start_us = cpu_us();
    int rc = given_up ? WW_EEXIST : ww_policy_live_swap(live, candidate->set);
    uint64_t swap_us = cpu_us() - start_us;

    if (!rc)
        candidate->set = NULL;
    else if (rc != WW_EEXIST)
        return rc;
    ww_policy_live_current(live, &generation);
    ww_call_put_u64(call, "number", generation.number);
    ww_call_put_hash(call, "hash", &generation.hash);
    ww_call_put_u64(call, "tests", generation.test_count);
    ww_call_put_bool(call, "unchanged", rc == WW_EEXIST);
    ww_call_put_bool(call, "given_up", given_up);
    ww_call_put_u64(call, "swap_us", swap_us);
    if (candidate->replay) {
        ww_call_begin(call, "replay", false);
        policy_put_difference(call, ww_policy_replay_difference(candidate->replay));
        ww_call_end(call);
    }
    return 0;
}

static void made(void *arg)
{
    struct candidate *candidate = arg;
    struct ww_call call;
    char why[WW_CALL_REASON_SIZE];
    int rc = candidate->rc;

    ww_ops_begin(candidate->policies->ops, &call);
    if (!rc)
        rc = put_in_force(candidate, &call);
    if (candidate->rc) {
        policy_fault_text(&candidate->fault, candidate->folder, why, sizeof(why));
        ww_call_reason(&call, "%s", why);
    }
    ww_ops_finish(&call, candidate->done, rc);
    candidate_destroy(candidate);
}

int policy_make_submit(struct node_policies *policies, struct ww_call *call,
                       struct ww_pool_job *job)
{
    int rc = ww_pool_submit(policies->makers, job);

    if (rc == WW_ELIMIT)
        ww_call_reason(call, "%d sets of policies are being made: ask again when they are done",
                       POLICY_MAKES_MAX);
    return rc;
}

int policy_read_folder(struct node_policies *policies, struct ww_call *call, char **folder)
{
    const char *given = policies->folder;
    int rc = ww_call_text(call, "folder", &given, NULL);

    if (rc && rc != WW_ENOTFOUND)
        return rc;
    *folder = given ? ww_strdup(given) : NULL;
    return given && !*folder ? WW_ENOMEM : 0;
}

static int take_view(struct candidate *candidate)
{
    struct ww_policy_journal *journal = ww_policy_live_journal(candidate->policies->live);

    return journal ? ww_policy_view_create(journal, ww_clock_wall_ms() / 1000, 0, &candidate->view)
                   : 0;
}

int policy_reload(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct candidate *candidate;

    if (!policies->live)
        return WW_ESHUTDOWN;
    candidate = ww_alloc(1, sizeof(*candidate));
    if (!candidate)
        return WW_ENOMEM;
    candidate->policies = policies;
    candidate->job.work = make;
    candidate->job.done = made;
    candidate->job.arg = candidate;
    int rc = policy_read_folder(policies, call, &candidate->folder);
    if (!rc)
        rc = ww_call_bool(call, "by_itself", &candidate->by_itself);
    if (!rc || rc == WW_ENOTFOUND)
        rc = take_view(candidate);
    if (!rc)
        rc = ww_call_function(call, "done", &candidate->done);
    if (!rc && (rc = policy_make_submit(policies, call, &candidate->job)))
        ww_ops_forget(policies->ops, candidate->done);
    if (rc)
        candidate_destroy(candidate);
    return rc;
}
