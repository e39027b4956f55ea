/* DATA_CHANNEL_OPEN: whatever decodes encodes again, and means the same.
 * Relies on decoders zeroing what they don't set. */
#include <string.h>

#include "ww/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_dcep_open first, second;
    struct ww_buf buf;

    if (ww_wire_dcep_open_decode(data, size, &first))
        return 0;
    ww_buf_init(&buf, 4096);
    WW_REQUIRE(ww_wire_dcep_open_encode(&first, &buf) == 0);
    WW_REQUIRE(ww_wire_dcep_open_decode(buf.data, buf.size, &second) == 0);
    WW_REQUIRE(memcmp(&first, &second, sizeof(first)) == 0);
    ww_buf_deinit(&buf);
    return 0;
}
