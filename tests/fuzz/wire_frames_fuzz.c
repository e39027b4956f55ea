/* A message of transfer frames: every frame that decodes encodes again, and the second encoding is
 * the same as the first. Relies on encoders writing the shortest form. */
#include <string.h>

#include "ww/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct ww_frame *frame)
{
    static struct ww_frame again;
    struct ww_cursor cursor;
    struct ww_buf first, second;

    ww_buf_init(&first, WW_FRAME_BYTES_MAX);
    ww_buf_init(&second, WW_FRAME_BYTES_MAX);
    WW_REQUIRE(ww_wire_frame_encode(frame, &first) == 0);
    ww_cursor_init(&cursor, first.data, first.size);
    WW_REQUIRE(ww_wire_frame_decode(&cursor, &again) == 0);
    WW_REQUIRE(cursor.size == 0);
    WW_REQUIRE(ww_wire_frame_encode(&again, &second) == 0);
    WW_REQUIRE(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    if (frame->type == WW_FRAME_DATA || frame->type == WW_FRAME_DATAGRAM) {
        uint8_t head[WW_WIRE_DATA_HEAD_MAX];
        size_t head_size = ww_wire_data_head(frame, head);

        WW_REQUIRE(head_size > 0 && head_size + frame->data.payload_size == first.size);
        WW_REQUIRE(memcmp(head, first.data, head_size) == 0);
    }
    ww_buf_deinit(&second);
    ww_buf_deinit(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ww_frame frame;
    struct ww_cursor cursor;
    int rc;

    ww_cursor_init(&cursor, data, size);
    while ((rc = ww_wire_frame_decode(&cursor, &frame)) == 0)
        check(&frame);
    if (rc != WW_ENOTFOUND) /* there is no way past a bad frame */
        WW_REQUIRE(ww_wire_frame_decode(&cursor, &frame) == WW_EMALFORMED);
    return 0;
}
