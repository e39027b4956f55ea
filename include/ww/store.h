/* The store: ordered keys, atomic batches; LevelDB on disk, or memory for tests.
 *
 * Two parts: a synchronous store, and a committer that writes batches on its own thread and
 * syncs many at once (group commit). What a committer has confirmed is durable.
 */
#pragma once
#include "ww/base.h"

struct ww_store;
struct ww_store_batch;
struct ww_loop;

/* Opens or creates a LevelDB folder (mode 0700) with paranoid checks. All functions on a store may
 * be called from any thread; a batch belongs to one at a time. WW_EIO, WW_ECORRUPT, WW_EAGAIN when
 * another process has it open. */
int ww_store_open(const char *folder, struct ww_store **store);
/* The same for a copy, whose secrets are those of `secrets_folder`. damaged: what its files have
 * lost is skipped, which ww_store_open refuses. */
int ww_store_open_as(const char *folder, const char *secrets_folder, bool damaged,
                     struct ww_store **store);
/* Copies the files of a store that nobody has open, without its secrets, to a new folder, synced.
 * WW_ENOTFOUND: there is no store; WW_EEXIST: there is something of that name; WW_EAGAIN: another
 * process has it open; WW_EIO, after which nothing is left of the copy. */
int ww_store_copy(const char *folder, const char *to);
/* Removes a copy that was not used; a missing one is fine. WW_EIO. */
int ww_store_remove(const char *folder);
/* A store that nobody has open gets a name that is free. WW_EEXIST, WW_EIO. */
int ww_store_rename(const char *folder, const char *to);
/* The store's folder gets the name `aside`, the copy becomes the store. WW_ENOTFOUND, WW_EAGAIN,
 * WW_EEXIST, WW_EIO. */
int ww_store_replace(const char *folder, const char *copy, const char *aside);
/* A store in memory, for tests. fail_write: the n-th write from now (1 = the next; a committer's
 * group counts as one, and so does each secret that is put or erased) fails with WW_EIO, the
 * others don't (0 = none). */
int ww_store_memory_create(struct ww_store **store);
void ww_store_memory_fail_write(struct ww_store *store, uint64_t n);
/* As fail_write, but the failing write is torn: its first `operations` puts and deletes are done
 * and stay. No store on disk does that (LevelDB's records have checksums); what is above it must
 * notice all the same. */
void ww_store_memory_tear_write(struct ww_store *store, uint64_t n, size_t operations);
/* Forgets every batch that was written without sync since the last synced one. */
void ww_store_memory_drop_unsynced(struct ww_store *store);
void ww_store_close(struct ww_store *store);

/* *value is owned by the caller (ww_free). WW_ENOTFOUND, WW_ECORRUPT, WW_EIO. */
int ww_store_get(struct ww_store *store, const void *key, size_t key_size, uint8_t **value,
                 size_t *value_size);
/* In order of key, every key that begins with prefix; stops when fn returns non-zero and returns
 * that. From a snapshot. */
typedef int (*ww_store_visit_fn)(void *arg, const uint8_t *key, size_t key_size,
                                 const uint8_t *value, size_t value_size);
int ww_store_scan(struct ww_store *store, const void *prefix, size_t prefix_size,
                  ww_store_visit_fn fn, void *arg);
/* The store is about to be closed: scans on other threads, and later ones, end with WW_ESHUTDOWN
 * before the next key that they would visit. Thread: any. */
void ww_store_end_scans(struct ww_store *store);

int ww_store_batch_create(struct ww_store_batch **batch);
/* Copies. Errors (WW_ENOMEM, WW_ETOOBIG above WW_STORE_BATCH_BYTES_MAX) are sticky and come out of
 * the write. Keys and values are any bytes; later operations win over earlier ones. */
void ww_store_batch_put(struct ww_store_batch *batch, const void *key, size_t key_size,
                        const void *value, size_t value_size);
void ww_store_batch_delete(struct ww_store_batch *batch, const void *key, size_t key_size);
size_t ww_store_batch_bytes(const struct ww_store_batch *batch);
void ww_store_batch_destroy(struct ww_store_batch *batch);
/* Atomically; with sync it is on disk when this returns. The batch is borrowed. */
int ww_store_write(struct ww_store *store, const struct ww_store_batch *batch, bool sync);

/* --- secrets ---------------------------------------------------------------------------------- */

/* A database keeps what was deleted in its files for as long as it likes. A secret is a small value
 * outside of it, in a file of its own beside the folder (<folder>-<slot>.key, mode 0600), that is
 * gone when it is erased: overwritten, synced, removed. A store has WW_STORE_SECRETS of them.
 *
 * *size bytes of the slot. WW_ENOTFOUND: none, or an erasing that was cut off by a crash. WW_EIO:
 * the file can't be read, or is no regular file. */
#define WW_STORE_SECRETS          2
#define WW_STORE_SECRET_BYTES_MAX 64
int ww_store_secret_get(struct ww_store *store, unsigned slot,
                        uint8_t bytes[WW_STORE_SECRET_BYTES_MAX], size_t *size);
/* With a batch: the secret is on disk before anything of the batch is written, or erased after the
 * batch is on disk; such a batch is synced in any case. When the write fails, a secret that was to
 * be put may be there, one that was to be erased may be there or not. slot < WW_STORE_SECRETS; the
 * errors are the batch's. Putting replaces. */
void ww_store_batch_secret_put(struct ww_store_batch *batch, unsigned slot, const void *bytes,
                               size_t size);
void ww_store_batch_secret_erase(struct ww_store_batch *batch, unsigned slot);

/* --- group commit ----------------------------------------------------------------------------- */
struct ww_committer;
/* rc is 0 when durable. On the loop's thread, in order of submission. */
typedef void (*ww_commit_fn)(void *arg, int rc);
/* Starts the store thread. Store and loop are borrowed and must outlive it. After a failed write
 * every later batch fails with the same code: the order must have no hole. */
int ww_committer_create(struct ww_store *store, struct ww_loop *loop,
                        struct ww_committer **committer);
/* Takes the batch in every case; on an error it is destroyed and fn is not called: WW_ELIMIT when
 * WW_COMMITTER_QUEUE_MAX are waiting, the batch's own error, WW_ESHUTDOWN. fn may be NULL. On the
 * loop's thread. */
int ww_committer_submit(struct ww_committer *committer, struct ww_store_batch *batch,
                        ww_commit_fn fn, void *arg);
/* Batches submitted whose callback has not been called yet. */
size_t ww_committer_pending(const struct ww_committer *committer);
/* Waits until all that was submitted is durable and its callbacks have run, then joins. May be
 * called from one of its own callbacks. NULL is fine. */
void ww_committer_destroy(struct ww_committer *committer);
