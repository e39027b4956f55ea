/* A WebSocket peer that makes us answer and never reads: what waits for it is bounded. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "http_fixture.h"

#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                 \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

#define PINGS      2000
#define PING_BYTES 131 /* the largest: two bytes, a mask of four, 125 of payload */
#define FLOOD_MAX  (64 << 20)

static struct fixture fixture;
static struct raw raw;
static struct ww_ws *ws;
static int closed, error_of_close;

static void on_closed(void *arg, unsigned code, int error)
{
    (void)arg;
    (void)code;
    closed++;
    error_of_close = error;
    ws = NULL;
}

static void on_request(void *arg, struct ww_http_request *request)
{
    static const struct ww_ws_callbacks callbacks = {.closed = on_closed};

    (void)arg;
    assert_int_equal(ww_ws_accept(request, &callbacks, NULL, &ws), 0);
}

/* True while the server takes more, or may do so soon. */
static bool send_pings(const uint8_t *pings)
{
    ssize_t sent = send(raw.fd, pings, (size_t)PINGS * PING_BYTES, MSG_NOSIGNAL);

    /* Only whole turns of the pattern keep the framing: finish what was begun. */
    while (sent >= 0 && sent % PING_BYTES != 0) {
        ssize_t more = send(raw.fd, pings + sent % PING_BYTES,
                            (size_t)(PING_BYTES - sent % PING_BYTES), MSG_NOSIGNAL);
        if (more > 0)
            sent += more;
        else if (errno != EAGAIN)
            return false;
        fixture_turn(&fixture, 1);
    }
    return sent >= 0 || errno == EAGAIN;
}

static void test_pings_that_nobody_reads_the_answers_of(void **state)
{
    static const struct ww_http_callbacks callbacks = {.request = on_request};
    static uint8_t pings[PINGS * PING_BYTES];
    const int small = 65536;
    size_t queued = 0;

    (void)state;
    fixture_open(&fixture);
    struct ww_http_server *server = fixture_server(&fixture, false, NULL, &callbacks, NULL);
    for (size_t i = 0; i < PINGS; i++)
        memcpy(pings + i * PING_BYTES, "\x89\xfd\0\0\0\0", 6);
    raw_open(&raw, ww_http_server_port(server, 0));
    raw_send_text(&fixture, &raw, UPGRADE);
    raw_expect(&fixture, &raw, "\r\n\r\n");
    setsockopt(raw.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (size_t rounds = 0; rounds < 4000 && !closed && queued < FLOOD_MAX; rounds++) {
        if (!send_pings(pings))
            break;
        fixture_turn(&fixture, 1);
        queued = ws ? WW_MAX(queued, ww_ws_queued(ws)) : queued;
    }
    assert_in_range(queued, 1, WW_WS_QUEUE_BYTES_MAX + WW_HTTP_INPUT_BYTES_MAX);
    fixture_wait(&fixture, &closed);
    assert_int_equal(error_of_close, WW_ELIMIT);
    raw_close(&raw);
    ww_http_server_destroy(server);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pings_that_nobody_reads_the_answers_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
