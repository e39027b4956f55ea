/* DNS messages: questions, answers, replies. The parser is the C library's (ns_initparse,
 * ns_parserr, ns_name_unpack: bounded, without allocation). Relies on what dns_answer_read
 * accepted: what was kept of an answer is walked again without unpacking its names. */
#include <string.h>
#include <strings.h>

#include "dns_room.h"

#define FLAG_QR           0x8000
#define FLAG_OPCODE       0x7800
#define FLAG_TC           0x0200
#define FLAG_RD           0x0100
#define FLAG_RA           0x0080
#define FLAG_CD           0x0010
#define OPT_DO            0x8000
#define LEAST_REPLY_BYTES 512 /* RFC 1035 section 2.3.4 */

static uint16_t get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint8_t *put16(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return out + 2;
}

/* Letters of a name on the wire; lengths of labels are below 'A'. */
static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

/* --- questions -------------------------------------------------------------------------------- */

static int read_options(ns_msg *message, struct ww_dns_question *question)
{
    unsigned count = ns_msg_count(*message, ns_s_ar);
    ns_rr record;

    for (unsigned index = 0; index < count; index++) {
        if (ns_parserr(message, ns_s_ar, (int)index, &record))
            return WW_EINVAL;
        if (ns_rr_type(record) != ns_t_opt)
            continue;
        if (question->has_edns || strcmp(ns_rr_name(record), ".") != 0)
            return WW_EINVAL;
        question->has_edns = true;
        question->dnssec_ok = ns_rr_ttl(record) & OPT_DO;
        question->reply_bytes = ns_rr_class(record);
        if (ns_rr_ttl(record) >> 16 & 0xff) /* a version that is not known: BADVERS has its bits in
                                             * OPT; what it asks for may mean something else */
            question->error = ns_r_notimpl;
    }
    return 0;
}

/* What this forwarder does not look up, whatever the name. */
static unsigned refusal_of(unsigned type, unsigned class)
{
    if (class != ns_c_in)
        return ns_r_refused;
    if (type == ns_t_axfr || type == ns_t_ixfr || type == ns_t_opt || type == ns_t_tsig ||
        type == ns_t_mailb || type == ns_t_maila || type == 0)
        return ns_r_notimpl;
    return ns_r_noerror;
}

int dns_question_read(const uint8_t *message, size_t size, struct ww_dns_question *question)
{
    char text[DNS_NAME_SIZE];
    ns_msg parsed;

    memset(question, 0, sizeof(*question));
    if (size < DNS_HEAD_BYTES || size > DNS_MESSAGE_BYTES)
        return WW_EINVAL;
    unsigned flags = get16(message + 2);
    question->id = get16(message);
    question->wants_recursion = flags & FLAG_RD;
    question->checking_disabled = flags & FLAG_CD;
    question->reply_bytes = LEAST_REPLY_BYTES;
    if (flags & FLAG_QR)
        return WW_EINVAL;
    if (flags & FLAG_OPCODE) {
        question->error = ns_r_notimpl;
        return 0;
    }
    question->error = ns_r_formerr;
    if (ns_initparse(message, (int)size, &parsed) || ns_msg_count(parsed, ns_s_qd) != 1 ||
        ns_msg_count(parsed, ns_s_an) || ns_msg_count(parsed, ns_s_ns) ||
        ns_msg_count(parsed, ns_s_ar) > 4)
        return 0;
    if (ns_name_unpack(message, message + size, message + DNS_HEAD_BYTES, question->name,
                       sizeof(question->name)) < 0)
        return 0;
    question->name_size = 1;
    for (const uint8_t *label = question->name; *label; label += *label + 1U)
        question->name_size += *label + 1U;
    const uint8_t *rest = message + DNS_HEAD_BYTES + question->name_size;
    /* Nothing is before the name that it could point to. */
    if (size < DNS_HEAD_BYTES + question->name_size + 4 ||
        memcmp(message + DNS_HEAD_BYTES, question->name, question->name_size) != 0) {
        question->name_size = 0;
        return 0;
    }
    question->type = get16(rest);
    question->class = get16(rest + 2);
    question->error = (uint8_t)refusal_of(question->type, question->class);
    if (ns_name_ntop(question->name, text, sizeof(text)) < 0 || strlen(text) > WW_NAME_BYTES_MAX)
        question->error = ns_r_refused; /* most of it is no letters: policies could not be asked */
    if (read_options(&parsed, question))
        question->error = ns_r_formerr;
    if (question->reply_bytes < LEAST_REPLY_BYTES)
        question->reply_bytes = LEAST_REPLY_BYTES;
    if (question->reply_bytes > WW_DNS_REPLY_BYTES_MAX)
        question->reply_bytes = WW_DNS_REPLY_BYTES_MAX;
    return 0;
}

void dns_question_key(const struct ww_dns_question *question, struct dns_key *key)
{
    size_t size = question->name_size;

    for (size_t index = 0; index < size; index++)
        key->bytes[index] = lower(question->name[index]);
    put16(key->bytes + size, question->type);
    key->bytes[size + 2] = (uint8_t)(question->dnssec_ok | question->checking_disabled << 1);
    key->size = size + 3;
}

/* Small letters, whatever the locale; returns 0 for ns_name_ntop's sizes. */
static int text_of(const uint8_t *name, char text[DNS_NAME_SIZE])
{
    if (ns_name_ntop(name, text, DNS_NAME_SIZE) < 0)
        return WW_EINVAL;
    for (char *at = text; *at; at++)
        *at = (char)lower((uint8_t)*at);
    if (strcmp(text, ".") == 0)
        text[0] = '\0';
    return 0;
}

void dns_question_name(const struct ww_dns_question *question, char name[DNS_NAME_SIZE])
{
    if (!question->name_size || text_of(question->name, name))
        name[0] = '\0';
}

/* OPT, RFC 6891: the root's name, type, our size, extended code and version, DO, options. */
static uint8_t *put_opt(uint8_t *out, unsigned bytes, bool dnssec_ok, int ede)
{
    *out++ = 0;
    out = put16(out, ns_t_opt);
    out = put16(out, bytes);
    out = put16(out, 0);
    out = put16(out, dnssec_ok ? OPT_DO : 0);
    if (ede == DNS_EDE_NONE)
        return put16(out, 0);
    out = put16(out, 6);
    out = put16(out, DNS_OPTION_EDE);
    out = put16(out, 2);
    return put16(out, (unsigned)ede);
}

size_t dns_query_write(const struct ww_dns_question *question, uint16_t id, const uint8_t *name,
                       uint8_t out[WW_DNS_QUERY_BYTES])
{
    static const uint8_t counts[8] = {0, 1, 0, 0, 0, 0, 0, 1};
    uint8_t *at = put16(out, id);

    at = put16(at, FLAG_RD | (question->checking_disabled ? FLAG_CD : 0));
    memcpy(at, counts, sizeof(counts));
    at += sizeof(counts);
    memcpy(at, name, question->name_size);
    at += question->name_size;
    at = put16(at, question->type);
    at = put16(at, ns_c_in);
    at = put_opt(at, WW_DNS_UPSTREAM_BYTES, question->dnssec_ok, DNS_EDE_NONE);
    return (size_t)(at - out);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Whether a name is made of no more pieces than labels fit into it: pointers to pointers would keep
 * the parser busy for 32,767 steps, for each name that leads to them. */
static bool name_is_short(const uint8_t *message, const uint8_t *end, const uint8_t *at)
{
    for (size_t steps = 0; at < end && steps < NS_MAXCDNAME; steps++) {
        if (*at == 0)
            return true;
        if ((*at & NS_CMPRSFLGS) == 0)
            at += *at + 1U;
        else if (end - at >= 2 && (get16(at) & 0x3fff) >= DNS_HEAD_BYTES)
            at = message + (get16(at) & 0x3fff);
        else
            return false; /* the head is no name, and is written anew */
    }
    return false;
}

/* Whether the names in a record's data can be read, and end where it ends: an application's parser
 * is not to find out. Types after RFC 1035 hold no compressed names (RFC 3597). */
static bool data_is_sound(const ns_msg *message, const ns_rr *record)
{
    const uint8_t *at = ns_rr_rdata(*record), *end = at + ns_rr_rdlen(*record);
    uint8_t name[NS_MAXCDNAME];
    size_t before = 0, names = 1, after = 0;

    switch ((unsigned)ns_rr_type(*record)) {
    case ns_t_a:
        return ns_rr_rdlen(*record) == 4;
    case ns_t_aaaa:
        return ns_rr_rdlen(*record) == 16;
    case ns_t_cname:
    case ns_t_dname:
    case ns_t_ns:
    case ns_t_ptr:
        break;
    case ns_t_mx:
        before = 2;
        break;
    case ns_t_srv:
        before = 6;
        break;
    case ns_t_soa:
        names = 2;
        after = 20;
        break;
    case ns_t_opt:
    case ns_t_tsig:
        return false; /* not in these sections */
    default:
        return true;
    }
    if ((size_t)(end - at) < before)
        return false;
    at += before;
    while (names--) {
        if (!name_is_short(ns_msg_base(*message), end, at))
            return false;
        int taken = ns_name_unpack(ns_msg_base(*message), end, at, name, sizeof(name));
        if (taken < 0)
            return false;
        at += taken;
    }
    return (size_t)(end - at) == after;
}

/* RFC 2308 section 5. 0: there is none, or it says so. */
static uint32_t negative_ttl(const ns_rr *soa)
{
    uint32_t minimum = ns_get32(ns_rr_rdata(*soa) + ns_rr_rdlen(*soa) - 4);
    uint32_t ttl = ns_rr_ttl(*soa) < minimum ? ns_rr_ttl(*soa) : minimum;
    return ttl < WW_DNS_NEGATIVE_S_MAX ? ttl : WW_DNS_NEGATIVE_S_MAX;
}

/* Reads the records of both sections that are kept. */
static int read_records(struct dns_answer *answer, unsigned type)
{
    const uint8_t *base = ns_msg_base(answer->message), *end = ns_msg_end(answer->message);
    uint32_t ttl = WW_DNS_TTL_S_MAX, negative = 0;
    bool has_any = false;
    ns_rr record;

    for (ns_sect section = ns_s_an; section <= ns_s_ns; section++) {
        unsigned count = ns_msg_count(answer->message, section);
        for (unsigned index = 0; index < count; index++) {
            if (!name_is_short(base, end, base + answer->kept) ||
                ns_parserr(&answer->message, section, (int)index, &record) ||
                !data_is_sound(&answer->message, &record))
                return WW_EINVAL;
            answer->kept =
                (size_t)(ns_rr_rdata(record) + ns_rr_rdlen(record) - ns_msg_base(answer->message));
            uint32_t own = ns_rr_ttl(record) >> 31 ? 0 : ns_rr_ttl(record); /* RFC 2181 section 8 */
            if (section == ns_s_ns && ns_rr_type(record) == ns_t_soa)
                negative = negative_ttl(&record);
            if (own < ttl)
                ttl = own;
            if (section == ns_s_an && (ns_rr_type(record) == type || type == ns_t_any))
                has_any = true;
        }
    }
    if (answer->code != ns_r_noerror || !has_any)
        ttl = ttl < negative ? ttl : negative;
    answer->ttl_s = ttl;
    return 0;
}

int dns_answer_read(const uint8_t *message, size_t size, const uint8_t *query, size_t query_size,
                    struct dns_answer *answer)
{
    size_t question_end = query_size - DNS_OPT_BYTES;
    unsigned records = 0;

    memset(answer, 0, sizeof(*answer));
    if (size < question_end || size > DNS_MESSAGE_BYTES)
        return WW_EFOREIGN;
    unsigned flags = get16(message + 2);
    if (get16(message) != get16(query) || !(flags & FLAG_QR) || flags & FLAG_OPCODE ||
        get16(message + 4) != 1 ||
        memcmp(message + DNS_HEAD_BYTES, query + DNS_HEAD_BYTES, question_end - DNS_HEAD_BYTES) !=
            0)
        return WW_EFOREIGN;
    answer->code = flags & 0xf;
    answer->kept = question_end;
    answer->is_truncated = flags & FLAG_TC;
    if (answer->is_truncated)
        return 0;
    if (ns_initparse(message, (int)size, &answer->message))
        return WW_EINVAL;
    for (ns_sect section = ns_s_an; section <= ns_s_ar; section++)
        records += ns_msg_count(answer->message, section);
    if (records > WW_DNS_RECORDS_MAX)
        return WW_EINVAL;
    return read_records(answer, get16(query + question_end - 4));
}

int dns_answer_walk(struct dns_answer *answer, dns_record_fn fn, void *arg)
{
    unsigned count = answer->is_truncated ? 0 : ns_msg_count(answer->message, ns_s_an);
    ns_rr record;

    for (unsigned index = 0; index < count; index++) {
        if (ns_parserr(&answer->message, ns_s_an, (int)index, &record))
            return WW_EINVAL;
        int rc = fn(arg, &answer->message, &record);
        if (rc)
            return rc;
    }
    return 0;
}

#define TYPE_SVCB  64
#define TYPE_HTTPS 65

static bool is_svcb(const ns_rr *record)
{
    return ns_rr_type(*record) == TYPE_SVCB || ns_rr_type(*record) == TYPE_HTTPS;
}

static int tell_addresses(struct ww_cursor *list, size_t size, dns_address_fn fn, void *arg)
{
    uint8_t address[16];
    int rc = 0;

    while (!rc && list->size) {
        const uint8_t *bytes = ww_cursor_bytes(list, size);
        if (!bytes)
            return WW_EINVAL;
        if (size == 4)
            ww_address_map(bytes, address);
        else
            memcpy(address, bytes, 16);
        rc = fn(arg, address, size == 4);
    }
    return rc;
}

/* RFC 9460 section 2.2: priority, a name that is never compressed, parameters. */
static int tell_hints(const ns_rr *record, dns_address_fn fn, void *arg)
{
    struct ww_cursor data, value;
    uint8_t label;
    int rc = 0;

    ww_cursor_init(&data, ns_rr_rdata(*record), ns_rr_rdlen(*record));
    ww_cursor_u16(&data);
    while ((label = ww_cursor_u8(&data)) && !data.failed) {
        if (label > NS_MAXLABEL)
            return WW_EINVAL;
        ww_cursor_bytes(&data, label);
    }
    while (!rc && data.size && !data.failed) {
        unsigned key = ww_cursor_u16(&data);
        size_t size = ww_cursor_u16(&data);
        const uint8_t *bytes = ww_cursor_bytes(&data, size);
        if (!bytes)
            break;
        ww_cursor_init(&value, bytes, size);
        if (key == 4 || key == 6)
            rc = tell_addresses(&value, key == 4 ? 4 : 16, fn, arg);
    }
    return data.failed ? WW_EINVAL : rc;
}

int dns_record_addresses(const ns_rr *record, dns_address_fn fn, void *arg)
{
    struct ww_cursor data;

    if (ns_rr_class(*record) != ns_c_in)
        return WW_EINVAL;
    if (is_svcb(record))
        return tell_hints(record, fn, arg);
    if (ns_rr_type(*record) != ns_t_a && ns_rr_type(*record) != ns_t_aaaa)
        return 0;
    ww_cursor_init(&data, ns_rr_rdata(*record), ns_rr_rdlen(*record));
    return tell_addresses(&data, ns_rr_type(*record) == ns_t_a ? 4 : 16, fn, arg);
}

int dns_record_leads(const ns_msg *message, const ns_rr *record, char name[DNS_NAME_SIZE])
{
    const uint8_t *at = ns_rr_rdata(*record), *end = at + ns_rr_rdlen(*record);
    uint8_t wire[NS_MAXCDNAME];

    name[0] = '\0';
    if (is_svcb(record)) {
        if (end - at < 3)
            return WW_EINVAL;
        at += 2;
    } else if (ns_rr_type(*record) != ns_t_cname && ns_rr_type(*record) != ns_t_dname) {
        return 0;
    }
    if (ns_name_unpack(ns_msg_base(*message), end, at, wire, sizeof(wire)) < 0)
        return WW_EINVAL;
    return text_of(wire, name);
}

/* --- replies ---------------------------------------------------------------------------------- */

static void put_head(const struct ww_dns_question *question, unsigned code, uint8_t *out)
{
    memset(out, 0, DNS_HEAD_BYTES);
    put16(out, question->id);
    put16(out + 2, FLAG_QR | FLAG_RA | (question->wants_recursion ? FLAG_RD : 0) |
                       (question->checking_disabled ? FLAG_CD : 0) | code);
    put16(out + 4, question->name_size ? 1 : 0);
    put16(out + 10, question->has_edns ? 1 : 0);
}

static uint8_t *put_question(const struct ww_dns_question *question, uint8_t *at)
{
    if (!question->name_size)
        return at;
    memcpy(at, question->name, question->name_size);
    at = put16(at + question->name_size, question->type);
    return put16(at, question->class);
}

/* Makes every record so much older. */
static void make_older(uint8_t *message, size_t size, size_t question_end, uint32_t age_s)
{
    const uint8_t *at = message + question_end, *end = message + size;

    while (at < end && ns_name_skip(&at, end) == 0 && end - at >= 10) {
        uint8_t *ttl_at = message + (at - message) + 4;
        uint32_t ttl = ns_get32(ttl_at);
        if (ttl >> 31)
            ttl = 0;
        if (ttl > WW_DNS_TTL_S_MAX)
            ttl = WW_DNS_TTL_S_MAX;
        ns_put32(ttl > age_s ? ttl - age_s : 0, ttl_at);
        at += 10 + (size_t)get16(at + 8);
    }
}

/* Names may point anywhere, even into times of life, which have changed since they were read. */
static bool is_sound(const uint8_t *message, size_t size, size_t question_end)
{
    struct dns_answer answer = {.kept = question_end};

    return !ns_initparse(message, (int)size, &answer.message) && !read_records(&answer, 0);
}

size_t dns_reply_write(const struct ww_dns_question *question, const struct dns_kept *kept,
                       size_t limit, uint8_t *out)
{
    size_t question_end = DNS_HEAD_BYTES + question->name_size + 4;
    size_t opt = question->has_edns ? DNS_OPT_BYTES : 0;

    if (opt && kept->ede != DNS_EDE_NONE)
        opt += DNS_EDE_BYTES;
    put_head(question, get16(kept->bytes + 2) & 0xf, out);
    put_question(question, out + DNS_HEAD_BYTES);
    if (kept->size + opt <= limit) {
        memcpy(out + 6, kept->bytes + 6, 4);
        memcpy(out + question_end, kept->bytes + question_end, kept->size - question_end);
        make_older(out, kept->size, question_end, kept->age_s);
        if (opt)
            put_opt(out + kept->size, WW_DNS_REPLY_BYTES_MAX, question->dnssec_ok, kept->ede);
        if (is_sound(out, kept->size + opt, question_end))
            return kept->size + opt;
        put_head(question, ns_r_servfail, out);
    } else {
        out[2] |= FLAG_TC >> 8;
    }
    if (opt)
        put_opt(out + question_end, WW_DNS_REPLY_BYTES_MAX, question->dnssec_ok, kept->ede);
    return question_end + opt;
}

size_t dns_reply_make(const struct ww_dns_question *question, const struct dns_own *own,
                      uint8_t *out)
{
    enum { OWN_TTL_S = 60 };
    uint8_t *at;

    put_head(question, own->code, out);
    at = put_question(question, out + DNS_HEAD_BYTES);
    if (own->address_size) {
        out[7] = 1;
        at = put16(at, 0xc000 | DNS_HEAD_BYTES); /* the question's name */
        at = put16(at, own->address_size == 4 ? ns_t_a : ns_t_aaaa);
        at = put16(at, ns_c_in);
        ns_put32(OWN_TTL_S, at);
        at = put16(at + 4, (unsigned)own->address_size);
        memcpy(at, own->address, own->address_size);
        at += own->address_size;
    }
    if (question->has_edns)
        at = put_opt(at, WW_DNS_REPLY_BYTES_MAX, question->dnssec_ok, own->ede);
    return (size_t)(at - out);
}
