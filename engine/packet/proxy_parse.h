/* What an application says to the proxy before bytes flow: SOCKS5 or an HTTP CONNECT head.
 *
 * Pure: bytes in, a step out; no I/O and no allocation. The caller shows the parser all bytes that
 * it has not consumed, consumes what the step used, and calls again; bytes behind the request are
 * never touched. */
#pragma once

#include "ww/address.h"

enum ww_proxy_dialect { WW_DIALECT_UNKNOWN, WW_DIALECT_SOCKS5, WW_DIALECT_HTTP };

struct ww_proxy_parser {
    enum ww_proxy_dialect dialect;
    bool is_greeted; /* SOCKS5: the method is chosen */
    size_t scanned;  /* HTTP: no end of the head up to here */
    struct ww_target target;
};

enum ww_proxy_step {
    WW_STEP_MORE,      /* not complete; nothing is used */
    WW_STEP_GREETED,   /* SOCKS5: answer "no authentication" */
    WW_STEP_CONNECT,   /* `target` is set */
    WW_STEP_ASSOCIATE, /* SOCKS5 UDP ASSOCIATE; its address is not used */
    WW_STEP_NO_METHOD, /* SOCKS5: answer "no acceptable method" and close */
    WW_STEP_REFUSE,    /* answer with `answer`: a SOCKS reply or an HTTP status; then close */
    WW_STEP_SOCKS4,    /* answer "rejected" as SOCKS4 does, and close */
    WW_STEP_CLOSE,     /* not a protocol that is spoken here */
};

/* All zero is a fresh parser. Reads at most WW_HTTP_HEAD_BYTES_MAX bytes. *used and *answer are
 * always set. After any step but MORE, GREETED the parser is not called again. */
enum ww_proxy_step ww_proxy_parse(struct ww_proxy_parser *parser, const uint8_t *data, size_t size,
                                  size_t *used, unsigned *answer);

/* "host:port" of a CONNECT request (RFC 9110 section 9.3.6): a name, IPv4 or [IPv6], and a port of
 * 1 to 65535. WW_EINVAL. */
int ww_proxy_parse_authority(const char *text, size_t size, struct ww_target *target);
