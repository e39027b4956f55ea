/* SCTP (RFC 9260, 8260's stream reset RFC 6525) on usrsctp, over packets that the caller moves.
 * usrsctp is one stack per process: ww_sctp_stack_open sets it up for one owner. It is called back
 * with an association's id, never with a pointer. Loop's thread only.
 */
#pragma once
#include "ww/base.h"
#include "ww/limits.h"

struct ww_sctp;

struct ww_sctp_stack_callbacks {
    /* Send this packet; its checksum is set. Called with usrsctp's locks held: must not call any
     * function of this header. */
    void (*output)(void *arg, uint64_t id, const uint8_t *packet, size_t size);
    /* ww_sctp_receive has something, or there is room to send. As output: only take note. */
    void (*ready)(void *arg, uint64_t id);
};
int ww_sctp_stack_open(const struct ww_sctp_stack_callbacks *callbacks, void *arg);
/* By the owner that opened it; anybody else's call is nothing. */
void ww_sctp_stack_close(const void *arg);
/* Runs the timers: to be called every 10 ms or so while associations exist. */
void ww_sctp_stack_tick(uint32_t elapsed_ms);
/* A packet from the other side. One with a wrong checksum is dropped. `packet` is scratch. */
void ww_sctp_stack_input(uint64_t id, uint8_t *packet, size_t size);

/* Binds port 5000 and sends INIT (both sides do: RFC 9260 5.2.1). packet_bytes: largest packet. */
int ww_sctp_create(uint64_t id, size_t packet_bytes, struct ww_sctp **sctp);
/* Sends ABORT if it is up. NULL is fine. */
void ww_sctp_destroy(struct ww_sctp *sctp);

/* For each packet that `output` gets, and for each that goes to ww_sctp_stack_input: what the path
 * loses is seen there. Only counts, so it may be called from `output`. now_us: the loop's clock. */
void ww_sctp_note_out(struct ww_sctp *sctp, const uint8_t *packet, size_t size, uint64_t now_us);
void ww_sctp_note_in(struct ww_sctp *sctp, const uint8_t *packet, size_t size, uint64_t now_us);
/* To be called after packets went or came, not from `output`: fits timeouts and acknowledgements to
 * what was seen. Cheap: it looks 10 times a second at most, or 50 times while much is lost. Answers
 * in how many microseconds it wants to be called again though nothing goes or comes; 0: not. */
uint64_t ww_sctp_adapt(struct ww_sctp *sctp, uint64_t now_us);
/* Asks the other side for a sign of life (a heartbeat). */
void ww_sctp_beat(struct ww_sctp *sctp);
/* Packets take another path from now on: what was seen of the old one says nothing. */
void ww_sctp_forget_path(struct ww_sctp *sctp, uint64_t now_us);

struct ww_sctp_message {
    uint16_t stream;
    uint32_t ppid;
    bool unordered;
    int max_retransmits; /* -1: reliable */
};
/* Copies. WW_EAGAIN when the buffer is full, WW_ECLOSED. */
int ww_sctp_send(struct ww_sctp *sctp, const struct ww_sctp_message *message, const void *data,
                 size_t size);
/* Bytes in the send buffer. */
size_t ww_sctp_buffered(const struct ww_sctp *sctp);

enum ww_sctp_received_kind {
    WW_SCTP_NOTHING,
    WW_SCTP_DATA, /* part of a message */
    WW_SCTP_UP,
    WW_SCTP_DOWN,      /* aborted, lost or shut down */
    WW_SCTP_RESET_IN,  /* the other side closed `streams` */
    WW_SCTP_RESET_OUT, /* our ww_sctp_reset of `streams` is done */
    WW_SCTP_RESET_FAILED,
    WW_SCTP_ABANDONED, /* the message that was being delivered on `stream` will not be completed */
    WW_SCTP_OTHER,
};
struct ww_sctp_received {
    enum ww_sctp_received_kind kind;
    uint16_t stream;
    uint32_t ppid;
    size_t size;
    bool is_end;      /* the message ends here */
    uint64_t streams; /* a bit each */
};
/* The next thing that happened; data goes to `buffer`. */
void ww_sctp_receive(struct ww_sctp *sctp, void *buffer, size_t capacity,
                     struct ww_sctp_received *received);
/* Closes our direction of a stream, once what was sent is delivered. WW_EAGAIN: try again. */
int ww_sctp_reset(struct ww_sctp *sctp, uint16_t stream);
/* Streams that both sides have. */
unsigned ww_sctp_stream_count(const struct ww_sctp *sctp);
uint32_t ww_sctp_rtt_us(const struct ww_sctp *sctp);
_Static_assert(WW_CHANNELS_MAX <= 64, "streams are kept in the bits of a uint64_t");
