/* What protects a stored value: sealing for what names a contract, a digest for the rest.
 *
 * A journal record, a contract, a request id and a private fact are sealed (version 2): AES-256-GCM
 * under an epoch's key, bound to where they are stored. The associated data of a journal record
 * has the tag of the record before it, so the journal is a chain: a record that was altered,
 * moved, or taken from an older copy of the store doesn't fit. Other objects are in clear
 * (version 1), with a digest that covers their key.
 */
#pragma once
#include "epoch.h"
#include "ww/id.h"

#define WW_DIGEST_SIZE 16 /* SHA-256, cut; also an AES-GCM tag */
/* Up-time and horizon, before the items. */
#define WW_JOURNAL_HEAD_SIZE 16
/* What sealing makes of a record's items: version, epoch and sequence, head, nonce and tag. */
#define WW_JOURNAL_OVERHEAD (17 + WW_JOURNAL_HEAD_SIZE + 28)

/* Of the record before: its tag. */
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
/* Fills in the head and seals with the current epoch; the value is in epochs->sealed. *chain goes
 * from the previous record's to this one's, on success. WW_ENOMEM. */
int ww_journal_seal(struct ww_epochs *epochs, struct ww_buf *buf,
                    const struct ww_journal_head *head, struct ww_ledger_digest *chain);
/* Unseals, and gives head and items (borrowed from epochs->plain). *chain as above, unchanged on
 * error. WW_EMALFORMED: too short; WW_EUNSUPPORTED: of another version; WW_ENOTFOUND: the epoch's
 * key isn't there; WW_ECORRUPT: altered or elsewhere; WW_ENOMEM. */
int ww_journal_open(struct ww_epochs *epochs, const uint8_t *value, size_t size,
                    struct ww_ledger_digest *chain, struct ww_journal_head *head,
                    struct ww_cursor *items);
/* SHA-256(first || second), either of which may be empty; unlike ww_sha256 it never aborts.
 * WW_ENOMEM. */
int ww_ledger_hash(const void *first, size_t first_size, const void *second, size_t second_size,
                   struct ww_hash *out);
/* The epoch that a sealed value names; 0 if it is too short. */
uint64_t ww_sealed_epoch(const uint8_t *value, size_t size);

/* Snapshot objects, stored under `key` (at most WW_OBJECT_KEY_MAX bytes). In clear, in any buffer:
 * begin, payload, end. */
#define WW_OBJECT_KEY_MAX 129
void ww_object_begin(struct ww_buf *buf);
int ww_object_end(struct ww_buf *buf, const uint8_t *key, size_t key_size);
int ww_object_open(const uint8_t *key, size_t key_size, const uint8_t *value, size_t size,
                   struct ww_cursor *payload);
/* Sealed: the payload is in epochs->plain, before and after; the value in epochs->sealed. The same
 * codes as ww_journal_open. */
int ww_object_seal(struct ww_epochs *epochs, const uint8_t *key, size_t key_size);
int ww_object_unseal(struct ww_epochs *epochs, const uint8_t *key, size_t key_size,
                     const uint8_t *value, size_t size);
