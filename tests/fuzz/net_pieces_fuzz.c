/* Pieces of wide records from anybody who knows the token: the input is a list of datagrams, each
 * with its length, 2 bytes, in front, whose first bit says that the buffer is used again after it.
 * The token is put in, else nothing would pass. */
#include <stdlib.h>
#include <string.h>

#include "pieces.h"

#define BUFFER 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_again(struct ww_pieces *pieces, uint8_t *buffer[BUFFER], size_t *count)
{
    ww_pieces_keep(pieces);
    while (*count)
        free(buffer[--*count]); /* so that what still points there is noticed */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_pieces pieces;
    uint8_t *buffer[BUFFER], whole[WW_PIECES_RECORD_MAX];
    size_t count = 0;
    enum ww_ecn mark = WW_ECN_NONE;
    ww_pieces_init(&pieces);
    memset(&pieces.counted.token, 0x5a, sizeof pieces.counted.token);
    while (size >= 2) {
        size_t length = WW_MIN((size_t)(data[0] & 127) << 8 | data[1], size - 2);
        uint8_t *datagram = malloc(length + 1);
        struct ww_gather record;
        WW_REQUIRE(datagram);
        memcpy(datagram, data + 2, length);
        if (length > WW_PIECE_HEAD) {
            datagram[0] = WW_PIECE_KIND;
            memset(datagram + 8, 0x5a, 4);
        }
        buffer[count++] = datagram;
        if (ww_pieces_input(&pieces, datagram, length, &record, &mark)) {
            WW_REQUIRE(record.size > 0 && record.size <= sizeof whole);
            gather_copy(&record, whole, record.size);
            WW_REQUIRE(gather_byte(&record, record.size - 1) == whole[record.size - 1]);
        }
        if (data[0] & 128 || count == BUFFER)
            use_again(&pieces, buffer, &count);
        data += 2 + length;
        size -= 2 + length;
    }
    use_again(&pieces, buffer, &count);
    ww_pieces_release(&pieces);
    return 0;
}
