/* The control socket: one JSON text a line, for the local operator.
 *
 * Relies on loop. Knows nothing of JSON but its own one answer, that a line is too long: lines are
 * bounded, sessions are bounded, and the peer's uid is checked. A session that doesn't read its
 * answers is closed.
 */
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/un.h>
#include <unistd.h>

#include "ww/limits.h"
#include "ww/ops.h"

struct session {
    LIST_ENTRY(session) link;
    struct ww_control *control;
    struct ww_stream *stream;
    struct ww_timer *linger; /* running: the session has been refused, what it sends is dropped */
    struct ww_timer *more;   /* running: there may be more lines than one turn took */
    bool has_more;
    bool is_eof;
    uint64_t number;
    uid_t uid; /* of the process that connected */
};

struct ww_control {
    struct ww_loop *loop;
    struct ww_listener *listener;
    struct ww_control_callbacks callbacks;
    void *arg;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    LIST_HEAD(, session) sessions;
    size_t session_count;
    uint64_t last_number;
    unsigned calling;  /* `line` callbacks on the stack */
    bool is_destroyed; /* by one of them: freed when they have returned */
};

static struct session *find_session(struct ww_control *control, uint64_t number)
{
    struct session *session;
    LIST_FOREACH (session, &control->sessions, link)
        if (session->number == number)
            return session;
    return NULL;
}

static void free_session(struct session *session)
{
    LIST_REMOVE(session, link);
    session->control->session_count--;
    ww_timer_destroy(session->linger);
    ww_timer_destroy(session->more);
    ww_stream_destroy(session->stream);
    ww_free(session);
}

static void end_session(struct session *session)
{
    struct ww_control *control = session->control;
    uint64_t number = session->number;

    free_session(session);
    control->callbacks.closed(control->arg, number);
}

/* False when the whole socket is gone, by the callback. */
static bool tell_line(struct ww_control *control, uint64_t number, const char *line, size_t size)
{
    control->calling++;
    control->callbacks.line(control->arg, number, line, size);
    control->calling--;
    if (!control->is_destroyed)
        return true;
    if (!control->calling)
        ww_free(control);
    return false;
}

static void linger_over(void *arg)
{
    end_session(arg);
}

/* Says why, and leaves time to read it: a close with unread bytes would be a reset. */
static void refuse_line(struct session *session)
{
    char text[512];
    int size = snprintf(text, sizeof(text),
                        "{\"error\":{\"code\":\"%s\",\"what\":\"%s\",\"fix\":\"%s\","
                        "\"reason\":\"a line has at most %d bytes\"}}\n",
                        ww_error_name(WW_ETOOBIG), ww_error_what(WW_ETOOBIG),
                        ww_error_fix(WW_ETOOBIG), WW_CONTROL_LINE_BYTES_MAX - 1);

    ww_log(WW_LOG_WARN, "ops", "a control session sent too long a line", "session=%llu",
           (unsigned long long)session->number);
    if (ww_timer_create(session->control->loop, linger_over, session, &session->linger)) {
        end_session(session);
        return;
    }
    ww_timer_start(session->linger, (uint64_t)WW_CONTROL_LINGER_MS * 1000);
    ww_stream_write(session->stream, text, (size_t)size);
    ww_stream_finish(session->stream);
    ww_stream_consume(session->stream, ww_stream_readable(session->stream));
}

/* Hands over complete lines; the rest in another turn of the loop, so that one session doesn't keep
 * it from the others. False when the session is gone. */
static bool take_lines(struct session *session)
{
    struct ww_control *control = session->control;
    uint64_t number = session->number;

    if (session->linger) {
        ww_stream_consume(session->stream, ww_stream_readable(session->stream));
        return true;
    }
    for (int count = 0; count < WW_CONTROL_TURN_LINES_MAX; count++) {
        size_t size = 0;
        const uint8_t *data = ww_stream_peek(session->stream, WW_CONTROL_LINE_BYTES_MAX, &size);
        const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
        if (!end) {
            if (size < WW_CONTROL_LINE_BYTES_MAX)
                return true;
            refuse_line(session);
            return false;
        }
        size_t line_size = (size_t)(end - data);
        char *line = ww_strndup((const char *)data, line_size);
        if (!line) {
            end_session(session);
            return false;
        }
        ww_stream_consume(session->stream, line_size + 1);
        bool is_here = tell_line(control, number, line, line_size);
        ww_free(line);
        if (!is_here || !find_session(control, number))
            return false;
    }
    session->has_more = true;
    ww_timer_start(session->more, 0);
    return true;
}

static void take_turn(struct session *session)
{
    if (!session->has_more && take_lines(session) && !session->has_more && session->is_eof)
        end_session(session);
}

static void turn_again(void *arg)
{
    struct session *session = arg;
    session->has_more = false;
    take_turn(session);
}

static void session_readable(void *arg)
{
    take_turn(arg);
}

static void session_eof(void *arg)
{
    struct session *session = arg;
    session->is_eof = true;
    take_turn(session);
}

static void session_closed(void *arg, int code)
{
    (void)code;
    end_session(arg);
}

static bool peer_allowed(int fd, uid_t *uid)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
        return false;
    *uid = peer.uid;
    return peer.uid == 0 || peer.uid == geteuid();
}

static void accepted(void *arg, int fd, const struct sockaddr *peer, socklen_t peer_size)
{
    static const struct ww_stream_callbacks callbacks = {
        .readable = session_readable, .eof = session_eof, .closed = session_closed};
    struct ww_control *control = arg;
    (void)peer;
    (void)peer_size;
    uid_t uid = 0;

    if (!peer_allowed(fd, &uid) || control->session_count >= WW_CONTROL_SESSIONS_MAX) {
        ww_log(WW_LOG_WARN, "ops", "a control session was refused", "sessions=%zu",
               control->session_count);
        close(fd);
        return;
    }
    struct session *session = ww_alloc(1, sizeof(*session));
    if (!session) {
        close(fd);
        return;
    }
    session->control = control;
    session->number = ++control->last_number;
    session->uid = uid;
    if (ww_timer_create(control->loop, turn_again, session, &session->more)) {
        close(fd);
        ww_free(session);
        return;
    }
    if (ww_stream_accept(control->loop, fd, &callbacks, session, &session->stream)) {
        ww_timer_destroy(session->more);
        ww_free(session);
        return;
    }
    LIST_INSERT_HEAD(&control->sessions, session, link);
    control->session_count++;
}

int ww_control_create(struct ww_loop *loop, const char *path,
                      const struct ww_control_callbacks *callbacks, void *arg,
                      struct ww_control **out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return WW_ETOOBIG;
    memcpy(address.sun_path, path, strlen(path));
    struct ww_control *control = ww_alloc(1, sizeof(*control));
    if (!control)
        return WW_ENOMEM;
    control->loop = loop;
    control->callbacks = *callbacks;
    control->arg = arg;
    LIST_INIT(&control->sessions);
    memcpy(control->path, address.sun_path, sizeof(control->path));
    int rc = ww_listener_create(loop, (const struct sockaddr *)&address, sizeof(address), accepted,
                                control, &control->listener);
    if (rc) {
        ww_free(control);
        return rc;
    }
    *out = control;
    return 0;
}

int ww_control_send(struct ww_control *control, uint64_t number, const char *text, size_t size)
{
    struct session *session = find_session(control, number);
    if (!session || session->linger)
        return WW_ECLOSED;
    if (ww_stream_queued(session->stream) + size > WW_CONTROL_QUEUE_BYTES_MAX) {
        end_session(session);
        return WW_ELIMIT;
    }
    int rc = ww_stream_write(session->stream, text, size);
    return rc ? rc : ww_stream_write(session->stream, "\n", 1);
}

int ww_control_peer(struct ww_control *control, uint64_t number, uid_t *uid)
{
    struct session *session = find_session(control, number);

    if (!session)
        return WW_ECLOSED;
    *uid = session->uid;
    return 0;
}

size_t ww_control_queued(struct ww_control *control, uint64_t number)
{
    struct session *session = find_session(control, number);
    return session ? ww_stream_queued(session->stream) : 0;
}

void ww_control_close(struct ww_control *control, uint64_t number)
{
    struct session *session = find_session(control, number);
    if (session)
        end_session(session);
}

void ww_control_destroy(struct ww_control *control)
{
    if (!control)
        return;
    while (!LIST_EMPTY(&control->sessions))
        free_session(LIST_FIRST(&control->sessions));
    ww_listener_destroy(control->listener);
    unlink(control->path);
    control->is_destroyed = true;
    if (!control->calling)
        ww_free(control);
}
