/* Inside of the room: the inspecting process, from the node: started, asked, believed in nothing,
 * and started again. Nothing here waits. Thread: the loop's. */
#pragma once
#include "inspect_wire.h"
#include "ww/inspect.h"
#include "ww/loop.h"

struct inspect_link;

struct inspect_how {
    const char *program;     /* that is executed; NULL: there never is a process */
    const char *const *argv; /* borrowed; NULL: the usual one */
    uint64_t answer_ms;      /* it is ended when it has not answered so long */
    uint64_t again_ms;       /* it is started again so long after it has ended the first time */
};

struct inspect_link_config {
    struct ww_loop *loop;
    struct inspect_how how;
    /* An answer to a question, as it was read: its flow and slot are the question's. */
    void (*answered)(void *arg, const struct inspect_answer *answer,
                     const struct inspect_names *names);
    void (*lost)(void *arg); /* what was asked has no answer any more */
    void *arg;
};

/* Starts it; that it can't be started is no error here. WW_ENOMEM. */
int inspect_link_create(const struct inspect_link_config *config, struct inspect_link **link);
/* NULL is fine. */
void inspect_link_destroy(struct inspect_link *link);
/* At most WW_INSPECT_PACKET_BYTES of the packet are shown. *share counts what was asked for its
 * owner and is not answered; it stays until then, or inspect_link_leave. False: it isn't asked,
 * because the process is not there, or has not caught up. */
bool inspect_link_ask(struct inspect_link *link, size_t *share, const struct inspect_head *head,
                      const uint8_t *packet, size_t size);
/* Nothing more will be asked about the flow. Best effort: the slot's next flow has the same effect.
 */
void inspect_link_forget(struct inspect_link *link, const struct inspect_head *head);
/* `share` is not touched any more. */
void inspect_link_leave(struct inspect_link *link, const size_t *share);
/* All but `missed`. */
void inspect_link_stats(const struct inspect_link *link, struct ww_inspector_stats *stats);
