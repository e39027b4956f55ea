/* The signed declaration: destinations that a client has had flows to, under a contract.
 *
 * Relies on the caller to sign and verify. Judges form only: what may be reached is the packet
 * room's decision.
 */
#include "internal.h"

static bool declaration_valid(const struct ww_declaration *declaration)
{
    if (declaration->batch == 0 || declaration->batch > WW_WIRE_VARINT_MAX)
        return false;
    if (declaration->dest_count == 0 || declaration->dest_count > WW_DECLARATION_DESTS_MAX)
        return false;
    for (size_t index = 0; index < declaration->dest_count; index++) {
        if (!ww_wire_dest_valid(&declaration->dests[index]) ||
            declaration->dests[index].protocol == WW_DEST_IP)
            return false;
    }
    return true;
}

int ww_wire_declaration_encode(const struct ww_declaration *declaration, struct ww_buf *out)
{
    size_t start = out->size;

    if (out->error)
        return out->error;
    if (!declaration_valid(declaration))
        return WW_EINVAL;
    ww_buf_put_varint(out, WW_WIRE_VERSION);
    ww_buf_put(out, declaration->contract_id.bytes, sizeof(declaration->contract_id.bytes));
    ww_buf_put(out, declaration->epoch, WW_EPOCH_SIZE);
    ww_buf_put_varint(out, declaration->batch);
    ww_buf_put_varint(out, declaration->list_version);
    ww_buf_put_varint(out, declaration->dest_count);
    for (size_t index = 0; index < declaration->dest_count; index++)
        ww_wire_dest_encode(&declaration->dests[index], out);
    ww_buf_put(out, declaration->signature, WW_SIGNATURE_BYTES);
    return ww_wire_finish(out, start, 0);
}

int ww_wire_declaration_decode(const void *data, size_t size, struct ww_declaration *declaration,
                               size_t *signed_size)
{
    struct ww_cursor cursor;
    uint64_t version, list_version, count;

    memset(declaration, 0, sizeof(*declaration));
    if (size > WW_DECLARATION_BYTES_MAX)
        return WW_EMALFORMED;
    ww_cursor_init(&cursor, data, size);
    version = ww_cursor_varint(&cursor);
    if (cursor.failed)
        return WW_EMALFORMED;
    if (version != WW_WIRE_VERSION)
        return WW_EUNSUPPORTED;
    ww_cursor_copy(&cursor, declaration->contract_id.bytes, sizeof(declaration->contract_id.bytes));
    ww_cursor_copy(&cursor, declaration->epoch, WW_EPOCH_SIZE);
    declaration->batch = ww_cursor_varint(&cursor);
    list_version = ww_cursor_varint(&cursor);
    count = ww_cursor_varint(&cursor);
    if (cursor.failed || list_version > UINT32_MAX || count > WW_DECLARATION_DESTS_MAX)
        return WW_EMALFORMED;
    declaration->list_version = (uint32_t)list_version;
    declaration->dest_count = (size_t)count;
    for (size_t index = 0; index < declaration->dest_count; index++) {
        if (!ww_wire_dest_decode(&cursor, &declaration->dests[index]))
            return WW_EMALFORMED;
    }
    ww_cursor_copy(&cursor, declaration->signature, WW_SIGNATURE_BYTES);
    if (ww_cursor_end(&cursor) || !declaration_valid(declaration))
        return WW_EMALFORMED;
    if (signed_size)
        *signed_size = size - WW_SIGNATURE_BYTES;
    return 0;
}
