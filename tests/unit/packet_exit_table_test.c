/* The table of flows: limits of one client don't touch another, the idlest gives way and no other,
 * what is closed is free again; and a random run against a slow model. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "exit_table.h"

#define S 1000000ULL

static struct ww_exit_flow *last_closed;
static unsigned closed_count;

static void closed(void *arg, struct ww_exit_flow *flow)
{
    (void)arg;
    last_closed = flow;
    closed_count++;
}

static struct ww_exit_table *make(uint32_t flows, uint32_t opens, uint32_t destinations)
{
    const struct ww_exit_limits limits = {
        .clients = 4, .flows = flows, .opens_per_s = opens, .destinations = destinations};
    struct ww_exit_table *table;

    closed_count = 0;
    last_closed = NULL;
    assert_int_equal(ww_exit_table_create(&limits, closed, NULL, &table), 0);
    return table;
}

static struct ww_exit_key key_of(uint32_t client, uint8_t protocol, unsigned address, unsigned port)
{
    const uint8_t v4[4] = {8, 8, (uint8_t)(address >> 8), (uint8_t)address};
    struct ww_ip ip = {.is_v4 = true,
                       .protocol = protocol,
                       .source_port = (uint16_t)port,
                       .destination_port = 443};
    struct ww_exit_key key;

    ww_address_map(v4, ip.destination);
    ww_exit_key_of(&ip, client, &key);
    return key;
}

static int open_one(struct ww_exit_table *table, uint32_t client, unsigned address, unsigned port,
                    uint64_t now_us)
{
    struct ww_exit_key key = key_of(client, IPPROTO_UDP, address, port);
    uint32_t number;

    return ww_exit_table_open(table, &key, now_us, &number);
}

static struct ww_exit_counts counts_of(const struct ww_exit_table *table, uint32_t client)
{
    struct ww_exit_counts counts = {0};

    ww_exit_table_counts(table, client, &counts);
    return counts;
}

static void the_idlest_gives_way(void **state)
{
    struct ww_exit_table *table = make(10, 1000, 10);
    struct ww_exit_key first = key_of(0, IPPROTO_UDP, 1, 0), second = key_of(0, IPPROTO_UDP, 1, 1);

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(open_one(table, 0, 1, i, S + i), 0);
    assert_int_equal(open_one(table, 0, 1, 3, 2 * S), 0); /* it is there: not a new one */
    assert_int_equal(open_one(table, 0, 1, 10, 2 * S), WW_ELIMIT);
    assert_int_equal(counts_of(table, 0).refused_flows, 1);
    assert_int_equal(open_one(table, 1, 1, 10, 2 * S), 0); /* another client's */
    assert_int_not_equal(ww_exit_table_find(table, &first, 20 * S), WW_EXIT_NO_FLOW);
    assert_int_equal(open_one(table, 0, 1, 10, 35 * S), 0);
    assert_int_equal(closed_count, 1);
    assert_int_equal(ww_exit_table_find(table, &second, 35 * S), WW_EXIT_NO_FLOW);
    assert_int_not_equal(ww_exit_table_find(table, &first, 35 * S), WW_EXIT_NO_FLOW);
    assert_int_equal(counts_of(table, 0).flows_evicted, 1);
    assert_int_equal(counts_of(table, 0).flows, 10);
    ww_exit_table_destroy(table);
}

static void new_flows_have_a_rate(void **state)
{
    struct ww_exit_table *table = make(1000, 10, 1000);
    unsigned opened = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        opened += open_one(table, 0, i, 1, S) == 0;
    assert_int_equal(opened, 20); /* two seconds' worth at once */
    for (unsigned ms = 1; ms <= 5000; ms++)
        opened += open_one(table, 0, 1000 + ms, 1, S + ms * 1000) == 0;
    assert_in_range(opened, 69, 71);
    assert_int_equal(counts_of(table, 0).refused_opens, 5100 - opened);
    assert_int_equal(open_one(table, 1, 1, 1, S), 0);
    ww_exit_table_destroy(table);
}

static void destinations_are_counted_once(void **state)
{
    struct ww_exit_table *table = make(100, 1000, 5);
    struct ww_exit_key key = key_of(0, IPPROTO_UDP, 4, 0);

    (void)state;
    for (unsigned address = 0; address < 5; address++) {
        for (unsigned port = 0; port < 3; port++)
            assert_int_equal(open_one(table, 0, address, port, S), 0);
    }
    assert_int_equal(counts_of(table, 0).destinations, 5);
    assert_int_equal(open_one(table, 0, 5, 0, S), WW_ELIMIT);
    assert_int_equal(counts_of(table, 0).refused_destinations, 1);
    assert_int_equal(open_one(table, 0, 4, 9, S), 0); /* to one that it has */
    assert_int_equal(open_one(table, 1, 5, 0, S), 0);
    for (unsigned port = 0; port < 10; port++) {
        uint32_t number;

        key.source_port = (uint16_t)port;
        number = ww_exit_table_find(table, &key, S);
        if (number != WW_EXIT_NO_FLOW)
            ww_exit_table_close(table, number);
    }
    assert_int_equal(counts_of(table, 0).destinations, 4);
    assert_int_equal(open_one(table, 0, 5, 0, S), 0);
    ww_exit_table_destroy(table);
}

static void idle_ones_are_swept(void **state)
{
    struct ww_exit_table *table = make(100, 1000, 100);
    struct ww_exit_key udp = key_of(0, IPPROTO_UDP, 1, 1), tcp = key_of(0, IPPROTO_TCP, 1, 1);
    struct ww_exit_key over = key_of(0, IPPROTO_TCP, 1, 2);
    uint32_t number;

    (void)state;
    assert_int_equal(ww_exit_table_open(table, &udp, S, &number), 0);
    assert_int_equal(ww_exit_table_open(table, &tcp, S, &number), 0);
    ww_exit_table_flags(ww_exit_table_at(table, number), 0x11, true); /* one FIN is not the end */
    assert_int_equal(ww_exit_table_open(table, &over, S, &number), 0);
    ww_exit_table_flags(ww_exit_table_at(table, number), 0x11, true);
    ww_exit_table_flags(ww_exit_table_at(table, number), 0x11, false);
    for (int i = 0; i < 16; i++)
        ww_exit_table_sweep(table, 30 * S);
    assert_int_equal(closed_count, 0);
    for (int i = 0; i < 16; i++)
        ww_exit_table_sweep(table, 32 * S);
    assert_int_equal(closed_count, 1);
    for (int i = 0; i < 16; i++)
        ww_exit_table_sweep(table, 122 * S);
    assert_int_equal(closed_count, 2);
    assert_int_not_equal(ww_exit_table_find(table, &tcp, 122 * S), WW_EXIT_NO_FLOW);
    ww_exit_table_forget(table, 0);
    assert_int_equal(closed_count, 3);
    assert_int_equal(counts_of(table, 0).flows, 0);
    ww_exit_table_destroy(table);
}

/* Who has the most gives way to who has less, of the protocol that is asked for. */
static void the_greediest_makes_way(void **state)
{
    struct ww_exit_table *table = make(100, 1000, 100);
    struct ww_exit_key tcp = key_of(2, IPPROTO_TCP, 1, 1);
    uint32_t number;

    (void)state;
    assert_int_equal(ww_exit_table_open(table, &tcp, S, &number), 0);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(open_one(table, 2, 1, i, S + i), 0);
        assert_int_equal(i < 5 ? open_one(table, 1, 1, i, S + i) : 0, 0);
    }
    assert_false(ww_exit_table_make_way(table, 2, IPPROTO_UDP)); /* nobody has more */
    for (unsigned i = 0; i < 5; i++)
        assert_true(ww_exit_table_make_way(table, 1, IPPROTO_UDP));
    assert_int_equal(counts_of(table, 2).flows, 6);
    assert_false(ww_exit_table_make_way(table, 1, IPPROTO_UDP)); /* as many: nothing is taken */
    assert_int_not_equal(ww_exit_table_find(table, &tcp, S), WW_EXIT_NO_FLOW);
    assert_false(ww_exit_table_make_way(table, 3, IPPROTO_ICMP));
    assert_true(ww_exit_table_make_way(table, 3, 0));
    assert_int_equal(counts_of(table, 1).flows + counts_of(table, 2).flows, 10);
    ww_exit_table_destroy(table);
}

/* Who has all that there is of one kind can't hide behind who has more of another, nor behind flows
 * of his own of another kind. */
static void each_kind_is_shared(void **state)
{
    struct ww_exit_table *table = make(200, 1000, 100);
    uint32_t number;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct ww_exit_key echo = key_of(1, IPPROTO_ICMP, 1, i);

        assert_int_equal(open_one(table, 0, 1, i, S), 0);
        assert_int_equal(open_one(table, 1, 1, i, S), 0);
        if (i < 50)
            assert_int_equal(ww_exit_table_open(table, &echo, 2 * S, &number), 0);
        else
            assert_int_equal(open_one(table, 0, 1, i + 100, S), 0);
    }
    assert_true(ww_exit_table_make_way(table, 2, IPPROTO_ICMP));
    assert_int_equal(last_closed->key.protocol, IPPROTO_ICMP);
    assert_int_equal(counts_of(table, 1).flows, 149);
    assert_int_equal(counts_of(table, 0).flows, 150);
    assert_false(ww_exit_table_make_way(table, 2, IPPROTO_TCP)); /* nobody has any */
    ww_exit_table_destroy(table);
}

/* It would be a way around the rate of new flows. */
static void who_comes_back_has_no_more(void **state)
{
    struct ww_exit_table *table = make(1000, 10, 1000);
    unsigned opened = 0;

    (void)state;
    for (unsigned turn = 0; turn < 10; turn++) {
        for (unsigned i = 0; i < 20; i++)
            opened += open_one(table, 0, i, 1, S) == 0;
        ww_exit_table_forget(table, 0);
        assert_int_equal(counts_of(table, 0).flows + counts_of(table, 0).flows_opened, 0);
    }
    assert_int_equal(opened, 20);
    ww_exit_table_destroy(table);
}

#define MODEL 64

/* Random opens, finds, closes and forgets of few keys, against a list that is searched. */
static void as_a_slow_model(void **state)
{
    struct ww_exit_table *table = make(16, 1000000, 16);
    struct {
        struct ww_exit_key key;
        uint64_t used_us;
        bool is_there;
    } model[MODEL];
    struct ww_prng prng;
    uint64_t now_us = S;

    (void)state;
    ww_prng_seed(&prng, 11);
    memset(model, 0, sizeof(model));
    for (unsigned i = 0; i < MODEL; i++)
        model[i].key = key_of(i % 2, IPPROTO_UDP, i / 8, i);
    for (unsigned step = 0; step < 50000; step++) {
        unsigned i = (unsigned)(ww_prng_next(&prng) % MODEL), mine = 0, oldest = MODEL;
        uint32_t number = ww_exit_table_find(table, &model[i].key, now_us += 200000);

        assert_int_equal(number != WW_EXIT_NO_FLOW, model[i].is_there);
        for (unsigned j = i % 2; j < MODEL; j += 2) {
            mine += model[j].is_there;
            if (model[j].is_there && (oldest == MODEL || model[j].used_us < model[oldest].used_us))
                oldest = j;
        }
        assert_int_equal(counts_of(table, i % 2).flows, mine);
        if (model[i].is_there && ww_prng_next(&prng) % 4 == 0) {
            ww_exit_table_close(table, number);
            model[i].is_there = false;
        } else if (!model[i].is_there) {
            bool evicts = mine == 16 && now_us - model[oldest].used_us >= 30 * S;
            int rc = ww_exit_table_open(table, &model[i].key, now_us, &number);

            assert_int_equal(rc, mine < 16 || evicts ? 0 : WW_ELIMIT);
            if (evicts)
                model[oldest].is_there = false;
            model[i].is_there = rc == 0;
        }
        model[i].used_us = now_us;
    }
    ww_exit_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_idlest_gives_way),
        cmocka_unit_test(new_flows_have_a_rate),
        cmocka_unit_test(destinations_are_counted_once),
        cmocka_unit_test(idle_ones_are_swept),
        cmocka_unit_test(the_greediest_makes_way),
        cmocka_unit_test(as_a_slow_model),
        cmocka_unit_test(each_kind_is_shared),
        cmocka_unit_test(who_comes_back_has_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
