/* ww.trace: decisions of policies, as they are made.
 *
 * ww.trace.hooks({"contract.offer", …} or nil, fn): fn is called in a later turn of the loop with
 * each decision of these hooks: {hook, input, result, instructions, time_us, fallback, generation,
 * fault}, and a second table of what of these differs when private texts are hidden: {input,
 * result, fault}. Inputs and results are Lua texts. nil: no more. One fn at a time.
 */
#include <string.h>

#include "ww/buf.h"
#include "ww/limits.h"
#include "ww/policy.h"

#include "vm.h"

#define HIDDEN "\xe2\x80\xa6" /* … */

struct decision {
    struct ww_ops *ops;
    enum ww_hook hook;
    struct ww_policy_report report;
    struct ww_buf input, result, input_hidden, result_hidden;
};

static void free_decision(struct decision *decision)
{
    ww_buf_deinit(&decision->input);
    ww_buf_deinit(&decision->result);
    ww_buf_deinit(&decision->input_hidden);
    ww_buf_deinit(&decision->result_hidden);
    ww_free(decision);
}

static void set_text(lua_State *lua, const char *name, const struct ww_buf *text)
{
    lua_pushlstring(lua, text->size ? (const char *)text->data : "", text->size);
    lua_setfield(lua, -2, name);
}

static void set_number(lua_State *lua, const char *name, uint64_t value)
{
    lua_pushnumber(lua, (lua_Number)value);
    lua_setfield(lua, -2, name);
}

static void set_fault(lua_State *lua, const struct ww_policy_fault *fault, const char *message)
{
    if (!fault->kind)
        return;
    lua_pushfstring(lua, "%s %s:%d: %s", ww_error_name(fault->kind), fault->file, (int)fault->line,
                    message);
    lua_setfield(lua, -2, "fault");
}

static void push_decision(lua_State *lua, const struct decision *decision)
{
    char generation[WW_HASH_TEXT_SIZE];

    lua_createtable(lua, 0, 8);
    lua_pushstring(lua, ww_hook_name(decision->hook));
    lua_setfield(lua, -2, "hook");
    lua_pushstring(lua, ww_hash_format(&decision->report.generation, generation));
    lua_setfield(lua, -2, "generation");
    set_text(lua, "input", &decision->input);
    set_text(lua, "result", &decision->result);
    set_number(lua, "instructions", decision->report.instructions);
    set_number(lua, "time_us", decision->report.time_ns / 1000);
    lua_pushboolean(lua, decision->report.fallback);
    lua_setfield(lua, -2, "fallback");
    set_fault(lua, &decision->report.fault, decision->report.fault.message);
}

static void push_hidden(lua_State *lua, const struct decision *decision)
{
    const char *message = decision->report.fault.message;

    lua_createtable(lua, 0, 3);
    set_text(lua, "input", &decision->input_hidden);
    set_text(lua, "result", &decision->result_hidden);
    set_fault(lua, &decision->report.fault, ww_hook_is_private(decision->hook) ? HIDDEN : message);
}

static void tell(void *arg)
{
    struct decision *decision = arg;
    struct ww_ops *ops = decision->ops;

    if (!ops->closing && ops->trace != LUA_NOREF) {
        ww_ops_push_ref(ops, ops->trace);
        push_decision(ops->lua, decision);
        push_hidden(ops->lua, decision);
        ww_ops_protected(ops, 2, 0);
    }
    free_decision(decision);
}

/* In the middle of a decision, which Lua may have asked for: told by the loop. What there is no
 * memory for is not told. */
static void decided(void *arg, enum ww_hook hook, const void *input, const void *result,
                    const struct ww_policy_report *report)
{
    struct decision *decision = ww_alloc(1, sizeof(*decision));
    struct ww_ops *ops = arg;

    if (!decision)
        return;
    *decision = (struct decision){.ops = ops, .hook = hook, .report = *report};
    ww_buf_init(&decision->input, WW_TRACE_TEXT_BYTES_MAX);
    ww_buf_init(&decision->result, WW_TRACE_TEXT_BYTES_MAX);
    ww_buf_init(&decision->input_hidden, WW_TRACE_TEXT_BYTES_MAX);
    ww_buf_init(&decision->result_hidden, WW_TRACE_TEXT_BYTES_MAX);
    ww_hook_print_input(hook, input, &decision->input);
    ww_hook_print_result(hook, input, result, &decision->result);
    ww_hook_print_hidden(hook, input, result, &decision->input_hidden, &decision->result_hidden);
    if (ww_loop_post(ops->loop, tell, decision))
        free_decision(decision);
}

static int lua_hooks(lua_State *lua)
{
    struct ww_ops *ops = ww_ops_of(lua);
    uint32_t hooks = 0;

    if (!lua_isnil(lua, 1)) {
        luaL_checktype(lua, 1, LUA_TTABLE);
        luaL_checktype(lua, 2, LUA_TFUNCTION);
        for (int index = 1;; index++) {
            enum ww_hook hook;
            lua_rawgeti(lua, 1, index);
            if (lua_isnil(lua, -1))
                break;
            const char *name = luaL_checkstring(lua, -1);
            if (ww_hook_parse(name, &hook))
                return ww_ops_push_error(lua, WW_ENOTFOUND, name);
            hooks |= UINT32_C(1) << hook;
            lua_pop(lua, 1);
        }
    }
    ww_ops_unref(ops, &ops->trace);
    if (hooks) {
        lua_pushvalue(lua, 2);
        ops->trace = luaL_ref(lua, LUA_REGISTRYINDEX);
    }
    ww_policy_observe(hooks, hooks ? decided : NULL, ops);
    lua_pushboolean(lua, 1);
    return 1;
}

void ww_ops_open_trace(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"hooks", lua_hooks}, {NULL, NULL}};

    ww_ops_of(lua)->trace = LUA_NOREF;
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setfield(lua, -2, "trace");
}
