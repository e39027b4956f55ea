/* The signed close: what one party claims at the end of a contract.
 *
 * Relies on the caller to sign and verify. Says nothing about whether a claim is plausible: that
 * needs the contract, and is the ledger's decision.
 */
#include "internal.h"

static bool close_valid(const struct ww_close *record)
{
    if (record->bytes_up > WW_WIRE_VARINT_MAX || record->bytes_down > WW_WIRE_VARINT_MAX)
        return false;
    if ((int)record->reason < WW_CLOSE_DONE || (int)record->reason > WW_CLOSE_LOSSY)
        return false;
    if (record->first_ms > record->last_ms || record->last_ms > WW_WIRE_VARINT_MAX)
        return false;
    if (record->first_ms == 0 && record->last_ms != 0)
        return false;
    return record->receipt_size == 0;
}

int ww_wire_close_encode(const struct ww_close *close_record, struct ww_buf *out)
{
    size_t start = out->size;

    if (out->error)
        return out->error;
    if (!close_valid(close_record))
        return WW_EINVAL;
    ww_buf_put_varint(out, WW_WIRE_VERSION);
    ww_buf_put(out, close_record->contract_id.bytes, sizeof(close_record->contract_id.bytes));
    ww_buf_put(out, close_record->party.bytes, sizeof(close_record->party.bytes));
    ww_buf_put(out, close_record->epoch, WW_EPOCH_SIZE);
    ww_buf_put_varint(out, close_record->bytes_up);
    ww_buf_put_varint(out, close_record->bytes_down);
    ww_buf_put_varint(out, (uint64_t)close_record->reason);
    ww_buf_put_varint(out, close_record->first_ms);
    ww_buf_put_varint(out, close_record->last_ms);
    ww_buf_put_varint(out, close_record->receipt_size);
    ww_buf_put(out, close_record->signature, WW_SIGNATURE_BYTES);
    return ww_wire_finish(out, start, 0);
}

int ww_wire_close_decode(const void *data, size_t size, struct ww_close *close_record,
                         size_t *signed_size)
{
    struct ww_cursor cursor;
    uint64_t version, reason, receipt_size;

    memset(close_record, 0, sizeof(*close_record));
    ww_cursor_init(&cursor, data, size);
    version = ww_cursor_varint(&cursor);
    if (cursor.failed)
        return WW_EMALFORMED;
    if (version != WW_WIRE_VERSION)
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
    receipt_size = ww_cursor_varint(&cursor);
    if (cursor.failed || reason < WW_CLOSE_DONE || reason > WW_CLOSE_LOSSY)
        return WW_EMALFORMED;
    if (receipt_size != 0)
        return WW_EUNSUPPORTED;
    close_record->reason = (enum ww_close_reason)reason;
    ww_cursor_copy(&cursor, close_record->signature, WW_SIGNATURE_BYTES);
    if (ww_cursor_end(&cursor) || !close_valid(close_record))
        return WW_EMALFORMED;
    if (signed_size)
        *signed_size = size - WW_SIGNATURE_BYTES;
    return 0;
}
