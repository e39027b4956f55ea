/* The nftables table of the egress for packets, by the nft program: its library's licence (GPL-2)
 * is not ours. nft stays, reading commands from a pipe, because the kernel removes a table with the
 * owner flag (Linux 5.12) together with the socket that made it: so nothing is left however this
 * process ends. An older kernel keeps the table; it is replaced at the next start. */
#include "exit_nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exit_room.h"

#define ANSWER_MS  5000
#define LINE_BYTES 16384

struct ww_exit_nft {
    struct ww_loop *loop;
    struct ww_child *child;
    void (*lost)(void *arg);
    void *arg;
    int in_fd, out_fd;
    bool is_owned;
    char table[32];
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

static void on_exit_of(void *arg, int status)
{
    struct ww_exit_nft *nft = arg;

    (void)status;
    ww_child_destroy(nft->child);
    nft->child = NULL;
    if (nft->is_owned)
        nft->lost(nft->arg);
}

static int start(struct ww_exit_nft *nft)
{
    static const char *const programs[] = {"/usr/sbin/nft", "nft"};
    int in[2], out[2], rc = WW_ENOTFOUND;

    if (pipe2(in, O_CLOEXEC) != 0)
        return WW_ESYSTEM;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return WW_ESYSTEM;
    }
    for (size_t i = 0; i < WW_ARRAY_COUNT(programs) && rc == WW_ENOTFOUND; i++) {
        const char *const argv[] = {programs[i], "-i", NULL};
        const struct ww_child_options options = {.argv = argv,
                                                 .stdin_fd = in[0],
                                                 .stdout_fd = out[1],
                                                 .stderr_fd = out[1],
                                                 .die_with_parent = true,
                                                 .own_group = true};

        rc = ww_child_create(nft->loop, &options, on_exit_of, nft, &nft->child);
    }
    close(in[0]);
    close(out[1]);
    nft->in_fd = in[1];
    nft->out_fd = out[0];
    return rc;
}

static void stop(struct ww_exit_nft *nft)
{
    if (nft->child) {
        ww_child_kill(nft->child, SIGKILL);
        ww_child_destroy(nft->child);
        nft->child = NULL;
    }
    if (nft->in_fd >= 0)
        close(nft->in_fd);
    if (nft->out_fd >= 0)
        close(nft->out_fd);
    nft->in_fd = nft->out_fd = -1;
}

/* The line of an answer that says so, or NULL. `text` is changed. */
static const char *find_line(char *text, const char *begin, bool is_whole)
{
    for (char *line = text; line && *line;) {
        char *end = strchr(line, '\n');

        if (!end)
            return NULL;
        if (strncmp(line, begin, strlen(begin)) == 0 &&
            (!is_whole || line[strlen(begin)] == '\n')) {
            *end = '\0';
            return line;
        }
        line = end + 1;
    }
    return NULL;
}

/* Until nft lists the table, or complains. */
static int await(struct ww_exit_nft *nft, char why[WW_EXIT_WHY_BYTES])
{
    uint64_t until_us = ww_clock_mono_us() + ANSWER_MS * 1000ULL;
    char answer[LINE_BYTES], listed[64], *error;
    size_t size = 0;

    snprintf(listed, sizeof(listed), "table inet %s", nft->table);
    for (;;) {
        struct pollfd wait = {.fd = nft->out_fd, .events = POLLIN};
        uint64_t now_us = ww_clock_mono_us();
        ssize_t got = 0;

        if (now_us >= until_us || size == sizeof(answer) - 1)
            return ww_exit_explain(why, WW_ESYSTEM, "nft gives no answer", 0);
        if (poll(&wait, 1, (int)((until_us - now_us) / 1000) + 1) > 0)
            got = read(nft->out_fd, answer + size, sizeof(answer) - 1 - size);
        if (got == 0 && wait.revents)
            return ww_exit_explain(why, WW_ESYSTEM, "nft ended", 0);
        size += got > 0 ? (size_t)got : 0;
        answer[size] = '\0';
        error = strstr(answer, "Error: ");
        if (error && find_line(error, "Error: ", false))
            return ww_exit_explain(why, WW_EPERM, error, 0);
        if (find_line(answer, listed, true))
            return 0;
    }
}

static int say(struct ww_exit_nft *nft, const char *text)
{
    size_t size = strlen(text);

    while (size > 0) {
        ssize_t written = write(nft->in_fd, text, size);

        if (written < 0 && errno != EINTR)
            return WW_ESYSTEM;
        text += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int put_in_place(struct ww_exit_nft *nft, const struct ww_exit_rules *rules,
                        char why[WW_EXIT_WHY_BYTES])
{
    struct ww_buf text;
    int rc;

    ww_buf_init(&text, 65536);
    ww_buf_printf(&text, "add table inet %s\ndelete table inet %s\n", nft->table, nft->table);
    ww_exit_rules_put(rules, nft->is_owned, &text);
    ww_buf_put_text(&text, "list tables\n");
    rc = text.error ? text.error : start(nft);
    if (rc == WW_ENOTFOUND)
        ww_exit_explain(why, rc, "there is no nft program (package nftables)", 0);
    else if (rc)
        ww_exit_explain(why, rc, "nft can't be started", errno);
    if (rc == 0)
        rc = say(nft, ww_buf_text(&text));
    if (rc == 0)
        rc = await(nft, why);
    ww_buf_deinit(&text);
    return rc;
}

int ww_exit_nft_open(struct ww_loop *loop, const struct ww_exit_rules *rules,
                     void (*lost)(void *arg), void *arg, char why[WW_EXIT_WHY_BYTES],
                     struct ww_exit_nft **nft)
{
    struct ww_exit_nft *opened = ww_alloc(1, sizeof(*opened));
    int rc;

    if (!opened)
        return WW_ENOMEM;
    opened->loop = loop;
    opened->lost = lost;
    opened->arg = arg;
    opened->in_fd = opened->out_fd = -1;
    opened->is_owned = true;
    snprintf(opened->table, sizeof(opened->table), WW_EXIT_TABLE "%s", rules->device);
    rc = put_in_place(opened, rules, why);
    if (rc == WW_EPERM) { /* perhaps the kernel knows no owners */
        stop(opened);
        opened->is_owned = false;
        rc = put_in_place(opened, rules, why);
    }
    if (rc) {
        stop(opened);
        ww_free(opened);
        return rc;
    }
    fcntl(opened->in_fd, F_SETFL, O_NONBLOCK);
    *nft = opened;
    return 0;
}

void ww_exit_nft_add(struct ww_exit_nft *nft, const char *set, const char *elements)
{
    char line[512];

    snprintf(line, sizeof(line), "add element inet %s %s { %s }\n", nft->table, set, elements);
    if (say(nft, line) != 0)
        ww_log(WW_LOG_WARN, "packet", "An interface was not added to nftables", "set=%s", set);
}

void ww_exit_nft_close(struct ww_exit_nft *nft)
{
    if (!nft)
        return;
    if (!nft->is_owned) {
        char line[64];

        snprintf(line, sizeof(line), "delete table inet %s\n", nft->table);
        say(nft, line);
        close(nft->in_fd); /* it ends when it has done that */
        nft->in_fd = -1;
        ww_child_destroy(nft->child);
        nft->child = NULL;
    }
    stop(nft);
    ww_free(nft);
}
