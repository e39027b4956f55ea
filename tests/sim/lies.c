/* Closes as they are sent: by honest parties as they are, by the others with their lie. */
#include <string.h>

#include "world.h"

static void forge_receipt(struct ww_close *record)
{
    struct ww_receipt receipt;
    struct ww_buf out = {.data = record->receipt,
                         .capacity = sizeof(record->receipt),
                         .limit = sizeof(record->receipt)};

    if (!record->receipt_size ||
        ww_wire_receipt_decode(record->receipt, record->receipt_size, &receipt, NULL))
        return;
    receipt.bytes_received += 50000;
    receipt.sequence++;
    if (ww_wire_receipt_encode(&receipt, &out) == 0)
        record->receipt_size = out.size;
    record->bytes_down += 50000;
}

static void replay_receipt(const struct world *world, const struct deal *deal,
                           struct ww_close *record)
{
    for (size_t i = 0; i < world->deal_count; i++) {
        const struct ww_transfer_counts *other = &world->deals[i].sides[WW_CONTRACT_PROVIDER].saved;

        if (&world->deals[i] == deal || !other->receipt_size)
            continue;
        record->receipt_size = other->receipt_size;
        memcpy(record->receipt, other->receipt, other->receipt_size);
        record->bytes_down += 50000;
        return;
    }
}

static void lie(const struct world *world, const struct deal *deal, unsigned sent, enum lie how,
                struct ww_close *record)
{
    switch (how) {
    case LIE_NONE:
    case LIE_SILENT:
        return;
    case LIE_TWICE:
        record->bytes_down += sent % 2 ? 4096 : 0;
        return;
    case LIE_UNDER:
        record->bytes_up /= 2;
        record->bytes_down /= 2;
        return;
    case LIE_SHAVE:
        record->bytes_down -= record->bytes_down / 110;
        return;
    case LIE_NEVER:
        record->bytes_up = record->bytes_down = 0;
        record->reason = WW_CLOSE_NEVER_OPENED;
        return;
    case LIE_OVER:
        record->bytes_down += 32768;
        return;
    case LIE_FAR:
        record->bytes_down += 3 << 20;
        return;
    case LIE_TAIL:
        record->bytes_down += record->bytes_down / 200;
        return;
    case LIE_FORGE:
        forge_receipt(record);
        return;
    case LIE_STALE:
        record->receipt_size = 0;
        return;
    case LIE_REPLAY:
        replay_receipt(world, deal, record);
        return;
    }
}

size_t lies_encode_close(struct world *world, const struct deal *deal, enum ww_contract_party side,
                         uint8_t bytes[WORLD_CLOSE_BYTES])
{
    const struct side *own = &deal->sides[side];
    const struct party *party = &world->parties[world_party(deal, side)];
    struct ww_close record = {.contract_id = deal->id, .party = party->node};
    struct ww_buf out = {.data = bytes, .capacity = WORLD_CLOSE_BYTES, .limit = WORLD_CLOSE_BYTES};

    if (party->lie == LIE_SILENT)
        return 0;
    memcpy(record.epoch, own->close.epoch, WW_EPOCH_SIZE);
    record.bytes_up = own->close.bytes_up;
    record.bytes_down = own->close.bytes_down;
    record.reason = own->close.reason;
    record.receipt_size = own->close.receipt.size;
    memcpy(record.receipt, own->close.receipt.bytes, record.receipt_size);
    lie(world, deal, own->closes_sent, party->lie, &record);
    record.first_ms = record.last_ms = record.bytes_up + record.bytes_down ? 1 : 0;
    if (ww_wire_close_encode(&record, &out)) {
        CHECK(world, party->lie != LIE_NONE, "an honest close can't be encoded");
        return 0;
    }
    sign_bytes(party, "ww close 1", bytes, out.size - WW_SIGNATURE_BYTES,
               bytes + out.size - WW_SIGNATURE_BYTES);
    return out.size;
}
