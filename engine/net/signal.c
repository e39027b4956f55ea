/* Signalling text <-> struct ww_signal. Every line is checked before anything is used; no
 * allocation but in the caller's output buffer.
 */
#include "token.h"
#include "ww/net_codec.h"

static bool is_ice_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

static int parse_ice_text(struct token token, size_t least, char *out, size_t out_size)
{
    for (size_t i = 0; i < token.size; i++) {
        if (!is_ice_char(token.text[i]))
            return WW_EMALFORMED;
    }
    return token.size >= least && token_copy(token, out, out_size) ? 0 : WW_EMALFORMED;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* "sha-256 AA:BB:…" (RFC 8122); other hash functions are skipped, as several may be given. */
static int parse_fingerprint(struct token value, struct ww_signal *signal)
{
    struct token algorithm, digits;
    if (!token_word(&value, &algorithm) || !token_word(&value, &digits))
        return WW_EMALFORMED;
    if (algorithm.size != 7 || strncasecmp(algorithm.text, "sha-256", 7) != 0)
        return 0;
    if (digits.size != WW_FINGERPRINT_SIZE * 3 - 1)
        return WW_EMALFORMED;
    for (size_t i = 0; i < WW_FINGERPRINT_SIZE; i++) {
        int high = hex_digit(digits.text[3 * i]), low = hex_digit(digits.text[3 * i + 1]);
        if (high < 0 || low < 0 || (i + 1 < WW_FINGERPRINT_SIZE && digits.text[3 * i + 2] != ':'))
            return WW_EMALFORMED;
        signal->fingerprint[i] = (uint8_t)(high << 4 | low);
    }
    signal->has_fingerprint = true;
    return 0;
}

static int parse_setup(struct token value, struct ww_signal *signal)
{
    if (token_is(value, "active"))
        signal->setup = WW_SETUP_ACTIVE;
    else if (token_is(value, "passive"))
        signal->setup = WW_SETUP_PASSIVE;
    else if (token_is(value, "actpass"))
        signal->setup = WW_SETUP_ACTPASS;
    else
        return WW_EMALFORMED;
    return 0;
}

static int parse_candidate(struct token value, struct ww_signal *signal)
{
    struct ww_candidate candidate;
    int code = ww_candidate_parse(value.text, value.size, &candidate);
    if (code == WW_EUNSUPPORTED) {
        signal->candidates_skipped++;
        return 0;
    }
    if (code)
        return code;
    if (signal->candidate_count == WW_CANDIDATES_MAX) {
        signal->candidates_over++;
        return 0;
    }
    signal->candidates[signal->candidate_count++] = candidate;
    return 0;
}

static int parse_attribute(struct token line, struct ww_signal *signal)
{
    uint64_t number;
    if (token_skip(&line, "candidate:"))
        return parse_candidate(line, signal);
    if (token_skip(&line, "ice-ufrag:"))
        return parse_ice_text(line, 4, signal->ufrag, sizeof signal->ufrag);
    if (token_skip(&line, "ice-pwd:"))
        return parse_ice_text(line, 22, signal->password, sizeof signal->password);
    if (token_skip(&line, "fingerprint:"))
        return parse_fingerprint(line, signal);
    if (token_skip(&line, "setup:"))
        return parse_setup(line, signal);
    if (token_skip(&line, "x-ww-datagram:")) {
        if (!token_number(line, 65535, &number))
            return WW_EMALFORMED;
        signal->datagram_bytes = (uint32_t)number;
        return 0;
    }
    if (token_is(line, "end-of-candidates"))
        signal->end_of_candidates = true;
    return 0;
}

static bool is_printable(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\n' && c != '\r') || c > 0x7e)
            return false;
    }
    return true;
}

int ww_signal_parse(const char *text, size_t size, struct ww_signal *signal)
{
    struct token rest = {text, size}, line;
    memset(signal, 0, sizeof *signal);
    if (size > WW_SIGNAL_BYTES_MAX)
        return WW_ETOOBIG;
    if (size == 0 || !is_printable(text, size))
        return WW_EMALFORMED;
    while (token_line(&rest, &line)) {
        if (!token_skip(&line, "a="))
            return WW_EMALFORMED;
        int code = parse_attribute(line, signal);
        if (code)
            return code;
    }
    return (signal->ufrag[0] != '\0') == (signal->password[0] != '\0') ? 0 : WW_EMALFORMED;
}

void ww_signal_write(const struct ww_signal *signal, struct ww_buf *out)
{
    static const char *const SETUP_NAMES[] = {
        [WW_SETUP_NONE] = "",
        [WW_SETUP_ACTIVE] = "active",
        [WW_SETUP_PASSIVE] = "passive",
        [WW_SETUP_ACTPASS] = "actpass",
    };
    if (signal->ufrag[0] != '\0')
        ww_buf_printf(out, "a=ice-ufrag:%s\na=ice-pwd:%s\na=ice-options:trickle\n", signal->ufrag,
                      signal->password);
    if (signal->has_fingerprint) {
        ww_buf_put_text(out, "a=fingerprint:sha-256 ");
        for (size_t i = 0; i < WW_FINGERPRINT_SIZE; i++)
            ww_buf_printf(out, "%s%02X", i ? ":" : "", signal->fingerprint[i]);
        ww_buf_put_text(out, "\n");
    }
    if (signal->setup != WW_SETUP_NONE)
        ww_buf_printf(out, "a=setup:%s\n", SETUP_NAMES[signal->setup]);
    if (signal->datagram_bytes)
        ww_buf_printf(out, "a=x-ww-datagram:%u\n", signal->datagram_bytes);
    for (unsigned i = 0; i < signal->candidate_count; i++) {
        ww_buf_put_text(out, "a=candidate:");
        ww_candidate_write(&signal->candidates[i], out);
        ww_buf_put_text(out, "\n");
    }
    if (signal->end_of_candidates)
        ww_buf_put_text(out, "a=end-of-candidates\n");
}
