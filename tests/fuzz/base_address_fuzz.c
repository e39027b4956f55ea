/* Lines of text to verdicts. Whole or cut into pieces, the same comes out: a line of printable
 * ASCII for each line, of bounded size, that allows nothing but what inet_pton reads. The first
 * byte is the size of a piece, its last bit chooses JSON. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "ww/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void judge(const char *text, size_t size, size_t piece, bool json, struct ww_buf *out)
{
    struct ww_address_lines lines = {.json = json};

    for (size_t at = 0; at < size; at += piece)
        ww_address_lines_feed(&lines, text + at, WW_MIN(piece, size - at), out);
    ww_address_lines_end(&lines, out);
    check(out->error == 0 && lines.size == 0);
}

/* Plain text only: the word before the rule's says allow, and what is before that is an address. */
static void check_line(const char *line, size_t size)
{
    const char *allow = memmem(line, size, " allow public", 13);
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    check(size >= strlen(" deny invalid"));
    if (!allow || allow + 13 != line + size)
        return;
    check((size_t)(allow - line) < sizeof(text));
    memcpy(text, line, (size_t)(allow - line));
    text[allow - line] = '\0';
    check(inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_buf whole, cut;
    size_t lines = 0, begin = 0;
    bool json;

    if (size == 0)
        return 0;
    json = data[0] & 1;
    const char *text = (const char *)data + 1;
    size--;
    ww_buf_init(&whole, size * 64 + 8192);
    ww_buf_init(&cut, size * 64 + 8192);
    judge(text, size, size + 1, json, &whole);
    judge(text, size, data[0] / 2 + 1, json, &cut);
    check(whole.size == cut.size && (!whole.size || !memcmp(whole.data, cut.data, whole.size)));
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    lines += size > 0 && text[size - 1] != '\n';
    for (size_t i = 0; i < whole.size; i++) {
        check(whole.data[i] == '\n' || (whole.data[i] >= 0x20 && whole.data[i] < 0x7f));
        if (whole.data[i] != '\n')
            continue;
        check(lines-- > 0);
        if (!json)
            check_line((const char *)whole.data + begin, i - begin);
        begin = i + 1;
    }
    check(lines == 0 && begin == whole.size);
    ww_buf_deinit(&whole);
    ww_buf_deinit(&cut);
    return 0;
}
