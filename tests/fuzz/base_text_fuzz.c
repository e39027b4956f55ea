/* Texts from outside: what parses must format to the same text again, and a cursor must stay in its
 * bounds. The first byte chooses the parser. */
#include <stdlib.h>
#include <string.h>

#include "ww/amount.h"
#include "ww/buf.h"
#include "ww/id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void parse_text(const char *text, size_t size)
{
    struct ww_amount amount;
    struct ww_hash hash;
    struct ww_id id;
    uint8_t bytes[256];
    char again[512];
    size_t decoded;

    if (ww_amount_parse(text, size, &amount) == 0)
        check(strlen(ww_amount_format(amount, again)) == size && !memcmp(again, text, size));
    if (ww_id_parse(text, &id) == 0)
        check(strcmp(ww_id_format(&id, again), text) == 0);
    if (ww_hash_parse(text, &hash) == 0)
        check(strcmp(ww_hash_format(&hash, again), text) == 0);
    if (ww_base64_parse(text, size, bytes, sizeof(bytes), &decoded) == 0) {
        check(ww_base64_format(bytes, decoded, again, sizeof(again)) == 0);
        check(strlen(again) == size && !memcmp(again, text, size));
    }
    check(strlen(ww_log_quote(text)) < WW_LOG_QUOTE_BYTES);
}

/* Each byte is an instruction to read something. */
static void read_cursor(const uint8_t *data, size_t size)
{
    struct ww_cursor cursor;
    uint8_t copy[64];

    ww_cursor_init(&cursor, data, size);
    while (cursor.size && !cursor.failed) {
        switch (ww_cursor_u8(&cursor) % 6) {
        case 0:
            ww_cursor_u16(&cursor);
            break;
        case 1:
            ww_cursor_u32(&cursor);
            break;
        case 2:
            ww_cursor_u64(&cursor);
            break;
        case 3:
            ww_cursor_bytes(&cursor, (size_t)ww_cursor_varint(&cursor));
            break;
        case 4:
            ww_cursor_copy(&cursor, copy, ww_cursor_u8(&cursor) % sizeof(copy));
            break;
        default:
            check(ww_cursor_varint(&cursor) < 1ULL << 62);
            break;
        }
    }
    ww_cursor_end(&cursor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = ww_strndup((const char *)data, size);

    if (text) {
        parse_text(text, strlen(text));
        ww_free(text);
    }
    read_cursor(data, size);
    return 0;
}
