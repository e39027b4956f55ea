/* Stored contracts and market stats: what decodes encodes to the same bytes again, makes a token
 * that the codec takes, and no event breaks it. Relies on layouts without slack. */
#include <string.h>

#include "ww/contract.h"
#include "ww/market.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_step(struct ww_contract contract, const struct ww_contract_event *event)
{
    struct ww_contract_outcome outcome;
    uint64_t low = contract.settled_bytes;

    if (ww_contract_step(&contract, event, &outcome) == 0 && outcome.action == WW_CONTRACT_SETTLE)
        WW_REQUIRE(outcome.used <= contract.bytes && outcome.part <= outcome.whole &&
                   outcome.used == outcome.part + low);
    if (outcome.action == WW_CONTRACT_SPLIT)
        WW_REQUIRE(contract.disputed_bytes > 0 &&
                   contract.settled_bytes + contract.disputed_bytes <= contract.bytes);
    ww_contract_deadline_ms(&contract, event);
}

static void check_steps(const struct ww_contract *contract)
{
    static const struct ww_contract_evidence nothing;

    for (int kind = WW_CONTRACT_EV_ACCEPT; kind <= WW_CONTRACT_EV_RESTART; kind++) {
        struct ww_contract_event event = {
            .kind = (enum ww_contract_event_kind)kind,
            .now_s = contract->bytes, /* any time will do */
            .now_ms = contract->waiting_since_ms + contract->stat_id,
            .close = {.reason = WW_CLOSE_DONE, .bytes_up = contract->stat_id},
            .party = contract->stat_id % 2 ? WW_CONTRACT_CLIENT : WW_CONTRACT_PROVIDER,
            .receipt = contract->held[0],
            .banned = {contract->stat_id % 2 == 0, contract->stat_id % 3 == 0},
            .evidence = &nothing,
            .verdict = (enum ww_verdict)(contract->stat_id % 7),
        };

        check_step(*contract, &event);
    }
}

static void check_contract(const uint8_t *data, size_t size)
{
    struct ww_contract contract;
    uint8_t again[WW_CONTRACT_RECORD_BYTES_MAX];

    if (ww_contract_decode(data, size, UINT64_MAX, &contract))
        return;
    WW_REQUIRE(ww_contract_encode(&contract, again) == size);
    WW_REQUIRE(memcmp(again, data, size) == 0);
    check_steps(&contract);
}

static void check_stat(const uint8_t *data, size_t size)
{
    struct ww_market_stat stat;
    struct ww_buf out;

    if (ww_market_stat_decode(data, size, &stat))
        return;
    ww_buf_init(&out, WW_MARKET_STAT_BYTES_MAX);
    ww_market_stat_encode(&stat, &out);
    WW_REQUIRE(!out.error && out.size == size && memcmp(out.data, data, size) == 0);
    ww_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_contract(data, size);
    check_stat(data, size);
    return 0;
}
