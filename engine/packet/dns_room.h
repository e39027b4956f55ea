/* Inside of the room: the parts of the DNS forwarder that know no loop. */
#pragma once
#include <arpa/nameser.h>
#include <uthash.h>

#include "ww/dns.h"

/* --- dns_message.c: RFC 1035 on the wire, by the C library's parser ----------------------------
 */

#define DNS_HEAD_BYTES    12
#define DNS_OPT_BYTES     11
#define DNS_EDE_BYTES     6
#define DNS_MESSAGE_BYTES 65535
#define DNS_NAME_SIZE     1025 /* NS_MAXDNAME: text of a name, every byte escaped */

/* Extended errors, RFC 8914 sections 2 and 4. */
#define DNS_OPTION_EDE 15
enum {
    DNS_EDE_NONE = -1,
    DNS_EDE_FORGED = 4,
    DNS_EDE_BLOCKED = 15,
    DNS_EDE_FILTERED = 17,
    DNS_EDE_UNREACHABLE = 22
};

/* WW_EINVAL: no query that could be answered. What can be answered with an error only has
 * question->error set. */
int dns_question_read(const uint8_t *message, size_t size, struct ww_dns_question *question);
struct dns_key {
    size_t size;
    uint8_t bytes[WW_DNS_QUESTION_BYTES + 4];
};
/* The same key for questions with the same answer. */
void dns_question_key(const struct ww_dns_question *question, struct dns_key *key);
/* The name as text in small letters, without the last dot; "" for the root. */
void dns_question_name(const struct ww_dns_question *question, char name[DNS_NAME_SIZE]);
/* What is sent upstream: the question's own id, its letters as `name` has them. Returns its size.
 */
size_t dns_query_write(const struct ww_dns_question *question, uint16_t id, const uint8_t *name,
                       uint8_t out[WW_DNS_QUERY_BYTES]);

struct dns_answer {
    unsigned code;
    bool is_truncated;
    size_t kept;    /* bytes up to the end of the authority section */
    uint32_t ttl_s; /* how long it may be kept; 0: not at all */
    ns_msg message; /* all of it */
};
/* WW_EINVAL: malformed. WW_EFOREIGN: not the answer to this query. All names in it can be read. */
int dns_answer_read(const uint8_t *message, size_t size, const uint8_t *query, size_t query_size,
                    struct dns_answer *answer);
/* Calls fn for each record of the answer section, until it gives other than 0, which is returned.
 */
typedef int (*dns_record_fn)(void *arg, const ns_msg *message, const ns_rr *record);
int dns_answer_walk(struct dns_answer *answer, dns_record_fn fn, void *arg);
/* Addresses of a record: of A, AAAA, and the hints of SVCB and HTTPS (RFC 9460). WW_EINVAL when the
 * record is malformed. */
typedef int (*dns_address_fn)(void *arg, const uint8_t address[16], bool is_v4);
int dns_record_addresses(const ns_rr *record, dns_address_fn fn, void *arg);
/* The name that a CNAME, DNAME, SVCB or HTTPS record leads to, as of dns_question_name; "" for
 * others. */
int dns_record_leads(const ns_msg *message, const ns_rr *record, char name[DNS_NAME_SIZE]);

struct dns_kept {
    const uint8_t *bytes; /* head, question, and the sections that are kept */
    size_t size;
    uint32_t age_s;
    int ede; /* DNS_EDE_… */
};
/* A reply from what was kept of an answer; cut when it has more than `limit` bytes. Returns its
 * size; out has room for DNS_MESSAGE_BYTES. */
size_t dns_reply_write(const struct ww_dns_question *question, const struct dns_kept *kept,
                       size_t limit, uint8_t *out);
/* A reply without records, or with one of `address_size` bytes (4: A, 16: AAAA; 0: none). */
struct dns_own {
    unsigned code;
    int ede; /* DNS_EDE_… */
    size_t address_size;
    const uint8_t *address;
};
size_t dns_reply_make(const struct ww_dns_question *question, const struct dns_own *own,
                      uint8_t *out);

/* --- dns_special.c -----------------------------------------------------------------------------
 */

/* Whether names of this kind are answered here: *own is the answer. */
bool dns_special(const struct ww_dns_question *question, const char *name, struct dns_own *own);
/* Whether `name` is `zone` or below it; both in small letters. */
bool dns_is_within(const char *name, const char *zone);

/* --- dns_cache.c: answers, by least recent use -------------------------------------------------
 */

struct dns_entry {
    UT_hash_handle hh;
    TAILQ_ENTRY(dns_entry) link;
    uint64_t since_us, until_us;
    int ede;
    size_t size, key_size;
    uint8_t bytes[]; /* the key, then what was kept */
};
struct dns_cache { /* all zero: empty, but for dns_cache_start */
    struct dns_entry *table;
    TAILQ_HEAD(dns_entries, dns_entry) order; /* the least recently used first */
    size_t bytes;
};
void dns_cache_start(struct dns_cache *cache);
void dns_cache_clear(struct dns_cache *cache);
/* NULL: unknown, or too old. Until the next call. */
const struct dns_entry *dns_cache_find(struct dns_cache *cache, const struct dns_key *key,
                                       uint64_t now_us);
/* Another takes the place of the one with this key; what is too large is not kept. */
void dns_cache_put(struct dns_cache *cache, const struct dns_key *key, const struct dns_kept *kept,
                   uint64_t now_us, uint32_t ttl_s);

/* --- dns_names.c: addresses to names, by last answer -------------------------------------------
 */

struct dns_name;
struct dns_names {
    struct dns_name *table;
    TAILQ_HEAD(dns_name_order, dns_name) order;
};
void dns_names_start(struct dns_names *names);
void dns_names_clear(struct dns_names *names);
void dns_names_put(struct dns_names *names, const uint8_t address[16], const char *name);
size_t dns_names_count(const struct dns_names *names);
const char *dns_names_find(const struct dns_names *names, const uint8_t address[16]);

/* --- dns_list.c: block lists -------------------------------------------------------------------
 */

struct ww_dns_lists {
    char *text; /* all names, each with its NUL and the number of its list before it */
    size_t text_size, text_room;
    uint32_t *slots; /* offsets in text, 0: free */
    size_t slot_count, count, list_count;
    size_t seen;     /* names in the files, also those that are there already or this host's */
    uint64_t digest; /* of names and their lists, in order */
    char names[WW_DNS_LISTS_MAX][WW_DNS_LIST_NAME_SIZE];
};
/* As ww_dns_lists_add; the text is a file's. */
int dns_lists_parse(struct ww_dns_lists *lists, const char *list, const char *text, size_t size,
                    size_t *skipped);
/* The name of the list that has it or a name above it; "" if none has. NULL has none. */
const char *dns_lists_find(const struct ww_dns_lists *lists, const char *name);
