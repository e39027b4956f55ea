/* A loop for each test, and turns of it until something has happened often enough. */
#pragma once
#include "test.h"
#include "ww/loop.h"

#define PATIENCE_US 10000000

static struct ww_loop *loop;

static inline int set_up(void **state)
{
    (void)state;
    return ww_loop_create(&loop);
}

static inline int tear_down(void **state)
{
    (void)state;
    ww_loop_destroy(loop);
    return 0;
}

static inline void turn_until(const int *counter, int wanted)
{
    uint64_t end_us = ww_clock_mono_us() + PATIENCE_US;

    while (*counter < wanted) {
        assert_true(ww_clock_mono_us() < end_us);
        ww_loop_turn(loop, 100000);
    }
}
