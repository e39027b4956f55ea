/* The journal: the last decisions of a node with what they were made from, in memory only, so that
 * another set can be asked the same (ww/policy_replay.h) and a decision explained.
 *
 * A ring of chunks of plain bytes, bounded in size and age. Adding copies the structs; no Lua, no
 * I/O, an allocation each 64 KiB. With `pseudonyms` the identities among the inputs (texts that are
 * as long as a node id) are replaced before they are kept, by a keyed hash that is new in each
 * process: equal ids stay equal, and nobody can tell whose they were.
 *
 * Threads: adding and everything that takes a journal belong to one thread. A view may be read by
 * another one, but is made and destroyed on the journal's.
 */
#pragma once
#include "ww/policy.h"

struct ww_policy_journal;

struct ww_policy_journal_options {
    size_t bytes_max;   /* rounded up to chunks of WW_POLICY_CHUNK_BYTES, at least 16 */
    uint64_t age_s_max; /* older ones can't be read, and are freed soon after */
    bool pseudonyms;
    uint64_t leave_out; /* a bit for each hook (1 << hook) that is not kept */
};

/* One decision. */
struct ww_policy_record {
    uint64_t id;     /* see ww_policy_decision_format */
    uint64_t number; /* of the generation that decided */
    uint64_t now_s;  /* ctx.now_s */
    uint64_t seed;   /* of ctx.random */
    uint64_t instructions;
    enum ww_hook hook;
    int kind;                                    /* of the fault, or 0 */
    bool fallback;                               /* C answered */
    const void *input;                           /* struct ww_hook_<input> */
    const void *result;                          /* struct ww_hook_<result> */
    const struct ww_policy_memory_entry *memory; /* ctx.memory */
    size_t memory_count;
    const struct ww_policy_threshold
        *thresholds;        /* ctx.thresholds; borrowed: they must outlive … */
    size_t threshold_count; /* … the journal and its views */
};

/* What the decision was made from besides its input; borrows from the record. */
struct ww_policy_context ww_policy_record_context(const struct ww_policy_record *record);

/* WW_ENOMEM. */
int ww_policy_journal_create(const struct ww_policy_journal_options *options,
                             struct ww_policy_journal **journal);
/* NULL is fine. Views that are left stay good. */
void ww_policy_journal_destroy(struct ww_policy_journal *journal);
/* Copies the record, with its input, result and memory. Without memory it is left out, and counted.
 */
void ww_policy_journal_add(struct ww_policy_journal *journal,
                           const struct ww_policy_record *record);
/* Frees what has become too old; to be called now and then. */
void ww_policy_journal_prune(struct ww_policy_journal *journal, uint64_t now_s);

struct ww_policy_journal_counters {
    uint64_t records; /* that can be read, and some that are too old */
    uint64_t bytes;   /* of memory */
    uint64_t lost;    /* for lack of memory */
};
void ww_policy_journal_counters(const struct ww_policy_journal *journal,
                                struct ww_policy_journal_counters *counters);

/* --- reading ------------------------------------------------------------------------------ */

/* What was in the journal at one moment. */
struct ww_policy_view;
/* Records of since_s and later, none older than the journal's limit at `now_s`. WW_ENOMEM. */
int ww_policy_view_create(struct ww_policy_journal *journal, uint64_t now_s, uint64_t since_s,
                          struct ww_policy_view **view);
/* The next record, oldest first; false at the end. Input, result and memory are borrowed until
 * the next call. */
bool ww_policy_view_next(struct ww_policy_view *view, struct ww_policy_record *record);
/* Begins anew. */
void ww_policy_view_rewind(struct ww_policy_view *view);
/* Goes behind the newest record. */
void ww_policy_view_end(struct ww_policy_view *view);
/* The record before the one that came last, for reading newest first; false at the oldest. What is
 * borrowed is as with _next, which would give the same record again. */
bool ww_policy_view_previous(struct ww_policy_view *view, struct ww_policy_record *record);
/* False when the journal does not have it (any more). */
bool ww_policy_view_find(struct ww_policy_view *view, uint64_t id, struct ww_policy_record *record);
/* NULL is fine. */
void ww_policy_view_destroy(struct ww_policy_view *view);

/* --- names of decisions ------------------------------------------------------------------- */

#define WW_POLICY_DECISION_TEXT_SIZE 24

/* "3fa9-17": a tag of the process, and the decision's number in it. */
void ww_policy_decision_format(uint64_t id, char text[WW_POLICY_DECISION_TEXT_SIZE]);
/* WW_EINVAL. */
int ww_policy_decision_parse(const char *text, uint64_t *id);
