/* From one epoch to the next, so that what was forgotten can't be read from old bytes of the disk.
 *
 * A turn makes a new key (on disk before anything is sealed with it), seals again what the stored
 * snapshot has sealed with the old one, a few milliseconds' worth at a time, folds, and has the old
 * key erased once that is durable. Relies on the committer's order. What has changed since the
 * snapshot is left to the fold: written before, the journal would do it twice. A turn that a crash
 * cuts off leaves two keys, and is finished after the next open. Must never tell anyone that the
 * old key is gone before the store has said so. */
#include "internal.h"

#include <string.h>

/* As long again for everything else. */
#define BETWEEN_SLICES_US WW_LEDGER_TURN_SLICE_US
#define CLOCK_EVERY       16

/* The first one who waits for the flight that ends a turn. */
static void turned(void *arg, int rc)
{
    struct ww_ledger *ledger = arg;

    if (rc)
        return;
    ww_epochs_drop_old(&ledger->epochs);
    ledger->turning = ledger->ended = false;
    /* The next one begins in a turn of the loop of its own. */
    if (ledger->waiting)
        ww_timer_start(ledger->turn_timer, 0);
}

/* The flight that ends a turn; others may wait for it too. */
static int make_ending(struct ww_ledger *ledger, struct ww_flight **out)
{
    struct ww_flight *flight;
    int rc;

    if (*out)
        return 0;
    rc = ww_flight_create(ledger, &flight);
    if (rc)
        return rc;
    rc = ww_flight_add(flight, turned, ledger);
    if (rc) {
        ww_flight_destroy(flight);
        return rc;
    }
    *out = flight;
    return 0;
}

/* --- sealing again -------------------------------------------------------------------------- */

static void resealed(void *arg, int rc)
{
    struct ww_ledger *ledger = arg;

    ledger->resealing = false;
    if (!rc)
        ww_timer_start(ledger->turn_timer, BETWEEN_SLICES_US);
}

/* What has changed is left to the fold, which seals it in the new epoch. */
static int reseal_slice(struct ww_ledger *ledger, struct ww_store_batch *batch)
{
    uint64_t until_us = ww_clock_mono_us() + WW_LEDGER_TURN_SLICE_US;
    struct ww_books *books = ledger->books;
    struct ww_entity *entity;
    unsigned count = 0;
    int rc = 0;

    while ((entity = ww_books_stale(books))) {
        struct ww_object object;

        if (!entity->changed) {
            ww_books_image(books, entity, &object);
            rc = ww_object_store(batch, &ledger->epochs, &object);
            if (rc)
                return rc;
        }
        ledger->sealed_any = true;
        ww_books_resealed(books, entity);
        if (++count % CLOCK_EVERY == 0 && ww_clock_mono_us() >= until_us)
            return 0;
    }
    return 0;
}

/* What was sealed before memory ran out leaves all the same: it counts as done. */
static int reseal(struct ww_ledger *ledger)
{
    struct ww_flight *flight;
    int rc = ww_flight_create(ledger, &flight);

    if (rc)
        return rc;
    rc = ww_flight_add(flight, resealed, ledger);
    if (rc) {
        ww_flight_destroy(flight);
        return rc;
    }
    ww_ledger_forget_requests(ledger, WW_LEDGER_CHANGED_MAX / 4);
    reseal_slice(ledger, flight->batch);
    ledger->resealing = true;
    ww_flight_submit(ledger, flight);
    return ledger->broken ? WW_EIO : 0;
}

/* --- beginning and ending ------------------------------------------------------------------- */

static int begin(struct ww_ledger *ledger)
{
    struct ww_flight *flight = NULL;
    int rc = make_ending(ledger, &ledger->waiting);

    if (!rc)
        rc = ww_flight_create(ledger, &flight);
    /* What has happened so far belongs to the old epoch. */
    if (!rc)
        rc = ww_ledger_send_open(ledger);
    if (!rc)
        rc = ww_epochs_turn(&ledger->epochs);
    if (rc) {
        ww_flight_destroy(flight);
        return rc;
    }
    ww_books_turn(ledger->books);
    ww_epochs_put_current(&ledger->epochs, flight->batch);
    ledger->sealed_any = false;
    ledger->turning = true;
    ledger->ending = ledger->waiting;
    ledger->waiting = NULL;
    ww_flight_submit(ledger, flight);
    ww_timer_start(ledger->turn_timer, 0);
    return ledger->broken ? WW_EIO : 0;
}

static int end(struct ww_ledger *ledger)
{
    struct ww_flight *flight;
    int rc = make_ending(ledger, &ledger->ending);

    if (!rc)
        rc = ww_ledger_send_open(ledger);
    if (rc)
        return rc;
    flight = ledger->ending;
    ledger->ending = NULL;
    rc = ww_ledger_fold_at_end(ledger, flight);
    ledger->ended = rc == 0;
    if (rc && rc != WW_EIO)
        ledger->ending = flight;
    return rc;
}

static void proceed(void *arg)
{
    struct ww_ledger *ledger = arg;
    int rc = 0;

    if (ledger->broken || ledger->resealing)
        return;
    if (ww_committer_pending(ledger->committer) + 3 > WW_COMMITTER_QUEUE_MAX)
        rc = WW_EAGAIN;
    else if (!ledger->turning && ledger->waiting)
        rc = begin(ledger);
    else if (ledger->turning && ww_books_stale(ledger->books))
        rc = reseal(ledger);
    else if (ledger->turning && !ledger->ended)
        rc = end(ledger);
    if (rc == WW_EAGAIN || rc == WW_ENOMEM)
        ww_timer_start(ledger->turn_timer, WW_LEDGER_TURN_RETRY_US);
}

int ww_ledger_turn(struct ww_ledger *ledger)
{
    if (ledger->broken)
        return WW_EIO;
    return ledger->turning ? 0 : begin(ledger);
}

int ww_ledger_forget(struct ww_ledger *ledger, ww_ledger_commit_fn fn, void *arg)
{
    int rc;

    if (ledger->broken)
        return WW_EIO;
    rc = make_ending(ledger, &ledger->waiting);
    if (!rc)
        rc = ww_flight_add(ledger->waiting, fn, arg);
    if (!rc && !ledger->turning)
        ww_timer_start(ledger->turn_timer, 0);
    return rc;
}

/* --- opening and closing -------------------------------------------------------------------- */

static int write_first_key(struct ww_ledger *ledger)
{
    struct ww_store_batch *batch;
    int rc = ww_store_batch_create(&batch);

    if (rc)
        return rc;
    rc = ww_epochs_turn(&ledger->epochs);
    if (!rc) {
        ww_epochs_put_current(&ledger->epochs, batch);
        rc = ww_store_write(ledger->store, batch, true);
    }
    ww_store_batch_destroy(batch);
    return rc;
}

int ww_ledger_turn_init(struct ww_ledger *ledger, struct ww_loop *loop)
{
    int rc = ww_timer_create(loop, proceed, ledger, &ledger->turn_timer);

    if (!rc && ledger->epochs.current.id == 0)
        return write_first_key(ledger);
    ledger->sealed_any = true; /* who knows */
    ledger->turning = ledger->epochs.old.id != 0;
    if (!rc && ledger->turning)
        ww_timer_start(ledger->turn_timer, 0);
    return rc;
}

void ww_ledger_turn_deinit(struct ww_ledger *ledger)
{
    ww_timer_destroy(ledger->turn_timer);
    ww_flight_destroy(ledger->ending);
    ww_flight_destroy(ledger->waiting);
}
