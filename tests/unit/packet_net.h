/* Sockets for the tests of the packet room: raw clients and servers on loopback, non-blocking, so
 * that one thread can be both ends and turn the loop in between. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "ww/loop.h"

#define NET_WAIT_US 8000000 /* what is awaited in a test comes at once, or something is broken */

/* Turns the loop until the condition holds; fails the test after NET_WAIT_US. */
#define TURN_UNTIL(loop, condition)                                                                \
    do {                                                                                           \
        uint64_t until_us = ww_clock_mono_us() + NET_WAIT_US;                                      \
        bool is_met;                                                                               \
        while (!(is_met = (condition)) && ww_clock_mono_us() < until_us)                           \
            ww_loop_turn((loop), 5000);                                                            \
        assert_true(is_met);                                                                       \
    } while (0)

/* A few turns, in which what must not happen would happen. */
void net_settle(struct ww_loop *loop);
struct sockaddr_in net_loopback(uint16_t port);
/* A listening or bound socket on 127.0.0.1; *port is where. type is SOCK_STREAM or SOCK_DGRAM. */
int net_listen(int type, int backlog, uint16_t *port);
/* Connected to 127.0.0.1, non-blocking from then on. */
int net_connect(int type, uint16_t port);
/* A port of 127.0.0.1 where nobody listens. */
uint16_t net_closed_port(int type);
void net_send(int fd, const void *data, size_t size);
/* True when all of it was received; what came is kept until then, and more is a failure. */
struct net_reader {
    int fd;
    size_t size;
    bool is_eof;
    int error;
    uint8_t data[4096];
};
/* Receives what is there; true if at least `size` bytes were received so far. */
bool net_read(struct net_reader *reader, size_t size);
/* True at the end of the stream, or after a reset (then error is set). */
bool net_ended(struct net_reader *reader);
