/* Market stats: codec and arithmetic. Pure; see ww/market.h. */
#include "ww/market.h"

#include <string.h>

#define STAT_VERSION 1

void ww_market_stat_encode(const struct ww_market_stat *stat, struct ww_buf *out)
{
    ww_buf_put_u8(out, STAT_VERSION);
    ww_buf_put_u64(out, stat->id);
    ww_buf_put_u64(out, stat->time_s);
    ww_buf_put_u64(out, stat->price_nano_usd_per_gib);
    ww_buf_put_u32(out, stat->network_fee_ppm);
    ww_buf_put_u32(out, stat->exchange_fee_ppm);
    ww_buf_put_u8(out, (uint8_t)stat->rate_count);
    for (size_t index = 0; index < stat->rate_count; index++) {
        ww_buf_put(out, stat->rates[index].asset, WW_ASSET_SIZE);
        ww_buf_put_u64(out, stat->rates[index].units_per_usd);
    }
}

int ww_market_stat_decode(const void *data, size_t size, struct ww_market_stat *stat)
{
    struct ww_cursor in;

    memset(stat, 0, sizeof(*stat));
    ww_cursor_init(&in, data, size);
    if (ww_cursor_u8(&in) != STAT_VERSION)
        return WW_ECORRUPT;
    stat->id = ww_cursor_u64(&in);
    stat->time_s = ww_cursor_u64(&in);
    stat->price_nano_usd_per_gib = ww_cursor_u64(&in);
    stat->network_fee_ppm = ww_cursor_u32(&in);
    stat->exchange_fee_ppm = ww_cursor_u32(&in);
    stat->rate_count = ww_cursor_u8(&in);
    if (stat->id == 0 || stat->network_fee_ppm > WW_PPM || stat->exchange_fee_ppm > WW_PPM ||
        stat->rate_count > WW_MARKET_ASSETS_MAX)
        return WW_ECORRUPT;
    for (size_t index = 0; index < stat->rate_count; index++) {
        struct ww_market_rate *rate = &stat->rates[index];
        ww_cursor_copy(&in, rate->asset, WW_ASSET_SIZE);
        rate->units_per_usd = ww_cursor_u64(&in);
        if (rate->asset[0] == '\0' || rate->asset[WW_ASSET_SIZE - 1] != '\0' ||
            rate->units_per_usd == 0)
            return WW_ECORRUPT;
    }
    return ww_cursor_end(&in) ? WW_ECORRUPT : 0;
}

const struct ww_market_rate *ww_market_rate_of(const struct ww_market_stat *stat, const char *asset)
{
    for (size_t index = 0; index < stat->rate_count; index++)
        if (strncmp(stat->rates[index].asset, asset, WW_ASSET_SIZE) == 0)
            return &stat->rates[index];
    return NULL;
}

int ww_market_price(const struct ww_market_stat *stat, uint64_t bytes, uint32_t price_ppm,
                    struct ww_amount *nano_usd)
{
    struct ww_amount price = ww_amount_from_u64(stat->price_nano_usd_per_gib);

    if (bytes > WW_CONTRACT_BYTES_MAX || price_ppm > WW_PPM)
        return WW_EINVAL;
    /* One division, so one rounding: bytes * ppm is below 2^53, GiB * ppm below 2^51. */
    return ww_amount_scale_up(price, bytes * price_ppm, WW_GIB * WW_PPM, nano_usd);
}

uint64_t ww_market_bytes(const struct ww_market_stat *stat, const char *asset,
                         struct ww_amount balance)
{
    const struct ww_market_rate *rate = ww_market_rate_of(stat, asset);
    struct ww_amount nano, bytes;

    if (!rate || ww_amount_is_zero(balance))
        return 0;
    if (stat->price_nano_usd_per_gib == 0)
        return UINT64_MAX;
    if (ww_amount_scale_down(balance, WW_NANO, rate->units_per_usd, &nano) ||
        ww_amount_scale_down(nano, WW_GIB, stat->price_nano_usd_per_gib, &bytes) ||
        bytes.units > UINT64_MAX)
        return UINT64_MAX;
    return (uint64_t)bytes.units;
}

/* What one asset gives towards `missing`; both are changed. */
static int fund_part(const struct ww_market_rate *rate, const struct ww_part *balance,
                     struct ww_amount *missing, struct ww_part *part)
{
    struct ww_amount worth;
    int rc = ww_amount_scale_down(balance->amount, WW_NANO, rate->units_per_usd, &worth);

    if (rc && rc != WW_EOVERFLOW)
        return rc;
    /* A balance too large to be expressed in nano-dollars covers any price. */
    if (rc || ww_amount_compare(worth, *missing) > 0)
        worth = *missing;
    rc = ww_amount_scale_up(worth, rate->units_per_usd, WW_NANO, &part->amount);
    if (rc)
        return rc;
    memcpy(part->asset, balance->asset, WW_ASSET_SIZE);
    return ww_amount_subtract(*missing, worth, missing);
}

int ww_market_fund(const struct ww_market_stat *stat, struct ww_amount nano_usd,
                   const struct ww_part *balances, size_t balance_count,
                   struct ww_part parts[WW_CONTRACT_PARTS_MAX], size_t *part_count)
{
    struct ww_amount missing = nano_usd;
    size_t count = 0;

    for (size_t index = 0; index < balance_count && !ww_amount_is_zero(missing); index++) {
        const struct ww_market_rate *rate = ww_market_rate_of(stat, balances[index].asset);
        if (!rate || ww_amount_is_zero(balances[index].amount))
            continue;
        if (count == WW_CONTRACT_PARTS_MAX)
            return WW_EFUNDS;
        int rc = fund_part(rate, &balances[index], &missing, &parts[count]);
        if (rc)
            return rc;
        if (!ww_amount_is_zero(parts[count].amount))
            count++;
    }
    if (!ww_amount_is_zero(missing))
        return WW_EFUNDS;
    *part_count = count;
    return 0;
}
