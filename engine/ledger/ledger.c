/* Opening, closing, and doing items: the frame that the operations stand in. Relies on replay for
 * what is stored and on commit for what becomes durable. Must never change the books without
 * putting the same items into the open batch. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

uint64_t ww_ledger_uptime_ms(const struct ww_ledger *ledger)
{
    return ledger->uptime_base_ms + ww_clock_mono_us() / 1000 - ledger->opened_at_mono_ms +
           ledger->advance_ms;
}

uint64_t ww_ledger_wall_ms(const struct ww_ledger *ledger)
{
    return ww_clock_wall_ms() + ledger->advance_ms;
}

void ww_ledger_advance_clock(struct ww_ledger *ledger, uint64_t ms)
{
    ledger->advance_ms += ms;
}

static int check_opened(struct ww_ledger *ledger, char *why, size_t why_size)
{
    struct ww_ledger_report report;
    int rc = ww_ledger_check(ledger, &report);

    if (rc && why_size > 0)
        snprintf(why, why_size, "%s", report.why);
    return rc;
}

int ww_ledger_open(struct ww_store *store, struct ww_loop *loop, struct ww_committer *committer,
                   struct ww_ledger **out, char *why, size_t why_size)
{
    struct ww_ledger *ledger = ww_alloc(1, sizeof(*ledger));
    int rc;

    if (why_size > 0)
        why[0] = '\0';
    if (!ledger)
        return WW_ENOMEM;
    ledger->store = store;
    ledger->committer = committer;
    ww_buf_init(&ledger->open, WW_LEDGER_BATCH_BYTES_MAX);
    ww_epochs_init(&ledger->epochs);
    TAILQ_INIT(&ledger->air);
    ledger->opened_at_mono_ms = ww_clock_mono_us() / 1000;
    rc = ww_books_create(&ledger->books);
    if (rc)
        goto fail;
    rc = ww_epochs_load(&ledger->epochs, store);
    if (rc)
        goto fail;
    rc = ww_ledger_replay(ledger, why, why_size);
    if (rc)
        goto fail;
    rc = check_opened(ledger, why, why_size);
    if (rc)
        goto fail;
    ledger->uptime_base_ms = ledger->last.uptime_ms;
    ledger->horizon_ms = ledger->last.horizon_ms;
    rc = ww_ledger_commit_init(ledger, loop);
    if (rc)
        goto fail;
    rc = ww_ledger_turn_init(ledger, loop);
    if (rc)
        goto fail;
    *out = ledger;
    return 0;
fail:
    ww_ledger_close(ledger);
    return rc;
}

void ww_ledger_close(struct ww_ledger *ledger)
{
    if (!ledger)
        return;
    ww_ledger_commit_deinit(ledger);
    ww_ledger_turn_deinit(ledger);
    ww_buf_deinit(&ledger->open);
    ww_epochs_deinit(&ledger->epochs);
    ww_books_destroy(ledger->books);
    ww_free(ledger);
}

/* --- doing items ---------------------------------------------------------------------------- */

/* At most what ww_ledger_item_put appends for it. */
static size_t item_bytes_max(const struct ww_ledger_item *item)
{
    size_t bytes = WW_LEDGER_ITEM_BYTES_MAX;

    switch (item->kind) {
    case WW_ITEM_HOLD:
        bytes += item->hold.record_size;
        break;
    case WW_ITEM_RECORD:
        bytes += item->record.record_size;
        break;
    case WW_ITEM_FACT:
        bytes += item->fact.value_size;
        break;
    case WW_ITEM_ENTRY:
    case WW_ITEM_DISPUTE:
    case WW_ITEM_FORGET:
    case WW_ITEM_UNFACT:
    case WW_ITEM_REQUEST:
        break;
    }
    return bytes;
}

/* Room in the open batch, so that nothing that follows can fail for want of it; and room to seal
 * it in. */
static int make_room(struct ww_ledger *ledger, size_t bytes)
{
    int rc;

    if (ledger->broken)
        return WW_EIO;
    ww_buf_clear(&ledger->epochs.sealed);
    if (!ww_buf_reserve(&ledger->epochs.sealed,
                        ledger->open.size + bytes + 2 * WW_JOURNAL_OVERHEAD))
        return WW_ENOMEM; /* of twice the limit: never too big */
    if (ww_buf_reserve(&ledger->open, bytes + WW_JOURNAL_HEAD_SIZE)) {
        if (ledger->open.size == 0)
            ww_journal_begin(&ledger->open);
        return 0;
    }
    rc = ledger->open.error;
    ledger->open.error = 0; /* what is in it is whole */
    return rc == WW_ETOOBIG ? WW_ELIMIT : rc;
}

int ww_ledger_run(struct ww_ledger *ledger, const struct ww_ledger_item *items, size_t count)
{
    size_t bytes = 0, before;
    int rc;

    for (size_t index = 0; index < count; index++)
        bytes += item_bytes_max(&items[index]);
    rc = make_room(ledger, bytes);
    if (rc)
        return rc;

    /* Encoded first: an item may borrow what applying it frees. */
    before = ledger->open.size;
    for (size_t index = 0; index < count; index++)
        ww_ledger_item_put(&ledger->open, &items[index]);
    WW_REQUIRE(!ledger->open.error && ledger->open.size <= before + bytes);
    for (size_t index = 0; index < count; index++) {
        rc = ww_books_apply(ledger->books, &items[index]);
        WW_REQUIRE(rc == 0 || index == 0);
        if (rc) {
            ledger->open.size = before;
            return rc;
        }
    }
    return 0;
}

bool ww_ledger_has_changes(const struct ww_ledger *ledger)
{
    return ledger->open.size > WW_JOURNAL_HEAD_SIZE;
}
