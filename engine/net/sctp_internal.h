/* Between sctp_stack.c (the process-wide part), sctp.c (associations) and sctp_loss.c (what they do
 * about loss). */
#pragma once
#include "sctp.h"

/* usrsctp's upcall, on to the owner. */
void ww_sctp_stack_ready(uint64_t id);

/* Every association starts with these. */
#define WW_SCTP_SACK_EVERY 32 /* packets */
#define WW_SCTP_RTO_MIN_MS 200U
/* Until a round trip was measured: a lost INIT makes the first one seem long. */
#define WW_SCTP_RTO_YOUNG_MS 1000U
/* The first INIT and COOKIE ECHO are sent again after this, then after twice as long. */
#define WW_SCTP_RTO_FIRST_MS 250U
/* How long a path that is back after minutes lies idle at most. */
#define WW_SCTP_RTO_MAX_MS 3000U

/* One direction's chunks of data. */
struct ww_sctp_order {
    uint32_t top; /* highest number so far */
    bool started;
    bool is_bad;
    unsigned count, odd; /* since it was judged */
    uint64_t judged_us;
};

/* Heartbeats whose answers are waited for. */
#define WW_SCTP_BEATS 8

/* What an association sees of its path's loss, and what was done about it. All 0 is a start. */
struct ww_sctp_loss {
    struct ww_sctp_order out, in;
    uint64_t heard_us, look_again_us;
    bool is_looking;   /* though nothing may happen until then */
    uint64_t probe_us; /* when the chunk went whose round trip is measured; 0: none is */
    uint32_t probe_tsn;
    struct {
        uint32_t sum; /* of what is in it, which comes back as it is */
        uint64_t sent_us;
    } beats[WW_SCTP_BEATS]; /* a ring */
    unsigned next_beat;
    unsigned trips;                             /* measured since `best_us` began */
    uint32_t best_us, before_us;                /* the shortest of those, and of the ones before */
    uint32_t least_ms, most_ms, sack_frequency; /* as set last */
};

struct socket;
struct sockaddr_conn;
/* A packet that goes, or one that came; only counts. */
void ww_sctp_loss_out(struct ww_sctp_loss *loss, const uint8_t *packet, size_t size,
                      uint64_t now_us);
void ww_sctp_loss_in(struct ww_sctp_loss *loss, const uint8_t *packet, size_t size,
                     uint64_t now_us);
/* The path is another one. */
void ww_sctp_loss_forget(struct ww_sctp_loss *loss, uint64_t now_us);
/* Sets the association's timeouts and SACKs; does nothing most times. Not from usrsctp's calls.
 * Microseconds until it is to be called again though nothing happens; 0: it isn't. */
uint64_t ww_sctp_loss_adapt(struct ww_sctp_loss *loss, struct socket *socket,
                            const struct sockaddr_conn *address, uint64_t now_us);
/* A heartbeat, now. */
void ww_sctp_loss_beat(struct socket *socket, const struct sockaddr_conn *address);
