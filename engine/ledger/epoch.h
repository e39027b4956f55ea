/* Epochs and their keys: what the ledger seals with, and what ends so that it is forgotten.
 *
 * An epoch has a number and a key; its id is the number(32 bits) followed by the beginning of the
 * key's hash, so that a key of the same number from another ledger is told from the right one. A
 * key is a secret of the store (ww/store.h), in the slot of its number's lowest bit: there are
 * never more than two. Thread: the loop's.
 *
 * Glossary: old - the epoch before, while something in the store is still sealed with it.
 */
#pragma once
#include "ww/buf.h"

struct ww_store;
struct ww_store_batch;

#define WW_EPOCH_KEY_SIZE 32

struct ww_epoch {
    uint64_t id; /* 0: there is none */
    uint8_t key[WW_EPOCH_KEY_SIZE];
};

/* The keys, and room to seal and unseal in; what is unsealed is borrowed until the next call. */
struct ww_epochs {
    struct ww_epoch current, old;
    struct ww_buf plain, sealed;
};

void ww_epochs_init(struct ww_epochs *epochs);
/* Wipes the keys. */
void ww_epochs_deinit(struct ww_epochs *epochs);
/* Reads the store's secrets; there may be none. One that was cut short counts as none. WW_EIO,
 * WW_ENOMEM. */
int ww_epochs_load(struct ww_epochs *epochs, struct ww_store *store);
/* A new current epoch; the one before becomes old (there must be none). WW_ENOMEM. */
int ww_epochs_turn(struct ww_epochs *epochs);
/* The current key is put before, the old one erased after what the batch writes. */
void ww_epochs_put_current(const struct ww_epochs *epochs, struct ww_store_batch *batch);
void ww_epochs_erase_old(const struct ww_epochs *epochs, struct ww_store_batch *batch);
/* The old one is gone from the disk, and now from memory. */
void ww_epochs_drop_old(struct ww_epochs *epochs);
/* NULL if its key isn't there. */
const struct ww_epoch *ww_epochs_find(const struct ww_epochs *epochs, uint64_t id);
/* For people: how the epoch was counted. */
uint32_t ww_epoch_number(uint64_t id);
