/* What both ends of the load generator use: patterns, and socket calls that take all or fail. */
#include "traffic.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t next_block(struct pattern *pattern)
{
    /* splitmix64 */
    uint64_t z = pattern->state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void pattern_init(struct pattern *pattern, uint64_t seed, bool up)
{
    *pattern = (struct pattern){.state = seed * 2 + up};
}

void pattern_fill(struct pattern *pattern, uint8_t *out, size_t size)
{
    while (size > 0) {
        if (pattern->left == 0) {
            pattern->block = next_block(pattern);
            pattern->left = sizeof(pattern->block);
        }
        if (pattern->left == sizeof(pattern->block) && size >= sizeof(pattern->block)) {
            memcpy(out, &pattern->block, sizeof(pattern->block));
            out += sizeof(pattern->block);
            size -= sizeof(pattern->block);
            pattern->left = 0;
            continue;
        }
        *out++ = (uint8_t)pattern->block;
        pattern->block >>= 8;
        pattern->left--;
        size--;
    }
}

bool pattern_check(struct pattern *pattern, const uint8_t *data, size_t size)
{
    uint8_t expected[4096];
    while (size > 0) {
        size_t piece = size < sizeof(expected) ? size : sizeof(expected);
        pattern_fill(pattern, expected, piece);
        if (memcmp(expected, data, piece) != 0)
            return false;
        data += piece;
        size -= piece;
    }
    return true;
}

uint64_t traffic_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void traffic_sleep_us(uint64_t us)
{
    struct timespec time = {.tv_sec = (time_t)(us / 1000000),
                            .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&time, NULL);
}

void traffic_tune(int fd)
{
    struct timeval limit = {.tv_sec = TRAFFIC_TIMEOUT_S};
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void traffic_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}

bool traffic_write(int fd, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

bool traffic_read(int fd, void *data, size_t size)
{
    uint8_t *bytes = data;
    while (size > 0) {
        ssize_t got = recv(fd, bytes, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        bytes += got;
        size -= (size_t)got;
    }
    return true;
}

bool traffic_read_line(int fd, char line[TRAFFIC_LINE_BYTES])
{
    for (size_t size = 0; size < TRAFFIC_LINE_BYTES; size++) {
        if (!traffic_read(fd, line + size, 1))
            return false;
        if (line[size] == '\n') {
            line[size] = '\0';
            return true;
        }
    }
    return false;
}

uint64_t traffic_send(int fd, struct pattern *pattern, uint64_t bytes)
{
    uint8_t block[TRAFFIC_BLOCK];
    uint64_t done = 0;
    while (done < bytes) {
        size_t piece = bytes - done < sizeof(block) ? (size_t)(bytes - done) : sizeof(block);
        pattern_fill(pattern, block, piece);
        if (!traffic_write(fd, block, piece))
            break;
        done += piece;
    }
    return done;
}

void traffic_pace(uint64_t start_us, uint64_t bytes, uint64_t rate)
{
    if (rate == 0)
        return;
    uint64_t due_us = start_us + bytes * 1000000 / rate, now_us = traffic_now_us();
    if (due_us > now_us)
        traffic_sleep_us(due_us - now_us);
}
