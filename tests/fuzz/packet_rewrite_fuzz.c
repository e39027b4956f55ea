/* Rewriting whatever was read as a packet, or as an ICMP error: there and back gives the same
 * bytes, and nothing outside of the packet is touched (a sanitizer watches). */
#include <stdlib.h>
#include <string.h>

#include "rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void there_and_back(uint8_t *packet, size_t size, const uint8_t *original)
{
    static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, 119, 0, 2};
    static const uint8_t v6[16] = {0xfd, 0x77, [15] = 2};
    struct ww_ip ip, again;
    uint8_t source[16];

    check(ww_ip_read(packet, size, &ip, NULL) == 0);
    memcpy(source, ip.source, 16);
    ww_rewrite(packet, &ip, false, WW_REWRITE_SOURCE, ip.is_v4 ? v4 : v6, -1);
    check(ww_ip_read(packet, size, &again, NULL) == 0);
    check(memcmp(again.source, ip.is_v4 ? v4 : v6, 16) == 0);
    ww_rewrite(packet, &again, false, WW_REWRITE_SOURCE, source, -1);
    /* A sum of zero has two forms, so checksums may differ; addresses may not. */
    check(memcmp(packet + (ip.is_v4 ? 12 : 8), original + (ip.is_v4 ? 12 : 8), ip.is_v4 ? 8 : 32) ==
          0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, 0, 0, 2};
    static const uint8_t v6[16] = {0xfd, 0x77, 0x77, [15] = 2};
    struct ww_ip ip, about;
    uint8_t *packet = malloc(size ? size : 1);

    if (!packet)
        return 0;
    memcpy(packet, data, size);
    if (ww_ip_read(packet, size, &ip, NULL) == 0)
        there_and_back(packet, size, data);
    else if (ww_ip_read_error(packet, size, &ip, &about) == 0) {
        ww_rewrite_error(packet, &ip, &about, ip.is_v4 ? v4 : v6);
        check(ww_ip_read_error(packet, size, &ip, &about) == 0);
        check(memcmp(about.source, ip.is_v4 ? v4 : v6, 16) == 0);
    }
    free(packet);
    return 0;
}
