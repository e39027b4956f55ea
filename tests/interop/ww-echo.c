/* A WebRTC peer that echoes, for the interoperability tests: offers and answers as JSON lines
 * {"type":"offer","sdp":"…"} on stdin and stdout, then every message goes back on its channel.
 * The text "open:LABEL" makes it open a channel LABEL and, when the other side has acknowledged
 * that, send "opened" on it; "close" makes it close the one that it came on.
 *
 * ww-echo offer|answer client|server [--libnice]   (client, server: its DTLS role)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ww/limits.h"
#include "ww/net.h"
#include "ww/net_codec.h"

#include <signal.h>

struct echo {
    struct ww_loop *loop;
    struct ww_net *net;
    struct ww_peer *peer;
    struct ww_watch *input;
    bool is_offerer, is_described;
    char mid[64];
    struct ww_signal local;
    struct ww_buf line;
};

struct echo_channel {
    struct echo *echo;
    struct ww_channel *channel;
};

static _Noreturn void fail(const char *what, int code)
{
    fprintf(stderr, "ww-echo: %s: %s\n", what, code ? ww_error_name(code) : "failed");
    exit(1);
}

/* --- JSON, as far as needed ------------------------------------------------------------------- */

static void print_description(struct echo *echo)
{
    struct ww_buf sdp;
    if (echo->is_offerer)
        echo->local.setup = WW_SETUP_ACTPASS;
    ww_buf_init(&sdp, WW_SDP_BYTES_MAX);
    ww_sdp_write(&echo->local, echo->mid, &sdp);
    if (sdp.error)
        fail("sdp", sdp.error);
    printf("{\"type\":\"%s\",\"sdp\":\"", echo->is_offerer ? "offer" : "answer");
    for (size_t i = 0; i < sdp.size; i++) {
        if (sdp.data[i] == '\r')
            fputs("\\r", stdout);
        else if (sdp.data[i] == '\n')
            fputs("\\n", stdout);
        else
            putchar(sdp.data[i]); /* nothing else in it needs an escape */
    }
    puts("\"}");
    fflush(stdout);
    ww_buf_deinit(&sdp);
    echo->is_described = true;
}

/* The string after "sdp":" with \r, \n and single characters unescaped; in place. */
static char *find_sdp(char *line)
{
    char *from = strstr(line, "\"sdp\":\"");
    if (!from)
        fail("input", WW_EMALFORMED);
    from += strlen("\"sdp\":\"");
    char *start = from, *to = from;
    for (; *from != '"'; from++) {
        if (*from == '\0')
            fail("input", WW_EMALFORMED);
        if (*from == '\\') {
            from++;
            *to++ = *from == 'r' ? '\r' : *from == 'n' ? '\n' : *from;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return start;
}

/* --- channels ------------------------------------------------------------------------------------
 */

static const struct ww_channel_callbacks CHANNEL;

static void on_message(void *arg, enum ww_channel_kind kind, void *data, size_t size)
{
    struct echo_channel *on = arg;
    char text[64] = "";
    if (kind == WW_CHANNEL_TEXT && size < sizeof text)
        memcpy(text, data, size);
    if (strcmp(text, "close") == 0) {
        ww_channel_close(on->channel);
        ww_free(on);
        return;
    }
    if (strncmp(text, "open:", 5) == 0) {
        const struct ww_channel_config config = {.label = text + 5, .max_retransmits = -1};
        struct echo_channel *made = ww_alloc(1, sizeof *made);
        if (!made)
            fail("memory", 0);
        made->echo = on->echo;
        int code = ww_channel_open(on->echo->peer, &config, &CHANNEL, made, &made->channel);
        if (code)
            fail("open", code);
        return;
    }
    int code = ww_channel_send(on->channel, kind, data, size);
    if (code)
        fail("send", code);
}

static void on_open(void *arg)
{
    static const char TEXT[] = "opened";
    struct echo_channel *on = arg;
    int code = ww_channel_send(on->channel, WW_CHANNEL_TEXT, TEXT, sizeof TEXT - 1);
    if (code)
        fail("greeting", code);
}

static void on_channel_closed(void *arg, int code)
{
    (void)code;
    ww_free(arg);
}

static const struct ww_channel_callbacks CHANNEL = {
    .open = on_open,
    .message = on_message,
    .closed = on_channel_closed,
};

static void on_channel(void *arg, struct ww_channel *channel)
{
    struct echo_channel *made = ww_alloc(1, sizeof *made);
    if (!made)
        fail("memory", 0);
    made->echo = arg;
    made->channel = channel;
    ww_channel_accept(channel, &CHANNEL, made);
}

/* --- the peer
 * -------------------------------------------------------------------------------------- */

static void on_signal(void *arg, const char *text)
{
    struct echo *echo = arg;
    struct ww_signal part;
    int code = ww_signal_parse(text, strlen(text), &part);
    if (code)
        fail("own signal", code);
    if (part.ufrag[0] != '\0') {
        part.candidate_count = 0;
        echo->local = part;
    }
    for (unsigned i = 0; i < part.candidate_count; i++)
        echo->local.candidates[echo->local.candidate_count++] = part.candidates[i];
    if (!part.end_of_candidates)
        return;
    echo->local.end_of_candidates = true;
    /* An answer waits for the offer, whose mid it repeats. */
    if (echo->is_offerer || echo->mid[0] != '\0')
        print_description(echo);
}

static void on_connected(void *arg)
{
    struct echo *echo = arg;
    struct ww_path path;
    ww_peer_path(echo->peer, &path);
    printf(
        "{\"connected\":true,\"direct\":%s,\"kind\":\"%s\",\"local\":\"%s\",\"remote\":\"%s\"}\n",
        path.direct ? "true" : "false", ww_path_kind_name(path.kind), path.local, path.remote);
    fflush(stdout);
}

static void on_closed(void *arg, int code)
{
    struct echo *echo = arg;
    printf("{\"closed\":\"%s\"}\n", ww_error_name(code));
    fflush(stdout);
    ww_loop_stop(echo->loop);
}

static void use_description(struct echo *echo, char *line)
{
    struct ww_signal remote;
    struct ww_buf text;
    char *sdp = find_sdp(line);
    int code = ww_sdp_parse(sdp, strlen(sdp), &remote, echo->mid, sizeof echo->mid);
    if (code)
        fail("remote description", code);
    /* It is whole: nothing more will come. */
    remote.end_of_candidates = true;
    ww_buf_init(&text, WW_SIGNAL_BYTES_MAX);
    ww_signal_write(&remote, &text);
    code = text.error ? text.error : ww_peer_signal(echo->peer, ww_buf_text(&text));
    if (code)
        fail("signal", code);
    ww_buf_deinit(&text);
    if (!echo->is_described && echo->local.end_of_candidates)
        print_description(echo);
}

static void on_input(void *arg, int fd, unsigned events)
{
    struct echo *echo = arg;
    char chunk[4096];
    (void)events;
    ssize_t size = read(fd, chunk, sizeof chunk);
    if (size <= 0) {
        ww_loop_stop(echo->loop);
        return;
    }
    ww_buf_put(&echo->line, chunk, (size_t)size);
    if (!memchr(chunk, '\n', (size_t)size))
        return;
    ww_buf_put_u8(&echo->line, 0);
    if (echo->line.error)
        fail("input", echo->line.error);
    use_description(echo, (char *)echo->line.data);
    ww_buf_clear(&echo->line);
}

int main(int argc, char **argv)
{
    static struct echo echo;
    struct ww_key *key = NULL;
    struct ww_net_config net = {.loopback_only = true, .allow_bypass = true};
    struct ww_peer_config peer = {.allow_any_fingerprint = true};
    const struct ww_peer_callbacks callbacks = {
        .signal = on_signal, .connected = on_connected, .channel = on_channel, .closed = on_closed};
    if (argc < 3) {
        fputs("usage: ww-echo offer|answer client|server [--libnice]\n", stderr);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    echo.is_offerer = strcmp(argv[1], "offer") == 0;
    net.allow_bypass = argc < 4;
    if (echo.is_offerer)
        memcpy(echo.mid, "0", 2);
    peer.role = echo.is_offerer ? WW_PEER_CLIENT : WW_PEER_SERVER;
    peer.dtls_reversed = (strcmp(argv[2], "client") == 0) != echo.is_offerer;
    ww_buf_init(&echo.line, 65536);
    int code = ww_loop_create(&echo.loop);
    if (!code)
        code = ww_key_generate(&key);
    net.key = key;
    if (!code)
        code = ww_net_create(echo.loop, &net, &echo.net);
    if (!code)
        code = ww_peer_create(echo.net, &peer, &callbacks, &echo, &echo.peer);
    if (!code)
        code = ww_watch_create(echo.loop, 0, WW_WATCH_READ, on_input, &echo, &echo.input);
    if (code)
        fail("start", code);
    ww_loop_run(echo.loop);
    ww_watch_destroy(echo.input);
    ww_peer_destroy(echo.peer);
    ww_net_destroy(echo.net);
    ww_loop_destroy(echo.loop);
    ww_key_destroy(key);
    ww_buf_deinit(&echo.line);
    return 0;
}
