/* Bytes as text: hex, base32, base64. Each value has exactly one accepted text, so that two texts
 * can't name the same thing: no other case, no white space, no stray bits at the end. */
#include <string.h>

#include "ww/id.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The digit's value, or -1. */
static int digit_value(const char *digits, char digit)
{
    const char *found = digit ? strchr(digits, digit) : NULL;

    return found ? (int)(found - digits) : -1;
}

const char *ww_hex_format(const void *data, size_t size, char *out)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = hex_digits[bytes[i] >> 4];
        out[2 * i + 1] = hex_digits[bytes[i] & 15];
    }
    out[2 * size] = '\0';
    return out;
}

int ww_hex_parse(const char *text, void *out, size_t size)
{
    uint8_t *bytes = out;

    if (strnlen(text, 2 * size + 1) != 2 * size)
        return WW_EINVAL;
    for (size_t i = 0; i < size; i++) {
        int high = digit_value(hex_digits, text[2 * i]);
        int low = digit_value(hex_digits, text[2 * i + 1]);

        if (high < 0 || low < 0)
            return WW_EINVAL;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

const char *ww_base32_format(const void *data, size_t size, char *out)
{
    const uint8_t *bytes = data;
    unsigned pending = 0;
    int pending_bits = 0;
    size_t length = 0;

    for (size_t i = 0; i < size; i++) {
        pending = (pending << 8 | bytes[i]) & 0xfff;
        pending_bits += 8;
        while (pending_bits >= 5) {
            pending_bits -= 5;
            out[length++] = base32_digits[(pending >> pending_bits) & 31];
        }
    }
    if (pending_bits)
        out[length++] = base32_digits[(pending << (5 - pending_bits)) & 31];
    out[length] = '\0';
    return out;
}

int ww_base32_parse(const char *text, void *out, size_t size)
{
    uint8_t *bytes = out;
    size_t length = (size * 8 + 4) / 5;
    unsigned pending = 0;
    int pending_bits = 0;

    if (strnlen(text, length + 1) != length)
        return WW_EINVAL;
    for (size_t i = 0; i < length; i++) {
        int value = digit_value(base32_digits, text[i]);

        if (value < 0)
            return WW_EINVAL;
        pending = (pending << 5 | (unsigned)value) & 0xfff;
        pending_bits += 5;
        if (pending_bits >= 8) {
            pending_bits -= 8;
            *bytes++ = (uint8_t)(pending >> pending_bits);
        }
    }
    /* Bits beyond the last byte carry nothing and must be zero. */
    return pending & ((1U << pending_bits) - 1) ? WW_EINVAL : 0;
}

int ww_base64_format(const void *data, size_t size, char *out, size_t out_size)
{
    const uint8_t *bytes = data;
    size_t groups = size / 3 + (size % 3 != 0);

    if (groups > (SIZE_MAX - 1) / 4 || out_size < groups * 4 + 1)
        return WW_ERANGE;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        unsigned group = (unsigned)bytes[i] << 16;

        group |= left > 1 ? (unsigned)bytes[i + 1] << 8 : 0;
        group |= left > 2 ? (unsigned)bytes[i + 2] : 0;
        *out++ = base64_digits[group >> 18];
        *out++ = base64_digits[(group >> 12) & 63];
        *out++ = left > 1 ? base64_digits[(group >> 6) & 63] : '=';
        *out++ = left > 2 ? base64_digits[group & 63] : '=';
    }
    *out = '\0';
    return 0;
}

/* Decodes four digits, of which `padding` are '=', into 3 - padding bytes. */
static bool parse_group(const char *text, unsigned padding, uint8_t *out)
{
    unsigned group = 0;

    for (unsigned i = 0; i < 4; i++) {
        int value = i < 4 - padding ? digit_value(base64_digits, text[i]) : 0;

        if (value < 0)
            return false;
        group = group << 6 | (unsigned)value;
    }
    if (group & ((1U << (8 * padding)) - 1))
        return false;
    for (unsigned i = 0; i < 3 - padding; i++)
        out[i] = (uint8_t)(group >> (16 - 8 * i));
    return true;
}

int ww_base64_parse(const char *text, size_t text_size, void *out, size_t out_capacity,
                    size_t *out_size)
{
    uint8_t *bytes = out;
    unsigned padding = 0;
    size_t size;

    if (text_size % 4)
        return WW_EINVAL;
    if (text_size && text[text_size - 1] == '=')
        padding = text[text_size - 2] == '=' ? 2 : 1;
    size = text_size / 4 * 3 - padding;
    if (size > out_capacity)
        return WW_ERANGE;
    for (size_t i = 0; i < text_size; i += 4) {
        bool is_last = i + 4 == text_size;

        if (!parse_group(text + i, is_last ? padding : 0, bytes + i / 4 * 3))
            return WW_EINVAL;
    }
    *out_size = size;
    return 0;
}
