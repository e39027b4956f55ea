/* The log's last lines, in memory, for whoever looks in from outside: a ring of slots of one size.
 *
 * Like the log itself it allocates nothing and waits for nobody for long: who can't get at the ring
 * within a few turns of the scheduler goes on without it.
 */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "log_room.h"

#define TRIES_MAX 100 /* the ring is held for one copy of a slot */

static atomic_flag is_held = ATOMIC_FLAG_INIT;
static struct ww_log_line slots[WW_LOG_KEPT_LINES];
static uint64_t last_number;
static atomic_int kept_level = WW_LOG_ERROR;

static bool hold(void)
{
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        if (!atomic_flag_test_and_set_explicit(&is_held, memory_order_acquire))
            return true;
        sched_yield();
    }
    return false;
}

static void release(void)
{
    atomic_flag_clear_explicit(&is_held, memory_order_release);
}

bool ww_log_is_kept(enum ww_log_level level)
{
    return (int)level <= atomic_load_explicit(&kept_level, memory_order_relaxed);
}

void ww_log_keep_level(enum ww_log_level level)
{
    atomic_store(&kept_level, (int)level);
}

static void copy_cut(char *out, size_t capacity, const char *text)
{
    size_t size = strnlen(text, capacity - 1);

    /* Not in the middle of a character of UTF-8. */
    while (text[size] && size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
        size--;
    memcpy(out, text, size);
    out[size] = '\0';
}

void ww_log_keep(enum ww_log_level level, const char *room, const char *message, const char *pairs)
{
    if (!hold())
        return;
    struct ww_log_line *slot = &slots[++last_number % WW_LOG_KEPT_LINES];
    slot->number = last_number;
    slot->time_ms = ww_clock_wall_ms();
    slot->level = level;
    copy_cut(slot->room, sizeof(slot->room), room);
    copy_cut(slot->message, sizeof(slot->message), message);
    copy_cut(slot->pairs, sizeof(slot->pairs), pairs + strspn(pairs, " "));
    release();
}

bool ww_log_line(uint64_t number, struct ww_log_line *line)
{
    bool found = false;

    if (!hold())
        return false;
    uint64_t oldest = last_number < WW_LOG_KEPT_LINES ? 1 : last_number - WW_LOG_KEPT_LINES + 1;
    if (number < oldest)
        number = oldest;
    if (number <= last_number) {
        *line = slots[number % WW_LOG_KEPT_LINES];
        found = true;
    }
    release();
    return found;
}
