/* Looks at the first packets of flows: see ww/inspect.h. Relies on inspect_read.c for names, and on
 * the process behind inspect_link.c for QUIC's and for which application it is. What that says is
 * taken for a flow that is still looked at, and no other. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "inspect_child.h"
#include "inspect_read.h"
#include "inspect_room.h"

#define TCP_SYN 2

/* Marks flow->inspection once a flow has been looked at. */
static char over;

struct inspection {
    TAILQ_ENTRY(inspection) link;     /* all of them */
    TAILQ_ENTRY(inspection) of_table; /* those of its table */
    struct ww_flows *flows;
    struct ww_flow *flow;
    uint32_t id;
    uint16_t slot;
    unsigned asked;   /* of its packets the process was shown so many, … */
    unsigned unheard; /* and so many it has not answered */
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
    struct inspect_link *link;
    struct inspections open;
    size_t count;
    struct inspection *slots[INSPECT_SLOTS];
    uint32_t ids;
    uint64_t missed;
    char pid[16]; /* the process says in its arguments whose it is */
    const char *argv[3];
};

/* --- beginning and end ------------------------------------------------------------------------ */

/* If the process has packets left to expect, it is told that none come. */
static void forget(struct ww_inspector *inspector, struct inspection *inspection)
{
    if (inspection->asked > 0 && inspection->asked < WW_INSPECT_PACKETS)
        inspect_link_forget(inspector->link, &(struct inspect_head){.flow = inspection->id,
                                                                    .slot = inspection->slot});
    TAILQ_REMOVE(&inspector->open, inspection, link);
    TAILQ_REMOVE(&inspection->flows->inspections, inspection, of_table);
    inspector->slots[inspection->slot] = NULL;
    inspector->count--;
    inspection->flows->inspections_count--;
    inspection->flow->inspection = &over;
    ww_free(inspection);
}

/* The oldest of a table, or of all; rather one that waits for no answer, or in a flood there would
 * be none in time. */
static void make_room(struct ww_inspector *inspector, const struct inspections *list, bool is_table)
{
    struct inspection *oldest = TAILQ_FIRST(list), *idle = oldest;

    while (idle && idle->unheard > 0)
        idle = is_table ? TAILQ_NEXT(idle, of_table) : TAILQ_NEXT(idle, link);
    if (!idle)
        inspector->missed += oldest->unheard; /* their answers will be for nobody */
    forget(inspector, idle ? idle : oldest);
}

/* In the place of the oldest if there are too many: of the same table, so that one client can't
 * have all others' forgotten. */
static struct inspection *begin(struct ww_inspector *inspector, struct ww_flows *flows,
                                struct ww_flow *flow)
{
    if (flows->inspections_count >= WW_INSPECTIONS_TABLE)
        make_room(inspector, &flows->inspections, true);
    else if (inspector->count >= WW_INSPECTIONS_MAX)
        make_room(inspector, &inspector->open, false);
    struct inspection *inspection = ww_alloc(1, sizeof(*inspection));
    if (!inspection)
        return NULL;
    inspection->flow = flow;
    inspection->is_named = flow->name != NULL;
    inspection->flows = flows;
    inspection->id = ++inspector->ids;
    while (inspector->slots[inspection->slot])
        inspection->slot++;
    inspector->slots[inspection->slot] = inspection;
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

/* What the process says of the flow, when it says something. A name that may have been cut is no
 * ground for an application, nor is one that ours shows to have been: then it is only the protocol.
 */
static bool set_application(struct inspection *inspection, const struct inspect_answer *answer,
                            const struct inspect_names *names)
{
    struct ww_flow *flow = inspection->flow;
    bool is_quic = answer->flags & INSPECT_ANSWER_QUIC && flow->protocol == IPPROTO_UDP;
    bool is_cut = answer->flags & INSPECT_ANSWER_CUT ||
                  (flow->name && strlen(flow->name) >= INSPECT_HOST_MAX);
    bool is_news = false;

    if (is_quic && !is_cut && *answer->host && !inspection->is_named)
        is_news = set_name(inspection, answer->host, WW_FLOW_NAME_QUIC);
    uint16_t id = is_cut || answer->application == 0 ? answer->protocol : answer->application;
    if (id == 0)
        return is_news;
    const char *name = names->text[id];
    if (flow->application && strcmp(flow->application, name) == 0)
        return is_news;
    flow->application = name;
    return true;
}

/* Nothing more will come of it. */
static bool is_over(const struct inspection *inspection)
{
    bool is_enough = inspection->is_named && inspection->flow->application;

    return inspection->unheard == 0 && (inspection->packets >= WW_INSPECT_PACKETS || is_enough);
}

static void on_answer(void *arg, const struct inspect_answer *answer,
                      const struct inspect_names *names)
{
    struct ww_inspector *inspector = arg;
    struct inspection *inspection = inspector->slots[answer->slot];

    if (!inspection || inspection->id != answer->flow)
        return; /* the flow was closed meanwhile, or had to make room */
    struct ww_flows *flows = inspection->flows;
    struct ww_flow *flow = inspection->flow;
    if (inspection->unheard > 0)
        inspection->unheard--;
    bool is_news = set_application(inspection, answer, names);
    if (is_over(inspection))
        forget(inspector, inspection);
    if (is_news && flows->config.callbacks->named)
        flow->is_denied = flows->config.callbacks->named(flows->config.arg, flow) != 0;
}

/* The next process begins with whatever comes next. */
static void on_lost(void *arg)
{
    struct ww_inspector *inspector = arg;
    struct inspection *inspection, *next;

    for (inspection = TAILQ_FIRST(&inspector->open); inspection; inspection = next) {
        next = TAILQ_NEXT(inspection, link);
        inspector->missed += inspection->unheard;
        inspection->asked = inspection->unheard = 0;
        if (is_over(inspection))
            forget(inspector, inspection);
    }
}

static void ask(struct ww_inspector *inspector, struct inspection *inspection,
                const struct ww_flow_packet *packet, uint64_t now_us)
{
    const struct inspect_head head = {inspection->id, inspection->slot, now_us / 1000};

    if (!inspect_link_ask(inspector->link, &inspection->flows->asked, &head, packet->bytes,
                          packet->size)) {
        inspector->missed++;
        return;
    }
    inspection->asked++;
    inspection->unheard++;
}

/* --- the inspector ---------------------------------------------------------------------------- */

int inspect_create(struct ww_loop *loop, const struct inspect_how *how, struct ww_inspector **out)
{
    struct ww_inspector *inspector = ww_alloc(1, sizeof(*inspector));
    struct inspect_link_config config = {loop, *how, on_answer, on_lost, inspector};

    if (!inspector)
        return WW_ENOMEM;
    TAILQ_INIT(&inspector->open);
    snprintf(inspector->pid, sizeof(inspector->pid), "%d", (int)getpid());
    inspector->argv[0] = INSPECT_CHILD_NAME;
    inspector->argv[1] = inspector->pid;
    if (!how->argv)
        config.how.argv = inspector->argv;
    int rc = inspect_link_create(&config, &inspector->link);
    if (rc) {
        ww_free(inspector);
        return rc;
    }
    *out = inspector;
    return 0;
}

int ww_inspector_create(struct ww_loop *loop, struct ww_inspector **inspector)
{
    const struct inspect_how how = {.program =
                                        inspect_child_is_prepared() ? "/proc/self/exe" : NULL,
                                    .answer_ms = WW_INSPECT_ANSWER_MS,
                                    .again_ms = WW_INSPECT_AGAIN_MS};
    return inspect_create(loop, &how, inspector);
}

void ww_inspector_destroy(struct ww_inspector *inspector)
{
    if (!inspector)
        return;
    while (!TAILQ_EMPTY(&inspector->open))
        forget(inspector, TAILQ_FIRST(&inspector->open));
    inspect_link_destroy(inspector->link);
    ww_free(inspector);
}

size_t ww_inspector_count(const struct ww_inspector *inspector)
{
    return inspector->count;
}

void ww_inspector_stats(const struct ww_inspector *inspector, struct ww_inspector_stats *stats)
{
    inspect_link_stats(inspector->link, stats);
    stats->missed = inspector->missed;
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
    struct inspection *inspection = flow->inspection == &over ? NULL : flow->inspection;
    bool is_news = false;
    size_t size;

    if (flow->inspection == &over || packet->ip->is_fragment ||
        (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP) ||
        (inspection && inspection->packets >= WW_INSPECT_PACKETS))
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
    ask(inspector, inspection, packet, now_us);
    if (is_over(inspection))
        forget(inspector, inspection);
    return is_news;
}

void inspect_end(struct ww_flows *flows, struct ww_flow *flow)
{
    if (flows->config.inspector && flow->inspection && flow->inspection != &over)
        forget(flows->config.inspector, flow->inspection);
}

void inspect_leave(struct ww_flows *flows)
{
    if (flows->config.inspector)
        inspect_link_leave(flows->config.inspector->link, &flows->asked);
    flows->asked = 0;
}
