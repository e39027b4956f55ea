/* Text to verdicts, a line for each: what `ww address` prints. Relies on ww_address_parse and the
 * judge. Whatever comes in, a verdict is one line of printable ASCII. */
#include <string.h>

#include "ww/address.h"

/* Bytes that are not printable ASCII become \xNN, so that they can't end the line, move a
 * terminal's cursor or look like other letters. */
static void put_echo(const char *text, size_t size, bool json, struct ww_buf *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t plain = 0;

    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        char escape[5] = {'\\', '\\', 'x', digits[byte >> 4], digits[byte & 15]};

        if (byte >= 0x20 && byte < 0x7f && !(json && (byte == '"' || byte == '\\')))
            continue;
        ww_buf_put(out, text + plain, i - plain);
        plain = i + 1;
        if (byte >= 0x20 && byte < 0x7f) {
            ww_buf_put_u8(out, '\\');
            ww_buf_put_u8(out, byte);
        } else {
            ww_buf_put(out, escape + !json, sizeof(escape) - !json);
        }
    }
    ww_buf_put(out, text + plain, size - plain);
}

void ww_address_put_verdict(const struct ww_address_rules *rules, const char *text, size_t size,
                            bool json, struct ww_buf *out)
{
    const char *rule = "invalid";
    uint8_t address[16];
    bool is_v4;
    int rc = ww_address_parse(text, size, address, &is_v4);

    if (rc == 0)
        rc = ww_address_judge(rules, address, is_v4, &rule);
    if (json)
        ww_buf_put_text(out, "{\"address\":\"");
    put_echo(text, WW_MIN(size, WW_ADDRESS_ECHO_BYTES_MAX), json, out);
    if (size > WW_ADDRESS_ECHO_BYTES_MAX)
        ww_buf_put_text(out, "...");
    ww_buf_put_text(out, json ? "\",\"rule\":\"" : rc == 0 ? " allow " : " deny ");
    ww_buf_put_text(out, rule);
    if (json)
        ww_buf_put_text(out, rc == 0 ? "\",\"verdict\":\"allow\",\"version\":1}"
                                     : "\",\"verdict\":\"deny\",\"version\":1}");
    ww_buf_put_u8(out, '\n');
}

static void keep(struct ww_address_lines *lines, const char *text, size_t size)
{
    size_t room = sizeof(lines->kept) - lines->size;

    memcpy(lines->kept + lines->size, text, WW_MIN(room, size));
    lines->size += WW_MIN(room, size);
}

void ww_address_lines_feed(struct ww_address_lines *lines, const char *text, size_t size,
                           struct ww_buf *out)
{
    const char *end = text + size;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((newline ? newline : end) - text);

        if (lines->size > 0 || !newline)
            keep(lines, text, length);
        if (!newline)
            return;
        if (lines->size > 0)
            ww_address_lines_end(lines, out);
        else
            ww_address_put_verdict(lines->rules, text, length, lines->json, out);
        text = newline + 1;
    }
}

void ww_address_lines_end(struct ww_address_lines *lines, struct ww_buf *out)
{
    if (lines->size > 0)
        ww_address_put_verdict(lines->rules, lines->kept, lines->size, lines->json, out);
    lines->size = 0;
}
