/* Other names for the identities in a hook's input, the same for the same identity within a
 * process.
 */
#pragma once
#include "compact.h"

struct ww_policy_pseudonyms;

/* WW_ENOMEM. */
int ww_policy_pseudonyms_create(struct ww_policy_pseudonyms **pseudonyms);
void ww_policy_pseudonyms_destroy(struct ww_policy_pseudonyms *pseudonyms);
/* A decision as the journal keeps it: see compact.h. */
struct ww_policy_kept_decision {
    const struct ww_policy_hook *hook;
    bool names_nodes; /* the input: as ww_policy_names_nodes says */
    const struct ww_policy_shape *result_shape;
    char *input;
    size_t input_size;
    char *result;
    size_t result_size;
};

/* Whether a struct has identities, or room for them, at all. */
bool ww_policy_names_nodes(const struct ww_policy_struct *type);
/* Replaces each text of a node id's length in the input, and where it is named in the reason of the
 * result and in keys that it remembers something under. */
void ww_policy_pseudonyms_apply(struct ww_policy_pseudonyms *pseudonyms,
                                const struct ww_policy_kept_decision *kept);
/* Likewise in the keys of `count` struct ww_policy_memory_entry, wherever they may be in memory. */
void ww_policy_pseudonyms_memory(struct ww_policy_pseudonyms *pseudonyms, char *entries,
                                 size_t count);
