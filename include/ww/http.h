/* HTTP/1.1 and WebSocket, as server and client, over TLS 1.3 or (loopback, tests) plaintext.
 *
 * Relies on libevent's bufferevents on the loop's base, http-parser for heads, wslay for
 * WebSocket frames (RFC 6455) and OpenSSL. Bodies are framed by the room's own code. Everything
 * is done on the loop's thread; no function may be called from another one. Whatever a peer
 * sends is bounded in bytes and in time, and ambiguous requests are refused, not repaired: a
 * bare LF, a folded header, a space before the colon, a second Host or Content-Length,
 * Content-Length with Transfer-Encoding, a chunk extension, a trailer … get 400 and the
 * connection is closed (RFC 9112 sections 2.2, 5.1, 6.3, 11.2).
 *
 * Glossary: request  - one at a time on a connection; the next is not parsed before its answer
 *                      has been queued, so pipelined requests are answered in order;
 *           id       - a number that names a request and is never used again, so that it can
 *                      be kept while the answer is made elsewhere (a durable commit, a peer);
 *           source   - gives the bytes of a streamed body when there is room for them;
 *           pin      - SHA-256 of the DER SubjectPublicKeyInfo of the server's CA certificate.
 *
 * To serve a new kind of request: ww_http_callbacks.request. To serve a large body: .head.
 */
#pragma once
#include <sys/socket.h>

#include "ww/id.h"
#include "ww/limits.h"
#include "ww/loop.h"

struct ww_http_server;
struct ww_http_request;
struct ww_http_client;
struct ww_ws;

/* The TLS exporter label of sign-in (RFC 5705, RFC 8446 section 7.5; no context). */
#define WW_HTTP_SIGN_IN_LABEL "EXPORTER-ww-sign-in"
#define WW_HTTP_EXPORTER_SIZE 32
#define WW_HTTP_SIZE_UNKNOWN  UINT64_MAX

struct ww_http_header {
    const char *name;
    const char *value;
};

/* Where a streamed body comes from. read must not call into this room. */
struct ww_http_source {
    /* Writes at most `capacity` (> 0) bytes to out and returns how many. 0: the end, only when
     * the size was given as WW_HTTP_SIZE_UNKNOWN. WW_EAGAIN: none now, go on at
     * ww_http_request_wake or ww_http_client_wake. Any other error: the connection is cut. */
    ptrdiff_t (*read)(void *arg, uint8_t *out, size_t capacity);
    /* Called once, after the last read: 0 all bytes were handed over, else why not. May be NULL. */
    void (*done)(void *arg, int code);
    void *arg;
};

/* --- server ------------------------------------------------------------------------------- */

/* What to do with a request's body, decided when its head is complete. */
enum ww_http_body {
    WW_HTTP_BODY_COLLECT, /* hold it, at most body_bytes_max; then .request */
    WW_HTTP_BODY_STREAM,  /* hand it to .body piece by piece, of any length; then .request */
    WW_HTTP_BODY_ANSWERED /* .head has answered: the body is not read, the connection closed */
};

/* All on the loop's thread; any of them may answer the request or destroy the server. */
struct ww_http_callbacks {
    /* A whole request is there. It must be answered, now or later: ww_http_respond…,
     * ww_ws_accept. */
    void (*request)(void *arg, struct ww_http_request *request);
    /* The head is complete. NULL: every body is collected. */
    enum ww_http_body (*head)(void *arg, struct ww_http_request *request);
    /* A piece of a streamed body, borrowed. NULL when head is NULL. */
    void (*body)(void *arg, struct ww_http_request *request, const uint8_t *data, size_t size);
    /* A connection has ended, whatever it was busy with (a body that broke off is told here);
     * `user` is what ww_http_request_set_user put there. Unanswered
     * requests of it can't be found any more. Not called once it is a WebSocket. May be NULL. */
    void (*connection_closed)(void *arg, uint64_t connection, void *user);
};

/* 0 stands for the default of limits.h. Everything is copied. */
struct ww_http_server_config {
    const char *const *listen;    /* NULL-terminated: "127.0.0.1:8443", "[::1]:0"; port 0 picks */
    const char *certificate_path; /* PEM: the server's certificate, then its CA. NULL: plaintext */
    const char *key_path;         /* PEM */
    size_t head_bytes_max;        /* WW_HTTP_HEAD_BYTES_MAX, at most 65,535 */
    size_t body_bytes_max;        /* WW_HTTP_BODY_BYTES_MAX, collected bodies */
    uint32_t connections_max;     /* WW_HTTP_CONNECTIONS_MAX, at most 65,535; more are closed */
    uint32_t deadline_ms;         /* WW_HTTP_DEADLINE_MS: from a request's first byte to its last;
                                   * of a streamed body: between two pieces */
    uint32_t idle_ms;             /* WW_HTTP_IDLE_MS: between requests; and without progress in
                                   * sending an answer. An answer that is awaited has no limit
                                   * here: the caller's own timeout sees to it. */
};

/* *server is owned by the caller. WW_EINVAL (an address or limit), WW_ENOMEM, WW_ESYSTEM (can't
 * listen), WW_EKEYFILE (certificate or key). */
int ww_http_server_create(struct ww_loop *loop, const struct ww_http_server_config *config,
                          const struct ww_http_callbacks *callbacks, void *arg,
                          struct ww_http_server **server);
/* The port that the index-th address (in the order of `listen`) is bound to, 0 if none. */
uint16_t ww_http_server_port(const struct ww_http_server *server, size_t index);
/* Open connections, WebSockets included. */
size_t ww_http_server_connections(const struct ww_http_server *server);
/* Reads certificate and key again, for new connections. WW_EKEYFILE: the old ones stay. */
int ww_http_server_reload(struct ww_http_server *server);
/* Stops listening, closes idle connections, answers what is open with `Connection: close` and
 * closes WebSockets with 1001. fn(arg) is called once nothing is open, not before this returns;
 * the server may be destroyed in it. */
int ww_http_server_drain(struct ww_http_server *server, ww_loop_fn fn, void *arg);
/* Cuts every connection; WebSockets get closed(1001), sources done(WW_ESHUTDOWN). NULL is fine. */
void ww_http_server_destroy(struct ww_http_server *server);

/* A request pointer is valid until it is answered or its connection ends, so at the latest until
 * the callback returns to the loop: keep the id instead. All texts are borrowed from the request.
 */
uint64_t ww_http_request_id(const struct ww_http_request *request);
/* The request, or NULL: it was answered, or its connection has gone. */
struct ww_http_request *ww_http_request_find(struct ww_http_server *server, uint64_t id);
const char *ww_http_request_method(const struct ww_http_request *request); /* "GET" */
const char *ww_http_request_path(const struct ww_http_request *request);   /* "/v1/x", undecoded */
const char *
ww_http_request_query(const struct ww_http_request *request); /* after '?'; "" if none */
/* A header's value without the space around it, by name in any case; NULL if there is none. The
 * first one if it is there several times. */
const char *ww_http_request_header(const struct ww_http_request *request, const char *name);
/* The index-th header as it was sent, in order; false past the end. */
bool ww_http_request_header_at(const struct ww_http_request *request, size_t index,
                               struct ww_http_header *header);
/* The collected body; NUL-terminated, *size without the NUL. Never NULL. */
const uint8_t *ww_http_request_body(const struct ww_http_request *request, size_t *size);
/* The peer's numeric address without its port: "127.0.0.1", "2001:db8::1". */
const char *ww_http_request_peer(const struct ww_http_request *request);
/* Exported keying material of the TLS connection. WW_EUNSUPPORTED without TLS. */
int ww_http_request_exporter(const struct ww_http_request *request, const char *label,
                             uint8_t out[WW_HTTP_EXPORTER_SIZE]);
/* The connection's number, never used again; and a slot of the caller's that lives as long. */
uint64_t ww_http_request_connection(const struct ww_http_request *request);
void *ww_http_request_user(const struct ww_http_request *request);
void ww_http_request_set_user(struct ww_http_request *request, void *user);
/* True if the client asks for a WebSocket (a valid upgrade by RFC 6455 section 4.2.1). */
bool ww_http_request_is_upgrade(const struct ww_http_request *request);
/* Stops and goes on handing over a streamed request body; meanwhile at most 320 KiB are held. */
void ww_http_request_pause(struct ww_http_request *request);
void ww_http_request_resume(struct ww_http_request *request);

struct ww_http_response {
    unsigned status;                      /* 200 … 599 */
    const char *content_type;             /* NULL: none */
    const struct ww_http_header *headers; /* more; names and values are checked for CR and LF */
    size_t header_count;
    const void *body; /* copied; ignored by ww_http_respond_stream */
    uint64_t size;    /* of the body; streamed: WW_HTTP_SIZE_UNKNOWN sends it chunked */
    bool close;       /* close the connection afterwards */
};

/* Answers; the request is gone after this. Content-Length, Date and Connection are added; the
 * body of a HEAD request is left out. An answer that can't be built (memory, bad header) becomes
 * a bare 500 or cuts the connection. */
void ww_http_respond(struct ww_http_request *request, const struct ww_http_response *response);
/* The same with no more headers. content_type may be NULL when size is 0. */
void ww_http_respond_text(struct ww_http_request *request, unsigned status,
                          const char *content_type, const void *body, size_t size);
/* Answers with a body that is read from the source as the peer takes it; at most 512 KiB are
 * held. The source is copied; source->done is called in every case. */
void ww_http_respond_stream(struct ww_http_request *request,
                            const struct ww_http_response *response,
                            const struct ww_http_source *source);
/* After a source said WW_EAGAIN: read it again. `id` may be of a request that is long over. */
void ww_http_request_wake(struct ww_http_server *server, uint64_t id);

/* --- client ------------------------------------------------------------------------------- */

/* Everything is copied. 0 stands for the default. */
struct ww_http_client_config {
    const char *url;    /* "https://host[:port]" or "http://…" (plaintext), without a path */
    struct ww_hash pin; /* https: the chain must lead to this key, and names don't matter. Zero:
                         * the system's CAs and the host's name decide */
    const char *proxy;  /* NULL; "socks5h://127.0.0.1:1080"; "http://127.0.0.1:8080" (CONNECT) */
    uint32_t connect_timeout_ms; /* 10,000: name, TCP, proxy and TLS together */
    uint32_t deadline_ms;        /* WW_HTTP_DEADLINE_MS: a whole call, from its request; streamed:
                                  * without progress */
    uint32_t idle_ms;            /* WW_HTTP_IDLE_MS: an unused connection is closed after this */
    size_t body_bytes_max;       /* WW_HTTP_BODY_BYTES_MAX: of a collected response */
    uint32_t queue_max;          /* 64: calls waiting */
};

struct ww_http_result {
    unsigned status;     /* 0 if there was no response */
    const uint8_t *body; /* collected, NUL-terminated; never NULL */
    size_t size;
    uint64_t connection; /* the number of the connection that carried it, from 1; 0 if none */
    const struct ww_http_head *head; /* for ww_http_result_header; NULL if no response */
};
/* As ww_http_request_header. */
const char *ww_http_result_header(const struct ww_http_result *result, const char *name);

/* Called exactly once for each call that was accepted, also when the client is destroyed. code: 0 a
 * whole response came, whatever its status; WW_EPIN, WW_ERESOLVE, WW_ECONNREFUSED, WW_EUNREACHABLE,
 * WW_ETIMEDOUT, WW_ECLOSED (the connection ended early), WW_EMALFORMED, WW_ETOOBIG, WW_ENOMEM,
 * WW_ESHUTDOWN (destroyed), WW_EAUTH (the TLS certificate isn't trusted). The result is borrowed.
 * The callback may start further calls and destroy the client. */
typedef void (*ww_http_done_fn)(void *arg, int code, const struct ww_http_result *result);

/* Texts and the small body are copied. */
struct ww_http_call {
    const char *method;
    const char *path;                     /* "/v1/x?y=z" */
    const struct ww_http_header *headers; /* more than Host, Content-Length, User-Agent */
    size_t header_count;
    const void *body;
    uint64_t size;                       /* of the body; with a source: WW_HTTP_SIZE_UNKNOWN is
                                          * sent chunked */
    const struct ww_http_source *source; /* NULL, or where the body comes from */
    /* NULL: the response is collected. Else it is handed over piece by piece, of any length. */
    void (*on_body)(void *arg, const uint8_t *data, size_t size);
    ww_http_done_fn done;
    void *arg;            /* of on_body and done */
    uint64_t connection;  /* 0: any; else only on this connection, or WW_ECLOSED */
    uint32_t deadline_ms; /* 0: the client's */
};

/* A client keeps one connection and sends one call at a time over it, in order. Nothing is
 * connected before the first call. WW_EINVAL (url or proxy), WW_ENOMEM. */
int ww_http_client_create(struct ww_loop *loop, const struct ww_http_client_config *config,
                          struct ww_http_client **client);
/* WW_EINVAL, WW_ENOMEM, WW_ELIMIT (too many wait). done is called later, never from here. */
int ww_http_client_request(struct ww_http_client *client, const struct ww_http_call *call);
/* The open connection's number, 0 if there is none. */
uint64_t ww_http_client_connection(const struct ww_http_client *client);
/* Of the open connection. WW_ECLOSED, WW_EUNSUPPORTED without TLS. */
int ww_http_client_exporter(const struct ww_http_client *client, const char *label,
                            uint8_t out[WW_HTTP_EXPORTER_SIZE]);
/* Stops and goes on handing over on_body; meanwhile at most 320 KiB are held. */
void ww_http_client_pause(struct ww_http_client *client);
void ww_http_client_resume(struct ww_http_client *client);
/* After a source said WW_EAGAIN. */
void ww_http_client_wake(struct ww_http_client *client);
/* Waiting calls get done(WW_ESHUTDOWN). NULL is fine. */
void ww_http_client_destroy(struct ww_http_client *client);

/* --- WebSocket ------------------------------------------------------------------------------ */

/* Close codes, RFC 6455 section 7.4.1 and the IANA registry. */
#define WW_HTTP_PEER_BYTES 46 /* INET6_ADDRSTRLEN */

enum ww_ws_code {
    WW_WS_NORMAL = 1000,
    WW_WS_GOING_AWAY = 1001,
    WW_WS_PROTOCOL = 1002,
    WW_WS_NONE = 1005,     /* the peer gave none */
    WW_WS_ABNORMAL = 1006, /* the connection ended without a close frame */
    WW_WS_BAD_DATA = 1007,
    WW_WS_POLICY = 1008,
    WW_WS_TOO_BIG = 1009,
    WW_WS_TRY_LATER = 1013
};

struct ww_ws_callbacks {
    /* ww_ws_connect only: the handshake is done. May be NULL. */
    void (*opened)(void *arg);
    /* A whole message, borrowed; text is valid UTF-8, not NUL-terminated. */
    void (*message)(void *arg, bool text, const uint8_t *data, size_t size);
    /* The last callback: the object is freed when it returns. code: the peer's close code, else
     * ours. error: 0 for a close handshake; WW_ECLOSED, WW_ETIMEDOUT (no pong in 60 s),
     * WW_ELIMIT (send queue), WW_EPROTOCOL, WW_ETOOBIG; ww_ws_connect: as ww_http_done_fn has
     * it, WW_EAUTH or WW_EPERM for a 401 or 403, WW_EUNSUPPORTED for another status. */
    void (*closed)(void *arg, unsigned code, int error);
};

/* Completes the handshake of a request that asked for a WebSocket; the request is gone after
 * this, in every case: one that is not a valid upgrade is answered with 400 or 426 and
 * WW_EMALFORMED. WW_ENOMEM. *ws frees itself after closed. */
int ww_ws_accept(struct ww_http_request *request, const struct ww_ws_callbacks *callbacks,
                 void *arg, struct ww_ws **ws);

struct ww_ws_target {
    struct ww_http_client_config client; /* https (wss) or http (ws) */
    const char *path;
    const char *bearer; /* token for Authorization; NULL: none */
};
/* Connects; opened or closed follows, never from here. WW_EINVAL, WW_ENOMEM. */
int ww_ws_connect(struct ww_loop *loop, const struct ww_ws_target *target,
                  const struct ww_ws_callbacks *callbacks, void *arg, struct ww_ws **ws);
/* Queues a message. WW_ECLOSED (not open), WW_ETOOBIG (> WW_WS_MESSAGE_BYTES_MAX), WW_EMALFORMED
 * (not UTF-8), WW_ENOMEM, WW_ELIMIT: the peer doesn't read; the WebSocket is being closed with
 * 1013. */
int ww_ws_send_text(struct ww_ws *ws, const void *data, size_t size);
int ww_ws_send_binary(struct ww_ws *ws, const void *data, size_t size);
/* Bytes not yet handed to the kernel. */
size_t ww_ws_queued(const struct ww_ws *ws);
/* The other end's address as text, without its port; that of the proxy if there is one. WW_ECLOSED
 * before it is open and after it has ended. */
int ww_ws_peer(const struct ww_ws *ws, char text[WW_HTTP_PEER_BYTES]);
/* Starts the close handshake; closed follows, after at most 3 s. reason: at most 123 bytes of
 * UTF-8, or NULL. A second call does nothing. */
void ww_ws_close(struct ww_ws *ws, unsigned code, const char *reason);
/* Other times than WW_WS_PING_MS and WW_WS_SILENCE_MS; silence_ms > ping_ms > 0. */
void ww_ws_set_timing(struct ww_ws *ws, uint32_t ping_ms, uint32_t silence_ms);
/* Cuts and frees at once, without a callback. NULL is fine. */
void ww_ws_destroy(struct ww_ws *ws);
