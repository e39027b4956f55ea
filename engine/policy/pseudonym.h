/* Other names for the identities in a hook's input, the same for the same identity within a
 * process.
 */
#pragma once
#include "fields.h"

struct ww_policy_pseudonyms;

/* WW_ENOMEM. */
int ww_policy_pseudonyms_create(struct ww_policy_pseudonyms **pseudonyms);
void ww_policy_pseudonyms_destroy(struct ww_policy_pseudonyms *pseudonyms);
/* Replaces each text of a node id's length in the first `input_size` bytes of an input, and where
 * it is named in the reason of the result and in keys that it remembers something under, of which
 * the first `result_size` bytes are kept. */
void ww_policy_pseudonyms_apply(struct ww_policy_pseudonyms *pseudonyms,
                                const struct ww_policy_hook *hook, char *input, size_t input_size,
                                char *result, size_t result_size);
/* Likewise in the keys of `count` struct ww_policy_memory_entry, wherever they may be in memory. */
void ww_policy_pseudonyms_memory(struct ww_policy_pseudonyms *pseudonyms, char *entries,
                                 size_t count);
