/* What a denied packet is answered: a reset, or that it is prohibited, with checksums that are
 * right.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "packet_flows_rig.h"

static uint32_t sum_of(const uint8_t *bytes, size_t size)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    return sum;
}

static uint32_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* Every checksum is right: the sum over everything is all ones. */
static void check_sums(const uint8_t *answer, size_t size)
{
    bool is_v4 = answer[0] >> 4 == 4;
    size_t head = is_v4 ? 20 : 40;
    uint8_t protocol = is_v4 ? answer[9] : answer[6];
    uint32_t pseudo = 0;

    if (is_v4)
        assert_int_equal(fold(sum_of(answer, 20)), 0xffff);
    if (protocol != IPPROTO_ICMP)
        pseudo =
            sum_of(answer + (is_v4 ? 12 : 8), is_v4 ? 8 : 32) + (uint32_t)(size - head) + protocol;
    assert_int_equal(fold(pseudo + sum_of(answer + head, size - head)), 0xffff);
}

static size_t reject(const struct shape *shape, uint8_t *answer)
{
    uint8_t bytes[2048];
    struct ww_ip ip;
    size_t size = flows_packet(shape, bytes, &ip);
    return ww_flow_reject(&ip, bytes, size, answer);
}

static size_t abort_of(const struct shape *shape, uint8_t *answer)
{
    uint8_t bytes[2048];
    struct ww_ip ip;
    flows_packet(shape, bytes, &ip);
    return ww_flow_abort(&ip, bytes, answer);
}

static void a_reset_is_one_that_is_taken(void **state)
{
    uint8_t answer[WW_FLOW_REJECT_BYTES];
    struct shape shape = {.protocol = IPPROTO_TCP, .flags = SYN, .here = 0x1234, .there = 443};

    (void)state;
    for (int family = 0; family < 2; family++) {
        shape.is_v6 = family == 1;
        size_t head = shape.is_v6 ? 40 : 20;
        shape.flags = SYN; /* seq 0x100: acknowledged with one more */
        assert_int_equal(reject(&shape, answer), head + 20);
        check_sums(answer, head + 20);
        assert_memory_equal(
            answer + head, ((uint8_t[]){1, 187, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 1, 1, 0x50, 20}), 14);
        shape.flags = ACK; /* ack 0x200: the reset's own number */
        shape.payload = 9;
        assert_int_equal(reject(&shape, answer), head + 20);
        check_sums(answer, head + 20);
        assert_memory_equal(answer + head,
                            ((uint8_t[]){1, 187, 0x12, 0x34, 0, 0, 2, 0, 0, 0, 0, 0, 0x50, 4}), 14);
        /* And to the other end, in the packet's own numbers. */
        assert_int_equal(abort_of(&shape, answer), head + 20);
        check_sums(answer, head + 20);
        assert_memory_equal(
            answer + head, ((uint8_t[]){0x12, 0x34, 1, 187, 0, 0, 1, 0, 0, 0, 2, 0, 0x50, 20}), 14);
        assert_int_equal(answer[family == 1 ? 24 + 15 : 19], 8);
        shape.flags = RST | ACK;
        assert_int_equal(reject(&shape, answer), 0);
        assert_int_equal(abort_of(&shape, answer), 0);
        shape.flags = SYN;
        assert_int_equal(abort_of(&shape, answer), 0);
        shape.payload = 0;
    }
}

static void other_packets_are_prohibited(void **state)
{
    uint8_t answer[WW_FLOW_REJECT_BYTES];
    struct shape shape = {.protocol = IPPROTO_UDP, .here = 1, .there = 2, .payload = 11};

    (void)state;
    assert_int_equal(reject(&shape, answer), 20 + 8 + 39);
    check_sums(answer, 67);
    assert_int_equal(answer[12], 8);   /* from where it was going … */
    assert_int_equal(answer[16], 192); /* … to where it came from */
    assert_int_equal(answer[20] << 8 | answer[21], 3 << 8 | 13);
    shape.payload = 1400;
    assert_int_equal(reject(&shape, answer), WW_FLOW_REJECT_BYTES);
    check_sums(answer, WW_FLOW_REJECT_BYTES);
    shape.is_v6 = true;
    assert_int_equal(reject(&shape, answer), WW_FLOW_REJECT_BYTES);
    check_sums(answer, WW_FLOW_REJECT_BYTES);
    assert_int_equal(answer[40] << 8 | answer[41], 1 << 8 | 1);
    shape.offset = 8;
    assert_int_equal(reject(&shape, answer), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reset_is_one_that_is_taken),
        cmocka_unit_test(other_packets_are_prohibited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
