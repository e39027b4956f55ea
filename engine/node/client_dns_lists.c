/* Block lists, read beside the forwarder and put in force at once: a million names take a second,
 * which no packet waits for. A list that can't be read leaves all of those in force.
 *
 * Relies on the thread that makes sets of policies, which reads one after another.
 */
#include "client_dns.h"

#include <string.h>

#include "policy_candidate.h"

struct lists_file {
    char *path;
    size_t names, skipped;
};

struct lists_job {
    struct ww_pool_job job;
    struct client *client;
    struct ww_dns_lists *lists;
    struct lists_file files[WW_DNS_LISTS_MAX];
    size_t count;
    size_t failed; /* with rc: which of them */
    int rc, done;
};

static void job_free(struct lists_job *job)
{
    for (size_t index = 0; index < job->count; index++)
        ww_free(job->files[index].path);
    ww_dns_lists_destroy(job->lists);
    ww_free(job);
}

/* What "dns_block_files" names; WW_ELIMIT for too many. */
static int take_paths(struct lists_job *job, struct ww_call *call)
{
    const char *path = NULL;
    int rc;

    while (!(rc = ww_call_text_at(call, "dns_block_files", job->count, &path))) {
        if (job->count == WW_DNS_LISTS_MAX) {
            ww_call_reason(call, "dns.block_files has at most %d files", WW_DNS_LISTS_MAX);
            return WW_ELIMIT;
        }
        job->files[job->count].path = ww_strdup(path);
        if (!job->files[job->count].path)
            return WW_ENOMEM;
        job->count++;
    }
    return rc == WW_ENOTFOUND ? 0 : rc;
}

static int prepare(struct client *client, struct ww_call *call, struct lists_job **out)
{
    struct lists_job *job = ww_alloc(1, sizeof(*job));

    if (!job)
        return WW_ENOMEM;
    job->client = client;
    int rc = take_paths(job, call);
    if (!rc)
        rc = ww_dns_lists_create(&job->lists);
    if (rc) {
        job_free(job);
        return rc;
    }
    *out = job;
    return 0;
}

/* On any thread. */
static void read_all(void *arg)
{
    struct lists_job *job = arg;

    for (size_t index = 0; index < job->count && !job->rc; index++) {
        struct lists_file *file = &job->files[index];

        job->failed = index;
        job->rc = ww_dns_lists_add(job->lists, file->path, &file->names, &file->skipped);
    }
}

const char *client_dns_lists_why(int rc)
{
    return rc == WW_ENOTFOUND ? "it is not there"
           : rc == WW_EINVAL  ? "it is no file, or has no names"
           : rc == WW_ELIMIT  ? "it is too large"
                              : "it can't be read";
}

static int say_failure(const struct lists_job *job, struct ww_call *call)
{
    ww_call_reason(call, "dns.block_files: %s: %s", job->files[job->failed].path,
                   client_dns_lists_why(job->rc));
    return job->rc == WW_ENOTFOUND || job->rc == WW_EINVAL ? WW_ECONFIG : job->rc;
}

static void log_files(const struct lists_job *job)
{
    for (size_t index = 0; index < job->count; index++)
        ww_log(WW_LOG_INFO, "dns", "a block list is in force", "file=%s names=%zu skipped=%zu",
               WW_Q(job->files[index].path), job->files[index].names, job->files[index].skipped);
}

int client_dns_lists_start(struct client *client, struct ww_call *call)
{
    struct lists_job *job = NULL;
    int rc = prepare(client, call, &job);

    if (rc)
        return rc;
    read_all(job);
    if (job->rc) {
        rc = say_failure(job, call);
    } else {
        ww_dns_use_lists(client->dns->dns, job->lists);
        job->lists = NULL;
        log_files(job);
    }
    job_free(job);
    return rc;
}

static void read_done(void *arg)
{
    struct lists_job *job = arg;
    struct client *client = job->client;
    struct client_dns *dns = client->dns;
    int function = job->done, rc = job->rc;
    struct ww_call call;

    ww_ops_begin(client->edge.ops, &call);
    if (rc)
        rc = say_failure(job, &call);
    else if (!dns)
        rc = WW_ESHUTDOWN;
    if (rc) {
        job_free(job);
    } else {
        client_dns_lists_drop(dns);
        dns->lists_ready = job;
        ww_call_put_u64(&call, "number", ++dns->lists_number);
    }
    ww_ops_finish(&call, function, rc);
}

void client_dns_lists_drop(struct client_dns *dns)
{
    if (dns->lists_ready)
        job_free(dns->lists_ready);
    dns->lists_ready = NULL;
}

int client_dns_bound_lists_read(void *context, struct ww_call *call)
{
    struct client *client = context;
    struct lists_job *job = NULL;
    int rc = client->dns ? prepare(client, call, &job) : WW_ESTATE;

    if (rc)
        return rc;
    job->job = (struct ww_pool_job){.work = read_all, .done = read_done, .arg = job};
    rc = ww_call_function(call, "done", &job->done);
    if (!rc && (rc = policy_make_submit(&client->edge.policies, call, &job->job)))
        ww_ops_forget(client->edge.ops, job->done);
    if (rc)
        job_free(job);
    return rc;
}

/* Those that were read, if they are those of this number. */
static struct lists_job *ready(const struct client *client, struct ww_call *call)
{
    uint64_t number = 0;

    if (!client->dns || ww_call_u64(call, "number", &number) || number != client->dns->lists_number)
        return NULL;
    return client->dns->lists_ready;
}

int client_dns_bound_lists_use(void *context, struct ww_call *call)
{
    struct client *client = context;
    struct lists_job *job = ready(client, call);
    struct client_dns *dns = client->dns;
    size_t names = 0;

    if (!job)
        return WW_ENOTFOUND;
    bool is_changed = ww_dns_use_lists(dns->dns, job->lists);
    job->lists = NULL;
    if (is_changed) {
        client_dns_judge_all(dns);
        log_files(job);
    }
    for (size_t index = 0; index < job->count; index++)
        names += job->files[index].names;
    ww_call_put_u64(call, "lists", job->count);
    ww_call_put_u64(call, "names", names);
    ww_call_put_bool(call, "changed", is_changed);
    client_dns_lists_drop(dns);
    return 0;
}

int client_dns_bound_lists_drop(void *context, struct ww_call *call)
{
    struct client *client = context;

    if (ready(client, call))
        client_dns_lists_drop(client->dns);
    return 0;
}
