/* ICE on libnice, behind one thread. The functions belong to the loop's thread and never wait for
 * the other one: what they ask for is queued to it, what it finds comes back as events, on the
 * loop. Every agent is known by an id; an event may come after its agent was destroyed, so the
 * handler looks the id up.
 */
#pragma once
#include <sys/queue.h>

#include "ww/loop.h"
#include "ww/net.h"
#include "ww/net_codec.h"

struct ww_ice_thread;
struct ww_ice; /* an agent with one stream of one component */

enum ww_ice_event_kind {
    WW_ICE_LOCAL,     /* credentials are made */
    WW_ICE_CANDIDATE, /* one was found */
    WW_ICE_GATHERED,  /* there will be no more */
    WW_ICE_PAIR,      /* a pair is selected, or its state changed */
    WW_ICE_FAILED,    /* no path, or consent was lost */
    WW_ICE_DATA,      /* a datagram that is not STUN */
};

struct ww_ice_pair {
    bool ready; /* libnice has stopped looking for a better one */
    bool is_udp;
    enum ww_path_kind kind;
    union ww_address local, remote;
    int fd; /* a duplicate of libnice's socket, or -1; closed with the event */
};

struct ww_ice_local {
    char ufrag[WW_UFRAG_BYTES_MAX + 1];
    char password[WW_PASSWORD_BYTES_MAX + 1];
};

struct ww_ice_event {
    STAILQ_ENTRY(ww_ice_event) entry;
    enum ww_ice_event_kind kind;
    uint64_t id;
    union {
        struct ww_ice_local local;
        struct ww_candidate candidate;
        struct ww_ice_pair pair;
    };
    size_t size;
    uint8_t data[]; /* WW_ICE_DATA */
};

/* Called on the loop; the event is borrowed. May destroy anything but the thread. */
typedef void (*ww_ice_event_fn)(void *arg, struct ww_ice_event *event);

/* At most one at a time. config is borrowed until the destroy. */
int ww_ice_thread_create(struct ww_loop *loop, const struct ww_net_config *config,
                         ww_ice_event_fn fn, void *arg, struct ww_ice_thread **thread);
/* Every agent must have been destroyed. Joins the thread. */
void ww_ice_thread_destroy(struct ww_ice_thread *thread);

/* Starts gathering. */
int ww_ice_create(struct ww_ice_thread *thread, uint64_t id, bool controlling, struct ww_ice **ice);
int ww_ice_remote_credentials(struct ww_ice *ice, const char *ufrag, const char *password);
/* Judged already: ww_candidate_is_allowed. */
int ww_ice_remote_candidate(struct ww_ice *ice, const struct ww_candidate *candidate);
int ww_ice_remote_done(struct ww_ice *ice);
/* After WW_ICE_PAIR only. False when it wasn't sent. */
bool ww_ice_send(struct ww_ice *ice, const void *data, size_t size);
/* The agent goes on its own thread; nothing of it may be used any more. NULL is fine. */
void ww_ice_destroy(struct ww_ice *ice);
