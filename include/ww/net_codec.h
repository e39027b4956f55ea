/* The net room's pure codecs: signalling text, candidates and SDP, text <-> structs.
 *
 * A signal is a few SDP attribute lines (RFC 8839, 8842, 8841), one "a=" line each, LF or CRLF:
 * printable ASCII, at most WW_SIGNAL_BYTES_MAX bytes. Unknown attributes are skipped; known ones
 * that are malformed refuse the whole text. Nothing here allocates, logs or does I/O. Any thread.
 */
#pragma once
#include <netinet/in.h>

#include "ww/buf.h"
#include "ww/limits.h"

/* RFC 8839 5.4: 4 to 256 and 22 to 256 ice-chars. */
#define WW_UFRAG_BYTES_MAX      256
#define WW_PASSWORD_BYTES_MAX   256
#define WW_FOUNDATION_BYTES_MAX 32    /* RFC 8839 5.1 */
#define WW_FINGERPRINT_SIZE     32    /* SHA-256 of the DER certificate */
#define WW_FAST_VERSION         1     /* of the fast lane's records (docs/internals/fast.md) */
#define WW_SDP_BYTES_MAX        16384 /* a description; browsers send about 700 bytes */

enum ww_candidate_type {
    WW_CANDIDATE_HOST,
    WW_CANDIDATE_SRFLX,
    WW_CANDIDATE_PRFLX,
    WW_CANDIDATE_RELAY,
};

union ww_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct ww_candidate {
    enum ww_candidate_type type;
    char foundation[WW_FOUNDATION_BYTES_MAX + 1];
    uint32_t priority;
    union ww_address address; /* never an IPv4-mapped IPv6 address */
};

/* What a text says about a change of path (docs/internals/net.md). The tag names the association:
 * it is the first ufrag that its client signalled. */
enum ww_signal_change {
    WW_CHANGE_NONE,    /* the first path, or another implementation */
    WW_CHANGE_ATTEMPT, /* a=x-ww-path:TAG N: the rest of the text belongs to the N-th agent */
    WW_CHANGE_LOST,    /* a=x-ww-path-lost:TAG N: another path is wanted; N is the newest known */
    WW_CHANGE_GONE,    /* a=x-ww-path-gone:TAG: there is no such association here any more */
};

enum ww_setup { WW_SETUP_NONE, WW_SETUP_ACTIVE, WW_SETUP_PASSIVE, WW_SETUP_ACTPASS };

struct ww_signal {
    char ufrag[WW_UFRAG_BYTES_MAX + 1]; /* "": not given; ufrag and password come together */
    char password[WW_PASSWORD_BYTES_MAX + 1];
    bool has_fingerprint;
    uint8_t fingerprint[WW_FINGERPRINT_SIZE];
    enum ww_setup setup;
    uint32_t datagram_bytes; /* a=x-ww-datagram: largest UDP payload that is taken; 0: not given */
    bool fast; /* a=x-ww-fast: takes transfer in DTLS records, in the version that we have */
    enum ww_signal_change change;
    uint32_t generation; /* of an attempt, 2 or more; of WW_CHANGE_LOST, 1 or more */
    char tag[WW_UFRAG_BYTES_MAX + 1];
    bool end_of_candidates;
    unsigned candidate_count;
    unsigned candidates_skipped; /* unusable (TCP, names, component 2, …) */
    unsigned candidates_over;    /* beyond WW_CANDIDATES_MAX */
    struct ww_candidate candidates[WW_CANDIDATES_MAX];
};

/* WW_EMALFORMED, WW_ETOOBIG; *signal is undefined then. */
int ww_signal_parse(const char *text, size_t size, struct ww_signal *signal);
/* Appends every field that is set, a line each. */
void ww_signal_write(const struct ww_signal *signal, struct ww_buf *out);
/* For a node that has no peer for `text`: when that text is about a change of path, appends the
 * answer, WW_CHANGE_GONE, and returns true. */
bool ww_signal_answer_gone(const char *text, struct ww_buf *out);

/* The value of one a=candidate line, without "candidate:". WW_EMALFORMED when it breaks RFC 8839's
 * grammar, WW_EUNSUPPORTED when it is sound but of no use to us (see above). */
int ww_candidate_parse(const char *text, size_t size, struct ww_candidate *candidate);
void ww_candidate_write(const struct ww_candidate *candidate, struct ww_buf *out);
/* Whether a peer may name this address, by ww_address_judge_peer; the port is not 0. */
bool ww_candidate_is_allowed(const struct ww_candidate *candidate, bool allow_loopback);

/* "1.2.3.4:5" or "[::1]:5"; "" for an unknown family. */
#define WW_SOCKADDR_TEXT_SIZE 56
void ww_address_format(const union ww_address *address, char text[WW_SOCKADDR_TEXT_SIZE]);
bool ww_address_is_loopback(const union ww_address *address);
/* Size for bind, sendmsg. */
socklen_t ww_address_size(const union ww_address *address);

/* --- SDP, for peers that we did not write (interoperability tests) -----------------------------
 */

/* A whole offer or answer with one data-channel section (RFC 8841), from a signal that has
 * credentials, fingerprint and setup. */
void ww_sdp_write(const struct ww_signal *signal, const char *mid, struct ww_buf *out);
/* The first application section's attributes, with those of the session level below them; mid
 * (may be NULL) gets at most mid_size-1 bytes of a=mid. WW_EMALFORMED, WW_ETOOBIG. */
int ww_sdp_parse(const char *text, size_t size, struct ww_signal *signal, char *mid,
                 size_t mid_size);
