/* Pieces of wide records from anybody who knows the token: the input is a list of datagrams, each
 * with its length, 2 bytes, in front. The token is put in, else nothing would pass. */
#include <string.h>

#include "pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_pieces pieces;
    uint8_t datagram[1500];
    enum ww_ecn mark = WW_ECN_NONE;
    ww_pieces_init(&pieces);
    memset(&pieces.counted.token, 0x5a, sizeof pieces.counted.token);
    while (size >= 2) {
        size_t length = WW_MIN((size_t)data[0] << 8 | data[1], size - 2), total = 0;
        length = WW_MIN(length, sizeof datagram);
        memcpy(datagram, data + 2, length);
        if (length > WW_PIECE_HEAD) {
            datagram[0] = WW_PIECE_KIND;
            memset(datagram + 8, 0x5a, 4);
        }
        const uint8_t *record = ww_pieces_input(&pieces, datagram, length, &total, &mark);
        WW_REQUIRE(!record || (total > 0 && total <= WW_PIECES_RECORD_MAX));
        if (record) {
            volatile uint8_t last = record[total - 1];
            (void)last;
        }
        data += 2 + length;
        size -= 2 + length;
    }
    ww_pieces_release(&pieces);
    return 0;
}
