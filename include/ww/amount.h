/* Amounts of money: unsigned 128-bit integers in an asset's base unit.
 *
 * Relies on nothing. Never rounds silently: each function that divides says how.
 * Glossary: base unit - the smallest unit of an asset (1 mojo, 1 lamport, 1e-9 dollar);
 *           part      - what one asset contributes to a contract's escrow.
 */
#pragma once
#include "ww/base.h"

struct ww_amount {
    unsigned __int128 units;
};

#define WW_AMOUNT_ZERO      ((struct ww_amount){0})
#define WW_AMOUNT_TEXT_SIZE 40 /* 39 digits of 2^128-1 and a NUL */

struct ww_amount ww_amount_from_u64(uint64_t units);
/* -1, 0 or 1 as a < b, a == b, a > b. */
int ww_amount_compare(struct ww_amount a, struct ww_amount b);
bool ww_amount_is_zero(struct ww_amount a);
/* sum = a + b. WW_EOVERFLOW leaves *sum as it was. */
int ww_amount_add(struct ww_amount a, struct ww_amount b, struct ww_amount *sum);
/* difference = a - b. WW_ERANGE if b > a; *difference stays as it was. */
int ww_amount_subtract(struct ww_amount a, struct ww_amount b, struct ww_amount *difference);
/* share = floor(whole * used / total), rest = whole - share; exact (192-bit product), nothing is
 * lost. total > 0 and used <= total, else WW_EINVAL. */
int ww_amount_prorate(struct ww_amount whole, uint64_t used, uint64_t total,
                      struct ww_amount *share, struct ww_amount *rest);
/* product = ceil(a * multiplier / divisor); divisor > 0, else WW_EINVAL; WW_EOVERFLOW. */
int ww_amount_scale_up(struct ww_amount a, uint64_t multiplier, uint64_t divisor,
                       struct ww_amount *product);
/* product = floor(a * multiplier / divisor); divisor > 0, else WW_EINVAL; WW_EOVERFLOW. */
int ww_amount_scale_down(struct ww_amount a, uint64_t multiplier, uint64_t divisor,
                         struct ww_amount *product);
/* Decimal digits, no sign, no separator; out has WW_AMOUNT_TEXT_SIZE bytes. Returns out. */
const char *ww_amount_format(struct ww_amount a, char *out);
/* Decimal digits only, no leading zero but "0" itself, at most 39. WW_EINVAL or WW_EOVERFLOW. */
int ww_amount_parse(const char *text, size_t size, struct ww_amount *out);
/* 16 bytes big-endian. */
void ww_amount_encode(struct ww_amount a, uint8_t out[16]);
struct ww_amount ww_amount_decode(const uint8_t in[16]);
