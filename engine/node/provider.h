/* Inside of the room: the provider: streams from clients become connections to destinations. */
#pragma once
#include "ww/exit.h"
#include "ww/packet.h"

#include "declared.h"
#include "edge.h"
#include "node.h"
#include "pipe_pace.h"

struct provider_stream {
    UT_hash_handle hh;                /* in conn->streams, key: pipe.stream_id */
    LIST_ENTRY(provider_stream) link; /* in provider->streams */
    struct edge *edge;
    struct conn *conn;           /* NULL after the connection has gone */
    struct pipe pipe;            /* TCP; pipe.stream_id for both */
    struct ww_egress_flow *flow; /* UDP; NULL for TCP */
    struct verdict *verdict;     /* of the flow policy */
    bool is_flow, accepted;
    uint8_t digest[DECLARED_DIGEST]; /* of its destination */
};

struct provider_packets;

struct provider_secret {
    UT_hash_handle hh;
    struct ww_id key_id; /* key */
    uint64_t until_s;    /* UINT64_MAX: it is the present one */
    uint8_t secret[32];
    struct ww_hmac *hmac;
};

/* A contract under which this provider serves, and until when. */
struct provider_open {
    UT_hash_handle hh;
    struct ww_id id; /* key */
    struct ww_hash remote;
    uint64_t expires_s;
    uint64_t confirm_by_s; /* until then the arbiter must have confirmed it; 0: it has */
    bool is_ending, is_given_up;
    uint8_t *proof; /* a declaration that proves malice; NULL: none */
    size_t proof_size;
};

/* A client that went without having declared where its flows went: it begins where it was. */
struct provider_debtor {
    struct ww_hash client;
    uint64_t served_us; /* undeclared, all its connections together; 0: free */
    uint64_t left_us;   /* when its last connection went */
};

struct provider {
    struct edge edge; /* first: conn->owner points at it */
    struct provider_open *open;
    struct ww_timer *clock;
    uint64_t clock_ticks;
    uint64_t refusal_logged_us;
    struct ww_address_rules *rules;
    struct ww_egress *egress;
    struct pipe_pace pace;
    struct ww_exit *exit;                 /* where packets go out; NULL: nowhere */
    struct provider_packets **by_client;  /* of the exit's clients, by their number */
    char exit_why[WW_EXIT_WHY_BYTES];     /* why it is not there */
    unsigned packets_clients;             /* that have packets now, … */
    int nice, nice_before;                /* … and priorities while there are, and without */
    LIST_HEAD(, provider_stream) streams; /* all: those too whose connection has gone */
    struct provider_secret *secrets;
    struct provider_debtor debtors[WW_NODE_DEBTORS_MAX];
    uint8_t seal_key[NODE_STORE_KEY_SIZE];
    uint64_t max_contracts;
    uint64_t denied_flows; /* signed destinations of the fixed list until the contract is closed */
    uint64_t opened_count, refused_count, denied_count, contracts_refused, denied_contracts;
    uint8_t inner[2][16]; /* the source of every client's packets: IPv6, IPv4 */
    struct {
        uint64_t out_packets, out_bytes, in_packets, in_bytes; /* that went through */
        uint64_t out_denied;                                   /* by the address rules */
        uint64_t out_refused; /* malformed, another source, undeclared, too many destinations */
        uint64_t
            in_refused; /* of no flow that the client began, denied, or too large for the tunnel */
    } packets;
    bool stopping;
};

/* provider.c */
void provider_stream_opened(void *arg, uint64_t stream_id, const struct ww_dest *dest);
void provider_stream_data(void *arg, uint64_t stream_id, const uint8_t *data, size_t size,
                          bool fin);
void provider_stream_writable(void *arg, uint64_t stream_id);
void provider_stream_reset(void *arg, uint64_t stream_id, int code);
void provider_datagram(void *arg, uint64_t stream_id, const uint8_t *data, size_t size);
void provider_detach(struct conn *conn);
/* A stream that has a rate goes on. */
void provider_pipe_touched(struct pipe *pipe);
/* Whether a client may open something now: opening costs it nothing. */
bool provider_may_open(struct conn *conn);
/* edge.judged */
void provider_judged(struct edge *edge);
/* Resets the streams to destinations that should have been declared long ago. */
void provider_reset_overdue(struct conn *conn);

/* provider_tunnel.c: whole packets of clients. */
/* The client's flow of packets: it is accepted, or reset with the reason. */
void provider_packets_opened(struct conn *conn, uint64_t stream_id);
void provider_packet(void *arg, uint64_t stream_id, uint8_t *packet, size_t size,
                     struct ww_offload offload);
/* Whether the stream is a client's flow of packets, which is then told. */
bool provider_packets_writable(struct conn *conn, uint64_t stream_id);
bool provider_packets_reset(struct conn *conn, uint64_t stream_id);
void provider_packets_detach(struct conn *conn);
/* {egress_mode=, egress_device=, …}: "none" (the default here), and no packets are taken. */
int provider_packets_start(struct provider *provider, struct ww_call *call);
void provider_packets_stop(struct provider *provider);
void provider_packets_put(const struct provider *provider, struct ww_call *call);

/* provider_declare.c */
/* The client owes a declaration of it, unless it was declared. WW_EUNDECLARED: it owes too much, or
 * for too long; WW_ENOMEM. Fills the digest. */
int provider_owe(struct conn *conn, const struct ww_dest *dest, uint8_t digest[DECLARED_DIGEST]);
/* It was not paid yet. */
bool provider_owes(struct conn *conn, const uint8_t digest[DECLARED_DIGEST]);
bool provider_is_overdue(struct conn *conn, const uint8_t digest[DECLARED_DIGEST]);
void provider_declaration(void *arg, const struct ww_declaration *declaration, const uint8_t *bytes,
                          size_t size);
/* The connection has gone. What the client still owes is remembered for its next one. */
void provider_declare_stop(struct conn *conn);
/* Tests: as if so much time had passed. */
void provider_declare_age(struct conn *conn, uint64_t us);

/* provider_secret.c */
int provider_load_secrets(struct provider *provider, const char *folder);
void provider_forget_secrets(struct provider *provider);
int provider_set_secret(struct provider *provider, const struct ww_id *key_id,
                        const uint8_t secret[32]);
/* {key_id, secret}: the present one; the one before is kept for the contracts under it. */
int provider_add_secret(struct provider *provider, struct ww_call *call);

/* provider_contract.c */
void provider_contract_open(void *arg, const uint8_t *token, size_t token_size,
                            const uint8_t epoch[WW_EPOCH_SIZE]);
/* WW_ECLOCK: issued in the future. WW_EEXPIRED. */
int provider_check_token_times(const struct ww_token *token, uint64_t now_s);
void provider_contract_ended(void *arg, const struct ww_id *id,
                             const struct ww_transfer_counts *counts, bool clean);
/* The contract's close will say that the client declared a denied destination, with the proof. */
void provider_prove(struct provider *provider, const struct ww_id *contract, const uint8_t *proof,
                    size_t size);
/* Ends contracts whose time is over; a timer's callback. */
void provider_check_times(void *arg);
void provider_confirm(struct provider *provider, const struct ww_id *id);
void provider_forget(struct provider *provider, struct provider_open *open);
/* {contract, peer}: signs that it was never opened, with its id stored as used. */
int provider_never_opened(struct provider *provider, struct ww_call *call);
