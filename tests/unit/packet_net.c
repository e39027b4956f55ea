/* Sockets for the tests of the packet room. */
#include "packet_net.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void net_settle(struct ww_loop *loop)
{
    for (int i = 0; i < 5; i++)
        ww_loop_turn(loop, 2000);
}

struct sockaddr_in net_loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int net_listen(int type, int backlog, uint16_t *port)
{
    struct sockaddr_in address = net_loopback(0);
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

int net_connect(int type, uint16_t port)
{
    struct sockaddr_in address = net_loopback(port);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

uint16_t net_closed_port(int type)
{
    uint16_t port;

    close(net_listen(type, 1, &port));
    return port;
}

void net_send(int fd, const void *data, size_t size)
{
    assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), size);
}

bool net_read(struct net_reader *reader, size_t size)
{
    while (reader->size < sizeof(reader->data) && !reader->is_eof) {
        ssize_t got =
            recv(reader->fd, reader->data + reader->size, sizeof(reader->data) - reader->size, 0);

        if (got > 0) {
            reader->size += (size_t)got;
        } else if (got == 0) {
            reader->is_eof = true;
        } else {
            if (errno != EAGAIN) {
                reader->error = errno;
                reader->is_eof = true;
            }
            break;
        }
    }
    return reader->size >= size;
}

bool net_ended(struct net_reader *reader)
{
    net_read(reader, 0);
    return reader->is_eof;
}
