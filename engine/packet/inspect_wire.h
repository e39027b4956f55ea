/* Inside of the room: what is said between a node and its inspecting process, in messages of a
 * socket that keeps their bounds (SOCK_SEQPACKET). The process first says the names of all
 * applications, before it has been shown a packet. Then each question has one answer, in order.
 * Both ends are the same program on the same machine; but what the process says is read as if it
 * came from outside, because it may be in the hands of whoever sent a packet. */
#pragma once
#include "ww/buf.h"
#include "ww/limits.h"

#define INSPECT_NAME_MAX     31 /* bytes of an application's */
#define INSPECT_NAMES_BYTES  (WW_INSPECT_APPLICATIONS * (INSPECT_NAME_MAX + 1))
#define INSPECT_HEAD_BYTES   16
#define INSPECT_ANSWER_BYTES (12 + INSPECT_HOST_MAX)
#define INSPECT_HOST_MAX     79 /* nDPI cuts host names here */
#define INSPECT_ANSWER_QUIC  1
#define INSPECT_ANSWER_CUT   2 /* the host name may have been cut */
#define INSPECT_QUESTION_MAX (INSPECT_HEAD_BYTES + WW_INSPECT_PACKET_BYTES)
#define INSPECT_SLOTS        WW_INSPECTIONS_MAX

/* Before the packet's bytes. None behind it: what is kept of the flow is to be freed; this has no
 * answer. */
struct inspect_head {
    uint32_t flow; /* counts up: the flow of the slot is another than before */
    uint16_t slot; /* below INSPECT_SLOTS */
    uint64_t now_ms;
};

struct inspect_answer {
    uint32_t flow;
    uint16_t slot;
    uint16_t application; /* index of its name; 0: unknown */
    uint16_t protocol; /* … of what carries it, when the name is no ground for an application */
    uint8_t flags;
    char host[INSPECT_HOST_MAX + 1]; /* "": none that a host has */
};

struct inspect_names {
    size_t count;
    char text[WW_INSPECT_APPLICATIONS][INSPECT_NAME_MAX + 1];
};

void inspect_head_write(const struct inspect_head *head, uint8_t bytes[INSPECT_HEAD_BYTES]);
/* WW_EMALFORMED. */
int inspect_head_read(const uint8_t *bytes, size_t size, struct inspect_head *head);
/* Returns the size. */
size_t inspect_answer_write(const struct inspect_answer *answer,
                            uint8_t bytes[INSPECT_ANSWER_BYTES]);
/* WW_EMALFORMED: a length is wrong, an application is none of `names`, a flag is unknown, or the
 * host name is none. */
int inspect_answer_read(const uint8_t *bytes, size_t size, const struct inspect_names *names,
                        struct inspect_answer *answer);
/* Into a buffer whose limit is INSPECT_NAMES_BYTES. */
void inspect_names_write(const struct inspect_names *names, struct ww_buf *buf);
/* WW_EMALFORMED: none or too many, or one that has other bytes than visible ones of ASCII. */
int inspect_names_read(const uint8_t *bytes, size_t size, struct inspect_names *names);
