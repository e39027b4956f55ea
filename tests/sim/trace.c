/* What happened, kept as text of the last events, and a hash over all of it. The rigs assert with
 * cmocka, which ends the process: then the trace is told on the way out. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define LINES      120
#define LINE_BYTES 160

bool trace_is_verbose;
uint64_t trace_hash = 14695981039346656037u;
static char lines[LINES][LINE_BYTES];
static uint64_t line_count;
static const struct world *running;

static void tell(void)
{
    uint64_t first = line_count > LINES ? line_count - LINES : 0;

    if (!running)
        return;
    if (!trace_is_verbose) {
        for (uint64_t line = first; line < line_count; line++)
            fprintf(stderr, "%s\n", lines[line % LINES]);
    }
    fprintf(stderr,
            "seed %" PRIu64 " failed at step %" PRIu64
            "; again: ww-sim --verbose --seeds 1 --start %" PRIu64 "\n",
            running->seed, running->step, running->seed);
    running = NULL;
}

void trace_begin(struct world *world)
{
    static bool is_registered;

    if (!is_registered)
        atexit(tell);
    is_registered = true;
    running = world;
    line_count = 0;
}

void trace_end(void)
{
    running = NULL;
}

void trace(const struct world *world, const char *format, ...)
{
    char *line = lines[line_count++ % LINES];
    va_list args;
    int head = snprintf(line, LINE_BYTES, "%6" PRIu64 " %11.3f ", world->step,
                        (double)world->now_us / 1e6);

    va_start(args, format);
    vsnprintf(line + head, LINE_BYTES - (size_t)head, format, args);
    va_end(args);
    for (const char *at = line; *at; at++)
        trace_hash = (trace_hash ^ (uint8_t)*at) * 1099511628211u; /* FNV-1a */
    if (trace_is_verbose)
        fprintf(stderr, "%s\n", line);
}

void trace_fail(const struct world *world, const char *format, ...)
{
    va_list args;

    (void)world;
    tell();
    fprintf(stderr, "WRONG: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    exit(1);
}
