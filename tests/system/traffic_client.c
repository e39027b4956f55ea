/* The clients: handshakes of the proxy, one stream by its plan, UDP by SOCKS5. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "traffic.h"

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    traffic_tune(fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ATYP, address and port; returns the size. */
static size_t put_target(enum target target, uint16_t port, uint8_t *out)
{
    size_t size = 0;
    switch (target) {
    case TARGET_IPV4:
        memcpy(out, "\x01\x7f\x00\x00\x01", 5);
        size = 5;
        break;
    case TARGET_IPV6:
        memset(out, 0, 17);
        out[0] = 4;
        out[16] = 1;
        size = 17;
        break;
    case TARGET_NAME:
        memcpy(out, "\x03\x09localhost", 11);
        size = 11;
        break;
    }
    out[size] = (uint8_t)(port >> 8);
    out[size + 1] = (uint8_t)port;
    return size + 2;
}

/* One SOCKS5 request (RFC 1928); *bound_port is what the answer names. */
static const char *socks_request(int fd, uint8_t command, const uint8_t *target, size_t target_size,
                                 uint16_t *bound_port)
{
    uint8_t message[300] = {5, command, 0}, answer[4], rest[18];

    memcpy(message + 3, target, target_size);
    if (!traffic_write(fd, "\x05\x01\x00", 3) || !traffic_read(fd, answer, 2))
        return "no answer to the SOCKS greeting";
    if (answer[0] != 5 || answer[1] != 0)
        return "the SOCKS greeting was refused";
    if (!traffic_write(fd, message, 3 + target_size) || !traffic_read(fd, answer, 4))
        return "no answer to the SOCKS request";
    if (answer[1] != 0)
        return "the SOCKS request was refused";
    size_t size = answer[3] == 4 ? 18 : 6;
    if (!traffic_read(fd, rest, size))
        return "the SOCKS answer is cut short";
    *bound_port = (uint16_t)(rest[size - 2] << 8 | rest[size - 1]);
    return NULL;
}

static const char *http_connect(int fd, enum target target, uint16_t port)
{
    static const char *const HOSTS[] = {"127.0.0.1", "[::1]", "localhost"};
    char text[128], answer[1024];
    size_t size = 0;

    snprintf(text, sizeof(text), "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n\r\n", HOSTS[target],
             port, HOSTS[target], port);
    if (!traffic_write(fd, text, strlen(text)))
        return "CONNECT can't be sent";
    while (size < sizeof(answer) - 1 && traffic_read(fd, answer + size, 1)) {
        answer[++size] = '\0';
        if (size >= 4 && strcmp(answer + size - 4, "\r\n\r\n") == 0)
            return strncmp(answer, "HTTP/1.1 200", 12) == 0 ? NULL : "CONNECT was refused";
    }
    return "no answer to CONNECT";
}

int traffic_connect(const struct proxy *proxy, enum handshake handshake, enum target target,
                    const char **problem)
{
    uint8_t address[32];
    uint16_t bound_port = 0;
    int fd = dial(proxy->port);

    if (fd < 0) {
        *problem = "the proxy can't be reached";
        return -1;
    }
    if (handshake == HANDSHAKE_CONNECT)
        *problem = http_connect(fd, target, proxy->origin_port);
    else
        *problem = socks_request(fd, 1, address, put_target(target, proxy->origin_port, address),
                                 &bound_port);
    if (*problem) {
        close(fd);
        return -1;
    }
    return fd;
}

struct upload {
    int fd;
    struct job *job;
};

static void *send_up(void *arg)
{
    struct upload *upload = arg;
    struct pattern pattern;

    pattern_init(&pattern, upload->job->plan.seed, true);
    upload->job->sent = traffic_send(upload->fd, &pattern, upload->job->plan.up);
    if (upload->job->client_reset_at == TRAFFIC_NEVER)
        shutdown(upload->fd, SHUT_WR);
    return NULL;
}

/* Waits for the sender and closes: with RST when the job says so. */
static void end_upload(struct upload *upload, pthread_t thread)
{
    bool reset = upload->job->client_reset_at != TRAFFIC_NEVER;

    for (unsigned turn = 0; reset && turn < 20; turn++) {
        if (pthread_tryjoin_np(thread, NULL) == 0) {
            traffic_reset(upload->fd);
            return;
        }
        traffic_sleep_us(10000);
    }
    if (reset || upload->job->outcome != OUTCOME_DONE)
        shutdown(upload->fd, SHUT_RDWR); /* ends a call that waits */
    pthread_join(thread, NULL);
    if (reset)
        traffic_reset(upload->fd);
    else
        close(upload->fd);
}

static void receive_down(int fd, struct job *job)
{
    struct pattern pattern;
    uint8_t block[TRAFFIC_BLOCK];
    uint64_t start_us = traffic_now_us();

    pattern_init(&pattern, job->plan.seed, false);
    while (job->outcome == OUTCOME_NONE) {
        if (job->hold && *job->hold) {
            traffic_sleep_us(10000);
            continue;
        }
        if (job->received >= job->client_reset_at)
            return;
        ssize_t got = recv(fd, block, sizeof(block), 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0 && !pattern_check(&pattern, block, (size_t)got)) {
            job->outcome = OUTCOME_WRONG;
            job->problem = "wrong bytes down";
        } else if (got > 0) {
            job->received += (uint64_t)got;
            traffic_pace(start_us, job->received, job->read_rate);
        } else if (got == 0) {
            job->outcome = OUTCOME_DONE;
        } else {
            job->outcome = errno == EAGAIN ? OUTCOME_FAILED : OUTCOME_RESET;
            job->problem = errno == EAGAIN ? "nothing came for a while" : "reset";
        }
    }
}

/* What the origin saw; "" when it can't be asked. Past the proxy: the answer costs nothing. */
static void ask_origin(const struct proxy *proxy, uint64_t seed, char line[TRAFFIC_LINE_BYTES])
{
    char question[64];
    int fd = dial(proxy->origin_port);

    line[0] = '\0';
    snprintf(question, sizeof(question), "ask %" PRIu64 "\n", seed);
    if (fd >= 0 && (!traffic_write(fd, question, strlen(question)) || !traffic_read_line(fd, line)))
        line[0] = '\0';
    if (fd >= 0)
        close(fd);
}

/* The origin's end of the stream must come to the same: within 10 s. */
static void compare(const struct proxy *proxy, struct job *job)
{
    char wanted[TRAFFIC_LINE_BYTES], line[TRAFFIC_LINE_BYTES];
    bool reset = job->client_reset_at != TRAFFIC_NEVER;

    snprintf(wanted, sizeof(wanted), "eof %" PRIu64, job->plan.up);
    for (unsigned turn = 0; turn < 500; turn++) {
        ask_origin(proxy, job->plan.seed, line);
        if (strncmp(line, "wrong", 5) == 0)
            break;
        if (reset ? strncmp(line, "reset", 5) == 0 : strcmp(line, wanted) == 0)
            return;
        traffic_sleep_us(20000);
    }
    job->outcome = strncmp(line, "wrong", 5) == 0 ? OUTCOME_WRONG : OUTCOME_FAILED;
    job->problem = strncmp(line, "wrong", 5) == 0  ? "wrong bytes up"
                   : strncmp(line, "open", 4) == 0 ? "the origin still waits for the end"
                   : strncmp(line, "eof", 3) == 0  ? "the origin saw an orderly end"
                                                   : "the origin saw a reset";
}

static void judge(struct job *job)
{
    if (job->outcome == OUTCOME_WRONG || job->outcome == OUTCOME_FAILED)
        return;
    if (job->client_reset_at != TRAFFIC_NEVER) {
        job->outcome = OUTCOME_DONE;
        return;
    }
    if (job->plan.origin_reset_at != TRAFFIC_NEVER) {
        /* A reset may overtake bytes, but may not look like an orderly end. */
        if (job->outcome == OUTCOME_DONE) {
            job->outcome = OUTCOME_FAILED;
            job->problem = "a reset arrived as an orderly end";
        } else {
            job->outcome = OUTCOME_DONE;
        }
        return;
    }
    if (job->outcome == OUTCOME_RESET) {
        job->outcome = OUTCOME_FAILED;
    } else if (job->received != job->plan.down || job->sent != job->plan.up) {
        job->outcome = OUTCOME_FAILED;
        job->problem = "bytes are missing";
    }
}

void traffic_run(const struct proxy *proxy, struct job *job)
{
    struct upload upload = {.job = job};
    char line[TRAFFIC_LINE_BYTES];
    uint64_t start_us = traffic_now_us();
    pthread_t thread;

    job->outcome = OUTCOME_FAILED;
    upload.fd = traffic_connect(proxy, job->handshake, job->target, &job->problem);
    if (upload.fd < 0)
        return;
    snprintf(line, sizeof(line),
             "xfer %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", job->plan.seed,
             job->plan.up, job->plan.down, job->plan.origin_reset_at, job->plan.origin_rate);
    if (!traffic_write(upload.fd, line, strlen(line)) ||
        pthread_create(&thread, NULL, send_up, &upload)) {
        job->problem = "the plan can't be sent";
        close(upload.fd);
        return;
    }
    job->outcome = OUTCOME_NONE;
    receive_down(upload.fd, job);
    end_upload(&upload, thread);
    job->us = traffic_now_us() - start_us;
    judge(job);
    if (job->outcome == OUTCOME_DONE && job->plan.origin_reset_at == TRAFFIC_NEVER)
        compare(proxy, job);
}

/* --- UDP
 * ------------------------------------------------------------------------------------------- */

static bool echo_one(int fd, const uint8_t *head, size_t head_size, struct pattern *pattern,
                     size_t size)
{
    uint8_t datagram[2048], back[2048];

    memset(datagram, 0, 3);
    memcpy(datagram + 3, head, head_size);
    pattern_fill(pattern, datagram + 3 + head_size, size);
    for (unsigned turn = 0; turn < 50; turn++) {
        if (send(fd, datagram, 3 + head_size + size, 0) < 0)
            return false;
        for (;;) { /* late echoes of what was sent again are skipped */
            ssize_t got = recv(fd, back, sizeof(back), 0);
            if (got < 0)
                break;
            size_t back_head = back[3] == 4 ? 22 : back[3] == 3 ? 7 + (size_t)back[4] : 10;
            if ((size_t)got == back_head + size &&
                memcmp(back + back_head, datagram + 3 + head_size, size) == 0)
                return true;
        }
    }
    return false;
}

unsigned traffic_udp(const struct proxy *proxy, enum target target, unsigned count, uint64_t seed)
{
    uint8_t head[32], any[] = {1, 0, 0, 0, 0, 0, 0};
    struct sockaddr_in relay = {.sin_family = AF_INET};
    struct timeval limit = {.tv_usec = 200000};
    struct pattern pattern;
    uint16_t port = 0;
    unsigned right = 0;
    int fd = dial(proxy->port), udp = -1;

    if (fd < 0 || socks_request(fd, 3, any, sizeof(any), &port))
        return 0;
    relay.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    relay.sin_port = htons(port);
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(udp, (struct sockaddr *)&relay, sizeof(relay)) == 0) {
        pattern_init(&pattern, seed, true);
        size_t head_size = put_target(target, proxy->origin_port, head);
        while (right < count && echo_one(udp, head, head_size, &pattern, 1 + (right * 397) % 1472))
            right++;
    }
    close(udp);
    close(fd);
    return right;
}
