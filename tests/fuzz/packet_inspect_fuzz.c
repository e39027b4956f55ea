/* First packets of flows from anybody, through the table and the readers of names, as in a node,
 * and through nDPI, as in the process beside it, whose answers must be such as the node takes. The
 * input is packets, each behind a byte (bit 0: it comes in) and two of its length. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "inspect_ndpi.h"
#include "inspect_read.h"
#include "inspect_room.h"
#include "ww/flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* A name that was read is read again as it is: the process beside the node says it as it was read,
 * and the node takes no other. */
static void check_name(const char *name)
{
    char again[WW_NAME_BYTES_MAX + 1];

    check(strlen(name) <= WW_NAME_BYTES_MAX);
    check(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(name));
    check(inspect_read_host((const uint8_t *)name, strlen(name), again) == (name[0] != '\0'));
    check(strcmp(name, again) == 0);
}

/* A whole that was read is read the same with more behind it, and not at all with less. */
static void check_readers(const uint8_t *bytes, size_t size)
{
    char name[WW_NAME_BYTES_MAX + 1], again[WW_NAME_BYTES_MAX + 1];

    size = WW_MIN(size, (size_t)WW_INSPECT_BYTES);
    if (inspect_read_tls(bytes, size, name) == 0) {
        check_name(name);
        check(inspect_read_tls(bytes, size / 2, again) != 0 || strcmp(name, again) == 0);
    }
    if (inspect_read_http(bytes, size, name) == 0)
        check_name(name);
    if (inspect_read_dns(bytes, size, true, name) == 0)
        check_name(name);
    if (inspect_read_dns(bytes, size, false, name) == 0)
        check_name(name);
}

static void swap_ends(struct ww_ip *ip)
{
    uint8_t address[16];
    uint16_t port = ip->source_port;

    memcpy(address, ip->source, 16);
    memcpy(ip->source, ip->destination, 16);
    memcpy(ip->destination, address, 16);
    ip->source_port = ip->destination_port;
    ip->destination_port = port;
}

/* An error about it is not read: it is of no flow of ours, as it answers what others have sent; or
 * its head is padded, as nobody's is. */
static bool has_no_error(const struct ww_ip *ip, const uint8_t *bytes)
{
    if (ip->is_v4 && ip->header_size > 20)
        return true;
    return ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP && ip->offset == 0 &&
           bytes[ip->header_size] == (ip->is_v4 ? 0 : 129);
}

/* A flow's number is its own, also when another had its place. */
static int opened(void *arg, struct ww_flow *flow)
{
    static uint32_t flows;

    (void)arg;
    flow->owner = (void *)(uintptr_t)++flows;
    return 0;
}

/* As the process does: of four flows, in one table's order. */
static void ask(const uint8_t *bytes, size_t size, const struct ww_flow *flow, uint64_t now_us)
{
    static struct inspect_ndpi *ndpi;
    uint8_t question[INSPECT_QUESTION_MAX], answer_bytes[INSPECT_ANSWER_BYTES];
    const struct inspect_head head = {(uint32_t)(uintptr_t)flow->owner, (uint16_t)flow->index,
                                      now_us / 1000};
    struct inspect_answer answer;
    size_t answer_size;

    if (!ndpi)
        check(inspect_ndpi_create(&ndpi) == 0);
    size = WW_MIN(size, (size_t)WW_INSPECT_PACKET_BYTES);
    inspect_head_write(&head, question);
    memcpy(question + INSPECT_HEAD_BYTES, bytes, size);
    check(inspect_ndpi_answer(ndpi, question, INSPECT_HEAD_BYTES + size, answer_bytes,
                              &answer_size) == 0);
    check(inspect_answer_read(answer_bytes, answer_size, inspect_ndpi_names(ndpi), &answer) == 0);
    check(answer.flow == head.flow && answer.slot == head.slot);
    check_name(answer.host);
}

static void one_packet(struct ww_flows *flows, const uint8_t *bytes, size_t size, bool is_incoming,
                       uint64_t now_us)
{
    uint8_t answer[WW_FLOW_REJECT_BYTES];
    struct ww_flow *flow = NULL;
    struct ww_ip ip, error, quoted;

    if (ww_ip_judge(NULL, bytes, size, &ip, NULL))
        return;
    check(ww_flow_abort(&ip, bytes, answer) <= sizeof(answer));
    size_t answer_size = ww_flow_reject(&ip, bytes, size, answer);
    check(answer_size <= sizeof(answer));
    if (answer_size > 0 && ip.protocol != IPPROTO_TCP && !has_no_error(&ip, bytes)) {
        /* It is read as what it is. */
        check(ww_ip_read_error(answer, answer_size, &error, &quoted) == 0);
        check(memcmp(quoted.destination, ip.destination, 16) == 0 || ip.is_fragment);
    }
    if (is_incoming)
        swap_ends(&ip);
    struct ww_flow_packet packet = {&ip, bytes, size, !is_incoming, WW_OFFLOAD_NONE};
    ww_flows_packet(flows, &packet, now_us, &flow);
    if (flow && flow->name)
        check_name(flow->name);
    if (flow && !ip.is_fragment && (ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP))
        ask(bytes, size, flow, now_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Its process is never there. */
    static const struct inspect_how how = {.program = "/nowhere", .answer_ms = 1, .again_ms = 1};
    static struct ww_inspector *inspector;
    static struct ww_loop *loop;
    static const struct ww_flow_callbacks callbacks = {.opened = opened};
    struct ww_flows_config config = {.flows_max = 4, .callbacks = &callbacks};
    struct ww_flows *flows = NULL;
    uint64_t now_us = 1000000;

    if (!inspector)
        check(ww_loop_create(&loop) == 0 && inspect_create(loop, &how, &inspector) == 0);
    config.inspector = inspector;
    check(ww_flows_create(&config, &flows) == 0);
    check_readers(data, size);
    while (size >= 3) {
        size_t length = WW_MIN((size_t)data[1] << 8 | data[2], size - 3);
        /* A block of its own, so that a read past its end is seen. */
        uint8_t *bytes = ww_alloc(1, WW_MAX(length, (size_t)1));
        check(bytes != NULL);
        memcpy(bytes, data + 3, length);
        check_readers(bytes, length);
        one_packet(flows, bytes, length, data[0] & 1, now_us += 1000);
        ww_free(bytes);
        data += 3 + length;
        size -= 3 + length;
    }
    ww_flows_destroy(flows);
    check(ww_inspector_count(inspector) == 0);
    return 0;
}
