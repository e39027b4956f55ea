/* Heads of requests and responses.
 *
 * The scanner refuses what http-parser lets through (bare LF, folded lines, a space before the
 * colon, empty names, control characters) while the bytes arrive; http-parser then tokenises the
 * complete head; the checks after it settle what both leave open: a second Host, two lengths,
 * codings other than `chunked`, forms of the target that only proxies take. Bytes are read by
 * index below a checked size; it must never allocate more than one head's worth.
 */
#include "head.h"

#include <http_parser.h>
#include <string.h>
#include <strings.h>

enum scan_state {
    SCAN_START,  /* first byte of the first line */
    SCAN_FIRST,  /* in the first line */
    SCAN_LINE,   /* first byte of a header line */
    SCAN_NAME,   /* in a header's name */
    SCAN_VALUE,  /* after the colon */
    SCAN_LF,     /* a CR was seen at the end of a line */
    SCAN_LAST_LF /* a CR was seen on an empty line */
};

static bool is_tchar(uint8_t c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != 0 && strchr(others, c) != NULL);
}

static bool is_text(uint8_t c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/* One byte: the next state, or WW_EMALFORMED. */
static int scan_byte(unsigned state, uint8_t c)
{
    switch ((enum scan_state)state) {
    case SCAN_START:
        return is_tchar(c) ? SCAN_FIRST : WW_EMALFORMED;
    case SCAN_FIRST:
        if (c == '\r')
            return SCAN_LF;
        return c >= 0x20 && c != 0x7f ? SCAN_FIRST : WW_EMALFORMED;
    case SCAN_LINE:
        if (c == '\r')
            return SCAN_LAST_LF;
        return is_tchar(c) ? SCAN_NAME : WW_EMALFORMED;
    case SCAN_NAME:
        if (c == ':')
            return SCAN_VALUE;
        return is_tchar(c) ? SCAN_NAME : WW_EMALFORMED;
    case SCAN_VALUE:
        if (c == '\r')
            return SCAN_LF;
        return is_text(c) ? SCAN_VALUE : WW_EMALFORMED;
    case SCAN_LF:
    case SCAN_LAST_LF:
        return c == '\n' ? SCAN_LINE : WW_EMALFORMED;
    }
    return WW_EMALFORMED;
}

int ww_http_scan(struct ww_http_scanner *scanner, size_t size_max, size_t fields_max,
                 const uint8_t *data, size_t size, size_t *used)
{
    for (size_t i = 0; i < size; i++) {
        unsigned before = scanner->state;
        int next = scan_byte(before, data[i]);
        if (next < 0)
            return next;
        if (++scanner->size > size_max)
            return WW_ETOOBIG;
        if (before == SCAN_LINE && next == SCAN_NAME && ++scanner->fields > fields_max)
            return WW_ETOOBIG;
        scanner->state = (unsigned)next;
        if (before == SCAN_LAST_LF) {
            *used = i + 1;
            return 1;
        }
    }
    *used = size;
    return 0;
}

/* What http-parser's callbacks find, as pointers into the text that it reads. */
struct tokens {
    struct ww_http_head *head;
    size_t field_max;
    const char *url;
    size_t url_size;
    unsigned flags;
    bool in_name;
    bool complete;
};

static int on_url(http_parser *parser, const char *at, size_t size)
{
    struct tokens *tokens = parser->data;
    if (!tokens->url)
        tokens->url = at;
    tokens->url_size += size;
    return 0;
}

static int on_name(http_parser *parser, const char *at, size_t size)
{
    struct tokens *tokens = parser->data;
    struct ww_http_head *head = tokens->head;
    if (!tokens->in_name) {
        if (head->field_count == tokens->field_max)
            return -1;
        head->fields[head->field_count++].name = (uint16_t)(at - head->text);
        tokens->in_name = true;
    }
    head->fields[head->field_count - 1].name_size += (uint16_t)size;
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t size)
{
    struct tokens *tokens = parser->data;
    struct ww_http_head *head = tokens->head;
    if (head->field_count == 0)
        return -1;
    struct ww_http_field *field = &head->fields[head->field_count - 1];
    if (tokens->in_name)
        field->value = (uint16_t)(at - head->text);
    tokens->in_name = false;
    field->value_size += (uint16_t)size;
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct tokens *tokens = parser->data;
    tokens->flags = parser->flags;
    tokens->complete = true;
    return 1; /* no body follows in these bytes */
}

/* Cuts the text into strings. The byte after each part is a separator that was parsed: the
 * colon, the CR or a space. */
static void head_cut(struct ww_http_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct ww_http_field *field = &head->fields[i];
        head->text[field->name + field->name_size] = '\0';
        if (field->value == 0) /* http-parser does not report an empty value */
            field->value = (uint16_t)(field->name + field->name_size);
        char *value = head->text + field->value;
        while (field->value_size > 0 &&
               (value[field->value_size - 1] == ' ' || value[field->value_size - 1] == '\t'))
            field->value_size--;
        value[field->value_size] = '\0';
    }
}

/* The target in origin form: a path, and a query after the first '?'. */
static int head_set_target(struct ww_http_head *head, const struct tokens *tokens)
{
    if (!tokens->url || tokens->url_size == 0 || tokens->url[0] != '/')
        return WW_EMALFORMED;
    for (size_t i = 0; i < tokens->url_size; i++) {
        uint8_t c = (uint8_t)tokens->url[i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return WW_EMALFORMED;
    }
    char *url = head->text + (tokens->url - head->text);
    url[tokens->url_size] = '\0';
    char *mark = strchr(url, '?');
    if (mark)
        *mark = '\0';
    head->path = url;
    head->query = mark ? mark + 1 : "";
    return 0;
}

static bool is_host(const char *text)
{
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        if (c <= 0x20 || c >= 0x7f || strchr("/?#@\\\"<>^`{|}", c))
            return false;
    }
    return true;
}

/* Headers of which a second one could be read in two ways. */
static const char *const single_names[] = {
    "Host",   "Content-Length",    "Transfer-Encoding",     "Authorization", "Content-Type",
    "Expect", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Origin",        "Sec-WebSocket-Accept",
};

static int head_check_lengths(struct ww_http_head *head)
{
    const char *length = ww_http_head_find(head, "Content-Length");
    const char *coding = ww_http_head_find(head, "Transfer-Encoding");
    if (length && coding)
        return WW_EMALFORMED;
    head->length = WW_HTTP_SIZE_UNKNOWN;
    if (coding) {
        if (head->old || strcasecmp(coding, "chunked") != 0)
            return WW_EMALFORMED;
        head->chunked = true;
    }
    if (!length)
        return 0;
    uint64_t value = 0;
    size_t digits = 0;
    for (; length[digits]; digits++) {
        if (length[digits] < '0' || length[digits] > '9' || digits == 18)
            return WW_EMALFORMED;
        value = value * 10 + (uint64_t)(length[digits] - '0');
    }
    if (digits == 0)
        return WW_EMALFORMED;
    head->length = value;
    return 0;
}

static int head_check(struct ww_http_head *head, bool request)
{
    for (size_t i = 0; i < WW_ARRAY_COUNT(single_names); i++) {
        if (ww_http_head_count(head, single_names[i]) > 1)
            return WW_EMALFORMED;
    }
    int code = head_check_lengths(head);
    if (code != 0 || !request)
        return code;
    const char *host = ww_http_head_find(head, "Host");
    if (host ? !is_host(host) || (!*host && !head->old) : !head->old)
        return WW_EMALFORMED;
    const char *expect = ww_http_head_find(head, "Expect");
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return WW_EMALFORMED;
    head->expects = expect && !head->old;
    return 0;
}

static int head_tokenise(struct ww_http_head *head, bool request, size_t size,
                         struct tokens *tokens)
{
    static const http_parser_settings settings = {
        .on_url = on_url,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_headers_complete = on_headers_complete,
    };
    http_parser parser;
    http_parser_init(&parser, request ? HTTP_REQUEST : HTTP_RESPONSE);
    parser.data = tokens;
    size_t parsed = http_parser_execute(&parser, &settings, head->text, size);
    if (parsed != size || !tokens->complete)
        return WW_EMALFORMED;
    if (HTTP_PARSER_ERRNO(&parser) != HPE_OK && HTTP_PARSER_ERRNO(&parser) != HPE_PAUSED)
        return WW_EMALFORMED;
    if (parser.http_major != 1 || parser.http_minor > 1)
        return WW_EUNSUPPORTED;
    head->old = parser.http_minor == 0;
    head->keep_alive = head->old ? (tokens->flags & F_CONNECTION_KEEP_ALIVE) != 0
                                 : (tokens->flags & F_CONNECTION_CLOSE) == 0;
    head->upgrade = (tokens->flags & F_UPGRADE) && (tokens->flags & F_CONNECTION_UPGRADE);
    if (!request) {
        head->status = parser.status_code;
        return head->status >= 100 && head->status <= 599 ? 0 : WW_EMALFORMED;
    }
    if (parser.method == HTTP_CONNECT || parser.method == HTTP_TRACE)
        return WW_EMALFORMED;
    head->method = http_method_str((enum http_method)parser.method);
    return 0;
}

int ww_http_head_parse(struct ww_http_head *head, bool request, const uint8_t *data, size_t size,
                       size_t field_count)
{
    *head = (struct ww_http_head){.path = "", .query = ""};
    if (size == 0 || size > UINT16_MAX)
        return WW_EMALFORMED;
    head->text = ww_strndup((const char *)data, size);
    head->fields = ww_alloc(field_count + 1, sizeof(*head->fields));
    struct tokens tokens = {.head = head, .field_max = field_count};
    int code = head->text && head->fields ? 0 : WW_ENOMEM;
    if (code == 0)
        code = head_tokenise(head, request, size, &tokens);
    if (code == 0) {
        head_cut(head);
        code = request ? head_set_target(head, &tokens) : 0;
    }
    if (code == 0)
        code = head_check(head, request);
    if (code != 0)
        ww_http_head_deinit(head);
    return code;
}

void ww_http_head_deinit(struct ww_http_head *head)
{
    ww_free(head->text);
    ww_free(head->fields);
    *head = (struct ww_http_head){.path = "", .query = ""};
}

const char *ww_http_head_find(const struct ww_http_head *head, const char *name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (strcasecmp(head->text + head->fields[i].name, name) == 0)
            return head->text + head->fields[i].value;
    }
    return NULL;
}

size_t ww_http_head_count(const struct ww_http_head *head, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++)
        count += strcasecmp(head->text + head->fields[i].name, name) == 0;
    return count;
}

bool ww_http_is_token(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++) {
        if (!is_tchar((uint8_t)*text))
            return false;
    }
    return true;
}

bool ww_http_is_value(const char *text)
{
    for (; *text; text++) {
        if (!is_text((uint8_t)*text))
            return false;
    }
    return true;
}

bool ww_http_list_has(const char *list, const char *token)
{
    size_t size = strlen(token);
    while (*list) {
        list += strspn(list, " \t,");
        size_t item = strcspn(list, ",");
        size_t end = item;
        while (end > 0 && (list[end - 1] == ' ' || list[end - 1] == '\t'))
            end--;
        if (end == size && strncasecmp(list, token, size) == 0)
            return true;
        list += item;
    }
    return false;
}
