/* Marshalling by description. Nothing from Lua is believed: types, ranges, words, lengths, names
 * and unknown fields are checked here, with raw access only.
 *
 * Relies on fields.c. The depth of what it reads is the depth of the description, so a cyclic
 * table is only ever a wrong type or an unknown field.
 */
#include "marshal.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- to Lua ------------------------------------------------------------------------------- */

static void push_list(lua_State *lua, const struct ww_policy_field *field, const char *data)
{
    const struct ww_policy_struct *item = field->type();
    uint32_t count;

    memcpy(&count, data + field->count_offset, sizeof(count));
    WW_REQUIRE(count <= field->max);
    lua_createtable(lua, (int)count, 0);
    for (uint32_t index = 0; index < count; index++) {
        ww_policy_push(lua, item, data + field->offset + index * item->size, NULL, NULL);
        lua_rawseti(lua, -2, (int)index + 1);
    }
}

static void push_order(lua_State *lua, const struct ww_policy_field *field, const char *data,
                       const struct ww_policy_hook *hook, const void *input)
{
    const struct ww_policy_field *list = ww_policy_order_list(hook->input(), field);
    uint32_t count;

    memcpy(&count, data + field->count_offset, sizeof(count));
    WW_REQUIRE(count <= field->max);
    lua_createtable(lua, (int)count, 0);
    for (uint32_t place = 0; place < count; place++) {
        uint32_t index;

        memcpy(&index, data + field->offset + place * sizeof(index), sizeof(index));
        lua_pushstring(lua, ww_policy_order_key(list, field, input, index));
        lua_rawseti(lua, -2, (int)place + 1);
    }
}

void ww_policy_push_value(lua_State *lua, const struct ww_hook_value *value)
{
    if (value->is_text)
        lua_pushlstring(lua, value->text, strnlen(value->text, sizeof(value->text) - 1));
    else
        lua_pushnumber(lua, (lua_Number)WW_MIN(value->number, WW_HOOK_NUMBER_MAX));
}

static void push_field(lua_State *lua, const struct ww_policy_field *field, const char *data,
                       const struct ww_policy_hook *hook, const void *input)
{
    const char *at = data + field->offset;
    uint64_t number;
    uint32_t word;

    switch (field->kind) {
    case WW_FIELD_U64:
        memcpy(&number, at, sizeof(number));
        lua_pushnumber(lua, (lua_Number)WW_MIN(number, WW_HOOK_NUMBER_MAX));
        break;
    case WW_FIELD_BOOL:
        lua_pushboolean(lua, *(const bool *)at);
        break;
    case WW_FIELD_TEXT:
        lua_pushlstring(lua, at, strnlen(at, field->size - 1));
        break;
    case WW_FIELD_ENUM:
        memcpy(&word, at, sizeof(word));
        WW_REQUIRE(word < field->choices->count);
        lua_pushstring(lua, field->choices->words[word]);
        break;
    case WW_FIELD_VALUE:
        ww_policy_push_value(lua, (const void *)at);
        break;
    case WW_FIELD_INNER:
        ww_policy_push(lua, field->type(), at, NULL, NULL);
        break;
    case WW_FIELD_LIST:
        push_list(lua, field, data);
        break;
    case WW_FIELD_ORDER:
        push_order(lua, field, data, hook, input);
        break;
    }
}

void ww_policy_push(lua_State *lua, const struct ww_policy_struct *type, const void *data,
                    const struct ww_policy_hook *hook, const void *input)
{
    luaL_checkstack(lua, 8, "too deep");
    lua_createtable(lua, 0, (int)type->field_count);
    for (size_t index = 0; index < type->field_count; index++) {
        if (ww_policy_field_is_silent(&type->fields[index], data))
            continue;
        lua_pushstring(lua, type->fields[index].name);
        push_field(lua, &type->fields[index], data, hook, input);
        lua_rawset(lua, -3);
    }
}

/* --- from Lua ----------------------------------------------------------------------------- */

static bool refuse(struct ww_policy_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(struct ww_policy_reader *reader, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reader->why, sizeof(reader->why), format, arguments);
    va_end(arguments);
    return false;
}

/* Puts where it happened before the sentence, from the inside out. Returns false. */
static bool inside(struct ww_policy_reader *reader, const char *name, uint32_t index)
{
    char inner[sizeof(reader->why)];
    const char *joint = reader->why[0] == '.' || reader->why[0] == '[' ? "" : ": ";

    memcpy(inner, reader->why, sizeof(inner));
    if (index)
        snprintf(reader->why, sizeof(reader->why), "[%u]%s%.150s", index, joint, inner);
    else
        snprintf(reader->why, sizeof(reader->why), ".%s%s%.150s", name, joint, inner);
    return false;
}

bool ww_policy_is_text(const char *shown, size_t size)
{
    const unsigned char *text = (const unsigned char *)shown;

    for (size_t index = 0; index < size;) {
        unsigned char first = text[index++];
        unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        unsigned lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        unsigned highest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

        if (first < 0x20 || first == 0x7f || (first >= 0x80 && first < 0xc2) || first > 0xf4)
            return false;
        for (; more > 0; more--) {
            if (index >= size || text[index] < lowest || text[index] > highest)
                return false;
            index++;
            lowest = 0x80;
            highest = 0xbf;
        }
    }
    return true;
}

static bool read_u64(lua_State *lua, const struct ww_policy_field *field, char *at,
                     struct ww_policy_reader *reader)
{
    lua_Number number;
    uint64_t value;

    if (lua_type(lua, -1) != LUA_TNUMBER)
        return refuse(reader, "a number is needed, not a %s", luaL_typename(lua, -1));
    number = lua_tonumber(lua, -1);
    if (!(number >= (lua_Number)field->min && number <= (lua_Number)field->max) ||
        number != (lua_Number)(uint64_t)number)
        return refuse(reader, "%.17g is not a whole number from %llu to %llu", number,
                      (unsigned long long)field->min, (unsigned long long)field->max);
    value = (uint64_t)number;
    memcpy(at, &value, sizeof(value));
    return true;
}

static bool read_text(lua_State *lua, const struct ww_policy_field *field, char *at,
                      struct ww_policy_reader *reader)
{
    size_t size;
    const char *text;

    if (lua_type(lua, -1) != LUA_TSTRING)
        return refuse(reader, "a string is needed, not a %s", luaL_typename(lua, -1));
    text = lua_tolstring(lua, -1, &size);
    if (size >= field->size)
        return refuse(reader, "longer than %zu bytes", field->size - 1);
    if (!ww_policy_is_text(text, size))
        return refuse(reader, "not plain UTF-8 text");
    memset(at, 0, field->size);
    memcpy(at, text, size);
    return true;
}

bool ww_policy_read_value(lua_State *lua, struct ww_hook_value *value,
                          struct ww_policy_reader *reader)
{
    static const struct ww_policy_field number = {.max = WW_HOOK_NUMBER_MAX};
    static const struct ww_policy_field text = {.size = sizeof(value->text)};

    memset(value, 0, sizeof(*value));
    value->is_text = lua_type(lua, -1) == LUA_TSTRING;
    return value->is_text ? read_text(lua, &text, value->text, reader)
                          : read_u64(lua, &number, (char *)&value->number, reader);
}

/* Whether the string on top is this text, and not only begins with it and a NUL. */
static bool is_text(lua_State *lua, const char *text)
{
    return strcmp(lua_tostring(lua, -1), text) == 0 && lua_objlen(lua, -1) == strlen(text);
}

static bool read_word(lua_State *lua, const struct ww_policy_field *field, char *at,
                      struct ww_policy_reader *reader)
{
    if (lua_type(lua, -1) != LUA_TSTRING)
        return refuse(reader, "a string is needed, not a %s", luaL_typename(lua, -1));
    for (uint32_t word = 0; word < field->choices->count; word++) {
        if (is_text(lua, field->choices->words[word])) {
            memcpy(at, &word, sizeof(word));
            return true;
        }
    }
    return refuse(reader, "'%.40s' is not one of its words", lua_tostring(lua, -1));
}

/* The length of the list on top, which must have no other keys; false with the sentence. */
static bool read_length(lua_State *lua, const struct ww_policy_field *field, uint32_t *count,
                        struct ww_policy_reader *reader)
{
    size_t keys = 0;

    if (lua_type(lua, -1) != LUA_TTABLE)
        return refuse(reader, "a list is needed, not a %s", luaL_typename(lua, -1));
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        lua_pop(lua, 1);
        keys++;
        if (keys > field->max || lua_type(lua, -1) != LUA_TNUMBER) {
            lua_pop(lua, 1);
            return refuse(reader, "a list of at most %llu items is needed",
                          (unsigned long long)field->max);
        }
    }
    *count = (uint32_t)keys; /* as many keys as items: readers find a hole as a nil */
    return true;
}

static bool read_list(lua_State *lua, const struct ww_policy_field *field, char *data,
                      struct ww_policy_reader *reader)
{
    const struct ww_policy_struct *item = field->type();
    uint32_t count;

    if (!read_length(lua, field, &count, reader))
        return false;
    for (uint32_t index = 0; index < count; index++) {
        char *at = data + field->offset + index * item->size;
        bool good;

        memset(at, 0, item->size);
        if (reader->partial)
            ww_policy_struct_sample(item, at);
        lua_rawgeti(lua, -1, (int)index + 1);
        reader->depth++;
        good = ww_policy_read(lua, item, at, reader);
        reader->depth--;
        lua_pop(lua, 1);
        if (!good)
            return inside(reader, "", index + 1);
    }
    memcpy(data + field->count_offset, &count, sizeof(count));
    return true;
}

/* The index of the item that the string on top names; UINT32_MAX if none does. */
static uint32_t find_key(lua_State *lua, const struct ww_policy_field *list,
                         const struct ww_policy_field *field, const void *input)
{
    uint32_t count;

    memcpy(&count, (const char *)input + list->count_offset, sizeof(count));
    for (uint32_t index = 0; index < count; index++) {
        if (is_text(lua, ww_policy_order_key(list, field, input, index)))
            return index;
    }
    return UINT32_MAX;
}

static bool read_order(lua_State *lua, const struct ww_policy_field *field, char *data,
                       struct ww_policy_reader *reader)
{
    const struct ww_policy_field *list = ww_policy_order_list(reader->hook->input(), field);
    uint64_t seen[WW_HOOK_PROVIDERS_MAX / 64] = {0};
    uint32_t count;

    _Static_assert(WW_HOOK_PROVIDERS_MAX >= WW_HOOK_ASSETS_MAX, "seen[] is for the longest list");
    WW_REQUIRE(field->max <= WW_HOOK_PROVIDERS_MAX);
    if (!read_length(lua, field, &count, reader))
        return false;
    for (uint32_t place = 0; place < count; place++) {
        uint32_t index = UINT32_MAX;

        lua_rawgeti(lua, -1, (int)place + 1);
        if (lua_type(lua, -1) == LUA_TSTRING)
            index = find_key(lua, list, field, reader->input);
        if (index == UINT32_MAX) {
            refuse(reader, "is no %s of `%s`", field->key, field->list);
        } else if (seen[index / 64] >> (index % 64) & 1) {
            refuse(reader, "is listed twice");
            index = UINT32_MAX;
        }
        lua_pop(lua, 1);
        if (index == UINT32_MAX)
            return inside(reader, "", place + 1);
        seen[index / 64] |= 1ULL << (index % 64);
        memcpy(data + field->offset + place * sizeof(index), &index, sizeof(index));
    }
    memcpy(data + field->count_offset, &count, sizeof(count));
    return true;
}

/* The value on top, into its place. */
static bool read_value(lua_State *lua, const struct ww_policy_field *field, char *data,
                       struct ww_policy_reader *reader)
{
    char *at = data + field->offset;

    switch (field->kind) {
    case WW_FIELD_U64:
        return read_u64(lua, field, at, reader);
    case WW_FIELD_BOOL:
        if (lua_type(lua, -1) != LUA_TBOOLEAN)
            return refuse(reader, "true or false is needed, not a %s", luaL_typename(lua, -1));
        *(bool *)at = lua_toboolean(lua, -1);
        return true;
    case WW_FIELD_TEXT:
        return read_text(lua, field, at, reader);
    case WW_FIELD_ENUM:
        return read_word(lua, field, at, reader);
    case WW_FIELD_VALUE:
        return ww_policy_read_value(lua, (void *)at, reader);
    case WW_FIELD_INNER:
        return ww_policy_read(lua, field->type(), at, reader);
    case WW_FIELD_LIST:
        return read_list(lua, field, data, reader);
    case WW_FIELD_ORDER:
        return read_order(lua, field, data, reader);
    }
    return false;
}

/* Whether a policy may leave the field out. Items of a list have no defaults. */
static bool optional(const struct ww_policy_field *field, const struct ww_policy_reader *reader)
{
    if (reader->partial)
        return true;
    return reader->depth == 0 && field->kind != WW_FIELD_ORDER &&
           strcmp(field->name, "decision") != 0;
}

/* How many keys the table on top has; counting ends at `most`. */
static size_t count_keys(lua_State *lua, size_t most)
{
    size_t count = 0;

    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        lua_pop(lua, 1);
        if (++count == most) {
            lua_pop(lua, 1);
            break;
        }
    }
    return count;
}

/* Every key of the table on top must be a field. */
static bool refuse_unknown(lua_State *lua, const struct ww_policy_struct *type,
                           struct ww_policy_reader *reader)
{
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        bool known = false;

        lua_pop(lua, 1);
        if (lua_type(lua, -1) == LUA_TSTRING) {
            const struct ww_policy_field *field = ww_policy_field_find(type, lua_tostring(lua, -1));

            known = field && is_text(lua, field->name);
            if (!known)
                refuse(reader, ".%.40s: there is no such field", lua_tostring(lua, -1));
        } else {
            refuse(reader, "a key is a %s", luaL_typename(lua, -1));
        }
        if (!known) {
            lua_pop(lua, 1);
            return false;
        }
    }
    return true;
}

/* Pushes the field's value; false, and nothing is pushed, when the table on top has none. */
static bool push_given(lua_State *lua, const struct ww_policy_field *field)
{
    lua_pushstring(lua, field->name);
    lua_rawget(lua, -2);
    if (!lua_isnil(lua, -1))
        return true;
    lua_pop(lua, 1);
    return false;
}

bool ww_policy_read(lua_State *lua, const struct ww_policy_struct *type, void *data,
                    struct ww_policy_reader *reader)
{
    size_t left; /* keys that no field was found for so far */

    luaL_checkstack(lua, 8, "too deep");
    if (lua_type(lua, -1) != LUA_TTABLE)
        return refuse(reader, "a table is needed, not a %s", luaL_typename(lua, -1));
    left = count_keys(lua, type->field_count + 1);
    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_field *field = &type->fields[index];
        bool good;

        if (left > 0 && push_given(lua, field)) {
            left--;
            good = read_value(lua, field, data, reader);
            lua_pop(lua, 1);
        } else {
            good = optional(field, reader) || refuse(reader, "is missing");
        }
        if (!good)
            return inside(reader, field->name, 0);
    }
    return left == 0 || refuse_unknown(lua, type, reader);
}
