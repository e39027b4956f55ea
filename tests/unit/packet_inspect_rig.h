/* Packets of flows for the tests of inspection, and the process that is asked about them. */
#pragma once
#include "packet_net.h"
#include "ww/flow.h"
#include "ww/inspect.h"

struct at {
    uint8_t protocol;
    uint16_t here, there;
    uint32_t sequence;
    bool is_incoming;
};

/* A table that counts in *named how often a name or an application became known. */
struct ww_flows *rig_make(struct ww_inspector *inspector, unsigned *named);

/* Of TCP packets: ACK and PSH, but where a test sets others. */
extern uint8_t rig_flags;

/* Shows the table a packet with this payload, at the time of one second. */
enum ww_flow_pass send_payload(struct ww_flows *flows, const struct at *at, const void *payload,
                               size_t size, struct ww_flow **flow);
/* Until the process is there. */
void rig_ready(struct ww_loop *loop, struct ww_inspector *inspector);
/* Until the process has answered all that it was asked. */
void rig_settle(struct ww_loop *loop, struct ww_inspector *inspector);
struct ww_inspector_stats rig_stats(const struct ww_inspector *inspector);
/* A line of /proc/PID/status, without its key; "" if there is none. */
void rig_status(int pid, const char *key, char *value, size_t size);
/* Stops the process by a signal, and waits until that has come. */
void rig_stand_still(const struct ww_inspector *inspector);
