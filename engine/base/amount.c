/* Checked 128-bit arithmetic on money. Relies on the compiler's __int128 and on exact 192-bit
 * intermediate products; it must never wrap, and never round but where its header says so. */
#include <string.h>

#include "ww/amount.h"

typedef unsigned __int128 wide;

#define WIDE_MAX (~(wide)0)

struct ww_amount ww_amount_from_u64(uint64_t units)
{
    return (struct ww_amount){units};
}

int ww_amount_compare(struct ww_amount a, struct ww_amount b)
{
    return (a.units > b.units) - (a.units < b.units);
}

bool ww_amount_is_zero(struct ww_amount a)
{
    return a.units == 0;
}

int ww_amount_add(struct ww_amount a, struct ww_amount b, struct ww_amount *sum)
{
    if (b.units > WIDE_MAX - a.units)
        return WW_EOVERFLOW;
    sum->units = a.units + b.units;
    return 0;
}

int ww_amount_subtract(struct ww_amount a, struct ww_amount b, struct ww_amount *difference)
{
    if (b.units > a.units)
        return WW_ERANGE;
    difference->units = a.units - b.units;
    return 0;
}

/* quotient and remainder of a * multiplier / divisor, in base 2^64 as on paper. False if the
 * quotient needs more than 128 bits. */
static bool multiply_divide(wide a, uint64_t multiplier, uint64_t divisor, wide *quotient,
                            uint64_t *remainder)
{
    wide low = (wide)(uint64_t)a * multiplier;
    /* (2^64-1)^2 + (2^64-1) < 2^128: the carry fits. */
    wide high = (wide)(uint64_t)(a >> 64) * multiplier + (low >> 64);
    wide quotient_high = high / divisor;
    wide rest = ((high % divisor) << 64) | (uint64_t)low;

    if (quotient_high >> 64)
        return false;
    *quotient = (quotient_high << 64) | (rest / divisor);
    *remainder = (uint64_t)(rest % divisor);
    return true;
}

int ww_amount_prorate(struct ww_amount whole, uint64_t used, uint64_t total,
                      struct ww_amount *share, struct ww_amount *rest)
{
    wide quotient;
    uint64_t remainder;

    if (total == 0 || used > total)
        return WW_EINVAL;
    WW_REQUIRE(multiply_divide(whole.units, used, total, &quotient, &remainder));
    share->units = quotient;
    rest->units = whole.units - quotient;
    return 0;
}

int ww_amount_scale_up(struct ww_amount a, uint64_t multiplier, uint64_t divisor,
                       struct ww_amount *product)
{
    wide quotient;
    uint64_t remainder;

    if (divisor == 0)
        return WW_EINVAL;
    if (!multiply_divide(a.units, multiplier, divisor, &quotient, &remainder))
        return WW_EOVERFLOW;
    if (remainder) {
        if (quotient == WIDE_MAX)
            return WW_EOVERFLOW;
        quotient++;
    }
    product->units = quotient;
    return 0;
}

int ww_amount_scale_down(struct ww_amount a, uint64_t multiplier, uint64_t divisor,
                         struct ww_amount *product)
{
    wide quotient;
    uint64_t remainder;

    if (divisor == 0)
        return WW_EINVAL;
    if (!multiply_divide(a.units, multiplier, divisor, &quotient, &remainder))
        return WW_EOVERFLOW;
    product->units = quotient;
    return 0;
}

const char *ww_amount_format(struct ww_amount a, char *out)
{
    char digits[WW_AMOUNT_TEXT_SIZE];
    size_t begin = sizeof(digits);

    digits[--begin] = '\0';
    do {
        digits[--begin] = (char)('0' + (int)(a.units % 10));
        a.units /= 10;
    } while (a.units);
    memcpy(out, digits + begin, sizeof(digits) - begin);
    return out;
}

int ww_amount_parse(const char *text, size_t size, struct ww_amount *out)
{
    wide units = 0;

    if (size == 0 || size > WW_AMOUNT_TEXT_SIZE - 1 || (text[0] == '0' && size > 1))
        return WW_EINVAL;
    for (size_t i = 0; i < size; i++) {
        unsigned digit;

        if (text[i] < '0' || text[i] > '9')
            return WW_EINVAL;
        digit = (unsigned)(text[i] - '0');
        if (units > (WIDE_MAX - digit) / 10)
            return WW_EOVERFLOW;
        units = units * 10 + digit;
    }
    out->units = units;
    return 0;
}

void ww_amount_encode(struct ww_amount a, uint8_t out[16])
{
    for (int i = 15; i >= 0; i--) {
        out[i] = (uint8_t)a.units;
        a.units >>= 8;
    }
}

struct ww_amount ww_amount_decode(const uint8_t in[16])
{
    struct ww_amount a = WW_AMOUNT_ZERO;

    for (int i = 0; i < 16; i++)
        a.units = (a.units << 8) | in[i];
    return a;
}
