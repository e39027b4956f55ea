/* What every room stands on: memory, time, randomness, logs, assertions.
 *
 * Relies on libc only. Does no I/O but the log's write, to stderr or a file.
 * Thread: every function may be called from any thread unless it says otherwise.
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ww/error.h"

#define WW_ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Arguments are evaluated twice. */
#define WW_MIN(a, b) ((a) < (b) ? (a) : (b))
#define WW_MAX(a, b) ((a) > (b) ? (a) : (b))
/* The struct that holds `member` at `pointer`. */
#define WW_CONTAINER_OF(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* --- assertions ------------------------------------------------------------------------- */

/* A condition that only our own bug can break: logs and aborts, in every build. */
#define WW_REQUIRE(condition)                                                                      \
    ((condition) ? (void)0 : ww_require_failed(#condition, __FILE__, __LINE__))
_Noreturn void ww_require_failed(const char *condition, const char *file, int line);

/* --- memory ----------------------------------------------------------------------------- */

/* Zeroed memory for `count` things of `size` bytes, or NULL (also when the product overflows). */
void *ww_alloc(size_t count, size_t size);
/* As realloc, for an array of `count` of `size` bytes; the old block stays on NULL. */
void *ww_realloc(void *block, size_t count, size_t size);
/* A copy that ends with a NUL, or NULL. */
char *ww_strndup(const char *text, size_t size);
char *ww_strdup(const char *text);
/* Frees; NULL is fine. */
void ww_free(void *block);
/* Memory that bytes go through all the time, on huge pages where the system gives them (madvise(2),
 * MADV_HUGEPAGE): for pools and rings of 16 KiB and more, which keep what they have. Whole pages of
 * it are taken, not zeroed; up to WW_BUFFER_ARENA_BYTES of what is freed stay with the process, for
 * the next of that size. NULL: out of memory, or size is 0. */
void *ww_buffer_alloc(size_t size);
/* `size` as it was asked for; NULL is fine. */
void ww_buffer_free(void *buffer, size_t size);
/* Overwrites memory that held a secret; never optimised away. */
void ww_wipe(void *block, size_t size);
/* True if equal, in time that depends on `size` only. */
bool ww_equal_ct(const void *a, const void *b, size_t size);
/* Tests: the n-th allocation from now (1 = the next) and all later ones fail; 0 switches it off. */
void ww_alloc_fail_after(uint64_t n);
/* Tests: allocations since start. */
uint64_t ww_alloc_count(void);

/* --- time --------------------------------------------------------------------------------- */

/* Microseconds of CLOCK_MONOTONIC. */
uint64_t ww_clock_mono_us(void);
/* Milliseconds since 1970 (UTC). */
uint64_t ww_clock_wall_ms(void);

/* --- randomness --------------------------------------------------------------------------- */

/* Fills from the kernel (getrandom); aborts if it can't. */
void ww_random_bytes(void *out, size_t size);
/* A uniform number in [0, bound); bound > 0. From the kernel. */
uint64_t ww_random_below(uint64_t bound);
/* A seeded generator (xoshiro256**), for tests, simulation and demo content; not for secrets. */
struct ww_prng {
    uint64_t state[4];
};
void ww_prng_seed(struct ww_prng *prng, uint64_t seed);
uint64_t ww_prng_next(struct ww_prng *prng);
void ww_prng_fill(struct ww_prng *prng, void *out, size_t size);

/* --- log ------------------------------------------------------------------------------------ */

enum ww_log_level { WW_LOG_ERROR, WW_LOG_WARN, WW_LOG_INFO, WW_LOG_DEBUG };

#define WW_LOG_LINE_BYTES  1024 /* one line, with its newline: far below PIPE_BUF, so never torn */
#define WW_LOG_QUOTE_BYTES 512  /* one quoted value; what is longer is cut */

/* One line to stderr: time, level, room, message, then key=value pairs made from a format, which is
 * a string literal: ww_log(WW_LOG_INFO, "net", "Connected", "peer=%s bytes=%llu", …); "" for none.
 * A value that may hold spaces or come from outside goes through WW_Q: "reason=%s", WW_Q(reason).
 * A line is at most WW_LOG_LINE_BYTES; control characters are replaced; errno is kept. No secrets,
 * no contract ids at the arbiter. With JOURNAL_STREAM set, a "<3>"-style priority prefix is added.
 */
#define ww_log(level, room, message, ...) ww_log_write((level), (room), (message), " " __VA_ARGS__)
void ww_log_write(enum ww_log_level level, const char *room, const char *message,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The text in quotes and escaped as in JSON. Valid until the same thread's eighth next call. */
#define WW_Q(text) ww_log_quote(text)
const char *ww_log_quote(const char *text);
/* Lines above this level are not written (default INFO). */
void ww_log_set_level(enum ww_log_level level);
/* Whether a line of this level goes anywhere: it is written, or kept. */
bool ww_log_enabled(enum ww_log_level level);
/* JSON objects instead of logfmt, one a line. */
void ww_log_set_json(bool json);
/* Parses "error|warn|info|debug"; WW_EINVAL otherwise. */
int ww_log_level_parse(const char *text, enum ww_log_level *level);
/* "error", "warn", "info" or "debug"; static. */
const char *ww_log_level_name(enum ww_log_level level);

/* From now on lines go to this file instead of stderr: appended, without a priority, in a file that
 * only this user reads. A line that it has no room for within `bytes_max` (WW_LOG_LINE_BYTES or
 * more) has it renamed to PATH.1, in place of an older one, and begins a new one: no line is lost,
 * the two hold twice bytes_max, and some lines more when several threads write at once. Standard
 * output and error, where they are the same file, move along. A file that others have renamed or
 * removed is begun anew at that time. Copies the path. Main thread, once, before other threads log.
 * 0; WW_EINVAL: the path is too long, or there and no regular file; WW_EEXIST: there is a file
 * already; WW_EIO with errno, ELOOP for a link. */
int ww_log_to_file(const char *path, uint64_t bytes_max);

/* The last lines are kept in memory, cut where they don't fit, for the REPL's `log.tail`: 256 of
 * them, a few minutes of a busy node, in 256 KiB. */
#define WW_LOG_KEPT_LINES 256
struct ww_log_line {
    uint64_t number;  /* counts up from 1 in this process */
    uint64_t time_ms; /* since 1970 */
    enum ww_log_level level;
    char room[16];
    char message[192];
    char pairs[792]; /* as in the line, however that is written */
};
/* Copies the oldest line that is kept and has this number or a higher one; false: there is none (or
 * the ring is held up by others: it is there at the next call). Any thread. */
bool ww_log_line(uint64_t number, struct ww_log_line *line);
/* Lines up to this level are kept even if they are not written, while somebody follows the log;
 * WW_LOG_ERROR: only what is written. */
void ww_log_keep_level(enum ww_log_level level);
