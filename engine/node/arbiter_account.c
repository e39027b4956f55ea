/* What the arbiter knows of a network as a party to contracts: sums, never with whom.
 *
 * "settled/<network>" holds seven numbers, "strike/<network>" the times of its strikes. Both are
 * advice: for policies, for the size of windows and for what is forgiven. Relies on the ledger's
 * facts, so they are written in the batch of what they count.
 */
#include <stdio.h>
#include <string.h>

#include "arbiter.h"

#define DAY_S        86400
#define HALVINGS_MAX 10 /* of 64 MiB: 64 KiB, the smallest window */
#define STRIKE_S     (90 * DAY_S)
#define STRIKES_MAX  64 /* kept of one network: far beyond what any policy bears */

static void key_of(const char *kind, const struct ww_id *network, char key[64])
{
    char id[WW_ID_TEXT_SIZE];

    snprintf(key, 64, "%s/%s", kind, ww_id_format(network, id));
}

static uint64_t now_s(const struct arbiter *arbiter)
{
    struct ww_contract_event now;

    arbiter_now(arbiter, &now);
    return now.now_s;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

void arbiter_account(const struct arbiter *arbiter, const struct ww_id *network,
                     struct arbiter_account *account)
{
    char key[64];
    const void *value = NULL;
    size_t size = 0;
    struct ww_cursor in;

    memset(account, 0, sizeof(*account));
    key_of("settled", network, key);
    if (ww_ledger_get(arbiter->ledger, key, &value, &size))
        return;
    ww_cursor_init(&in, value, size);
    account->settled_bytes = ww_cursor_u64(&in);
    if (size == sizeof(uint64_t)) /* as the first version wrote it */
        return;
    account->day = ww_cursor_u64(&in);
    account->paid_bytes = ww_cursor_u64(&in);
    account->forgiven_bytes = ww_cursor_u64(&in);
    account->halvings = ww_cursor_u64(&in);
    account->calm_bytes = ww_cursor_u64(&in);
    account->disputes = ww_cursor_u64(&in);
}

static void put(struct arbiter *arbiter, const struct ww_id *network,
                const struct arbiter_account *account)
{
    uint8_t value[7 * sizeof(uint64_t)];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};
    char key[64];

    ww_buf_put_u64(&out, account->settled_bytes);
    ww_buf_put_u64(&out, account->day);
    ww_buf_put_u64(&out, account->paid_bytes);
    ww_buf_put_u64(&out, account->forgiven_bytes);
    ww_buf_put_u64(&out, account->halvings);
    ww_buf_put_u64(&out, account->calm_bytes);
    ww_buf_put_u64(&out, account->disputes);
    key_of("settled", network, key);
    if (ww_ledger_put(arbiter->ledger, key, value, sizeof(value)))
        ww_log(WW_LOG_WARN, "arbiter", "a network's sums could not be written", "%s", "");
}

static void settle_one(struct arbiter *arbiter, const struct ww_contract *terms, bool as_client,
                       const struct ww_contract_outcome *outcome)
{
    const struct ww_id *network = as_client ? &terms->client_network : &terms->provider_network;
    uint64_t day = now_s(arbiter) / DAY_S;
    struct arbiter_account account;

    arbiter_account(arbiter, network, &account);
    if (as_client)
        account.settled_bytes = sum(account.settled_bytes, outcome->used);
    if (account.day != day) {
        account.day = day;
        account.paid_bytes = account.forgiven_bytes = 0;
    }
    if (!ww_id_equal(&terms->client_network, &terms->provider_network))
        account.paid_bytes = sum(account.paid_bytes, outcome->used);
    account.forgiven_bytes = sum(account.forgiven_bytes, outcome->forgiven);
    if (account.halvings > 0 && !outcome->differed)
        account.calm_bytes = sum(account.calm_bytes, outcome->used);
    while (account.halvings > 0 && account.calm_bytes >= WW_GIB) {
        account.halvings--;
        account.calm_bytes -= WW_GIB;
    }
    if (account.halvings == 0)
        account.calm_bytes = 0;
    put(arbiter, network, &account);
}

void arbiter_account_settled(struct arbiter *arbiter, const struct ww_contract *terms,
                             const struct ww_contract_outcome *outcome)
{
    settle_one(arbiter, terms, true, outcome);
    if (!ww_id_equal(&terms->client_network, &terms->provider_network))
        settle_one(arbiter, terms, false, outcome);
}

static void differ_one(struct arbiter *arbiter, const struct ww_id *network)
{
    struct arbiter_account account;

    arbiter_account(arbiter, network, &account);
    account.halvings = WW_MIN(account.halvings + 1, (uint64_t)HALVINGS_MAX);
    account.calm_bytes = 0;
    put(arbiter, network, &account);
}

void arbiter_account_differed(struct arbiter *arbiter, const struct ww_contract *terms)
{
    differ_one(arbiter, &terms->client_network);
    if (!ww_id_equal(&terms->client_network, &terms->provider_network))
        differ_one(arbiter, &terms->provider_network);
}

void arbiter_account_disputed(struct arbiter *arbiter, const struct ww_contract *terms)
{
    const struct ww_id *networks[2] = {&terms->client_network, &terms->provider_network};
    size_t count = ww_id_equal(networks[0], networks[1]) ? 1 : 2;

    for (size_t index = 0; index < count; index++) {
        struct arbiter_account account;

        arbiter_account(arbiter, networks[index], &account);
        account.disputes = sum(account.disputes, 1);
        put(arbiter, networks[index], &account);
    }
}

bool arbiter_may_forgive(const struct arbiter *arbiter, const struct ww_contract *terms,
                         uint64_t bytes)
{
    const struct ww_id *networks[2] = {&terms->client_network, &terms->provider_network};
    uint64_t day = now_s(arbiter) / DAY_S;

    /* In the family nobody pays; what it says of itself must not count. */
    if (ww_id_equal(networks[0], networks[1]))
        return false;
    for (size_t index = 0; index < 2; index++) {
        struct arbiter_account account;

        arbiter_account(arbiter, networks[index], &account);
        if (account.day != day ||
            sum(account.forgiven_bytes, bytes) > account.paid_bytes / WW_FORGIVEN_DAY_SHARE)
            return false;
    }
    return true;
}

uint64_t arbiter_window_cap(const struct arbiter *arbiter, const struct ww_contract *terms,
                            uint64_t asked)
{
    struct arbiter_account client, provider;

    arbiter_account(arbiter, &terms->client_network, &client);
    arbiter_account(arbiter, &terms->provider_network, &provider);
    uint64_t halvings = WW_MIN(WW_MAX(client.halvings, provider.halvings), (uint64_t)HALVINGS_MAX);
    return WW_MAX(asked >> halvings, (uint64_t)WW_WINDOW_FIRST_BYTES);
}

/* --- strikes ---------------------------------------------------------------------------------- */

/* Copies the times that still count; at most STRIKES_MAX, the latest. */
static size_t read_strikes(const struct arbiter *arbiter, const struct ww_id *network,
                           uint64_t times[STRIKES_MAX])
{
    uint64_t since_s = now_s(arbiter) - STRIKE_S;
    char key[64];
    const void *value = NULL;
    size_t size = 0, count = 0;
    struct ww_cursor in;

    key_of("strike", network, key);
    if (ww_ledger_get(arbiter->ledger, key, &value, &size))
        return 0;
    ww_cursor_init(&in, value, size);
    for (size_t index = 0; index < size / sizeof(uint64_t) && count < STRIKES_MAX; index++) {
        uint64_t time_s = ww_cursor_u64(&in);
        if (time_s > since_s)
            times[count++] = time_s;
    }
    return count;
}

void arbiter_strike(struct arbiter *arbiter, const struct ww_id *network)
{
    uint8_t value[STRIKES_MAX * sizeof(uint64_t)];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};
    uint64_t times[STRIKES_MAX];
    size_t count = read_strikes(arbiter, network, times);
    char key[64];

    for (size_t index = count == STRIKES_MAX ? 1 : 0; index < count; index++)
        ww_buf_put_u64(&out, times[index]);
    ww_buf_put_u64(&out, now_s(arbiter));
    key_of("strike", network, key);
    if (ww_ledger_put(arbiter->ledger, key, value, out.size))
        ww_log(WW_LOG_WARN, "arbiter", "a strike could not be written", "%s", "");
}

uint64_t arbiter_strikes(const struct arbiter *arbiter, const struct ww_id *network)
{
    uint64_t times[STRIKES_MAX];

    return read_strikes(arbiter, network, times);
}
