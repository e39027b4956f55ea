/* A STUN server (RFC 8489), as small as a client of it can do with: every binding request is
 * answered with the address that it came from. system_stun ADDRESS PORT, until it is killed. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HEAD_BYTES 20
#define COOKIE     0x2112a442U

static void put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

/* XOR-MAPPED-ADDRESS, the only attribute. */
static size_t answer(const uint8_t *request, const struct sockaddr_in *from, uint8_t *out)
{
    uint32_t address = ntohl(from->sin_addr.s_addr) ^ COOKIE;

    memcpy(out, request, HEAD_BYTES);
    put16(out, 0x0101);
    put16(out + 2, 12);
    put16(out + HEAD_BYTES, 0x0020);
    put16(out + HEAD_BYTES + 2, 8);
    put16(out + HEAD_BYTES + 4, 1);
    put16(out + HEAD_BYTES + 6, ntohs(from->sin_port) ^ (COOKIE >> 16));
    put16(out + HEAD_BYTES + 8, address >> 16);
    put16(out + HEAD_BYTES + 10, address & 0xffff);
    return HEAD_BYTES + 12;
}

int main(int argc, char **argv)
{
    struct sockaddr_in own = {.sin_family = AF_INET}, from;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint8_t request[2048], out[64];

    if (argc != 3 || inet_pton(AF_INET, argv[1], &own.sin_addr) != 1) {
        fprintf(stderr, "usage: system_stun ADDRESS PORT\n");
        return 2;
    }
    own.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0) {
        perror("bind");
        return 1;
    }
    for (;;) {
        socklen_t size = sizeof(from);
        ssize_t got = recvfrom(fd, request, sizeof(request), 0, (struct sockaddr *)&from, &size);

        if (got >= HEAD_BYTES && request[0] == 0 && request[1] == 1)
            sendto(fd, out, answer(request, &from, out), 0, (struct sockaddr *)&from, size);
    }
}
