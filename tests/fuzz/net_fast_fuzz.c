/* The fast lane against a peer that sends anything. The input is a list of deeds: a record that
 * comes in, a message or datagram to be sent, time that passes. */
#include <stdlib.h>
#include <string.h>

#include "fast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_record(void *arg, const uint8_t *record, size_t size, enum ww_ecn mark)
{
    unsigned *refuse = arg;
    WW_REQUIRE(mark <= WW_ECN_CE);
    WW_REQUIRE(size > 0 && size <= WW_FAST_RECORD_BYTES_MAX && record[0] <= WW_FAST_KIND_MAX);
    return (*refuse)++ % 16 != 15;
}

static bool take_all(struct ww_fast *fast)
{
    uint8_t *message;
    size_t size;
    int code;
    enum ww_ecn mark;
    /* What is given away is the taker's to write to. */
    while (ww_fast_take(fast, &message, &size, &code)) {
        WW_REQUIRE(size > 0 && size <= WW_FAST_MESSAGE_BYTES_MAX);
        memset(message, 0xff, size);
    }
    while (ww_fast_take_datagram(fast, &message, &size, &mark)) {
        WW_REQUIRE(size > 0 && size <= WW_FAST_DATAGRAM_BYTES_MAX);
        memset(message, 0xff, size);
    }
    return code == 0;
}

/* A record that is opened where its datagrams are to be, or elsewhere. */
static bool input(struct ww_fast *fast, const uint8_t *data, size_t size, unsigned deed,
                  uint64_t now_us)
{
    uint8_t *room = deed & 16 ? ww_fast_room(fast) : NULL;
    if (room) {
        memset(room, 0, WW_FAST_RECORD_BYTES_MAX);
        memcpy(room, data, size);
        data = room;
    }
    bool is_right = ww_fast_input(fast, data, size, (enum ww_ecn)(deed % 4), now_us) == 0;
    if (room)
        room[0] = 0; /* it is still memory */
    return is_right && (deed & 32 || take_all(fast));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ww_fast_callbacks CALLBACKS = {.record = on_record};
    static const uint8_t BYTES[3000];
    unsigned refuse = 0;
    uint64_t now_us = 1;
    struct ww_fast *fast;
    if (ww_fast_create(1195, &CALLBACKS, &refuse, &fast))
        abort();
    while (size >= 2) {
        unsigned deed = data[0], value = data[1];
        data += 2;
        size -= 2;
        if (deed < 128) {
            size_t length = WW_MIN((size_t)value + (deed >= 64 ? 1000 : 0), size);
            if (!input(fast, data, length, deed, now_us))
                break;
            data += length;
            size -= length;
        } else if (deed < 160) {
            ww_fast_write(fast, BYTES, 3, BYTES, (size_t)value * 10);
        } else if (deed < 192) {
            size_t room = deed & 16 ? 6 : 0; /* its record's head, the message's length, its head */
            uint8_t *own = malloc(room + (size_t)value * 10);
            WW_REQUIRE(own || value == 0);
            memset(own, 0, room + (size_t)value * 10);
            ww_fast_datagram(fast, BYTES, 3, own + room, (size_t)value * 10,
                             (enum ww_ecn)(deed % 4), room);
            free(own);
        } else if (deed < 248) {
            now_us += (uint64_t)value * 1000;
            WW_REQUIRE(ww_fast_output(fast, now_us) > 0);
        } else if (deed < 250) {
            ww_fast_congested(fast, now_us);
        } else if (deed < 253) {
            ww_fast_path(fast, 512 + (size_t)value * 60, now_us);
        } else if (deed < 255) {
            ww_fast_resize(fast, 512 + (size_t)value * 60);
        } else {
            ww_fast_widen(fast, (size_t)value * 64);
        }
    }
    ww_fast_output(fast, now_us + 1000000);
    ww_fast_destroy(fast);
    return 0;
}
