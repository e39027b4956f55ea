/* A DNS server of a test's own on loopback, UDP and TCP, which the test's thread turns. The first
 * label of a name says what it does: hang, gone (NXDOMAIN), none, fail (SERVFAIL), both (A and
 * AAAA, else A only), twice (a forged answer first), bad1 to bad7 (malformed), cut (truncated: by
 * TCP), cutmany (100 addresses), cutflood (64 KB), cutclosed, cuthalf, cuthang. */
#pragma once

#include "ww/base.h"

#define DNS_CONNECTIONS 4

struct dns_server {
    int udp, tcp;
    int connections[DNS_CONNECTIONS]; /* -1: free */
    uint16_t port;
    uint8_t last; /* of the addresses that it answers: 192.0.2.x */
    size_t asked;
    char name[256]; /* that was asked last, with dots */
    struct ww_prng *mutate;
};

/* At this address (the host's order of bytes). False: the port is another's. */
bool dns_server_start(struct dns_server *server, uint32_t address, uint16_t port);
void dns_server_stop(struct dns_server *server);
/* Answers what has come. */
void dns_server_serve(struct dns_server *server);
