/* Which destinations are on the public internet, and what a destination looks like.
 *
 * The fixed list is numbered: both sides of a contract compute the same answer from it, and a
 * signed declaration of an address that it denies is proof. What only this host knows (its own
 * addresses, on-link prefixes, gateways, metadata services) is judged by a second set, which
 * proves nothing. Rules are read by one thread at a time.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "ww/base.h"
#include "ww/buf.h"
#include "ww/limits.h"

/* The numbered list of destinations that both sides can compute. */
#define WW_ADDRESS_LIST_VERSION 1

struct ww_address_rules; /* the fixed list, plus exceptions and what only this host knows */
struct ww_prefix {
    uint8_t address[16]; /* IPv4 mapped into ::ffff:0:0/96 */
    uint8_t bits;        /* 0 to 128; an IPv4 prefix has 96 more than in its text */
};

/* Local addresses and on-link prefixes, gateways and metadata services of this host are denied too
 * when with_local is set (read now and by ww_address_rules_refresh). *rules is owned by the caller.
 * WW_ENOMEM, WW_ESYSTEM, WW_ELIMIT. */
int ww_address_rules_create(bool with_local, struct ww_address_rules **rules);
/* NULL is fine. */
void ww_address_rules_destroy(struct ww_address_rules *rules);
/* Reads the host's addresses again; call it when links change. On an error the old set stays.
 * WW_ENOMEM, WW_ESYSTEM, WW_ELIMIT. */
int ww_address_rules_refresh(struct ww_address_rules *rules);
/* --allow-private: an exception to every address rule below but the one for mapped addresses.
 * WW_ELIMIT after WW_ADDRESS_EXCEPTIONS_MAX. */
int ww_address_rules_allow(struct ww_address_rules *rules, const struct ww_prefix *prefix);
/* The exceptions, borrowed: until the next is allowed. */
const struct ww_prefix *ww_address_rules_exceptions(const struct ww_address_rules *rules,
                                                    size_t *count);
/* The prefixes of the fixed list, for who writes it down for another judge (a firewall); beside
 * them, IPv6 is allowed inside 2000::/3 only. ::ffff:0:0/96 is not among them: here it would mean
 * all of IPv4. At most `max` are written; how many there are is returned. */
size_t ww_address_fixed_prefixes(struct ww_prefix *prefixes, size_t max);
/* "10.0.0.0/8", "fd00::/8", "127.0.0.1"; no bit may be set behind the prefix. WW_EINVAL. */
int ww_prefix_parse(const char *text, struct ww_prefix *prefix);
bool ww_prefix_contains(const struct ww_prefix *prefix, const uint8_t address[16]);

/* The only reader of an address's text: IPv4 as four decimal numbers, IPv6 as RFC 4291 section 2.2
 * has it, and nothing around them: no zone, brackets, port, spaces, leading zeros, octal,
 * hexadecimal or short IPv4. IPv4 is mapped into *address; *is_v4 is what ww_address_judge takes as
 * mapped_is_v4. Thread: any. WW_EINVAL. */
int ww_address_parse(const char *text, size_t size, uint8_t address[16], bool *is_v4);
/* Judges 16 bytes after unmapping. 0 or WW_EDESTINATION; *rule (may be NULL) names the row that
 * decided, static ("private 10.0.0.0/8", "exception", "public"). mapped_is_v4: ::ffff:a.b.c.d means
 * a.b.c.d, because it came from accept, getpeername or ww_address_map; else (text, wire, DNS) the
 * whole mapped range is denied. rules NULL: the fixed list alone, the part that is proof. */
int ww_address_judge(const struct ww_address_rules *rules, const uint8_t address[16],
                     bool mapped_is_v4, const char **rule);
/* As above for an address from the kernel: a mapped AF_INET6 address is the IPv4 address in it. Do
 * not use it for what a resolver returned. Other families are denied. */
int ww_address_judge_sockaddr(const struct ww_address_rules *rules, const struct sockaddr *address,
                              const char **rule);
/* Where another node may say that it can be reached (a candidate, a relay): as by the fixed list,
 * but also in the networks that nodes may share: private, CGN, unique local, and those of
 * benchmarks and documentation, which test networks use and nobody else answers in; loopback if
 * with_loopback. Metadata services and ISATAP of what the list denies are not. *rule (may be NULL)
 * as above: "shared network" where the list would deny. 0 or WW_EDESTINATION. Thread: any. */
int ww_address_judge_peer(const uint8_t address[16], bool mapped_is_v4, bool with_loopback,
                          const char **rule);
/* Ports that are never served (0, 25, and amplification ports on UDP), for IPPROTO_TCP and
 * IPPROTO_UDP, in host order: 0 or WW_EDESTINATION. Exceptions do not change it. */
int ww_address_judge_port(int protocol, uint16_t port, const char **rule);
/* a.b.c.d as ::ffff:a.b.c.d. */
void ww_address_map(const uint8_t ipv4[4], uint8_t address[16]);

/* --- text to verdicts ------------------------------------------------------------------------- */

/* Appends "TEXT allow|deny RULE\n", or the same as a JSON object: one line of printable ASCII,
 * whatever the text. What is no address is denied by the rule "invalid"; other bytes of it appear
 * as \xNN, and no more than WW_ADDRESS_ECHO_BYTES_MAX of them. Errors stay in out. */
void ww_address_put_verdict(const struct ww_address_rules *rules, const char *text, size_t size,
                            bool json, struct ww_buf *out);

/* A stream of lines, each ended by one LF (a CR before it belongs to the text). Begins with
 * {.rules = …, .json = …}, owns nothing, and keeps no more than the begun line. */
struct ww_address_lines {
    const struct ww_address_rules *rules; /* borrowed; NULL: the fixed list alone */
    bool json;
    size_t size;                              /* of what is kept */
    char kept[WW_ADDRESS_ECHO_BYTES_MAX + 1]; /* the last byte only says that there was more */
};
/* Appends a verdict for each line that ends in these bytes: at most 64 bytes for a byte, and
 * 8 * WW_ADDRESS_ECHO_BYTES_MAX for what was kept. Errors stay in out. */
void ww_address_lines_feed(struct ww_address_lines *lines, const char *text, size_t size,
                           struct ww_buf *out);
/* The last line, unless it is empty. */
void ww_address_lines_end(struct ww_address_lines *lines, struct ww_buf *out);

/* --- targets -----------------------------------------------------------------------------------
 */

enum ww_target_kind { WW_TARGET_NAME = 1, WW_TARGET_IPV4 = 4, WW_TARGET_IPV6 = 6 };

/* A destination as the application gave it; names are not resolved here. */
struct ww_target {
    enum ww_target_kind kind;
    uint8_t address[16];              /* IPv4: the first four bytes; the rest is zero */
    char name[WW_NAME_BYTES_MAX + 1]; /* NUL-terminated; "" unless a name */
    uint16_t port;                    /* host order */
};

/* Reads a host: IPv4 or IPv6 as inet_pton has it (no brackets, no zone), or a name of ASCII
 * letters, digits, '-', '_' and '.', labels of 1 to 63 and at most 253 bytes, whose last label is
 * no number ("127.1", "0x7f.1" and "2130706433" are refused: some resolvers take them for
 * addresses) and no trailing dot. WW_EINVAL. */
int ww_target_parse(const char *host, size_t size, uint16_t port, struct ww_target *target);
/* The socket address of an IPv4 or IPv6 target; 0 for a name. */
socklen_t ww_target_sockaddr(const struct ww_target *target, struct sockaddr_storage *address);
/* A target for AF_INET or AF_INET6; a mapped address becomes IPv4. WW_EINVAL for other families. */
int ww_target_from_sockaddr(const struct sockaddr *address, struct ww_target *target);
#define WW_TARGET_TEXT_BYTES (WW_NAME_BYTES_MAX + 16)
/* "192.0.2.1:80", "[2001:db8::1]:80", "example.org:80", for logs. Returns text. */
const char *ww_target_format(const struct ww_target *target, char text[WW_TARGET_TEXT_BYTES]);
