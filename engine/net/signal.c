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

/* "TAG N" */
static int parse_change(struct token value, enum ww_signal_change change, struct ww_signal *signal)
{
    struct token tag;
    uint64_t generation = 0;
    if (!token_word(&value, &tag) || parse_ice_text(tag, 4, signal->tag, sizeof signal->tag))
        return WW_EMALFORMED;
    uint64_t least = change == WW_CHANGE_ATTEMPT ? 2 : change == WW_CHANGE_LOST ? 1 : 0;
    if (least && (!token_number(value, UINT32_MAX, &generation) || generation < least))
        return WW_EMALFORMED;
    if (signal->change != WW_CHANGE_NONE)
        return WW_EMALFORMED;
    signal->change = change;
    signal->generation = (uint32_t)generation;
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
    if (token_skip(&line, "x-ww-fast:")) {
        if (!token_number(line, 65535, &number))
            return WW_EMALFORMED;
        signal->fast = number == WW_FAST_VERSION;
        return 0;
    }
    if (token_skip(&line, "x-ww-path:"))
        return parse_change(line, WW_CHANGE_ATTEMPT, signal);
    if (token_skip(&line, "x-ww-path-lost:"))
        return parse_change(line, WW_CHANGE_LOST, signal);
    if (token_skip(&line, "x-ww-path-gone:"))
        return parse_change(line, WW_CHANGE_GONE, signal);
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
    /* Texts of an attempt may overtake each other: each says whose it is. */
    if (signal->change == WW_CHANGE_ATTEMPT && signal->ufrag[0] == '\0')
        return WW_EMALFORMED;
    return (signal->ufrag[0] != '\0') == (signal->password[0] != '\0') ? 0 : WW_EMALFORMED;
}

static void write_change(const struct ww_signal *signal, struct ww_buf *out)
{
    switch (signal->change) {
    case WW_CHANGE_NONE:
        break;
    case WW_CHANGE_ATTEMPT:
        ww_buf_printf(out, "a=x-ww-path:%s %u\n", signal->tag, signal->generation);
        break;
    case WW_CHANGE_LOST:
        ww_buf_printf(out, "a=x-ww-path-lost:%s %u\n", signal->tag, signal->generation);
        break;
    case WW_CHANGE_GONE:
        ww_buf_printf(out, "a=x-ww-path-gone:%s\n", signal->tag);
        break;
    }
}

bool ww_signal_answer_gone(const char *text, struct ww_buf *out)
{
    struct ww_signal signal, answer;
    if (ww_signal_parse(text, strnlen(text, WW_SIGNAL_BYTES_MAX + 1), &signal) ||
        signal.change != WW_CHANGE_ATTEMPT)
        return false;
    memset(&answer, 0, sizeof answer);
    answer.change = WW_CHANGE_GONE;
    memcpy(answer.tag, signal.tag, sizeof answer.tag);
    ww_signal_write(&answer, out);
    return true;
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
    if (signal->fast)
        ww_buf_printf(out, "a=x-ww-fast:%u\n", WW_FAST_VERSION);
    write_change(signal, out);
    for (unsigned i = 0; i < signal->candidate_count; i++) {
        ww_buf_put_text(out, "a=candidate:");
        ww_candidate_write(&signal->candidates[i], out);
        ww_buf_put_text(out, "\n");
    }
    if (signal->end_of_candidates)
        ww_buf_put_text(out, "a=end-of-candidates\n");
}
