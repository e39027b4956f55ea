/* usrsctp's process-wide part: start, tuning, timers, packets in and out. It has no threads of its
 * own but one that starts with it (its iterator) and has nothing to do here.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <usrsctp.h>

#include "crc32c.h"
#include "sctp_internal.h"

/* How often a finish is tried: closed sockets wait for timers of theirs. */
#define FINISH_TRIES 64

/* Of one packet, at 3 s each after the first: 50 minutes. */
#define RETRANSMISSIONS_MAX 1000

static struct {
    bool started;
    bool open;
    pthread_t thread;
    struct ww_sctp_stack_callbacks callbacks;
    void *arg;
} stack;

static int output(void *address, void *packet, size_t size, uint8_t tos, uint8_t set_df)
{
    (void)tos;
    (void)set_df;
    if (!stack.open || size < 12 || !pthread_equal(pthread_self(), stack.thread))
        return 0;
    ww_crc32c_seal(packet, size);
    stack.callbacks.output(stack.arg, (uint64_t)(uintptr_t)address, packet, size);
    return 0;
}

void ww_sctp_stack_ready(uint64_t id)
{
    if (stack.open)
        stack.callbacks.ready(stack.arg, id);
}

/* Measured over loopback, one channel, 16 KiB messages (docs/internals/net.md). */
static void tune(void)
{
    usrsctp_sysctl_set_sctp_sendspace(WW_SCTP_SEND_BYTES);
    usrsctp_sysctl_set_sctp_recvspace(WW_SCTP_RECEIVE_BYTES);
    /* 512 chunks on a queue are 600 KB: the send buffer is the bound. */
    usrsctp_sysctl_set_sctp_max_chunks_on_queue(16384);
    usrsctp_sysctl_set_sctp_max_burst_default(0);
    usrsctp_sysctl_set_sctp_fr_max_burst_default(0);
    usrsctp_sysctl_set_sctp_initial_cwnd(64);
    usrsctp_sysctl_set_sctp_sack_freq_default(WW_SCTP_SACK_EVERY);
    usrsctp_sysctl_set_sctp_delayed_sack_time_default(20);
    usrsctp_sysctl_set_sctp_rto_min_default(WW_SCTP_RTO_MIN_MS);
    usrsctp_sysctl_set_sctp_rto_max_default(WW_SCTP_RTO_YOUNG_MS);
    /* Consent checks and WW_PATH_GIVE_UP_MS say when a peer is gone, and connect_ms that it never
     * came: retransmissions never do, and a path is never taken for a failed one. */
    usrsctp_sysctl_set_sctp_init_rtx_max_default(RETRANSMISSIONS_MAX);
    usrsctp_sysctl_set_sctp_assoc_rtx_max_default(RETRANSMISSIONS_MAX);
    usrsctp_sysctl_set_sctp_path_rtx_max_default(RETRANSMISSIONS_MAX);
    usrsctp_sysctl_set_sctp_path_pf_threshold(RETRANSMISSIONS_MAX);
    /* Or it aborts when one chunk was sent 30 times: 84 s. */
    usrsctp_sysctl_set_sctp_max_retran_chunk(0);
    usrsctp_sysctl_set_sctp_rto_initial_default(WW_SCTP_RTO_FIRST_MS);
    usrsctp_sysctl_set_sctp_init_rto_max_default(WW_SCTP_RTO_YOUNG_MS);
    usrsctp_sysctl_set_sctp_heartbeat_interval_default(30000);
    usrsctp_sysctl_set_sctp_nr_outgoing_streams_default(WW_CHANNELS_MAX);
    usrsctp_sysctl_set_sctp_nr_incoming_streams_default(WW_CHANNELS_MAX);
    usrsctp_sysctl_set_sctp_ecn_enable(0);
    usrsctp_sysctl_set_sctp_auth_enable(0);
    usrsctp_sysctl_set_sctp_asconf_enable(0);
    usrsctp_sysctl_set_sctp_pktdrop_enable(0);
    usrsctp_sysctl_set_sctp_nrsack_enable(0);
    usrsctp_sysctl_set_sctp_blackhole(2);
    usrsctp_enable_crc32c_offload();
}

int ww_sctp_stack_open(const struct ww_sctp_stack_callbacks *callbacks, void *arg)
{
    if (stack.open)
        return WW_EEXIST;
    if (!stack.started) {
        usrsctp_init_nothreads(0, output, NULL);
        tune();
        stack.started = true;
    }
    stack.callbacks = *callbacks;
    stack.arg = arg;
    stack.thread = pthread_self();
    stack.open = true;
    return 0;
}

void ww_sctp_stack_close(const void *arg)
{
    if (!stack.open || stack.arg != arg)
        return;
    stack.open = false;
    for (int i = 0; i < FINISH_TRIES && stack.started; i++) {
        if (usrsctp_finish() == 0)
            stack.started = false;
        else
            usrsctp_handle_timers(1000);
    }
    if (stack.started)
        ww_log(WW_LOG_DEBUG, "net", "SCTP is still closing", "%s", "");
}

void ww_sctp_stack_tick(uint32_t elapsed_ms)
{
    usrsctp_handle_timers(elapsed_ms);
}

void ww_sctp_stack_input(uint64_t id, uint8_t *packet, size_t size)
{
    if (ww_crc32c_check(packet, size))
        usrsctp_conninput((void *)(uintptr_t)id, packet, size, 0);
}
