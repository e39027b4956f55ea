/* See net_pair.h. */
#include "net_pair.h"

#include <stdlib.h>
#include <string.h>

uint32_t pair_sum(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t sum = 2166136261U;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * 16777619U;
    return sum;
}

/* --- channels --------------------------------------------------------------------------------- */

static void on_open(void *arg)
{
    struct pair_end *end = arg;
    end->opened++;
}

static void on_message(void *arg, enum ww_channel_kind kind, void *data, size_t size)
{
    struct pair_end *end = arg;
    end->last = (struct pair_message){kind, size, pair_sum(data, size)};
    if (end->message_count < WW_ARRAY_COUNT(end->log))
        end->log[end->message_count] = end->last;
    end->message_count++;
    end->byte_count += size;
    if (end->destroy_on_message && end->peer) {
        ww_peer_destroy(end->peer);
        end->peer = NULL;
        return;
    }
    if (end->echo && end->accepted)
        assert_int_equal(ww_channel_send(end->accepted, kind, data, size), 0);
}

static void on_writable(void *arg)
{
    struct pair_end *end = arg;
    end->writable++;
}

static void on_channel_closed(void *arg, int code)
{
    struct pair_end *end = arg;
    end->channel_closed++;
    end->channel_code = code;
    end->accepted = NULL;
}

const struct ww_channel_callbacks PAIR_CHANNEL = {
    .open = on_open,
    .message = on_message,
    .writable = on_writable,
    .closed = on_channel_closed,
};

/* --- peers ---------------------------------------------------------------------------------------
 */

static void on_signal(void *arg, const char *text)
{
    struct pair_end *end = arg;
    struct pair *pair = end->pair;
    assert_true(strlen(text) <= 4096);
    if (end->destroy_on_signal) {
        ww_peer_destroy(end->peer);
        end->peer = NULL;
        return;
    }
    if (pair->only_prefix && strstr(text, "a=candidate") && !strstr(text, pair->only_prefix))
        return;
    assert_true(pair->signal_count < PAIR_SIGNALS_MAX);
    char *kept = pair->alter ? pair->alter(pair, !end->index, text) : ww_strdup(text);
    if (!kept)
        return; /* while a test lets allocations fail: it is lost, as a socket's might be */
    pair->signals[pair->signal_count].to = !end->index;
    pair->signals[pair->signal_count++].text = kept;
}

static void on_connected(void *arg)
{
    struct pair_end *end = arg;
    end->connected = true;
    if (end->destroy_when_connected) {
        ww_peer_destroy(end->peer);
        end->peer = NULL;
    }
}

static void on_channel(void *arg, struct ww_channel *channel)
{
    struct pair_end *end = arg;
    end->accepted_count++;
    if (end->refuse)
        return;
    end->accepted = channel;
    ww_channel_accept(channel, &PAIR_CHANNEL, end);
}

static void on_closed(void *arg, int code)
{
    struct pair_end *end = arg;
    assert_false(end->closed);
    end->closed = true;
    end->code = code;
    if (end->destroy_when_closed) {
        ww_peer_destroy(end->peer);
        end->peer = NULL;
    }
}

/* pair_send's messages: the number first, then bytes that follow from it. */
static void on_fast_message(void *arg, uint8_t *data, size_t size)
{
    struct pair_end *end = arg;
    uint32_t number;
    end->fast_broken |= size < sizeof number;
    if (end->fast_broken)
        return;
    memcpy(&number, data, sizeof number);
    end->fast_broken |= number != end->fast_messages++;
    for (size_t i = sizeof number; i < size; i += 101)
        end->fast_broken |= data[i] != (uint8_t)(number + i);
    end->fast_bytes += size;
    if (end->destroy_on_message) {
        ww_peer_destroy(end->peer);
        end->peer = NULL;
    }
}

static void on_fast_datagram(void *arg, uint8_t *data, size_t size, enum ww_ecn mark)
{
    struct pair_end *end = arg;
    end->fast_marks[mark]++;
    end->fast_datagrams++;
    for (size_t i = 0; i < size; i += 101)
        end->fast_broken |= data[i] != (uint8_t)(size + i);
}

static void on_fast_writable(void *arg)
{
    struct pair_end *end = arg;
    end->fast_writable++;
}

int pair_send(struct pair *pair, int index, uint32_t number, size_t size)
{
    static uint8_t bytes[WW_FAST_MESSAGE_BYTES_MAX];
    for (size_t i = sizeof number; i < size; i++)
        bytes[i] = (uint8_t)(number + i);
    memcpy(bytes, &number, sizeof number);
    return ww_peer_send(pair->ends[index].peer, bytes, 4, bytes + 4, size - 4);
}

int pair_send_datagram(struct pair *pair, int index, size_t size, enum ww_ecn mark)
{
    static uint8_t bytes[WW_FAST_DATAGRAM_BYTES_MAX];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(size + i);
    return ww_peer_send_datagram(pair->ends[index].peer, bytes, 1, bytes + 1, size - 1, mark, 0);
}

void pair_make_peer(struct pair *pair, int index, const struct ww_hash *remote)
{
    static const struct ww_peer_callbacks CALLBACKS = {
        .signal = on_signal,
        .connected = on_connected,
        .channel = on_channel,
        .message = on_fast_message,
        .datagram = on_fast_datagram,
        .writable = on_fast_writable,
        .closed = on_closed,
    };
    struct ww_peer_config config = {.role = index == A ? WW_PEER_CLIENT : WW_PEER_SERVER,
                                    .connect_ms = pair->connect_ms,
                                    .path_ms = pair->path_ms};
    struct pair_end *end = &pair->ends[index];
    if (remote)
        config.remote = *remote;
    else
        ww_key_node_id(pair->key, &config.remote);
    memset(end, 0, sizeof *end);
    end->pair = pair;
    end->index = index;
    assert_int_equal(ww_peer_create(pair->net, &config, &CALLBACKS, end, &end->peer), 0);
}

void pair_make(struct pair *pair)
{
    pair_make_peer(pair, A, NULL);
    pair_make_peer(pair, B, NULL);
}

void pair_connect(struct pair *pair)
{
    pair_make(pair);
    assert_true(pair_wait(pair, &pair->ends[A].connected, 20000));
    assert_true(pair_wait(pair, &pair->ends[B].connected, 20000));
}

/* --- the room
 * --------------------------------------------------------------------------------------- */

void pair_start(struct pair *pair, bool allow_bypass, bool allow_jumbo)
{
    struct ww_net_config config = {.loopback_only = true,
                                   .allow_bypass = allow_bypass,
                                   .allow_jumbo = allow_jumbo,
                                   .allow_fast = true};
    const char *workers = getenv("PAIR_WORKERS");
    memset(pair, 0, sizeof *pair);
    assert_int_equal(ww_loop_create(&pair->loop), 0);
    assert_int_equal(ww_workers_create(pair->loop,
                                       workers ? (unsigned)strtoul(workers, NULL, 10) : 0,
                                       &pair->workers),
                     0);
    config.workers = pair->workers;
    assert_int_equal(ww_key_generate(&pair->key), 0);
    config.key = pair->key;
    assert_int_equal(ww_net_create(pair->loop, &config, &pair->net), 0);
}

void pair_stop(struct pair *pair)
{
    ww_peer_destroy(pair->ends[A].peer);
    ww_peer_destroy(pair->ends[B].peer);
    ww_net_destroy(pair->net);
    ww_workers_destroy(pair->workers);
    ww_loop_destroy(pair->loop);
    ww_key_destroy(pair->key);
    for (unsigned i = 0; i < pair->signal_count; i++)
        ww_free(pair->signals[i].text);
}

void pair_carry(struct pair *pair)
{
    for (unsigned i = 0; i < pair->signal_count; i++) {
        struct ww_peer *peer = pair->ends[pair->signals[i].to].peer;
        if (peer && !pair->ends[pair->signals[i].to].closed) {
            int code = ww_peer_signal(peer, pair->signals[i].text);
            assert_true(code == 0 || code == WW_ECLOSED ||
                        pair->ends[pair->signals[i].to].expects_signal_errors);
        }
        ww_free(pair->signals[i].text);
    }
    pair->signal_count = 0;
}

static void turn(struct pair *pair)
{
    ww_loop_turn(pair->loop, 5000);
    if (!pair->hold)
        pair_carry(pair);
}

bool pair_wait(struct pair *pair, const bool *flag, unsigned ms)
{
    uint64_t until = ww_clock_mono_us() + (uint64_t)ms * 1000;
    while (!*flag && ww_clock_mono_us() < until)
        turn(pair);
    return *flag;
}

bool pair_wait_count(struct pair *pair, const unsigned *count, unsigned least, unsigned ms)
{
    uint64_t until = ww_clock_mono_us() + (uint64_t)ms * 1000;
    while (*count < least && ww_clock_mono_us() < until)
        turn(pair);
    return *count >= least;
}

void pair_turn_for(struct pair *pair, unsigned ms)
{
    uint64_t until = ww_clock_mono_us() + (uint64_t)ms * 1000;
    while (ww_clock_mono_us() < until)
        turn(pair);
}

struct ww_channel *pair_open(struct pair *pair, int index, const struct ww_channel_config *config)
{
    struct ww_channel *channel;
    struct pair_end *end = &pair->ends[index], *other = &pair->ends[!index];
    unsigned accepted = other->accepted_count, opened = end->opened;
    assert_int_equal(ww_channel_open(end->peer, config, &PAIR_CHANNEL, end, &channel), 0);
    assert_true(pair_wait_count(pair, &other->accepted_count, accepted + 1, 5000));
    assert_true(pair_wait_count(pair, &end->opened, opened + 1, 5000));
    return channel;
}
