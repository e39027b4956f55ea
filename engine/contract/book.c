/* The outcome of a step in the books: see ww/book.h.
 *
 * Relies on the step function for what is right and on ledger for what is possible. Must never move
 * money in any other way than by one call of the ledger, which does all of it or nothing.
 */
#include "ww/book.h"

#include <string.h>

static void count_paid(struct ww_contract_booked *booked)
{
    while (booked->paid_count < WW_CONTRACT_PARTS_MAX && booked->paid[booked->paid_count].asset[0])
        booked->paid_count++;
}

static int split(struct ww_ledger *ledger, const struct ww_contract *after,
                 const struct ww_contract_outcome *outcome, const uint8_t *record, size_t size,
                 struct ww_part *paid)
{
    const struct ww_ledger_split shares = {
        .payee = after->provider_network,
        .used = outcome->used,
        .tail = after->disputed_bytes,
        .total = after->bytes,
        .record = record,
        .record_size = size,
    };

    return ww_ledger_split(ledger, &after->id, &shares, paid);
}

int ww_contract_book(struct ww_ledger *ledger, const struct ww_contract *after,
                     const struct ww_contract_outcome *outcome, struct ww_contract_booked *booked)
{
    uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX];
    size_t size = ww_contract_encode(after, record);
    int rc = WW_EINVAL;

    memset(booked, 0, sizeof(*booked));
    switch (outcome->action) {
    case WW_CONTRACT_NOTHING:
        rc = 0;
        break;
    case WW_CONTRACT_STORE:
    case WW_CONTRACT_SIGN:
    case WW_CONTRACT_VERIFY:
    case WW_CONTRACT_RECALL:
        rc = ww_ledger_record(ledger, &after->id, record, size);
        break;
    case WW_CONTRACT_VOID:
        rc = ww_ledger_void(ledger, &after->id);
        booked->gone = rc == 0;
        break;
    case WW_CONTRACT_SETTLE:
        rc = ww_ledger_settle(ledger, &after->id, &after->provider_network, outcome->part,
                              outcome->whole, booked->paid);
        booked->gone = rc == 0;
        break;
    case WW_CONTRACT_DISPUTE:
        rc = ww_ledger_dispute(ledger, &after->id, record, size);
        break;
    case WW_CONTRACT_SPLIT:
        rc = split(ledger, after, outcome, record, size, booked->paid);
        break;
    }
    if (!rc)
        count_paid(booked);
    return rc;
}
