/* Limits of a policy VM. See meter.h and docs/internals/policy-vm.md.
 *
 * Relies on LuaJIT's count hook firing in interpreted code only, which is why no policy VM ever
 * opens the compiler. Three limits, since each leaves a hole that another one closes: instructions
 * (deterministic), bytes allocated in a run (one `..` copies much in one instruction), and time.
 */
#include "meter.h"

#include <lauxlib.h>
#include <string.h>
#include <time.h>

#include "marks.h"
#include "ww/error.h"
#include "ww/limits.h"

static void hit(struct ww_policy_meter *meter, int fault, const char *what)
{
    if (!meter->fault) {
        meter->fault = fault;
        meter->what = what;
    }
}

/* True if the VM may have `more` bytes. Shrinking and freeing never come here: the collector must
 * always succeed. */
static bool may_grow(struct ww_policy_meter *meter, size_t more, size_t block)
{
    meter->allocations++;
    if (meter->fail_allocation && meter->allocations >= meter->fail_allocation) {
        hit(meter, WW_EPOLICY_MEMORY, "memory ran out");
        return false;
    }
    if (meter->bytes + more > WW_POLICY_MEMORY_BYTES) {
        hit(meter, WW_EPOLICY_MEMORY, "more memory than a policy may use");
        return false;
    }
    if (!meter->running)
        return true;
    if (block > WW_POLICY_BLOCK_BYTES_MAX) {
        hit(meter, WW_EPOLICY_MEMORY, "a string or table larger than a policy may make");
        return false;
    }
    meter->churn_bytes += block;
    if (meter->churn_bytes > WW_POLICY_CHURN_BYTES_MAX) {
        hit(meter, WW_EPOLICY_BUDGET, "too much copying of strings and tables");
        return false;
    }
    return true;
}

static void *capped_allocate(void *data, void *block, size_t old_size, size_t new_size)
{
    struct ww_policy_meter *meter = data;
    void *moved;

    if (new_size > old_size && !may_grow(meter, new_size - old_size, new_size))
        return NULL;
    moved = meter->allocate(meter->allocate_data, block, old_size, new_size);
    if (moved || new_size == 0)
        meter->bytes += new_size - old_size; /* wraps back when it shrinks */
    else
        hit(meter, WW_EPOLICY_MEMORY, "memory ran out");
    return moved;
}

void ww_policy_meter_attach(struct ww_policy_meter *meter, lua_State *lua, uint32_t interval,
                            uint64_t fail_allocation)
{
    *meter = (struct ww_policy_meter){.interval = interval, .fail_allocation = fail_allocation};
    meter->allocate = lua_getallocf(lua, &meter->allocate_data);
    meter->bytes =
        (size_t)lua_gc(lua, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(lua, LUA_GCCOUNTB, 0);
    lua_setallocf(lua, capped_allocate, meter);
}

void ww_policy_meter_detach(struct ww_policy_meter *meter, lua_State *lua)
{
    lua_setallocf(lua, meter->allocate, meter->allocate_data);
}

struct ww_policy_meter *ww_policy_meter_of(lua_State *lua)
{
    void *data = NULL;

    lua_getallocf(lua, &data);
    return data;
}

uint64_t ww_policy_meter_cpu_us(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The wall clock is cheap to read but runs while another process has the core; the CPU clock is a
 * system call. So a slice of the first arms a slice of the second: two slices of CPU at most, and
 * a busy machine makes no fault. */
static void look_at_clock(struct ww_policy_meter *meter)
{
    uint64_t cpu_us;

    if (ww_clock_mono_us() - meter->start_us < meter->slice_us)
        return;
    cpu_us = ww_policy_meter_cpu_us();
    if (!meter->cpu_start_us)
        meter->cpu_start_us = cpu_us;
    else if (cpu_us - meter->cpu_start_us > meter->slice_us)
        hit(meter, WW_EPOLICY_BUDGET, "more time than a policy may take");
}

static void count(struct ww_policy_meter *meter, uint64_t instructions)
{
    meter->instructions += instructions;
    if (meter->instructions > meter->budget)
        hit(meter, WW_EPOLICY_BUDGET, "more instructions than the hook's budget");
    if (!meter->fault && meter->instructions - meter->looked >= WW_POLICY_HOOK_INTERVAL) {
        meter->looked = meter->instructions;
        look_at_clock(meter);
    }
}

/* The hook's own function only: where it returns is the rule that decided. */
static void note_line(struct ww_policy_meter *meter, lua_State *lua, lua_Debug *where)
{
    unsigned line = (unsigned)where->currentline;

    if (!lua_getinfo(lua, "f", where))
        return;
    if (lua_topointer(lua, -1) == meter->function)
        meter->line = line;
    lua_pop(lua, 1);
}

static void on_count(lua_State *lua, lua_Debug *where)
{
    struct ww_policy_meter *meter = ww_policy_meter_of(lua);

    if (meter->marks && where->event != LUA_HOOKCOUNT) {
        ww_policy_mark(meter->marks, lua, where);
        return;
    }
    if (where->event == LUA_HOOKRET) {
        if (lua_getinfo(lua, "Sl", where)) {
            meter->returned = where->currentline > 0 ? (unsigned)where->currentline : 0;
            meter->returned_source = where->source;
        }
        return;
    }
    if (where->event == LUA_HOOKLINE) {
        if (meter->trace)
            note_line(meter, lua, where);
        return;
    }
    count(meter, meter->interval);
    if (!meter->fault)
        return;
    /* Where in the policy: not in our own functions that it called. */
    for (int level = 0; level < 16 && lua_getstack(lua, level, where); level++) {
        if (!lua_getinfo(lua, "Sl", where) || where->currentline <= 0 ||
            strcmp(where->short_src, "prelude.lua") == 0)
            continue;
        luaL_error(lua, "%s:%d: %s", where->short_src, where->currentline, meter->what);
    }
    luaL_error(lua, "%s", meter->what);
}

void ww_policy_meter_start(struct ww_policy_meter *meter, lua_State *lua, uint64_t budget,
                           unsigned cpu_ms)
{
    int mask = LUA_MASKCOUNT;

    meter->running = true;
    meter->churn_bytes = 0;
    meter->instructions = 0;
    meter->looked = 0;
    meter->units = 0;
    meter->nested = 0;
    meter->budget = budget;
    meter->slice_us = (uint64_t)cpu_ms * 1000;
    if (meter->interval == 1) /* a hook on each instruction costs that much more time */
        meter->slice_us *= WW_POLICY_EXACT_SLOWER;
    if (meter->marks) /* and one on each line, which names its file */
        meter->slice_us *= (uint64_t)WW_POLICY_EXACT_SLOWER * WW_POLICY_EXACT_SLOWER;
    meter->start_us = ww_clock_mono_us();
    meter->cpu_start_us = 0;
    meter->fault = 0;
    meter->what = "";
    meter->line = 0;
    meter->returned = 0;
    meter->returned_source = "";
    if (meter->returns ||
        meter->marks) /* beside a count, LuaJIT looks for returns only where it looks for lines */
        mask |= LUA_MASKRET | LUA_MASKLINE;
    else if (meter->trace)
        mask |= LUA_MASKLINE;
    lua_sethook(lua, on_count, mask, (int)meter->interval);
}

void ww_policy_meter_stop(struct ww_policy_meter *meter, lua_State *lua)
{
    meter->running = false;
    lua_sethook(lua, NULL, 0, 0);
}

void ww_policy_meter_charge(lua_State *lua, uint64_t units)
{
    struct ww_policy_meter *meter = ww_policy_meter_of(lua);

    meter->units += units;
    count(meter, meter->units / 8);
    meter->units %= 8;
    if (meter->fault)
        luaL_error(lua, "%s", meter->what);
}

void ww_policy_meter_exhaust(lua_State *lua, const char *what)
{
    hit(ww_policy_meter_of(lua), WW_EPOLICY_BUDGET, what);
    luaL_error(lua, "%s", what);
}
