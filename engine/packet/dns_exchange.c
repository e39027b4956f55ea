/* What goes to upstream resolvers and what comes back: tries, checks, judging, and the answers of
 * those who wait. Relies on the owner to carry it (ww_dns_callbacks). */
#include <string.h>

#include "dns_forward.h"

#define OWN_REPLY_MAX                                                                              \
    (DNS_HEAD_BYTES + WW_DNS_QUESTION_BYTES + 4 + 28 + DNS_OPT_BYTES + DNS_EDE_BYTES)
#define DENIED_S 60 /* how long it is remembered that an answer was not let through, at most */

/* --- judging ---------------------------------------------------------------------------------- */

enum ww_dns_verdict dns_judge(struct ww_dns *dns, const char *name)
{
    const char *listed = dns_lists_find(dns->lists, name);

    if (dns->config.callbacks->judge)
        return dns->config.callbacks->judge(dns->config.arg, name, listed);
    return listed[0] ? WW_DNS_BLOCK : WW_DNS_ALLOW;
}

struct dns_own dns_own_of(enum ww_dns_verdict verdict, unsigned type)
{
    static const uint8_t zero[16];
    struct dns_own own = {ns_r_nxdomain, DNS_EDE_BLOCKED, 0, zero};

    if (verdict == WW_DNS_ZERO) {
        own.code = ns_r_noerror;
        own.address_size = type == ns_t_a ? 4 : type == ns_t_aaaa ? 16 : 0;
    }
    return own;
}

static bool may_be_private(const struct ww_dns *dns, const char *name)
{
    for (size_t index = 0; index < dns->private_count; index++) {
        if (dns_is_within(name, dns->private_names[index]))
            return true;
    }
    return false;
}

struct inspection {
    struct ww_dns *dns;
    const struct dns_lookup *lookup;
    size_t leads;
    enum ww_dns_verdict verdict;
    bool is_private;
    size_t address_count;
    uint8_t addresses[WW_DNS_EXCLUDED_MAX][16];
};

static int inspect_address(void *arg, const uint8_t address[16], bool is_v4)
{
    struct inspection *inspection = arg;

    if (ww_address_judge(inspection->dns->config.rules, address, is_v4, NULL))
        inspection->is_private = true;
    if (!inspection->lookup->is_excluded)
        return 0;
    if (inspection->address_count == WW_DNS_EXCLUDED_MAX)
        return WW_ELIMIT;
    memcpy(inspection->addresses[inspection->address_count++], address, 16);
    return 0;
}

static int inspect_record(void *arg, const ns_msg *message, const ns_rr *record)
{
    struct inspection *inspection = arg;
    char name[DNS_NAME_SIZE];
    int rc = dns_record_leads(message, record, name);

    if (!rc && name[0]) {
        if (++inspection->leads > WW_DNS_CHAIN_MAX || strlen(name) > WW_NAME_BYTES_MAX)
            return WW_ELIMIT;
        if (inspection->verdict == WW_DNS_ALLOW || inspection->verdict == WW_DNS_EXCLUDE)
            inspection->verdict = dns_judge(inspection->dns, name);
    }
    return rc ? rc : dns_record_addresses(record, inspect_address, inspection);
}

static int learn_address(void *arg, const uint8_t address[16], bool is_v4)
{
    const struct inspection *inspection = arg;

    (void)is_v4;
    dns_names_put(&inspection->dns->names, address, inspection->lookup->name);
    return 0;
}

static int learn_record(void *arg, const ns_msg *message, const ns_rr *record)
{
    (void)message;
    return dns_record_addresses(record, learn_address, arg);
}

/* --- the end of a lookup ---------------------------------------------------------------------- */

static void end_exchange(struct ww_dns *dns, struct dns_lookup *lookup)
{
    uint64_t exchange = lookup->exchange;

    lookup->exchange = 0;
    if (exchange)
        dns->config.callbacks->end(dns->config.arg, exchange);
}

void dns_drop(struct ww_dns *dns, struct dns_lookup *lookup)
{
    end_exchange(dns, lookup);
    ww_free(lookup->held);
    lookup->held = NULL;
    dns->lookups[lookup->slot] = NULL;
    if (--dns->lookup_count == 0)
        ww_timer_stop(dns->timer);
}

/* Answers everybody who waits for it. An ask's function may ask again, or cancel others. */
static void finish(struct ww_dns *dns, struct dns_lookup *lookup, const struct dns_kept *kept)
{
    struct ww_dns_ask *ask;

    dns_drop(dns, lookup);
    while ((ask = LIST_FIRST(&lookup->asks))) {
        size_t limit = ask->is_stream ? DNS_MESSAGE_BYTES : ask->question.reply_bytes;
        size_t size = dns_reply_write(&ask->question, kept, limit, dns->reply);

        ww_dns_cancel(ask);
        ask->fn(ask->arg, ask, dns->reply, size);
    }
    ww_free(lookup);
}

/* With a reply of our own, which is kept for ttl_s. */
static void finish_own(struct ww_dns *dns, struct dns_lookup *lookup, const struct dns_own *own,
                       uint32_t ttl_s)
{
    struct ww_dns_question question = lookup->question;
    uint8_t bytes[OWN_REPLY_MAX];
    struct dns_kept kept = {.bytes = bytes, .ede = own->ede};

    question.has_edns = false;
    kept.size = dns_reply_make(&question, own, bytes);
    dns_cache_put(&dns->cache, &lookup->key, &kept, ww_loop_now_us(dns->loop), ttl_s);
    finish(dns, lookup, &kept);
}

static void give_up(struct ww_dns *dns, struct dns_lookup *lookup)
{
    struct dns_own own = {ns_r_servfail, DNS_EDE_UNREACHABLE, 0, NULL};

    if (lookup->code)
        own = (struct dns_own){lookup->code, DNS_EDE_NONE, 0, NULL};
    finish_own(dns, lookup, &own, lookup->code ? WW_DNS_FAILED_S : 0);
}

/* --- exchanges -------------------------------------------------------------------------------- */

/* Letters at random (draft-vixie-dnsext-dns0x20): whoever guesses the id has to guess them too. The
 * last try goes without, for servers that answer in letters of their own. */
static void draw_letters(struct dns_lookup *lookup, uint8_t name[WW_DNS_QUESTION_BYTES])
{
    uint8_t drawn[WW_DNS_QUESTION_BYTES / 8];
    bool is_plain = lookup->tries + 1 >= WW_DNS_TRIES_MAX;

    ww_random_bytes(drawn, sizeof(drawn));
    memcpy(name, lookup->key.bytes, lookup->question.name_size);
    for (size_t index = 0; !is_plain && index < lookup->question.name_size; index++) {
        if (name[index] >= 'a' && name[index] <= 'z' && drawn[index / 8] >> index % 8 & 1)
            name[index] -= 32;
    }
}

static int send_query(struct ww_dns *dns, struct dns_lookup *lookup)
{
    uint64_t exchange = ++dns->serial << DNS_SLOT_BITS | lookup->slot;
    uint8_t name[WW_DNS_QUESTION_BYTES];
    struct ww_dns_upstream_stats *upstream;
    uint16_t id;

    lookup->upstream = (lookup->first_upstream + lookup->tries) % dns->upstream_count;
    upstream = &dns->upstreams[lookup->upstream];
    ww_random_bytes(&id, sizeof(id));
    draw_letters(lookup, name);
    lookup->query_size = dns_query_write(&lookup->question, id, name, lookup->query);
    int rc = dns->config.callbacks->send(dns->config.arg, exchange, &upstream->target,
                                         lookup->is_stream, lookup->query, lookup->query_size);
    if (rc)
        return rc;
    lookup->exchange = exchange;
    lookup->tried_us = ww_loop_now_us(dns->loop);
    upstream->sent++;
    dns->stats.exchanges++;
    dns->stats.streams += lookup->is_stream;
    return 0;
}

/* Another exchange, now or when there is a connection; false: there is nothing left to try. */
bool dns_try_next(struct ww_dns *dns, struct dns_lookup *lookup)
{
    while (dns->upstream_count && lookup->tries < WW_DNS_TRIES_MAX) {
        int rc = send_query(dns, lookup);
        if (rc == WW_ENOCONTRACT || rc == WW_EOFFLINE)
            return true;
        lookup->tries++;
        if (!rc)
            return true;
        dns->upstreams[lookup->upstream].last_error = rc;
        dns->stats.failures++;
    }
    return false;
}

/* This upstream won't do: the next one, for this question and those to come. */
static void move_on(struct ww_dns *dns, struct dns_lookup *lookup, int code)
{
    dns->upstreams[lookup->upstream].last_error = code;
    if (dns->preferred == lookup->upstream)
        dns->preferred = (lookup->upstream + 1) % dns->upstream_count;
    end_exchange(dns, lookup);
    if (!dns_try_next(dns, lookup))
        give_up(dns, lookup);
}

void dns_tick(void *arg)
{
    struct ww_dns *dns = arg;
    uint64_t now_us = ww_loop_now_us(dns->loop);

    ww_timer_start(dns->timer, DNS_TICK_US);
    size_t first = dns->serial % WW_DNS_LOOKUPS_MAX; /* elsewhere each time: what a limit lets
                                                      * through is shared by all */
    for (size_t count = 0; count < WW_DNS_LOOKUPS_MAX; count++) {
        struct dns_lookup *lookup = dns->lookups[(first + count) % WW_DNS_LOOKUPS_MAX];
        if (!lookup)
            continue;
        if (now_us - lookup->since_us >= WW_DNS_DEADLINE_MS * 1000ULL) {
            dns->stats.timeouts += lookup->exchange != 0;
            give_up(dns, lookup);
        } else if (lookup->hold) {
            continue;
        } else if (!lookup->exchange) {
            if (!dns_try_next(dns, lookup))
                give_up(dns, lookup);
        } else if (now_us - lookup->tried_us >= WW_DNS_TRY_MS * 1000ULL) {
            dns->stats.timeouts++;
            move_on(dns, lookup, WW_ETIMEDOUT);
        }
    }
}

static struct dns_lookup *lookup_of(struct ww_dns *dns, uint64_t exchange)
{
    struct dns_lookup *lookup = dns->lookups[exchange & (WW_DNS_LOOKUPS_MAX - 1)];

    return lookup && exchange && lookup->exchange == exchange ? lookup : NULL;
}

void ww_dns_failed(struct ww_dns *dns, uint64_t exchange, int code)
{
    struct dns_lookup *lookup = lookup_of(dns, exchange);

    if (!lookup)
        return;
    dns->stats.failures++;
    if (code == WW_ELIMIT) { /* the provider wants no more flows just now: the same again, soon */
        lookup->tries--;
        end_exchange(dns, lookup);
        return;
    }
    move_on(dns, lookup, code);
}

static void keep_and_finish(struct ww_dns *dns, struct dns_lookup *lookup,
                            const struct dns_kept *kept, uint32_t ttl_s)
{
    dns_cache_put(&dns->cache, &lookup->key, kept, ww_loop_now_us(dns->loop), ttl_s);
    finish(dns, lookup, kept);
}

/* At once, or when its addresses are excluded: what is connected to before goes into the tunnel. */
static void let_through(struct ww_dns *dns, struct dns_lookup *lookup, const struct dns_kept *kept,
                        uint32_t ttl_s, const struct inspection *found)
{
    uint64_t hold = ++dns->serial << DNS_SLOT_BITS | lookup->slot;
    int rc = 0;

    if (found->address_count && dns_judge(dns, lookup->name) != WW_DNS_EXCLUDE) {
        rc = WW_ESTATE; /* not any more */
    } else if (found->address_count) {
        lookup->held = ww_alloc(1, kept->size);
        rc = !lookup->held
                 ? WW_ENOMEM
                 : dns->config.callbacks->exclude(dns->config.arg, hold, lookup->name,
                                                  found->addresses, found->address_count, ttl_s);
    }
    if (rc == WW_EAGAIN) {
        end_exchange(dns, lookup);
        memcpy(lookup->held, kept->bytes, kept->size);
        lookup->held_size = kept->size;
        lookup->held_s = ttl_s;
        lookup->hold = hold;
    } else if (rc) {
        give_up(dns, lookup);
    } else {
        keep_and_finish(dns, lookup, kept, ttl_s);
    }
}

void ww_dns_excluded(struct ww_dns *dns, uint64_t hold, int rc)
{
    struct dns_lookup *lookup = dns->lookups[hold & (WW_DNS_LOOKUPS_MAX - 1)];

    if (!lookup || !hold || lookup->hold != hold)
        return;
    uint8_t *held = lookup->held;
    struct dns_kept kept = {.bytes = held, .size = lookup->held_size, .ede = DNS_EDE_NONE};
    lookup->held = NULL;
    if (rc)
        give_up(dns, lookup);
    else
        keep_and_finish(dns, lookup, &kept, lookup->held_s);
    ww_free(held);
}

/* An answer that can be read: let through, or answered in its place. */
static void take(struct ww_dns *dns, struct dns_lookup *lookup, const uint8_t *message,
                 struct dns_answer *answer)
{
    struct inspection inspection = {.dns = dns, .lookup = lookup};
    struct dns_own own = {.ede = DNS_EDE_FILTERED};
    struct dns_kept kept = {.bytes = message, .size = answer->kept, .ede = DNS_EDE_NONE};
    uint32_t ttl_s = answer->ttl_s < DENIED_S ? answer->ttl_s : DENIED_S;

    if (dns_answer_walk(answer, inspect_record, &inspection)) {
        dns->stats.bad++;
        move_on(dns, lookup, WW_EMALFORMED);
        return;
    }
    if (inspection.verdict == WW_DNS_BLOCK || inspection.verdict == WW_DNS_ZERO) {
        dns->stats.blocked++;
        own = dns_own_of(inspection.verdict, lookup->question.type);
        finish_own(dns, lookup, &own, ttl_s);
    } else if (inspection.is_private && !may_be_private(dns, lookup->name)) {
        static const uint8_t codes[] = {[WW_DNS_EMPTY] = ns_r_noerror,
                                        [WW_DNS_NXDOMAIN] = ns_r_nxdomain,
                                        [WW_DNS_REFUSED] = ns_r_refused};
        dns->stats.denied++;
        own.code = codes[dns->config.denial];
        finish_own(dns, lookup, &own, ttl_s);
    } else {
        dns_answer_walk(answer, learn_record, &inspection);
        let_through(dns, lookup, &kept, answer->ttl_s, &inspection);
    }
}

void ww_dns_answer(struct ww_dns *dns, uint64_t exchange, const uint8_t *message, size_t size)
{
    struct dns_lookup *lookup = lookup_of(dns, exchange);
    struct dns_answer answer;

    if (!lookup)
        return;
    int rc = dns_answer_read(message, size, lookup->query, lookup->query_size, &answer);
    if (rc || (answer.is_truncated && lookup->is_stream)) {
        dns->stats.bad++;
        if (rc != WW_EFOREIGN || lookup->is_stream) /* else the right one may still come */
            move_on(dns, lookup, WW_EMALFORMED);
        return;
    }
    dns->upstreams[lookup->upstream].answered++;
    dns->upstreams[lookup->upstream].last_error = 0;
    dns->stats.answers++;
    if (answer.is_truncated) {
        lookup->is_stream = true;
        lookup->tries--; /* the same one again */
        end_exchange(dns, lookup);
        if (!dns_try_next(dns, lookup))
            give_up(dns, lookup);
    } else if (answer.code != ns_r_noerror && answer.code != ns_r_nxdomain) {
        lookup->code = answer.code;
        move_on(dns, lookup, WW_EREFUSED);
    } else {
        dns->preferred = lookup->upstream;
        take(dns, lookup, message, &answer);
    }
}
