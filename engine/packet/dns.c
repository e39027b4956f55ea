/* The forwarder as its owner sees it: questions of applications, what is answered at once, and what
 * there is to set up. What goes upstream is in dns_exchange.c. */
#include <stdio.h>
#include <string.h>

#include "dns_forward.h"

/* --- asks ------------------------------------------------------------------------------------- */

static struct dns_lookup *find(struct ww_dns *dns, const struct dns_key *key)
{
    for (size_t slot = 0; dns->lookup_count && slot < WW_DNS_LOOKUPS_MAX; slot++) {
        struct dns_lookup *lookup = dns->lookups[slot];
        if (lookup && lookup->key.size == key->size &&
            memcmp(lookup->key.bytes, key->bytes, key->size) == 0)
            return lookup;
    }
    return NULL;
}

/* A new one, on its way; NULL when there is no room, or nobody to ask. */
static struct dns_lookup *start(struct ww_dns *dns, const struct ww_dns_question *question,
                                const struct dns_key *key, const char *name)
{
    struct dns_lookup *lookup = NULL;
    size_t slot = 0;

    while (slot < WW_DNS_LOOKUPS_MAX && dns->lookups[slot])
        slot++;
    if (slot < WW_DNS_LOOKUPS_MAX)
        lookup = ww_alloc(1, sizeof(*lookup));
    if (!lookup) {
        dns->stats.overflows++;
        return NULL;
    }
    LIST_INIT(&lookup->asks);
    lookup->key = *key;
    lookup->question = *question;
    snprintf(lookup->name, sizeof(lookup->name), "%s", name);
    lookup->slot = slot;
    lookup->since_us = ww_loop_now_us(dns->loop);
    lookup->first_upstream = dns->preferred;
    lookup->is_excluded = key->bytes[key->size - 1];
    dns->lookups[slot] = lookup;
    if (dns->lookup_count++ == 0)
        ww_timer_start(dns->timer, DNS_TICK_US);
    if (dns_try_next(dns, lookup))
        return lookup;
    dns_drop(dns, lookup);
    ww_free(lookup);
    return NULL;
}

/* What can be said at once: true. */
static bool answer_here(struct ww_dns *dns, const struct ww_dns_question *question,
                        const char *name, struct dns_own *own, bool *is_excluded)
{
    *is_excluded = false;
    if (question->error) {
        *own = (struct dns_own){question->error, DNS_EDE_NONE, 0, NULL};
        dns->stats.local++;
        return true;
    }
    if (dns_special(question, name, own)) {
        dns->stats.local++;
        return true;
    }
    enum ww_dns_verdict verdict = dns_judge(dns, name);
    *is_excluded = verdict == WW_DNS_EXCLUDE;
    if (verdict == WW_DNS_ALLOW || *is_excluded)
        return false;
    dns->stats.blocked++;
    *own = dns_own_of(verdict, question->type);
    return true;
}

/* An answer of a name that was not excluded then is none for one that is now. */
static void make_key(const struct ww_dns_question *question, bool is_excluded, struct dns_key *key)
{
    dns_question_key(question, key);
    key->bytes[key->size++] = is_excluded;
}

/* From the cache, or on its way: WW_EAGAIN. Another error: SERVFAIL. */
static int look_up(struct ww_dns *dns, struct ww_dns_ask *ask, const char *name, bool is_excluded,
                   size_t *size)
{
    uint64_t now_us = ww_loop_now_us(dns->loop);
    const struct dns_entry *entry;
    struct dns_lookup *lookup;
    struct dns_key key;

    make_key(&ask->question, is_excluded, &key);
    entry = dns_cache_find(&dns->cache, &key, now_us);
    if (entry) {
        struct dns_kept kept = {entry->bytes + entry->key_size, entry->size,
                                (uint32_t)((now_us - entry->since_us) / 1000000), entry->ede};
        size_t limit = ask->is_stream ? DNS_MESSAGE_BYTES : ask->question.reply_bytes;
        *size = dns_reply_write(&ask->question, &kept, limit, dns->reply);
        dns->stats.hits++;
        return 0;
    }
    if (dns->asks_waiting >= WW_DNS_ASKS_MAX) {
        dns->stats.overflows++;
        return WW_ELIMIT;
    }
    lookup = find(dns, &key);
    if (lookup)
        dns->stats.joined++;
    else
        lookup = start(dns, &ask->question, &key, name);
    if (!lookup)
        return WW_ELIMIT;
    ask->waits_at = dns;
    LIST_INSERT_HEAD(&lookup->asks, ask, link);
    dns->asks_waiting++;
    return WW_EAGAIN;
}

int ww_dns_ask(struct ww_dns *dns, struct ww_dns_ask *ask, const uint8_t *message, size_t size,
               const uint8_t **reply, size_t *reply_size)
{
    struct dns_own own;
    char name[DNS_NAME_SIZE];
    bool is_excluded;

    ask->waits_at = NULL;
    int rc = dns_question_read(message, size, &ask->question);
    if (rc)
        return rc;
    dns->stats.asks++;
    dns_question_name(&ask->question, name);
    *reply = dns->reply;
    if (answer_here(dns, &ask->question, name, &own, &is_excluded)) {
        *reply_size = dns_reply_make(&ask->question, &own, dns->reply);
        return 0;
    }
    rc = look_up(dns, ask, name, is_excluded, reply_size);
    if (rc && rc != WW_EAGAIN) {
        own = (struct dns_own){ns_r_servfail, DNS_EDE_UNREACHABLE, 0, NULL};
        *reply_size = dns_reply_make(&ask->question, &own, dns->reply);
        rc = 0;
    }
    return rc;
}

/* A lookup that nobody waits for any more goes on: its answer is likely to be asked for again. */
void ww_dns_cancel(struct ww_dns_ask *ask)
{
    struct ww_dns *dns = ask->waits_at;

    if (!dns)
        return;
    LIST_REMOVE(ask, link);
    ask->waits_at = NULL;
    dns->asks_waiting--;
}

/* --- as a whole ------------------------------------------------------------------------------- */

int ww_dns_create(struct ww_loop *loop, const struct ww_dns_config *config, struct ww_dns **dns)
{
    struct ww_dns *created = ww_alloc(1, sizeof(*created));

    if (!created)
        return WW_ENOMEM;
    created->loop = loop;
    created->config = *config;
    dns_cache_start(&created->cache);
    dns_names_start(&created->names);
    int rc = ww_timer_create(loop, dns_tick, created, &created->timer);
    if (rc) {
        ww_free(created);
        return rc;
    }
    *dns = created;
    return 0;
}

void ww_dns_destroy(struct ww_dns *dns)
{
    struct ww_dns_ask *ask;

    if (!dns)
        return;
    for (size_t slot = 0; slot < WW_DNS_LOOKUPS_MAX; slot++) {
        struct dns_lookup *lookup = dns->lookups[slot];
        if (!lookup)
            continue;
        while ((ask = LIST_FIRST(&lookup->asks)))
            ww_dns_cancel(ask);
        dns_drop(dns, lookup);
        ww_free(lookup);
    }
    for (size_t index = 0; index < dns->private_count; index++)
        ww_free(dns->private_names[index]);
    dns_cache_clear(&dns->cache);
    dns_names_clear(&dns->names);
    ww_dns_lists_destroy(dns->lists);
    ww_timer_destroy(dns->timer);
    ww_free(dns);
}

int ww_dns_add_upstream(struct ww_dns *dns, const struct ww_target *upstream)
{
    if (upstream->kind == WW_TARGET_NAME)
        return WW_EINVAL;
    if (dns->upstream_count >= WW_DNS_UPSTREAMS_MAX)
        return WW_ELIMIT;
    dns->upstreams[dns->upstream_count++].target = *upstream;
    return 0;
}

int ww_dns_allow_private(struct ww_dns *dns, const char *name)
{
    struct ww_target target;

    if (dns->private_count >= WW_DNS_PRIVATE_MAX)
        return WW_ELIMIT;
    if (ww_target_parse(name, strlen(name), 1, &target) || target.kind != WW_TARGET_NAME)
        return WW_EINVAL;
    char *copy = ww_strdup(target.name);
    if (!copy)
        return WW_ENOMEM;
    for (char *at = copy; *at; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
    dns->private_names[dns->private_count++] = copy;
    return 0;
}

bool ww_dns_use_lists(struct ww_dns *dns, struct ww_dns_lists *lists)
{
    struct ww_dns_lists *before = dns->lists;
    bool is_same = before ? before->digest == lists->digest && before->count == lists->count &&
                                memcmp(before->names, lists->names, sizeof(lists->names)) == 0
                          : lists->count == 0;

    dns->lists = lists;
    ww_dns_lists_destroy(before);
    return !is_same;
}

void ww_dns_flush(struct ww_dns *dns)
{
    dns_cache_clear(&dns->cache);
}

const char *ww_dns_name_of(const struct ww_dns *dns, const uint8_t address[16])
{
    return dns_names_find(&dns->names, address);
}

void ww_dns_stats(const struct ww_dns *dns, struct ww_dns_stats *stats)
{
    *stats = dns->stats;
    stats->cached = HASH_COUNT(dns->cache.table);
    stats->cached_bytes = dns->cache.bytes;
    stats->waiting = dns->asks_waiting;
    stats->names = dns_names_count(&dns->names);
    stats->listed = dns->lists ? dns->lists->count : 0;
    stats->lists = dns->lists ? dns->lists->list_count : 0;
}

bool ww_dns_upstream_stats(const struct ww_dns *dns, size_t index,
                           struct ww_dns_upstream_stats *stats)
{
    if (index >= dns->upstream_count)
        return false;
    *stats = dns->upstreams[index];
    return true;
}
