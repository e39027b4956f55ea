/* What nobody should do to a control socket: control_abuse SOCKET sessions N | stream BYTES |
 * deaf LINE | garbage SEED ROUNDS. Each prints what it saw. Shares no code with the program. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SESSIONS_MAX 1000
#define TIMEOUT_S    20
#define DEAF_MAX     (64 << 20) /* a queue without a bound would have taken more by then */

static const char *socket_path;

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = TIMEOUT_S};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || strlen(socket_path) >= sizeof(address.sun_path))
        exit(2);
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        printf("refused: %s\n", strerror(errno));
        exit(3);
    }
    return fd;
}

/* Many at once, each with a request: how many are answered, how many closed instead. */
static int sessions(int count)
{
    static const char request[] = "{\"id\":1,\"method\":\"methods\"}\n";
    static int fds[SESSIONS_MAX];
    char answer[65536];
    int answered = 0, closed = 0;

    for (int index = 0; index < count && index < SESSIONS_MAX; index++) {
        fds[index] = dial();
        send(fds[index], request, sizeof(request) - 1, MSG_NOSIGNAL);
    }
    for (int index = 0; index < count && index < SESSIONS_MAX; index++) {
        ssize_t got = recv(fds[index], answer, sizeof(answer), 0);
        answered += got > 0;
        closed += got == 0 || (got < 0 && errno == ECONNRESET);
    }
    printf("answered %d closed %d\n", answered, closed);
    return 0;
}

/* One line that does not end; then what is answered, until the session is closed. */
static int stream(size_t size)
{
    static char block[65536], answer[65536];
    int fd = dial();
    size_t sent = 0, got = 0;

    memset(block, 'a', sizeof(block));
    while (sent < size) {
        ssize_t now = send(fd, block, sizeof(block), MSG_NOSIGNAL);
        if (now <= 0)
            break;
        sent += (size_t)now;
    }
    shutdown(fd, SHUT_WR);
    for (;;) {
        ssize_t now = recv(fd, answer + got, sizeof(answer) - 1 - got, 0);
        if (now <= 0) {
            printf("sent %zu %s %s\n", sent, now == 0 || errno == ECONNRESET ? "closed" : "open",
                   answer);
            return 0;
        }
        got += (size_t)now;
    }
}

/* The same request again and again, and no answer read. */
static int deaf(const char *line)
{
    char text[4096];
    int fd = dial(), small = 4096;
    int size = snprintf(text, sizeof(text), "%s\n", line);
    size_t sent = 0;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    errno = 0;
    while (sent < DEAF_MAX) {
        ssize_t now = send(fd, text, (size_t)size, MSG_NOSIGNAL);
        if (now <= 0)
            break;
        sent += (size_t)now;
    }
    printf("sent %zu %s\n", sent, errno == EPIPE || errno == ECONNRESET ? "closed" : "open");
    return 0;
}

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Lines of anything, some of which are nearly right. */
static int garbage(uint64_t seed, int rounds)
{
    static const char *const pieces[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         "\"id\":",
                                         "\"method\":",
                                         "\"status\"",
                                         "\"params\":",
                                         "null",
                                         "1e999",
                                         "-0",
                                         ",",
                                         ":",
                                         "\"repl.call\"",
                                         "\"args\":",
                                         "\"",
                                         "\\u0000",
                                         "\xff",
                                         "{}",
                                         "\"call\":",
                                         "\"contracts.get\"",
                                         "true",
                                         "[[[[[[",
                                         "\"repl.write\"",
                                         "\"reason\":",
                                         "\"a\"",
                                         "\"kind\":",
                                         "\"peer\""};
    size_t answers = 0;

    state = seed * 0x9e3779b97f4a7c15 + 1;
    for (int round = 0; round < rounds; round++) {
        char text[8192], answer[65536];
        size_t size = 0;
        int fd = dial();
        while (size < sizeof(text) - 64) {
            const char *piece = pieces[next() % (sizeof(pieces) / sizeof(pieces[0]))];
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
            if (next() % 16 == 0)
                text[size++] = (char)next();
            if (next() % 8 == 0)
                text[size++] = '\n';
        }
        send(fd, text, size, MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        ssize_t got;
        while ((got = recv(fd, answer, sizeof(answer), 0)) > 0)
            for (ssize_t at = 0; at < got; at++)
                answers += answer[at] == '\n';
        close(fd);
    }
    printf("seed %llu answers %zu\n", (unsigned long long)seed, answers);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    socket_path = argv[1];
    if (strcmp(argv[2], "sessions") == 0)
        return sessions((int)strtol(argv[3], NULL, 10));
    if (strcmp(argv[2], "stream") == 0)
        return stream(strtoul(argv[3], NULL, 10));
    if (strcmp(argv[2], "deaf") == 0)
        return deaf(argv[3]);
    if (strcmp(argv[2], "garbage") == 0 && argc > 4)
        return garbage(strtoull(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10));
    return 2;
}
