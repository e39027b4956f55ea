/* The proxy's handshake, as pure parsing. Relies on the bounded cursor; it must never do I/O.
 *
 * The CONNECT head is read by hand although the program has an HTTP parser: that belongs to a room
 * beside this one, and all that is needed here is one request line and the end of the head, read
 * strictly (CRLF only, no folding), with every byte behind it left alone. */
#include "proxy_parse.h"

#include <string.h>
#include <strings.h>

#include "socks.h"

#define SOCKS4_VERSION 4
#define PORT_DIGITS    5

/* --- SOCKS5 ----------------------------------------------------------------------------------- */

/* VER, NMETHODS, METHODS (RFC 1928 section 3). */
static enum ww_proxy_step parse_greeting(struct ww_cursor *cursor)
{
    const uint8_t *methods;
    size_t count;

    ww_cursor_u8(cursor); /* the version told the dialect */
    count = ww_cursor_u8(cursor);
    methods = ww_cursor_bytes(cursor, count);
    if (cursor->failed)
        return WW_STEP_MORE;
    if (count == 0 || !memchr(methods, WW_SOCKS_METHOD_NONE, count))
        return WW_STEP_NO_METHOD;
    return WW_STEP_GREETED;
}

/* VER, CMD, RSV, ATYP, DST.ADDR, DST.PORT (RFC 1928 section 4). */
static enum ww_proxy_step parse_request(struct ww_cursor *cursor, struct ww_target *target,
                                        unsigned *answer)
{
    uint8_t version = ww_cursor_u8(cursor);
    uint8_t command = ww_cursor_u8(cursor);
    uint8_t reserved = ww_cursor_u8(cursor);
    int rc;

    if (cursor->failed)
        return WW_STEP_MORE;
    if (version != WW_SOCKS_VERSION || reserved != 0) {
        *answer = WW_SOCKS_FAILURE;
        return WW_STEP_REFUSE;
    }
    if (command != WW_SOCKS_COMMAND_CONNECT && command != WW_SOCKS_COMMAND_ASSOCIATE) {
        *answer = WW_SOCKS_BAD_COMMAND; /* BIND too: a provider opens no ports */
        return WW_STEP_REFUSE;
    }
    rc = ww_socks_read_address(cursor, target);
    if (cursor->failed)
        return WW_STEP_MORE;
    if (rc != 0) {
        *answer = rc == WW_EUNSUPPORTED ? WW_SOCKS_BAD_ADDRESS : WW_SOCKS_HOST_UNREACHABLE;
        return WW_STEP_REFUSE;
    }
    return command == WW_SOCKS_COMMAND_CONNECT ? WW_STEP_CONNECT : WW_STEP_ASSOCIATE;
}

static enum ww_proxy_step parse_socks(struct ww_proxy_parser *parser, const uint8_t *data,
                                      size_t size, size_t *used, unsigned *answer)
{
    struct ww_cursor cursor;
    enum ww_proxy_step step;

    ww_cursor_init(&cursor, data, size);
    if (parser->is_greeted)
        step = parse_request(&cursor, &parser->target, answer);
    else
        step = parse_greeting(&cursor);
    if (step == WW_STEP_GREETED)
        parser->is_greeted = true;
    if (step != WW_STEP_MORE)
        *used = size - cursor.size;
    return step;
}

/* --- HTTP CONNECT -------------------------------------------------------------------------------
 */

/* A piece of the head, borrowed. */
struct text {
    const char *data;
    size_t size;
};

/* The bytes up to CRLF, without it. The head ends with CRLF, so there is always one. A CR or LF of
 * its own fails the cursor (RFC 9112 section 2.2), as do other control characters but HTAB. */
static struct text take_line(struct ww_cursor *cursor)
{
    const uint8_t *end = memchr(cursor->data, '\r', cursor->size);
    struct text line = {NULL, end ? (size_t)(end - cursor->data) : 0};

    line.data = (const char *)ww_cursor_bytes(cursor, line.size);
    if (!end || ww_cursor_u8(cursor) != '\r' || ww_cursor_u8(cursor) != '\n')
        cursor->failed = true;
    for (size_t i = 0; i < line.size && !cursor->failed; i++) {
        unsigned char c = (unsigned char)line.data[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            cursor->failed = true;
    }
    return line;
}

/* The text before `separator`, which is dropped; the rest stays in *line. */
static struct text take_until(struct text *line, char separator)
{
    const char *end = line->size ? memchr(line->data, separator, line->size) : NULL;
    struct text part = *line;

    if (end) {
        part.size = (size_t)(end - line->data);
        line->data += part.size + 1;
        line->size -= part.size + 1;
    } else {
        *line = (struct text){NULL, 0};
    }
    return part;
}

/* token, RFC 9110 section 5.6.2. */
static bool is_token(struct text text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("!#$%&'*+-.^_`|~", c))))
            return false;
    }
    return text.size > 0;
}

static bool text_is(struct text text, const char *expected)
{
    return text.size == strlen(expected) && memcmp(text.data, expected, text.size) == 0;
}

static bool field_is(struct text name, const char *expected)
{
    return name.size == strlen(expected) && strncasecmp(name.data, expected, name.size) == 0;
}

static int parse_port(struct text text, uint16_t *port)
{
    unsigned value = 0;

    if (text.size == 0 || text.size > PORT_DIGITS)
        return WW_EINVAL;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return WW_EINVAL;
        value = value * 10 + (unsigned)(text.data[i] - '0');
    }
    if (value == 0 || value > UINT16_MAX)
        return WW_EINVAL;
    *port = (uint16_t)value;
    return 0;
}

int ww_proxy_parse_authority(const char *text, size_t size, struct ww_target *target)
{
    struct text rest = {text, size};
    struct text host;
    bool in_brackets = size > 0 && text[0] == '[';
    uint16_t port;

    if (in_brackets) {
        take_until(&rest, '[');
        host = take_until(&rest, ']');
        if (rest.size == 0 || rest.data[0] != ':')
            return WW_EINVAL;
        take_until(&rest, ':');
    } else {
        host = take_until(&rest, ':');
    }
    /* A second colon outside brackets is left in the port, and is no digit. */
    if (parse_port(rest, &port) != 0 || ww_target_parse(host.data, host.size, port, target) != 0)
        return WW_EINVAL;
    return in_brackets == (target->kind == WW_TARGET_IPV6) ? 0 : WW_EINVAL;
}

/* Reads the fields for what would make the end of the request doubtful. An HTTP status, or 0. */
static unsigned check_fields(struct ww_cursor *cursor, bool is_http11)
{
    unsigned hosts = 0;

    for (unsigned count = 0;; count++) {
        struct text line = take_line(cursor);
        struct text name;

        if (cursor->failed)
            return 400;
        if (line.size == 0)
            break;
        if (count == WW_HTTP_HEADERS_MAX)
            return 431;
        if (!memchr(line.data, ':', line.size))
            return 400;
        name = take_until(&line, ':');
        if (!is_token(name)) /* a folded line and a space before the colon too */
            return 400;
        if (field_is(name, "host"))
            hosts++;
        /* A CONNECT request has no content (RFC 9110 section 9.3.6). */
        if (field_is(name, "transfer-encoding"))
            return 400;
        if (field_is(name, "content-length")) {
            while (line.size && (line.data[0] == ' ' || line.data[0] == '\t'))
                line = (struct text){line.data + 1, line.size - 1};
            if (!text_is(line, "0"))
                return 400;
        }
    }
    /* RFC 9112 section 3.2. */
    return hosts > 1 || (is_http11 && hosts == 0) ? 400 : 0;
}

/* The whole head, with its empty line. An HTTP status to refuse with, or 0. */
static unsigned parse_head(struct ww_cursor *cursor, struct ww_target *target)
{
    struct text line = take_line(cursor);
    struct text method, authority;
    bool is_http11;

    if (cursor->failed)
        return 400;
    method = take_until(&line, ' ');
    authority = take_until(&line, ' ');
    is_http11 = text_is(line, "HTTP/1.1");
    if (!is_token(method) || authority.size == 0 || line.size == 0)
        return 400;
    if (!is_http11 && !text_is(line, "HTTP/1.0"))
        return line.size == 8 && memcmp(line.data, "HTTP/", 5) == 0 ? 505 : 400;
    if (!text_is(method, "CONNECT"))
        return 405;
    if (ww_proxy_parse_authority(authority.data, authority.size, target) != 0)
        return 400;
    return check_fields(cursor, is_http11);
}

/* The size of the head with its empty line, or 0 when that has not come. */
static size_t find_head_end(struct ww_proxy_parser *parser, const uint8_t *data, size_t size)
{
    size_t from = parser->scanned > 3 ? parser->scanned - 3 : 0;
    const uint8_t *end = memmem(data + from, size - from, "\r\n\r\n", 4);

    parser->scanned = size;
    return end ? (size_t)(end - data) + 4 : 0;
}

static enum ww_proxy_step parse_http(struct ww_proxy_parser *parser, const uint8_t *data,
                                     size_t size, size_t *used, unsigned *answer)
{
    size_t limit = WW_MIN(size, (size_t)WW_HTTP_HEAD_BYTES_MAX);
    size_t head = find_head_end(parser, data, limit);
    struct ww_cursor cursor;

    if (head == 0 && limit < WW_HTTP_HEAD_BYTES_MAX)
        return WW_STEP_MORE;
    if (head == 0) {
        *used = limit;
        *answer = 431;
        return WW_STEP_REFUSE;
    }
    *used = head;
    ww_cursor_init(&cursor, data, head);
    *answer = parse_head(&cursor, &parser->target);
    return *answer ? WW_STEP_REFUSE : WW_STEP_CONNECT;
}

/* --- both ---------------------------------------------------------------------------------------
 */

enum ww_proxy_step ww_proxy_parse(struct ww_proxy_parser *parser, const uint8_t *data, size_t size,
                                  size_t *used, unsigned *answer)
{
    *used = 0;
    *answer = 0;
    if (size == 0)
        return WW_STEP_MORE;
    if (parser->dialect == WW_DIALECT_UNKNOWN) {
        if (data[0] == SOCKS4_VERSION)
            return WW_STEP_SOCKS4;
        if (data[0] == WW_SOCKS_VERSION)
            parser->dialect = WW_DIALECT_SOCKS5;
        else if (is_token((struct text){(const char *)data, 1}))
            parser->dialect = WW_DIALECT_HTTP;
        else
            return WW_STEP_CLOSE;
    }
    if (parser->dialect == WW_DIALECT_SOCKS5)
        return parse_socks(parser, data, size, used, answer);
    return parse_http(parser, data, size, used, answer);
}
