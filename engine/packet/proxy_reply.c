/* What the proxy answers: SOCKS5 replies and HTTP responses. Relies on the error table for words.
 * Pure; an answer tells the application why, and what to do, and never more than errors.def says.
 */
#include <stdio.h>
#include <string.h>

#include "proxy_room.h"
#include "socks.h"

size_t ww_proxy_socks_reply(uint8_t reply[WW_SOCKS_REPLY_BYTES_MAX], unsigned code,
                            const struct sockaddr *bound)
{
    struct ww_target target = {.kind = WW_TARGET_IPV4};
    size_t size = 0;
    size_t address_size;

    if (bound && ww_target_from_sockaddr(bound, &target) != 0)
        target = (struct ww_target){.kind = WW_TARGET_IPV4};
    address_size = target.kind == WW_TARGET_IPV6 ? 16 : 4;
    reply[size++] = WW_SOCKS_VERSION;
    reply[size++] = (uint8_t)code;
    reply[size++] = 0;
    reply[size++] = target.kind == WW_TARGET_IPV6 ? WW_SOCKS_ATYP_IPV6 : WW_SOCKS_ATYP_IPV4;
    memcpy(reply + size, target.address, address_size);
    size += address_size;
    reply[size++] = (uint8_t)(target.port >> 8);
    reply[size++] = (uint8_t)target.port;
    return size;
}

unsigned ww_proxy_socks_code(int code)
{
    switch (code) {
    case WW_EDESTINATION:
    case WW_EDENIED:
    case WW_EPERM:
    case WW_EREFUSED:
    case WW_EDECLINED:
    case WW_EBANNED:
    case WW_EFUNDS:
        return WW_SOCKS_NOT_ALLOWED;
    case WW_EOFFLINE:
    case WW_EICE:
    case WW_ENOCONTRACT:
        return WW_SOCKS_NET_UNREACHABLE;
    case WW_EUNREACHABLE:
    case WW_ERESOLVE:
        return WW_SOCKS_HOST_UNREACHABLE;
    case WW_ECONNREFUSED:
        return WW_SOCKS_REFUSED;
    case WW_ETIMEDOUT:
        return WW_SOCKS_TTL_EXPIRED;
    case WW_EUNSUPPORTED:
        return WW_SOCKS_BAD_COMMAND;
    default:
        return WW_SOCKS_FAILURE;
    }
}

static const char *status_phrase(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 405:
        return "Method Not Allowed";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Bad Gateway";
    }
}

static size_t write_response(char text[WW_PROXY_HTTP_BYTES_MAX], unsigned status, const char *body)
{
    /* RFC 9110 section 15.5.6: a 405 names the methods that are there. */
    int size = snprintf(text, WW_PROXY_HTTP_BYTES_MAX,
                        "HTTP/1.1 %u %s\r\n%sContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                        "Connection: close\r\n\r\n%s",
                        status, status_phrase(status), status == 405 ? "Allow: CONNECT\r\n" : "",
                        strlen(body), body);

    return WW_MIN((size_t)size, (size_t)WW_PROXY_HTTP_BYTES_MAX - 1);
}

size_t ww_proxy_http_status(char text[WW_PROXY_HTTP_BYTES_MAX], unsigned status)
{
    switch (status) {
    case 405:
        return write_response(text, status,
                              "This is a proxy: send it CONNECT host:port (curl -p -x http://...), "
                              "or use SOCKS5 on the same port.\n");
    case 431:
        return write_response(text, status,
                              "The head of a CONNECT request has at most 8192 bytes "
                              "and 64 fields.\n");
    case 505:
        return write_response(text, status, "This proxy speaks HTTP/1.1 and HTTP/1.0.\n");
    default:
        return write_response(text, status,
                              "Not a valid request: send CONNECT host:port "
                              "HTTP/1.1 and a Host field.\n");
    }
}

size_t ww_proxy_http_error(char text[WW_PROXY_HTTP_BYTES_MAX], int code)
{
    char body[512];
    unsigned status = (unsigned)ww_error_http(code);

    /* The other statuses mean something about the application's own request. */
    if (status != 403 && status != 429 && status != 503 && status != 504)
        status = 502;
    snprintf(body, sizeof(body), "%s: %s. %s.\n", ww_error_name(code), ww_error_what(code),
             ww_error_fix(code));
    return write_response(text, status, body);
}
