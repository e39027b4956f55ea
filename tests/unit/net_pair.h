/* Two nodes in one process for the net tests: their signals carried over to each other through a
 * queue that a test may look into, alter or hold back. usrsctp is one stack per process, so both
 * nodes share one ww_net (and its key); a third key stands for a stranger.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ww/limits.h"
#include "ww/net.h"
#include "ww/worker.h"

enum { A, B }; /* A is the client */

#define PAIR_SIGNALS_MAX 64

struct pair_message {
    enum ww_channel_kind kind;
    size_t size;
    uint32_t sum; /* of the bytes, as pair_sum has it */
};

struct pair_end {
    struct pair *pair;
    int index;
    struct ww_peer *peer;
    bool connected, closed;
    int code;
    bool destroy_when_connected, destroy_when_closed, destroy_on_signal, destroy_on_message;
    bool echo;                   /* send messages back */
    bool refuse;                 /* don't accept channels */
    bool expects_signal_errors;  /* what it is told may be refused */
    struct ww_channel *accepted; /* the last one */
    unsigned accepted_count;
    unsigned fast_messages, fast_datagrams, fast_writable; /* of the fast lane */
    unsigned fast_marks[4];                                /* datagrams, by mark */
    size_t fast_bytes;
    bool fast_broken; /* not in order, or not what was sent */
    unsigned opened, writable, channel_closed;
    int channel_code;
    unsigned message_count;
    size_t byte_count;
    struct pair_message last;
    struct pair_message log[256]; /* the first ones */
};

struct pair {
    struct ww_loop *loop;
    struct ww_key *key;
    struct ww_workers *workers;
    struct ww_net *net;
    struct pair_end ends[2];
    uint32_t connect_ms;     /* 0: the default */
    uint32_t path_ms;        /* 0: the default */
    bool hold;               /* keep signals in the queue */
    const char *only_prefix; /* carry only candidates whose line contains this ("::1") */
    /* May replace a signal to an end; the answer is ww_free'd. */
    char *(*alter)(struct pair *pair, int to, const char *text);
    void *alter_arg;
    struct {
        int to;
        char *text;
    } signals[PAIR_SIGNALS_MAX];
    unsigned signal_count;
};

extern const struct ww_channel_callbacks PAIR_CHANNEL;

/* A loop, a key and a room on loopback; with as many packet workers as the environment's
 * PAIR_WORKERS says. */
void pair_start(struct pair *pair, bool allow_bypass, bool allow_jumbo);
void pair_stop(struct pair *pair);
/* Makes a peer at one end; `remote` NULL: the pair's own key. */
void pair_make_peer(struct pair *pair, int end, const struct ww_hash *remote);
/* Both peers. */
void pair_make(struct pair *pair);
void pair_connect(struct pair *pair);
/* Carries the signals that are in the queue. */
void pair_carry(struct pair *pair);
/* Turns the loop until *flag (or *count >= least), at most so long; false when it didn't come. */
bool pair_wait(struct pair *pair, const bool *flag, unsigned ms);
bool pair_wait_count(struct pair *pair, const unsigned *count, unsigned least, unsigned ms);
void pair_turn_for(struct pair *pair, unsigned ms);
uint32_t pair_sum(const void *data, size_t size);
/* Opens a channel from an end and waits until the other has it. */
struct ww_channel *pair_open(struct pair *pair, int end, const struct ww_channel_config *config);
/* The fast lane: the message with this number, 4 bytes at least; a datagram of 1 byte at least. */
int pair_send(struct pair *pair, int end, uint32_t number, size_t size);
int pair_send_datagram(struct pair *pair, int end, size_t size, enum ww_ecn mark);
