/* The flow policy where flows open: see verdict.h.
 *
 * Relies on callers giving each verdict back: those of open flows are never thrown away, so the
 * table is bounded by the flows that there can be and WW_NODE_VERDICTS_MAX.
 */
#include "verdict.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "edge.h"

#define DENIAL_LOG_US 1000000

/* --- places ----------------------------------------------------------------------------------- */

static void leave_place(struct verdict *verdict)
{
    struct verdict_place *place = verdict->place;

    if (!place)
        return;
    verdict->place = NULL;
    verdict->bucket = (struct ww_flow_bucket){.bytes_s = 0};
    place->flows -= verdict->flows;
    if (--place->verdicts > 0)
        return;
    HASH_DEL(verdict->table->places, place);
    ww_free(place);
}

static struct verdict_place *find_place(struct verdicts *verdicts, const char *key)
{
    struct verdict_place *place;

    HASH_FIND_STR(verdicts->places, key, place);
    if (place)
        return place;
    place = ww_alloc(1, sizeof(*place));
    if (!place)
        return NULL;
    snprintf(place->key, sizeof(place->key), "%s", key);
    HASH_ADD_STR(verdicts->places, key, place);
    if (!place->hh.tbl) {
        ww_free(place);
        return NULL;
    }
    return place;
}

/* The verdict, with the flows that are open under it, becomes one of the place. Where a policy
 * gives flows of one place several rates, by their names, each rate is a place. */
static int enter_place(struct verdict *verdict, const struct ww_hook_flow_request *request,
                       uint64_t bytes_s)
{
    char key[VERDICT_PLACE_KEY_SIZE];

    snprintf(key, sizeof(key), "%c %u %s %" PRIu64, "tui"[request->protocol],
             (unsigned)request -> port, request -> host, bytes_s);
    struct verdict_place *place = find_place(verdict->table, key);
    if (!place)
        return WW_ENOMEM;
    place->verdicts++; /* before it leaves the old one, which may be the same */
    place->flows += verdict->flows;
    leave_place(verdict);
    place->bucket.bytes_s = bytes_s;
    verdict->place = place;
    verdict->bucket.bytes_s = bytes_s;
    verdict->bucket.shared = &place->bucket;
    return 0;
}

/* --- verdicts --------------------------------------------------------------------------------- */

void verdicts_clear(struct verdicts *verdicts)
{
    struct verdict *verdict, *next;

    HASH_ITER(hh, verdicts->table, verdict, next)
    {
        leave_place(verdict);
        HASH_DEL(verdicts->table, verdict);
        ww_free(verdict);
    }
    memset(verdicts, 0, sizeof(*verdicts));
}

/* What the policy is told, but for what only this moment knows. */
static void describe(const struct edge *edge, const struct verdict_about *about,
                     struct ww_hook_flow_request *request)
{
    const struct ww_dest *dest = about->dest;

    request->side = edge->role == WW_TRANSFER_PROVIDER ? WW_HOOK_AT_PROVIDER : WW_HOOK_AT_CLIENT;
    request->protocol = about->is_echo                  ? WW_HOOK_ICMP
                        : dest->protocol == WW_DEST_UDP ? WW_HOOK_UDP
                                                        : WW_HOOK_TCP;
    request->port = dest->port;
    switch (dest->kind) {
    case WW_DEST_IPV4:
        request->kind = WW_HOOK_IPV4;
        inet_ntop(AF_INET, dest->address, request->host, sizeof(request->host));
        break;
    case WW_DEST_IPV6:
        request->kind = WW_HOOK_IPV6;
        inet_ntop(AF_INET6, dest->address, request->host, sizeof(request->host));
        break;
    case WW_DEST_NAME:
        request->kind = WW_HOOK_NAME;
        for (size_t index = 0; dest->name[index]; index++)
            request->host[index] = (char)tolower((unsigned char)dest->name[index]);
        snprintf(request->name, sizeof(request->name), "%s", request->host);
        break;
    case WW_DEST_NONE: /* packets: each of their flows has a destination of its own */
        break;
    }
    if (about->name)
        snprintf(request->name, sizeof(request->name), "%s", about->name);
    if (about->application)
        snprintf(request->application, sizeof(request->application), "%s", about->application);
    if (about->country)
        snprintf(request->country, sizeof(request->country), "%s", about->country);
    request->network = about->network;
}

static void drop(struct verdicts *verdicts, struct verdict *verdict)
{
    TAILQ_REMOVE(&verdicts->idle, verdict, idle);
    leave_place(verdict);
    HASH_DEL(verdicts->table, verdict);
    ww_free(verdict);
}

/* A new one, in the place of the oldest that no flow needs when there are too many. */
static struct verdict *add(struct verdicts *verdicts, const char *key)
{
    struct verdict *verdict;

    if (!verdicts->table)
        TAILQ_INIT(&verdicts->idle);
    if (HASH_COUNT(verdicts->table) >= WW_NODE_VERDICTS_MAX && !TAILQ_EMPTY(&verdicts->idle))
        drop(verdicts, TAILQ_FIRST(&verdicts->idle));
    verdict = ww_alloc(1, sizeof(*verdict));
    if (!verdict)
        return NULL;
    verdict->table = verdicts;
    snprintf(verdict->key, sizeof(verdict->key), "%s", key);
    HASH_ADD_STR(verdicts->table, key, verdict);
    if (!verdict->hh.tbl) {
        ww_free(verdict);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&verdicts->idle, verdict, idle);
    return verdict;
}

/* Without the destination, which is nobody's business; not more than once a second, as a client
 * may open flows to be denied as often as it likes. */
static void log_denial(struct verdicts *verdicts, uint64_t now_us, const char *reason)
{
    if (now_us - verdicts->logged_us < DENIAL_LOG_US)
        return;
    verdicts->logged_us = now_us;
    ww_log(WW_LOG_INFO, "node", "the flow policy denies a destination", "reason=%s", WW_Q(reason));
}

static int decide(struct edge *edge, struct ww_hook_flow_request *request, struct verdict *verdict)
{
    struct ww_policy_context context = {.now_s = ww_clock_wall_ms() / 1000};
    struct ww_hook_flow_decision decision;

    request->flows = edge->verdicts.flows;
    ww_random_bytes(&context.seed, sizeof(context.seed));
    node_decide(&edge->policies, WW_HOOK_FLOW_VERDICT, request, &context, &decision, NULL);
    if (decision.decision != WW_HOOK_LIMIT)
        leave_place(verdict);
    else if (enter_place(verdict, request, decision.bytes_s))
        return WW_ENOMEM; /* and it is asked anew */
    verdict->decision = decision.decision;
    verdict->max_flows = decision.max_flows;
    verdict->until_us = ww_loop_now_us(edge->loop) + decision.seconds * 1000000;
    verdict->epoch = edge->verdicts.epoch;
    if (decision.decision == WW_HOOK_DENY)
        log_denial(&edge->verdicts, ww_loop_now_us(edge->loop), decision.reason);
    return 0;
}

/* Answers of another generation hold no longer. */
static void notice_generation(struct edge *edge)
{
    struct ww_policy_generation now;

    ww_policy_live_current(edge->policies.live, &now);
    if (ww_hash_equal(&now.hash, &edge->verdicts.generation))
        return;
    edge->verdicts.generation = now.hash;
    edge->verdicts.epoch++;
}

int verdict_ask(struct edge *edge, const struct ww_dest *dest, struct verdict **out)
{
    struct verdict_about about = {.dest = dest};
    struct ww_place place;

    flows_place(edge, dest, &place);
    about.country = place.country;
    about.network = place.network;
    return verdict_ask_about(edge, &about, out);
}

int verdict_ask_about(struct edge *edge, const struct verdict_about *about, struct verdict **out)
{
    struct verdicts *verdicts = &edge->verdicts;
    struct ww_hook_flow_request request = {.port = 0};
    struct verdict *verdict = NULL;
    char key[VERDICT_KEY_SIZE];

    *out = NULL;
    notice_generation(edge);
    describe(edge, about, &request);
    if (flows_blocked(edge, about, &request)) {
        verdicts->denied++;
        return WW_EDENIED;
    }
    snprintf(key, sizeof(key), "%c %u %s %s %s", "tui"[request.protocol],
             (unsigned)about -> dest -> port, request.host, about->name ? about->name : "",
             request.application);
    HASH_FIND_STR(verdicts->table, key, verdict);
    if (!verdict && !(verdict = add(verdicts, key)))
        return WW_ENOMEM;
    bool holds =
        verdict->epoch == verdicts->epoch && verdict->until_us > ww_loop_now_us(edge->loop);
    if (!holds && decide(edge, &request, verdict))
        return WW_ENOMEM;
    if (verdict->decision == WW_HOOK_DENY) {
        verdicts->denied++;
        return WW_EDENIED;
    }
    if (verdict->decision == WW_HOOK_LIMIT && verdict->place->flows >= verdict->max_flows) {
        verdicts->limited++;
        return WW_ELIMIT;
    }
    if (verdict->flows++ == 0)
        TAILQ_REMOVE(&verdicts->idle, verdict, idle);
    if (verdict->place)
        verdict->place->flows++;
    verdicts->flows++;
    *out = verdict;
    return 0;
}

void verdict_end(struct verdict **out)
{
    struct verdict *verdict = *out;

    *out = NULL;
    if (!verdict)
        return;
    WW_REQUIRE(verdict->flows > 0 && verdict->table->flows > 0);
    verdict->table->flows--;
    if (verdict->place)
        verdict->place->flows--;
    if (--verdict->flows > 0)
        return;
    struct verdicts *verdicts = verdict->table;
    TAILQ_INSERT_TAIL(&verdicts->idle, verdict, idle);
    /* More flows were open than are remembered: what they needed goes with them. */
    while (HASH_COUNT(verdicts->table) > WW_NODE_VERDICTS_MAX && !TAILQ_EMPTY(&verdicts->idle))
        drop(verdicts, TAILQ_FIRST(&verdicts->idle));
}
