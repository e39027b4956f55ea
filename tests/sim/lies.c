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

/* Of the right contract, and signed by the wrong key. */
static void invent(const struct world *world, const struct deal *deal, struct ww_close *record)
{
    const struct party *provider = &world->parties[deal->provider];
    struct ww_declaration declaration = {.contract_id = deal->id,
                                         .batch = 1,
                                         .list_version = 1,
                                         .dest_count = 1,
                                         .dests = {sim_dest(false)}};
    struct ww_buf out = {.data = record->declaration,
                         .capacity = sizeof(record->declaration),
                         .limit = sizeof(record->declaration)};

    declaration.dests[0].address[0] = 10;
    if (ww_wire_declaration_encode(&declaration, &out))
        return;
    record->declaration_size = out.size;
    record->reason = WW_CLOSE_DENIED;
    size_t signed_size = out.size - WW_SIGNATURE_BYTES;
    sign_bytes(provider, "ww declaration 1", record->declaration, signed_size,
               record->declaration + signed_size);
}

static void make_second(const struct deal *deal, const struct party *signer, struct side *holder,
                        struct ww_receipt receipt)
{
    struct ww_buf out = {.data = holder->second,
                         .capacity = sizeof(holder->second),
                         .limit = sizeof(holder->second)};

    receipt.contract_id = deal->id;
    receipt.sequence += 1000; /* later, and less */
    receipt.bytes_received -= receipt.bytes_received > 0;
    if (ww_wire_receipt_encode(&receipt, &out))
        return;
    holder->second_size = out.size;
    sign_bytes(signer, "ww receipt 1", holder->second, out.size - WW_SIGNATURE_BYTES,
               holder->second + out.size - WW_SIGNATURE_BYTES);
}

void lies_sign_second(struct world *world, struct deal *deal, enum ww_contract_party signer,
                      const struct ww_receipt *receipt)
{
    const struct party *party = &world->parties[world_party(deal, signer)];

    if (party->lie == LIE_BACK && world_chance(world, 300000))
        make_second(deal, party, &deal->sides[!signer], *receipt);
}

static void frame(const struct deal *deal, const struct party *party, struct side *own)
{
    struct ww_receipt receipt;

    if (own->close.receipt.size &&
        ww_wire_receipt_decode(own->close.receipt.bytes, own->close.receipt.size, &receipt, NULL) ==
            0)
        make_second(deal, party, own, receipt);
}

static void lie(const struct world *world, const struct deal *deal, unsigned sent, enum lie how,
                struct ww_close *record)
{
    switch (how) {
    case LIE_NONE:
    case LIE_SILENT:
    case LIE_DENIED: /* as it opens streams */
    case LIE_BACK:   /* as it signs receipts */
    case LIE_FRAME:
        return;
    case LIE_INVENT:
        invent(world, deal, record);
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

size_t lies_encode_close(struct world *world, struct deal *deal, enum ww_contract_party side,
                         uint8_t bytes[WORLD_CLOSE_BYTES])
{
    struct side *own = &deal->sides[side];
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
    record.declaration_size = own->proof_size;
    memcpy(record.declaration, own->proof, own->proof_size);
    if (party->lie == LIE_FRAME)
        frame(deal, party, own);
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
