/* What is looked at when signatures are: everything that may be evidence in a contract. Pure but
 * for the caller's eyes: see ww/contract.h.
 *
 * Must never take for signed what the eyes don't, nor for this contract's what names another.
 */
#include <string.h>

#include "internal.h"

void ww_contract_close_fill(const struct ww_close *record, struct ww_contract_close *close)
{
    close->present = true;
    close->reason = record->reason;
    close->bytes_up = record->bytes_up;
    close->bytes_down = record->bytes_down;
    memcpy(close->epoch, record->epoch, sizeof(close->epoch));
    close->first_ms = record->first_ms;
    close->last_ms = record->last_ms;
    close->declaration_size = (uint16_t)record->declaration_size;
    close->receipt.size = (uint8_t)record->receipt_size;
    memcpy(close->receipt.bytes, record->receipt, record->receipt_size);
    memcpy(close->signature, record->signature, sizeof(close->signature));
}

bool contract_read_receipt(const struct ww_contract *contract,
                           const struct ww_contract_receipt *from, struct ww_receipt *receipt,
                           size_t *signed_size)
{
    return from->size > 0 &&
           ww_wire_receipt_decode(from->bytes, from->size, receipt, signed_size) == 0 &&
           ww_id_equal(&receipt->contract_id, &contract->id);
}

static void look_at_receipt(const struct ww_contract *contract, enum ww_contract_party signer,
                            const struct ww_contract_receipt *from,
                            const struct ww_contract_eyes *eyes, struct ww_contract_sight *sight)
{
    size_t signed_size = 0;

    sight->valid = contract_read_receipt(contract, from, &sight->receipt, &signed_size) &&
                   eyes->is_signed(eyes->arg, signer, "ww receipt 1", from->bytes, signed_size);
}

static bool look_at_declaration(const struct ww_contract *contract, const uint8_t *bytes,
                                size_t size, const struct ww_contract_eyes *eyes)
{
    struct ww_declaration declaration;
    size_t signed_size = 0;

    if (size == 0 || ww_wire_declaration_decode(bytes, size, &declaration, &signed_size) ||
        !ww_id_equal(&declaration.contract_id, &contract->id) ||
        !eyes->is_signed(eyes->arg, WW_CONTRACT_CLIENT, "ww declaration 1", bytes, signed_size))
        return false;
    for (size_t index = 0; index < declaration.dest_count; index++) {
        if (eyes->is_denied(eyes->arg, &declaration.dests[index]))
            return true;
    }
    return false;
}

void ww_contract_gather(const struct ww_contract *contract, const uint8_t *declaration,
                        size_t declaration_size, const struct ww_contract_eyes *eyes,
                        struct ww_contract_evidence *evidence)
{
    memset(evidence, 0, sizeof(*evidence));
    for (int signer = 0; signer < 2; signer++) {
        const struct ww_contract_close *close = &contract->closes[!signer];
        struct ww_contract_sight *sights = evidence->sights[signer];

        if (close->present)
            look_at_receipt(contract, (enum ww_contract_party)signer, &close->receipt, eyes,
                            &sights[0]);
        look_at_receipt(contract, (enum ww_contract_party)signer, &contract->held[!signer], eyes,
                        &sights[1]);
    }
    evidence->denied = look_at_declaration(contract, declaration, declaration_size, eyes);
}
