/* The node's end of its inspecting process: see inspect_link.h. What is not answered stands in a
 * ring, in the order of the questions: an answer to anything else, a malformed one, or none in
 * time, and the process is ended by force. The queue is the socket's buffer; the ring bounds it. */
#include "inspect_link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inspect_child.h"

#define READ_TURN 64 /* answers, before other events have their turn */

struct asked {
    size_t *share; /* NULL: its owner has left */
    uint64_t at_us;
    uint32_t flow;
    uint16_t slot;
};

struct inspect_link {
    struct inspect_link_config config;
    struct ww_child *child; /* NULL: not running */
    struct ww_watch *watch;
    struct ww_timer *again;
    int fd;
    bool has_said_names; /* this process */
    bool has_names;      /* any did; flows point to them, so they stay as they are */
    bool is_lost;        /* the log says so, … */
    bool is_back;        /* and that it is back */
    bool was_late;       /* likewise */
    struct inspect_names names, said;
    uint8_t message[INSPECT_NAMES_BYTES + 1];
    struct asked asked[WW_INSPECT_ASKED_MAX];
    size_t first, count;
    uint64_t started_us, wait_ms, starts;
};

/* --- ended ------------------------------------------------------------------------------------ */

static void forget_first(struct inspect_link *link)
{
    struct asked *asked = &link->asked[link->first];

    if (asked->share)
        --*asked->share;
    link->first = (link->first + 1) % WW_INSPECT_ASKED_MAX;
    link->count--;
}

static void close_all(struct inspect_link *link)
{
    ww_watch_destroy(link->watch);
    link->watch = NULL;
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    if (link->child)
        ww_child_kill(link->child, SIGKILL);
    ww_child_destroy(link->child);
    link->child = NULL;
    while (link->count > 0)
        forget_first(link);
}

/* One that lived long enough is followed soon, others later and later. The log has the first loss
 * of a row. */
static void lose(struct inspect_link *link, const char *why)
{
    uint64_t now_us = ww_loop_now_us(link->config.loop);
    bool has_lived = link->starts > 0 && link->has_said_names &&
                     now_us - link->started_us >= WW_INSPECT_AGAIN_MAX_MS * 1000ULL;

    close_all(link);
    if (has_lived) {
        link->wait_ms = 0;
        link->is_lost = link->is_back = false;
    }
    link->wait_ms = link->wait_ms == 0 ? link->config.how.again_ms
                                       : WW_MIN(link->wait_ms * 2, WW_INSPECT_AGAIN_MAX_MS + 0ULL);
    if (!link->is_lost)
        ww_log(WW_LOG_WARN, "packet",
               "first packets are not looked at until the inspecting process is back",
               "why=%s again_ms=%llu", WW_Q(why), (unsigned long long)link->wait_ms);
    link->is_lost = true;
    ww_timer_start(link->again, link->wait_ms * 1000);
    link->config.lost(link->config.arg);
}

static void on_exit_of(void *arg, int status)
{
    char why[64];

    if (WIFSIGNALED(status))
        snprintf(why, sizeof(why), "it was ended by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) == INSPECT_CHILD_HAS_RIGHTS)
        snprintf(why, sizeof(why), "it can't give up its rights on this system");
    else
        snprintf(why, sizeof(why), "it ended with %d", WEXITSTATUS(status));
    lose(arg, why);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* A process that knows other names is of another library than the one before: then names and
 * numbers would not fit. */
static bool take_names(struct inspect_link *link, size_t size)
{
    if (inspect_names_read(link->message, size, &link->said) ||
        (link->has_names && memcmp(&link->said, &link->names, sizeof(link->names)) != 0))
        return false;
    link->names = link->said;
    link->has_names = link->has_said_names = true;
    if (link->is_lost && !link->is_back)
        ww_log(WW_LOG_INFO, "packet", "first packets are looked at again", "");
    link->is_back = link->is_lost;
    return true;
}

static bool take_answer(struct inspect_link *link, size_t size)
{
    const struct asked *asked = &link->asked[link->first];
    struct inspect_answer answer;

    if (inspect_answer_read(link->message, size, &link->names, &answer) || link->count == 0 ||
        answer.flow != asked->flow || answer.slot != asked->slot)
        return false;
    forget_first(link);
    link->config.answered(link->config.arg, &answer, &link->names);
    return true;
}

static void on_readable(void *arg, int fd, unsigned events)
{
    struct inspect_link *link = arg;

    (void)events;
    for (int i = 0; i < READ_TURN; i++) {
        ssize_t got = recv(fd, link->message, sizeof(link->message), MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) { /* how it ended is told by its exit, unless it lives on without a socket */
            ww_watch_destroy(link->watch);
            link->watch = NULL;
            ww_child_kill(link->child, SIGKILL);
            return;
        }
        bool is_good =
            (size_t)got < sizeof(link->message) &&
            (link->has_said_names ? take_answer(link, (size_t)got) : take_names(link, (size_t)got));
        if (!is_good) {
            lose(link, "it said what it may not");
            return;
        }
    }
}

/* --- starting --------------------------------------------------------------------------------- */

static int open_socket(int pair[2])
{
    static const int bytes = WW_INSPECT_SOCKET_BYTES;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return WW_ESYSTEM;
    /* Beyond the system's limit if this process may; else the queue is shorter. */
    if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0)
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    return 0;
}

static int spawn(struct inspect_link *link)
{
    static const char *const none[] = {NULL};
    const struct inspect_link_config *config = &link->config;
    struct ww_child_options options = {.argv = config->how.argv,
                                       .program = config->how.program,
                                       .env = none,
                                       .stdout_fd = -1,
                                       .stderr_fd = -1,
                                       .die_with_parent = true,
                                       .own_group = true};
    int pair[2];
    int rc = open_socket(pair);

    if (rc)
        return rc;
    link->fd = pair[0];
    options.stdin_fd = pair[1];
    rc = ww_child_create(config->loop, &options, on_exit_of, link, &link->child);
    if (!rc)
        rc =
            ww_watch_create(config->loop, link->fd, WW_WATCH_READ, on_readable, link, &link->watch);
    close(pair[1]);
    return rc;
}

static void start(struct inspect_link *link)
{
    link->has_said_names = false;
    link->started_us = ww_loop_now_us(link->config.loop);
    int rc = spawn(link);
    if (rc)
        lose(link, rc == WW_ENOMEM ? "memory ran out" : "it can't be started");
    else
        link->starts++;
}

static void start_again(void *arg)
{
    start(arg);
}

int inspect_link_create(const struct inspect_link_config *config, struct inspect_link **out)
{
    struct inspect_link *link = ww_alloc(1, sizeof(*link));

    if (!link)
        return WW_ENOMEM;
    link->config = *config;
    link->fd = -1;
    int rc = ww_timer_create(config->loop, start_again, link, &link->again);
    if (rc) {
        ww_free(link);
        return rc;
    }
    if (config->how.program)
        start(link);
    *out = link;
    return 0;
}

void inspect_link_destroy(struct inspect_link *link)
{
    if (!link)
        return;
    close_all(link);
    ww_timer_destroy(link->again);
    ww_free(link);
}

/* --- questions -------------------------------------------------------------------------------- */

static ssize_t say(const struct inspect_link *link, const struct inspect_head *head,
                   const uint8_t *packet, size_t size)
{
    uint8_t bytes[INSPECT_HEAD_BYTES];
    union {
        const uint8_t *constant;
        void *variable; /* sendmsg's; it doesn't write */
    } packet_bytes = {packet};
    struct iovec pieces[2] = {{bytes, sizeof(bytes)}, {packet_bytes.variable, size}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = size > 0 ? 2 : 1};

    inspect_head_write(head, bytes);
    return sendmsg(link->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say_late(struct inspect_link *link)
{
    if (!link->was_late)
        ww_log(WW_LOG_WARN, "packet", "first packets come faster than they are looked at", "");
    link->was_late = true;
}

bool inspect_link_ask(struct inspect_link *link, size_t *share, const struct inspect_head *head,
                      const uint8_t *packet, size_t size)
{
    uint64_t now_us = ww_loop_now_us(link->config.loop);

    if (!link->child || !link->watch)
        return false;
    if (link->count > 0 &&
        now_us - link->asked[link->first].at_us > link->config.how.answer_ms * 1000) {
        ww_child_kill(link->child, SIGKILL); /* its exit is told from the loop */
        return false;
    }
    bool is_full = link->count == WW_INSPECT_ASKED_MAX || *share >= WW_INSPECT_ASKED_TABLE;
    if (is_full || say(link, head, packet, WW_MIN(size, (size_t)WW_INSPECT_PACKET_BYTES)) < 0) {
        say_late(link);
        return false;
    }
    link->asked[(link->first + link->count++) % WW_INSPECT_ASKED_MAX] =
        (struct asked){share, now_us, head->flow, head->slot};
    ++*share;
    return true;
}

void inspect_link_forget(struct inspect_link *link, const struct inspect_head *head)
{
    if (link->child && link->watch)
        say(link, head, NULL, 0);
}

void inspect_link_leave(struct inspect_link *link, const size_t *share)
{
    for (size_t i = 0; i < link->count; i++) {
        struct asked *asked = &link->asked[(link->first + i) % WW_INSPECT_ASKED_MAX];
        if (asked->share == share)
            asked->share = NULL;
    }
}

void inspect_link_stats(const struct inspect_link *link, struct ww_inspector_stats *stats)
{
    stats->pid = link->child && link->watch ? ww_child_pid(link->child) : 0;
    stats->is_ready = stats->pid && link->has_said_names;
    stats->starts = link->starts;
    stats->waiting = link->count;
}
