/* The SOCKS UDP header: what is accepted is written back as the same header, and a prefix that the
 * address rules read is one that holds its own address. */
#include <stdlib.h>
#include <string.h>

#include "socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t header[WW_SOCKS_UDP_HEADER_MAX];
    struct ww_target target, again;
    struct ww_prefix prefix;
    size_t header_size, again_size;
    char text[64];

    if (ww_socks_udp_parse(data, size, &target, &header_size) == 0) {
        if (header_size > size)
            abort();
        /* A name that is an address is written as an address: compare what it means. */
        again_size = ww_socks_udp_write(&target, header);
        if (ww_socks_udp_parse(header, again_size, &again, &again_size) != 0 ||
            memcmp(again.address, target.address, 16) != 0 || again.kind != target.kind ||
            strcmp(again.name, target.name) != 0 || again.port != target.port)
            abort();
    }
    if (size < sizeof(text)) {
        memcpy(text, data, size);
        text[size] = '\0';
        if (ww_prefix_parse(text, &prefix) == 0 && !ww_prefix_contains(&prefix, prefix.address))
            abort();
    }
    return 0;
}
