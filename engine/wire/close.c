/* The signed close: what one party claims at the end of a contract.
 *
 * Relies on the caller to sign and verify. Says nothing about whether a claim is plausible: that
 * needs the contract, and is the ledger's decision.
 */
#include "internal.h"

static bool receipt_fits(const struct ww_close *record)
{
    struct ww_receipt receipt;

    if (record->receipt_size == 0)
        return true;
    return record->receipt_size <= WW_RECEIPT_BYTES_MAX &&
           ww_wire_receipt_decode(record->receipt, record->receipt_size, &receipt, NULL) == 0 &&
           ww_id_equal(&receipt.contract_id, &record->contract_id);
}

static bool declaration_fits(const struct ww_close *record)
{
    struct ww_declaration declaration;

    if (record->declaration_size == 0)
        return record->reason != WW_CLOSE_DENIED;
    return record->reason == WW_CLOSE_DENIED &&
           record->declaration_size <= WW_DECLARATION_BYTES_MAX &&
           ww_wire_declaration_decode(record->declaration, record->declaration_size, &declaration,
                                      NULL) == 0 &&
           ww_id_equal(&declaration.contract_id, &record->contract_id);
}

static bool close_valid(const struct ww_close *record)
{
    if (record->bytes_up > WW_WIRE_VARINT_MAX || record->bytes_down > WW_WIRE_VARINT_MAX)
        return false;
    if ((int)record->reason < WW_CLOSE_DONE || (int)record->reason > WW_CLOSE_DENIED)
        return false;
    if (record->first_ms > record->last_ms || record->last_ms > WW_WIRE_VARINT_MAX)
        return false;
    if (record->first_ms == 0 && record->last_ms != 0)
        return false;
    return receipt_fits(record) && declaration_fits(record);
}

int ww_wire_close_encode(const struct ww_close *close_record, struct ww_buf *out)
{
    size_t start = out->size;

    if (out->error)
        return out->error;
    if (!close_valid(close_record))
        return WW_EINVAL;
    ww_buf_put_varint(out, WW_CLOSE_VERSION);
    ww_buf_put(out, close_record->contract_id.bytes, sizeof(close_record->contract_id.bytes));
    ww_buf_put(out, close_record->party.bytes, sizeof(close_record->party.bytes));
    ww_buf_put(out, close_record->epoch, WW_EPOCH_SIZE);
    ww_buf_put_varint(out, close_record->bytes_up);
    ww_buf_put_varint(out, close_record->bytes_down);
    ww_buf_put_varint(out, (uint64_t)close_record->reason);
    ww_buf_put_varint(out, close_record->first_ms);
    ww_buf_put_varint(out, close_record->last_ms);
    ww_buf_put_varint(out, close_record->receipt_size);
    ww_buf_put(out, close_record->receipt, close_record->receipt_size);
    ww_buf_put_varint(out, close_record->declaration_size);
    ww_buf_put(out, close_record->declaration, close_record->declaration_size);
    ww_buf_put(out, close_record->signature, WW_SIGNATURE_BYTES);
    return ww_wire_finish(out, start, 0);
}

static bool decode_proof(struct ww_cursor *cursor, uint8_t *out, size_t most, size_t *size)
{
    uint64_t count = ww_cursor_varint(cursor);

    if (count > most)
        return false;
    *size = (size_t)count;
    return ww_cursor_copy(cursor, out, *size);
}

int ww_wire_close_decode(const void *data, size_t size, struct ww_close *close_record,
                         size_t *signed_size)
{
    struct ww_cursor cursor;
    uint64_t version, reason;

    memset(close_record, 0, sizeof(*close_record));
    ww_cursor_init(&cursor, data, size);
    version = ww_cursor_varint(&cursor);
    if (cursor.failed)
        return WW_EMALFORMED;
    if (version != WW_CLOSE_VERSION)
        return WW_EUNSUPPORTED;
    ww_cursor_copy(&cursor, close_record->contract_id.bytes,
                   sizeof(close_record->contract_id.bytes));
    ww_cursor_copy(&cursor, close_record->party.bytes, sizeof(close_record->party.bytes));
    ww_cursor_copy(&cursor, close_record->epoch, WW_EPOCH_SIZE);
    close_record->bytes_up = ww_cursor_varint(&cursor);
    close_record->bytes_down = ww_cursor_varint(&cursor);
    reason = ww_cursor_varint(&cursor);
    close_record->first_ms = ww_cursor_varint(&cursor);
    close_record->last_ms = ww_cursor_varint(&cursor);
    if (cursor.failed || reason < WW_CLOSE_DONE || reason > WW_CLOSE_DENIED)
        return WW_EMALFORMED;
    close_record->reason = (enum ww_close_reason)reason;
    if (!decode_proof(&cursor, close_record->receipt, WW_RECEIPT_BYTES_MAX,
                      &close_record->receipt_size) ||
        !decode_proof(&cursor, close_record->declaration, WW_DECLARATION_BYTES_MAX,
                      &close_record->declaration_size))
        return WW_EMALFORMED;
    ww_cursor_copy(&cursor, close_record->signature, WW_SIGNATURE_BYTES);
    if (ww_cursor_end(&cursor) || !close_valid(close_record))
        return WW_EMALFORMED;
    if (signed_size)
        *signed_size = size - WW_SIGNATURE_BYTES;
    return 0;
}
