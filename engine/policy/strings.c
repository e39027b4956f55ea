/* The string functions that LuaJIT's own would leave without a bound: rep, format, and the four
 * that take patterns. As in the Lua 5.1 manual, but with limits, which are errors when passed.
 *
 * Relies on the meter to stop what takes too many steps. Never shows an address.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "meter.h"
#include "pattern.h"
#include "sandbox.h"
#include "ww/error.h"
#include "ww/limits.h"

static int string_rep(lua_State *lua)
{
    size_t size;
    const char *text = luaL_checklstring(lua, 1, &size);
    lua_Number times = luaL_checknumber(lua, 2);
    size_t total;
    size_t filled;
    char *block;

    if (!(times >= 1) || size == 0) {
        lua_pushliteral(lua, "");
        return 1;
    }
    if (times * (lua_Number)size > WW_POLICY_STRING_BYTES_MAX)
        return luaL_error(lua, "string.rep: more than %d bytes", WW_POLICY_STRING_BYTES_MAX);
    total = (size_t)times * size;
    ww_policy_meter_charge(lua, total / 8);
    block = lua_newuserdata(lua, total);
    memcpy(block, text, size);
    for (filled = size; filled < total; filled += WW_MIN(filled, total - filled))
        memcpy(block + filled, block, WW_MIN(filled, total - filled));
    lua_pushlstring(lua, block, total);
    return 1;
}

/* --- format ------------------------------------------------------------------------------- */

#define SPEC_SIZE 16 /* % flags width . precision letter */

/* Copies one conversion, from after its '%', and returns its size; 0 if it is not one of ours. */
static size_t format_spec(const char *format, size_t left, char spec[SPEC_SIZE])
{
    size_t size = strspn(format, "-+ #0");

    if (size > 5)
        return 0;
    for (int digits = 0; size < left && digits < 2 && isdigit((unsigned char)format[size]);
         digits++)
        size++;
    if (size < left && format[size] == '.') {
        size++;
        for (int digits = 0; size < left && digits < 2 && isdigit((unsigned char)format[size]);
             digits++)
            size++;
    }
    if (size >= left || !format[size] || !strchr("dcxXeEfgGsq", format[size]))
        return 0;
    spec[0] = '%';
    memcpy(spec + 1, format, size + 1);
    spec[size + 2] = '\0';
    return size + 1;
}

static void format_integer(lua_State *lua, int argument, const char *spec, char *out,
                           size_t out_size)
{
    lua_Number number = luaL_checknumber(lua, argument);
    char wide[SPEC_SIZE + 2];
    size_t size = strlen(spec);

    if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0))
        luaL_error(lua, "string.format: a number is not whole");
    memcpy(wide, spec, size - 1);
    wide[size - 1] = 'l';
    wide[size] = 'l';
    wide[size + 1] = spec[size - 1];
    wide[size + 2] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* checked by format_spec */
    snprintf(out, out_size, wide, (long long)number);
#pragma GCC diagnostic pop
}

static void add_quoted(luaL_Buffer *buffer, const char *text, size_t size)
{
    luaL_addchar(buffer, '"');
    for (size_t index = 0; index < size; index++) {
        char escape[8];

        if (text[index] == '"' || text[index] == '\\') {
            luaL_addchar(buffer, '\\');
            luaL_addchar(buffer, text[index]);
        } else if ((unsigned char)text[index] < 0x20 || text[index] == 0x7f) {
            snprintf(escape, sizeof(escape), "\\%03d", text[index]);
            luaL_addlstring(buffer, escape, strlen(escape));
        } else {
            luaL_addchar(buffer, text[index]);
        }
    }
    luaL_addchar(buffer, '"');
}

/* %s and %q: strings, numbers and booleans; a table has nothing to show but its address. */
static void add_text(lua_State *lua, luaL_Buffer *buffer, int argument, const char *spec)
{
    size_t size;
    const char *text;
    char padded[512];

    if (lua_isboolean(lua, argument))
        text = lua_toboolean(lua, argument) ? "true" : "false";
    else if (lua_isnil(lua, argument))
        text = "nil";
    else
        text = luaL_checkstring(lua, argument);
    size = lua_isstring(lua, argument) ? lua_objlen(lua, argument) : strlen(text);
    if (spec[strlen(spec) - 1] == 'q') {
        add_quoted(buffer, text, size);
        return;
    }
    if (spec[1] == 's' || (size >= 100 && !strchr(spec, '.'))) { /* no width is that large */
        luaL_addlstring(buffer, text, size);
        return;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(padded, sizeof(padded), spec, text);
#pragma GCC diagnostic pop
    luaL_addlstring(buffer, padded, strlen(padded));
}

static void add_conversion(lua_State *lua, luaL_Buffer *buffer, int argument, const char *spec)
{
    char letter = spec[strlen(spec) - 1];
    char out[512]; /* %99.99f of 1e308 has 409 */

    if (letter == 's' || letter == 'q') {
        add_text(lua, buffer, argument, spec);
        return;
    }
    if (letter == 'c') {
        luaL_addchar(buffer, (char)luaL_checkinteger(lua, argument));
        return;
    }
    if (strchr("dxX", letter)) {
        format_integer(lua, argument, spec, out, sizeof(out));
    } else {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(out, sizeof(out), spec, luaL_checknumber(lua, argument));
#pragma GCC diagnostic pop
    }
    luaL_addlstring(buffer, out, strlen(out));
}

static int string_format(lua_State *lua)
{
    size_t size;
    const char *format = luaL_checklstring(lua, 1, &size);
    int argument = 1;
    uint64_t total = 0;
    luaL_Buffer buffer;

    for (int index = 1; index <= lua_gettop(lua); index++)
        total += lua_type(lua, index) == LUA_TSTRING ? lua_objlen(lua, index) : 0;
    if (size > WW_POLICY_SUBJECT_BYTES_MAX || total > WW_POLICY_STRING_BYTES_MAX)
        return luaL_error(lua, "string.format: too long");
    ww_policy_meter_charge(lua, size + total);
    luaL_buffinit(lua, &buffer);
    for (size_t index = 0; index < size; index++) {
        char spec[SPEC_SIZE];
        size_t spec_size;

        if (format[index] != '%') {
            luaL_addchar(&buffer, format[index]);
            continue;
        }
        if (index + 1 < size && format[index + 1] == '%') {
            luaL_addchar(&buffer, '%');
            index++;
            continue;
        }
        spec_size = format_spec(format + index + 1, size - index - 1, spec);
        if (!spec_size)
            return luaL_error(lua, "string.format: a conversion that policies don't have");
        add_conversion(lua, &buffer, ++argument, spec);
        index += spec_size;
    }
    luaL_pushresult(&buffer);
    return 1;
}

const luaL_Reg ww_policy_string_functions[] = {
    {"rep", string_rep},
    {"format", string_format},
    {NULL, NULL},
};
