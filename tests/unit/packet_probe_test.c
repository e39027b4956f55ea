/* Probes of a tunnel: what is asked is answered, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ww/ip.h"
#include "ww/probe.h"

static void test_there_and_back(void **state)
{
    uint8_t probe[WW_PROBE_BYTES], answer[WW_PROBE_BYTES], none[WW_PROBE_BYTES];
    struct ww_ip ip;
    uint32_t sum = 0;

    (void)state;
    for (uint32_t sequence = 0; sequence < 65536; sequence += 257) {
        ww_probe_ask((uint16_t)sequence, probe);
        assert_int_equal(ww_ip_read(probe, sizeof(probe), &ip, NULL), 0);
        assert_true(ww_probe_answer(probe, sizeof(probe), answer));
        assert_int_equal(ww_ip_read(answer, sizeof(answer), &ip, NULL), 0);
        assert_true(ww_probe_is_answer(answer, sizeof(answer), (uint16_t)sequence));
        assert_false(ww_probe_is_answer(answer, sizeof(answer), (uint16_t)(sequence + 1)));
        assert_false(ww_probe_is_answer(probe, sizeof(probe), (uint16_t)sequence));
        assert_false(ww_probe_answer(answer, sizeof(answer), none));
    }
    for (size_t i = 20; i < sizeof(answer); i += 2)
        sum += (uint32_t)(answer[i] << 8 | answer[i + 1]);
    assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff); /* RFC 1071 */
}

static void test_nothing_else(void **state)
{
    uint8_t probe[WW_PROBE_BYTES], answer[WW_PROBE_BYTES], longer[WW_PROBE_BYTES + 1] = {0};

    (void)state;
    ww_probe_ask(7, probe);
    memcpy(longer, probe, sizeof(probe));
    assert_false(ww_probe_answer(longer, sizeof(longer), answer));
    assert_false(ww_probe_answer(probe, sizeof(probe) - 1, answer));
    for (size_t bit = 0; bit < 8 * sizeof(probe); bit++) {
        probe[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(ww_probe_answer(probe, sizeof(probe), answer)); /* the checksum, at least */
        probe[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
