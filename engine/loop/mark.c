/* The mark by which the host's routes tell the node's own sockets from everybody else's. */
#include <sys/socket.h>

#include "internal.h"

void ww_loop_set_mark(struct ww_loop *loop, uint32_t mark)
{
    loop->mark = mark;
}

void ww_loop_mark_socket(const struct ww_loop *loop, int fd)
{
    if (loop->mark != 0)
        setsockopt(fd, SOL_SOCKET, SO_MARK, &loop->mark, sizeof(loop->mark));
}
