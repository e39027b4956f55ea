/* What verify.c offers the rest of the room. */
#pragma once
#include "ww/ledger.h"

/* ww_ledger_verify as if the journal ended before record `until`. */
int ww_ledger_verify_until(struct ww_store *store, uint64_t until, struct ww_ledger_report *report);
