/* The nftables table of the egress for packets, by the nft program: its library's licence (GPL-2)
 * is not ours. nft stays, reading commands from a pipe, because the kernel removes a table with the
 * owner flag (Linux 5.12) together with the socket that made it: so nothing is left however this
 * process ends. An older kernel keeps the table; it is replaced at the next start. */
#include "exit_nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exit_room.h"

#define ANSWER_US  5000000
#define LINE_BYTES 16384
#define RULES_MAX  65536

struct ww_exit_nft {
    struct ww_loop *loop;
    struct ww_child *child;
    struct ww_stream *stream; /* its standard descriptors, all three */
    struct ww_timer *overdue; /* while it is being opened */
    struct ww_buf unowned;    /* likewise: the rules for a kernel that knows no owners */
    ww_exit_nft_fn told;
    void *arg;
    bool is_opening, is_owned;
    char listed[64]; /* the line that says that the table is there */
};

/* --- rules ------------------------------------------------------------------------------------ */

static bool is_v4(const struct ww_prefix *prefix)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    return prefix->bits >= 96 && memcmp(prefix->address, mapped, 12) == 0;
}

static void put_prefix(const struct ww_prefix *prefix, struct ww_buf *out)
{
    char text[INET6_ADDRSTRLEN];
    bool v4 = is_v4(prefix);

    inet_ntop(v4 ? AF_INET : AF_INET6, prefix->address + (v4 ? 12 : 0), text, sizeof(text));
    ww_buf_printf(out, "%s/%u", text, (unsigned)prefix->bits - (v4 ? 96 : 0));
}

static void put_set(const char *name, bool of_v4, const struct ww_prefix *prefixes, size_t count,
                    struct ww_buf *out)
{
    bool is_first = true;

    ww_buf_printf(out, "set %s { type %s; flags interval; auto-merge; ", name,
                  of_v4 ? "ipv4_addr" : "ipv6_addr");
    for (size_t i = 0; i < count; i++) {
        if (is_v4(&prefixes[i]) != of_v4)
            continue;
        ww_buf_put_text(out, is_first ? "elements = { " : ", ");
        put_prefix(&prefixes[i], out);
        is_first = false;
    }
    ww_buf_put_text(out, is_first ? "}; " : " }; }; ");
}

static void put_names(const char *name, const char *elements, struct ww_buf *out)
{
    ww_buf_printf(out, "set %s { type ifname; ", name);
    if (elements && elements[0])
        ww_buf_printf(out, "elements = { %s }; ", elements);
    ww_buf_put_text(out, "}; ");
}

static void put_forward(const struct ww_exit_rules *rules, struct ww_buf *out)
{
    const char *device = rules->device;

    ww_buf_printf(out,
                  "chain forward { type filter hook forward priority -5; policy accept; "
                  "oifname \"%s\" ct state established,related accept; "
                  "oifname \"%s\" drop; "
                  "iifname \"%s\" jump outward; ",
                  device, device, device);
    /* What was no router before is one for the tunnel only. */
    ww_buf_printf(out,
                  "iifname @turned_v4 meta nfproto ipv4 drop; "
                  "iifname @turned_v6 meta nfproto ipv6 drop; %s}; ",
                  rules->all_v6 ? "meta nfproto ipv6 drop; " : "");
}

void ww_exit_rules_put(const struct ww_exit_rules *rules, bool is_owned, struct ww_buf *out)
{
    struct ww_prefix fixed[64];
    size_t count =
        WW_MIN(ww_address_fixed_prefixes(fixed, WW_ARRAY_COUNT(fixed)), WW_ARRAY_COUNT(fixed));
    struct ww_prefix pool_v4 = {.bits = 112}, pool_v6 = {.bits = 64};
    const char *device = rules->device;

    ww_address_map(rules->pool_v4, pool_v4.address);
    memcpy(pool_v6.address, rules->pool_v6, 16);
    ww_buf_printf(out, "table inet " WW_EXIT_TABLE "%s { %s", device,
                  is_owned ? "flags owner; " : "");
    put_set("allowed_v4", true, rules->allowed, rules->allowed_count, out);
    put_set("allowed_v6", false, rules->allowed, rules->allowed_count, out);
    put_set("denied_v4", true, fixed, count, out);
    put_set("denied_v6", false, fixed, count, out);
    put_set("pool_v4", true, &pool_v4, 1, out);
    put_set("pool_v6", false, &pool_v6, 1, out);
    put_names("turned_v4", rules->turned_v4, out);
    put_names("turned_v6", rules->turned_v6, out);
    ww_buf_put_text(out, "chain outward { "
                         "ct state invalid drop; "
                         "meta nfproto ipv4 ip saddr != @pool_v4 drop; "
                         "meta nfproto ipv6 ip6 saddr != @pool_v6 drop; "
                         "ct state established accept; " /* judged when it began */
                         "meta l4proto != { tcp, udp, icmp, icmpv6 } drop; "
                         "ip daddr @pool_v4 drop; ip6 daddr @pool_v6 drop; "
                         "ip daddr @allowed_v4 accept; ip6 daddr @allowed_v6 accept; "
                         "ip daddr @denied_v4 drop; "
                         "ip6 daddr != 2000::/3 drop; ip6 daddr @denied_v6 drop; "
                         "accept; }; ");
    put_forward(rules, out);
    ww_buf_printf(out,
                  "chain input { type filter hook input priority -5; policy accept; "
                  "iifname \"%s\" drop; }; "
                  "chain translate { type nat hook postrouting priority 100; policy accept; "
                  "oifname != \"%s\" ip saddr @pool_v4 masquerade; "
                  "oifname != \"%s\" ip6 saddr @pool_v6 masquerade; }; }\n",
                  device, device, device);
}

/* --- talking to nft --------------------------------------------------------------------------- */

static void stop(struct ww_exit_nft *nft)
{
    if (nft->child) {
        ww_child_kill(nft->child, SIGKILL);
        ww_child_destroy(nft->child);
        nft->child = NULL;
    }
    ww_stream_destroy(nft->stream);
    nft->stream = NULL;
}

static int put_in_place(struct ww_exit_nft *nft, const struct ww_buf *rules,
                        char why[WW_EXIT_WHY_BYTES]);

/* The table is there. */
static void on_listed(struct ww_exit_nft *nft)
{
    nft->is_opening = false;
    ww_timer_stop(nft->overdue);
    ww_buf_deinit(&nft->unowned);
    nft->told(nft->arg, 0, "");
}

/* nft says no, ends or says nothing; this may be the end of `nft`. Perhaps the kernel knows no
 * owners. */
static void on_trouble(struct ww_exit_nft *nft, int code, const char *what)
{
    char why[WW_EXIT_WHY_BYTES];

    snprintf(why, sizeof(why), "%s", what);
    ww_timer_stop(nft->overdue);
    stop(nft);
    if (nft->is_opening && code == WW_EPERM && nft->is_owned) {
        nft->is_owned = false;
        code = put_in_place(nft, &nft->unowned, why);
        if (code == 0)
            return;
    }
    nft->told(nft->arg, code, why);
}

static void on_overdue(void *arg)
{
    struct ww_exit_nft *nft = arg;

    on_trouble(nft, WW_ESYSTEM, "nft gives no answer");
}

static void on_exit_of(void *arg, int status)
{
    struct ww_exit_nft *nft = arg;

    (void)status;
    ww_child_destroy(nft->child);
    nft->child = NULL;
    on_trouble(nft, WW_ESYSTEM, "nft ended");
}

/* True: it says something, and `nft` may be gone. */
static bool take_line(struct ww_exit_nft *nft, const char *line)
{
    const char *error = strstr(line, "Error: ");

    if (error) {
        on_trouble(nft, WW_EPERM, error);
        return true;
    }
    if (!nft->is_opening || strcmp(line, nft->listed) != 0)
        return false;
    on_listed(nft);
    return true;
}

/* Of a line that is longer than any that matters the end counts as one. */
static void on_readable(void *arg)
{
    struct ww_exit_nft *nft = arg;
    const uint8_t *data, *end;
    char line[WW_EXIT_WHY_BYTES];
    size_t size;

    while ((data = ww_stream_peek(nft->stream, LINE_BYTES, &size))) {
        end = memchr(data, '\n', size);
        if (!end && size < LINE_BYTES)
            return;
        size_t length = end ? (size_t)(end - data) : size;
        snprintf(line, sizeof(line), "%.*s", (int)length, (const char *)data);
        ww_stream_consume(nft->stream, length + (end ? 1 : 0));
        if (take_line(nft, line))
            return; /* what follows an error are its details */
    }
}

static const struct ww_stream_callbacks STREAM_CALLBACKS = {.readable = on_readable};

static int start(struct ww_exit_nft *nft)
{
    static const char *const programs[] = {"/usr/sbin/nft", "nft"};
    int ends[2], rc = WW_ENOTFOUND;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return WW_ESYSTEM;
    for (size_t i = 0; i < WW_ARRAY_COUNT(programs) && rc == WW_ENOTFOUND; i++) {
        const char *const argv[] = {programs[i], "-i", NULL};
        const struct ww_child_options options = {.argv = argv,
                                                 .stdin_fd = ends[1],
                                                 .stdout_fd = ends[1],
                                                 .stderr_fd = ends[1],
                                                 .die_with_parent = true,
                                                 .own_group = true};

        rc = ww_child_create(nft->loop, &options, on_exit_of, nft, &nft->child);
    }
    close(ends[1]);
    if (rc) {
        close(ends[0]);
        return rc;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return ww_stream_accept(nft->loop, ends[0], &STREAM_CALLBACKS, nft, &nft->stream);
}

/* What follows is told by the loop: on_listed or on_trouble. */
static int put_in_place(struct ww_exit_nft *nft, const struct ww_buf *rules,
                        char why[WW_EXIT_WHY_BYTES])
{
    int rc = rules->error ? rules->error : start(nft);

    if (rc == WW_ENOTFOUND)
        ww_exit_explain(why, rc, "there is no nft program (package nftables)", 0);
    else if (rc)
        ww_exit_explain(why, rc, "nft can't be started", errno);
    if (rc == 0)
        rc = ww_stream_write(nft->stream, rules->data, rules->size);
    if (rc == 0)
        ww_timer_start(nft->overdue, ANSWER_US);
    return rc;
}

static void put_commands(const struct ww_exit_nft *nft, const struct ww_exit_rules *rules,
                         bool is_owned, struct ww_buf *out)
{
    ww_buf_init(out, RULES_MAX);
    ww_buf_printf(out, "add %s\ndelete %s\n", nft->listed, nft->listed);
    ww_exit_rules_put(rules, is_owned, out);
    ww_buf_put_text(out, "list tables\n");
}

int ww_exit_nft_open(struct ww_loop *loop, const struct ww_exit_rules *rules, ww_exit_nft_fn told,
                     void *arg, char why[WW_EXIT_WHY_BYTES], struct ww_exit_nft **nft)
{
    struct ww_exit_nft *opened = ww_alloc(1, sizeof(*opened));
    struct ww_buf owned;
    int rc;

    if (!opened)
        return ww_exit_explain(why, WW_ENOMEM, "memory ran out", 0);
    opened->loop = loop;
    opened->told = told;
    opened->arg = arg;
    opened->is_opening = opened->is_owned = true;
    snprintf(opened->listed, sizeof(opened->listed), "table inet " WW_EXIT_TABLE "%s",
             rules->device);
    put_commands(opened, rules, true, &owned);
    put_commands(opened, rules, false, &opened->unowned);
    rc = ww_timer_create(loop, on_overdue, opened, &opened->overdue);
    if (rc)
        ww_exit_explain(why, rc, "memory ran out", 0);
    else
        rc = put_in_place(opened, &owned, why);
    ww_buf_deinit(&owned);
    if (rc) {
        ww_exit_nft_close(opened);
        return rc;
    }
    *nft = opened;
    return 0;
}

static void say(struct ww_exit_nft *nft, const char *line)
{
    if (ww_stream_queued(nft->stream) > RULES_MAX ||
        ww_stream_write(nft->stream, line, strlen(line)) != 0)
        ww_log(WW_LOG_WARN, "packet", "nft was not told", "line=%s", WW_Q(line));
}

void ww_exit_nft_add(struct ww_exit_nft *nft, const char *set, const char *elements)
{
    char line[512];

    snprintf(line, sizeof(line), "add element%s %s { %s }\n", nft->listed + strlen("table"), set,
             elements);
    say(nft, line);
}

/* Without an owner the table is not gone with nft, which ends when it has done that. */
static void delete_table(struct ww_exit_nft *nft)
{
    char line[80];

    snprintf(line, sizeof(line), "delete %s\n", nft->listed);
    if (send(ww_stream_fd(nft->stream), line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        ww_log(WW_LOG_WARN, "packet", "The nftables table stays until the next start", "why=%s",
               WW_Q(strerror(errno)));
    ww_child_destroy(nft->child);
    nft->child = NULL;
}

void ww_exit_nft_close(struct ww_exit_nft *nft)
{
    if (!nft)
        return;
    if (!nft->is_owned && nft->child && nft->stream)
        delete_table(nft);
    stop(nft);
    ww_timer_destroy(nft->overdue);
    ww_buf_deinit(&nft->unowned);
    ww_free(nft);
}
