/* ww.net: is this text an address? is_address(text), is_prefix(text): as the engine will read them
 * when the node starts, so that a configuration can be checked before. */
#include <arpa/inet.h>

#include "ww/address.h"

#include "vm.h"

static int net_is_address(lua_State *lua)
{
    const char *text = luaL_checkstring(lua, 1);
    struct in6_addr address;
    lua_pushboolean(lua, inet_pton(AF_INET, text, &address) == 1 ||
                             inet_pton(AF_INET6, text, &address) == 1);
    return 1;
}

static int net_is_prefix(lua_State *lua)
{
    struct ww_prefix prefix;
    lua_pushboolean(lua, ww_prefix_parse(luaL_checkstring(lua, 1), &prefix) == 0);
    return 1;
}

void ww_ops_open_net(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"is_address", net_is_address}, {"is_prefix", net_is_prefix}, {NULL, NULL}};
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setfield(lua, -2, "net");
}
