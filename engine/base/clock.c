/* The two clocks. Monotonic for durations and timers, wall time only for what people and other
 * machines read; neither must be used for the other's job. */
#include <time.h>

#include "ww/base.h"

static struct timespec now_of(clockid_t clock)
{
    struct timespec now;

    WW_REQUIRE(clock_gettime(clock, &now) == 0);
    return now;
}

uint64_t ww_clock_mono_us(void)
{
    struct timespec now = now_of(CLOCK_MONOTONIC);

    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t ww_clock_wall_ms(void)
{
    struct timespec now = now_of(CLOCK_REALTIME);

    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
