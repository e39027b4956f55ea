/* Durability: the open batch becomes one journal record, and whoever waits for it is told.
 *
 * Relies on the committer for order and for the disk. A batch is closed at the end of the loop's
 * turn; while WW_LEDGER_FLIGHTS_MAX are at the committer it stays open and fills, so one sync
 * serves all that came meanwhile. Must never tell anyone that a change is durable before the
 * committer said so, nor call anyone from within ww_ledger_commit or after ww_ledger_close. */
#include "internal.h"

#include <string.h>

#define WAITERS_AT_FIRST 16
/* When others have filled the committer's queue. */
#define RETRY_US 1000

/* --- flights -------------------------------------------------------------------------------- */

int ww_flight_create(struct ww_ledger *ledger, struct ww_flight **out)
{
    struct ww_flight *flight = ww_alloc(1, sizeof(*flight));

    if (!flight)
        return WW_ENOMEM;
    flight->ledger = ledger;
    if (ww_store_batch_create(&flight->batch)) {
        ww_free(flight);
        return WW_ENOMEM;
    }
    *out = flight;
    return 0;
}

void ww_flight_destroy(struct ww_flight *flight)
{
    if (!flight)
        return;
    ww_store_batch_destroy(flight->batch);
    ww_free(flight->waiters);
    ww_free(flight);
}

int ww_flight_add(struct ww_flight *flight, ww_ledger_commit_fn fn, void *arg)
{
    if (flight->waiter_count == flight->waiter_capacity) {
        size_t capacity = WW_MAX(flight->waiter_capacity * 2, (size_t)WAITERS_AT_FIRST);
        struct ww_waiter *waiters;

        if (flight->waiter_count >= WW_LEDGER_COMMITS_MAX)
            return WW_ELIMIT;
        waiters = ww_realloc(flight->waiters, capacity, sizeof(*waiters));
        if (!waiters)
            return WW_ENOMEM;
        flight->waiters = waiters;
        flight->waiter_capacity = capacity;
    }
    flight->waiters[flight->waiter_count++] = (struct ww_waiter){fn, arg};
    return 0;
}

/* Tells everyone, then frees the flight. A waiter may close the ledger: then nobody else is told.
 * False if that happened. */
static bool deliver(struct ww_ledger *ledger, struct ww_flight *flight, int rc)
{
    bool open;

    ledger->delivering = flight;
    for (size_t index = 0; index < flight->waiter_count && flight->ledger; index++)
        if (flight->waiters[index].fn)
            flight->waiters[index].fn(flight->waiters[index].arg, rc);
    open = flight->ledger != NULL;
    if (open)
        ledger->delivering = NULL;
    ww_flight_destroy(flight);
    return open;
}

/* --- closing the open batch ----------------------------------------------------------------- */

static void turn_end(void *arg);

static void close_soon(struct ww_ledger *ledger, uint64_t delay_us)
{
    if (!ww_timer_running(ledger->close_timer))
        ww_timer_start(ledger->close_timer, delay_us);
}

static void on_durable(void *arg, int rc);

void ww_ledger_break(struct ww_ledger *ledger)
{
    ledger->broken = true;
    close_soon(ledger, 0);
}

/* It can't be written: those who wait for it are told in their turn. */
static void refuse(struct ww_ledger *ledger, struct ww_flight *flight, int rc)
{
    ww_log(WW_LOG_ERROR, "ledger", "a batch can't be handed over", "code=%s", ww_error_name(rc));
    TAILQ_INSERT_TAIL(&ledger->air, flight, link);
    ledger->air_count++;
    flight->refused = true;
    ww_ledger_break(ledger);
}

void ww_flight_submit(struct ww_ledger *ledger, struct ww_flight *flight)
{
    struct ww_store_batch *batch = flight->batch;
    int rc;

    flight->batch = NULL;
    rc = ww_committer_submit(ledger->committer, batch, on_durable, flight);
    if (rc) {
        refuse(ledger, flight, rc);
        return;
    }
    TAILQ_INSERT_TAIL(&ledger->air, flight, link);
    ledger->air_count++;
}

/* The open batch becomes a journal record and leaves with the flight. Without memory to seal it in
 * the flight leaves with nothing and the ledger is broken, as after a failed write. */
static void send_open(struct ww_ledger *ledger, struct ww_flight *flight)
{
    struct ww_object object = {.kind = WW_OBJECT_JOURNAL};
    const struct ww_buf *sealed = &ledger->epochs.sealed;
    uint8_t key[WW_OBJECT_KEY_MAX];
    size_t key_size;
    int rc;

    ledger->last.sequence++;
    ledger->last.uptime_ms = ww_ledger_uptime_ms(ledger);
    ledger->last.horizon_ms = ledger->horizon_ms;
    rc = ww_journal_seal(&ledger->epochs, &ledger->open, &ledger->last, &ledger->chain);
    if (rc) {
        refuse(ledger, flight, rc);
        return;
    }
    object.sequence = ledger->last.sequence;
    key_size = ww_object_key(&object, key);
    ww_store_batch_put(flight->batch, key, key_size, sealed->data, sealed->size);
    ledger->journal_bytes += sealed->size;
    ledger->sealed_any = true;
    ww_buf_clear(&ledger->open);
    ww_flight_submit(ledger, flight);
    if (!ledger->broken && ww_ledger_fold_due(ledger))
        ww_ledger_fold(ledger);
}

static void send_next(struct ww_ledger *ledger)
{
    struct ww_flight *flight = ledger->next;

    ledger->next = NULL;
    send_open(ledger, flight);
}

/* Sends the open batch if somebody waits for it and there is room for it. */
static void try_send(struct ww_ledger *ledger)
{
    if (!ledger->next || !ww_ledger_has_changes(ledger) || ledger->broken)
        return;
    if (ledger->air_count >= WW_LEDGER_FLIGHTS_MAX &&
        ledger->open.size < WW_LEDGER_BATCH_BYTES_SOON)
        return;
    if (ww_committer_pending(ledger->committer) + 2 > WW_COMMITTER_QUEUE_MAX)
        close_soon(ledger, RETRY_US);
    else
        send_next(ledger);
}

/* Everyone who still waits for something that will not be written. */
static void fail_waiters(struct ww_ledger *ledger)
{
    struct ww_flight **rest[] = {&ledger->next, &ledger->ending, &ledger->waiting};
    struct ww_flight *flight;

    while ((flight = TAILQ_FIRST(&ledger->air)) && flight->refused) {
        TAILQ_REMOVE(&ledger->air, flight, link);
        ledger->air_count--;
        if (!deliver(ledger, flight, WW_EIO))
            return;
    }
    if (ledger->air_count > 0)
        return; /* those before come first */
    for (size_t index = 0; index < WW_ARRAY_COUNT(rest); index++) {
        flight = *rest[index];
        if (!flight)
            continue;
        *rest[index] = NULL;
        if (!deliver(ledger, flight, WW_EIO))
            return;
    }
}

/* The close timer: at the end of a turn, or when something may have come to be possible. */
static void turn_end(void *arg)
{
    struct ww_ledger *ledger = arg;
    struct ww_flight *flight;

    if (ledger->broken) {
        fail_waiters(ledger);
        return;
    }
    try_send(ledger);
    if (ledger->next && !ww_ledger_has_changes(ledger) && ledger->air_count == 0) {
        /* Nothing to write, and all before it is durable. */
        flight = ledger->next;
        ledger->next = NULL;
        deliver(ledger, flight, 0);
    }
}

static void on_durable(void *arg, int rc)
{
    struct ww_flight *flight = arg;
    struct ww_ledger *ledger = flight->ledger;

    if (!ledger) {
        ww_flight_destroy(flight);
        return;
    }
    TAILQ_REMOVE(&ledger->air, flight, link);
    ledger->air_count--;
    if (rc && !ledger->broken) {
        ledger->broken = true;
        ww_log(WW_LOG_ERROR, "ledger", "writing failed, every change is refused from now on",
               "code=%s", ww_error_name(rc));
    }
    try_send(ledger); /* the disk first, then those who wait */
    if (ledger->next || ledger->broken)
        close_soon(ledger, 0);
    deliver(ledger, flight, rc);
}

/* --- interface ------------------------------------------------------------------------------ */

int ww_ledger_commit(struct ww_ledger *ledger, ww_ledger_commit_fn fn, void *arg)
{
    int rc;

    if (ledger->broken)
        return WW_EIO;
    if (!ledger->next) {
        rc = ww_flight_create(ledger, &ledger->next);
        if (rc)
            return rc;
    }
    rc = ww_flight_add(ledger->next, fn, arg);
    if (rc)
        return rc;
    if (ledger->open.size >= WW_LEDGER_BATCH_BYTES_SOON)
        try_send(ledger);
    else if (ledger->air_count < WW_LEDGER_FLIGHTS_MAX)
        close_soon(ledger, 0);
    return 0;
}

int ww_ledger_send_open(struct ww_ledger *ledger)
{
    int rc;

    if (ledger->broken)
        return WW_EIO;
    if (ww_committer_pending(ledger->committer) + 3 > WW_COMMITTER_QUEUE_MAX)
        return WW_EAGAIN;
    if (!ww_ledger_has_changes(ledger))
        return 0;
    if (!ledger->next) {
        rc = ww_flight_create(ledger, &ledger->next);
        if (rc)
            return rc;
    }
    send_next(ledger);
    return ledger->broken ? WW_EIO : 0;
}

int ww_ledger_compact(struct ww_ledger *ledger)
{
    int rc = ww_ledger_send_open(ledger);

    return rc ? rc : ww_ledger_fold(ledger);
}

/* A new epoch every so often, if anything is sealed in this one. */
static void turn_regularly(void *arg)
{
    struct ww_ledger *ledger = arg;
    int rc = 0;

    ww_ledger_forget_requests(ledger, WW_LEDGER_CHANGED_MAX);
    if (ledger->sealed_any || ww_ledger_has_changes(ledger) || ledger->books->gone_count > 0)
        rc = ww_ledger_turn(ledger);
    if (rc == WW_EAGAIN || rc == WW_ENOMEM)
        ww_timer_start(ledger->fold_timer, WW_LEDGER_TURN_RETRY_US);
    else
        ww_timer_start(ledger->fold_timer, (uint64_t)WW_LEDGER_FOLD_MS * 1000);
}

int ww_ledger_commit_init(struct ww_ledger *ledger, struct ww_loop *loop)
{
    int rc = ww_timer_create(loop, turn_end, ledger, &ledger->close_timer);

    if (!rc)
        rc = ww_timer_create(loop, turn_regularly, ledger, &ledger->fold_timer);
    if (!rc)
        ww_timer_start(ledger->fold_timer, (uint64_t)WW_LEDGER_FOLD_MS * 1000);
    return rc;
}

void ww_ledger_commit_deinit(struct ww_ledger *ledger)
{
    struct ww_flight *flight;

    if (ledger->next && ww_ledger_has_changes(ledger) && !ledger->broken)
        send_next(ledger);
    ww_flight_destroy(ledger->next);
    ledger->next = NULL;
    if (ledger->delivering)
        ledger->delivering->ledger = NULL;
    while ((flight = TAILQ_FIRST(&ledger->air))) {
        TAILQ_REMOVE(&ledger->air, flight, link);
        flight->ledger = NULL;
        if (flight->refused)
            ww_flight_destroy(flight);
    }
    ww_timer_destroy(ledger->close_timer);
    ww_timer_destroy(ledger->fold_timer);
}
