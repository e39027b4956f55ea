/* Heads of requests and responses: scanned byte by byte as they arrive, parsed when complete. */
#pragma once
#include "ww/http.h"

/* Where the scanner is; zeroed for each message. */
struct ww_http_scanner {
    size_t size;   /* bytes seen */
    size_t fields; /* header lines begun */
    unsigned state;
};

/* Looks at bytes of a head that is not complete yet. *used: how many of `data` belong to the head.
 * 0 go on with more; 1 the head is complete; WW_EMALFORMED; WW_ETOOBIG (size or count). */
int ww_http_scan(struct ww_http_scanner *scanner, size_t size_max, size_t fields_max,
                 const uint8_t *data, size_t size, size_t *used);

struct ww_http_field {
    uint16_t name, name_size; /* offsets in text */
    uint16_t value, value_size;
};

struct ww_http_head {
    char *text; /* the head, owned, with a NUL after each part */
    struct ww_http_field *fields;
    size_t field_count;
    const char *method; /* requests; static storage */
    const char *path;
    const char *query;
    unsigned status; /* responses */
    uint64_t length; /* Content-Length, WW_HTTP_SIZE_UNKNOWN without */
    bool chunked;
    bool keep_alive;
    bool upgrade; /* Connection: upgrade with an Upgrade header */
    bool old;     /* HTTP/1.0 */
    bool expects; /* Expect: 100-continue */
};

/* Parses a head that the scanner has found complete. WW_EMALFORMED; WW_EUNSUPPORTED (an HTTP
 * version but 1.0 and 1.1); WW_ENOMEM. A head that was filled has to be deinitialised, on success
 * only. */
int ww_http_head_parse(struct ww_http_head *head, bool request, const uint8_t *data, size_t size,
                       size_t field_count);
void ww_http_head_deinit(struct ww_http_head *head);
const char *ww_http_head_find(const struct ww_http_head *head, const char *name);
size_t ww_http_head_count(const struct ww_http_head *head, const char *name);
bool ww_http_is_token(const char *text); /* a header's name or a method, RFC 9110 section 5.6.2 */
bool ww_http_is_value(const char *text); /* no control characters but HTAB */
/* True if the comma-separated list holds the token, in any case. */
bool ww_http_list_has(const char *list, const char *token);
