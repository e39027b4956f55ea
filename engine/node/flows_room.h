/* Inside of flows*.c: what they share. */
#pragma once
#include "edge.h"
#include "flows.h"

#define BLOCK_TEXT_SIZE (WW_NAME_BYTES_MAX + 1)

enum block_kind { BLOCK_HOST, BLOCK_PREFIX, BLOCK_APPLICATION };

struct block {
    enum block_kind kind;
    char text[BLOCK_TEXT_SIZE]; /* as it was given, in small letters but for an application */
    struct ww_prefix prefix;
    uint64_t since_s;
};

struct flows {
    LIST_HEAD(, flow_table) tables;
    struct flow_table *streams;
    struct ww_inspector *inspector;
    struct ww_geo *geo;
    struct footprint *footprint; /* NULL at a provider */
    bool keeps_footprint;        /* false: nothing is added to it */
    struct ww_timer *clock;
    struct ww_timer *judging; /* while flows are to be judged again */
    uint64_t ticks, ids;
    struct ww_flows_stats gone; /* of tables that were closed */
    bool inspects;
    struct block *blocks; /* WW_FLOW_BLOCKS_MAX of them, from the first on */
    size_t blocks_count;
};

/* flows_block.c */
int blocks_load(struct edge *edge);
/* "host", "address" or "application". */
const char *block_word(enum block_kind kind);
/* WW_EINVAL: neither a host name, an address prefix nor an application; WW_EEXIST; WW_ELIMIT;
 * WW_ENOMEM. Stored before `fn` is called. */
int blocks_add(struct edge *edge, const char *text, ww_commit_fn fn, void *arg);
/* WW_ENOTFOUND. */
int blocks_remove(struct edge *edge, const char *text, ww_commit_fn fn, void *arg);
/* Everything carried so far is in the footprint. */
void flows_count_now(struct edge *edge);
/* All open flows are judged again, and streams that are denied now end: some of them at once, the
 * others in turns that leave the loop to packets. */
void flows_judge_again(struct edge *edge);
