/* Inside of the room: the forwarder's own state, for the files that make it up. */
#pragma once
#include "dns_room.h"

#define DNS_TICK_US   100000
#define DNS_SLOT_BITS 8

_Static_assert(WW_DNS_LOOKUPS_MAX == 1 << DNS_SLOT_BITS, "a slot is the low byte of an exchange");

/* One question that is being asked upstream, for all who asked it. Lookups have a slot each, which
 * the low byte of their exchange names, so that an exchange that is over is never taken for another
 * one. */
struct dns_lookup {
    LIST_HEAD(, ww_dns_ask) asks;
    struct dns_key key;
    struct ww_dns_question question;
    char name[DNS_NAME_SIZE];
    size_t slot;
    uint64_t exchange; /* 0: none is under way */
    uint64_t since_us, tried_us;
    size_t first_upstream, upstream, tries;
    bool is_stream;
    unsigned code; /* what an upstream said that could not answer */
    uint8_t query[WW_DNS_QUERY_BYTES];
    size_t query_size;
    bool is_excluded; /* by the policy, from the tunnel */
    uint64_t hold;    /* not 0: `held` is given once its addresses are excluded */
    uint8_t *held;    /* an answer, without what is not kept of it */
    size_t held_size;
    uint32_t held_s;
};

struct ww_dns {
    struct ww_loop *loop;
    struct ww_timer *timer;
    struct ww_dns_config config;
    struct ww_dns_upstream_stats upstreams[WW_DNS_UPSTREAMS_MAX];
    size_t upstream_count, preferred;
    char *private_names[WW_DNS_PRIVATE_MAX];
    size_t private_count;
    struct ww_dns_lists *lists; /* NULL: none */
    struct dns_cache cache;
    struct dns_names names;
    struct dns_lookup *lookups[WW_DNS_LOOKUPS_MAX];
    size_t lookup_count, asks_waiting;
    uint64_t serial;
    struct ww_dns_stats stats;
    uint8_t reply[DNS_MESSAGE_BYTES];
};

/* dns_exchange.c */
enum ww_dns_verdict dns_judge(struct ww_dns *dns, const char *name);
/* What is answered in the place of what was not allowed. */
struct dns_own dns_own_of(enum ww_dns_verdict verdict, unsigned type);
/* Another exchange, now or when there is a connection; false: there is nothing left to try. */
bool dns_try_next(struct ww_dns *dns, struct dns_lookup *lookup);
/* Ends its exchange and takes it out of its slot; the asks of it are the caller's to end. */
void dns_drop(struct ww_dns *dns, struct dns_lookup *lookup);
/* The timer's: tries, and the end of patience. */
void dns_tick(void *arg);
