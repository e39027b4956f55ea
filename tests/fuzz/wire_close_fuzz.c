/* Signed closes: whatever decodes encodes again, and means the same.
 * Relies on decoders zeroing what they don't set. */
#include <string.h>

#include "ww/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_close first, second;
    struct ww_buf buf;
    size_t signed_size;

    if (ww_wire_close_decode(data, size, &first, &signed_size))
        return 0;
    ww_buf_init(&buf, 4096);
    WW_REQUIRE(ww_wire_close_encode(&first, &buf) == 0);
    WW_REQUIRE(ww_wire_close_decode(buf.data, buf.size, &second, &signed_size) == 0);
    WW_REQUIRE(memcmp(&first, &second, sizeof(first)) == 0);
    WW_REQUIRE(signed_size + WW_SIGNATURE_BYTES == buf.size);
    ww_buf_deinit(&buf);
    return 0;
}
