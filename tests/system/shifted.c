/* Another clock for one process: wall time as the machine has it, and WW_CLOCK_SHIFT_S seconds
 * more, or fewer. The monotonic clock stays. Part of the rigged program, which is described in
 * unsynced.c. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift_s;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("WW_CLOCK_SHIFT_S");

    if (text)
        shift_s = strtol(text, NULL, 10);
}

/* Seen by the libraries, too. */
#pragma GCC visibility push(default)
int clock_gettime(clockid_t clock, struct timespec *now)
{
    /* Not the function that is hidden by this one: a sanitizer asks for the time before that is
     * found. */
    int rc = (int)syscall(SYS_clock_gettime, clock, now);

    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += shift_s;
    return rc;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec precise;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
        return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
#pragma GCC visibility pop
