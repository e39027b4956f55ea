/* Signed receipts and declarations: whatever decodes encodes again, and means the same.
 * Relies on decoders zeroing what they don't set. */
#include <string.h>

#include "ww/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_receipt(const uint8_t *data, size_t size)
{
    struct ww_receipt first, second;
    struct ww_buf buf;

    if (ww_wire_receipt_decode(data, size, &first, NULL))
        return;
    ww_buf_init(&buf, WW_RECEIPT_BYTES_MAX);
    WW_REQUIRE(ww_wire_receipt_encode(&first, &buf) == 0);
    WW_REQUIRE(ww_wire_receipt_decode(buf.data, buf.size, &second, NULL) == 0);
    WW_REQUIRE(memcmp(&first, &second, sizeof(first)) == 0);
    ww_buf_deinit(&buf);
}

static void try_declaration(const uint8_t *data, size_t size)
{
    struct ww_declaration first, second;
    struct ww_buf buf;

    if (ww_wire_declaration_decode(data, size, &first, NULL))
        return;
    ww_buf_init(&buf, WW_DECLARATION_BYTES_MAX);
    WW_REQUIRE(ww_wire_declaration_encode(&first, &buf) == 0);
    WW_REQUIRE(ww_wire_declaration_decode(buf.data, buf.size, &second, NULL) == 0);
    WW_REQUIRE(memcmp(&first, &second, sizeof(first)) == 0);
    ww_buf_deinit(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_receipt(data, size);
    try_declaration(data, size);
    return 0;
}
