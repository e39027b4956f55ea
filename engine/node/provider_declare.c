/* What the provider makes of declarations: which flows they cover, whether their signature is
 * right, and whether they prove malice.
 *
 * Relies on the fixed address list for the last: a signed destination that it denies closes the
 * contract, with the declaration in the close. A flow is served before it is declared, but for a
 * bounded time and number: each destination that was opened and not declared is a debt. */
#include <string.h>

#include "provider.h"

#define CONTEXT "ww declaration 1"

struct debt {
    UT_hash_handle hh;
    uint8_t digest[DECLARED_DIGEST]; /* key */
    uint64_t since_us;
};

struct provider_declaring {
    struct debt *debts;
    bool is_sampling, is_proving; /* a job of that kind is under way */
    uint64_t served_us;           /* undeclared, on the client's connections before this one */
    uint64_t denied;              /* signed destinations that the fixed list denies */
    uint64_t declarations;
    struct declared set;
};

struct verify_job {
    struct ww_pool_job job;
    struct edge *edge;
    struct ww_hash remote;
    uint64_t serial; /* of the connection */
    struct ww_id contract;
    uint64_t denied; /* destinations in it that the fixed list denies */
    struct ww_public_key *key;
    uint8_t bytes[WW_DECLARATION_BYTES_MAX];
    size_t size;
    int rc;
};

static struct provider_debtor *find_debtor(struct conn *conn)
{
    struct provider *provider = conn->owner;
    uint64_t now_us = ww_loop_now_us(conn->loop);

    for (size_t i = 0; i < WW_NODE_DEBTORS_MAX; i++) {
        struct provider_debtor *debtor = &provider->debtors[i];

        if (debtor->served_us && ww_hash_equal(&debtor->client, &conn->remote) &&
            now_us - debtor->left_us < WW_NODE_DEBTOR_US)
            return debtor;
    }
    return NULL;
}

/* Its own place, or that of whom nothing was heard of for longest. */
static void remember_debtor(struct conn *conn, uint64_t served_us)
{
    struct provider *provider = conn->owner;
    struct provider_debtor *known = find_debtor(conn), *debtor = provider->debtors;

    for (size_t i = 1; i < WW_NODE_DEBTORS_MAX; i++)
        debtor = provider->debtors[i].left_us < debtor->left_us ? &provider->debtors[i] : debtor;
    debtor = known ? known : debtor;
    *debtor = (struct provider_debtor){
        .client = conn->remote, .served_us = served_us, .left_us = ww_loop_now_us(conn->loop)};
}

static struct provider_declaring *of(struct conn *conn)
{
    struct provider_declaring *declaring = conn->declaring;
    const struct provider_debtor *debtor;

    if (declaring)
        return declaring;
    conn->declaring = declaring = ww_alloc(1, sizeof(*declaring));
    debtor = declaring ? find_debtor(conn) : NULL;
    if (debtor)
        declaring->served_us = debtor->served_us;
    return declaring;
}

static void pay(struct provider_declaring *declaring, struct debt *debt)
{
    HASH_DEL(declaring->debts, debt);
    ww_free(debt);
}

void provider_declare_stop(struct conn *conn)
{
    struct provider_declaring *declaring = conn->declaring;
    struct debt *debt, *next;

    if (!declaring)
        return;
    if (declaring->debts)
        remember_debtor(conn, declaring->served_us + ww_loop_now_us(conn->loop) -
                                  declaring->debts->since_us + 1);
    HASH_ITER(hh, declaring->debts, debt, next)
    pay(declaring, debt);
    ww_free(declaring);
    conn->declaring = NULL;
}

/* --- what is owed ----------------------------------------------------------------------------- */

/* The lane keeps the order: as long as nothing comes, the declaration may be under way, and the
 * path lost. That excuse is for all of a client's connections together, but for a moment each: who
 * comes with a new one each time has to buy a contract for it. */
static bool is_overdue(const struct conn *conn, const struct debt *debt)
{
    const struct provider_declaring *declaring = conn->declaring;
    uint64_t excuse_us = WW_NODE_UNDECLARED_MOST_US -
                         WW_MIN(declaring->served_us,
                                (uint64_t)WW_NODE_UNDECLARED_MOST_US - WW_NODE_UNDECLARED_LEAST_US);

    return conn->heard_us >= debt->since_us + WW_NODE_UNDECLARED_US ||
           ww_loop_now_us(conn->loop) - debt->since_us >= excuse_us;
}

static struct debt *find_debt(const struct provider_declaring *declaring,
                              const uint8_t digest[DECLARED_DIGEST])
{
    struct debt *debt = NULL;
    HASH_FIND(hh, declaring->debts, digest, DECLARED_DIGEST, debt);
    return debt;
}

int provider_owe(struct conn *conn, const struct ww_dest *dest, uint8_t digest[DECLARED_DIGEST])
{
    struct provider_declaring *declaring = of(conn);
    struct debt *debt;

    if (!declaring)
        return WW_ENOMEM;
    declared_digest(dest, digest);
    if (declared_has(&declaring->set, digest))
        return 0;
    /* uthash keeps the order of adding: the first is the oldest. */
    if ((declaring->debts && is_overdue(conn, declaring->debts)) ||
        HASH_COUNT(declaring->debts) >= WW_STREAMS_MAX)
        return WW_EUNDECLARED;
    if (find_debt(declaring, digest))
        return 0;
    debt = ww_alloc(1, sizeof(*debt));
    if (!debt)
        return WW_ENOMEM;
    memcpy(debt->digest, digest, DECLARED_DIGEST);
    debt->since_us = ww_loop_now_us(conn->loop);
    HASH_ADD(hh, declaring->debts, digest, DECLARED_DIGEST, debt);
    if (debt->hh.tbl)
        return 0;
    ww_free(debt);
    return WW_ENOMEM;
}

bool provider_owes(struct conn *conn, const uint8_t digest[DECLARED_DIGEST])
{
    const struct provider_declaring *declaring = conn->declaring;

    return declaring && find_debt(declaring, digest);
}

bool provider_is_overdue(struct conn *conn, const uint8_t digest[DECLARED_DIGEST])
{
    const struct provider_declaring *declaring = conn->declaring;
    const struct debt *debt = declaring ? find_debt(declaring, digest) : NULL;

    return debt && is_overdue(conn, debt);
}

void provider_declare_age(struct conn *conn, uint64_t us)
{
    struct provider_declaring *declaring = conn->declaring;
    struct debt *debt, *next;

    HASH_ITER(hh, declaring->debts, debt, next)
    debt->since_us -= us;
}

/* --- proof ------------------------------------------------------------------------------------ */

/* A name is never proof, and neither is what this provider alone denies, or excepts. */
static bool is_denied(const struct provider *provider, const struct ww_dest *dest)
{
    uint8_t address[16];
    bool is_v4 = dest->kind == WW_DEST_IPV4;

    if (dest->kind == WW_DEST_NAME)
        return false;
    if (is_v4)
        ww_address_map(dest->address, address);
    else
        memcpy(address, dest->address, sizeof(address));
    return ww_address_judge(NULL, address, is_v4, NULL) != 0 &&
           ww_address_judge(provider->rules, address, is_v4, NULL) != 0;
}

static void work(void *arg)
{
    struct verify_job *job = arg;
    size_t signed_size = job->size - WW_SIGNATURE_BYTES; /* transfer has decoded it */

    job->rc = ww_verify(job->key, CONTEXT, job->bytes, signed_size, job->bytes + signed_size);
}

static void judge(struct conn *conn, const struct verify_job *job)
{
    struct provider *provider = conn->owner;
    struct provider_declaring *declaring = conn->declaring;

    if (job->denied)
        declaring->is_proving = false;
    else
        declaring->is_sampling = false;
    if (job->rc == WW_EAUTH) {
        ww_log(WW_LOG_WARN, "provider", "a declaration's signature is wrong");
        ww_transfer_abort(conn->transfer, WW_EAUTH);
        conn_lose(conn, WW_EAUTH);
        return;
    }
    if (job->rc || !job->denied)
        return;
    declaring->denied += job->denied;
    if (declaring->denied < provider->denied_flows)
        return;
    ww_log(WW_LOG_WARN, "provider", "a client has signed a destination that the fixed list denies");
    provider->denied_contracts++;
    provider_prove(provider, &job->contract, job->bytes, job->size);
    ww_transfer_abort(conn->transfer, WW_EDESTINATION);
    conn_lose(conn, WW_EDESTINATION);
}

static void release(struct verify_job *job)
{
    ww_public_key_destroy(job->key);
    ww_free(job);
}

static void done(void *arg)
{
    struct verify_job *job = arg;
    struct conn *conn = edge_find(job->edge, &job->remote);

    if (conn && conn->serial == job->serial && !conn->closing_code && conn->declaring)
        judge(conn, job);
    release(job);
}

static int verify(struct conn *conn, const struct ww_declaration *declaration, const uint8_t *bytes,
                  size_t size, uint64_t denied)
{
    struct verify_job *job;
    struct ww_public_key *key;
    int rc = conn_peer_key(conn, &key);

    if (rc)
        return rc;
    job = ww_alloc(1, sizeof(*job));
    if (!job)
        return WW_ENOMEM;
    job->edge = conn->owner;
    job->remote = conn->remote;
    job->serial = conn->serial;
    job->key = ww_public_key_share(key);
    job->contract = declaration->contract_id;
    job->denied = denied;
    job->job = (struct ww_pool_job){.work = work, .done = done, .arg = job};
    memcpy(job->bytes, bytes, size);
    job->size = size;
    rc = ww_pool_submit(job->edge->pool, &job->job);
    if (rc)
        release(job);
    return rc;
}

static bool is_sampled(const struct provider_declaring *declaring)
{
    uint8_t number;

    if (declaring->is_sampling)
        return false;
    ww_random_bytes(&number, sizeof(number));
    return declaring->declarations == 1 || number % WW_NODE_DECLARATION_SAMPLE == 0;
}

void provider_declaration(void *arg, const struct ww_declaration *declaration, const uint8_t *bytes,
                          size_t size)
{
    struct conn *conn = arg;
    const struct provider *provider = conn->owner;
    struct provider_declaring *declaring = of(conn);
    uint64_t denied = 0;
    int rc = 0;

    if (!declaring) {
        /* The two ends would not agree any more on what is declared. */
        conn_lose(conn, WW_ENOMEM);
        return;
    }
    declaring->declarations++;
    for (size_t index = 0; index < declaration->dest_count; index++) {
        uint8_t digest[DECLARED_DIGEST];
        struct debt *debt;

        declared_digest(&declaration->dests[index], digest);
        declared_add(&declaring->set, digest);
        debt = find_debt(declaring, digest);
        if (debt)
            pay(declaring, debt);
        denied += is_denied(provider, &declaration->dests[index]);
    }
    if (denied && !declaring->is_proving) {
        rc = verify(conn, declaration, bytes, size, denied);
        declaring->is_proving = !rc;
    } else if (!denied && is_sampled(declaring)) {
        rc = verify(conn, declaration, bytes, size, 0);
        declaring->is_sampling = !rc;
    }
    if (rc)
        ww_log(WW_LOG_WARN, "provider", "a declaration could not be verified", "code=%s",
               ww_error_name(rc));
}
