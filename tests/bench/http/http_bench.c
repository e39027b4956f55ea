/* How much the server does in a second of its own CPU time: small requests on kept TLS
 * connections, and one large plaintext download. The clients run in a child process, so that
 * getrusage tells the server's share whatever else the machine does. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http_fixture.h"

#define CLIENTS       32
#define SECONDS       3
#define DOWNLOAD_SIZE (8ULL << 30)

static struct fixture fixture;
static struct ww_http_client *clients[CLIENTS];
static uint64_t requests;
static uint64_t bytes;

static ptrdiff_t give(void *arg, uint8_t *out, size_t capacity)
{
    (void)arg;
    memset(out, 'x', capacity);
    return (ptrdiff_t)capacity;
}

static void on_request(void *arg, struct ww_http_request *request)
{
    static const char body[] = "{\"id\":1,\"status\":200}";
    const struct ww_http_source source = {.read = give};
    (void)arg;
    if (strcmp(ww_http_request_path(request), "/large") == 0) {
        ww_http_respond_stream(
            request, &(struct ww_http_response){.status = 200, .size = DOWNLOAD_SIZE}, &source);
        return;
    }
    requests++;
    ww_http_respond_text(request, 200, "application/json", body, sizeof(body) - 1);
}

static void on_done(void *arg, int code, const struct ww_http_result *result);

static void ask(struct ww_http_client *client)
{
    static const char body[] = "{\"provider\":\"x\",\"bytes\":\"1000000\"}";
    const struct ww_http_call call = {.method = "POST",
                                      .path = "/v1/contracts",
                                      .body = body,
                                      .size = sizeof(body) - 1,
                                      .done = on_done,
                                      .arg = client};
    (void)ww_http_client_request(client, &call);
}

static void on_done(void *arg, int code, const struct ww_http_result *result)
{
    (void)result;
    if (code == 0)
        ask(arg);
}

static void on_piece(void *arg, const uint8_t *data, size_t size)
{
    (void)arg;
    (void)data;
    bytes += size;
}

static void on_large(void *arg, int code, const struct ww_http_result *result)
{
    (void)arg;
    (void)code;
    (void)result;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The child: never returns. */
static void run_clients(const char *url, bool tls)
{
    const struct ww_http_client_config config = {.url = url,
                                                 .pin = tls ? fixture.pin : (struct ww_hash){{0}}};
    struct ww_loop *loop;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ww_loop_create(&loop) != 0)
        _exit(1);
    for (unsigned i = 0; i < (tls ? CLIENTS : 1); i++) {
        if (ww_http_client_create(loop, &config, &clients[i]) != 0)
            _exit(1);
        const struct ww_http_call large = {
            .method = "GET", .path = "/large", .on_body = on_piece, .done = on_large};
        if (tls)
            ask(clients[i]);
        else
            (void)ww_http_client_request(clients[i], &large);
    }
    uint64_t end_us = ww_clock_mono_us() + SECONDS * 1000000ULL + 300000;
    while (ww_clock_mono_us() < end_us)
        ww_loop_turn(loop, 1000);
    if (!tls)
        printf("  client: %.2f Gbit/s, %.2f Gbit per CPU second\n",
               (double)bytes * 8 / 1e9 / (SECONDS + 0.3), (double)bytes * 8 / 1e9 / cpu_s());
    fflush(stdout);
    _exit(0);
}

static void measure(bool tls)
{
    static const struct ww_http_callbacks callbacks = {.request = on_request};
    struct ww_http_server *server = fixture_server(&fixture, tls, NULL, &callbacks, NULL);
    const char *url = fixture_url(tls ? "https" : "http", server);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        run_clients(url, tls);
    fixture_turn(&fixture, 300); /* handshakes */
    double begin_s = cpu_s();
    uint64_t before = requests;
    fixture_turn(&fixture, SECONDS * 1000);
    double used_s = cpu_s() - begin_s;
    if (tls)
        printf("  requests: %.0f/s, %.0f per CPU second of the server\n",
               (double)(requests - before) / SECONDS, (double)(requests - before) / used_s);
    else
        printf("  the server used %.2f CPU seconds of %d\n", used_s, SECONDS);
    ww_http_server_destroy(server);
    waitpid(child, NULL, 0);
}

int main(void)
{
    fixture_open(&fixture);
    printf("small requests, TLS, %d kept connections\n", CLIENTS);
    measure(true);
    printf("one download, plaintext\n");
    measure(false);
    fixture_close(&fixture);
    return 0;
}
