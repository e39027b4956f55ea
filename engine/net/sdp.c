/* Offers and answers (RFC 8866, 8841) around a signal, for peers that only speak SDP: browsers and
 * libdatachannel in the interoperability tests. ww nodes exchange bare signals.
 */
#include "token.h"
#include "ww/net_codec.h"

/* The attributes of a description that a signal has, too. */
static bool is_signal_attribute(struct token line)
{
    static const char *const NAMES[] = {"a=ice-ufrag:",    "a=ice-pwd:",   "a=fingerprint:",
                                        "a=setup:",        "a=candidate:", "a=end-of-candidates",
                                        "a=x-ww-datagram:"};
    for (size_t i = 0; i < WW_ARRAY_COUNT(NAMES); i++) {
        if (token_skip(&line, NAMES[i]))
            return true;
    }
    return false;
}

void ww_sdp_write(const struct ww_signal *signal, const char *mid, struct ww_buf *out)
{
    struct ww_buf attributes;
    struct token rest, line;
    ww_buf_init(&attributes, WW_SDP_BYTES_MAX);
    ww_signal_write(signal, &attributes);
    ww_buf_printf(out,
                  "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE %s\r\n"
                  "a=msid-semantic: WMS\r\n"
                  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n",
                  mid);
    rest = (struct token){ww_buf_text(&attributes), attributes.size};
    while (token_line(&rest, &line)) {
        ww_buf_put(out, line.text, line.size);
        ww_buf_put_text(out, "\r\n");
    }
    ww_buf_printf(out, "a=mid:%s\r\na=sctp-port:5000\r\na=max-message-size:%d\r\n", mid,
                  WW_CHANNEL_MESSAGE_BYTES_MAX);
    if (attributes.error)
        out->error = attributes.error;
    ww_buf_deinit(&attributes);
}

int ww_sdp_parse(const char *text, size_t size, struct ww_signal *signal, char *mid,
                 size_t mid_size)
{
    struct token rest = {text, size}, line;
    char attributes[WW_SIGNAL_BYTES_MAX];
    size_t used = 0;
    bool in_session = true, in_application = false, seen_application = false;

    if (size > WW_SDP_BYTES_MAX)
        return WW_ETOOBIG;
    while (token_line(&rest, &line)) {
        struct token value = line;
        if (token_skip(&value, "m=")) {
            in_session = false;
            in_application = !seen_application && token_skip(&value, "application ");
            seen_application |= in_application;
            continue;
        }
        if (in_application && mid && token_skip(&value, "a=mid:") &&
            !token_copy(value, mid, mid_size))
            return WW_EMALFORMED;
        if (!(in_session || in_application) || !is_signal_attribute(line))
            continue;
        if (line.size + 1 > sizeof attributes - used)
            return WW_ETOOBIG;
        memcpy(attributes + used, line.text, line.size);
        used += line.size;
        attributes[used++] = '\n';
    }
    return seen_application ? ww_signal_parse(attributes, used, signal) : WW_EMALFORMED;
}
