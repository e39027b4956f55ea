/* The table of flows: see ww/flow.h. Open addressing with SipHash-1-3 and a secret, so that nobody
 * outside can choose flows that collide. */
#include "ww/flow.h"

#include <netinet/in.h>
#include <string.h>

#include "flow_room.h"
#include "inspect_room.h"
#include "ww/super.h"

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

#define FRAGMENT_WAYS 4 /* datagrams that share a set */

/* --- hash ------------------------------------------------------------------------------------- */

static inline uint64_t turn(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

#define SIP_ROUND(v)                                                                               \
    do {                                                                                           \
        (v)[0] += (v)[1], (v)[1] = turn((v)[1], 13) ^ (v)[0], (v)[0] = turn((v)[0], 32);           \
        (v)[2] += (v)[3], (v)[3] = turn((v)[3], 16) ^ (v)[2];                                      \
        (v)[0] += (v)[3], (v)[3] = turn((v)[3], 21) ^ (v)[0];                                      \
        (v)[2] += (v)[1], (v)[1] = turn((v)[1], 17) ^ (v)[2], (v)[2] = turn((v)[2], 32);           \
    } while (0)

static uint64_t hash_of(const uint64_t secret[2], const uint64_t key[5])
{
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575ULL, secret[1] ^ 0x646f72616e646f6dULL,
                     secret[0] ^ 0x6c7967656e657261ULL, secret[1] ^ 0x7465646279746573ULL};
    for (int i = 0; i < 5; i++) {
        v[3] ^= key[i];
        SIP_ROUND(v);
        v[0] ^= key[i];
    }
    v[3] ^= 40ULL << 56; /* the length, as SipHash has it */
    SIP_ROUND(v);
    v[0] ^= 40ULL << 56;
    v[2] ^= 0xff;
    SIP_ROUND(v);
    SIP_ROUND(v);
    SIP_ROUND(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void key_of(const struct ww_flow_packet *packet, uint64_t key[5])
{
    const struct ww_ip *ip = packet->ip;
    bool is_echo = ip->protocol == IPPROTO_ICMP || ip->protocol == IPPROTO_ICMPV6;
    uint64_t here_port = packet->is_outgoing ? ip->source_port : ip->destination_port;
    uint64_t there_port = packet->is_outgoing ? ip->destination_port : ip->source_port;

    memcpy(key, packet->is_outgoing ? ip->source : ip->destination, 16);
    memcpy(key + 2, packet->is_outgoing ? ip->destination : ip->source, 16);
    key[4] = (uint64_t)ip->protocol << 32 | here_port << 16 | (is_echo ? 0 : there_port);
}

/* --- slots ------------------------------------------------------------------------------------ */

static void slot_put(struct ww_flows *flows, uint32_t hash, uint32_t index)
{
    uint32_t at = hash & flows->slots_mask;

    while (flows->slots[at].index != FLOW_NONE)
        at = (at + 1) & flows->slots_mask;
    flows->slots[at] = (struct flow_slot){hash, index};
}

/* Twice as many, before more than half are used. */
static int slots_grow(struct ww_flows *flows)
{
    uint32_t old_count = flows->slots_mask + 1, count = old_count * 2;
    struct flow_slot *old = flows->slots;

    if (flows->slots_used * 2 < old_count)
        return 0;
    struct flow_slot *slots = ww_alloc(count, sizeof(*slots));
    if (!slots)
        return WW_ENOMEM;
    memset(slots, 0xff, count * sizeof(*slots));
    flows->slots = slots;
    flows->slots_mask = count - 1;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i].index != FLOW_NONE)
            slot_put(flows, old[i].hash, old[i].index);
    }
    ww_free(old);
    return 0;
}

/* Moves what comes behind back, so that there are no marks of what is gone. */
static void slot_remove(struct ww_flows *flows, const struct ww_flow *flow)
{
    uint32_t mask = flows->slots_mask, hole = flow->hash & mask;

    while (flows->slots[hole].index != flow->index)
        hole = (hole + 1) & mask;
    for (uint32_t at = (hole + 1) & mask; flows->slots[at].index != FLOW_NONE;
         at = (at + 1) & mask) {
        uint32_t home = flows->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            flows->slots[hole] = flows->slots[at];
            hole = at;
        }
    }
    flows->slots[hole].index = FLOW_NONE;
    flows->slots_used--;
}

static struct ww_flow *find(struct ww_flows *flows, const uint64_t key[5], uint32_t *hash)
{
    struct ww_flow *last = flows->last;

    if (last && memcmp(last->key, key, sizeof(last->key)) == 0)
        return last;
    *hash = (uint32_t)hash_of(flows->secret, key);
    for (uint32_t at = *hash & flows->slots_mask; flows->slots[at].index != FLOW_NONE;
         at = (at + 1) & flows->slots_mask) {
        if (flows->slots[at].hash != *hash)
            continue;
        struct ww_flow *flow = flow_at(flows, flows->slots[at].index);
        if (memcmp(flow->key, key, sizeof(flow->key)) == 0)
            return flow;
    }
    return NULL;
}

/* --- buckets ---------------------------------------------------------------------------------- */

/* What has come in since it was last looked at. */
static void fill(struct ww_flow_bucket *bucket, uint64_t now_us)
{
    uint64_t most = WW_MAX(bucket->bytes_s / 4, (uint64_t)WW_FLOW_BURST_BYTES);
    uint64_t passed_us = now_us > bucket->at_us ? now_us - bucket->at_us : 0;

    if (bucket->at_us == 0 || passed_us >= 60000000) {
        bucket->tokens = most;
        bucket->at_us = now_us;
        return;
    }
    unsigned __int128 more = (unsigned __int128)bucket->bytes_s * passed_us / 1000000;
    if (more == 0)
        return; /* the time is kept until it is worth a byte */
    bool is_full = bucket->tokens >= most || more >= most - bucket->tokens;
    bucket->tokens = is_full ? most : bucket->tokens + (uint64_t)more;
    bucket->at_us = now_us;
}

static struct ww_flow_bucket *holder(struct ww_flow_bucket *bucket)
{
    return bucket->shared ? bucket->shared : bucket;
}

bool ww_flow_bucket_take(struct ww_flow_bucket *bucket, size_t size, uint64_t now_us)
{
    bucket = holder(bucket);
    if (bucket->bytes_s == 0)
        return true;
    fill(bucket, now_us);
    if (bucket->tokens < size)
        return false;
    bucket->tokens -= size;
    return true;
}

size_t ww_flow_bucket_take_some(struct ww_flow_bucket *bucket, size_t size, uint64_t now_us)
{
    bucket = holder(bucket);
    if (bucket->bytes_s == 0)
        return size;
    fill(bucket, now_us);
    size = (size_t)WW_MIN((uint64_t)size, bucket->tokens);
    bucket->tokens -= size;
    return size;
}

void ww_flow_bucket_give(struct ww_flow_bucket *bucket, size_t size)
{
    holder(bucket)->tokens += size;
}

/* --- opening and closing ---------------------------------------------------------------------- */

void flow_close(struct ww_flows *flows, struct ww_flow *flow)
{
    if (flows->config.callbacks->closed)
        flows->config.callbacks->closed(flows->config.arg, flow);
    if (flow->inspection)
        inspect_end(flows, flow);
    if (flow->state != WW_FLOW_STREAM)
        slot_remove(flows, flow);
    flow_list_remove(flows, flow);
    if (flows->last == flow)
        flows->last = NULL;
    ww_free(flow->name);
    flow->name = NULL;
    flow_give_back(flows, flow);
}

/* The one that has been idle longest, of the state that matters least. */
bool flow_push_one_out(struct ww_flows *flows)
{
    for (int state = 0; state < WW_FLOW_STREAM; state++) {
        if (flows->lists[state].oldest != FLOW_NONE) {
            flow_close(flows, flow_at(flows, flows->lists[state].oldest));
            flows->stats.pushed_out++;
            return true;
        }
    }
    return false;
}

static enum ww_flow_state first_state(uint8_t protocol)
{
    return protocol == IPPROTO_TCP   ? WW_FLOW_OPENING
           : protocol == IPPROTO_UDP ? WW_FLOW_UDP
                                     : WW_FLOW_ICMP;
}

static struct ww_flow *open_flow(struct ww_flows *flows, const struct ww_flow_packet *packet,
                                 const uint64_t key[5], uint64_t now_us)
{
    const struct ww_flow_callbacks *callbacks = flows->config.callbacks;
    const struct ww_ip *ip = packet->ip;

    if (slots_grow(flows) || (flows->count >= flows->config.flows_max && !flow_push_one_out(flows)))
        return NULL;
    struct ww_flow *flow = flow_take(flows);
    if (!flow)
        return NULL;
    memcpy(flow->key, key, sizeof(flow->key));
    flow->hash = (uint32_t)hash_of(flows->secret, key);
    memcpy(flow->here, ip->source, 16);
    memcpy(flow->there, ip->destination, 16);
    flow->here_port = ip->source_port;
    flow->there_port =
        ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP ? ip->destination_port : 0;
    flow->protocol = ip->protocol;
    flow->first_us = flow->last_us = now_us;
    flow->moved_s = (uint32_t)(now_us / 1000000);
    slot_put(flows, flow->hash, flow->index);
    flows->slots_used++;
    flow_list_add(flows, flow, first_state(ip->protocol));
    flows->stats.opened++;
    flow->is_denied = callbacks->opened && callbacks->opened(flows->config.arg, flow) != 0;
    return flow;
}

/* --- packets ---------------------------------------------------------------------------------- */

/* Where the connection's bytes begin: by the last word before it is answered, or by the answer,
 * which says what the other end has taken. */
static void note_syn(struct ww_flow *flow, const struct ww_flow_packet *packet, bool is_answer)
{
    const uint8_t *number = packet->bytes + packet->ip->header_size + (is_answer ? 8 : 4);

    if (is_answer == packet->is_outgoing || (!is_answer && flow->tcp & FLOW_SEEN_IN))
        return;
    flow->syn = ((uint32_t)number[0] << 24 | (uint32_t)number[1] << 16 | (uint32_t)number[2] << 8 |
                 number[3]) -
                is_answer;
    flow->tcp |= FLOW_SEEN_SYN;
}

/* A connection's flags move it from state to state; a UDP flow is one of both ways when something
 * has come back. */
static enum ww_flow_state next_state(struct ww_flow *flow, const struct ww_flow_packet *packet)
{
    if (!packet->is_outgoing)
        flow->tcp |= FLOW_SEEN_IN;
    if (flow->protocol == IPPROTO_UDP)
        return flow->tcp & FLOW_SEEN_IN ? WW_FLOW_UDP_BOTH : WW_FLOW_UDP;
    if (flow->protocol != IPPROTO_TCP || packet->ip->offset > 0)
        return (enum ww_flow_state)flow->state;
    uint8_t flags = packet->bytes[packet->ip->header_size + 13];
    if (flags & TCP_SYN && flow->state == WW_FLOW_OPENING)
        note_syn(flow, packet, flags & TCP_ACK);
    if (flags & TCP_FIN)
        flow->tcp |= packet->is_outgoing ? FLOW_SEEN_FIN_OUT : FLOW_SEEN_FIN_IN;
    if (flags & TCP_RST || (flow->tcp & (FLOW_SEEN_FIN_IN | FLOW_SEEN_FIN_OUT)) ==
                               (FLOW_SEEN_FIN_IN | FLOW_SEEN_FIN_OUT))
        return WW_FLOW_CLOSING;
    if (flow->state == WW_FLOW_OPENING && packet->is_outgoing && flow->tcp & FLOW_SEEN_IN &&
        flags & TCP_ACK)
        return WW_FLOW_ESTABLISHED;
    return (enum ww_flow_state)flow->state;
}

static void touch(struct ww_flows *flows, struct ww_flow *flow, enum ww_flow_state state,
                  uint64_t now_us)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);

    flow->last_us = now_us;
    if (state == flow->state && now_s == flow->moved_s)
        return;
    flow_list_remove(flows, flow);
    flow->moved_s = now_s;
    flow_list_add(flows, flow, state);
}

/* A port that is used again for a connection: the old one is over. */
static bool begins_again(const struct ww_flow *flow, const struct ww_flow_packet *packet)
{
    return flow->state == WW_FLOW_CLOSING && packet->is_outgoing && packet->ip->offset == 0 &&
           (packet->bytes[packet->ip->header_size + 13] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* That of a first fragment, of this flow, is made: in the place of one of its set that is over,
 * else of the oldest; of the flow's own, if it has half of the set. `flow` is NULL for the others.
 */
static struct flow_fragment *fragment_of(struct ww_flows *flows, const struct ww_ip *ip,
                                         const struct ww_flow *flow, uint64_t now_us)
{
    struct flow_fragment *own = NULL;
    unsigned own_count = 0;
    uint64_t key[5];

    memcpy(key, ip->source, 16);
    memcpy(key + 2, ip->destination, 16);
    key[4] = (uint64_t)ip->protocol << 32 | ip->id;
    uint64_t hash = hash_of(flows->secret, key);
    struct flow_fragment *set =
        &flows->fragments[hash % (WW_FLOWS_FRAGMENTS / FRAGMENT_WAYS) * FRAGMENT_WAYS];
    struct flow_fragment *fragment = set;
    for (size_t way = 0; way < FRAGMENT_WAYS; way++) {
        if (set[way].hash == hash)
            return &set[way];
        fragment = set[way].since_us < fragment->since_us ? &set[way] : fragment;
        if (!flow || set[way].index != flow->index ||
            set[way].serial != flows->serials[flow->index])
            continue;
        own_count++;
        own = !own || set[way].since_us < own->since_us ? &set[way] : own;
    }
    if (!flow)
        return NULL;
    if (own_count >= FRAGMENT_WAYS / 2 &&
        now_us - fragment->since_us <= WW_IP_FRAGMENT_MS * 1000ULL)
        fragment = own;
    fragment->hash = hash;
    return fragment;
}

/* Where the first fragment went. */
static struct ww_flow *flow_of_fragment(struct ww_flows *flows, const struct ww_ip *ip,
                                        uint64_t now_us)
{
    const struct flow_fragment *fragment = fragment_of(flows, ip, NULL, now_us);

    if (!fragment || fragment->serial == 0 ||
        now_us - fragment->since_us > WW_IP_FRAGMENT_MS * 1000ULL ||
        flows->serials[fragment->index] != fragment->serial)
        return NULL;
    return flow_at(flows, fragment->index);
}

static struct ww_flow *flow_of(struct ww_flows *flows, const struct ww_flow_packet *packet,
                               uint64_t now_us)
{
    uint64_t key[5];
    uint32_t hash;

    if (packet->ip->offset > 0)
        return flow_of_fragment(flows, packet->ip, now_us);
    key_of(packet, key);
    struct ww_flow *flow = find(flows, key, &hash);
    if (flow && begins_again(flow, packet)) {
        flow_close(flows, flow);
        flow = NULL;
    }
    if (!flow && packet->is_outgoing)
        flow = open_flow(flows, packet, key, now_us);
    if (flow && packet->ip->is_fragment) {
        struct flow_fragment *fragment = fragment_of(flows, packet->ip, flow, now_us);
        fragment->index = flow->index;
        fragment->serial = flows->serials[flow->index];
        fragment->since_us = now_us;
    }
    return flow;
}

/* Known only after a packet, the name may have this packet rejected. */
static void look_at(struct ww_flows *flows, struct ww_flow *flow,
                    const struct ww_flow_packet *packet, uint64_t now_us)
{
    if (inspect_packet(flows, flow, packet, now_us) && flows->config.callbacks->named)
        flow->is_denied = flows->config.callbacks->named(flows->config.arg, flow) != 0;
}

enum ww_flow_pass ww_flows_packet(struct ww_flows *flows, const struct ww_flow_packet *packet,
                                  uint64_t now_us, struct ww_flow **out)
{
    unsigned packets;
    struct ww_flow *flow = NULL;

    if (ww_super_read(packet->bytes, packet->size, packet->offload, &packets))
        flow = flow_of(flows, packet, now_us);
    if (out)
        *out = flow;
    if (!flow) {
        flows->stats.dropped++;
        return WW_FLOW_DROP;
    }
    flows->last = flow;
    if (packets > 1 && flow->bucket && flow->bucket->bytes_s)
        return WW_FLOW_CUT;
    touch(flows, flow, next_state(flow, packet), now_us);
    if (flows->config.inspector && !flow->is_denied)
        look_at(flows, flow, packet, now_us);
    if (flow->is_denied) {
        flow->dropped++;
        flows->stats.rejected++;
        return ww_flow_bucket_take(&flows->rejects, FLOW_REJECT_COST, now_us) ? WW_FLOW_REJECT
                                                                              : WW_FLOW_DROP;
    }
    if (flow->bucket && !ww_flow_bucket_take(flow->bucket, packet->size, now_us)) {
        flow->dropped++;
        flows->stats.dropped++;
        return WW_FLOW_DROP;
    }
    flow->bytes[packet->is_outgoing] += packet->size;
    flow->packets[packet->is_outgoing] += packets;
    return WW_FLOW_PASS;
}

void ww_flows_take_back(struct ww_flow *flow, const struct ww_flow_packet *packet)
{
    unsigned packets;

    ww_super_read(packet->bytes, packet->size, packet->offload, &packets);
    flow->bytes[packet->is_outgoing] -= packet->size;
    flow->packets[packet->is_outgoing] -= packets;
    if (flow->bucket && flow->bucket->bytes_s)
        ww_flow_bucket_give(flow->bucket, packet->size);
}
