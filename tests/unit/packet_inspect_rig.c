/* See packet_inspect_rig.h. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "packet_inspect_rig.h"

#define SECOND 1000000ULL

static int on_named(void *arg, struct ww_flow *flow)
{
    (void)flow;
    ++*(unsigned *)arg;
    return 0;
}

static const struct ww_flow_callbacks CALLBACKS = {.named = on_named};

struct ww_flows *rig_make(struct ww_inspector *inspector, unsigned *named)
{
    struct ww_flows_config config = {
        .flows_max = 1000, .inspector = inspector, .callbacks = &CALLBACKS, .arg = named};
    struct ww_flows *flows = NULL;

    assert_int_equal(ww_flows_create(&config, &flows), 0);
    return flows;
}

uint8_t rig_flags = 0x18;

enum ww_flow_pass send_payload(struct ww_flows *flows, const struct at *at, const void *payload,
                               size_t size, struct ww_flow **flow)
{
    static uint8_t bytes[9000];
    bool is_tcp = at->protocol == IPPROTO_TCP;
    size_t head = is_tcp ? 20 : 8, total = 20 + head + size;
    uint16_t source = at->is_incoming ? at->there : at->here;
    uint16_t destination = at->is_incoming ? at->here : at->there;
    const uint8_t inner[4] = {192, 0, 0, 2}, outer[4] = {93, 184, 216, 34};
    const uint8_t *from = at->is_incoming ? outer : inner, *to = at->is_incoming ? inner : outer;
    uint8_t *transport = bytes + 20;
    struct ww_ip ip;

    memset(bytes, 0, 40);
    memcpy(bytes, (uint8_t[]){0x45, 0, (uint8_t)(total >> 8), (uint8_t)total}, 4);
    bytes[8] = 64;
    bytes[9] = at->protocol;
    memcpy(bytes + 12, from, 4);
    memcpy(bytes + 16, to, 4);
    memcpy(transport,
           (uint8_t[]){(uint8_t)(source >> 8), (uint8_t)source, (uint8_t)(destination >> 8),
                       (uint8_t)destination},
           4);
    if (is_tcp) {
        for (int i = 0; i < 4; i++)
            transport[(rig_flags == 0x12 ? 8 : 4) + i] = (uint8_t)(at->sequence >> (24 - 8 * i));
        transport[12] = 5 << 4;
        transport[13] = rig_flags;
    } else {
        transport[4] = (uint8_t)((8 + size) >> 8);
        transport[5] = (uint8_t)(8 + size);
    }
    memcpy(transport + head, payload, size);
    if (at->is_incoming) { /* its destination is a private address: read it as if it went out */
        memset(&ip, 0, sizeof(ip));
        ip = (struct ww_ip){.is_v4 = true,
                            .protocol = at->protocol,
                            .source_port = source,
                            .destination_port = destination,
                            .header_size = 20,
                            .payload_size = (uint16_t)(total - 20),
                            .is_last = true};
        ww_address_map(from, ip.source);
        ww_address_map(to, ip.destination);
    } else {
        assert_int_equal(ww_ip_judge(NULL, bytes, total, &ip, NULL), 0);
    }
    struct ww_flow_packet packet = {&ip, bytes, total, !at->is_incoming, WW_OFFLOAD_NONE};
    return ww_flows_packet(flows, &packet, SECOND, flow);
}

struct ww_inspector_stats rig_stats(const struct ww_inspector *inspector)
{
    struct ww_inspector_stats stats;

    ww_inspector_stats(inspector, &stats);
    return stats;
}

void rig_ready(struct ww_loop *loop, struct ww_inspector *inspector)
{
    TURN_UNTIL(loop, rig_stats(inspector).is_ready);
}

void rig_settle(struct ww_loop *loop, struct ww_inspector *inspector)
{
    TURN_UNTIL(loop, rig_stats(inspector).is_ready && rig_stats(inspector).waiting == 0);
}

void rig_status(int pid, const char *key, char *value, size_t size)
{
    char path[64], line[256];
    size_t length = strlen(key);

    *value = '\0';
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            snprintf(value, size, "%.*s", (int)strcspn(line + length + 2, "\n"), line + length + 2);
    }
    fclose(file);
}

void rig_stand_still(const struct ww_inspector *inspector)
{
    int pid = rig_stats(inspector).pid;
    char value[128] = "";

    kill(pid, SIGSTOP);
    while (*value != 'T') {
        rig_status(pid, "State", value, sizeof(value));
        usleep(1000);
    }
}
