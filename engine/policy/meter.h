/* A policy VM's memory cap, instruction budget and time limit.
 *
 * The meter is the user data of the VM's allocator, so that every C function in the VM finds it.
 * A limit that was hit stays hit until the next start: whatever the Lua does, it goes no further.
 */
#pragma once
#include <lua.h>

#include "ww/base.h"

struct ww_policy_marks;
struct ww_policy_meter {
    lua_Alloc allocate; /* LuaJIT's own; put back before lua_close, or the VM leaks */
    void *allocate_data;
    uint64_t fail_allocation; /* tests: the n-th allocation and all later fail; 0: none */
    uint64_t allocations;
    size_t bytes;          /* live */
    bool running;          /* policy code runs: blocks are capped too */
    uint64_t churn_bytes;  /* allocated since the start */
    uint32_t interval;     /* instructions between two looks */
    uint64_t instructions; /* used since the start */
    uint64_t looked;       /* at the clock, after so many */
    uint64_t units;        /* charged, not yet a whole instruction */
    unsigned nested;       /* C functions of ours that called a policy back */
    uint64_t budget;
    uint64_t slice_us; /* time limit, per clock: see look_at_clock */
    uint64_t start_us;
    uint64_t cpu_start_us;         /* 0 until the wall clock has used up its slice */
    int fault;                     /* WW_EPOLICY_BUDGET or _MEMORY once hit, sticky */
    const char *what;              /* the sentence for it */
    struct ww_prng prng;           /* of ctx.random */
    struct ww_policy_marks *marks; /* note each line that runs, and returns; NULL */
    bool returns;      /* note the place of the last return: a sixth more time of a short hook */
    unsigned returned; /* … of the outermost function, when all is over: its line … */
    const char *returned_source; /* … and its chunk's name, the VM's */
    bool trace;                  /* note the last line of `function` that ran */
    const void *function;        /* as lua_topointer has it */
    unsigned line;
};

/* Takes the VM's allocator over. */
void ww_policy_meter_attach(struct ww_policy_meter *meter, lua_State *lua, uint32_t interval,
                            uint64_t fail_allocation);
/* Gives it back. */
void ww_policy_meter_detach(struct ww_policy_meter *meter, lua_State *lua);
struct ww_policy_meter *ww_policy_meter_of(lua_State *lua);
/* Begins a measured run: zero used, nothing hit. */
void ww_policy_meter_start(struct ww_policy_meter *meter, lua_State *lua, uint64_t budget,
                           unsigned cpu_ms);
/* Ends it: C may allocate blocks of any size again (below the cap). */
void ww_policy_meter_stop(struct ww_policy_meter *meter, lua_State *lua);
/* For a C function in the VM: charges `units` of work, 8 to an instruction; raises a Lua error when
 * that is too much. */
void ww_policy_meter_charge(lua_State *lua, uint64_t units);
/* For a C function in the VM: the budget is used up, for the reason `what` (static). Raises. */
void ww_policy_meter_exhaust(lua_State *lua, const char *what);
/* Microseconds of CPU that this thread has used. */
uint64_t ww_policy_meter_cpu_us(void);
