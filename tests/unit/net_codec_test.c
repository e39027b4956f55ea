/* Signals, candidates and SDP: what is taken, what is refused, and that what we write we read. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ww/net_codec.h"

static int candidate(const char *text, struct ww_candidate *out)
{
    return ww_candidate_parse(text, strlen(text), out);
}

static void candidates_are_parsed(void **state)
{
    struct ww_candidate parsed;
    char text[WW_SOCKADDR_TEXT_SIZE];
    (void)state;
    assert_int_equal(
        candidate("842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 10.0.0.1 rport 9 "
                  "generation 0 network-cost 999",
                  &parsed),
        0);
    assert_int_equal(parsed.type, WW_CANDIDATE_SRFLX);
    assert_int_equal(parsed.priority, 1677729535);
    assert_string_equal(parsed.foundation, "842163049");
    ww_address_format(&parsed.address, text);
    assert_string_equal(text, "203.0.113.7:46154");
    assert_int_equal(candidate("1 1 UDP 5 2001:db8::1 7 typ host", &parsed), 0);
    ww_address_format(&parsed.address, text);
    assert_string_equal(text, "[2001:db8::1]:7");
}

static void bad_candidates(void **state)
{
    static const char *const MALFORMED[] = {
        "",
        " ",
        "1",
        "1 1 UDP 5 127.0.0.1 7",
        "1 1 UDP 5 127.0.0.1 7 typ",
        "1 1 UDP 5 127.0.0.1 7 kind host",
        "1 0 UDP 5 127.0.0.1 7 typ host",
        "1 257 UDP 5 127.0.0.1 7 typ host",
        "1 1 UDP 4294967296 127.0.0.1 7 typ host",
        "1 1 UDP 5 127.0.0.1 65536 typ host",
        "1 1 UDP 5 127.0.0.1 -7 typ host",
        "1 1 UDP 5  127.0.0.1 7 typ host",
        "!! 1 UDP 5 127.0.0.1 7 typ host",
        "123456789012345678901234567890123 1 UDP 5 127.0.0.1 7 typ host",
    };
    static const char *const UNSUPPORTED[] = {
        "1 2 UDP 5 127.0.0.1 7 typ host",      "1 1 TCP 5 127.0.0.1 7 typ host tcptype active",
        "1 1 UDP 0 127.0.0.1 7 typ host",      "1 1 UDP 5 a1b2.local 7 typ host",
        "1 1 UDP 5 example.org 7 typ host",    "1 1 UDP 5 127.1 7 typ host",
        "1 1 UDP 5 0x7f000001 7 typ host",     "1 1 UDP 5 fe80::1%eth0 7 typ host",
        "1 1 UDP 5 127.0.0.1 7 typ strange",   "1 1 UDP 5 ::ffff:127.0.0.1 7 typ host",
        "1 1 UDP 5 ::ffff:8.8.8.8 7 typ host",
    };
    struct ww_candidate parsed;
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(MALFORMED); i++)
        assert_int_equal(candidate(MALFORMED[i], &parsed), WW_EMALFORMED);
    for (size_t i = 0; i < WW_ARRAY_COUNT(UNSUPPORTED); i++)
        assert_int_equal(candidate(UNSUPPORTED[i], &parsed), WW_EUNSUPPORTED);
}

static void candidates_are_judged(void **state)
{
    static const struct {
        const char *address;
        bool allowed, allowed_with_loopback;
    } CASES[] = {
        {"8.8.8.8", true, true},
        {"192.168.1.1", true, true},
        {"10.0.0.1", true, true},
        {"127.0.0.1", false, true},
        {"127.255.0.9", false, true},
        {"0.0.0.0", false, false},
        {"0.1.2.3", false, false},
        {"224.0.0.1", false, false},
        {"255.255.255.255", false, false},
        {"240.0.0.1", false, false},
        {"2001:db8::1", true, true},
        {"fd00::1", true, true},
        {"::1", false, true},
        {"::", false, false},
        {"fe80::1", false, false},
        {"ff02::1", false, false},
        {"::127.0.0.1", false, false},
        {"169.254.169.254", false, false},
        {"100.64.0.1", true, true},
        {"203.0.113.7", true, true},
        {"198.18.0.1", true, true},
        {"192.0.0.192", false, false},
        {"192.88.99.1", false, false},
        {"100.100.100.200", false, false},
        {"fd00:ec2::254", false, false},
        {"fd20:ce::254", false, false},
        {"64:ff9b::a00:1", false, false},
        {"2002:a00:1::1", false, false},
        {"64:ff9b:1::a00:1", false, false},
        {"::ffff:0:127.0.0.1", false, false},
        {"2001::1", false, false},
        {"fec0::1", false, false},
        {"200::1", false, false},
        {"4000::1", false, false},
        {"2600::5efe:127.0.0.1", false, false},
        {"fd00::5efe:169.254.169.254", false, false},
    };
    struct ww_candidate parsed;
    char text[128];
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(CASES); i++) {
        snprintf(text, sizeof text, "1 1 UDP 5 %s 7 typ host", CASES[i].address);
        assert_int_equal(candidate(text, &parsed), 0);
        assert_int_equal(ww_candidate_is_allowed(&parsed, false), CASES[i].allowed);
        assert_int_equal(ww_candidate_is_allowed(&parsed, true), CASES[i].allowed_with_loopback);
        snprintf(text, sizeof text, "1 1 UDP 5 %s 0 typ host", CASES[i].address);
        assert_int_equal(candidate(text, &parsed), 0);
        assert_false(ww_candidate_is_allowed(&parsed, true));
    }
}

static struct ww_signal sample(void)
{
    struct ww_signal signal;
    memset(&signal, 0, sizeof signal);
    strncpy(signal.ufrag, "uF+/", sizeof signal.ufrag - 1);
    strncpy(signal.password, "abcdefghijklmnopqrstuv", sizeof signal.password - 1);
    signal.has_fingerprint = true;
    for (unsigned i = 0; i < WW_FINGERPRINT_SIZE; i++)
        signal.fingerprint[i] = (uint8_t)(i * 37);
    signal.setup = WW_SETUP_ACTIVE;
    signal.datagram_bytes = 16421;
    signal.end_of_candidates = true;
    signal.candidate_count = 3;
    assert_int_equal(candidate("a 1 UDP 5 1.2.3.4 7 typ host", &signal.candidates[0]), 0);
    assert_int_equal(candidate("b 1 UDP 4 ::1 8 typ srflx", &signal.candidates[1]), 0);
    assert_int_equal(candidate("c 1 UDP 3 9.9.9.9 9 typ relay", &signal.candidates[2]), 0);
    return signal;
}

static void signals_go_round(void **state)
{
    struct ww_signal signal = sample(), parsed;
    struct ww_buf text;
    (void)state;
    ww_buf_init(&text, WW_SIGNAL_BYTES_MAX);
    ww_signal_write(&signal, &text);
    assert_int_equal(text.error, 0);
    assert_int_equal(ww_signal_parse((const char *)text.data, text.size, &parsed), 0);
    assert_memory_equal(&parsed, &signal, sizeof signal);
    /* Cut anywhere, it is refused or gives less, and is never read past its end. */
    for (size_t size = 0; size < text.size; size++) {
        char *cut = ww_strndup((const char *)text.data, size);
        ww_signal_parse(cut, size, &parsed);
        assert_true(parsed.candidate_count <= 3);
        ww_free(cut);
    }
    ww_buf_deinit(&text);
}

static void too_many_candidates(void **state)
{
    struct ww_signal parsed;
    struct ww_buf text;
    (void)state;
    ww_buf_init(&text, WW_SIGNAL_BYTES_MAX);
    for (int i = 0; i < WW_CANDIDATES_MAX + 5; i++)
        ww_buf_printf(&text, "a=candidate:%d 1 UDP 5 1.2.3.4 %d typ host\n", i, i + 1);
    assert_int_equal(ww_signal_parse((const char *)text.data, text.size, &parsed), 0);
    assert_int_equal(parsed.candidate_count, WW_CANDIDATES_MAX);
    assert_int_equal(parsed.candidates_over, 5);
    ww_buf_deinit(&text);
}

static void sdp_goes_round(void **state)
{
    struct ww_signal signal = sample(), parsed;
    struct ww_buf text;
    char mid[8];
    (void)state;
    ww_buf_init(&text, WW_SDP_BYTES_MAX);
    ww_sdp_write(&signal, "data", &text);
    assert_int_equal(text.error, 0);
    assert_int_equal(ww_sdp_parse((const char *)text.data, text.size, &parsed, mid, sizeof mid), 0);
    assert_memory_equal(&parsed, &signal, sizeof signal);
    assert_string_equal(mid, "data");
    assert_int_equal(ww_sdp_parse((const char *)text.data, text.size, &parsed, mid, 3),
                     WW_EMALFORMED);
    ww_buf_deinit(&text);
}

static void browser_sdp(void **state)
{
    static const char TEXT[] =
        "v=0\r\no=- 5 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
        "a=fingerprint:sha-256 "
        "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
        "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:wrong\r\na=mid:9\r\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
        "a=ice-ufrag:Zb0v\r\na=ice-pwd:Xw7kQm1eUu0mWbn5Yl0Zs8vR\r\na=ice-options:trickle\r\n"
        "a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";
    struct ww_signal parsed;
    char mid[8];
    (void)state;
    assert_int_equal(ww_sdp_parse(TEXT, sizeof TEXT - 1, &parsed, mid, sizeof mid), 0);
    assert_string_equal(parsed.ufrag, "Zb0v");
    assert_string_equal(mid, "0");
    assert_int_equal(parsed.setup, WW_SETUP_ACTPASS);
    assert_true(parsed.has_fingerprint);
    assert_int_equal(parsed.fingerprint[31], 0xff);
    assert_int_equal(ww_sdp_parse("v=0\r\n", 5, &parsed, NULL, 0), WW_EMALFORMED);
}

static void changes_of_path_go_round(void **state)
{
    static const char ATTEMPT[] = "a=ice-ufrag:efgh\na=ice-pwd:abcdefghijklmnopqrstuv\n"
                                  "a=ice-options:trickle\na=x-ww-path:abcd+/ 7\n"
                                  "a=end-of-candidates\n";
    static const char *const OTHERS[] = {"a=x-ww-path-lost:abcd 1\n",
                                         "a=x-ww-path-lost:abcd 4294967295\n",
                                         "a=x-ww-path-gone:abcd\n"};
    struct ww_signal parsed;
    struct ww_buf text;
    (void)state;
    ww_buf_init(&text, WW_SIGNAL_BYTES_MAX);
    assert_int_equal(ww_signal_parse(ATTEMPT, sizeof ATTEMPT - 1, &parsed), 0);
    assert_int_equal(parsed.change, WW_CHANGE_ATTEMPT);
    assert_int_equal(parsed.generation, 7);
    assert_string_equal(parsed.tag, "abcd+/");
    ww_signal_write(&parsed, &text);
    assert_string_equal(ww_buf_text(&text), ATTEMPT);
    for (size_t i = 0; i < WW_ARRAY_COUNT(OTHERS); i++) {
        ww_buf_clear(&text);
        assert_int_equal(ww_signal_parse(OTHERS[i], strlen(OTHERS[i]), &parsed), 0);
        ww_signal_write(&parsed, &text);
        assert_string_equal(ww_buf_text(&text), OTHERS[i]);
        assert_false(ww_signal_answer_gone(OTHERS[i], &text));
    }
    ww_buf_clear(&text);
    assert_true(ww_signal_answer_gone(ATTEMPT, &text));
    assert_string_equal(ww_buf_text(&text), "a=x-ww-path-gone:abcd+/\n");
    assert_false(
        ww_signal_answer_gone("a=ice-ufrag:efgh\na=ice-pwd:abcdefghijklmnopqrstuv\n", &text));
    assert_false(ww_signal_answer_gone("no signal", &text));
    ww_buf_deinit(&text);
}

static void bad_changes_of_path(void **state)
{
#define CREDENTIALS "a=ice-ufrag:efgh\na=ice-pwd:abcdefghijklmnopqrstuv\n"
    static const char *const MALFORMED[] = {
        "a=x-ww-path:abcd 2\n", /* whose? */
        CREDENTIALS "a=x-ww-path:abcd 1\n",
        CREDENTIALS "a=x-ww-path:abcd 0\n",
        CREDENTIALS "a=x-ww-path:abcd\n",
        CREDENTIALS "a=x-ww-path:abcd \n",
        CREDENTIALS "a=x-ww-path:abcd x\n",
        CREDENTIALS "a=x-ww-path:abcd -2\n",
        CREDENTIALS "a=x-ww-path:abcd 4294967296\n",
        CREDENTIALS "a=x-ww-path:abc 2\n",
        CREDENTIALS "a=x-ww-path:ab:d 2\n",
        CREDENTIALS "a=x-ww-path: 2\n",
        CREDENTIALS "a=x-ww-path:abcd 2\na=x-ww-path:abcd 3\n",
        CREDENTIALS "a=x-ww-path:abcd 2\na=x-ww-path-gone:abcd\n",
        "a=x-ww-path-lost:abcd 0\n",
        "a=x-ww-path-lost:abcd\n",
        "a=x-ww-path-gone:\n",
        "a=x-ww-path-gone:a!cd\n",
    };
#undef CREDENTIALS
    struct ww_signal parsed;
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(MALFORMED); i++)
        assert_int_equal(ww_signal_parse(MALFORMED[i], strlen(MALFORMED[i]), &parsed),
                         WW_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_are_parsed), cmocka_unit_test(bad_candidates),
        cmocka_unit_test(candidates_are_judged), cmocka_unit_test(signals_go_round),
        cmocka_unit_test(too_many_candidates),   cmocka_unit_test(sdp_goes_round),
        cmocka_unit_test(browser_sdp),           cmocka_unit_test(changes_of_path_go_round),
        cmocka_unit_test(bad_changes_of_path),
    };
    return cmocka_run_group_tests_name("net_codec", tests, NULL, NULL);
}
