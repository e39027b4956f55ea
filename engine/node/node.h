/* Inside of the room: what the kinds of node share. Each kind binds its functions to the trusted
 * VM (ww.arbiter, ww.client, ww.provider, ww.load); Lua composes a node out of them.
 */
#pragma once
#include "ww/ops.h"
#include "ww/packet.h"
#include "ww/policy.h"

/* The built-in default set, and over it the files of `set`: a folder, or the name of a set that is
 * built in ("strict"); NULL: only the default. Deinit `sources` in any case. On error the fault
 * says which file, and why; its kind is the code that is returned. */
int node_policy_sources(const char *set, struct ww_policy_sources *sources,
                        struct ww_policy_fault *fault);
/* Whether that is the name of a built-in set: then it is never a folder's. */
bool node_policy_is_built_in(const char *set);
/* Binds ww.policy: what looks at sets without a node. */
int policy_bind(struct ww_ops *ops);
/* Binds ww.contract: what would become of a contract. */
int contract_bind(struct ww_ops *ops);
/* Binds ww.host: what a client's tunnel changes on its host. */
int host_bind(struct ww_ops *ops);
/* Binds ww.files: what a node reads from its files, without one. */
int files_bind(struct ww_ops *ops);

/* "127.0.0.1:1080", "[::1]:1080". WW_EINVAL, also for names. */
int node_parse_listen(const char *text, struct ww_target *target);
/* Says why nothing can listen there: what was called with rc as its result left errno. */
void node_listen_reason(struct ww_call *call, const char *text, int rc);
/* Rules with the exceptions of {allow_private = {…}}, each of which is logged. */
int node_address_rules(struct ww_call *call, bool with_local, struct ww_address_rules **rules);

/* store_key.c: the key that seals secrets in a node's state, made when there is none. WW_EIO,
 * WW_ECORRUPT, WW_ETOOBIG. */
#define NODE_STORE_KEY_SIZE 32
int node_store_key(const char *folder, uint8_t key[NODE_STORE_KEY_SIZE]);

struct client;
struct provider;
int client_bind(struct ww_ops *ops, struct client **client);
void client_destroy(struct client *client);
int provider_bind(struct ww_ops *ops, struct provider **provider);
void provider_destroy(struct provider *provider);

struct arbiter;
int arbiter_bind(struct ww_ops *ops, struct arbiter **arbiter);
void arbiter_destroy(struct arbiter *arbiter);

struct load;
int load_bind(struct ww_ops *ops, struct load **load);
void load_destroy(struct load *load);
