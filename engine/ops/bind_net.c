/* ww.net: is this text an address? is_address(text), is_prefix(text): as the engine will read them
 * when the node starts, so that a configuration can be checked before.
 *
 * ww.net.judge{texts={…}, is_local=false, json=false} -> true | nil, err
 *   writes a verdict a line to stdout for each text; "-" stands for the lines of stdin. Blocks: for
 *   a command, never for a node. What a read brought is answered before the next one. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "ww/address.h"

#include "vm.h"

#define READ_BYTES     32768 /* a turn; its verdicts have at most 64 bytes for each */
#define VERDICTS_BYTES (READ_BYTES * 64 + 4096)

static int net_is_address(lua_State *lua)
{
    size_t size;
    const char *text = luaL_checklstring(lua, 1, &size);
    uint8_t address[16];
    bool is_v4;
    lua_pushboolean(lua, ww_address_parse(text, size, address, &is_v4) == 0);
    return 1;
}

static int net_is_prefix(lua_State *lua)
{
    struct ww_prefix prefix;
    lua_pushboolean(lua, ww_prefix_parse(luaL_checkstring(lua, 1), &prefix) == 0);
    return 1;
}

/* After a failed call: whether to try it again, when the descriptor is ready. */
static bool is_retry(int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};
    if (errno == EAGAIN)
        return poll(&ready, 1, -1) >= 0 || errno == EINTR;
    return errno == EINTR;
}

static int write_out(struct ww_buf *out)
{
    size_t done = 0;
    if (out->error)
        return out->error;
    while (done < out->size) {
        ssize_t size = write(STDOUT_FILENO, out->data + done, out->size - done);
        if (size < 0 && !is_retry(STDOUT_FILENO, POLLOUT))
            return WW_ESYSTEM;
        done += size > 0 ? (size_t)size : 0;
    }
    ww_buf_clear(out);
    return 0;
}

static int judge_stdin(struct ww_address_lines *lines, struct ww_buf *out, const char **subject)
{
    char bytes[READ_BYTES];
    for (;;) {
        ssize_t size = read(STDIN_FILENO, bytes, sizeof(bytes));
        if (size < 0 && is_retry(STDIN_FILENO, POLLIN))
            continue;
        if (size < 0) {
            *subject = "stdin";
            return WW_ESYSTEM;
        }
        if (size == 0)
            ww_address_lines_end(lines, out);
        else
            ww_address_lines_feed(lines, bytes, (size_t)size, out);
        int rc = write_out(out);
        if (rc || size == 0)
            return rc;
    }
}

static int net_judge(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    struct ww_address_rules *rules = NULL;
    struct ww_address_lines lines = {.json = ww_ops_field_bool(lua, 1, "json", false)};
    bool is_local = ww_ops_field_bool(lua, 1, "is_local", false);
    const char *subject = "stdout";
    struct ww_buf out;

    lua_getfield(lua, 1, "texts");
    luaL_checktype(lua, -1, LUA_TTABLE);
    size_t count = lua_objlen(lua, -1);
    for (size_t index = 1; index <= count; index++) {
        lua_rawgeti(lua, -1, (int)index); /* checked here, where nothing would be lost */
        luaL_checkstring(lua, -1);
        lua_pop(lua, 1);
    }
    int rc = is_local ? ww_address_rules_create(true, &rules) : 0;
    if (rc)
        return ww_ops_push_system_error(lua, rc, "this host's addresses");
    lines.rules = rules;
    ww_buf_init(&out, VERDICTS_BYTES);
    for (size_t index = 1; index <= count && !rc; index++) {
        size_t size;
        lua_rawgeti(lua, -1, (int)index);
        const char *text = lua_tolstring(lua, -1, &size);
        if (size == 1 && text[0] == '-') {
            rc = judge_stdin(&lines, &out, &subject);
        } else {
            ww_address_put_verdict(rules, text, size, lines.json, &out);
            rc = write_out(&out);
        }
        lua_pop(lua, 1);
    }
    ww_buf_deinit(&out);
    ww_address_rules_destroy(rules);
    if (rc)
        return ww_ops_push_system_error(lua, rc, subject);
    lua_pushboolean(lua, true);
    return 1;
}

void ww_ops_open_net(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"is_address", net_is_address},
                                         {"is_prefix", net_is_prefix},
                                         {"judge", net_judge},
                                         {NULL, NULL}};
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setfield(lua, -2, "net");
}
