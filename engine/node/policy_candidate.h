/* Inside of the room: the next set of a node, made on its pool while the present one decides. */
#pragma once
#include "policies.h"

#define POLICY_JOBS_MAX 16 /* questions of one node under way */
#define POLICY_MAKES_MAX                                                                           \
    4 /* sets that are made: 6 s each at most, and who asked waits for 30 s                        \
       */

/* The built-in default set, with the folder's files over it (NULL: none), compiled, tested, and
 * with a VM that is ready. From any thread; reads files. As ww_policy_set_create. */
int policy_load(const char *folder, struct ww_policy_set **set, struct ww_policy_fault *fault);
/* Hands a job that makes a set over; with a reason when too many are being made. */
int policy_make_submit(struct node_policies *policies, struct ww_call *call,
                       struct ww_pool_job *job);
/* "contract.lua:12: the reason", as far as it is known; "" when nothing is. */
void policy_fault_text(const struct ww_policy_fault *fault, const char *folder, char *text,
                       size_t size);
/* The folder that a call names, or the node's own; owned. NULL is the built-in set. */
int policy_read_folder(struct node_policies *policies, struct ww_call *call, char **folder);
/* bound: {folder=, by_itself=, done=}: makes a candidate of the folder (absent: the configured
 * one), and puts it in force if it holds; by_itself (absent: false), unless it is a kept generation
 * that was given up. done is called with {number, hash, tests, unchanged, given_up, swap_us,
 * replay={…}}, the last as policy_put_difference has it, of the newest decisions in the journal.
 * Candidates are made one after another, on a thread that no question holds up. WW_ELIMIT:
 * POLICY_MAKES_MAX are being made. */
int policy_reload(void *context, struct ww_call *call);
