/* The trusted VM's memory: when there is no more, the process ends.
 *
 * The other way, an error in whatever asked, is not one that trusted Lua can handle: it would leave
 * a handler half done, in a program that is to go on. A process that ends has lost nothing that it
 * had promised, and is started again. Must not allocate. */
#include <unistd.h>

#include "vm.h"

#define EXIT_NO_MEMORY 75 /* EX_TEMPFAIL of sysexits.h */

static void *allocate(void *data, void *block, size_t old_size, size_t new_size)
{
    struct ww_ops_memory *memory = data;
    void *moved = NULL;

    memory->allocations += new_size > old_size;
    if (new_size <= old_size || memory->allocations != memory->fail_allocation)
        moved = memory->allocate(memory->data, block, old_size, new_size);
    if (moved || new_size == 0)
        return moved;
    ww_log_write(WW_LOG_ERROR, "ops", "no memory is left for Lua, and this process ends",
                 "code=ENOMEM bytes=%zu", new_size);
    _exit(EXIT_NO_MEMORY);
}

void ww_ops_memory_attach(struct ww_ops_memory *memory, lua_State *lua, uint64_t fail_allocation)
{
    memory->fail_allocation = fail_allocation;
    memory->allocate = lua_getallocf(lua, &memory->data);
    lua_setallocf(lua, allocate, memory);
}

/* LuaJIT frees what its own allocator has only if that is the one that is set. */
void ww_ops_memory_detach(struct ww_ops_memory *memory, lua_State *lua)
{
    lua_setallocf(lua, memory->allocate, memory->data);
}
