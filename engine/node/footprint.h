/* Inside of the room: how much went where, over time: bytes by host, application, country and
 * provider, by the hour for two days and by the day for 400. It is in the node's state, and nowhere
 * else. Thread: the loop's.
 */
#pragma once
#include "ww/store.h"

struct edge;
struct footprint;

enum footprint_by {
    FOOTPRINT_HOST,
    FOOTPRINT_APPLICATION,
    FOOTPRINT_COUNTRY,
    FOOTPRINT_PROVIDER,
};
#define FOOTPRINT_BYS 4

/* What the state has of the present hour and day goes on. WW_ENOMEM, WW_EIO. */
int footprint_create(struct edge *edge, struct footprint **footprint);
/* Stores what is new, if it can. NULL is fine. */
void footprint_destroy(struct footprint *footprint);
/* keys[by], NULL or "" where it isn't known. Without memory it is counted under "". */
void footprint_add(struct footprint *footprint, const char *const keys[FOOTPRINT_BYS], uint64_t up,
                   uint64_t down);
/* Stores what is new, and begins new periods; about once a minute. */
void footprint_save(struct footprint *footprint);

/* Takes away what is older than it may be; done at each new hour, too. */
void footprint_prune(struct footprint *footprint);

struct footprint_row {
    uint64_t begin_s; /* since 1970: of the hour or the day, UTC */
    const char *key;  /* "": all others together */
    uint64_t up, down;
};
/* Rows of hours or days from `from_s` on, by time, the most bytes of each first; stops when fn
 * returns non-zero, and returns that. What is not yet stored is there too. */
int footprint_visit(struct footprint *footprint, enum footprint_by by, bool days, uint64_t from_s,
                    int (*fn)(void *arg, const struct footprint_row *row), void *arg);
/* The same of a store that no node has open: what it has written. */
int footprint_visit_store(struct ww_store *store, enum footprint_by by, bool days, uint64_t from_s,
                          int (*fn)(void *arg, const struct footprint_row *row), void *arg);
/* Forgets everything, on disk too; fn(arg, rc) then. */
int footprint_forget(struct footprint *footprint, ww_commit_fn fn, void *arg);
