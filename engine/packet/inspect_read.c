/* Host names in the first bytes that a client sends: TLS (RFC 8446 section 4.1.2, RFC 6066 section
 * 3), HTTP/1 (RFC 9112) and DNS (RFC 1035). Fails closed: what is not plain has no name, rather
 * than one that another reader might not see. Relies on the bounded cursor. */
#include "inspect_read.h"

#include <string.h>

#include "ww/buf.h"

#define TLS_HANDSHAKE    22
#define TLS_CLIENT_HELLO 1
#define TLS_RECORD_MAX   16384
#define TLS_SERVER_NAME  0
#define DNS_LABEL_MAX    63

bool inspect_read_host(const uint8_t *bytes, size_t size, char name[WW_NAME_BYTES_MAX + 1])
{
    if (size > 0 && bytes[size - 1] == '.')
        size--;
    name[0] = '\0';
    if (size == 0 || size > WW_NAME_BYTES_MAX || bytes[0] == '.' || bytes[size - 1] == '.')
        return false;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = bytes[i];
        bool is_upper = byte >= 'A' && byte <= 'Z';
        if (!is_upper && !(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') &&
            byte != '-' && byte != '_' && (byte != '.' || bytes[i - 1] == '.')) {
            name[0] = '\0';
            return false;
        }
        name[i] = (char)(is_upper ? byte - 'A' + 'a' : byte);
    }
    name[size] = '\0';
    return true;
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* The handshake's bytes without the records around them. WW_EAGAIN: more may come behind. */
static int unwrap(const uint8_t *bytes, size_t size, struct ww_buf *handshake)
{
    struct ww_cursor cursor;

    ww_cursor_init(&cursor, bytes, size);
    while (cursor.size > 0) {
        if (*cursor.data != TLS_HANDSHAKE || (cursor.size > 1 && cursor.data[1] != 3))
            return WW_EMALFORMED;
        if (cursor.size < 5)
            return WW_EAGAIN;
        ww_cursor_bytes(&cursor, 3);
        size_t length = ww_cursor_u16(&cursor);
        if (length == 0 || length > TLS_RECORD_MAX)
            return WW_EMALFORMED;
        size_t here = WW_MIN(length, cursor.size);
        ww_buf_put(handshake, ww_cursor_bytes(&cursor, here), here);
        if (here < length)
            return WW_EAGAIN;
    }
    return WW_EAGAIN;
}

static bool skip(struct ww_cursor *cursor, size_t size)
{
    return ww_cursor_bytes(cursor, size) != NULL || (size == 0 && !cursor->failed);
}

/* The list of names: the one host name in it, or none. */
static void read_names(const uint8_t *bytes, size_t size, char *name)
{
    struct ww_cursor cursor;

    ww_cursor_init(&cursor, bytes, size);
    size_t list = ww_cursor_u16(&cursor), length;
    const uint8_t *host;
    if (cursor.failed || list != cursor.size || ww_cursor_u8(&cursor) != 0)
        return;
    length = ww_cursor_u16(&cursor);
    host = ww_cursor_bytes(&cursor, length);
    if (host && ww_cursor_end(&cursor) == 0)
        inspect_read_host(host, length, name);
}

static int read_hello(struct ww_cursor *cursor, char *name)
{
    struct ww_cursor extensions;
    unsigned found = 0;

    skip(cursor, 2 + 32);                /* version, random */
    skip(cursor, ww_cursor_u8(cursor));  /* session */
    skip(cursor, ww_cursor_u16(cursor)); /* ciphers */
    skip(cursor, ww_cursor_u8(cursor));  /* compression */
    if (cursor->failed)
        return WW_EMALFORMED;
    if (cursor->size == 0)
        return 0; /* no extensions */
    size_t size = ww_cursor_u16(cursor);
    if (cursor->failed || size != cursor->size)
        return WW_EMALFORMED;
    ww_cursor_init(&extensions, cursor->data, size);
    while (extensions.size > 0) {
        uint16_t type = ww_cursor_u16(&extensions);
        size_t length = ww_cursor_u16(&extensions);
        const uint8_t *bytes = ww_cursor_bytes(&extensions, length);
        if (extensions.failed)
            return WW_EMALFORMED;
        if (type != TLS_SERVER_NAME || !bytes)
            continue;
        if (found++ == 0)
            read_names(bytes, length, name);
        else
            name[0] = '\0'; /* RFC 8446: not twice; who knows which one the other end takes */
    }
    return 0;
}

int inspect_read_tls(const uint8_t *bytes, size_t size, char name[WW_NAME_BYTES_MAX + 1])
{
    uint8_t storage[WW_INSPECT_BYTES];
    struct ww_buf handshake = {
        .data = storage, .capacity = sizeof(storage), .limit = sizeof(storage)};
    struct ww_cursor cursor;

    name[0] = '\0';
    int rc = unwrap(bytes, size, &handshake);
    if (rc != WW_EAGAIN || handshake.error)
        return WW_EMALFORMED;
    if (handshake.size > 0 && storage[0] != TLS_CLIENT_HELLO)
        return WW_EMALFORMED;
    if (handshake.size < 4)
        return WW_EAGAIN;
    size_t length = (size_t)storage[1] << 16 | (size_t)storage[2] << 8 | storage[3];
    if (length > sizeof(storage) - 4)
        return WW_EMALFORMED;
    if (handshake.size < 4 + length)
        return WW_EAGAIN;
    ww_cursor_init(&cursor, storage + 4, length);
    return read_hello(&cursor, name);
}

/* --- HTTP ------------------------------------------------------------------------------------- */

/* "name", "name:port"; an address in brackets is no name. */
static bool put_authority(const uint8_t *bytes, size_t size, char *name)
{
    const uint8_t *colon = memchr(bytes, ':', size);
    return inspect_read_host(bytes, colon ? (size_t)(colon - bytes) : size, name);
}

/* METHOD SP TARGET SP HTTP/1.x; the name of a target that is a whole URL counts more than Host. */
static bool read_request_line(const uint8_t *line, size_t size, char *name, bool *has_name)
{
    const uint8_t *space = memchr(line, ' ', size);
    size_t method = space ? (size_t)(space - line) : 0;

    if (method < 3 || method > 16)
        return false;
    for (size_t i = 0; i < method; i++) {
        if (line[i] < 'A' || line[i] > 'Z')
            return false;
    }
    const uint8_t *target = space + 1, *end = line + size;
    if (end - target < 10 || memcmp(end - 9, " HTTP/1.", 8) != 0)
        return false;
    end -= 9;
    if (end - target > 7 && strncasecmp((const char *)target, "http://", 7) == 0) {
        target += 7;
        const uint8_t *path = memchr(target, '/', (size_t)(end - target));
        *has_name = true;
        put_authority(target, (size_t)((path ? path : end) - target), name);
    }
    return true;
}

/* What may still become a request: letters, as long as no method is longer. */
static bool may_be_http(const uint8_t *bytes, size_t size)
{
    size_t i = 0;
    while (i < size && i <= 16 && bytes[i] >= 'A' && bytes[i] <= 'Z')
        i++;
    return i <= 16 && (i == size || (i >= 3 && bytes[i] == ' '));
}

int inspect_read_http(const uint8_t *bytes, size_t size, char name[WW_NAME_BYTES_MAX + 1])
{
    const uint8_t *at = bytes, *end = bytes + size, *newline;
    unsigned hosts = 0;
    bool is_first = true, has_name = false;

    name[0] = '\0';
    if (!may_be_http(bytes, size))
        return WW_EMALFORMED;
    while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
        size_t length = (size_t)(newline - at);
        if (length > 0 && at[length - 1] == '\r')
            length--;
        if (is_first && !read_request_line(at, length, name, &has_name))
            return WW_EMALFORMED;
        if (length == 0)
            return 0; /* the head is whole */
        if (!is_first && length > 5 && strncasecmp((const char *)at, "Host:", 5) == 0) {
            const uint8_t *value = at + 5, *last = at + length;
            while (value < last && (*value == ' ' || *value == '\t'))
                value++;
            while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
                last--;
            if (hosts++ > 0)
                name[0] = '\0', has_name = true;
            else if (!has_name)
                put_authority(value, (size_t)(last - value), name);
        }
        is_first = false;
        at = newline + 1;
    }
    return WW_EAGAIN;
}

/* --- DNS -------------------------------------------------------------------------------------- */

int inspect_read_dns(const uint8_t *bytes, size_t size, bool is_tcp,
                     char name[WW_NAME_BYTES_MAX + 1])
{
    uint8_t text[WW_NAME_BYTES_MAX + 2];
    struct ww_cursor cursor;
    size_t used = 0;

    name[0] = '\0';
    ww_cursor_init(&cursor, bytes, size);
    if (is_tcp) {
        if (size < 2)
            return WW_EAGAIN;
        size_t length = ww_cursor_u16(&cursor);
        if (length < 17)
            return WW_EMALFORMED;
        if (cursor.size < length)
            return length + 2 > WW_INSPECT_BYTES ? WW_EMALFORMED : WW_EAGAIN;
        cursor.size = length;
    }
    ww_cursor_u16(&cursor);
    uint16_t flags = ww_cursor_u16(&cursor);
    uint16_t questions = ww_cursor_u16(&cursor);
    skip(&cursor, 6);
    if (cursor.failed || flags & 0xf800 || questions != 1) /* a query, and a standard one */
        return WW_EMALFORMED;
    for (;;) {
        size_t length = ww_cursor_u8(&cursor);
        if (cursor.failed || length > DNS_LABEL_MAX || used + length + 1 > sizeof(text))
            return WW_EMALFORMED;
        if (length == 0)
            break;
        ww_cursor_copy(&cursor, text + used, length);
        if (cursor.failed || memchr(text + used, '.', length))
            return WW_EMALFORMED;
        used += length;
        text[used++] = '.';
    }
    inspect_read_host(text, used, name);
    return 0;
}
