/* The signed receipt: what one peer has received from the other, so far.
 *
 * Relies on the caller to sign and verify, and to compare it with the receipts before it.
 */
#include "internal.h"

static bool receipt_valid(const struct ww_receipt *receipt)
{
    return receipt->sequence > 0 && receipt->sequence <= WW_WIRE_VARINT_MAX &&
           receipt->next_index <= WW_WIRE_VARINT_MAX &&
           receipt->bytes_received <= WW_WIRE_VARINT_MAX &&
           receipt->bytes_acknowledged <= WW_WIRE_VARINT_MAX;
}

int ww_wire_receipt_encode(const struct ww_receipt *receipt, struct ww_buf *out)
{
    size_t start = out->size;

    if (out->error)
        return out->error;
    if (!receipt_valid(receipt))
        return WW_EINVAL;
    ww_buf_put_varint(out, WW_WIRE_VERSION);
    ww_buf_put(out, receipt->contract_id.bytes, sizeof(receipt->contract_id.bytes));
    ww_buf_put(out, receipt->epoch, WW_EPOCH_SIZE);
    ww_buf_put_varint(out, receipt->sequence);
    ww_buf_put_varint(out, receipt->next_index);
    ww_buf_put_varint(out, receipt->bytes_received);
    ww_buf_put_varint(out, receipt->bytes_acknowledged);
    ww_buf_put(out, receipt->signature, WW_SIGNATURE_BYTES);
    return ww_wire_finish(out, start, 0);
}

int ww_wire_receipt_decode(const void *data, size_t size, struct ww_receipt *receipt,
                           size_t *signed_size)
{
    struct ww_cursor cursor;
    uint64_t version;

    memset(receipt, 0, sizeof(*receipt));
    if (size > WW_RECEIPT_BYTES_MAX)
        return WW_EMALFORMED;
    ww_cursor_init(&cursor, data, size);
    version = ww_cursor_varint(&cursor);
    if (cursor.failed)
        return WW_EMALFORMED;
    if (version != WW_WIRE_VERSION)
        return WW_EUNSUPPORTED;
    ww_cursor_copy(&cursor, receipt->contract_id.bytes, sizeof(receipt->contract_id.bytes));
    ww_cursor_copy(&cursor, receipt->epoch, WW_EPOCH_SIZE);
    receipt->sequence = ww_cursor_varint(&cursor);
    receipt->next_index = ww_cursor_varint(&cursor);
    receipt->bytes_received = ww_cursor_varint(&cursor);
    receipt->bytes_acknowledged = ww_cursor_varint(&cursor);
    ww_cursor_copy(&cursor, receipt->signature, WW_SIGNATURE_BYTES);
    if (ww_cursor_end(&cursor) || !receipt_valid(receipt))
        return WW_EMALFORMED;
    if (signed_size)
        *signed_size = size - WW_SIGNATURE_BYTES;
    return 0;
}

bool ww_receipts_contradict(const struct ww_receipt *a, const struct ww_receipt *b)
{
    if (memcmp(a->epoch, b->epoch, sizeof(a->epoch)) != 0)
        return false;
    if (a->sequence > b->sequence)
        return ww_receipts_contradict(b, a);
    if (a->sequence == b->sequence)
        return a->next_index != b->next_index || a->bytes_received != b->bytes_received ||
               a->bytes_acknowledged != b->bytes_acknowledged;
    return a->next_index > b->next_index || a->bytes_received > b->bytes_received ||
           a->bytes_acknowledged > b->bytes_acknowledged;
}
