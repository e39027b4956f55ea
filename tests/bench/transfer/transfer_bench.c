/* What transfer costs for each packet of the tunnel, sending and receiving, without lane and
 * kernel: two ends in one process, batches of 32 as a device and a socket give them, signatures for
 * nothing.
 *
 * bench_transfer [PACKETS [BYTES]]: a million of 1,400 bytes each way, unless said otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ww/transfer.h"

#define BATCH       32
#define MESSAGE_MAX (WW_DECLARATION_BYTES_MAX + WW_PACKET_BYTES_MAX)
#define QUEUE_MAX   256

struct end {
    struct ww_transfer *transfer;
    struct end *peer;
    struct {
        enum ww_lane lane;
        size_t size;
        uint8_t bytes[MESSAGE_MAX];
    } queue[QUEUE_MAX]; /* to this end */
    size_t queued;
    uint64_t packets, ns;
};

static struct end client, provider;
static uint64_t now_us = 1, flow;
static uint8_t payload[WW_PACKET_BYTES_MAX];

static uint64_t cpu_ns(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static int on_send(void *arg, enum ww_lane lane, const uint8_t *head, size_t head_size,
                   const uint8_t *data, size_t size)
{
    struct end *to = ((struct end *)arg)->peer;

    require(to->queued < QUEUE_MAX && head_size + size <= MESSAGE_MAX, "the queue is too short");
    memcpy(to->queue[to->queued].bytes, head, head_size);
    if (size)
        memcpy(to->queue[to->queued].bytes + head_size, data, size);
    to->queue[to->queued].lane = lane;
    to->queue[to->queued++].size = head_size + size;
    return 0;
}

static void on_opened(void *arg, uint64_t id, const struct ww_dest *dest)
{
    ww_transfer_stream_accept(((struct end *)arg)->transfer, id, dest);
}

static void on_accepted(void *arg, uint64_t id, const struct ww_dest *dest)
{
    (void)arg;
    (void)id;
    (void)dest;
}

static void on_writable(void *arg, uint64_t id)
{
    (void)arg;
    (void)id;
}

static void on_packet(void *arg, uint64_t id, uint8_t *packet, size_t size,
                      struct ww_offload offload)
{
    (void)id;
    (void)packet;
    (void)size;
    (void)offload;
    ((struct end *)arg)->packets++;
}

static void on_open(void *arg, const uint8_t *token, size_t size, const uint8_t *epoch)
{
    static const uint8_t signature[WW_SIGNATURE_BYTES];
    struct end *end = arg;
    struct ww_token terms;

    (void)epoch;
    require(ww_wire_token_decode(token, size, &terms, NULL) == 0, "the token");
    ww_transfer_contract_accept(end->transfer, &terms, signature, now_us);
    ww_transfer_contract_confirmed(end->transfer, &terms.contract_id);
}

static void on_contract(void *arg, const struct ww_id *id, const uint8_t *epoch,
                        const uint8_t *signature)
{
    (void)arg;
    (void)id;
    (void)epoch;
    (void)signature;
}

static void on_wanted(void *arg, uint64_t left)
{
    (void)arg;
    (void)left;
}

static void on_receipt_due(void *arg, const struct ww_receipt *receipt)
{
    struct end *end = arg;
    struct ww_buf out;

    ww_buf_init(&out, WW_RECEIPT_BYTES_MAX);
    ww_wire_receipt_encode(receipt, &out);
    ww_transfer_receipt_signed(end->transfer, &receipt->contract_id, out.data, out.size, now_us);
    ww_buf_deinit(&out);
}

static void on_receipt(void *arg, const struct ww_id *id, const uint8_t *bytes, size_t size)
{
    ww_transfer_receipt_verified(((struct end *)arg)->transfer, id, bytes, size, 0, now_us);
}

static void on_failed(void *arg, int code, const char *why)
{
    (void)arg;
    (void)code;
    require(false, why);
}

static const struct ww_transfer_callbacks CALLBACKS = {
    .send = on_send,
    .stream_opened = on_opened,
    .stream_accepted = on_accepted,
    .stream_writable = on_writable,
    .packet = on_packet,
    .contract_open = on_open,
    .contract_opened = on_contract,
    .contract_wanted = on_wanted,
    .receipt_due = on_receipt_due,
    .receipt_came = on_receipt,
    .failed = on_failed,
};

static void create(struct end *end, struct end *peer, enum ww_transfer_role role)
{
    struct ww_transfer_config config = {.role = role};

    end->peer = peer;
    config.epoch[0] = (uint8_t)role + 1;
    require(ww_transfer_create(&config, &CALLBACKS, end, &end->transfer) == 0, "create");
}

/* Delivers what has come to one end; its time is counted. */
static void deliver(struct end *end)
{
    uint64_t begin = cpu_ns();

    for (size_t i = 0; i < end->queued; i++)
        ww_transfer_receive(end->transfer, end->queue[i].lane, end->queue[i].bytes,
                            end->queue[i].size, now_us);
    end->queued = 0;
    ww_transfer_tick(end->transfer, now_us);
    end->ns += cpu_ns() - begin;
}

static void settle(void)
{
    for (int i = 0; i < 20; i++) {
        now_us += 1000;
        deliver(&client);
        deliver(&provider);
    }
}

static void offer(void)
{
    struct ww_token terms = {.bytes = WW_CONTRACT_BYTES_MAX, .window_bytes = 64 << 20};
    struct ww_buf out;

    terms.issued_s = terms.open_by_s = terms.expires_s = 1;
    ww_buf_init(&out, WW_TOKEN_BYTES_MAX);
    require(ww_wire_token_encode(&terms, &out) == 0, "token");
    require(ww_transfer_contract_offer(client.transfer, out.data, out.size, &terms, now_us) == 0,
            "offer");
    ww_buf_deinit(&out);
}

static void run(struct end *from, uint64_t count, size_t size)
{
    struct end *to = from->peer;
    uint64_t ns = 0, sent = 0, refused = 0;

    client.ns = provider.ns = to->packets = 0;
    while (sent < count) {
        uint64_t begin = cpu_ns();

        for (int i = 0; i < BATCH; i++) {
            if (ww_transfer_packet_send(from->transfer, flow, payload, size, WW_OFFLOAD_PARTIAL,
                                        now_us) == 0)
                sent++;
            else
                refused++;
        }
        ww_transfer_tick(from->transfer, now_us);
        ns += cpu_ns() - begin;
        now_us += BATCH * 5;
        deliver(to);
        deliver(from);
    }
    settle();
    require(to->packets == sent, "packets are missing");
    printf(
        "%s: send %.0f ns, receive %.0f ns, acknowledgements at the sender %.0f ns; %llu put off\n",
        from == &client ? "up" : "down", (double)ns / (double)sent, (double)to->ns / (double)sent,
        (double)from->ns / (double)sent, (unsigned long long)refused);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) : 1400;
    static const struct ww_dest packets = {.protocol = WW_DEST_IP};

    create(&client, &provider, WW_TRANSFER_CLIENT);
    create(&provider, &client, WW_TRANSFER_PROVIDER);
    offer();
    settle();
    require(ww_transfer_stream_open(client.transfer, &packets, &flow) == 0, "open");
    settle();
    run(&client, count, size);
    run(&provider, count, size);
    ww_transfer_destroy(client.transfer);
    ww_transfer_destroy(provider.transfer);
    return 0;
}
