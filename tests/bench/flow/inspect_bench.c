/* What it costs to look at the first packet of each new flow, and how many a second the inspecting
 * process answers: greetings of TLS, first packets of QUIC, and no looking, each flow with one
 * packet, in turns of 16 as a device brings them. "at once" does not wait for the process: what it
 * has not caught up with is missed. "in step" does. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "packet_hello.h"
#include "ww/flow.h"
#include "ww/inspect.h"

#define FLOWS 20000U
#define TURN  16

static double cpu_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static void show(struct ww_flows *flows, unsigned i, bool is_tcp, const uint8_t *payload,
                 size_t size)
{
    static uint8_t bytes[3000];
    size_t head = is_tcp ? 20 : 8, total = 20 + head + size;
    struct ww_ip ip = {.is_v4 = true,
                       .protocol = is_tcp ? IPPROTO_TCP : IPPROTO_UDP,
                       .header_size = 20,
                       .source_port = (uint16_t)(i + 1),
                       .destination_port = 443,
                       .payload_size = (uint16_t)(total - 20),
                       .is_last = true};
    const struct ww_flow_packet packet = {&ip, bytes, total, true, WW_OFFLOAD_NONE};

    memset(bytes, 0, 40);
    memcpy(bytes, (uint8_t[]){0x45, 0, (uint8_t)(total >> 8), (uint8_t)total}, 4);
    bytes[9] = ip.protocol;
    bytes[12] = 10, bytes[16] = 93;
    bytes[20] = (uint8_t)(ip.source_port >> 8), bytes[21] = (uint8_t)ip.source_port;
    bytes[22] = 443 >> 8, bytes[23] = 443 & 0xff;
    if (is_tcp)
        bytes[27] = 1, bytes[32] = 5 << 4, bytes[33] = 0x18;
    else
        bytes[24] = (uint8_t)((8 + size) >> 8), bytes[25] = (uint8_t)(8 + size);
    memcpy(bytes + 20 + head, payload, size);
    ww_flows_packet(flows, &packet, 1000000 + i, NULL);
}

static void count(struct ww_flows *flows, unsigned *names, unsigned *applications)
{
    const struct ww_flow *flow = NULL;

    while ((flow = ww_flows_next(flows, flow))) {
        *names += flow->name != NULL;
        *applications += flow->application != NULL;
    }
}

static size_t waiting(const struct ww_inspector *inspector)
{
    struct ww_inspector_stats stats = {0};

    if (inspector)
        ww_inspector_stats(inspector, &stats);
    return stats.waiting;
}

static void run(struct ww_loop *loop, struct ww_inspector *inspector, bool is_tcp, bool is_in_step,
                const char *what)
{
    struct ww_flows_config config = {.flows_max = 60000, .inspector = inspector};
    uint8_t hello[2048];
    size_t size = is_tcp ? hello_tls("www.youtube.com", hello, sizeof(hello))
                         : (hello_quic(NULL, hello), (size_t)1200);
    unsigned names = 0, applications = 0;
    struct ww_flows *flows;

    if (ww_flows_create(&config, &flows))
        return;
    double begin_cpu = cpu_us();
    uint64_t begin_us = ww_clock_mono_us();
    for (unsigned i = 0; i < FLOWS; i += TURN) {
        for (unsigned k = 0; k < TURN; k++)
            show(flows, i + k, is_tcp, hello, size);
        ww_loop_turn(loop, 0);
        while (is_in_step && waiting(inspector) > 0)
            ww_loop_turn(loop, 1000);
    }
    while (waiting(inspector) > 0)
        ww_loop_turn(loop, 1000);
    double cpu = (cpu_us() - begin_cpu) / FLOWS;
    double wall = (double)(ww_clock_mono_us() - begin_us) / FLOWS;
    count(flows, &names, &applications);
    printf("%-14s %6u names %6u applications  %6.2f us of the node's processor, %8.0f flows/s\n",
           what, names, applications, cpu, 1e6 / wall);
    ww_flows_destroy(flows);
}

int main(int argc, char **argv)
{
    struct ww_loop *loop;
    struct ww_inspector *inspector;

    ww_inspect_main(argc, argv);
    if (ww_loop_create(&loop) || ww_inspector_create(loop, &inspector))
        return 1;
    for (struct ww_inspector_stats stats = {0}; !stats.is_ready;
         ww_inspector_stats(inspector, &stats))
        ww_loop_turn(loop, 1000);
    run(loop, inspector, true, true, "TLS in step");
    run(loop, inspector, true, false, "TLS at once");
    run(loop, inspector, false, true, "QUIC in step");
    run(loop, inspector, false, false, "QUIC at once");
    run(loop, NULL, true, false, "not looked at");
    ww_inspector_destroy(inspector);
    ww_loop_destroy(loop);
    return 0;
}
