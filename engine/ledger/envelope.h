/* What protects a stored value: its version and its digest. The one place that sealing will wrap.
 *
 * A journal record's digest covers the digest of the record before it, so the journal is a chain:
 * a record that was altered, moved, or taken from an older copy of the store doesn't fit. A
 * snapshot object's digest covers its key.
 */
#pragma once
#include "ww/buf.h"

#define WW_DIGEST_SIZE       16 /* SHA-256, cut */
#define WW_JOURNAL_HEAD_SIZE 25
/* What the envelope adds to a journal record's items. */
#define WW_JOURNAL_OVERHEAD (WW_JOURNAL_HEAD_SIZE + WW_DIGEST_SIZE)

struct ww_ledger_digest {
    uint8_t bytes[WW_DIGEST_SIZE];
};

struct ww_journal_head {
    uint64_t sequence;
    uint64_t uptime_ms;  /* the ledger's up-time when the batch was closed */
    uint64_t horizon_ms; /* no request id of this time or earlier is done any more, if unknown */
};

/* Leaves room for the head in an empty buffer; the items follow. */
void ww_journal_begin(struct ww_buf *buf);
/* Fills in the head and appends the digest; *chain goes from the previous record's to this one's.
 * The buffer's error. */
int ww_journal_end(struct ww_buf *buf, const struct ww_journal_head *head,
                   struct ww_ledger_digest *chain);
/* Checks, and gives head and items (borrowed). *chain as above, unchanged on error.
 * WW_EMALFORMED: too short or of another version; WW_ECORRUPT: the digest differs. */
int ww_journal_open(const uint8_t *value, size_t size, struct ww_ledger_digest *chain,
                    struct ww_journal_head *head, struct ww_cursor *items);

/* The same for a snapshot object that is stored under `key` (at most WW_OBJECT_KEY_MAX bytes). */
#define WW_OBJECT_KEY_MAX 129
void ww_object_begin(struct ww_buf *buf);
int ww_object_end(struct ww_buf *buf, const uint8_t *key, size_t key_size);
int ww_object_open(const uint8_t *key, size_t key_size, const uint8_t *value, size_t size,
                   struct ww_cursor *payload);
