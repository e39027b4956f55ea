/* See provider_exit.h. What comes while the client has no room waits in a bounded queue; beyond it
 * packets are dropped, as a router does. */
#include "provider_exit.h"

#include "packet_queue.h"

struct provider_exit {
    struct ww_tun *tun;
    const struct provider_exit_callbacks *callbacks;
    void *client;
    struct packet_queue queue;
    uint64_t in_dropped;
};

static void on_packet(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    struct provider_exit *out = arg;
    int rc = WW_EAGAIN;

    if (!out->client) {
        out->in_dropped++;
        return;
    }
    if (out->queue.count == 0)
        rc = out->callbacks->packet(out->client, packet, size, is_partial);
    if (rc == WW_EAGAIN && !packet_queue_put(&out->queue, packet, size, is_partial))
        out->in_dropped++;
}

static void on_batch_end(void *arg)
{
    struct provider_exit *out = arg;

    if (out->client)
        out->callbacks->batch_end(out->client);
}

static void on_failed(void *arg, int code)
{
    struct provider_exit *out = arg;

    ww_log(WW_LOG_ERROR, "provider", "the egress device is gone", "device=%s code=%s",
           ww_tun_name(out->tun), ww_error_name(code));
}

static const struct ww_tun_callbacks TUN_CALLBACKS = {
    .packet = on_packet, .batch_end = on_batch_end, .failed = on_failed};

int provider_exit_create(struct ww_loop *loop, const char *device,
                         const struct provider_exit_callbacks *callbacks,
                         struct provider_exit **created)
{
    struct ww_tun_options options = {.name = device, .fd = -1};
    struct provider_exit *out = ww_alloc(1, sizeof(*out));
    int rc;

    if (!out)
        return WW_ENOMEM;
    out->callbacks = callbacks;
    rc = ww_tun_create(loop, &options, &TUN_CALLBACKS, out, &out->tun);
    if (rc) {
        ww_free(out);
        return rc;
    }
    *created = out;
    return 0;
}

void provider_exit_destroy(struct provider_exit *out)
{
    if (!out)
        return;
    ww_tun_destroy(out->tun);
    packet_queue_deinit(&out->queue);
    ww_free(out);
}

int provider_exit_open(struct provider_exit *out, void *client)
{
    if (out->client)
        return WW_ELIMIT;
    out->client = client;
    return 0;
}

void provider_exit_close(struct provider_exit *out, const void *client)
{
    if (out->client != client)
        return;
    out->client = NULL;
    packet_queue_deinit(&out->queue);
}

void provider_exit_packet(struct provider_exit *out, const uint8_t *packet, size_t size,
                          bool is_partial)
{
    ww_tun_write(out->tun, packet, size, is_partial);
}

void provider_exit_ready(struct provider_exit *out)
{
    const struct packet_slot *slot;

    while (out->client && (slot = packet_queue_first(&out->queue))) {
        if (out->callbacks->packet(out->client, slot->bytes, slot->size, slot->is_partial) ==
            WW_EAGAIN)
            return;
        packet_queue_drop_first(&out->queue);
    }
}

void provider_exit_count(const struct provider_exit *out, struct provider_exit_counts *counts)
{
    struct ww_tun_stats tun;

    ww_tun_stats(out->tun, &tun);
    counts->out_dropped = tun.write_dropped + tun.write_refused;
    counts->in_dropped = out->in_dropped;
    counts->waiting = out->queue.count;
}

const char *provider_exit_name(const struct provider_exit *out)
{
    return ww_tun_name(out->tun);
}
