/* The client's declarations: the destinations of its streams and flows, signed in batches.
 *
 * Relies on transfer to carry them behind the STREAM_OPENs. A batch is signed on the pool within
 * 10 ms of its first destination; no stream waits for it. What is queued is signed in order, since
 * both ends forget the oldest declared destinations in that order. */
#include <string.h>

#include "client.h"
#include "declared.h"

#define BATCH_US 10000 /* protocol */
#define RETRY_US 50000

struct waiting_dest {
    TAILQ_ENTRY(waiting_dest) entry;
    struct ww_dest dest;
};

struct client_declaring {
    struct conn *conn;
    struct ww_timer *timer;
    TAILQ_HEAD(, waiting_dest) waiting;
    size_t waiting_count;
    uint64_t batch;
    bool is_signing;
    struct declared set;
};

struct declare_job {
    struct ww_pool_job job;
    struct edge *edge;
    struct ww_hash remote;
    uint64_t serial; /* of the connection */
    struct ww_declaration declaration;
    uint8_t bytes[WW_DECLARATION_BYTES_MAX];
    size_t size;
    int rc;
};

/* --- signing ---------------------------------------------------------------------------------- */

static void work(void *arg)
{
    struct declare_job *job = arg;
    struct ww_buf out = {
        .data = job->bytes, .capacity = sizeof(job->bytes), .limit = sizeof(job->bytes)};

    job->rc = ww_wire_declaration_encode(&job->declaration, &out);
    if (!job->rc)
        job->rc =
            ww_sign(job->edge->key, "ww declaration 1", job->bytes, out.size - WW_SIGNATURE_BYTES,
                    job->bytes + out.size - WW_SIGNATURE_BYTES);
    job->size = out.size;
}

static bool is_open(const struct conn *conn, const struct ww_id *id, struct ww_id *current)
{
    struct ww_transfer_contract_info info[4];
    size_t count = ww_transfer_contracts(conn->transfer, info, WW_ARRAY_COUNT(info));

    for (size_t index = 0; index < count; index++) {
        bool is_current = info[index].state == WW_TC_CURRENT;

        if (is_current && current)
            *current = info[index].id;
        if (id ? ww_id_equal(&info[index].id, id) : is_current)
            return true;
    }
    return false;
}

static void drop_first(struct client_declaring *declaring, size_t count)
{
    struct waiting_dest *waiting;

    while (count-- && (waiting = TAILQ_FIRST(&declaring->waiting))) {
        TAILQ_REMOVE(&declaring->waiting, waiting, entry);
        declaring->waiting_count--;
        ww_free(waiting);
    }
}

static void done(void *arg)
{
    struct declare_job *job = arg;
    struct conn *conn = edge_find(job->edge, &job->remote);
    struct client_declaring *declaring = conn ? conn->declaring : NULL;

    if (declaring && conn->serial == job->serial && !conn->closing_code) {
        declaring->is_signing = false;
        /* One of a contract that has ended meanwhile is signed anew. */
        if (!job->rc && is_open(conn, &job->declaration.contract_id, NULL))
            job->rc = ww_transfer_declare(conn->transfer, job->bytes, job->size,
                                          ww_loop_now_us(conn->loop));
        else if (!job->rc)
            job->rc = WW_EAGAIN;
        if (!job->rc)
            drop_first(declaring, job->declaration.dest_count);
        if (declaring->waiting_count)
            ww_timer_start(declaring->timer, job->rc ? RETRY_US : 0);
        conn_touch(conn);
    }
    ww_free(job);
}

static int begin(struct client_declaring *declaring, const struct ww_id *contract)
{
    struct conn *conn = declaring->conn;
    struct edge *edge = conn->owner;
    struct declare_job *job = ww_alloc(1, sizeof(*job));
    struct ww_declaration *declaration;
    struct waiting_dest *waiting;

    if (!job)
        return WW_ENOMEM;
    job->edge = edge;
    job->remote = conn->remote;
    job->serial = conn->serial;
    job->job = (struct ww_pool_job){.work = work, .done = done, .arg = job};
    declaration = &job->declaration;
    declaration->contract_id = *contract;
    memcpy(declaration->epoch, edge->epoch, WW_EPOCH_SIZE);
    declaration->batch = declaring->batch + 1;
    declaration->list_version = WW_ADDRESS_LIST_VERSION;
    TAILQ_FOREACH (waiting, &declaring->waiting, entry) {
        if (declaration->dest_count == WW_DECLARATION_DESTS_MAX)
            break;
        declaration->dests[declaration->dest_count++] = waiting->dest;
    }
    int rc = ww_pool_submit(edge->pool, &job->job);
    if (rc) {
        ww_free(job);
        return rc;
    }
    declaring->batch++;
    declaring->is_signing = true;
    return 0;
}

static void timer_fired(void *arg)
{
    struct client_declaring *declaring = arg;
    struct conn *conn = declaring->conn;
    struct ww_id contract;

    if (declaring->is_signing || !declaring->waiting_count || conn->closing_code)
        return;
    if (ww_transfer_declaration_is_waiting(conn->transfer) || !is_open(conn, NULL, &contract) ||
        begin(declaring, &contract))
        ww_timer_start(declaring->timer, RETRY_US);
}

/* --- streams and flows ------------------------------------------------------------------------ */

static struct client_declaring *of(struct conn *conn)
{
    struct client_declaring *declaring = conn->declaring;

    if (declaring)
        return declaring;
    declaring = ww_alloc(1, sizeof(*declaring));
    if (!declaring)
        return NULL;
    declaring->conn = conn;
    TAILQ_INIT(&declaring->waiting);
    if (ww_timer_create(conn->loop, timer_fired, declaring, &declaring->timer)) {
        ww_free(declaring);
        return NULL;
    }
    conn->declaring = declaring;
    return declaring;
}

int client_declare(struct conn *conn, const struct ww_dest *dest)
{
    struct client_declaring *declaring = of(conn);
    uint8_t digest[DECLARED_DIGEST];
    struct waiting_dest *waiting;

    if (!declaring)
        return WW_ENOMEM;
    declared_digest(dest, digest);
    if (declared_has(&declaring->set, digest))
        return 0;
    if (declaring->waiting_count >= WW_STREAMS_MAX)
        return WW_ELIMIT;
    waiting = ww_alloc(1, sizeof(*waiting));
    if (!waiting)
        return WW_ENOMEM;
    waiting->dest = *dest;
    TAILQ_INSERT_TAIL(&declaring->waiting, waiting, entry);
    declaring->waiting_count++;
    declared_add(&declaring->set, digest);
    if (!declaring->is_signing && !ww_timer_running(declaring->timer))
        ww_timer_start(declaring->timer, BATCH_US);
    return 0;
}

uint64_t client_declared_until(struct conn *conn, const struct ww_dest *dest)
{
    const struct client_declaring *declaring = conn->declaring;
    uint8_t digest[DECLARED_DIGEST];

    declared_digest(dest, digest);
    return declaring ? declared_until(&declaring->set, digest) : 0;
}

uint64_t client_declared_count(const struct conn *conn)
{
    const struct client_declaring *declaring = conn->declaring;

    return declaring ? declaring->set.count : 0;
}

void client_declare_stop(struct conn *conn)
{
    struct client_declaring *declaring = conn->declaring;

    if (!declaring)
        return;
    drop_first(declaring, SIZE_MAX);
    ww_timer_destroy(declaring->timer);
    ww_free(declaring);
    conn->declaring = NULL;
}
