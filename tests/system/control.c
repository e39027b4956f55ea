/* One call on a node's control socket: control SOCKET METHOD [PARAMS]. Prints the answer's line;
 * with METHOD "-" the request is stdin as it is. Exits 1 when nothing is answered. Shares no code
 * with the program that it tests. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (8 << 20)
#define TIMEOUT_S  30

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = TIMEOUT_S};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, strlen(path) + 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        close(fd);
        return -1;
    }
    return fd;
}

static size_t read_answer(int fd, char *answer)
{
    size_t size = 0;
    while (size < ANSWER_MAX) {
        ssize_t got = recv(fd, answer + size, ANSWER_MAX - size, 0);
        if (got <= 0)
            break;
        size += (size_t)got;
        if (answer[size - 1] == '\n')
            break;
    }
    return size;
}

static bool send_stdin(int fd)
{
    static char block[65536];
    size_t got;
    while ((got = fread(block, 1, sizeof(block), stdin)) > 0)
        if (send(fd, block, got, MSG_NOSIGNAL) < 0)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    static char request[65536], answer[ANSWER_MAX + 1];

    if (argc < 3)
        return 2;
    int fd = dial(argv[1]);
    if (fd < 0) {
        fprintf(stderr, "nobody listens on %s\n", argv[1]);
        return 1;
    }
    if (strcmp(argv[2], "-") == 0) {
        send_stdin(fd);
    } else {
        int size =
            snprintf(request, sizeof(request), "{\"id\":1,\"method\":\"%s\",\"params\":%s}\n",
                     argv[2], argc > 3 ? argv[3] : "{}");
        if (size < 0 || (size_t)size >= sizeof(request) ||
            send(fd, request, (size_t)size, MSG_NOSIGNAL) != size)
            return 1;
    }
    size_t size = read_answer(fd, answer);
    close(fd);
    fwrite(answer, 1, size, stdout);
    return size > 0 ? 0 : 1;
}
