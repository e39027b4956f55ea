/* See transfer_sim.h. It checks as it goes: every delivered byte against the pattern of its stream,
 * and after each event that no budget is exceeded. */
#include "transfer_sim.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHUNK_BYTES 16384

static void pump_stream(struct sim_end *end, uint64_t id);

uint64_t sim_random(struct sim *sim, uint64_t low, uint64_t high)
{
    return low + ww_prng_next(&sim->prng) % (high - low + 1);
}

/* Random bytes that repeat, so that any run of a stream is one copy or comparison. */
#define PATTERN_BYTES 65536
static uint8_t pattern_bytes[PATTERN_BYTES + CHUNK_BYTES];

static const uint8_t *pattern(enum sim_side side, uint64_t id, uint64_t offset)
{
    if (!pattern_bytes[0]) {
        struct ww_prng prng;

        ww_prng_seed(&prng, 1);
        ww_prng_fill(&prng, pattern_bytes, PATTERN_BYTES);
        pattern_bytes[0] |= 1;
        memcpy(pattern_bytes + PATTERN_BYTES, pattern_bytes, CHUNK_BYTES);
    }
    return &pattern_bytes[(offset + (id * 2 + (uint64_t)side) * 9973) % PATTERN_BYTES];
}

struct ww_dest sim_dest(bool is_flow)
{
    struct ww_dest dest;

    memset(&dest, 0, sizeof(dest));
    dest.protocol = is_flow ? WW_DEST_UDP : WW_DEST_TCP;
    dest.kind = WW_DEST_IPV4;
    dest.port = 443;
    memcpy(dest.address, "\x5d\xb8\xd8\x22", 4);
    return dest;
}

void sim_add_action(struct sim *sim, uint64_t after_us, const struct sim_action *action)
{
    assert_true(sim->action_count < WW_ARRAY_COUNT(sim->actions));
    sim->actions[sim->action_count] = *action;
    sim->actions[sim->action_count++].at_us = sim->now_us + after_us;
}

static void add_action(struct sim *sim, uint64_t after_us, struct sim_action action)
{
    if (after_us != UINT64_MAX)
        sim_add_action(sim, after_us, &action);
}

/* --- lanes ------------------------------------------------------------------------------------ */

static void insert_message(struct sim_lane *lane, uint64_t at_us, const uint8_t *head,
                           size_t head_size, const uint8_t *payload, size_t payload_size)
{
    struct sim_message *message = malloc(sizeof(*message) + head_size + payload_size);
    struct sim_message **at = &lane->head;

    assert_non_null(message);
    message->at_us = at_us;
    message->size = head_size + payload_size;
    memcpy(message->bytes, head, head_size);
    if (payload_size)
        memcpy(message->bytes + head_size, payload, payload_size);
    while (*at && (*at)->at_us <= at_us)
        at = &(*at)->next;
    message->next = *at;
    *at = message;
    lane->queued_bytes += message->size;
}

static int send_reliable(struct sim_end *end, const uint8_t *head, size_t head_size,
                         const uint8_t *payload, size_t payload_size)
{
    struct sim *sim = end->sim;
    struct sim_lane *lane = &end->lanes[WW_LANE_RELIABLE];
    size_t size = head_size + payload_size;
    uint64_t at_us = WW_MAX(sim->now_us + sim->delay_us, lane->last_us);

    if (lane->queued_bytes + size > sim->lane_bytes) {
        end->is_blocked = true;
        return WW_EAGAIN;
    }
    if (sim->bytes_per_second)
        at_us += size * 1000000 / sim->bytes_per_second;
    lane->last_us = at_us;
    insert_message(lane, at_us, head, head_size, payload, payload_size);
    return 0;
}

static int on_send(void *arg, enum ww_lane lane, const uint8_t *head, size_t head_size,
                   const uint8_t *payload, size_t payload_size)
{
    struct sim_end *end = arg;
    struct sim *sim = end->sim;
    struct sim_lane *datagrams = &end->lanes[WW_LANE_DATAGRAM];
    int copies = 1;

    if (sim->send_code)
        return sim->send_code;
    if (lane == WW_LANE_RELIABLE)
        return send_reliable(end, head, head_size, payload, payload_size);
    assert_in_range(head_size, 1, WW_TRANSFER_HEAD_MAX);
    if (datagrams->queued_bytes > (1 << 20))
        return WW_EAGAIN;
    if (sim_random(sim, 1, 1000000) <= sim->loss_ppm)
        copies = 0;
    else if (sim_random(sim, 1, 1000000) <= sim->repeat_ppm)
        copies = 2;
    for (int i = 0; i < copies; i++) {
        uint64_t at_us = sim->now_us + sim->delay_us + sim_random(sim, 0, sim->jitter_us);
        insert_message(datagrams, at_us, head, head_size, payload, payload_size);
    }
    return 0;
}

void sim_deliver(struct sim_end *end, enum ww_lane kind)
{
    struct sim *sim = end->sim;
    struct sim_end *peer = &sim->ends[!end->side];
    struct sim_lane *lane = &end->lanes[kind];
    struct sim_message *message = lane->head;
    uint8_t *copy = malloc(message->size);

    /* A copy of the exact size shows a read beyond the end. */
    assert_non_null(copy);
    memcpy(copy, message->bytes, message->size);
    lane->head = message->next;
    lane->queued_bytes -= message->size;
    ww_transfer_receive(peer->transfer, kind, copy, message->size, sim->now_us);
    free(copy);
    free(message);
    if (end->is_blocked && lane->queued_bytes <= sim->lane_bytes / 2) {
        end->is_blocked = false;
        ww_transfer_writable(end->transfer, sim->now_us);
    }
}

void sim_inject(struct sim *sim, enum sim_side side, enum ww_lane lane,
                const struct ww_frame *frame)
{
    struct ww_buf buf;

    ww_buf_init(&buf, WW_FRAME_BYTES_MAX);
    assert_int_equal(ww_wire_frame_encode(frame, &buf), 0);
    ww_transfer_receive(sim->ends[!side].transfer, lane, buf.data, buf.size, sim->now_us);
    ww_buf_deinit(&buf);
}

/* --- applications ----------------------------------------------------------------------------- */

static struct sim_half *half_of(struct sim_end *end, uint64_t id)
{
    assert_true(id < SIM_STREAMS);
    return &end->streams[id];
}

static void pump_stream(struct sim_end *end, uint64_t id)
{
    struct sim_half *half = half_of(end, id);

    while (!half->was_reset && !half->is_flow && !half->fin_sent &&
           (half->sent < half->to_send || half->with_fin)) {
        size_t size = (size_t)WW_MIN(half->to_send - half->sent, (uint64_t)CHUNK_BYTES);
        bool fin = half->with_fin && half->sent + size == half->to_send;
        size_t written;
        int rc;

        rc = ww_transfer_stream_write(end->transfer, id, pattern(end->side, id, half->sent), size,
                                      fin, end->sim->now_us, &written);
        if (rc != 0)
            return;
        half->sent += written;
        half->fin_sent = fin && written == size;
        if (written < size)
            return;
    }
}

static void on_stream_opened(void *arg, uint64_t id, const struct ww_dest *dest)
{
    struct sim_end *end = arg;
    struct sim_half *half = half_of(end, id);

    assert_int_equal(end->side, SIM_PROVIDER);
    half->is_known = true;
    half->is_packets = dest->protocol == WW_DEST_IP;
    half->is_flow = half->is_packets || dest->protocol == WW_DEST_UDP;
    add_action(end->sim, end->sim->connect_us,
               (struct sim_action){.kind = SIM_CONNECT, .stream_id = id});
}

static void on_stream_accepted(void *arg, uint64_t id, const struct ww_dest *local)
{
    struct sim_end *end = arg;

    (void)local;
    half_of(end, id)->is_accepted = true;
    pump_stream(end, id);
}

static void check_bytes(const struct sim_end *end, uint64_t id, uint64_t offset,
                        const uint8_t *data, size_t size)
{
    if (size && !end->sim->is_unchecked)
        assert_memory_equal(data, pattern(!end->side, id, offset), size);
}

static void on_stream_data(void *arg, uint64_t id, const uint8_t *data, size_t size, bool fin)
{
    struct sim_end *end = arg;
    struct sim_half *half = half_of(end, id);

    assert_true(half->is_known);
    assert_false(half->fin_received);
    assert_false(half->was_reset);
    check_bytes(end, id, half->received, data, size);
    half->received += size;
    half->fin_received = fin;
    end->bytes_delivered += size ? size : 1;
    half->unread += size;
    if (!half->is_paused) {
        ww_transfer_stream_consumed(end->transfer, id, half->unread);
        half->unread = 0;
    }
}

static void on_stream_writable(void *arg, uint64_t id)
{
    struct sim_end *end = arg;

    half_of(end, id)->writable_calls++;
    pump_stream(end, id);
}

static void on_stream_reset(void *arg, uint64_t id, int code)
{
    struct sim_end *end = arg;
    struct sim_half *half = half_of(end, id);

    assert_true(half->is_known);
    assert_false(half->was_reset);
    /* An end that was taken, and still waits for room, is lost with the connection. */
    assert_false(half->fin_sent && half->fin_received && code != WW_ECLOSED);
    half->was_reset = true;
    half->reset_code = code;
}

static void on_datagram(void *arg, uint64_t id, const uint8_t *data, size_t size)
{
    struct sim_end *end = arg;
    struct sim_half *half = half_of(end, id);

    assert_true(half->is_flow && !half->is_packets);
    check_bytes(end, id, 0, data, size);
    half->datagrams_received++;
    end->bytes_delivered += size ? size : 1;
}

static struct ww_offload offload_of(size_t size)
{
    return (struct ww_offload){size > WW_PACKET_BYTES_MAX ? (uint16_t)(size % 1000 + 1) : 0,
                               size % 2 == 1};
}

static void on_packet(void *arg, uint64_t id, uint8_t *packet, size_t size,
                      struct ww_offload offload)
{
    struct sim_end *end = arg;
    struct sim_half *half = half_of(end, id);

    assert_true(half->is_packets);
    struct ww_offload right = offload_of(size);
    bool is_right =
        offload.is_partial == right.is_partial && offload.segment_size == right.segment_size;
    assert_true(is_right || end->sim->is_unchecked);
    check_bytes(end, id, 0, packet, size);
    half->datagrams_received++;
    end->bytes_delivered += size ? size : 1;
}

/* --- owners ----------------------------------------------------------------------------------- */

static void on_contract_open(void *arg, const uint8_t *token, size_t token_size,
                             const uint8_t epoch[WW_EPOCH_SIZE])
{
    struct sim_end *end = arg;
    struct sim_action action = {.kind = SIM_ACCEPT};
    size_t signed_size;

    assert_memory_equal(epoch, end->sim->epochs[SIM_CLIENT], WW_EPOCH_SIZE);
    assert_int_equal(ww_wire_token_decode(token, token_size, &action.terms, &signed_size), 0);
    end->open_count++;
    add_action(end->sim, end->sim->accept_us, action);
}

static void on_contract_opened(void *arg, const struct ww_id *id,
                               const uint8_t epoch[WW_EPOCH_SIZE],
                               const uint8_t signature[WW_SIGNATURE_BYTES])
{
    struct sim_end *end = arg;

    (void)id;
    assert_memory_equal(epoch, end->sim->epochs[SIM_PROVIDER], WW_EPOCH_SIZE);
    assert_int_equal(signature[0], 0x5a);
    end->opened_count++;
    if (end->sim->is_bad_signature)
        ww_transfer_abort(end->transfer, WW_EAUTH);
}

static void on_contract_refused(void *arg, const struct ww_id *id, int code, const char *reason)
{
    struct sim_end *end = arg;

    (void)id;
    assert_non_null(reason);
    end->refused_count++;
    end->refused_code = code;
}

static void on_contract_wanted(void *arg, uint64_t bytes_left)
{
    struct sim_end *end = arg;

    assert_true(bytes_left <= end->sim->contract_bytes / 4);
    end->wanted_count++;
    if (end->sim->is_renewing)
        add_action(end->sim, end->sim->offer_us, (struct sim_action){.kind = SIM_OFFER});
}

static void on_contract_ended(void *arg, const struct ww_id *id,
                              const struct ww_transfer_counts *counts, bool clean)
{
    struct sim_end *end = arg;

    assert_true(end->ended_count < SIM_CONTRACTS);
    for (size_t i = 0; i < end->ended_count; i++)
        assert_false(ww_id_equal(&end->ended[i].id, id));
    end->ended[end->ended_count++] = (struct sim_contract){*id, *counts, clean};
}

static void on_declaration(void *arg, const struct ww_declaration *declaration,
                           const uint8_t *bytes, size_t size)
{
    struct sim_end *end = arg;

    assert_int_equal(end->side, SIM_PROVIDER);
    assert_true(size > WW_SIGNATURE_BYTES && bytes);
    assert_true(declaration->batch > end->last_batch);
    end->last_batch = declaration->batch;
    end->declarations++;
    if (end->sim->owner)
        end->sim->owner->declared(end->sim->owner->arg, declaration, bytes, size);
}

static void on_failed(void *arg, int code, const char *why)
{
    struct sim_end *end = arg;

    assert_int_equal(end->failed_code, 0);
    end->failed_code = code;
    strncpy(end->failed_why, why, sizeof(end->failed_why) - 1);
}

static const struct ww_transfer_callbacks callbacks = {
    .send = on_send,
    .stream_opened = on_stream_opened,
    .stream_accepted = on_stream_accepted,
    .stream_data = on_stream_data,
    .stream_writable = on_stream_writable,
    .stream_reset = on_stream_reset,
    .datagram = on_datagram,
    .packet = on_packet,
    .contract_open = on_contract_open,
    .contract_opened = on_contract_opened,
    .contract_refused = on_contract_refused,
    .contract_wanted = on_contract_wanted,
    .contract_ended = on_contract_ended,
    .declaration = on_declaration,
    .receipt_due = sim_on_receipt_due,
    .receipt_came = sim_on_receipt_came,
    .failed = on_failed,
};

int sim_offer(struct sim *sim)
{
    struct ww_token terms;
    struct ww_buf buf;
    int rc;

    memset(&terms, 0, sizeof(terms));
    terms.bytes = sim->contract_bytes;
    terms.expires_s = terms.open_by_s = terms.issued_s = 1;
    terms.window_bytes = WW_CONTRACT_WINDOW_BYTES;
    sim->next_contract++;
    memcpy(terms.contract_id.bytes, &sim->next_contract, sizeof(sim->next_contract));
    ww_buf_init(&buf, WW_FRAME_BYTES_MAX);
    rc = ww_wire_token_encode(&terms, &buf);
    if (rc == 0 && buf.error)
        rc = buf.error;
    if (rc == 0)
        rc = ww_transfer_contract_offer(sim->ends[SIM_CLIENT].transfer, buf.data, buf.size, &terms,
                                        sim->now_us);
    ww_buf_deinit(&buf);
    return rc;
}

static void accept_contract(struct sim *sim, const struct ww_token *terms)
{
    struct ww_transfer *provider = sim->ends[SIM_PROVIDER].transfer;
    uint8_t signature[WW_SIGNATURE_BYTES] = {0x5a};

    int refuse_code = sim->refuse_code;

    if (!refuse_code && sim->owner)
        refuse_code = sim->owner->opening(sim->owner->arg, terms);
    if (refuse_code) {
        ww_transfer_contract_refuse(provider, &terms->contract_id, refuse_code, "No");
        return;
    }
    if (ww_transfer_contract_accept(provider, terms, signature, sim->now_us) == 0)
        add_action(sim, sim->confirm_us, (struct sim_action){.kind = SIM_CONFIRM, .terms = *terms});
}

static void connect_stream(struct sim *sim, uint64_t id)
{
    struct sim_end *end = &sim->ends[SIM_PROVIDER];
    struct ww_dest local = sim_dest(false);

    if (half_of(end, id)->was_reset)
        return;
    if (ww_transfer_stream_accept(end->transfer, id, &local) != 0)
        return;
    half_of(end, id)->is_accepted = true;
    if (!half_of(end, id)->is_flow && (sim->provider_bytes || sim->provider_fin))
        sim_send(sim, SIM_PROVIDER, id, sim->provider_bytes, sim->provider_fin);
}

void sim_act(struct sim *sim, const struct sim_action *action)
{
    switch (action->kind) {
    case SIM_ACCEPT:
        accept_contract(sim, &action->terms);
        break;
    case SIM_CONFIRM:
        ww_transfer_contract_confirmed(sim->ends[SIM_PROVIDER].transfer,
                                       &action->terms.contract_id);
        break;
    case SIM_OFFER:
        if (sim->is_renewing)
            (void)sim_offer(sim);
        break;
    case SIM_CONNECT:
        connect_stream(sim, action->stream_id);
        break;
    case SIM_SIGN:
    case SIM_VERIFY:
        sim_act_receipt(sim, action);
        break;
    }
}

/* --- life ------------------------------------------------------------------------------------- */

struct sim *sim_try_create(uint64_t seed)
{
    return sim_try_create_for(seed, NULL, NULL);
}

struct sim *sim_try_create_for(uint64_t seed, const uint8_t epochs[2][WW_EPOCH_SIZE],
                               const struct sim_owner *owner)
{
    struct sim *sim = calloc(1, sizeof(*sim));

    assert_non_null(sim);
    sim->owner = owner;
    if (epochs) {
        memcpy(sim->epochs, epochs, sizeof(sim->epochs));
    } else {
        memcpy(sim->epochs[SIM_CLIENT], "clientclientclie", WW_EPOCH_SIZE);
        memcpy(sim->epochs[SIM_PROVIDER], "providerprovider", WW_EPOCH_SIZE);
    }
    ww_prng_seed(&sim->prng, seed);
    sim->now_us = 1000000;
    sim->delay_us = 5000;
    sim->jitter_us = 1000;
    sim->lane_bytes = 262144;
    sim->contract_bytes = 64 << 20;
    sim->offer_us = 2000;
    sim->connect_us = 1000;
    sim->pool_us = 200;
    sim->is_renewing = true;
    for (int side = 0; side < 2; side++) {
        struct ww_transfer_config config = {.role = side == SIM_CLIENT ? WW_TRANSFER_CLIENT
                                                                       : WW_TRANSFER_PROVIDER};

        sim->ends[side].sim = sim;
        sim->ends[side].side = (enum sim_side)side;
        memcpy(config.epoch, sim->epochs[side], WW_EPOCH_SIZE);
        if (ww_transfer_create(&config, &callbacks, &sim->ends[side], &sim->ends[side].transfer) !=
            0) {
            sim_destroy(sim);
            return NULL;
        }
    }
    return sim;
}

struct sim *sim_create(uint64_t seed)
{
    struct sim *sim = sim_try_create(seed);

    assert_non_null(sim);
    return sim;
}

void sim_destroy(struct sim *sim)
{
    for (int side = 0; side < 2; side++) {
        for (int lane = 0; lane < 2; lane++) {
            struct sim_message *message;

            while ((message = sim->ends[side].lanes[lane].head)) {
                sim->ends[side].lanes[lane].head = message->next;
                free(message);
            }
        }
        ww_transfer_destroy(sim->ends[side].transfer);
    }
    free(sim);
}

int sim_open(struct sim *sim, bool is_flow, uint64_t bytes_up, bool fin, uint64_t *id)
{
    struct sim_end *end = &sim->ends[SIM_CLIENT];
    struct ww_dest dest = sim_dest(is_flow);
    bool is_packets = is_flow && sim->is_with_packets;
    int rc;

    if (is_packets)
        dest = (struct ww_dest){.protocol = WW_DEST_IP};
    rc = ww_transfer_stream_open(end->transfer, &dest, id);
    if (rc == WW_EEXIST) {
        is_packets = false;
        dest = sim_dest(true);
        rc = ww_transfer_stream_open(end->transfer, &dest, id);
    }
    if (rc != 0)
        return rc;
    half_of(end, *id)->is_known = true;
    half_of(end, *id)->is_packets = is_packets;
    half_of(end, *id)->is_flow = is_flow;
    if (!is_flow)
        sim_send(sim, SIM_CLIENT, *id, bytes_up, fin);
    return 0;
}

void sim_send(struct sim *sim, enum sim_side side, uint64_t id, uint64_t bytes, bool fin)
{
    struct sim_half *half = half_of(&sim->ends[side], id);

    half->to_send += bytes;
    half->with_fin = fin;
    pump_stream(&sim->ends[side], id);
}

int sim_datagram(struct sim *sim, enum sim_side side, uint64_t id, size_t size)
{
    struct sim_half *half = half_of(&sim->ends[side], id);
    struct ww_transfer *transfer = sim->ends[side].transfer;
    int rc;

    if (!half->is_packets)
        return ww_transfer_datagram_send(transfer, id, pattern(side, id, 0), size, sim->now_us);
    rc = ww_transfer_packet_send(transfer, id, pattern(side, id, 0), size, offload_of(size),
                                 sim->now_us);
    half->packets_later += rc == WW_EAGAIN;
    return rc;
}

void sim_resume(struct sim *sim, enum sim_side side, uint64_t id)
{
    struct sim_half *half = half_of(&sim->ends[side], id);

    half->is_paused = false;
    ww_transfer_stream_consumed(sim->ends[side].transfer, id, half->unread);
    half->unread = 0;
}
