/* Which texts may travel. Relies on nothing; reads each byte once. */
#include "internal.h"

/* Length of a well-formed UTF-8 sequence at `at` (RFC 3629 section 4), or 0. */
static size_t sequence_size(const uint8_t *at, size_t size)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t point;
    size_t length;

    if (at[0] < 0x80)
        return at[0] >= 0x20 && at[0] != 0x7f;
    if ((at[0] & 0xe0) == 0xc0)
        length = 2;
    else if ((at[0] & 0xf0) == 0xe0)
        length = 3;
    else if ((at[0] & 0xf8) == 0xf0)
        length = 4;
    else
        return 0;
    if (length > size)
        return 0;
    point = at[0] & (0x7fu >> length);
    for (size_t index = 1; index < length; index++) {
        if ((at[index] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[index] & 0x3fu);
    }
    if (point < smallest[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    if (point < 0xa0 || point == 0x2028 || point == 0x2029) /* C1 controls, line separators */
        return 0;
    return length;
}

bool ww_wire_text_valid(const void *text, size_t size)
{
    const uint8_t *at = text;

    while (size > 0) {
        size_t length = sequence_size(at, size);

        if (length == 0)
            return false;
        at += length;
        size -= length;
    }
    return true;
}

bool ww_wire_name_valid(const void *name, size_t size)
{
    const uint8_t *at = name;

    if (size == 0 || size > WW_NAME_BYTES_MAX)
        return false;
    for (size_t index = 0; index < size; index++) {
        if (at[index] <= 0x20 || at[index] >= 0x7f)
            return false;
    }
    return true;
}
