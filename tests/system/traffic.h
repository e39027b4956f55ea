/* A load generator for system tests: an origin server and clients of the proxy that know, byte for
 * byte, what the other end sends. Plain threads and blocking sockets; shares no code with the
 * program that it tests. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAFFIC_NEVER      UINT64_MAX
#define TRAFFIC_TIMEOUT_S  20    /* of any socket call */
#define TRAFFIC_BLOCK      65536 /* one read or write */
#define TRAFFIC_LINE_BYTES 160

/* What both ends do on one stream. The client sends it as the first line. */
struct plan {
    uint64_t seed;            /* names the stream, and makes its bytes */
    uint64_t up, down;        /* bytes */
    uint64_t origin_reset_at; /* the origin resets after so many bytes down; TRAFFIC_NEVER */
    uint64_t origin_rate;     /* bytes a second that the origin reads; 0: as they come */
};

/* Pseudo-random bytes; both ends make the same ones. */
struct pattern {
    uint64_t state, block;
    unsigned left; /* bytes of block that are not used yet */
};
void pattern_init(struct pattern *pattern, uint64_t seed, bool up);
void pattern_fill(struct pattern *pattern, uint8_t *out, size_t size);
bool pattern_check(struct pattern *pattern, const uint8_t *data, size_t size);

uint64_t traffic_now_us(void);
void traffic_sleep_us(uint64_t us);
/* Timeouts and TCP_NODELAY. */
void traffic_tune(int fd);
/* Closes with RST. */
void traffic_reset(int fd);
bool traffic_write(int fd, const void *data, size_t size);
bool traffic_read(int fd, void *data, size_t size);
/* Up to LF, which is dropped; false when it doesn't come. */
bool traffic_read_line(int fd, char line[TRAFFIC_LINE_BYTES]);
/* Sends `bytes` of the pattern; stops early on an error. Returns how many were sent. */
uint64_t traffic_send(int fd, struct pattern *pattern, uint64_t bytes);
/* Waits so that `bytes` since `start_us` are not above the rate (bytes a second; 0: no wait). */
void traffic_pace(uint64_t start_us, uint64_t bytes, uint64_t rate);

/* Serves TCP and UDP echo on 127.0.0.1 and ::1 at one port, prints "port N", and never returns. */
int traffic_origin(void);

enum handshake { HANDSHAKE_SOCKS, HANDSHAKE_CONNECT };
enum target { TARGET_IPV4, TARGET_IPV6, TARGET_NAME };

enum outcome { OUTCOME_NONE, OUTCOME_DONE, OUTCOME_RESET, OUTCOME_WRONG, OUTCOME_FAILED };

struct job {
    struct plan plan;
    enum handshake handshake;
    enum target target;
    uint64_t read_rate;        /* bytes a second; 0: as they come */
    uint64_t client_reset_at;  /* the client resets after so many bytes down; TRAFFIC_NEVER */
    const volatile bool *hold; /* doesn't read while it is set; NULL */
    enum outcome outcome;
    uint64_t sent, received, us;
    const char *problem;
};

struct proxy {
    uint16_t port, origin_port;
};
/* A TCP connection to the proxy, asked for the origin; -1 and *problem. */
int traffic_connect(const struct proxy *proxy, enum handshake handshake, enum target target,
                    const char **problem);
/* Runs one job to its end. */
void traffic_run(const struct proxy *proxy, struct job *job);
/* Sends `count` datagrams by UDP ASSOCIATE, each until its echo comes; how many came back right. */
unsigned traffic_udp(const struct proxy *proxy, enum target target, unsigned count, uint64_t seed);
