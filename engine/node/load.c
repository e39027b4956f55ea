/* ww.load: transfers that are measured, for `ww demo` and benchmarks.
 *
 * origin{listen=} -> {port}: one in a process. download{url=, path=, proxy=, done=} and
 * upload{url=, path=, proxy=, bytes=, seed=, done=} -> {transfer}; done({status, bytes, sha256,
 * elapsed_us, body, location}) or done(nil, error). status{transfer=} -> {bytes, elapsed_us}: to be
 * polled for progress, so that Lua is never called for a piece of data. cancel{transfer=}.
 */
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "node.h"

#define STALL_MS        30000 /* a transfer that makes no progress for so long has failed */
#define ANSWER_TEXT_MAX 4096  /* of an upload's answer, for Lua */
#define NO_FUNCTION     (-2)  /* LUA_NOREF */

struct load_transfer {
    LIST_ENTRY(load_transfer) entry;
    struct load *load;
    struct ww_http_client *client;
    struct ww_http_source source;  /* uploads: ours, counted on the way */
    struct ww_sha256_stream *hash; /* downloads */
    uint64_t id;
    uint64_t bytes;
    uint64_t started_us;
    struct ww_timer *cancel;
    int done; /* NO_FUNCTION: told, or nobody waits */
};

static void transfer_destroy(struct load_transfer *transfer)
{
    LIST_REMOVE(transfer, entry);
    transfer->load->transfer_count--;
    ww_http_client_destroy(transfer->client);
    ww_timer_destroy(transfer->cancel);
    if (transfer->source.done) /* never handed over */
        transfer->source.done(transfer->source.arg, WW_ESHUTDOWN);
    if (transfer->hash)
        ww_sha256_end(transfer->hash, NULL);
    ww_free(transfer);
}

/* Ends it without telling Lua. */
static void transfer_give_up(struct load_transfer *transfer)
{
    if (transfer->done != NO_FUNCTION)
        ww_ops_forget(transfer->load->ops, transfer->done);
    transfer->done = NO_FUNCTION;
    transfer_destroy(transfer);
}

static double seconds_since(uint64_t start_us)
{
    return (double)(ww_clock_mono_us() - start_us) / 1e6;
}

/* --- data ------------------------------------------------------------------------------------ */

static void on_piece(void *arg, const uint8_t *data, size_t size)
{
    struct load_transfer *transfer = arg;

    ww_sha256_add(transfer->hash, data, size);
    transfer->bytes += size;
}

static ptrdiff_t counted_read(void *arg, uint8_t *out, size_t capacity)
{
    struct load_transfer *transfer = arg;
    ptrdiff_t size = transfer->source.read(transfer->source.arg, out, capacity);

    if (size > 0)
        transfer->bytes += (uint64_t)size;
    return size;
}

static void counted_done(void *arg, int code)
{
    struct load_transfer *transfer = arg;

    transfer->source.done(transfer->source.arg, code);
    transfer->source.done = NULL;
}

static void put_result(struct ww_call *call, struct load_transfer *transfer,
                       const struct ww_http_result *result, uint64_t finished_us)
{
    const char *location = ww_http_result_header(result, "location");
    struct ww_hash hash;
    char hex[2 * sizeof(hash.bytes) + 1];

    ww_call_put_u64(call, "status", result->status);
    ww_call_put_u64(call, "bytes", transfer->bytes);
    ww_call_put_u64(call, "elapsed_us", finished_us - transfer->started_us);
    if (location)
        ww_call_put_text(call, "location", location);
    if (transfer->hash) {
        ww_sha256_end(transfer->hash, &hash);
        transfer->hash = NULL;
        ww_call_put_text(call, "sha256", ww_hex_format(hash.bytes, sizeof(hash.bytes), hex));
    } else {
        ww_call_put_bytes(call, "body", result->body,
                          WW_MIN(result->size, (size_t)ANSWER_TEXT_MAX));
    }
}

static void on_done(void *arg, int code, const struct ww_http_result *result)
{
    struct load_transfer *transfer = arg;
    struct load *load = transfer->load;
    uint64_t finished_us = ww_clock_mono_us();
    int done = transfer->done;
    struct ww_call call;

    if (done == NO_FUNCTION)
        return; /* being destroyed */
    transfer->done = NO_FUNCTION;
    ww_ops_begin(load->ops, &call);
    if (code)
        ww_call_reason(&call, "after %llu bytes and %.1f s", (unsigned long long)transfer->bytes,
                       seconds_since(transfer->started_us));
    else
        put_result(&call, transfer, result, finished_us);
    transfer_destroy(transfer);
    ww_ops_finish(&call, done, code);
}

/* Destroying the client calls done, which must not happen inside a call of Lua's. */
static void cancel_fired(void *arg)
{
    struct load_transfer *transfer = arg;
    ww_http_client_destroy(transfer->client); /* on_done destroys the transfer */
}

/* --- starting -------------------------------------------------------------------------------- */

static int read_client(struct ww_call *call, struct ww_http_client_config *config)
{
    config->deadline_ms = STALL_MS;
    int rc = ww_call_text(call, "url", &config->url, NULL);
    if (rc)
        return rc;
    rc = ww_call_text(call, "proxy", &config->proxy, NULL);
    return rc == WW_ENOTFOUND ? 0 : rc;
}

static int transfer_create(struct load *load, struct ww_call *call, struct load_transfer **out)
{
    struct ww_http_client_config config = {0};
    struct load_transfer *transfer = NULL;

    if (load->transfer_count >= LOAD_TRANSFERS_MAX)
        return WW_ELIMIT;
    int rc = read_client(call, &config);
    if (rc)
        return rc;
    transfer = ww_alloc(1, sizeof(*transfer));
    if (!transfer)
        return WW_ENOMEM;
    transfer->load = load;
    transfer->id = ++load->last_id;
    transfer->done = NO_FUNCTION;
    LIST_INSERT_HEAD(&load->transfers, transfer, entry);
    load->transfer_count++;
    rc = ww_timer_create(load->loop, cancel_fired, transfer, &transfer->cancel);
    if (!rc)
        rc = ww_http_client_create(load->loop, &config, &transfer->client);
    if (!rc)
        rc = ww_call_function(call, "done", &transfer->done);
    if (rc) {
        transfer_destroy(transfer);
        return rc;
    }
    *out = transfer;
    return 0;
}

/* Sends the call, or gives everything up. */
static int transfer_start(struct load_transfer *transfer, struct ww_call *call,
                          struct ww_http_call *request)
{
    request->done = on_done;
    request->arg = transfer;
    transfer->started_us = ww_clock_mono_us();
    int rc = ww_call_text(call, "path", &request->path, NULL);
    if (!rc)
        rc = ww_http_client_request(transfer->client, request);
    if (rc) {
        transfer_give_up(transfer);
        return rc;
    }
    ww_call_put_u64(call, "transfer", transfer->id);
    return 0;
}

static int bound_download(void *context, struct ww_call *call)
{
    struct load_transfer *transfer = NULL;
    struct ww_http_call request = {.method = "GET", .on_body = on_piece};

    int rc = transfer_create(context, call, &transfer);
    if (rc)
        return rc;
    rc = ww_sha256_begin(&transfer->hash);
    if (rc) {
        transfer_give_up(transfer);
        return rc;
    }
    return transfer_start(transfer, call, &request);
}

static int bound_upload(void *context, struct ww_call *call)
{
    struct ww_http_source counted = {.read = counted_read, .done = counted_done};
    struct ww_http_call request = {.method = "POST", .source = &counted};
    struct load_transfer *transfer = NULL;
    uint64_t seed = 0;

    int rc = ww_call_u64(call, "bytes", &request.size);
    if (!rc && (request.size == 0 || request.size > LOAD_BYTES_MAX))
        rc = WW_ERANGE;
    if (!rc)
        rc = ww_call_u64(call, "seed", &seed);
    if (!rc)
        rc = transfer_create(context, call, &transfer);
    if (rc)
        return rc;
    counted.arg = transfer;
    rc = load_source_create(seed, request.size, &transfer->source);
    if (rc) {
        transfer_give_up(transfer);
        return rc;
    }
    return transfer_start(transfer, call, &request);
}

/* --- looking and stopping -------------------------------------------------------------------- */

static int find_transfer(struct load *load, struct ww_call *call, struct load_transfer **out)
{
    struct load_transfer *transfer;
    uint64_t id = 0;

    int rc = ww_call_u64(call, "transfer", &id);
    if (rc)
        return rc;
    LIST_FOREACH (transfer, &load->transfers, entry) {
        if (transfer->id == id) {
            *out = transfer;
            return 0;
        }
    }
    return WW_ENOTFOUND;
}

static int bound_status(void *context, struct ww_call *call)
{
    struct load_transfer *transfer = NULL;

    int rc = find_transfer(context, call, &transfer);
    if (rc)
        return rc;
    ww_call_put_u64(call, "bytes", transfer->bytes);
    ww_call_put_u64(call, "elapsed_us", ww_clock_mono_us() - transfer->started_us);
    return 0;
}

static int bound_cancel(void *context, struct ww_call *call)
{
    struct load_transfer *transfer = NULL;

    int rc = find_transfer(context, call, &transfer);
    if (!rc)
        ww_timer_start(transfer->cancel, 0);
    return rc;
}

static int bound_origin(void *context, struct ww_call *call)
{
    struct load *load = context;
    const char *listen = "127.0.0.1:0";

    if (load->origin)
        return WW_EEXIST;
    ww_call_text(call, "listen", &listen, NULL);
    int rc = load_origin_create(load->loop, listen, &load->origin);
    if (rc)
        node_listen_reason(call, listen, rc);
    else
        ww_call_put_u64(call, "port", load_origin_port(load->origin));
    return rc;
}

int load_bind(struct ww_ops *ops, struct load **out)
{
    static const struct ww_ops_function functions[] = {
        {"origin", bound_origin}, {"download", bound_download}, {"upload", bound_upload},
        {"status", bound_status}, {"cancel", bound_cancel},
    };
    struct load *load = ww_alloc(1, sizeof(*load));

    if (!load)
        return WW_ENOMEM;
    load->ops = ops;
    load->loop = ww_ops_loop(ops);
    LIST_INIT(&load->transfers);
    int rc = ww_ops_bind(ops, "load", functions, WW_ARRAY_COUNT(functions), load);
    if (rc) {
        ww_free(load);
        return rc;
    }
    *out = load;
    return 0;
}

void load_destroy(struct load *load)
{
    struct load_transfer *transfer;

    if (!load)
        return;
    while ((transfer = LIST_FIRST(&load->transfers)))
        transfer_give_up(transfer);
    load_origin_destroy(load->origin);
    ww_free(load);
}
