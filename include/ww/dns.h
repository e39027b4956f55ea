/* Names looked up through the tunnel: a forwarder with a cache, a filter and block lists.
 *
 * It takes DNS messages (RFC 1035) of applications on this host, answers what it knows, what has a
 * special meaning and what is blocked by itself, and gives the rest to its owner to carry: each
 * question is an exchange with one upstream resolver. Answers are checked against the question (id,
 * letters of the name as they were sent, class and type) and judged: one whose addresses the
 * address rules deny never reaches an application.
 *
 * Glossary: ask - one question of an application; exchange - one try to have it answered upstream;
 *           listed - on a block list.
 * Thread: the loop's. None of these functions calls the owner's callbacks but where it says so, and
 * a callback may not destroy the forwarder. docs/internals/packet.md tells how it works.
 */
#pragma once
#include <sys/queue.h>

#include "ww/address.h"
#include "ww/buf.h"
#include "ww/loop.h"

struct ww_dns;

/* How an answer is refused that points where the address rules deny. */
enum ww_dns_denial { WW_DNS_EMPTY, WW_DNS_NXDOMAIN, WW_DNS_REFUSED };
/* What becomes of a question: it is looked up, or answered as "no such name", or with 0.0.0.0; or
 * looked up, and its addresses are reached outside of the tunnel. */
enum ww_dns_verdict { WW_DNS_ALLOW, WW_DNS_BLOCK, WW_DNS_ZERO, WW_DNS_EXCLUDE };

struct ww_dns_callbacks {
    /* From ww_dns_ask and ww_dns_answer, for the name that is asked for and for each name that an
     * answer leads to. The name is in small letters, without the last dot; listed is the name of
     * the block list that holds it or one above it, "" if none does. NULL: all is allowed, but what
     * is listed. */
    enum ww_dns_verdict (*judge)(void *arg, const char *name, const char *listed);
    /* From the loop and from ww_dns_ask: carries a query (borrowed) to the upstream resolver, in
     * one datagram or, with is_stream, in one TCP connection behind its length (RFC 1035
     * section 4.2.2, which is the owner's to add). WW_ENOCONTRACT, WW_EOFFLINE: not now, it is
     * tried again soon; another error: the next upstream is tried. */
    int (*send)(void *arg, uint64_t exchange, const struct ww_target *upstream, bool is_stream,
                const uint8_t *query, size_t size);
    /* From the loop, ww_dns_answer and ww_dns_failed: the exchange, whose send gave 0, is over:
     * nothing more may be said of it. */
    void (*end)(void *arg, uint64_t exchange);
    /* From ww_dns_answer: the answer to a question for a name that judge excludes has these
     * addresses (16 bytes, IPv4 mapped), has been judged, and waits until they are excluded for so
     * many seconds. 0: they are; WW_EAGAIN: ww_dns_excluded will tell; another error: it can't be,
     * and nobody gets the answer. A name that an answer leads to is not asked for: WW_DNS_EXCLUDE
     * for it says no more than WW_DNS_ALLOW. NULL: judge excludes nothing. */
    int (*exclude)(void *arg, uint64_t hold, const char *name, const uint8_t (*addresses)[16],
                   size_t count, uint32_t seconds);
};

struct ww_dns_config {
    const struct ww_dns_callbacks *callbacks; /* borrowed, they outlive the forwarder */
    void *arg;
    const struct ww_address_rules *rules; /* borrowed; NULL: the fixed list */
    enum ww_dns_denial denial;
};

/* *dns is owned by the caller. WW_ENOMEM. */
int ww_dns_create(struct ww_loop *loop, const struct ww_dns_config *config, struct ww_dns **dns);
/* Asks that wait are forgotten, without a word. Callback: end. NULL is fine. */
void ww_dns_destroy(struct ww_dns *dns);
/* Tried in the order in which they were added: an address, not a name. WW_ELIMIT after
 * WW_DNS_UPSTREAMS_MAX, WW_EINVAL for a name. */
int ww_dns_add_upstream(struct ww_dns *dns, const struct ww_target *upstream);
/* Answers for this name and those below it may point anywhere. WW_EINVAL for what is no name,
 * WW_ELIMIT, WW_ENOMEM. */
int ww_dns_allow_private(struct ww_dns *dns, const char *name);
/* --- block lists ------------------------------------------------------------------------------ */

/* Lists that nobody is asked about yet: made on any thread, by one at a time. */
struct ww_dns_lists;
/* None. *lists is owned by the caller. WW_ENOMEM. */
int ww_dns_lists_create(struct ww_dns_lists **lists);
/* NULL is fine. */
void ww_dns_lists_destroy(struct ww_dns_lists *lists);
/* Reads a block list: lines of "name", "address name name …" (a hosts file) or "*.name", with
 * comments behind '#'. Names below a listed one are listed too; lines of anything else are counted
 * in *skipped, and those that are on a list already aren't counted in *names. The list's name is
 * the file's, without folder and ending. WW_ENOTFOUND; WW_EINVAL: no regular file, or one that has
 * lines and no name in any; WW_ESYSTEM, WW_ELIMIT (names, bytes or lists), WW_ENOMEM: then these
 * lists may have a part of it. */
int ww_dns_lists_add(struct ww_dns_lists *lists, const char *path, size_t *names, size_t *skipped);
/* These are in force from now on, and the forwarder's; those before are freed. Answers that are
 * kept stay: see ww_dns_flush. Returns whether anything is listed now that wasn't, no longer, or
 * elsewhere. */
bool ww_dns_use_lists(struct ww_dns *dns, struct ww_dns_lists *lists);

/* --- asking ----------------------------------------------------------------------------------- */

#define WW_DNS_QUESTION_BYTES 256 /* of a name on the wire */

struct ww_dns_ask;
/* The reply is borrowed for the call, or until it asks something. The ask is the caller's again. */
typedef void (*ww_dns_reply_fn)(void *arg, struct ww_dns_ask *ask, const uint8_t *reply,
                                size_t size);

struct ww_dns_question {
    uint16_t id, type, class;
    uint16_t reply_bytes; /* what a datagram may carry back */
    bool wants_recursion, checking_disabled, dnssec_ok, has_edns;
    uint8_t error; /* a question that isn't looked up is answered with this code */
    size_t name_size;
    uint8_t name[WW_DNS_QUESTION_BYTES]; /* as it came, with the root's length */
};

/* The caller's memory; the forwarder's while it waits. `fn`, `arg` and `is_stream` are to be set:
 * a stream's reply may have 65,535 bytes. The rest is private. */
struct ww_dns_ask {
    ww_dns_reply_fn fn;
    void *arg;
    bool is_stream;
    LIST_ENTRY(ww_dns_ask) link;
    struct ww_dns *waits_at; /* NULL: it does not wait */
    struct ww_dns_question question;
};

/* One message of an application. 0: it is answered, *reply is borrowed until the next call.
 * WW_EAGAIN: fn is called later, from the loop or ww_dns_answer; the ask must stay until then, or
 * be cancelled. WW_EINVAL: no question, and nothing to answer. Callbacks: judge, send. */
int ww_dns_ask(struct ww_dns *dns, struct ww_dns_ask *ask, const uint8_t *message, size_t size,
               const uint8_t **reply, size_t *reply_size);
/* fn will not be called. An ask that does not wait is fine. */
void ww_dns_cancel(struct ww_dns_ask *ask);
/* A recursive query for a name ("example.org", type 1 for A) with EDNS, for ww_dns_ask; out has
 * room for WW_DNS_QUERY_BYTES. WW_EINVAL for what is no name. */
#define WW_DNS_QUERY_BYTES (12 + WW_DNS_QUESTION_BYTES + 4 + 11)
int ww_dns_query(const char *name, uint16_t type, uint16_t id, uint8_t out[WW_DNS_QUERY_BYTES],
                 size_t *size);
/* One line for each record of a reply's answer, as in "example.org 300 IN A 192.0.2.1\n"; *code is
 * the reply's. WW_EINVAL for what is no reply. Errors stay in out. */
int ww_dns_print(const uint8_t *reply, size_t size, unsigned *code, struct ww_buf *out);
/* Why a reply is what it is: the first info code of RFC 8914 in it. WW_ENOTFOUND: it
 * doesn't say; WW_EINVAL. */
int ww_dns_print_why(const uint8_t *reply, size_t size, unsigned *ede);
/* "A", "AAAA", "TYPE4711" and back; 0 for what is no type. */
uint16_t ww_dns_type_parse(const char *text);
/* "NOERROR", "NXDOMAIN", … */
const char *ww_dns_code_word(unsigned code);

/* --- what came back, told by the owner -------------------------------------------------------- */

/* One message from the upstream of the exchange; one that is not its answer changes nothing.
 * Callbacks: judge, send, end, and fn of asks. An exchange that is over is fine. */
void ww_dns_answer(struct ww_dns *dns, uint64_t exchange, const uint8_t *message, size_t size);
/* Callback `exclude` gave WW_EAGAIN for this hold: 0, or why it can't be. One that is over is fine.
 * Callbacks: fn. */
void ww_dns_excluded(struct ww_dns *dns, uint64_t hold, int rc);
/* It can't be answered any more: another try is made, at once, or soon for WW_ELIMIT. Callbacks:
 * send, end, fn. */
void ww_dns_failed(struct ww_dns *dns, uint64_t exchange, int code);
/* Forgets all answers: another set of policies decides from now on, or a person wants it. */
void ww_dns_flush(struct ww_dns *dns);

/* The name whose answer last held this address (16 bytes, IPv4 mapped), or NULL: it was not looked
 * up here, or too long ago. Borrowed until the next call. */
const char *ww_dns_name_of(const struct ww_dns *dns, const uint8_t address[16]);

struct ww_dns_stats {
    uint64_t asks, hits, joined;     /* joined: the same was being looked up */
    uint64_t local, blocked, denied; /* answered here; by the policy; for their addresses */
    uint64_t exchanges, answers, timeouts, failures, streams;
    uint64_t bad;       /* messages that were no answer to what was asked */
    uint64_t overflows; /* asks that found no room */
    size_t cached, cached_bytes, waiting, names, listed, lists;
};
void ww_dns_stats(const struct ww_dns *dns, struct ww_dns_stats *stats);
struct ww_dns_upstream_stats {
    struct ww_target target;
    uint64_t sent, answered;
    int last_error; /* 0: its last exchange was answered */
};
/* The index-th upstream; false past the last. */
bool ww_dns_upstream_stats(const struct ww_dns *dns, size_t index,
                           struct ww_dns_upstream_stats *stats);

/* --- sockets ---------------------------------------------------------------------------------- */

struct ww_dns_listener;
/* Takes questions at a UDP and a TCP socket on the address. It answers this host only: what comes
 * from another address than loopback's or its own is dropped. Port 0 takes one that both have free.
 * The forwarder outlives it. WW_EINVAL for a name or no address in particular, WW_ENOMEM,
 * WW_ESYSTEM with errno kept. */
int ww_dns_listener_create(struct ww_loop *loop, struct ww_dns *dns,
                           const struct ww_target *address, struct ww_dns_listener **listener);
void ww_dns_listener_address(const struct ww_dns_listener *listener, struct ww_target *address);
/* NULL is fine. */
void ww_dns_listener_destroy(struct ww_dns_listener *listener);
