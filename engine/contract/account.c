/* What steps of contracts mean for their two networks: see ww/account.h.
 *
 * Relies on ledger for facts. Must never write with whom a network dealt, nor let a network's
 * dealings with itself count.
 */
#include "ww/account.h"

#include <stdio.h>
#include <string.h>

#include "ww/market.h"

#define DAY_S        86400
#define HALVINGS_MAX 10 /* of 64 MiB: 64 KiB, the smallest window */
#define STRIKE_S     (90 * DAY_S)
#define STRIKES_MAX  64 /* kept of one network: far beyond what any policy bears */

static void key_of(const char *kind, const struct ww_id *network, char key[64])
{
    char id[WW_ID_TEXT_SIZE];

    snprintf(key, 64, "%s/%s", kind, ww_id_format(network, id));
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

void ww_account_get(const struct ww_ledger *ledger, const struct ww_id *network,
                    struct ww_account *account)
{
    char key[64];
    const void *value = NULL;
    size_t size = 0;
    struct ww_cursor in;

    memset(account, 0, sizeof(*account));
    key_of("settled", network, key);
    if (ww_ledger_get(ledger, key, &value, &size))
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

int ww_account_put(struct ww_ledger *ledger, const struct ww_id *network,
                   const struct ww_account *account)
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
    return ww_ledger_put(ledger, key, value, sizeof(value));
}

static int settle_one(struct ww_ledger *ledger, const struct ww_contract *terms, bool as_client,
                      const struct ww_contract_outcome *outcome, uint64_t day)
{
    const struct ww_id *network = as_client ? &terms->client_network : &terms->provider_network;
    int side = as_client ? WW_CONTRACT_CLIENT : WW_CONTRACT_PROVIDER;
    struct ww_account account;

    ww_account_get(ledger, network, &account);
    if (as_client)
        account.settled_bytes = sum(account.settled_bytes, outcome->used);
    if (account.day != day) {
        account.day = day;
        account.paid_bytes = account.forgiven_bytes = 0;
    }
    account.paid_bytes = sum(account.paid_bytes, outcome->used);
    account.forgiven_bytes = sum(account.forgiven_bytes, outcome->forgiven);
    if (account.halvings > 0 && !outcome->differed[side])
        account.calm_bytes = sum(account.calm_bytes, outcome->used);
    while (account.halvings > 0 && account.calm_bytes >= WW_GIB) {
        account.halvings--;
        account.calm_bytes -= WW_GIB;
    }
    if (account.halvings == 0)
        account.calm_bytes = 0;
    return ww_account_put(ledger, network, &account);
}

static int differ_one(struct ww_ledger *ledger, const struct ww_id *network)
{
    struct ww_account account;

    ww_account_get(ledger, network, &account);
    account.halvings = WW_MIN(account.halvings + 1, (uint64_t)HALVINGS_MAX);
    account.calm_bytes = 0;
    return ww_account_put(ledger, network, &account);
}

static int dispute_one(struct ww_ledger *ledger, const struct ww_id *network)
{
    struct ww_account account;

    ww_account_get(ledger, network, &account);
    account.disputes = sum(account.disputes, 1);
    return ww_account_put(ledger, network, &account);
}

bool ww_account_may_forgive(const struct ww_ledger *ledger, const struct ww_contract *terms,
                            uint64_t bytes, uint64_t now_s)
{
    const struct ww_id *networks[2] = {&terms->client_network, &terms->provider_network};
    uint64_t day = now_s / DAY_S;

    /* In the family nobody pays; what it says of itself must not count. */
    if (ww_id_equal(networks[0], networks[1]))
        return false;
    for (size_t index = 0; index < 2; index++) {
        struct ww_account account;

        ww_account_get(ledger, networks[index], &account);
        if (account.day != day ||
            sum(account.forgiven_bytes, bytes) > account.paid_bytes / WW_FORGIVEN_DAY_SHARE)
            return false;
    }
    return true;
}

uint64_t ww_account_window_cap(const struct ww_ledger *ledger, const struct ww_contract *terms,
                               uint64_t asked)
{
    struct ww_account client, provider;

    ww_account_get(ledger, &terms->client_network, &client);
    ww_account_get(ledger, &terms->provider_network, &provider);
    uint64_t halvings = WW_MIN(WW_MAX(client.halvings, provider.halvings), (uint64_t)HALVINGS_MAX);
    return WW_MAX(asked >> halvings, (uint64_t)WW_WINDOW_FIRST_BYTES);
}

/* --- strikes ---------------------------------------------------------------------------------- */

/* Copies the times that still count; at most STRIKES_MAX, the latest. */
static size_t read_strikes(const struct ww_ledger *ledger, const struct ww_id *network,
                           uint64_t now_s, uint64_t times[STRIKES_MAX])
{
    uint64_t since_s = now_s - STRIKE_S;
    char key[64];
    const void *value = NULL;
    size_t size = 0, count = 0;
    struct ww_cursor in;

    key_of("strike", network, key);
    if (ww_ledger_get(ledger, key, &value, &size))
        return 0;
    ww_cursor_init(&in, value, size);
    for (size_t index = 0; index < size / sizeof(uint64_t) && count < STRIKES_MAX; index++) {
        uint64_t time_s = ww_cursor_u64(&in);
        if (time_s > since_s)
            times[count++] = time_s;
    }
    return count;
}

static int strike_one(struct ww_ledger *ledger, const struct ww_id *network, uint64_t now_s)
{
    uint8_t value[STRIKES_MAX * sizeof(uint64_t)];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};
    uint64_t times[STRIKES_MAX];
    size_t count = read_strikes(ledger, network, now_s, times);
    char key[64];

    for (size_t index = count == STRIKES_MAX ? 1 : 0; index < count; index++)
        ww_buf_put_u64(&out, times[index]);
    ww_buf_put_u64(&out, now_s);
    key_of("strike", network, key);
    return ww_ledger_put(ledger, key, value, out.size);
}

uint64_t ww_account_strikes(const struct ww_ledger *ledger, const struct ww_id *network,
                            uint64_t now_s)
{
    uint64_t times[STRIKES_MAX];

    return read_strikes(ledger, network, now_s, times);
}

/* --- steps ------------------------------------------------------------------------------------ */

static int book_side(struct ww_ledger *ledger, const struct ww_contract *after, bool as_client,
                     const struct ww_contract_outcome *outcome, uint64_t now_s)
{
    const struct ww_id *network = as_client ? &after->client_network : &after->provider_network;
    int side = as_client ? WW_CONTRACT_CLIENT : WW_CONTRACT_PROVIDER;
    bool is_one = ww_id_equal(&after->client_network, &after->provider_network);
    int rc = 0, other = 0;

    /* In the family nobody pays: two closes that nobody used anything for would buy a standing. */
    if (outcome->action == WW_CONTRACT_SETTLE && !is_one)
        rc = settle_one(ledger, after, as_client, outcome, now_s / DAY_S);
    if (outcome->differed[side] || (is_one && outcome->differed[!side]))
        other = differ_one(ledger, network);
    rc = rc ? rc : other;
    if (outcome->action == WW_CONTRACT_DISPUTE || outcome->action == WW_CONTRACT_SPLIT)
        other = dispute_one(ledger, network);
    return rc ? rc : other;
}

int ww_account_book(struct ww_ledger *ledger, const struct ww_contract *after,
                    const struct ww_contract_outcome *outcome, uint64_t now_s)
{
    bool is_one = ww_id_equal(&after->client_network, &after->provider_network);
    int rc = book_side(ledger, after, true, outcome, now_s);
    int other = is_one ? 0 : book_side(ledger, after, false, outcome, now_s);

    rc = rc ? rc : other;
    if (outcome->strike[WW_CONTRACT_CLIENT])
        other = strike_one(ledger, &after->client_network, now_s);
    rc = rc ? rc : other;
    if (outcome->strike[WW_CONTRACT_PROVIDER])
        other = strike_one(ledger, &after->provider_network, now_s);
    return rc ? rc : other;
}
