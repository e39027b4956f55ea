/* What one packet of a known flow costs in the table of flows: packets of many flows in turn, each
 * from a cold part of the table, and runs of one flow as a batch brings them. Prints nanoseconds.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ww/flow.h"

#define PACKETS 20000000U

static double run(unsigned flows_count, unsigned run_length)
{
    static uint8_t bytes[1400] = {0x45};
    struct ww_flows_config config = {.flows_max = WW_FLOWS_MAX};
    struct ww_ip ip = {
        .is_v4 = true, .protocol = IPPROTO_TCP, .header_size = 20, .payload_size = 1380};
    struct ww_flow_packet packet = {&ip, bytes, sizeof(bytes), true, WW_OFFLOAD_NONE};
    struct ww_flows *flows = NULL;
    unsigned passed = 0;

    bytes[33] = 16;
    ip.destination_port = 443;
    if (ww_flows_create(&config, &flows))
        return 0;
    uint64_t begin_us = 0, now_us = 1000000;
    for (unsigned turn = 0; turn < 2; turn++) {
        begin_us = ww_clock_mono_us();
        for (unsigned i = 0; i < PACKETS; i++) {
            unsigned flow = i / run_length * 7919 % flows_count;
            ip.source_port = (uint16_t)flow;
            ip.destination[15] = (uint8_t)(flow >> 16);
            passed += ww_flows_packet(flows, &packet, now_us + i / 4, NULL) == WW_FLOW_PASS;
        }
    }
    double ns = (double)(ww_clock_mono_us() - begin_us) * 1000 / PACKETS;
    ww_flows_destroy(flows);
    return passed == 2 * PACKETS ? ns : 0;
}

int main(void)
{
    static const unsigned counts[] = {1, 100, 1000, 10000, 60000};

    printf("flows  ns a packet, each of another flow  … in runs of 16\n");
    for (size_t i = 0; i < WW_ARRAY_COUNT(counts); i++)
        printf("%5u  %8.1f  %8.1f\n", counts[i], run(counts[i], 1), run(counts[i], 16));
    return 0;
}
