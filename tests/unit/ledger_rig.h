/* A ledger over a store, its loop and its committer, and what the ledger's tests say often. */
#pragma once
#include "test.h"
#include "ww/buf.h"
#include "ww/ledger.h"
#include "ww/loop.h"
#include "ww/store.h"

struct rig {
    struct ww_store *store;
    struct ww_loop *loop;
    struct ww_committer *committer;
    struct ww_ledger *ledger;
};

/* A memory store with an empty ledger. */
void rig_init(struct rig *rig);
/* Over a store that is given; owned from now on. */
void rig_init_store(struct rig *rig, struct ww_store *store);
void rig_deinit(struct rig *rig);
/* Opens loop, committer and ledger, and closes them; the store stays. */
void rig_open(struct rig *rig);
int rig_try_open(struct rig *rig, char *why, size_t why_size);
void rig_shut(struct rig *rig);
void rig_restart(struct rig *rig);
/* Commits and turns the loop until the answer; returns it. */
int rig_commit(struct rig *rig);
/* Asks for a new epoch and turns the loop until the answer; returns it. */
int rig_forget(struct rig *rig);
/* Turns until nothing is at the committer. */
void rig_settle_down(struct rig *rig);

struct ww_id rig_id(uint64_t number); /* not zero, the same for the same number */
struct ww_id rig_fresh_id(void);      /* a request id of now */
struct ww_part rig_part(const char *asset, uint64_t units);
uint64_t rig_balance(struct rig *rig, uint64_t network, const char *asset, enum ww_wallet wallet);
void rig_grant(struct rig *rig, uint64_t network, const char *asset, uint64_t units);
int rig_reserve(struct rig *rig, uint64_t contract, uint64_t payer, const char *asset,
                uint64_t units);
/* Everything that the interface shows, as text; owned by the caller. */
char *rig_dump(const struct ww_ledger *ledger);
/* The working set and the store agree with themselves. */
void rig_check(struct rig *rig);
void rig_verify(struct rig *rig);
