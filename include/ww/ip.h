/* One IP packet on its way to the internet: is it whole, does it say the truth about its lengths,
 * and may it go where it wants to? The address rules of ww/address.h for those who carry packets,
 * not streams. Pure; no copy, no allocation. Thread: any that may read the rules.
 *
 * Passed are TCP, UDP and ICMP echo only, without IPv4 options (but for padding) and without IPv6
 * extension headers (but for the fragment header): nothing is left that could route, tunnel or hide
 * what is inside. The inner source is the caller's to compare with what it assigned. Checksums are
 * not looked at: what is wrong there reaches nobody. */
#pragma once

#include "ww/address.h"

struct ww_ip {
    bool is_v4;
    uint8_t protocol;                    /* IPPROTO_TCP, _UDP, _ICMP or _ICMPV6 */
    uint8_t source[16], destination[16]; /* IPv4 mapped */
    uint16_t source_port,
        destination_port;  /* host order; of echo its id, twice; of a later fragment 0
                            */
    uint16_t header_size;  /* bytes before the transport's header */
    uint16_t payload_size; /* bytes from there on */
    bool is_fragment;      /* ask ww_ip_fragment too */
    bool is_last;          /* … no more come after it */
    uint16_t offset;       /* … bytes of the datagram before it */
    uint32_t id;           /* … which datagram */
};

/* Reads and judges one packet of exactly `size` bytes; rules as for ww_address_judge. *rule (may be
 * NULL) is a static name of what decided, "public" or "exception" when it may pass. The first
 * fragment must hold the whole transport header (RFC 7112, RFC 1858), so ports are judged there.
 * 0; WW_EMALFORMED: no such packet should exist; WW_EUNSUPPORTED: a protocol, option, header or
 * ICMP type that is not carried; WW_EDESTINATION: address or port. *ip is complete only after 0. */
int ww_ip_judge(const struct ww_address_rules *rules, const uint8_t *bytes, size_t size,
                struct ww_ip *ip, const char **rule);

/* The same without ports and addresses being judged, for what comes back: 0 (*rule "whole"),
 * WW_EMALFORMED or WW_EUNSUPPORTED. */
int ww_ip_read(const uint8_t *bytes, size_t size, struct ww_ip *ip, const char **rule);

/* An ICMP error that comes back (unreachable, too big, time exceeded, parameter problem), which the
 * two above don't let pass: *ip is the error itself, *about the packet that it is about, as far as
 * its first bytes say: addresses, protocol and ports. 0; WW_EMALFORMED; WW_EUNSUPPORTED: something
 * else, or about what could not have been sent. */
int ww_ip_read_error(const uint8_t *bytes, size_t size, struct ww_ip *ip, struct ww_ip *about);

/* Datagrams whose first fragment has passed. Begins zeroed; one for each client, so that nobody can
 * push out another's. */
struct ww_ip_fragments {
    struct ww_ip_datagram {
        uint8_t source[16], destination[16];
        uint64_t since_us; /* 0: free */
        uint32_t id, held;
        uint32_t passed; /* of all, when the last of this one did */
        uint16_t next;   /* where the next fragment begins */
        uint8_t protocol;
    } datagrams[WW_IP_FRAGMENTS_MAX];
    uint64_t held, leaked_us; /* bytes that wait elsewhere for the rest of their datagrams */
    uint32_t passed;          /* fragments, of all datagrams */
};
/* Whether a fragment that ww_ip_judge has passed may go on. Each must begin where the last one
 * ended, within WW_IP_FRAGMENT_MS of the first: so none comes without a first one that was judged,
 * and none overlaps (RFC 5722); one that does ends its datagram. Of IPv4, WW_IP_FRAGMENT_DISTANCE
 * others at most come between two, since Linux then forgets what it had. now_us: monotonic, not 0.
 * 0; WW_EUNSUPPORTED; WW_ELIMIT: with it more than WW_IP_UNFINISHED_BYTES would wait elsewhere for
 * the rest of their datagrams. What never ends is forgotten evenly, within WW_IP_UNFINISHED_MS. */
int ww_ip_fragment(struct ww_ip_fragments *fragments, const struct ww_ip *ip, uint64_t now_us,
                   const char **rule);
