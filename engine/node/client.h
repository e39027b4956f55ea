/* Inside of the room: the client: a local proxy whose connections become streams to a provider. */
#pragma once
#include <sys/queue.h>

#include "ww/packet.h"

#include "edge.h"
#include "pipe_pace.h"

struct client_association;
struct client_tunnel;
struct client_dns;

/* One destination of the application: a TCP connection, or a UDP flow of an association. */
struct client_stream {
    UT_hash_handle hh;              /* in conn->streams, key: pipe.stream_id */
    UT_hash_handle by_target;       /* flows: in association->flows, key: target_text */
    LIST_ENTRY(client_stream) link; /* in client->streams */
    TAILQ_ENTRY(client_stream) waiting;
    struct client *client;
    struct conn *conn; /* NULL while it waits, and after the connection has gone */
    struct pipe pipe;  /* TCP; pipe.stream_id for both */
    struct ww_proxy_connection *connection; /* TCP; NULL once gone */
    struct client_association *association; /* UDP */
    struct ww_target target;
    char target_text[WW_TARGET_TEXT_BYTES];
    struct verdict *verdict; /* of the flow policy */
    uint64_t since_us;       /* TCP: when it was asked for */
    bool accepted, is_waiting;
};

struct client_association {
    LIST_ENTRY(client_association) link;
    struct ww_proxy_association *proxy;
    struct client *client;
    struct client_stream *flows;
};

struct client {
    struct edge edge; /* first: conn->owner points at it */
    struct ww_proxy *proxy;
    struct client_tunnel *tunnel; /* NULL: none is open */
    struct ww_address_rules *rules;
    struct client_dns *dns;
    struct conn *active;                /* where new streams go */
    LIST_HEAD(, client_stream) streams; /* all: those too whose connection has gone */
    LIST_HEAD(, client_association) associations;
    TAILQ_HEAD(client_waiting, client_stream) waiting;
    size_t waiting_count;
    struct ww_timer *waiting_timer;
    struct pipe_pace pace;
    uint64_t denied_count, refused_count, opened_count;
    bool stopping; /* contracts are being ended: nothing new is taken */
};

/* client.c */
extern const struct ww_proxy_callbacks CLIENT_PROXY_CALLBACKS;
void client_stream_accepted(void *arg, uint64_t stream_id, const struct ww_dest *local);
void client_stream_data(void *arg, uint64_t stream_id, const uint8_t *data, size_t size, bool fin);
void client_stream_writable(void *arg, uint64_t stream_id);
void client_stream_reset(void *arg, uint64_t stream_id, int code);
/* Another connection for what begins now, in turn: it becomes the active one. `tried` is how many
 * were tried for it: first all whose path is sound, then those in doubt; one whose path is lost
 * only if there is no other. NULL: there is none, or all were tried. */
struct conn *client_next_conn(struct client *client, unsigned tried);
/* Opens a stream on the next connection that can carry one now, and declares where it goes. *conn
 * is that connection. WW_ENOCONTRACT: there is none; as ww_transfer_stream_open and client_declare.
 */
int client_open(struct client *client, const struct ww_dest *dest, struct conn **conn,
                uint64_t *stream_id);
/* A connection or a contract has come: waiting requests try again. */
void client_retry(struct client *client);
/* The connection is going: its streams let go of it. */
void client_detach(struct conn *conn);
/* edge.judged */
void client_judged(struct edge *edge);
/* A stream that has a rate goes on. */
void client_pipe_touched(struct pipe *pipe);
void client_waiting_expired(void *arg);
/* WW_EDESTINATION for a literal address that the fixed list denies. */
int client_judge(struct client *client, const struct ww_target *target, int protocol);
void client_dest(const struct ww_target *target, enum ww_dest_protocol protocol,
                 struct ww_dest *dest);
struct client_stream *client_stream_find(struct conn *conn, uint64_t stream_id);

/* client_declare.c */
/* The destination will be declared on this connection, if it was not before. WW_ENOMEM, WW_ELIMIT:
 * no stream may be opened to it now. */
int client_declare(struct conn *conn, const struct ww_dest *dest);
/* What was declared on this connection so far, and up to which such number the destination counts
 * as declared; 0: it does not. */
uint64_t client_declared_count(const struct conn *conn);
uint64_t client_declared_until(struct conn *conn, const struct ww_dest *dest);
void client_declare_stop(struct conn *conn);

/* client_tunnel.c: whole packets of this machine. */
/* {device=, mtu=}: opens the device, which is neither up nor has addresses; answers {device, mtu}.
 * Open already with that name: nothing happens. WW_EEXIST: with another one. */
/* A packet of no flow of ours came. It is paid for like what was asked for, so who sends much of it
 * loses the connection: WW_NODE_JUNK_BYTES. */
void client_note_junk(struct conn *conn, size_t size);
int client_tunnel_open(struct client *client, struct ww_call *call);
int client_tunnel_close(struct client *client, struct ww_call *call);
/* Sends a packet that the provider itself answers; how long that took is in the status then, until
 * the next. WW_ESTATE: no tunnel is open; WW_ENOCONTRACT: nobody takes packets now; WW_EAGAIN. */
int client_tunnel_probe(struct client *client);
void client_tunnel_destroy(struct client *client);
void client_tunnel_put(const struct client *client, struct ww_call *call);
void client_tunnel_packet(void *arg, uint64_t stream_id, uint8_t *packet, size_t size,
                          struct ww_offload offload);
/* What waits tries again. */
void client_tunnel_retry(struct client *client);
/* The connection is about to go: what waits for it waits for another one from now on. */
void client_tunnel_detach(struct conn *conn);
/* Whether the stream is a connection's flow of packets, which is then told. */
bool client_tunnel_writable(struct conn *conn, uint64_t stream_id);
bool client_tunnel_accepted(struct conn *conn, uint64_t stream_id);
bool client_tunnel_reset(struct conn *conn, uint64_t stream_id, int code);

/* client_udp.c */
void client_associated(void *arg, struct ww_proxy_association *association);
void client_proxy_datagram(void *arg, struct ww_proxy_association *association,
                           const struct ww_target *target, const uint8_t *data, size_t size);
void client_dissociated(void *arg, struct ww_proxy_association *association);
void client_datagram(void *arg, uint64_t stream_id, const uint8_t *data, size_t size);
void client_flow_free(struct client_stream *flow);
