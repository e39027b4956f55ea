/* Stored contracts and market stats: what decodes encodes to the same bytes again, makes a token
 * that the codec takes, and no event breaks it. Relies on layouts without slack. */
#include <string.h>

#include "ww/contract.h"
#include "ww/market.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_steps(const struct ww_contract *contract)
{
    for (int kind = WW_CONTRACT_EV_ACCEPT; kind <= WW_CONTRACT_EV_RESTART; kind++) {
        struct ww_contract copy = *contract;
        struct ww_contract_outcome outcome;
        struct ww_contract_event event = {
            .kind = (enum ww_contract_event_kind)kind,
            .now_s = contract->bytes, /* any time will do */
            .now_ms = contract->waiting_since_ms + 1,
            .close = {.reason = WW_CLOSE_DONE, .bytes_up = contract->stat_id},
        };

        if (ww_contract_step(&copy, &event, &outcome) == 0)
            WW_REQUIRE(outcome.action != WW_CONTRACT_SETTLE || outcome.used <= contract->bytes);
        ww_contract_deadline_ms(&copy, event.now_s, event.now_ms);
    }
}

static void check_contract(const uint8_t *data, size_t size)
{
    struct ww_contract contract;
    uint8_t again[WW_CONTRACT_RECORD_SIZE];

    if (ww_contract_decode(data, size, 1000, &contract))
        return;
    WW_REQUIRE(size == WW_CONTRACT_RECORD_SIZE);
    ww_contract_encode(&contract, again);
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
