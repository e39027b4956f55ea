/* Receipts of a connection, signed and verified on the pool's threads.
 *
 * Relies on transfer for what they say and when, and on the peer's certificate for its key. A job
 * names its connection and never points at it: the connection may go while a thread is at work. */
#include <string.h>

#include "edge.h"

#define CONTEXT "ww receipt 1"

struct receipt_job {
    struct ww_pool_job job;
    struct edge *edge;
    struct ww_hash remote;
    uint64_t serial; /* of the connection */
    struct ww_id id;
    bool is_ours;
    struct ww_receipt receipt; /* ours: to be signed */
    struct ww_public_key *key; /* theirs: who must have signed it; NULL: ours */
    uint8_t bytes[WW_RECEIPT_BYTES_MAX];
    size_t size; /* 0: it could not be signed */
    int rc;
};

/* --- on a thread of the pool ------------------------------------------------------------------ */

static void sign(struct receipt_job *job)
{
    struct ww_buf out = {
        .data = job->bytes, .capacity = sizeof(job->bytes), .limit = sizeof(job->bytes)};

    job->rc = ww_wire_receipt_encode(&job->receipt, &out);
    if (!job->rc)
        job->rc = ww_sign(job->edge->key, CONTEXT, job->bytes, out.size - WW_SIGNATURE_BYTES,
                          job->bytes + out.size - WW_SIGNATURE_BYTES);
    job->size = job->rc ? 0 : out.size;
}

static void verify(struct receipt_job *job)
{
    size_t signed_size = job->size - WW_SIGNATURE_BYTES; /* transfer has decoded it */

    job->rc = ww_verify(job->key, CONTEXT, job->bytes, signed_size, job->bytes + signed_size);
}

static void work(void *arg)
{
    struct receipt_job *job = arg;

    if (job->is_ours)
        sign(job);
    else
        verify(job);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void hand_over(struct conn *conn, const struct receipt_job *job)
{
    uint64_t now_us = ww_loop_now_us(conn->loop);

    if (job->is_ours)
        ww_transfer_receipt_signed(conn->transfer, &job->id, job->bytes, job->size, now_us);
    else
        ww_transfer_receipt_verified(conn->transfer, &job->id, job->bytes, job->size, job->rc,
                                     now_us);
    if (!job->is_ours && !job->rc)
        edge_open_first_receipt(conn->owner, conn);
}

static void done(void *arg)
{
    struct receipt_job *job = arg;
    struct conn *conn = edge_find(job->edge, &job->remote);

    if (conn && conn->serial == job->serial && !conn->closing_code) {
        hand_over(conn, job);
        conn_touch(conn);
    }
    ww_public_key_destroy(job->key);
    ww_free(job);
}

static int begin(struct conn *conn, const struct receipt_job *prepared)
{
    struct edge *edge = conn->owner;
    struct receipt_job *job = ww_alloc(1, sizeof(*job));

    if (!job)
        return WW_ENOMEM;
    *job = *prepared;
    if (job->key)
        ww_public_key_share(job->key);
    job->edge = edge;
    job->remote = conn->remote;
    job->serial = conn->serial;
    job->job = (struct ww_pool_job){.work = work, .done = done, .arg = job};
    int rc = ww_pool_submit(edge->pool, &job->job);
    if (rc) {
        ww_public_key_destroy(job->key);
        ww_free(job);
    }
    return rc;
}

/* It can't be handed to a thread: transfer hears so at once and asks again. */
static void fail(struct conn *conn, struct receipt_job *job, int rc)
{
    job->rc = rc;
    if (job->is_ours)
        job->size = 0;
    hand_over(conn, job);
}

void edge_receipt_due(void *arg, const struct ww_receipt *receipt)
{
    struct receipt_job job = {.is_ours = true, .id = receipt->contract_id, .receipt = *receipt};
    int rc = begin(arg, &job);

    if (rc)
        fail(arg, &job, rc);
}

void edge_receipt_came(void *arg, const struct ww_id *id, const uint8_t *bytes, size_t size)
{
    struct conn *conn = arg;
    struct receipt_job job = {.id = *id, .size = size};
    int rc = conn_peer_key(conn, &job.key);

    memcpy(job.bytes, bytes, size);
    if (rc == WW_EPEERKEY) {
        ww_transfer_abort(conn->transfer, rc);
        conn_lose(conn, rc);
        return;
    }
    if (!rc)
        rc = begin(conn, &job);
    if (rc)
        fail(conn, &job, rc);
}
