/* Listening sockets. Every accepted socket is non-blocking and closed on exec. A unix socket is
 * created with mode 0600 and removed with its listener; a left-over file of a dead process is
 * replaced, that of a living one never. */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"

#define OUT_OF_FILES_PAUSE_US 100000

struct ww_listener {
    struct ww_loop *loop;
    struct ww_watch *watch;
    struct ww_timer *pause;
    int fd;
    bool is_accepting; /* its callbacks are on the stack: … */
    bool is_destroyed; /* … freed after them */
    ww_accept_fn fn;
    void *arg;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1]; /* "" unless unix */
};

static void on_pause_end(void *arg)
{
    struct ww_listener *listener = arg;

    ww_watch_set(listener->watch, WW_WATCH_READ);
}

static void on_acceptable(void *arg, int fd, unsigned events)
{
    struct ww_listener *listener = arg;

    (void)events;
    listener->is_accepting = true;
    for (int i = 0; i < WW_LISTENER_ACCEPTS_MAX && !listener->is_destroyed; i++) {
        struct sockaddr_storage peer;
        socklen_t peer_size = sizeof(peer);
        int accepted;

        memset(&peer, 0, sizeof(peer));
        accepted = accept4(fd, (struct sockaddr *)&peer, &peer_size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (accepted >= 0) {
            listener->fn(listener->arg, accepted, (struct sockaddr *)&peer, peer_size);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* Level-triggered: without a pause the loop would spin. */
            ww_log(WW_LOG_WARN, "loop", "No file descriptors are left to accept with", "errno=%d",
                   errno);
            ww_watch_set(listener->watch, 0);
            ww_timer_start(listener->pause, OUT_OF_FILES_PAUSE_US);
        }
        if (errno != ECONNABORTED && errno != EINTR)
            break;
    }
    listener->is_accepting = false;
    if (listener->is_destroyed)
        ww_free(listener);
}

/* Removes a socket file that nobody listens on. WW_EEXIST when somebody does. */
static int remove_stale(const struct sockaddr *address, socklen_t size, const char *path)
{
    struct stat status;
    int rc = 0;
    int fd;

    if (lstat(path, &status) != 0)
        return 0;
    if (!S_ISSOCK(status.st_mode))
        return WW_EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return WW_ESYSTEM;
    if (connect(fd, address, size) == 0 || errno != ECONNREFUSED)
        rc = WW_EEXIST;
    else
        unlink(path);
    close(fd);
    return rc;
}

static int bind_unix(struct ww_listener *listener, const struct sockaddr *address, socklen_t size)
{
    size_t path_offset = offsetof(struct sockaddr_un, sun_path);
    size_t path_size = size > path_offset ? size - path_offset : 0;
    const char *path = (const char *)address + path_offset;
    int rc;

    if (path_size == 0 || path_size >= sizeof(listener->path) || path[0] == '\0')
        return WW_EINVAL;
    memcpy(listener->path, path, path_size);
    rc = remove_stale(address, size, listener->path);
    /* Linux takes the file's mode from the socket's: 0600 from the first moment, without the
     * process-wide umask. */
    if (!rc && (fchmod(listener->fd, 0600) != 0 || bind(listener->fd, address, size) != 0))
        rc = WW_ESYSTEM;
    if (rc)
        listener->path[0] = '\0';
    return rc;
}

static int bind_inet(struct ww_listener *listener, const struct sockaddr *address, socklen_t size)
{
    int on = 1;

    if (setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
        return WW_ESYSTEM;
    /* Each family by a listener of its own, whatever the system's default is. */
    if (address->sa_family == AF_INET6 &&
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
        return WW_ESYSTEM;
    return bind(listener->fd, address, size) == 0 ? 0 : WW_ESYSTEM;
}

int ww_listener_create(struct ww_loop *loop, const struct sockaddr *address, socklen_t size,
                       ww_accept_fn fn, void *arg, struct ww_listener **out)
{
    struct ww_listener *listener = ww_alloc(1, sizeof(*listener));
    int errno_of_failure;
    int rc = WW_ESYSTEM;

    if (!listener)
        return WW_ENOMEM;
    listener->loop = loop;
    listener->fn = fn;
    listener->arg = arg;
    listener->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        goto fail;
    rc = address->sa_family == AF_UNIX ? bind_unix(listener, address, size)
                                       : bind_inet(listener, address, size);
    if (rc)
        goto fail;
    rc = WW_ESYSTEM;
    if (listen(listener->fd, WW_LISTENER_BACKLOG) != 0)
        goto fail;
    rc = ww_timer_create(loop, on_pause_end, listener, &listener->pause);
    if (rc)
        goto fail;
    rc = ww_watch_create(loop, listener->fd, WW_WATCH_READ, on_acceptable, listener,
                         &listener->watch);
    if (rc)
        goto fail;
    *out = listener;
    return 0;

fail:
    errno_of_failure = errno;
    ww_listener_destroy(listener);
    errno = errno_of_failure;
    return rc;
}

int ww_listener_address(const struct ww_listener *listener, struct sockaddr_storage *address)
{
    socklen_t size = sizeof(*address);

    memset(address, 0, sizeof(*address));
    return getsockname(listener->fd, (struct sockaddr *)address, &size) == 0 ? 0 : WW_ESYSTEM;
}

void ww_listener_destroy(struct ww_listener *listener)
{
    if (!listener)
        return;
    ww_watch_destroy(listener->watch);
    ww_timer_destroy(listener->pause);
    if (listener->path[0])
        unlink(listener->path);
    if (listener->fd >= 0)
        close(listener->fd);
    listener->is_destroyed = true;
    if (!listener->is_accepting)
        ww_free(listener);
}
