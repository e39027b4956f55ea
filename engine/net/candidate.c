/* ICE candidates as text (RFC 8839 5.1), and which of them a peer may name. Relies on the
 * address rules of base; no I/O: a name is never resolved.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "token.h"
#include "ww/address.h"
#include "ww/net_codec.h"

static const char *const TYPE_NAMES[] = {
    [WW_CANDIDATE_HOST] = "host",
    [WW_CANDIDATE_SRFLX] = "srflx",
    [WW_CANDIDATE_PRFLX] = "prflx",
    [WW_CANDIDATE_RELAY] = "relay",
};

static bool is_ice_text(struct token token)
{
    for (size_t i = 0; i < token.size; i++) {
        char c = token.text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/'))
            return false;
    }
    return token.size > 0;
}

static bool parse_address(struct token host, uint16_t port, union ww_address *address)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    memset(address, 0, sizeof *address);
    if (!token_copy(host, text, sizeof text))
        return false;
    if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6) != 1)
        return false;
    /* Nobody has a reason to write IPv4 so, but to be taken for somebody else. */
    if (IN6_IS_ADDR_V4MAPPED(&v6))
        return false;
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(port);
    address->v6.sin6_addr = v6;
    return true;
}

static bool parse_type(struct token name, enum ww_candidate_type *type)
{
    for (unsigned i = 0; i < WW_ARRAY_COUNT(TYPE_NAMES); i++) {
        if (token_is(name, TYPE_NAMES[i])) {
            *type = (enum ww_candidate_type)i;
            return true;
        }
    }
    return false;
}

int ww_candidate_parse(const char *text, size_t size, struct ww_candidate *candidate)
{
    struct token rest = {text, size};
    struct token foundation, component, transport, priority, host, port, typ, type;
    uint64_t component_number, priority_number, port_number;
    bool is_udp;

    memset(candidate, 0, sizeof *candidate);
    if (!token_word(&rest, &foundation) || !token_word(&rest, &component) ||
        !token_word(&rest, &transport) || !token_word(&rest, &priority) ||
        !token_word(&rest, &host) || !token_word(&rest, &port) || !token_word(&rest, &typ) ||
        !token_word(&rest, &type))
        return WW_EMALFORMED;
    if (!is_ice_text(foundation) ||
        !token_copy(foundation, candidate->foundation, sizeof candidate->foundation) ||
        !token_number(component, 256, &component_number) || component_number == 0 ||
        !token_number(priority, UINT32_MAX, &priority_number) ||
        !token_number(port, UINT16_MAX, &port_number) || !token_is(typ, "typ"))
        return WW_EMALFORMED;
    is_udp = transport.size == 3 && strncasecmp(transport.text, "udp", 3) == 0;
    if (!is_udp || component_number != 1 || priority_number == 0 ||
        !parse_type(type, &candidate->type) ||
        !parse_address(host, (uint16_t)port_number, &candidate->address))
        return WW_EUNSUPPORTED;
    candidate->priority = (uint32_t)priority_number;
    return 0;
}

void ww_candidate_write(const struct ww_candidate *candidate, struct ww_buf *out)
{
    char host[INET6_ADDRSTRLEN] = "";
    bool is_v6 = candidate->address.any.sa_family == AF_INET6;
    if (is_v6)
        inet_ntop(AF_INET6, &candidate->address.v6.sin6_addr, host, sizeof host);
    else
        inet_ntop(AF_INET, &candidate->address.v4.sin_addr, host, sizeof host);
    ww_buf_printf(out, "%s 1 UDP %u %s %u typ %s", candidate->foundation, candidate->priority, host,
                  ntohs(is_v6 ? candidate->address.v6.sin6_port : candidate->address.v4.sin_port),
                  TYPE_NAMES[candidate->type]);
    /* The related address is only for diagnostics and tells where we live: RFC 8839 allows this. */
    if (candidate->type != WW_CANDIDATE_HOST)
        ww_buf_put_text(out, is_v6 ? " raddr :: rport 9" : " raddr 0.0.0.0 rport 9");
}

bool ww_address_is_loopback(const union ww_address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

bool ww_candidate_is_allowed(const struct ww_candidate *candidate, bool allow_loopback)
{
    const union ww_address *address = &candidate->address;
    uint8_t bytes[16];
    bool is_v4 = address->any.sa_family == AF_INET;

    if (is_v4)
        ww_address_map((const uint8_t *)&address->v4.sin_addr, bytes);
    else if (address->any.sa_family == AF_INET6)
        memcpy(bytes, &address->v6.sin6_addr, sizeof bytes);
    else
        return false;
    return (is_v4 ? address->v4.sin_port : address->v6.sin6_port) != 0 &&
           ww_address_judge_peer(bytes, is_v4, allow_loopback, NULL) == 0;
}

void ww_address_format(const union ww_address *address, char text[WW_SOCKADDR_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN];
    text[0] = '\0';
    if (address->any.sa_family == AF_INET &&
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host))
        snprintf(text, WW_SOCKADDR_TEXT_SIZE, "%s:%u", host, ntohs(address->v4.sin_port));
    else if (address->any.sa_family == AF_INET6 &&
             inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host))
        snprintf(text, WW_SOCKADDR_TEXT_SIZE, "[%s]:%u", host, ntohs(address->v6.sin6_port));
}

socklen_t ww_address_size(const union ww_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}
