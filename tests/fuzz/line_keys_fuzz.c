/* What a terminal sends, in pieces whose size the first byte says: every unit is within what has
 * come, each piece is used up in the end, and nothing waits that could go on. */
#include <stdint.h>
#include <string.h>

#include "keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct keys keys;
    size_t piece = size ? data[0] % 64 + 1 : 1;

    memset(&keys, 0, sizeof(keys));
    for (size_t at = 1; at < size;) {
        size_t room = 0, unit_size = 0;
        char *into = keys_room(&keys, &room);
        size_t count = WW_MIN(WW_MIN(piece, size - at), room);
        WW_REQUIRE(count > 0); /* what waits is short: there is always room for more */
        memcpy(into, data + at, count);
        keys_add(&keys, count);
        at += count;
        while (keys_next(&keys, &unit_size) != KEYS_NONE) {
            WW_REQUIRE(unit_size > 0 && unit_size <= keys.size);
            keys_drop(&keys, unit_size);
        }
        WW_REQUIRE(keys.size < 64);
    }
    return 0;
}
