/* Inside of the room: what the flow policy says of destinations. It is asked once for a new flow;
 * its answer holds for the destination as long as the policy said, and never longer than its
 * generation. One thread, the loop's.
 */
#pragma once
#include <sys/queue.h>
#include <uthash.h>

#include "ww/flow.h"
#include "ww/policy.h"
#include "ww/wire.h"

#define VERDICT_KEY_SIZE       (2 * WW_NAME_BYTES_MAX + WW_HOOK_APPLICATION_SIZE + 16)
#define VERDICT_PLACE_KEY_SIZE (WW_NAME_BYTES_MAX + 48)

/* What all flows to one place share: of a protocol, host and port, and under one rate. What the
 * flows' packets say that the host is called makes no other place of it. */
struct verdict_place {
    UT_hash_handle hh;
    char key[VERDICT_PLACE_KEY_SIZE];
    struct ww_flow_bucket bucket;
    uint64_t verdicts; /* that are of this place; without any it is gone */
    uint64_t flows;    /* theirs, open now */
};

struct verdict {
    UT_hash_handle hh;
    struct verdicts *table;
    TAILQ_ENTRY(verdict) idle; /* while it has no flows: the oldest goes first */
    char key[VERDICT_KEY_SIZE];
    enum ww_hook_flow decision;
    uint64_t max_flows;           /* with WW_HOOK_LIMIT: of all flows to the place */
    struct ww_flow_bucket bucket; /* likewise: what is in it is the place's */
    struct verdict_place *place;  /* likewise; else NULL */
    uint64_t until_us;
    uint64_t epoch; /* of the table, when it was given */
    uint64_t flows; /* open now */
};

/* All zero: empty. */
struct verdicts {
    struct verdict *table;
    struct verdict_place *places;
    TAILQ_HEAD(, verdict) idle;
    uint64_t flows, denied, limited; /* open now; ever */
    uint64_t logged_us;              /* when a denial was last in the log */
    uint64_t epoch;                  /* another generation of policies is another epoch */
    struct ww_hash generation;
};

struct edge;
/* What is known of a flow. */
struct verdict_about {
    const struct ww_dest *dest;
    bool is_echo;            /* ICMP, whatever the destination's protocol */
    const char *name;        /* NULL: unknown, or the destination's own */
    const char *application; /* NULL: unknown */
    const char *country;     /* "" or NULL: unknown */
    uint32_t network;        /* 0: unknown */
};
/* Frees all of them; no flow may be open, or its verdict be touched again. */
void verdicts_clear(struct verdicts *verdicts);
/* A flow to `dest` may be opened: 0, and *verdict is to be given back with verdict_end. Otherwise
 * WW_EDENIED, WW_ELIMIT (as many are open as the policy wants) or WW_ENOMEM, and *verdict is NULL.
 */
int verdict_ask(struct edge *edge, const struct ww_dest *dest, struct verdict **verdict);
int verdict_ask_about(struct edge *edge, const struct verdict_about *about,
                      struct verdict **verdict);
/* The flow has ended. NULL is fine; *verdict becomes NULL. */
void verdict_end(struct verdict **verdict);
