/* A DNS server that is silent, lies, cuts off and closes. */
#include "packet_resolver_rig.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD_BYTES   12
#define QTYPE_A      1
#define QTYPE_AAAA   28
#define ANSWER_BYTES 65535

/* --- the server --------------------------------------------------------------------------------
 */

static int listen_on(int type, uint32_t address, uint16_t port)
{
    struct sockaddr_in local = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(address)}};
    int on = 1, fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&local, sizeof(local)) != 0 ||
        (type == SOCK_STREAM && listen(fd, 16) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

void dns_server_stop(struct dns_server *server)
{
    for (int i = 0; i < DNS_CONNECTIONS; i++) {
        if (server->connections[i] >= 0)
            close(server->connections[i]);
    }
    close(server->udp);
    close(server->tcp);
}

/* False: the port is another's. */
bool dns_server_start(struct dns_server *server, uint32_t address, uint16_t port)
{
    *server = (struct dns_server){.port = port};
    for (int i = 0; i < DNS_CONNECTIONS; i++)
        server->connections[i] = -1;
    server->udp = listen_on(SOCK_DGRAM, address, port);
    server->tcp = listen_on(SOCK_STREAM, address, port);
    if (server->udp >= 0 && server->tcp >= 0)
        return true;
    if (server->udp >= 0)
        close(server->udp);
    if (server->tcp >= 0)
        close(server->tcp);
    return false;
}

static bool begins(const struct dns_server *server, const char *label)
{
    return strncmp(server->name, label, strlen(label)) == 0;
}

/* The question's name into server->name; where it ends, and 0 if it is none. */
static size_t read_name(struct dns_server *server, const uint8_t *message, size_t size)
{
    size_t at = HEAD_BYTES, out = 0;

    while (at < size && message[at] && out + message[at] + 2 < sizeof(server->name)) {
        memcpy(server->name + out, message + at + 1, message[at]);
        out += message[at];
        server->name[out++] = '.';
        at += message[at] + 1U;
    }
    server->name[out] = '\0';
    return at + 5 <= size ? at + 5 : 0;
}

static size_t add_address(uint8_t *at, uint8_t type, uint8_t last)
{
    static const uint8_t prefix[] = {0x20, 0x01, 0x0d, 0xb8};
    const uint8_t head[] = {0xc0, HEAD_BYTES, 0, type, 0, 1, 0, 0, 0, 60, 0, type == 1 ? 4 : 16};
    size_t size = type == QTYPE_A ? 4 : 16;

    memcpy(at, head, sizeof(head));
    at += sizeof(head);
    memset(at, 0, size);
    if (type == QTYPE_A)
        memcpy(at, (const uint8_t[]){192, 0, 2}, 3);
    else
        memcpy(at, prefix, sizeof(prefix));
    at[size - 1] = last;
    return sizeof(head) + size;
}

/* Answers in place; 0: says nothing. */
static size_t answer(struct dns_server *server, uint8_t *message, size_t size, bool is_tcp)
{
    size_t end = read_name(server, message, size), count = 1;
    uint8_t type;

    server->asked++;
    if (!end || begins(server, "hang"))
        return 0;
    type = message[end - 3];
    message[2] |= 0x80;
    if (begins(server, "gone"))
        message[3] = 3;
    if (begins(server, "fail"))
        message[3] = 2;
    if (begins(server, "cut") && !is_tcp) {
        message[2] |= 2;
        return end;
    }
    if (begins(server, "cutmany"))
        count = 100;
    if (begins(server, "cutflood"))
        count = 4000;
    if (begins(server, "gone") || begins(server, "none") || begins(server, "fail") ||
        (type == QTYPE_AAAA && !begins(server, "both")))
        return end;
    message[6] = (uint8_t)(count >> 8);
    message[7] = (uint8_t)count;
    for (size_t i = 0; i < count && end + 28 < ANSWER_BYTES; i++)
        end += add_address(message + end, type, count == 1 ? server->last : (uint8_t)i);
    return end;
}

/* What is wrong with an answer that would be right. */
static size_t spoil(struct dns_server *server, uint8_t *message, size_t size)
{
    if (begins(server, "bad1")) /* no head */
        return 5;
    if (begins(server, "bad2")) /* no answer, as much as it says there is */
        return size - 7;
    if (begins(server, "bad3")) /* another question's */
        message[HEAD_BYTES + 1] ^= 1;
    if (begins(server, "bad4")) /* another id */
        message[0] ^= 1;
    if (begins(server, "bad5")) /* a name that points at itself */
        message[size - 15] = (uint8_t)(size - 16);
    if (begins(server, "bad6")) /* data of more than there is */
        message[size - 6] = 255;
    if (begins(server, "bad7")) /* many answers that aren't there */
        message[6] = 255;
    for (int i = 0; server->mutate && i < 3; i++)
        message[ww_prng_next(server->mutate) % size] = (uint8_t)ww_prng_next(server->mutate);
    return size;
}

/* One question of a connection. False: it is to be closed. */
static bool answer_connection(struct dns_server *server, int fd, const uint8_t *question,
                              size_t question_size)
{
    static uint8_t message[ANSWER_BYTES + 2];
    size_t size, sent = 0;

    memcpy(message + 2, question, question_size);
    size = answer(server, message + 2, question_size, true);
    if (begins(server, "cuthang"))
        return true;
    if (begins(server, "cutclosed"))
        return false;
    message[0] = (uint8_t)(size >> 8);
    message[1] = (uint8_t)size;
    size += 2;
    if (begins(server, "cuthalf"))
        size /= 2;
    while (sent < size) {
        ssize_t part = send(fd, message + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (part <= 0)
            break; /* what is more than the socket takes is more than anybody may read */
        sent += (size_t)part;
    }
    return !begins(server, "cuthalf");
}

static void serve_connection(struct dns_server *server, int *fd)
{
    uint8_t bytes[1024];
    ssize_t received = recv(*fd, bytes, sizeof(bytes), 0);
    size_t at = 0, left = received > 0 ? (size_t)received : 0;
    bool stays = received != 0;

    while (stays && left > 2) {
        size_t size = (size_t)bytes[at] << 8 | bytes[at + 1];

        assert_true(size + 2 <= left); /* questions come in one piece on loopback */
        stays = answer_connection(server, *fd, bytes + at + 2, size);
        at += size + 2;
        left -= size + 2;
    }
    if (stays)
        return;
    close(*fd);
    *fd = -1;
}

void dns_server_serve(struct dns_server *server)
{
    uint8_t message[2048];
    struct sockaddr_in from;
    socklen_t from_size = sizeof(from);
    ssize_t received;

    while ((received =
                recvfrom(server->udp, message, 512, 0, (struct sockaddr *)&from, &from_size)) > 0) {
        size_t size = answer(server, message, (size_t)received, false);

        if (begins(server, "twice")) { /* a guess comes first */
            message[1] ^= 1;
            message[size - 1]++;
            sendto(server->udp, message, size, 0, (struct sockaddr *)&from, from_size);
            message[size - 1]--;
            message[1] ^= 1;
        }
        if (size)
            size = spoil(server, message, size);
        if (size)
            sendto(server->udp, message, size, 0, (struct sockaddr *)&from, from_size);
    }
    for (int i = 0; i < DNS_CONNECTIONS; i++) {
        if (server->connections[i] < 0)
            server->connections[i] = accept4(server->tcp, NULL, NULL, SOCK_NONBLOCK);
        if (server->connections[i] >= 0)
            serve_connection(server, &server->connections[i]);
    }
}
