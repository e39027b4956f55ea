/* Inside of the room: the flows of the egress for packets, and what one client may have of them:
 * how many, how many new ones a second, to how many destinations. All memory is taken at the start;
 * a full client gives up its flow that has been idle the longest. Pure: time comes in. */
#pragma once

#include "ww/exit.h"
#include "ww/ip.h"

#define WW_EXIT_NO_FLOW UINT32_MAX

struct ww_exit_table;

/* Which flow: as the client sees it. Compared as bytes, so it begins zeroed. */
struct ww_exit_key {
    uint8_t destination[16]; /* IPv4 mapped */
    uint32_t client;
    uint16_t source_port, destination_port; /* of echo its id, and 0 */
    uint8_t protocol;
    bool is_v4;
    uint8_t zero[2];
};
struct ww_exit_flow {
    struct ww_exit_key key;
    uint64_t used_us;      /* 0: free */
    void *join;            /* the owner's; NULL at first */
    uint32_t next;         /* in its bucket, or of the free ones */
    uint32_t newer, older; /* of its client */
    uint32_t place;        /* its destination's */
    uint8_t fins;          /* bit 0: the client's, bit 1: of the other side, bit 2: over */
};

/* closed: the flow was idle for too long, or gives way to a new one; what `join` holds must be let
 * go. No function of the table may be called from it. NULL is fine. WW_ENOMEM. */
int ww_exit_table_create(const struct ww_exit_limits *limits,
                         void (*closed)(void *arg, struct ww_exit_flow *flow), void *arg,
                         struct ww_exit_table **table);
void ww_exit_table_destroy(struct ww_exit_table *table); /* without callbacks; NULL is fine */

/* The key of a packet from a client. */
void ww_exit_key_of(const struct ww_ip *ip, uint32_t client, struct ww_exit_key *key);
/* WW_EXIT_NO_FLOW, or the number of a flow, which is used now. */
uint32_t ww_exit_table_find(struct ww_exit_table *table, const struct ww_exit_key *key,
                            uint64_t now_us);
/* As find, and makes what isn't there. WW_ELIMIT, counted. */
int ww_exit_table_open(struct ww_exit_table *table, const struct ww_exit_key *key, uint64_t now_us,
                       uint32_t *number);
/* NULL if there is none by that number. Valid until the flow is closed. */
struct ww_exit_flow *ww_exit_table_at(struct ww_exit_table *table, uint32_t number);
/* What all clients share is used up: the one with the most flows of this protocol (or of any: 0),
 * if that has more of them than `client`, gives up its idlest one. False: there is none. */
bool ww_exit_table_make_way(struct ww_exit_table *table, uint32_t client, uint8_t protocol);
/* What a TCP packet's flags say of the flow's end. */
void ww_exit_table_flags(struct ww_exit_flow *flow, uint8_t tcp_flags, bool outgoing);
/* Whether the owner says that the flow is over: it is then soon swept. */
void ww_exit_table_over(struct ww_exit_flow *flow, bool is_over);
/* The same number lives on as used now. */
void ww_exit_table_touch(struct ww_exit_table *table, uint32_t number, uint64_t now_us);
void ww_exit_table_close(struct ww_exit_table *table, uint32_t number); /* no callback */
/* With callbacks. Its number is free for another, or for the same again: it has no more new flows
 * left than it had. */
void ww_exit_table_forget(struct ww_exit_table *table, uint32_t client);
/* Closes a part of what is idle; called once a second it looks at everything in 16 s. */
void ww_exit_table_sweep(struct ww_exit_table *table, uint64_t now_us);
void ww_exit_table_counts(const struct ww_exit_table *table, uint32_t client,
                          struct ww_exit_counts *counts); /* its fields of flows only */
