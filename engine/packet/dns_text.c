/* Messages for people: a query from a name, a reply as lines. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dns_room.h"
#include "ww/buf.h"

struct type_row {
    const char *word;
    uint16_t type;
};

static const struct type_row types[] = {
    {"A", ns_t_a},         {"AAAA", ns_t_aaaa}, {"CNAME", ns_t_cname},
    {"MX", ns_t_mx},       {"NS", ns_t_ns},     {"PTR", ns_t_ptr},
    {"SOA", ns_t_soa},     {"SRV", ns_t_srv},   {"TXT", ns_t_txt},
    {"DNAME", ns_t_dname}, {"SVCB", 64},        {"HTTPS", 65},
    {"CAA", 257},          {"DS", 43},          {"DNSKEY", 48},
    {"RRSIG", 46},
};

uint16_t ww_dns_type_parse(const char *text)
{
    char *end = NULL;

    for (size_t index = 0; index < WW_ARRAY_COUNT(types); index++) {
        if (strcasecmp(text, types[index].word) == 0)
            return types[index].type;
    }
    if (strncasecmp(text, "TYPE", 4) != 0 || !isdigit((unsigned char)text[4]))
        return 0;
    unsigned long number = strtoul(text + 4, &end, 10);
    return *end == '\0' && number <= UINT16_MAX ? (uint16_t)number : 0;
}

static void put_type(unsigned type, struct ww_buf *out)
{
    for (size_t index = 0; index < WW_ARRAY_COUNT(types); index++) {
        if (types[index].type == type) {
            ww_buf_put_text(out, types[index].word);
            return;
        }
    }
    ww_buf_printf(out, "TYPE%u", type);
}

const char *ww_dns_code_word(unsigned code)
{
    static const char *const words[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};

    return code < WW_ARRAY_COUNT(words) ? words[code] : "OTHER";
}

int ww_dns_query(const char *name, uint16_t type, uint16_t id, uint8_t out[WW_DNS_QUERY_BYTES],
                 size_t *size)
{
    struct ww_dns_question question = {.type = type, .class = ns_c_in};

    if (!*name || strlen(name) > WW_NAME_BYTES_MAX ||
        ns_name_pton(name, question.name, sizeof(question.name)) < 0)
        return WW_EINVAL;
    question.name_size = 1;
    for (const uint8_t *label = question.name; *label; label += *label + 1U)
        question.name_size += *label + 1U;
    *size = dns_query_write(&question, id, question.name, out);
    return 0;
}

static void put_name(const ns_msg *message, const ns_rr *record, size_t at, struct ww_buf *out)
{
    const uint8_t *data = ns_rr_rdata(*record);
    char name[DNS_NAME_SIZE];

    if (ns_rr_rdlen(*record) <= at ||
        ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), data + at, name,
                           sizeof(name)) < 0)
        snprintf(name, sizeof(name), "?");
    ww_buf_put_text(out, name[0] ? name : ".");
}

/* RFC 3597 section 5. */
static void put_data(const ns_rr *record, struct ww_buf *out)
{
    ww_buf_printf(out, "\\# %u ", (unsigned)ns_rr_rdlen(*record));
    for (size_t index = 0; index < ns_rr_rdlen(*record); index++)
        ww_buf_printf(out, "%02x", ns_rr_rdata(*record)[index]);
}

static void put_texts(const ns_rr *record, struct ww_buf *out)
{
    struct ww_cursor data;

    ww_cursor_init(&data, ns_rr_rdata(*record), ns_rr_rdlen(*record));
    while (data.size && !data.failed) {
        size_t size = ww_cursor_u8(&data);
        const uint8_t *text = ww_cursor_bytes(&data, size);
        ww_buf_put_text(out, "\"");
        for (size_t index = 0; text && index < size; index++) {
            bool is_plain = text[index] >= ' ' && text[index] < 127 && text[index] != '"' &&
                            text[index] != '\\';
            if (is_plain)
                ww_buf_put_u8(out, text[index]);
            else
                ww_buf_printf(out, "\\%03u", text[index]);
        }
        ww_buf_put_text(out, data.size ? "\" " : "\"");
    }
}

static void put_record(const ns_msg *message, const ns_rr *record, struct ww_buf *out)
{
    char address[INET6_ADDRSTRLEN];
    unsigned type = ns_rr_type(*record);

    ww_buf_printf(out, "%s %u IN ", ns_rr_name(*record), (unsigned)ns_rr_ttl(*record));
    put_type(type, out);
    ww_buf_put_text(out, " ");
    if (type == ns_t_a && ns_rr_rdlen(*record) == 4)
        ww_buf_put_text(out, inet_ntop(AF_INET, ns_rr_rdata(*record), address, sizeof(address)));
    else if (type == ns_t_aaaa && ns_rr_rdlen(*record) == 16)
        ww_buf_put_text(out, inet_ntop(AF_INET6, ns_rr_rdata(*record), address, sizeof(address)));
    else if (type == ns_t_cname || type == ns_t_ns || type == ns_t_ptr || type == ns_t_dname)
        put_name(message, record, 0, out);
    else if (type == ns_t_txt)
        put_texts(record, out);
    else if (type == ns_t_mx && ns_rr_rdlen(*record) > 2) {
        ww_buf_printf(out, "%u ", ns_get16(ns_rr_rdata(*record)));
        put_name(message, record, 2, out);
    } else
        put_data(record, out);
    ww_buf_put_text(out, "\n");
}

int ww_dns_print(const uint8_t *reply, size_t size, unsigned *code, struct ww_buf *out)
{
    ns_msg message;
    ns_rr record;

    if (size > DNS_MESSAGE_BYTES || ns_initparse(reply, (int)size, &message) ||
        !ns_msg_getflag(message, ns_f_qr))
        return WW_EINVAL;
    *code = (unsigned)ns_msg_getflag(message, ns_f_rcode);
    unsigned count = ns_msg_count(message, ns_s_an);
    for (unsigned index = 0; index < count; index++) {
        if (ns_parserr(&message, ns_s_an, (int)index, &record))
            return WW_EINVAL;
        put_record(&message, &record, out);
    }
    return 0;
}

/* The first option of that kind among an OPT record's; RFC 6891 section 6.1.2. */
static int find_ede(const uint8_t *options, size_t size, unsigned *ede)
{
    struct ww_cursor cursor;

    ww_cursor_init(&cursor, options, size);
    while (cursor.size > 0) {
        unsigned kind = ww_cursor_u16(&cursor);
        size_t length = ww_cursor_u16(&cursor);
        const uint8_t *value = ww_cursor_bytes(&cursor, length);

        if (cursor.failed)
            break;
        if (kind == DNS_OPTION_EDE && length >= 2) {
            *ede = (unsigned)value[0] << 8 | value[1];
            return 0;
        }
    }
    return WW_ENOTFOUND;
}

int ww_dns_print_why(const uint8_t *reply, size_t size, unsigned *ede)
{
    ns_msg message;
    ns_rr record;

    if (size > DNS_MESSAGE_BYTES || ns_initparse(reply, (int)size, &message))
        return WW_EINVAL;
    for (unsigned index = 0; index < ns_msg_count(message, ns_s_ar); index++) {
        if (ns_parserr(&message, ns_s_ar, (int)index, &record))
            return WW_EINVAL;
        if (ns_rr_type(record) == ns_t_opt)
            return find_ede(ns_rr_rdata(record), ns_rr_rdlen(record), ede);
    }
    return WW_ENOTFOUND;
}
