/* Looks at the first packets of flows: see ww/inspect.h. Relies on nDPI for QUIC and for which
 * application it is, and on inspect_read.c for names. nDPI sees a copy with zeros behind it, so
 * that a read past a packet's end finds nothing, and it is never told what it may do with the
 * result. */
#include "ww/inspect.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/queue.h>

#include <ndpi_api.h>

#include "inspect_read.h"
#include "inspect_room.h"

#define COPY_BYTES                                                                                 \
    2048 /* a packet is at most the device's MTU; more of a super-packet tells nothing */
#define COPY_ZEROS 512
#define TCP_SYN    2
#define CUT_BYTES  79 /* nDPI's names end here */

/* Marks flow->inspection once a flow has been looked at. */
static char over;

struct inspection {
    TAILQ_ENTRY(inspection) link;     /* all of them */
    TAILQ_ENTRY(inspection) of_table; /* those of its table */
    struct ww_flows *flows;
    struct ww_flow *flow;
    struct ndpi_flow_struct *ndpi; /* NULL: it knows enough */
    unsigned packets;
    size_t whole;   /* TCP: so many bytes from the first on have come */
    bool is_named;  /* the reader has had its say */
    bool has_first; /* TCP: `first` is known */
    uint32_t first; /* sequence number of the first byte of payload */
    /* TCP: what went out, as far as it has come: first write wins. */
    uint8_t bytes[WW_INSPECT_BYTES];
    uint8_t have[WW_INSPECT_BYTES / 8];
};

struct ww_inspector {
    struct ndpi_detection_module_struct *ndpi;
    struct inspections open;
    size_t count;
    uint8_t copy[COPY_BYTES + COPY_ZEROS];
};

int ww_inspector_create(struct ww_inspector **out)
{
    struct ww_inspector *inspector = ww_alloc(1, sizeof(*inspector));
    NDPI_PROTOCOL_BITMASK all;

    if (!inspector)
        return WW_ENOMEM;
    TAILQ_INIT(&inspector->open);
    inspector->ndpi = ndpi_init_detection_module(ndpi_dont_load_tor_hosts);
    if (!inspector->ndpi) {
        ww_free(inspector);
        return WW_ENOMEM;
    }
    NDPI_BITMASK_SET_ALL(all);
    ndpi_set_protocol_detection_bitmask2(inspector->ndpi, &all);
    ndpi_finalize_initialization(inspector->ndpi);
    *out = inspector;
    return 0;
}

static void forget(struct ww_inspector *inspector, struct inspection *inspection)
{
    TAILQ_REMOVE(&inspector->open, inspection, link);
    TAILQ_REMOVE(&inspection->flows->inspections, inspection, of_table);
    inspector->count--;
    inspection->flows->inspections_count--;
    inspection->flow->inspection = &over;
    if (inspection->ndpi)
        ndpi_free_flow(inspection->ndpi);
    ww_free(inspection);
}

void ww_inspector_destroy(struct ww_inspector *inspector)
{
    if (!inspector)
        return;
    while (!TAILQ_EMPTY(&inspector->open))
        forget(inspector, TAILQ_FIRST(&inspector->open));
    ndpi_exit_detection_module(inspector->ndpi);
    ww_free(inspector);
}

size_t ww_inspector_count(const struct ww_inspector *inspector)
{
    return inspector->count;
}

/* In the place of the oldest if there are too many: of the same table, so that one client can't
 * have all others' forgotten. */
static struct inspection *begin(struct ww_inspector *inspector, struct ww_flows *flows,
                                struct ww_flow *flow)
{
    if (flows->inspections_count >= WW_INSPECTIONS_TABLE)
        forget(inspector, TAILQ_FIRST(&flows->inspections));
    else if (inspector->count >= WW_INSPECTIONS_MAX)
        forget(inspector, TAILQ_FIRST(&inspector->open));
    struct inspection *inspection = ww_alloc(1, sizeof(*inspection));
    if (!inspection)
        return NULL;
    inspection->ndpi = ndpi_flow_malloc(ndpi_detection_get_sizeof_ndpi_flow_struct());
    if (inspection->ndpi)
        memset(inspection->ndpi, 0, ndpi_detection_get_sizeof_ndpi_flow_struct());
    inspection->flow = flow;
    inspection->is_named = flow->name != NULL;
    inspection->flows = flows;
    TAILQ_INSERT_TAIL(&inspector->open, inspection, link);
    TAILQ_INSERT_TAIL(&flows->inspections, inspection, of_table);
    inspector->count++;
    flows->inspections_count++;
    flow->inspection = inspection;
    return inspection;
}

/* --- names ------------------------------------------------------------------------------------ */

static bool set_name(struct inspection *inspection, const char *name, enum ww_flow_name_from from)
{
    inspection->is_named = true;
    if (inspection->flow->name || !*name || !(inspection->flow->name = ww_strdup(name)))
        return false;
    inspection->flow->name_from = (uint8_t)from;
    return true;
}

/* Puts a segment where it belongs; returns how many bytes there are from the first on. */
static size_t put_segment(struct inspection *inspection, uint32_t sequence, const uint8_t *bytes,
                          size_t size)
{
    size_t at = sequence - inspection->first, whole = 0;

    for (size_t i = 0; i < size && at + i < WW_INSPECT_BYTES; i++) {
        uint8_t bit = (uint8_t)(1U << (at + i) % 8);
        if (inspection->have[(at + i) / 8] & bit)
            continue;
        inspection->have[(at + i) / 8] |= bit;
        inspection->bytes[at + i] = bytes[i];
    }
    while (whole < WW_INSPECT_BYTES && inspection->have[whole / 8] & 1U << whole % 8)
        whole++;
    return whole;
}

/* Each reader in turn, until all of them say that it is something else. */
static bool read_tcp(struct inspection *inspection, const struct ww_flow_packet *packet,
                     const uint8_t *payload, size_t size)
{
    const uint8_t *tcp = packet->bytes + packet->ip->header_size;
    uint32_t sequence =
        (uint32_t)tcp[4] << 24 | (uint32_t)tcp[5] << 16 | (uint32_t)tcp[6] << 8 | tcp[7];
    char name[WW_NAME_BYTES_MAX + 1];

    if (tcp[13] & TCP_SYN) /* whose number is its own */
        sequence++;
    if (!inspection->has_first) {
        inspection->has_first = true;
        inspection->first =
            inspection->flow->tcp & FLOW_SEEN_SYN ? inspection->flow->syn + 1 : sequence;
    }
    size_t whole = put_segment(inspection, sequence, payload, size);
    if (whole == inspection->whole)
        return false;
    inspection->whole = whole;
    inspection->packets++;
    int tls = inspect_read_tls(inspection->bytes, whole, name);
    if (tls == 0)
        return set_name(inspection, name, WW_FLOW_NAME_TLS);
    int http = inspect_read_http(inspection->bytes, whole, name);
    if (http == 0)
        return set_name(inspection, name, WW_FLOW_NAME_HTTP);
    int dns = WW_EMALFORMED;
    if (inspection->flow->there_port == 53) {
        dns = inspect_read_dns(inspection->bytes, whole, true, name);
        if (dns == 0)
            return set_name(inspection, name, WW_FLOW_NAME_DNS);
    }
    if (whole == WW_INSPECT_BYTES ||
        (tls == WW_EMALFORMED && http == WW_EMALFORMED && dns == WW_EMALFORMED))
        inspection->is_named = true;
    return false;
}

static bool read_udp(struct inspection *inspection, const uint8_t *payload, size_t size)
{
    char name[WW_NAME_BYTES_MAX + 1];

    if (inspection->flow->there_port != 53 || inspect_read_dns(payload, size, false, name))
        return false;
    return set_name(inspection, name, WW_FLOW_NAME_DNS);
}

/* --- applications ----------------------------------------------------------------------------- */

static bool is_quic(ndpi_protocol protocol)
{
    return protocol.master_protocol == NDPI_PROTOCOL_QUIC ||
           protocol.app_protocol == NDPI_PROTOCOL_QUIC;
}

/* What nDPI says of the flow, when it says something. A name that it may have cut, or one that is
 * not what our reader found, is no ground for an application: then it is only the protocol. */
static bool set_application(struct ww_inspector *inspector, struct inspection *inspection,
                            ndpi_protocol protocol)
{
    const struct ndpi_flow_struct *ndpi = inspection->ndpi;
    struct ww_flow *flow = inspection->flow;
    size_t length = strnlen(ndpi->host_server_name, sizeof(ndpi->host_server_name));
    bool is_cut = length >= CUT_BYTES || (flow->name && strlen(flow->name) >= CUT_BYTES);
    uint16_t id = protocol.app_protocol;
    bool is_news = false;

    if (is_quic(protocol) && !is_cut && length > 0 && !inspection->is_named)
        is_news = set_name(inspection, ndpi->host_server_name, WW_FLOW_NAME_QUIC);
    if (is_cut || id == NDPI_PROTOCOL_UNKNOWN)
        id = protocol.master_protocol;
    if (is_cut && id == NDPI_PROTOCOL_UNKNOWN && is_quic(protocol))
        id = NDPI_PROTOCOL_QUIC;
    if (id == NDPI_PROTOCOL_UNKNOWN)
        return is_news;
    const char *name = ndpi_get_proto_name(inspector->ndpi, id);
    if (flow->application && strcmp(flow->application, name) == 0)
        return is_news;
    flow->application = name;
    return true;
}

static bool ask_ndpi(struct ww_inspector *inspector, struct inspection *inspection,
                     const struct ww_flow_packet *packet, uint64_t now_us)
{
    size_t size = WW_MIN(packet->size, (size_t)COPY_BYTES);

    memcpy(inspector->copy, packet->bytes, size);
    memset(inspector->copy + size, 0, COPY_ZEROS);
    if (size < packet->size) { /* it believes no packet that says to be longer than it is */
        uint8_t *length = inspector->copy + (packet->ip->is_v4 ? 2 : 4);
        size_t said = packet->ip->is_v4 ? size : size - 40;

        length[0] = (uint8_t)(said >> 8);
        length[1] = (uint8_t)said;
    }
    ndpi_protocol protocol = ndpi_detection_process_packet(
        inspector->ndpi, inspection->ndpi, inspector->copy, (unsigned short)size, now_us / 1000);
    return set_application(inspector, inspection, protocol);
}

/* --- packets ---------------------------------------------------------------------------------- */

static const uint8_t *payload_of(const struct ww_flow_packet *packet, size_t *size)
{
    const struct ww_ip *ip = packet->ip;
    const uint8_t *head = packet->bytes + ip->header_size;
    size_t skip = ip->protocol == IPPROTO_TCP ? (size_t)(head[12] >> 4) * 4 : 8;

    *size = ip->payload_size - skip;
    return head + skip;
}

/* The name, as far as that went out by now. */
static bool read_name(struct inspection *inspection, const struct ww_flow_packet *packet,
                      const uint8_t *payload, size_t size)
{
    return inspection->flow->protocol == IPPROTO_TCP ? read_tcp(inspection, packet, payload, size)
                                                     : read_udp(inspection, payload, size);
}

/* What brings nothing of a connection's beginning, such as a segment that its other end won't take
 * either, doesn't count: else that would be the way to have no name. */
bool inspect_packet(struct ww_flows *flows, struct ww_flow *flow,
                    const struct ww_flow_packet *packet, uint64_t now_us)
{
    struct ww_inspector *inspector = flows->config.inspector;
    struct inspection *inspection = flow->inspection;
    bool is_news = false;
    size_t size;

    if (flow->inspection == &over || packet->ip->is_fragment ||
        (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP))
        return false;
    const uint8_t *payload = payload_of(packet, &size);
    if (size == 0 || (!inspection && !(inspection = begin(inspector, flows, flow))))
        return false;
    unsigned before = inspection->packets;
    bool is_read = !inspection->is_named && packet->is_outgoing;
    if (is_read)
        is_news = read_name(inspection, packet, payload, size);
    if (is_read && flow->protocol == IPPROTO_TCP && inspection->packets == before)
        return false;
    inspection->packets = before + 1;
    if (inspection->ndpi)
        is_news |= ask_ndpi(inspector, inspection, packet, now_us);
    bool is_enough = inspection->is_named && flow->application;
    if (inspection->packets >= WW_INSPECT_PACKETS || is_enough)
        forget(inspector, inspection);
    return is_news;
}

void inspect_end(struct ww_flows *flows, struct ww_flow *flow)
{
    if (flows->config.inspector && flow->inspection && flow->inspection != &over)
        forget(flows->config.inspector, flow->inspection);
}
