/* Reaching a server: name, TCP (each address in turn), proxy, TLS.
 *
 * One timer bounds all of it. The proxy's replies are read by their exact length, so that no
 * byte of the server behind it is ever taken for the proxy's. It must never call `fn` from
 * ww_http_dial_create, nor touch the dial after it.
 */
#include "dial.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PROXY_REPLY_BYTES_MAX 4096

enum dial_stage {
    DIAL_CONNECT,
    DIAL_SOCKS_METHOD, /* RFC 1928 section 3 */
    DIAL_SOCKS_REPLY,  /* section 6 */
    DIAL_HTTP_REPLY,   /* RFC 9110 section 9.3.6 */
    DIAL_TLS
};

struct ww_http_dial {
    struct ww_loop *loop;
    const struct ww_http_dial_target *target;
    ww_http_dial_fn fn;
    void *arg;
    struct ww_timer *timer;
    struct ww_http_lookup *lookup;
    struct ww_http_link *link;
    struct ww_http_address addresses[WW_HTTP_ADDRESSES_MAX];
    size_t count, next;
    enum dial_stage stage;
    int code; /* of the last failure; told when the timer fires */
};

int ww_http_url_parse(const char *text, bool proxy, struct ww_http_url *url)
{
    static const struct {
        const char *prefix;
        uint16_t port;
        bool proxy, tls, socks;
    } schemes[] = {
        {"https://", 443, false, true, false},   {"wss://", 443, false, true, false},
        {"http://", 80, false, false, false},    {"ws://", 80, false, false, false},
        {"socks5h://", 1080, true, false, true}, {"http://", 8080, true, false, false},
    };
    memset(url, 0, sizeof(*url));
    const char *host = NULL;
    for (size_t i = 0; i < WW_ARRAY_COUNT(schemes) && !host; i++) {
        size_t size = strlen(schemes[i].prefix);
        if (schemes[i].proxy != proxy || strncasecmp(text, schemes[i].prefix, size) != 0)
            continue;
        host = text + size;
        url->port = schemes[i].port;
        url->is_tls = schemes[i].tls;
        url->is_socks = schemes[i].socks;
    }
    if (!host)
        return WW_EINVAL;
    bool bracketed = *host == '[';
    host += bracketed;
    size_t size = strcspn(host, bracketed ? "]" : ":/?#@");
    if (size == 0 || size > WW_NAME_BYTES_MAX || (bracketed && host[size] != ']'))
        return WW_EINVAL;
    for (size_t i = 0; i < size; i++) {
        if (host[i] <= 0x20 || host[i] >= 0x7f || strchr("\"<>\\^`{|}%", host[i]))
            return WW_EINVAL;
    }
    memcpy(url->host, host, size);
    const char *rest = host + size + bracketed;
    if (*rest == ':') {
        char *end = NULL;
        unsigned long port = rest[1] >= '0' && rest[1] <= '9' ? strtoul(rest + 1, &end, 10) : 0;
        if (port == 0 || port > UINT16_MAX)
            return WW_EINVAL;
        url->port = (uint16_t)port;
        rest = end;
    }
    return *rest == '\0' || strcmp(rest, "/") == 0 ? 0 : WW_EINVAL;
}

static void dial_free(struct ww_http_dial *dial)
{
    if (dial->lookup)
        ww_http_lookup_cancel(dial->lookup);
    ww_http_link_destroy(dial->link);
    ww_timer_destroy(dial->timer);
    ww_free(dial);
}

static void dial_finish(struct ww_http_dial *dial, int code)
{
    ww_http_dial_fn fn = dial->fn;
    void *arg = dial->arg;
    struct ww_http_link *link = code == 0 ? dial->link : NULL;
    if (code == 0)
        dial->link = NULL;
    dial_free(dial);
    fn(arg, code, link);
}

/* Told from the loop, since this may be called from where the caller doesn't expect it. */
static void dial_fail(struct ww_http_dial *dial, int code)
{
    dial->code = code;
    ww_http_link_destroy(dial->link);
    dial->link = NULL;
    ww_timer_start(dial->timer, 0);
}

static void on_timer(void *arg)
{
    struct ww_http_dial *dial = arg;
    dial_finish(dial, dial->code != 0 ? dial->code : WW_ETIMEDOUT);
}

static const struct ww_http_link_events dial_events;

static const struct ww_http_url *first_hop(const struct ww_http_dial *dial)
{
    return dial->target->proxy.host[0] ? &dial->target->proxy : &dial->target->url;
}

/* The next address; the last one's failure is the dial's. */
static void dial_connect(struct ww_http_dial *dial, int code)
{
    dial->stage = DIAL_CONNECT;
    while (dial->next < dial->count) {
        const struct ww_http_address *to = &dial->addresses[dial->next++];
        code = ww_http_link_connect(dial->loop, (const struct sockaddr *)&to->address, to->size,
                                    &dial->link);
        if (code == 0) {
            ww_http_link_set_events(dial->link, &dial_events, dial);
            return;
        }
    }
    dial_fail(dial, code);
}

static void on_lookup(void *arg, int code, const struct ww_http_address *addresses, size_t count)
{
    struct ww_http_dial *dial = arg;
    dial->lookup = NULL;
    if (code != 0) {
        dial_fail(dial, code);
        return;
    }
    memcpy(dial->addresses, addresses, count * sizeof(*addresses));
    dial->count = count;
    dial_connect(dial, WW_EUNREACHABLE);
}

/* --- proxy --------------------------------------------------------------------------------------
 */

static void dial_secure(struct ww_http_dial *dial)
{
    const struct ww_http_dial_target *target = dial->target;
    SSL *ssl = NULL;
    if (!target->tls) {
        dial_finish(dial, 0);
        return;
    }
    int code = ww_http_tls_dial(target->tls, target->trust, target->url.host, &ssl);
    if (code != 0) {
        dial_fail(dial, code);
        return;
    }
    int fd = ww_http_link_detach(dial->link);
    ww_http_link_destroy(dial->link);
    dial->link = NULL;
    code = ww_http_link_create(dial->loop, fd, ssl, false, &dial->link);
    if (code != 0) {
        dial_fail(dial, code);
        return;
    }
    dial->stage = DIAL_TLS;
    ww_http_link_set_events(dial->link, &dial_events, dial);
}

static void socks_hello(struct ww_http_dial *dial)
{
    static const uint8_t hello[] = {5, 1, 0}; /* no authentication */
    dial->stage = DIAL_SOCKS_METHOD;
    if (ww_http_link_write(dial->link, hello, sizeof(hello)) != 0)
        dial_fail(dial, WW_ENOMEM);
}

static void socks_connect(struct ww_http_dial *dial)
{
    const struct ww_http_url *url = &dial->target->url;
    uint8_t request[5 + WW_NAME_BYTES_MAX + 2] = {5, 1, 0, 3};
    struct ww_http_address numeric[2];
    size_t size = strlen(url->host), at;
    dial->stage = DIAL_SOCKS_REPLY;
    bool is_address = strcasecmp(url->host, "localhost") != 0 &&
                      ww_http_resolve_numeric(url->host, url->port, numeric) == 1;
    if (is_address && numeric[0].address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&numeric[0].address;
        request[3] = 1;
        memcpy(request + 4, &v4->sin_addr, 4);
        at = 8;
    } else if (is_address) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&numeric[0].address;
        request[3] = 4;
        memcpy(request + 4, &v6->sin6_addr, 16);
        at = 20;
    } else {
        request[4] = (uint8_t)size;
        memcpy(request + 5, url->host, size);
        at = 5 + size;
    }
    request[at] = (uint8_t)(url->port >> 8);
    request[at + 1] = (uint8_t)url->port;
    if (ww_http_link_write(dial->link, request, at + 2) != 0)
        dial_fail(dial, WW_ENOMEM);
}

/* RFC 1928 section 6. */
static int socks_error(uint8_t reply)
{
    switch (reply) {
    case 2:
        return WW_EPERM;
    case 3:
    case 4:
        return WW_EUNREACHABLE;
    case 5:
        return WW_ECONNREFUSED;
    case 6:
        return WW_ETIMEDOUT;
    case 7:
    case 8:
        return WW_EUNSUPPORTED;
    default:
        return WW_EUNREACHABLE;
    }
}

static void read_socks_method(struct ww_http_dial *dial)
{
    uint8_t reply[2];
    struct evbuffer *input = ww_http_link_input(dial->link);
    if (evbuffer_get_length(input) < sizeof(reply))
        return;
    evbuffer_remove(input, reply, sizeof(reply));
    if (reply[0] != 5 || reply[1] != 0) {
        dial_fail(dial, reply[0] == 5 ? WW_EAUTH : WW_EMALFORMED);
        return;
    }
    socks_connect(dial);
}

static void read_socks_reply(struct ww_http_dial *dial)
{
    uint8_t reply[5];
    struct evbuffer *input = ww_http_link_input(dial->link);
    size_t size = 0;
    if (evbuffer_copyout(input, reply, sizeof(reply)) < (ev_ssize_t)sizeof(reply))
        return;
    if (reply[3] == 1)
        size = 4 + 4 + 2;
    else if (reply[3] == 4)
        size = 4 + 16 + 2;
    else if (reply[3] == 3)
        size = 4 + 1 + (size_t)reply[4] + 2;
    if (reply[0] != 5 || (size == 0 && reply[1] == 0)) {
        dial_fail(dial, WW_EMALFORMED);
        return;
    }
    if (reply[1] != 0) {
        dial_fail(dial, socks_error(reply[1]));
        return;
    }
    if (evbuffer_get_length(input) < size)
        return;
    evbuffer_drain(input, size);
    dial_secure(dial);
}

static void http_connect(struct ww_http_dial *dial)
{
    const struct ww_http_url *url = &dial->target->url;
    char text[2 * WW_NAME_BYTES_MAX + 128];
    bool v6 = strchr(url->host, ':') != NULL;
    const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
    int size = snprintf(text, sizeof(text), "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n\r\n",
                        open, url->host, close, url->port, open, url->host, close, url->port);
    dial->stage = DIAL_HTTP_REPLY;
    if (ww_http_link_write(dial->link, text, (size_t)size) != 0)
        dial_fail(dial, WW_ENOMEM);
}

static void read_http_reply(struct ww_http_dial *dial)
{
    struct evbuffer *input = ww_http_link_input(dial->link);
    char status[13] = ""; /* "HTTP/1.1 200" */
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    if (end.pos < 0) {
        if (evbuffer_get_length(input) > PROXY_REPLY_BYTES_MAX)
            dial_fail(dial, WW_EMALFORMED);
        return;
    }
    evbuffer_copyout(input, status, sizeof(status) - 1);
    if (strncmp(status, "HTTP/1.", 7) != 0 || status[8] != ' ') {
        dial_fail(dial, WW_EMALFORMED);
        return;
    }
    if (status[9] != '2') {
        int number = (status[9] - '0') * 100 + (status[10] - '0') * 10 + (status[11] - '0');
        dial_fail(dial, number == 403 || number == 407
                            ? WW_EPERM
                            : (number == 504 ? WW_ETIMEDOUT : WW_EUNREACHABLE));
        return;
    }
    evbuffer_drain(input, (size_t)end.pos + 4);
    dial_secure(dial);
}

/* --- events --------------------------------------------------------------------------------------
 */

static void on_opened(void *arg)
{
    struct ww_http_dial *dial = arg;
    if (dial->stage == DIAL_TLS) {
        dial_finish(dial, 0);
        return;
    }
    if (!dial->target->proxy.host[0])
        dial_secure(dial);
    else if (dial->target->proxy.is_socks)
        socks_hello(dial);
    else
        http_connect(dial);
}

static void on_readable(void *arg)
{
    struct ww_http_dial *dial = arg;
    switch (dial->stage) {
    case DIAL_SOCKS_METHOD:
        read_socks_method(dial);
        break;
    case DIAL_SOCKS_REPLY:
        read_socks_reply(dial);
        break;
    case DIAL_HTTP_REPLY:
        read_http_reply(dial);
        break;
    case DIAL_CONNECT: /* bytes before the proxy was asked: left to whoever reads next */
    case DIAL_TLS:
        break;
    }
}

static void on_ended(void *arg, int code)
{
    struct ww_http_dial *dial = arg;
    const struct ww_http_trust *trust = dial->target->trust;
    if (code == 0)
        code = WW_ECLOSED;
    ww_http_link_destroy(dial->link);
    dial->link = NULL;
    if (dial->stage == DIAL_CONNECT) {
        dial_connect(dial, code);
        return;
    }
    if (dial->stage == DIAL_TLS && trust->pin_missed)
        code = WW_EPIN;
    else if (dial->stage == DIAL_TLS && trust->untrusted)
        code = WW_EAUTH;
    dial_fail(dial, code);
}

static const struct ww_http_link_events dial_events = {
    .opened = on_opened,
    .readable = on_readable,
    .ended = on_ended,
};

int ww_http_dial_create(struct ww_loop *loop, const struct ww_http_dial_target *target,
                        ww_http_dial_fn fn, void *arg, struct ww_http_dial **dial)
{
    const struct ww_http_url *hop;
    struct ww_http_dial *made = ww_alloc(1, sizeof(*made));
    if (!made)
        return WW_ENOMEM;
    made->loop = loop;
    made->target = target;
    made->fn = fn;
    made->arg = arg;
    if (target->trust)
        target->trust->pin_missed = target->trust->untrusted = false;
    int code = ww_timer_create(loop, on_timer, made, &made->timer);
    if (code != 0) {
        ww_free(made);
        return code;
    }
    ww_timer_start(made->timer, target->timeout_ms * 1000ULL);
    hop = first_hop(made);
    made->count = ww_http_resolve_numeric(hop->host, hop->port, made->addresses);
    if (made->count > 0)
        dial_connect(made, WW_EUNREACHABLE);
    else
        code = ww_http_lookup_create(loop, hop->host, hop->port, on_lookup, made, &made->lookup);
    if (code != 0) {
        dial_free(made);
        return code;
    }
    *dial = made;
    return 0;
}

void ww_http_dial_destroy(struct ww_http_dial *dial)
{
    if (dial)
        dial_free(dial);
}
