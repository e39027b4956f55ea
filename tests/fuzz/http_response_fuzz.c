/* Raw bytes as a response: scanner, parser and framing, in pieces whose sizes the input gives. */
#include <event2/buffer.h>

#include "framing.h"
#include "head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_body(const struct ww_http_head *head, const uint8_t *data, size_t size,
                      size_t step)
{
    struct ww_http_framing framing;
    struct evbuffer *input = evbuffer_new();
    WW_REQUIRE(input);
    ww_http_framing_init(&framing, head->chunked ? WW_HTTP_FRAMING_CHUNKED : WW_HTTP_FRAMING_LENGTH,
                         head->length == WW_HTTP_SIZE_UNKNOWN ? 0 : head->length);
    for (size_t at = 0; at < size; at += step) {
        const uint8_t *piece;
        size_t piece_size;
        int code;
        evbuffer_add(input, data + at, WW_MIN(step, size - at));
        while ((code = ww_http_framing_next(&framing, input, &piece, &piece_size)) == 1) {
            WW_REQUIRE(piece_size > 0 && piece_size <= evbuffer_get_length(input));
            ww_http_framing_consume(&framing, input, piece_size);
        }
        if (code < 0 || framing.ended)
            break;
    }
    evbuffer_free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_http_scanner scanner = {0};
    struct ww_http_head head;
    if (size < 2)
        return 0;
    size_t step = (size_t)data[0] + 1, at = 1, end = 1;
    int code = 0;
    while (code == 0 && at < size) {
        size_t used = 0;
        code = ww_http_scan(&scanner, WW_HTTP_REPLY_HEAD_BYTES_MAX, WW_HTTP_REPLY_HEADERS_MAX,
                            data + at, WW_MIN(step, size - at), &used);
        end = at + used;
        at += step;
    }
    if (code != 1)
        return 0;
    WW_REQUIRE(end - 1 == scanner.size);
    if (ww_http_head_parse(&head, false, data + 1, scanner.size, scanner.fields) != 0)
        return 0;
    (void)ww_http_head_find(&head, "Content-Type");
    read_body(&head, data + end, size - end, step);
    ww_http_head_deinit(&head);
    return 0;
}
