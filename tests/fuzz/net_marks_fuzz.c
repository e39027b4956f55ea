/* Counts of marks from a peer that tells anything, at any time. The input is a list of deeds. */
#include "marks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_marks marks = {0};
    uint8_t record[WW_MARKS_BYTES];
    uint64_t now_us = 1;
    unsigned tests = 0;
    bool is_congested;
    ww_marks_path(&marks, true, now_us);
    while (size >= 2) {
        unsigned deed = data[0] % 8, value = data[1];
        data += 2;
        size -= 2;
        if (deed < 2) {
            size_t length =
                deed ? WW_MIN((size_t)WW_MARKS_BYTES, size) : WW_MIN((size_t)value, size);
            int code = ww_marks_told(&marks, data, length, now_us, &is_congested);
            WW_REQUIRE((code == 0) == (length == WW_MARKS_BYTES));
            WW_REQUIRE(code == 0 || !is_congested);
            data += length;
            size -= length;
        } else if (deed == 2) {
            ww_marks_heard(&marks, (uint8_t)(value >> 2), (enum ww_ecn)(value & 3));
        } else if (deed == 3) {
            ww_marks_sent(&marks, ww_marks_allow(&marks, (enum ww_ecn)(value & 3), now_us), now_us);
        } else if (deed == 4) {
            now_us += (uint64_t)value * 10000;
        } else if (deed == 5 && ww_marks_tell(&marks, now_us, record)) {
            ww_marks_has_told(&marks, now_us);
            WW_REQUIRE(!ww_marks_tell(&marks, now_us, record));
        } else if (deed == 6 && ww_marks_test(&marks, now_us)) {
            WW_REQUIRE(++tests <= 10);
            ww_marks_sent(&marks, WW_ECN_ECT0, now_us);
        } else if (deed == 7) {
            ww_marks_path(&marks, value & 1, now_us);
            tests = 0;
        }
        WW_REQUIRE(marks.state == WW_MARKS_ON || !ww_marks_allow(&marks, WW_ECN_CE, now_us));
    }
    return 0;
}
