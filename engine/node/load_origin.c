/* An HTTP origin for the demo: something on the "internet" side of a provider to talk to.
 *
 * Relies on the http room's streaming. Listens where it is told, which is loopback in the demo; it
 * has no authentication and must not be put anywhere else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define HASH_STEP_BYTES ((size_t)4 << 20) /* between two looks at the loop: about 3 ms */
#define IDLE_MS         300000 /* a tunnel stalls while contracts are made, or its path changes */

struct load_origin {
    struct ww_loop *loop;
    struct ww_http_server *server;
    LIST_HEAD(, hash_job) jobs;
};

/* A request body on its way in; the user slot of its connection. */
struct upload {
    struct ww_sha256_stream *hash;
    uint64_t bytes;
};

/* GET /sha256: hashed in steps, so that other transfers go on. */
struct hash_job {
    LIST_ENTRY(hash_job) entry;
    struct load_origin *origin;
    struct ww_timer *timer;
    uint64_t request;
    struct load_content *content;
    struct ww_sha256_stream *hash;
    uint64_t position, bytes;
    uint8_t buffer[64 * 1024];
};

static void respond_json(struct ww_http_request *request, uint64_t bytes,
                         const struct ww_hash *hash)
{
    char hex[2 * sizeof(hash->bytes) + 1], text[160];

    ww_hex_format(hash->bytes, sizeof(hash->bytes), hex);
    int size = snprintf(text, sizeof(text), "{\"bytes\":%llu,\"sha256\":\"%s\"}\n",
                        (unsigned long long)bytes, hex);
    ww_http_respond_text(request, 200, "application/json", text, (size_t)size);
}

static void respond_error(struct ww_http_request *request, unsigned status, const char *text)
{
    ww_http_respond_text(request, status, "text/plain", text, strlen(text));
}

/* --- what to send ---------------------------------------------------------------------------- */

/* The number behind `name=` in a query; WW_ENOTFOUND, WW_ERANGE. */
static int query_u64(const char *query, const char *name, uint64_t max, uint64_t *value)
{
    size_t size = strlen(name);
    const char *at = query;

    while (at && !(strncmp(at, name, size) == 0 && at[size] == '=')) {
        at = strchr(at, '&');
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return WW_ENOTFOUND;
    at += size + 1;
    char *end = NULL;
    unsigned long long number = strtoull(at, &end, 10);
    if (*at < '0' || *at > '9' || (*end && *end != '&') || end - at > 16 || number > max)
        return WW_ERANGE;
    *value = number;
    return 0;
}

/* {bytes, seed} of a request; answers itself when they are wrong. */
static bool read_range(struct ww_http_request *request, uint64_t *bytes, uint64_t *seed)
{
    const char *query = ww_http_request_query(request);

    *seed = 0;
    int rc = query_u64(query, "seed", LOAD_SEED_MAX, seed);
    if (query_u64(query, "bytes", LOAD_BYTES_MAX, bytes) || rc == WW_ERANGE) {
        respond_error(request, 400, "bytes (at most 2^40) is needed, seed is below 2^53\n");
        return false;
    }
    return true;
}

static void answer_down(struct ww_http_request *request)
{
    struct ww_http_response response = {.status = 200, .content_type = "application/octet-stream"};
    struct ww_http_source source;
    uint64_t bytes = 0, seed = 0;

    if (!read_range(request, &bytes, &seed))
        return;
    response.size = bytes;
    if (bytes == 0)
        ww_http_respond(request, &response);
    else if (load_source_create(seed, bytes, &source))
        respond_error(request, 503, "no memory\n");
    else
        ww_http_respond_stream(request, &response, &source);
}

/* --- hashes ---------------------------------------------------------------------------------- */

static void hash_job_destroy(struct hash_job *job)
{
    LIST_REMOVE(job, entry);
    ww_timer_destroy(job->timer);
    if (job->hash)
        ww_sha256_end(job->hash, NULL);
    load_content_destroy(job->content);
    ww_free(job);
}

static void hash_step(void *arg)
{
    struct hash_job *job = arg;
    struct ww_http_request *request = ww_http_request_find(job->origin->server, job->request);
    uint64_t stop = WW_MIN(job->bytes, job->position + HASH_STEP_BYTES);
    struct ww_hash hash;

    while (request && job->position < stop) {
        size_t size = (size_t)WW_MIN((uint64_t)sizeof(job->buffer), stop - job->position);
        load_content_fill(job->content, job->position, job->buffer, size);
        ww_sha256_add(job->hash, job->buffer, size);
        job->position += size;
    }
    if (request && job->position < job->bytes) {
        ww_timer_start(job->timer, 0);
        return;
    }
    if (request) {
        ww_sha256_end(job->hash, &hash);
        job->hash = NULL;
        respond_json(request, job->bytes, &hash);
    }
    hash_job_destroy(job);
}

static void answer_sha256(struct load_origin *origin, struct ww_http_request *request)
{
    uint64_t bytes = 0, seed = 0;

    if (!read_range(request, &bytes, &seed))
        return;
    struct hash_job *job = ww_alloc(1, sizeof(*job));
    if (!job) {
        respond_error(request, 503, "no memory\n");
        return;
    }
    LIST_INSERT_HEAD(&origin->jobs, job, entry);
    job->origin = origin;
    job->request = ww_http_request_id(request);
    job->bytes = bytes;
    job->content = load_content_create(seed);
    if (!job->content || ww_sha256_begin(&job->hash) ||
        ww_timer_create(origin->loop, hash_step, job, &job->timer)) {
        respond_error(request, 503, "no memory\n");
        hash_job_destroy(job);
        return;
    }
    ww_timer_start(job->timer, 0);
}

/* --- bodies that come in --------------------------------------------------------------------- */

static void upload_destroy(struct upload *upload)
{
    if (!upload)
        return;
    if (upload->hash)
        ww_sha256_end(upload->hash, NULL);
    ww_free(upload);
}

static bool is_upload(struct ww_http_request *request)
{
    return strcmp(ww_http_request_method(request), "POST") == 0 &&
           strcmp(ww_http_request_path(request), "/up") == 0;
}

static enum ww_http_body on_head(void *arg, struct ww_http_request *request)
{
    (void)arg;
    if (!is_upload(request))
        return WW_HTTP_BODY_COLLECT;
    struct upload *upload = ww_alloc(1, sizeof(*upload));
    if (!upload || ww_sha256_begin(&upload->hash)) {
        upload_destroy(upload);
        respond_error(request, 503, "no memory\n");
        return WW_HTTP_BODY_ANSWERED;
    }
    upload_destroy(ww_http_request_user(request));
    ww_http_request_set_user(request, upload);
    return WW_HTTP_BODY_STREAM;
}

static void on_body(void *arg, struct ww_http_request *request, const uint8_t *data, size_t size)
{
    struct upload *upload = ww_http_request_user(request);

    (void)arg;
    ww_sha256_add(upload->hash, data, size);
    upload->bytes += size;
}

static void answer_upload(struct ww_http_request *request)
{
    struct upload *upload = ww_http_request_user(request);
    struct ww_hash hash;
    uint64_t bytes = upload->bytes;

    ww_sha256_end(upload->hash, &hash);
    upload->hash = NULL;
    upload_destroy(upload);
    ww_http_request_set_user(request, NULL);
    respond_json(request, bytes, &hash);
}

static void on_connection_closed(void *arg, uint64_t connection, void *user)
{
    (void)arg;
    (void)connection;
    upload_destroy(user);
}

static void on_request(void *arg, struct ww_http_request *request)
{
    struct load_origin *origin = arg;
    const char *path = ww_http_request_path(request);

    if (is_upload(request))
        answer_upload(request);
    else if (strcmp(ww_http_request_method(request), "GET") != 0)
        respond_error(request, 405, "GET, or POST /up\n");
    else if (strcmp(path, "/down") == 0)
        answer_down(request);
    else if (strcmp(path, "/sha256") == 0)
        answer_sha256(origin, request);
    else if (strcmp(path, "/") == 0)
        respond_error(request, 200,
                      "An origin for ww demo: /down?bytes=N&seed=S, "
                      "/sha256?bytes=N&seed=S, POST /up\n");
    else
        respond_error(request, 404, "GET /down?bytes=N&seed=S, /sha256?bytes=N&seed=S, POST /up\n");
}

/* --- life ------------------------------------------------------------------------------------ */

int load_origin_create(struct ww_loop *loop, const char *listen, struct load_origin **out)
{
    static const struct ww_http_callbacks callbacks = {.request = on_request,
                                                       .head = on_head,
                                                       .body = on_body,
                                                       .connection_closed = on_connection_closed};
    const char *addresses[] = {listen, NULL};
    struct ww_http_server_config config = {
        .listen = addresses, .deadline_ms = IDLE_MS, .idle_ms = IDLE_MS};
    struct load_origin *origin = ww_alloc(1, sizeof(*origin));

    if (!origin)
        return WW_ENOMEM;
    origin->loop = loop;
    LIST_INIT(&origin->jobs);
    int rc = ww_http_server_create(loop, &config, &callbacks, origin, &origin->server);
    if (rc) {
        ww_free(origin);
        return rc;
    }
    *out = origin;
    return 0;
}

uint16_t load_origin_port(const struct load_origin *origin)
{
    return ww_http_server_port(origin->server, 0);
}

void load_origin_destroy(struct load_origin *origin)
{
    struct hash_job *job;

    if (!origin)
        return;
    while ((job = LIST_FIRST(&origin->jobs)))
        hash_job_destroy(job);
    ww_http_server_destroy(origin->server);
    ww_free(origin);
}
