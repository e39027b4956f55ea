/* Market stats and what a contract costs: pure arithmetic, every division names its rounding.
 *
 * A market stat is immutable and numbered. Prices are per GiB in nano-dollars (1e-9 dollar), the
 * unit in which contracts are priced; a rate says how many base units of an asset a dollar is.
 */
#pragma once
#include "ww/amount.h"
#include "ww/buf.h"
#include "ww/ledger.h"

#define WW_MARKET_ASSETS_MAX 8
#define WW_GIB               (1ULL << 30)
#define WW_PPM               1000000ULL
#define WW_NANO              1000000000ULL

struct ww_market_rate {
    char asset[WW_ASSET_SIZE];
    uint64_t units_per_usd; /* > 0 */
};
struct ww_market_stat {
    uint64_t id;     /* from 1 */
    uint64_t time_s; /* since 1970: when it came into force */
    uint64_t price_nano_usd_per_gib;
    uint32_t network_fee_ppm, exchange_fee_ppm; /* on the way into the market wallet */
    size_t rate_count;
    struct ww_market_rate rates[WW_MARKET_ASSETS_MAX];
};

#define WW_MARKET_STAT_BYTES_MAX 256
/* Appends. */
void ww_market_stat_encode(const struct ww_market_stat *stat, struct ww_buf *out);
/* WW_ECORRUPT. */
int ww_market_stat_decode(const void *data, size_t size, struct ww_market_stat *stat);
/* NULL when the stat doesn't know the asset. */
const struct ww_market_rate *ww_market_rate_of(const struct ww_market_stat *stat,
                                               const char *asset);

/* Price in nano-dollars of `bytes` at price_ppm of the stat's price, rounded up.
 * bytes <= WW_CONTRACT_BYTES_MAX, price_ppm <= 1000000. WW_EINVAL, WW_EOVERFLOW. */
int ww_market_price(const struct ww_market_stat *stat, uint64_t bytes, uint32_t price_ppm,
                    struct ww_amount *nano_usd);
/* Bytes that `balance` of the asset buys at the full price, rounded down; UINT64_MAX when the
 * price is 0 and the balance isn't. 0 for an asset without a rate. */
uint64_t ww_market_bytes(const struct ww_market_stat *stat, const char *asset,
                         struct ww_amount balance);
/* Splits a price over assets in the given order: each gives what it has until the price is met.
 * Parts are rounded up, so that the escrow covers the price. A price of 0 gives no parts.
 * WW_EFUNDS when it is not met by the first WW_CONTRACT_PARTS_MAX assets that have anything. */
int ww_market_fund(const struct ww_market_stat *stat, struct ww_amount nano_usd,
                   const struct ww_part *balances, size_t balance_count,
                   struct ww_part parts[WW_CONTRACT_PARTS_MAX], size_t *part_count);
