/* Inside of the room: names for the applications of a client's host: a forwarder whose questions go
 * through the client's provider as flows (and streams, for long answers) like any other, and are
 * judged by the policy dns.query. */
#pragma once
#include "ww/dns.h"
#include "ww/host.h"

#include "client.h"

#define CLIENT_DNS_LISTENERS_MAX 8
#define CLIENT_DNS_INNER         2 /* the resolver's addresses inside the tunnel */

struct client_dns {
    struct client *client;
    struct ww_dns *dns;
    struct ww_timer *touch; /* connections that were used from inside of their own callbacks */
    struct ww_dns_listener *listeners[CLIENT_DNS_LISTENERS_MAX];
    size_t listener_count;
    struct ww_dns_listener *inner[CLIENT_DNS_INNER];
    struct ww_timer *inner_timer; /* NULL: no tunnel is open */
    uint64_t inner_wait_us;
    bool inner_is_logged;
    struct client_dns_exchange *by_id, *by_stream;
    struct client_dns_verdict *verdicts;
    TAILQ_HEAD(, client_dns_verdict) order; /* the oldest first */
    struct ww_hash generation;              /* of the policies that gave them */
    LIST_HEAD(, client_dns_query) queries;  /* of this node's operator, that wait */
    struct ww_host_excluder *excluder;      /* NULL: no name is reached outside of the tunnel */
    struct lists_job *lists_ready;          /* read and not in force, or NULL */
    uint64_t lists_number;                  /* of those that were read last */
    uint64_t demanded_us;
    bool stopping;
};

/* client_dns.c */
/* An empty forwarder. WW_ENOMEM. */
int client_dns_create(struct client *client, enum ww_dns_denial denial, struct client_dns **dns);
/* Before the connections go. Nobody is told. NULL is fine. */
void client_dns_destroy(struct client_dns *dns);
/* If other policies are in force: they decide anew, of names that answers lead to as well, and what
 * those before excluded isn't any more. */
void client_dns_judge_again(struct client_dns *dns);
/* The same whoever decides: what is listed has changed. */
void client_dns_judge_all(struct client_dns *dns);
/* Transfer's callbacks for streams that are no application's. */
void client_dns_data(struct conn *conn, uint64_t stream_id, const uint8_t *data, size_t size,
                     bool fin);
void client_dns_writable(struct conn *conn, uint64_t stream_id);
void client_dns_reset(struct conn *conn, uint64_t stream_id, int code);
void client_dns_datagram(struct conn *conn, uint64_t stream_id, const uint8_t *data, size_t size);
/* The connection is going. */
void client_dns_detach(struct conn *conn);

/* client_dns_inner.c */
/* The tunnel is open, or no longer: its resolver listens as soon as, and as long as, it can. */
void client_dns_inner_open(struct client *client);
void client_dns_inner_close(struct client *client);

/* client_dns_exclude.c */
/* The forwarder's callback `exclude`. */
int client_dns_exclude(void *arg, uint64_t hold, const char *name, const uint8_t (*addresses)[16],
                       size_t count, uint32_t seconds);
/* Nothing is excluded any more, and no answer kept that was. NULL is fine. */
void client_dns_exclude_close(struct client_dns *dns);
/* dns_exclude{on=}: whether names may be; what was excluded before isn't any more. WW_ESTATE
 * without a tunnel. */
int client_dns_bound_exclude(void *context, struct ww_call *call);
/* dns_excluded{} -> {is_on, count, excluded={{name, address, seconds}…}}, the oldest of them. */
int client_dns_bound_excluded(void *context, struct ww_call *call);

/* client_dns_lists.c */
/* What is wrong with a block list, by what ww_dns_lists_add returned. */
const char *client_dns_lists_why(int rc);
/* Reads the block lists that {dns_block_files} names and puts them in force; with a reason. */
int client_dns_lists_start(struct client *client, struct ww_call *call);
/* dns_lists_read{dns_block_files=, done=}: reads them beside the loop. done({number}): they are
 * ready, in the place of others that were; or an error with a reason, WW_ECONFIG for a file that is
 * missing or has no names. Nothing is in force yet. WW_ELIMIT: too much is being read. */
int client_dns_bound_lists_read(void *context, struct ww_call *call);
/* dns_lists_use{number=} -> {lists, names, changed}: those of this number are in force. Other lists
 * decide anew, and what was excluded isn't any more. WW_ENOTFOUND: others were read since. */
int client_dns_bound_lists_use(void *context, struct ww_call *call);
/* dns_lists_drop{number=}: they won't be used. */
int client_dns_bound_lists_drop(void *context, struct ww_call *call);
/* Forgets what was read. */
void client_dns_lists_drop(struct client_dns *dns);

/* client_dns_bind.c */
/* Reads {dns_listen, dns_upstreams, dns_block_files, dns_private_answers, dns_private_names}. */
int client_dns_start(struct client *client, struct ww_call *call);
/* Field `dns` of the status. */
void client_dns_put(const struct client_dns *dns, struct ww_call *call);
/* dns_query{name=, type=, done=}: the reply, or {waits=true} and then done(reply). */
int client_dns_bound_query(void *context, struct ww_call *call);
int client_dns_bound_flush(void *context, struct ww_call *call);
/* Forgets queries that wait: the VM is going. */
void client_dns_forget_queries(struct client_dns *dns);
