/* Packets that are made here rather than passed on: datagrams for clients, resets; and datagrams
 * put together from a client's fragments. Relies on checksum.c and on the order that ww_ip_fragment
 * keeps. */
#include <netinet/in.h>
#include <string.h>

#include "checksum.h"
#include "exit_user.h"

#define IPV4_HEADER_BYTES     20
#define IPV6_HEADER_BYTES     40
#define FRAGMENT_HEADER_BYTES 8
#define TCP_HEADER_BYTES      20
#define HOPS                  64

static void put_u16(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
    put_u16(bytes, value >> 16);
    put_u16(bytes + 2, value & 0xffff);
}

/* A head without length, fragment fields and checksum. Returns its size. */
static size_t put_head(uint8_t *packet, bool is_v4, uint8_t protocol, const uint8_t source[16],
                       const uint8_t destination[16])
{
    memset(packet, 0, is_v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);
    if (is_v4) {
        packet[0] = 0x45;
        packet[8] = HOPS;
        packet[9] = protocol;
        memcpy(packet + 12, source + 12, 4);
        memcpy(packet + 16, destination + 12, 4);
        return IPV4_HEADER_BYTES;
    }
    packet[0] = 0x60;
    packet[6] = protocol;
    packet[7] = HOPS;
    memcpy(packet + 8, source, 16);
    memcpy(packet + 24, destination, 16);
    return IPV6_HEADER_BYTES;
}

/* packet holds a head; the sum goes to where `protocol` has it, which must hold zero. */
static void complete(const uint8_t *packet, bool is_v4, uint8_t protocol, uint8_t *transport,
                     size_t size)
{
    size_t at = protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2;
    uint64_t sum = 0;
    uint16_t value;

    if (protocol != IPPROTO_ICMP)
        sum = ww_checksum_add_number(ww_checksum_pseudo(packet, is_v4, protocol), (uint32_t)size);
    value = (uint16_t)~ww_checksum_fold(ww_checksum_add(sum, transport, size));
    ww_checksum_store(transport + at, value == 0 && protocol == IPPROTO_UDP ? 0xffff : value);
}

/* The bytes of a datagram from `offset` to `end`, behind the head that the packet begins with. */
static void send_part(struct ww_exit_user *user, const struct ww_exit_key *key,
                      const uint8_t *transport, size_t size, size_t offset, size_t end)
{
    uint8_t *packet = user->packet;
    size_t head = key->is_v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES, part = end - offset;
    bool is_last = end == size, is_fragment = offset > 0 || !is_last;

    if (key->is_v4) {
        put_u16(packet + 2, head + part);
        put_u16(packet + 4, user->next_id);
        put_u16(packet + 6, offset / 8 | (is_last ? 0 : 0x2000));
        ww_checksum_ipv4(packet, head);
    } else if (is_fragment) {
        packet[6] = 44;
        packet[head] = key->protocol;
        packet[head + 1] = 0;
        put_u16(packet + head + 2, offset | (is_last ? 0 : 1));
        put_u32(packet + head + 4, user->next_id);
        head += FRAGMENT_HEADER_BYTES;
    }
    if (!key->is_v4)
        put_u16(packet + 4, head - IPV6_HEADER_BYTES + part);
    memcpy(packet + head, transport + offset, part);
    ww_exit_in(user->exit, key->client, packet, head + part, WW_OFFLOAD_NONE);
}

void ww_exit_send(struct ww_exit_user *user, const struct ww_exit_key *key, enum ww_ecn mark,
                  uint8_t *transport, size_t size)
{
    struct ww_exit_key to = *key; /* the owner may close the flow */
    size_t head = put_head(user->packet, to.is_v4, to.protocol, to.destination,
                           ww_exit_inner(user->exit, to.is_v4));
    size_t room = user->exit->options.mtu - head;

    ww_ecn_set(user->packet, mark);
    complete(user->packet, to.is_v4, to.protocol, transport, size);
    user->next_id++;
    if (size <= room) {
        send_part(user, &to, transport, size, 0, size);
        return;
    }
    room -= to.is_v4 ? 0 : FRAGMENT_HEADER_BYTES;
    room -= room % 8;
    for (size_t offset = 0; offset < size; offset += room)
        send_part(user, &to, transport, size, offset, WW_MIN(offset + room, size));
}

/* An ICMP error quotes the packet that it is about: a head and 8 bytes are enough to know it by. */
void ww_exit_send_closed(struct ww_exit_user *user, const struct ww_exit_key *key)
{
    struct ww_exit_key error = *key;
    uint8_t message[8 + IPV6_HEADER_BYTES + 8], *about = message + 8, *udp;
    size_t head = put_head(about, key->is_v4, IPPROTO_UDP, ww_exit_inner(user->exit, key->is_v4),
                           key->destination);

    memset(message, 0, 8);
    message[0] = key->is_v4 ? 3 : 1; /* unreachable … */
    message[1] = key->is_v4 ? 3 : 4; /* … its port (RFC 792, RFC 4443) */
    udp = about + head;
    memset(udp, 0, 8);
    put_u16(udp, key->source_port);
    put_u16(udp + 2, key->destination_port);
    put_u16(udp + 4, 8);
    put_u16(about + (key->is_v4 ? 2 : 4), key->is_v4 ? head + 8 : 8);
    if (key->is_v4)
        ww_checksum_ipv4(about, head);
    error.protocol = key->is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    ww_exit_send(user, &error, WW_ECN_NONE, message, 8 + head + 8);
}

size_t ww_exit_reset_for(const uint8_t *packet, const struct ww_ip *ip, uint8_t reset[60])
{
    const uint8_t *tcp = packet + ip->header_size;
    uint8_t flags = tcp[13];
    size_t head, data = ip->payload_size - (size_t)(tcp[12] >> 4) * 4;
    uint8_t *answer;

    if (flags & 4)
        return 0;
    head = put_head(reset, ip->is_v4, IPPROTO_TCP, ip->destination, ip->source);
    answer = reset + head;
    memset(answer, 0, TCP_HEADER_BYTES);
    put_u16(answer, ip->destination_port);
    put_u16(answer + 2, ip->source_port);
    answer[12] = 0x50;
    answer[13] = 4;
    if (flags & 16) {
        memcpy(answer + 4, tcp + 8, 4);
    } else {
        put_u32(answer + 8,
                read_u32(tcp + 4) + (uint32_t)data + (flags & 2 ? 1 : 0) + (flags & 1 ? 1 : 0));
        answer[13] |= 16;
    }
    if (ip->is_v4) {
        put_u16(reset + 2, head + TCP_HEADER_BYTES);
        ww_checksum_ipv4(reset, head);
    } else {
        put_u16(reset + 4, TCP_HEADER_BYTES);
    }
    complete(reset, ip->is_v4, IPPROTO_TCP, answer, TCP_HEADER_BYTES);
    return head + TCP_HEADER_BYTES;
}

/* --- fragments -------------------------------------------------------------------------------- */

static bool is_part_of(const struct ww_exit_whole *whole, uint32_t client, const struct ww_ip *ip)
{
    return whole->since_us != 0 && whole->key.client == client && whole->id == ip->id &&
           whole->key.protocol == ip->protocol && whole->key.is_v4 == ip->is_v4 &&
           memcmp(whole->key.destination, ip->destination, 16) == 0;
}

static size_t count_of(const struct ww_exit_user *user, uint32_t client)
{
    size_t count = 0;

    for (size_t i = 0; i < WW_EXIT_WHOLES; i++)
        count += user->wholes[i].since_us != 0 && user->wholes[i].key.client == client;
    return count;
}

/* A free place; or the oldest of the client with the most, which is rather the one that begins
 * another than somebody else. */
static struct ww_exit_whole *choose(struct ww_exit_user *user, uint32_t client)
{
    struct ww_exit_whole *chosen = NULL;
    size_t most = 0;

    for (size_t i = 0; i < WW_EXIT_WHOLES; i++) {
        struct ww_exit_whole *whole = &user->wholes[i];
        size_t count;

        if (whole->since_us == 0)
            return whole;
        count = 2 * count_of(user, whole->key.client) + (whole->key.client == client);
        if (!chosen || count > most || (count == most && whole->since_us < chosen->since_us)) {
            chosen = whole;
            most = count;
        }
    }
    return chosen;
}

static struct ww_exit_whole *begin(struct ww_exit_user *user, uint32_t client,
                                   const uint8_t *packet, const struct ww_ip *ip)
{
    uint64_t now_us = ww_loop_now_us(user->exit->loop);

    for (size_t i = 0; i < WW_EXIT_WHOLES; i++) { /* nobody waits longer for the rest */
        if (now_us - user->wholes[i].since_us > WW_IP_FRAGMENT_MS * 1000ULL)
            user->wholes[i].since_us = 0;
    }
    struct ww_exit_whole *whole = choose(user, client);
    if (!whole->bytes)
        whole->bytes = ww_alloc(1, WW_EXIT_DATAGRAM_BYTES);
    if (!whole->bytes)
        return NULL;
    ww_exit_key_of(ip, client, &whole->key);
    whole->since_us = now_us;
    whole->id = ip->id;
    whole->size = 0;
    whole->mark = ww_ecn_get(packet, ip->header_size);
    return whole;
}

struct ww_exit_whole *ww_exit_collect(struct ww_exit_user *user, uint32_t client,
                                      const uint8_t *packet, const struct ww_ip *ip)
{
    struct ww_exit_whole *whole = NULL;

    for (size_t i = 0; i < WW_EXIT_WHOLES && !whole; i++) {
        if (is_part_of(&user->wholes[i], client, ip))
            whole = &user->wholes[i];
    }
    if (ip->offset == 0) {
        if (whole)
            whole->since_us = 0;
        whole = begin(user, client, packet, ip);
    }
    if (!whole || whole->size != ip->offset ||
        whole->size + ip->payload_size > WW_EXIT_DATAGRAM_BYTES)
        return NULL;
    memcpy(whole->bytes + whole->size, packet + ip->header_size, ip->payload_size);
    whole->size += ip->payload_size;
    whole->mark = ww_ecn_join(whole->mark, ww_ecn_get(packet, ip->header_size));
    if (!ip->is_last)
        return NULL;
    whole->since_us = 0;
    return whole;
}
