/* nDPI for the inspecting process: see inspect_ndpi.h. nDPI sees a copy of each packet with zeros
 * behind it, so that a read past the packet's end finds nothing. Of a flow it keeps what is in its
 * slot, until it is told to forget it, another flow has the slot, or it has seen WW_INSPECT_PACKETS
 * packets of it. */
#include "inspect_ndpi.h"

#include <string.h>

#include <ndpi_api.h>

#include "inspect_read.h"

#define COPY_ZEROS 512

struct slot {
    struct ndpi_flow_struct *ndpi; /* NULL: nothing is kept */
    uint32_t flow;
    unsigned packets;
};

struct inspect_ndpi {
    struct ndpi_detection_module_struct *ndpi;
    struct inspect_names names;
    struct slot slots[INSPECT_SLOTS];
    uint8_t copy[WW_INSPECT_PACKET_BYTES + COPY_ZEROS];
};

/* Names by nDPI's numbers: 0 is "Unknown". */
static int read_names(struct inspect_ndpi *ndpi)
{
    size_t count = ndpi_get_num_supported_protocols(ndpi->ndpi);

    if (count > WW_INSPECT_APPLICATIONS)
        return WW_EINTERNAL;
    for (size_t i = 0; i < count; i++) {
        const char *name = ndpi_get_proto_name(ndpi->ndpi, (uint16_t)i);
        size_t length = strnlen(name, INSPECT_NAME_MAX);
        memcpy(ndpi->names.text[i], name, length);
    }
    ndpi->names.count = count;
    return 0;
}

/* The head of a first packet of QUIC, and nothing behind it: keys are made of the connection's id,
 * and don't fit. nDPI's library for that (libgcrypt) is set up at the first. */
static void warm_up(struct inspect_ndpi *ndpi)
{
    static const uint8_t head[] = {0x45, 0,    0x04, 0xcc, 0,    0,    0,    0,    64,   17,   0,
                                   0,    192,  0,    2,    1,    192,  0,    2,    2, /* IPv4 */
                                   0x9c, 0x40, 0x01, 0xbb, 0x04, 0xb8, 0,    0,       /* UDP */
                                   0xc0, 0,    0,    0,    1,    8,    0x83, 0x94, 0xc8, 0xf0, 0x3e,
                                   0x51, 0x57, 8,    0,    0,    0x44, 0x9e};
    uint8_t bytes[INSPECT_HEAD_BYTES + 20 + 8 + 1200] = {0}, answer[INSPECT_ANSWER_BYTES];
    size_t size;

    memcpy(bytes + INSPECT_HEAD_BYTES, head, sizeof(head));
    inspect_ndpi_answer(ndpi, bytes, sizeof(bytes), answer, &size);
    inspect_ndpi_answer(ndpi, bytes, INSPECT_HEAD_BYTES, answer, &size);
}

int inspect_ndpi_create(struct inspect_ndpi **out)
{
    struct inspect_ndpi *ndpi = ww_alloc(1, sizeof(*ndpi));
    NDPI_PROTOCOL_BITMASK all;

    if (!ndpi)
        return WW_ENOMEM;
    ndpi->ndpi = ndpi_init_detection_module(ndpi_dont_load_tor_hosts);
    if (!ndpi->ndpi) {
        ww_free(ndpi);
        return WW_ENOMEM;
    }
    NDPI_BITMASK_SET_ALL(all);
    ndpi_set_protocol_detection_bitmask2(ndpi->ndpi, &all);
    ndpi_finalize_initialization(ndpi->ndpi);
    int rc = read_names(ndpi);
    if (rc) {
        inspect_ndpi_destroy(ndpi);
        return rc;
    }
    warm_up(ndpi);
    *out = ndpi;
    return 0;
}

static void forget(struct slot *slot)
{
    if (slot->ndpi)
        ndpi_free_flow(slot->ndpi);
    memset(slot, 0, sizeof(*slot));
}

void inspect_ndpi_destroy(struct inspect_ndpi *ndpi)
{
    if (!ndpi)
        return;
    for (size_t i = 0; i < INSPECT_SLOTS; i++)
        forget(&ndpi->slots[i]);
    ndpi_exit_detection_module(ndpi->ndpi);
    ww_free(ndpi);
}

const struct inspect_names *inspect_ndpi_names(const struct inspect_ndpi *ndpi)
{
    return &ndpi->names;
}

size_t inspect_ndpi_count(const struct inspect_ndpi *ndpi)
{
    size_t count = 0;

    for (size_t i = 0; i < INSPECT_SLOTS; i++)
        count += ndpi->slots[i].ndpi != NULL;
    return count;
}

static uint16_t number_of(const struct inspect_ndpi *ndpi, uint16_t number)
{
    return number < ndpi->names.count ? number : NDPI_PROTOCOL_UNKNOWN;
}

/* What nDPI says of the flow. A name that it may have cut is said to be: it is no name, and no
 * ground for an application. */
static void fill_answer(const struct inspect_ndpi *ndpi, const struct ndpi_flow_struct *flow,
                        ndpi_protocol protocol, struct inspect_answer *answer)
{
    size_t length = strnlen(flow->host_server_name, sizeof(flow->host_server_name));
    bool is_quic = protocol.master_protocol == NDPI_PROTOCOL_QUIC ||
                   protocol.app_protocol == NDPI_PROTOCOL_QUIC;
    char host[WW_NAME_BYTES_MAX + 1];

    answer->application = number_of(ndpi, protocol.app_protocol);
    answer->protocol = number_of(ndpi, protocol.master_protocol);
    if (answer->protocol == NDPI_PROTOCOL_UNKNOWN && is_quic)
        answer->protocol = NDPI_PROTOCOL_QUIC;
    answer->flags = is_quic ? INSPECT_ANSWER_QUIC : 0;
    if (length >= INSPECT_HOST_MAX)
        answer->flags |= INSPECT_ANSWER_CUT;
    else if (inspect_read_host((const uint8_t *)flow->host_server_name, length, host))
        memcpy(answer->host, host, strlen(host));
}

/* nDPI believes no packet that says to be longer than it is. */
static void say_length(uint8_t *packet, size_t size)
{
    bool is_v4 = packet[0] >> 4 == 4;
    uint8_t *length = packet + (is_v4 ? 2 : 4);
    size_t said = is_v4 ? size : size - 40;

    length[0] = (uint8_t)(said >> 8);
    length[1] = (uint8_t)said;
}

int inspect_ndpi_answer(struct inspect_ndpi *ndpi, const uint8_t *bytes, size_t bytes_size,
                        uint8_t answer_bytes[INSPECT_ANSWER_BYTES], size_t *size)
{
    struct inspect_answer answer = {0};
    struct inspect_head head;

    *size = 0;
    int rc = inspect_head_read(bytes, bytes_size, &head);
    if (rc)
        return rc;
    struct slot *slot = &ndpi->slots[head.slot];
    size_t packet_size = bytes_size - INSPECT_HEAD_BYTES;
    if (packet_size == 0 || slot->flow != head.flow)
        forget(slot);
    if (packet_size == 0)
        return 0;
    if (packet_size < 20 || (bytes[INSPECT_HEAD_BYTES] >> 4 == 6 && packet_size < 40))
        return WW_EMALFORMED;
    slot->flow = head.flow;
    if (!slot->ndpi && slot->packets == 0) {
        slot->ndpi = ndpi_flow_malloc(ndpi_detection_get_sizeof_ndpi_flow_struct());
        if (slot->ndpi)
            memset(slot->ndpi, 0, ndpi_detection_get_sizeof_ndpi_flow_struct());
    }
    answer.flow = head.flow;
    answer.slot = head.slot;
    if (slot->ndpi) {
        memcpy(ndpi->copy, bytes + INSPECT_HEAD_BYTES, packet_size);
        memset(ndpi->copy + packet_size, 0, COPY_ZEROS);
        if (packet_size == WW_INSPECT_PACKET_BYTES)
            say_length(ndpi->copy, packet_size);
        ndpi_protocol protocol = ndpi_detection_process_packet(
            ndpi->ndpi, slot->ndpi, ndpi->copy, (unsigned short)packet_size, head.now_ms);
        fill_answer(ndpi, slot->ndpi, protocol, &answer);
    }
    if (++slot->packets >= WW_INSPECT_PACKETS && slot->ndpi) {
        ndpi_free_flow(slot->ndpi);
        slot->ndpi = NULL;
    }
    *size = inspect_answer_write(&answer, answer_bytes);
    return 0;
}
