/* The resolver against a DNS server that is silent, lies, cuts off and closes: nobody waits for
 * anybody else's name, and whatever is ended at any time is gone. The first label of a name says
 * what the server does. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "packet_net.h"
#include "packet_resolver_rig.h"
#include "resolver.h"
#include "ww/limits.h"

#define PATIENCE_US   30000000 /* silent servers are given up after 6 s */
#define ANSWER_SOON   1000000
#define MUTATION_SEED 20261127

struct asker {
    struct ww_loop *loop;
    struct ww_resolver *resolver;
    struct dns_server servers[2]; /* on 127.0.0.1 and 127.0.0.2, at the same port */
    char conf[64];
};

struct lookup {
    struct ww_resolver_query *query;
    int told, rc;
    size_t count;
    struct ww_resolver_address addresses[WW_EGRESS_ADDRESSES_MAX];
    struct ww_resolver *destroys; /* in the callback */
    struct lookup *cancels;
};

/* --- who asks ----------------------------------------------------------------------------------
 */

static void configure(struct asker *asker, const char *text)
{
    FILE *file = fopen(asker->conf, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void asker_start(struct asker *asker)
{
    uint16_t port;
    bool is_there = false;
    int fd;

    memset(asker, 0, sizeof(*asker));
    for (int tries = 0; !is_there && tries < 100; tries++) {
        close(net_listen(SOCK_DGRAM, 1, &port));
        is_there = dns_server_start(&asker->servers[0], INADDR_LOOPBACK, port);
        if (is_there && !dns_server_start(&asker->servers[1], INADDR_LOOPBACK + 1, port)) {
            dns_server_stop(&asker->servers[0]);
            is_there = false;
        }
    }
    assert_true(is_there);
    asker->servers[0].last = 1;
    asker->servers[1].last = 2;
    snprintf(asker->conf, sizeof(asker->conf), "/tmp/ww-resolver-XXXXXX");
    fd = mkstemp(asker->conf);
    assert_true(fd >= 0);
    close(fd);
    configure(asker, "search office.example\nnameserver 127.0.0.1\n");
    assert_int_equal(ww_loop_create(&asker->loop), 0);
    assert_int_equal(ww_resolver_create(asker->loop, &asker->resolver), 0);
    ww_resolver_set_source(asker->resolver, asker->conf, port);
}

static void asker_stop(struct asker *asker)
{
    ww_resolver_destroy(asker->resolver);
    ww_loop_turn(asker->loop, 0);
    ww_loop_destroy(asker->loop);
    dns_server_stop(&asker->servers[0]);
    dns_server_stop(&asker->servers[1]);
    unlink(asker->conf);
}

static void turn(struct asker *asker)
{
    ww_loop_turn(asker->loop, 2000);
    dns_server_serve(&asker->servers[0]);
    dns_server_serve(&asker->servers[1]);
}

#define SERVE_UNTIL(asker, condition)                                                              \
    do {                                                                                           \
        uint64_t until_us = ww_clock_mono_us() + PATIENCE_US;                                      \
        bool is_met;                                                                               \
        while (!(is_met = (condition)) && ww_clock_mono_us() < until_us)                           \
            turn(asker);                                                                           \
        assert_true(is_met);                                                                       \
    } while (0)

static void on_told(void *arg, int rc, const struct ww_resolver_address *addresses, size_t count)
{
    struct lookup *lookup = arg;

    lookup->query = NULL;
    lookup->told++;
    lookup->rc = rc;
    lookup->count = count;
    assert_true((rc == 0) == (count > 0));
    assert_true(count <= WW_EGRESS_ADDRESSES_MAX);
    memcpy(lookup->addresses, addresses, count * sizeof(*addresses));
    if (lookup->cancels) {
        ww_resolver_cancel(lookup->cancels->query);
        lookup->cancels->query = NULL;
    }
    if (lookup->destroys)
        ww_resolver_destroy(lookup->destroys);
}

static int start(struct asker *asker, const void *client, const char *name, struct lookup *lookup)
{
    *lookup = (struct lookup){.rc = 1};
    return ww_resolver_start(asker->resolver, client, name, on_told, lookup, &lookup->query);
}

static int look_up(struct asker *asker, const char *name, struct lookup *lookup)
{
    assert_int_equal(start(asker, NULL, name, lookup), 0);
    assert_int_equal(lookup->told, 0);
    SERVE_UNTIL(asker, lookup->told);
    return lookup->rc;
}

static bool have_ended(const struct lookup *lookups, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!lookups[i].told)
            return false;
    }
    return true;
}

/* --- tests -------------------------------------------------------------------------------------
 */

/* One client's names have servers that are silent, or say nothing sensible; the other one's are
 * answered all the same. */
static void test_the_silent_hold_up_nobody(void **state)
{
    static const char *const names[] = {"bad1.example", "bad2.example", "bad3.example",
                                        "bad4.example", "bad5.example", "bad6.example",
                                        "bad7.example"};
    static struct lookup hung[100 + WW_ARRAY_COUNT(names)];
    struct asker asker;
    struct lookup other;
    uint64_t from_us;
    char name[32];
    int one, two;

    (void)state;
    asker_start(&asker);
    for (size_t i = 0; i < WW_ARRAY_COUNT(hung); i++) {
        snprintf(name, sizeof(name), "hang%zu.example", i);
        assert_int_equal(start(&asker, &one, i < 100 ? name : names[i - 100], &hung[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        turn(&asker);
    from_us = ww_clock_mono_us();
    assert_int_equal(start(&asker, &two, "good.example", &other), 0);
    SERVE_UNTIL(&asker, other.told);
    assert_int_equal(other.rc, 0);
    assert_true(ww_clock_mono_us() - from_us < ANSWER_SOON);
    SERVE_UNTIL(&asker, have_ended(hung, WW_ARRAY_COUNT(hung)));
    for (size_t i = 0; i < WW_ARRAY_COUNT(hung); i++)
        assert_int_equal(hung[i].rc, WW_ERESOLVE);
    asker_stop(&asker);
}

/* A client has its share, and all have no more than the resolver; what ends makes room at once. */
static void test_shares(void **state)
{
    static struct lookup hung[WW_RESOLVER_LOOKUPS_MAX + 1];
    static char clients[WW_RESOLVER_LOOKUPS_MAX / WW_RESOLVER_SHARE];
    struct asker asker;
    size_t count = 0;
    struct lookup other;

    (void)state;
    asker_start(&asker);
    for (size_t i = 0; i < WW_ARRAY_COUNT(clients); i++) {
        for (int own = 0; own < WW_RESOLVER_SHARE; own++)
            assert_int_equal(start(&asker, &clients[i], "hang.example", &hung[count++]), 0);
        assert_int_equal(start(&asker, &clients[i], "hang.example", &hung[count]), WW_ELIMIT);
    }
    assert_int_equal(count, WW_RESOLVER_LOOKUPS_MAX);
    assert_int_equal(start(&asker, NULL, "good.example", &other), WW_ELIMIT);
    ww_resolver_cancel(hung[0].query);
    assert_int_equal(start(&asker, &clients[1], "good.example", &other), WW_ELIMIT);
    assert_int_equal(look_up(&asker, "good.example", &other), 0);
    assert_int_equal(start(&asker, &clients[0], "hang.example", &hung[0]), 0);
    asker_stop(&asker); /* with all of them under way */
    for (size_t i = 0; i < count; i++)
        assert_int_equal(hung[i].told, 0);
}

static void test_answers(void **state)
{
    struct asker asker;
    struct lookup lookup;

    (void)state;
    asker_start(&asker);
    assert_int_equal(look_up(&asker, "good.example", &lookup), 0);
    assert_int_equal(lookup.count, 1);
    assert_true(lookup.addresses[0].is_v4);
    assert_memory_equal(lookup.addresses[0].bytes, ((uint8_t[]){192, 0, 2, 1}), 4);
    assert_int_equal(look_up(&asker, "both.example", &lookup), 0);
    assert_int_equal(lookup.count, 2);
    assert_true(lookup.addresses[0].is_v4 != lookup.addresses[1].is_v4);
    assert_int_equal(look_up(&asker, "twice.example", &lookup), 0);
    assert_int_equal(lookup.addresses[0].bytes[3], 1);
    assert_int_equal(look_up(&asker, "gone.example", &lookup), WW_ERESOLVE);
    assert_int_equal(look_up(&asker, "none.example", &lookup), WW_ERESOLVE);
    assert_int_equal(look_up(&asker, "fail.example", &lookup), WW_ERESOLVE);
    /* As it is said, found or not: no domain is tried behind it. */
    assert_int_equal(look_up(&asker, "good", &lookup), 0);
    assert_string_equal(asker.servers[0].name, "good.");
    asker.servers[0].asked = 0;
    assert_int_equal(look_up(&asker, "gone", &lookup), WW_ERESOLVE);
    assert_string_equal(asker.servers[0].name, "gone.");
    assert_int_equal(asker.servers[0].asked, 2);
    /* The host's own. */
    asker.servers[0].asked = 0;
    assert_int_equal(look_up(&asker, "localhost", &lookup), 0);
    assert_int_equal(asker.servers[0].asked, 0);
    asker_stop(&asker);
}

static void test_tcp(void **state)
{
    struct asker asker;
    struct lookup lookup;

    (void)state;
    asker_start(&asker);
    assert_int_equal(look_up(&asker, "cut.example", &lookup), 0);
    assert_int_equal(lookup.count, 1);
    assert_int_equal(look_up(&asker, "cutmany.example", &lookup), 0);
    assert_int_equal(lookup.count, WW_EGRESS_ADDRESSES_MAX);
    assert_int_equal(look_up(&asker, "cutclosed.example", &lookup), WW_ERESOLVE);
    assert_int_equal(look_up(&asker, "cuthalf.example", &lookup), WW_ERESOLVE);
    /* More than WW_RESOLVER_BYTES_MAX. */
    assert_int_equal(look_up(&asker, "cutflood.example", &lookup), WW_ERESOLVE);
    asker_stop(&asker);
}

/* Each name is asked of what resolv.conf says then; what is under way goes on. */
static void test_another_configuration(void **state)
{
    struct asker asker;
    struct lookup lookup, older;
    uint64_t from_us;

    (void)state;
    asker_start(&asker);
    assert_int_equal(start(&asker, NULL, "good.example", &older), 0);
    configure(&asker, "nameserver 127.0.0.2\n");
    assert_int_equal(look_up(&asker, "good.example", &lookup), 0);
    assert_int_equal(lookup.addresses[0].bytes[3], 2);
    SERVE_UNTIL(&asker, older.told);
    assert_int_equal(older.addresses[0].bytes[3], 1);
    unlink(asker.conf);
    assert_int_equal(look_up(&asker, "good.example", &lookup),
                     0); /* 127.0.0.1, as resolv.conf(5) has it */
    assert_int_equal(lookup.addresses[0].bytes[3], 1);
    /* The second is asked at once when the first one isn't there. */
    dns_server_stop(&asker.servers[0]);
    configure(&asker, "nameserver 127.0.0.1\nnameserver 127.0.0.2\n");
    for (int i = 0; i < DNS_CONNECTIONS; i++)
        asker.servers[0].connections[i] = -1;
    from_us = ww_clock_mono_us();
    assert_int_equal(look_up(&asker, "good.example", &lookup), 0);
    assert_true(ww_clock_mono_us() - from_us < ANSWER_SOON);
    assert_int_equal(lookup.addresses[0].bytes[3], 2);
    assert_true(dns_server_start(&asker.servers[0], INADDR_LOOPBACK, asker.servers[1].port));
    asker_stop(&asker);
}

/* Answers with three bytes changed. */
static void test_mutations(void **state)
{
    struct ww_prng prng;
    struct asker asker;

    (void)state;
    asker_start(&asker);
    ww_prng_seed(&prng, MUTATION_SEED);
    asker.servers[0].mutate = &prng;
    for (int i = 0; i < 200; i++) {
        struct lookup lookup;

        assert_int_equal(start(&asker, NULL, i % 2 ? "both.example" : "good.example", &lookup), 0);
        for (int turns = 0; turns < 3 && !lookup.told; turns++)
            turn(&asker);
        ww_resolver_cancel(lookup.query);
    }
    asker_stop(&asker);
}

/* Before anything was sent, after that, while a TCP connection is open, in a callback. */
static void test_cancel_and_destroy(void **state)
{
    static const char *const names[] = {"hang.example", "good.example", "cuthang.example",
                                        "cutmany.example", "localhost"};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(names) * 2; i++) {
        for (int turns = 0; turns < 5; turns++) {
            struct asker asker;
            struct lookup lookup;

            asker_start(&asker);
            assert_int_equal(start(&asker, NULL, names[i / 2], &lookup), 0);
            for (int turned = 0; turned < turns; turned++)
                turn(&asker);
            if (i % 2) {
                int told = lookup.told;

                ww_resolver_cancel(lookup.query);
                for (int turned = 0; turned < 5; turned++)
                    turn(&asker);
                assert_int_equal(lookup.told, told);
            }
            asker_stop(&asker);
        }
    }
    for (int destroys = 0; destroys < 2; destroys++) {
        struct asker asker;
        struct lookup first, second;

        asker_start(&asker);
        assert_int_equal(start(&asker, NULL, "hang.example", &second), 0);
        assert_int_equal(start(&asker, NULL, "good.example", &first), 0);
        first.cancels = destroys ? NULL : &second;
        first.destroys = destroys ? asker.resolver : NULL;
        SERVE_UNTIL(&asker, first.told);
        if (destroys)
            asker.resolver = NULL;
        for (int turned = 0; turned < 5; turned++)
            turn(&asker);
        assert_int_equal(second.told, 0);
        asker_stop(&asker);
    }
}

static void test_no_memory(void **state)
{
    static const char *const names[] = {"both.example", "cutmany.example", "localhost"};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(names); i++) {
        bool is_found = false;

        for (uint64_t n = 1; !is_found && n < 2000; n++) {
            struct asker asker;
            struct lookup lookup = {.query = NULL};
            int rc;

            asker_start(&asker);
            ww_alloc_fail_after(n);
            rc = start(&asker, NULL, names[i], &lookup);
            for (int turns = 0; rc == 0 && !lookup.told && turns < 10; turns++)
                turn(&asker);
            ww_alloc_fail_after(0);
            is_found = lookup.told && lookup.rc == 0 &&
                       lookup.count == (i == 1 ? WW_EGRESS_ADDRESSES_MAX : 2 - (i == 2));
            if (rc != 0)
                assert_true(rc == WW_ENOMEM || rc == WW_ESYSTEM);
            if (!lookup.told)
                ww_resolver_cancel(lookup.query);
            asker_stop(&asker);
        }
        assert_true(is_found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_silent_hold_up_nobody),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_another_configuration),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_cancel_and_destroy),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
