/* Targets: a destination's text form in and out. Relies on ww_address_parse, so that
 * octal, hexadecimal, short and zoned forms of an address are refused, and never looked up. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "ww/address.h"

#define LABEL_BYTES_MAX 63  /* RFC 1035 section 2.3.4 */
#define HOST_BYTES_MAX  253 /* 255 on the wire, less the root label and the first length */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits only, or 0x and hexadecimal digits: inet_aton would take it for (part of) an address. */
static bool is_number(const char *label, size_t size)
{
    size_t at = 0;

    if (size >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X')) {
        for (at = 2; at < size; at++) {
            if (!is_digit(label[at]) && !(label[at] >= 'a' && label[at] <= 'f') &&
                !(label[at] >= 'A' && label[at] <= 'F'))
                return false;
        }
        return true;
    }
    while (at < size && is_digit(label[at]))
        at++;
    return at == size;
}

static bool is_name(const char *host, size_t size)
{
    size_t label = 0; /* where the current one begins */

    if (size == 0 || size > HOST_BYTES_MAX)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (host[i] == '.') {
            if (i == label || i - label > LABEL_BYTES_MAX)
                return false;
            label = i + 1;
        } else if (!is_letter(host[i]) && !is_digit(host[i]) && host[i] != '-' && host[i] != '_') {
            return false;
        }
    }
    return size > label && size - label <= LABEL_BYTES_MAX &&
           !is_number(host + label, size - label);
}

int ww_target_parse(const char *host, size_t size, uint16_t port, struct ww_target *target)
{
    uint8_t bytes[16];
    bool is_v4;

    *target = (struct ww_target){.kind = WW_TARGET_NAME, .port = port};
    if (ww_address_parse(host, size, bytes, &is_v4) == 0) {
        target->kind = is_v4 ? WW_TARGET_IPV4 : WW_TARGET_IPV6;
        memcpy(target->address, is_v4 ? bytes + 12 : bytes, is_v4 ? 4 : 16);
    } else if (is_name(host, size)) {
        memcpy(target->name, host, size);
    } else {
        return WW_EINVAL;
    }
    return 0;
}

socklen_t ww_target_sockaddr(const struct ww_target *target, struct sockaddr_storage *address)
{
    memset(address, 0, sizeof(*address));
    switch (target->kind) {
    case WW_TARGET_IPV4: {
        struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;

        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(target->port);
        memcpy(&ipv4->sin_addr, target->address, 4);
        return sizeof(*ipv4);
    }
    case WW_TARGET_IPV6: {
        struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;

        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons(target->port);
        memcpy(&ipv6->sin6_addr, target->address, 16);
        return sizeof(*ipv6);
    }
    case WW_TARGET_NAME:
        break;
    }
    return 0;
}

int ww_target_from_sockaddr(const struct sockaddr *address, struct ww_target *target)
{
    *target = (struct ww_target){.kind = WW_TARGET_IPV4};
    if (address->sa_family == AF_INET) {
        struct sockaddr_in ipv4;

        memcpy(&ipv4, address, sizeof(ipv4));
        memcpy(target->address, &ipv4.sin_addr, 4);
        target->port = ntohs(ipv4.sin_port);
        return 0;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 ipv6;

        memcpy(&ipv6, address, sizeof(ipv6));
        target->port = ntohs(ipv6.sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr)) {
            memcpy(target->address, ipv6.sin6_addr.s6_addr + 12, 4);
        } else {
            target->kind = WW_TARGET_IPV6;
            memcpy(target->address, &ipv6.sin6_addr, 16);
        }
        return 0;
    }
    return WW_EINVAL;
}

const char *ww_target_format(const struct ww_target *target, char text[WW_TARGET_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN];

    switch (target->kind) {
    case WW_TARGET_IPV4:
        inet_ntop(AF_INET, target->address, host, sizeof(host));
        snprintf(text, WW_TARGET_TEXT_BYTES, "%s:%u", host, (unsigned)target->port);
        break;
    case WW_TARGET_IPV6:
        inet_ntop(AF_INET6, target->address, host, sizeof(host));
        snprintf(text, WW_TARGET_TEXT_BYTES, "[%s]:%u", host, (unsigned)target->port);
        break;
    case WW_TARGET_NAME:
        snprintf(text, WW_TARGET_TEXT_BYTES, "%s:%u", target->name, (unsigned)target->port);
        break;
    }
    return text;
}
