/* Between ice.c (the thread and its two queues) and ice_agent.c (what runs on it). */
#pragma once
#include <nice/agent.h>

#include "ice.h"

struct ww_ice {
    struct ww_ice_thread *thread;
    uint64_t id;
    bool controlling;
    guint stream;
    NiceAgent *agent; /* set on the ice thread before its first event, then constant */
};

/* Any thread. Zeroed; NULL when memory ran out. */
struct ww_ice_event *ww_ice_event_make(enum ww_ice_event_kind kind, uint64_t id, size_t size);
/* Hands the event to the loop, or drops it when there is no thread any more. */
void ww_ice_event_emit(struct ww_ice_event *event);

/* ice thread: makes the agent and gathers; a failure is a WW_ICE_FAILED event. `stun_host` is an
 * address or NULL; `loop` is asked for the mark of sockets. */
void ww_ice_agent_start(struct ww_ice *ice, const struct ww_loop *loop, GMainContext *context,
                        const struct ww_net_config *config, const char *stun_host,
                        uint16_t stun_port);
void ww_ice_agent_set_candidate(struct ww_ice *ice, const struct ww_candidate *candidate);
void ww_ice_agent_stop(struct ww_ice *ice);
