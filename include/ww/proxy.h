/* The client's proxy: SOCKS5 (RFC 1928, no-auth, CONNECT and UDP ASSOCIATE) and HTTP CONNECT
 * (RFC 9110 section 9.3.6) on one port, told apart by the first byte.
 *
 * Read the rules in packet.h on callbacks and lifetimes first. `connection` and `association`
 * pointers are the proxy's; the owner keeps its own data with the _set_context functions.
 */
#pragma once

#include "ww/address.h"
#include "ww/loop.h"

struct ww_proxy;
struct ww_proxy_connection;  /* one accepted TCP connection with a TCP destination */
struct ww_proxy_association; /* one UDP ASSOCIATE */

struct ww_proxy_callbacks {
    /* A complete request. Answer with _accept or _refuse, now or later. The target is borrowed. */
    void (*request)(void *arg, struct ww_proxy_connection *connection,
                    const struct ww_target *target);
    /* Accepted connections only: new bytes from the application: ww_proxy_peek/_consume. Bytes that
     * came right behind the request are told of after ww_proxy_accept, in the loop's next turn. */
    void (*readable)(void *arg, struct ww_proxy_connection *connection);
    /* The write queue fell to WW_PACKET_LOW_MARK_BYTES. */
    void (*drained)(void *arg, struct ww_proxy_connection *connection);
    /* The application shut down its writing, and all its bytes were consumed. Once. */
    void (*eof)(void *arg, struct ww_proxy_connection *connection);
    /* Gone, also while the request waits for its answer; nothing follows for it. code 0 = closed in
     * order: eof was told, ww_proxy_finish was called and its queue is empty. */
    void (*closed)(void *arg, struct ww_proxy_connection *connection, int code);

    /* May be NULL: UDP ASSOCIATE is refused then. The success reply is sent when this returns;
     * ww_proxy_association_close in it refuses. */
    void (*associated)(void *arg, struct ww_proxy_association *association);
    /* Target and data are borrowed for the call. size 0 is a valid datagram. */
    void (*datagram)(void *arg, struct ww_proxy_association *association,
                     const struct ww_target *target, const uint8_t *data, size_t size);
    /* Its TCP connection closed. */
    void (*dissociated)(void *arg, struct ww_proxy_association *association);
};

/* Listens on loopback addresses only, unless allow_remote is set (then it says so in the log).
 * The callbacks are copied. *proxy is owned by the caller. WW_EINVAL for a remote address without
 * allow_remote, WW_ENOMEM, WW_ESYSTEM with errno kept. */
int ww_proxy_create(struct ww_loop *loop, const struct sockaddr *address, socklen_t size,
                    bool allow_remote, const struct ww_proxy_callbacks *callbacks, void *arg,
                    struct ww_proxy **proxy);
/* Where it listens: port 0 was replaced. */
int ww_proxy_address(const struct ww_proxy *proxy, struct sockaddr_storage *address);
/* Resets what is open; no callbacks. NULL is fine. */
void ww_proxy_destroy(struct ww_proxy *proxy);
/* Accepted TCP connections, in any state: at most WW_PROXY_CLIENTS_MAX, more are closed at once. */
size_t ww_proxy_count(const struct ww_proxy *proxy);

void ww_proxy_set_context(struct ww_proxy_connection *connection, void *context);
void *ww_proxy_context(const struct ww_proxy_connection *connection);
/* Success: SOCKS reply 0 with `bound` (may be NULL), or "200"; bytes flow from now on. Once, for a
 * request that waits; WW_EINVAL otherwise. WW_ENOMEM, WW_ECLOSED: then refuse or reset it. */
int ww_proxy_accept(struct ww_proxy_connection *connection, const struct sockaddr *bound);
/* Failure: maps the WW_E… code to the SOCKS reply (RFC 1928 section 6) or HTTP status with a
 * one-line body, then closes. The connection is gone when this returns. */
void ww_proxy_refuse(struct ww_proxy_connection *connection, int code);
/* A contiguous borrowed view of at most `max` bytes (up to 256 KiB cost no copy of ours), valid
 * until the next call for the connection. NULL with *size 0 when there are none. */
const uint8_t *ww_proxy_peek(struct ww_proxy_connection *connection, size_t max, size_t *size);
void ww_proxy_consume(struct ww_proxy_connection *connection, size_t size);
/* Copies into the write queue, which is the caller's to bound by ww_proxy_queued. WW_ENOMEM;
 * WW_ECLOSED after ww_proxy_finish or before ww_proxy_accept. */
int ww_proxy_write(struct ww_proxy_connection *connection, const void *data, size_t size);
/* Bytes in the write queue. */
size_t ww_proxy_queued(const struct ww_proxy_connection *connection);
/* Stops reading from the application, and goes on. What was read stays readable. While paused, a
 * reset by the application is noticed only when something is written. After ww_proxy_accept only.
 */
void ww_proxy_pause(struct ww_proxy_connection *connection, bool paused);
/* Sends FIN behind what is queued. */
void ww_proxy_finish(struct ww_proxy_connection *connection);
/* RST; no callback; the connection is gone when this returns. */
void ww_proxy_reset(struct ww_proxy_connection *connection);

void ww_proxy_association_set_context(struct ww_proxy_association *association, void *context);
void *ww_proxy_association_context(const struct ww_proxy_association *association);
/* Wraps in the SOCKS UDP header and sends to the application. Dropped when it can't be sent, and
 * before the application sent its first datagram: its port is not known until then. */
void ww_proxy_association_send(struct ww_proxy_association *association,
                               const struct ww_target *source, const uint8_t *data, size_t size);
/* No callback; the association is gone when this returns, and its TCP connection closes. */
void ww_proxy_association_close(struct ww_proxy_association *association);
