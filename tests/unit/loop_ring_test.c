/* The ring between two threads: what is put comes out, in order and whole, also around the end and
 * when it is full, whether it was copied or written in place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "ww/ring.h"

#define BYTES 65536

static struct ww_ring_head head_of(uint64_t number, size_t size)
{
    return (struct ww_ring_head){.owner = number + 1,
                                 .size = (uint32_t)size,
                                 .number = (uint16_t)(number % 9000),
                                 .kind = number % 4,
                                 .flag = number % 2};
}

static size_t size_of(uint64_t number)
{
    return number % 97 == 0 ? 16384 : (size_t)(number * 37 % 1500);
}

static void fill(uint8_t *bytes, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number + i);
}

static bool is_right(const struct ww_ring_head *head, const uint8_t *record, uint64_t number)
{
    const struct ww_ring_head right = head_of(number, size_of(number));
    bool is_same = head->owner == right.owner && head->size == right.size &&
                   head->number == right.number && head->kind == right.kind &&
                   head->flag == right.flag;
    for (size_t i = 0; is_same && i < head->size; i++)
        is_same = record[i] == (uint8_t)(number + i);
    return is_same;
}

/* In place: the most that it may be is reserved first. */
static bool put_one(struct ww_ring *ring, const struct ww_ring_head *head, const uint8_t *bytes,
                    bool in_place)
{
    uint8_t *to = in_place ? ww_ring_reserve(ring, 16384) : NULL;
    if (!to)
        return !in_place && ww_ring_put(ring, head, bytes);
    memcpy(to, bytes, head->size);
    ww_ring_commit(ring, head);
    return true;
}

static void gives_what_was_put_until_it_is_full(void **state)
{
    static uint8_t bytes[16384];
    struct ww_ring *ring;
    struct ww_ring_head head;
    uint64_t put = 0, taken = 0;
    (void)state;
    assert_int_equal(ww_ring_create(BYTES, &ring), 0);
    for (int round = 0; round < 200; round++) {
        size_t used = 0;
        for (;; put++) {
            head = head_of(put, size_of(put));
            fill(bytes, put, head.size);
            bool had_room = ww_ring_has_room(ring);
            if (!put_one(ring, &head, bytes, round % 2))
                break;
            used += 16 + head.size;
            assert_true(had_room || used > BYTES / 2 - 16384);
        }
        assert_false(ww_ring_has_room(ring));
        assert_true(used > BYTES - 3 * (16384 + 16));
        assert_true(ww_ring_unpublished(ring) >= used);
        ww_ring_look(ring); /* nothing is seen that was not published */
        assert_null(ww_ring_take(ring, &head));
        assert_true(ww_ring_is_empty(ring));
        assert_true(ww_ring_publish(ring));
        assert_false(ww_ring_publish(ring)); /* nothing more */
        assert_false(ww_ring_is_empty(ring));
        assert_int_equal(ww_ring_unpublished(ring), 0);
        ww_ring_look(ring);
        for (const uint8_t *record; (record = ww_ring_take(ring, &head)); taken++)
            assert_true(is_right(&head, record, taken));
        assert_int_equal(taken, put);
        assert_true(ww_ring_has_room(ring));
    }
    ww_ring_destroy(ring);
}

/* What is reserved and not used costs no room, wherever in the ring that is. */
static void what_is_reserved_may_be_left(void **state)
{
    struct ww_ring *ring;
    struct ww_ring_head head;
    (void)state;
    assert_int_equal(ww_ring_create(BYTES, &ring), 0);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 3; i++)
            assert_non_null(ww_ring_reserve(ring, 16384));
        head = head_of(0, 3000);
        ww_ring_commit(ring, &head);
        assert_non_null(ww_ring_reserve(ring, 32000));
        ww_ring_publish(ring);
        ww_ring_look(ring);
        assert_non_null(ww_ring_take(ring, &head));
        assert_int_equal(head.size, 3000);
        assert_null(ww_ring_take(ring, &head));
        assert_true(ww_ring_is_empty(ring));
    }
    assert_null(ww_ring_reserve(ring, BYTES));
    ww_ring_destroy(ring);
}

struct other {
    struct ww_ring *ring;
    uint64_t count;
    bool is_broken;
};

static void *take_all(void *arg)
{
    struct other *other = arg;
    struct ww_ring_head head;
    for (uint64_t taken = 0; taken < other->count && !other->is_broken;) {
        ww_ring_look(other->ring);
        for (const uint8_t *record; (record = ww_ring_take(other->ring, &head)); taken++)
            other->is_broken |= !is_right(&head, record, taken);
        sched_yield();
    }
    return NULL;
}

static void two_threads_lose_nothing(void **state)
{
    static uint8_t bytes[16384];
    struct other other = {.count = 200000};
    pthread_t thread;
    (void)state;
    assert_int_equal(ww_ring_create(BYTES, &other.ring), 0);
    assert_int_equal(pthread_create(&thread, NULL, take_all, &other), 0);
    for (uint64_t number = 0; number < other.count;) {
        struct ww_ring_head head = head_of(number, size_of(number));
        fill(bytes, number, head.size);
        bool was_put = put_one(other.ring, &head, bytes, number % 3 == 0);
        number += was_put;
        if (!was_put || number % 7 == 0 || number == other.count)
            ww_ring_publish(other.ring);
        if (!was_put)
            sched_yield();
    }
    pthread_join(thread, NULL);
    assert_false(other.is_broken);
    ww_ring_destroy(other.ring);
}

static void memory_runs_out(void **state)
{
    struct ww_ring *ring;
    (void)state;
    for (uint64_t n = 1; n <= 2; n++) {
        ww_alloc_fail_after(n);
        assert_int_equal(ww_ring_create(BYTES, &ring), WW_ENOMEM);
        ww_alloc_fail_after(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_was_put_until_it_is_full),
        cmocka_unit_test(what_is_reserved_may_be_left),
        cmocka_unit_test(two_threads_lose_nothing),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
