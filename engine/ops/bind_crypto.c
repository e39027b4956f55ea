/* ww.crypto: keys, signatures, hashes, text encodings.
 *
 * key_load(path) / key_generate(path) -> key with :node_id(), :public_key() (base64 SPKI),
 * :sign(context, message) (base64); verify(public_key, context, message, signature) -> node id;
 * authority(folder, hosts) -> pin; certificate_pin(path); sha256(text) -> hex; random(bytes) ->
 * hex; id() -> a fresh time-ordered id; hash_text(text) -> base32 of SHA-256; from_hex, to_hex.
 */
#include <string.h>

#include "ww/crypto.h"
#include "ww/limits.h"

#include "vm.h"

#define KEY_CLASS  "ww.key"
#define BASE64_MAX 512

struct key_box {
    struct ww_key *key;
};

static struct ww_key *check_key(lua_State *lua, int index)
{
    struct key_box *box = luaL_checkudata(lua, index, KEY_CLASS);
    return box->key;
}

static struct key_box *push_key(lua_State *lua)
{
    struct key_box *box = lua_newuserdata(lua, sizeof(*box));
    box->key = NULL;
    luaL_getmetatable(lua, KEY_CLASS);
    lua_setmetatable(lua, -2);
    return box;
}

static int lua_key_load(lua_State *lua)
{
    const char *path = luaL_checkstring(lua, 1);
    char why[256] = "";
    struct key_box *box = push_key(lua);
    int rc = ww_key_load(path, &box->key, why, sizeof(why));
    return rc ? ww_ops_push_error(lua, rc, why) : 1;
}

static int lua_key_generate(lua_State *lua)
{
    const char *path = luaL_checkstring(lua, 1);
    struct key_box *box = push_key(lua);
    int rc = ww_key_generate(&box->key);
    if (!rc)
        rc = ww_key_save(box->key, path);
    return rc ? ww_ops_push_error(lua, rc, path) : 1;
}

static int key_node_id(lua_State *lua)
{
    struct ww_hash node_id;
    char text[WW_HASH_TEXT_SIZE];
    ww_key_node_id(check_key(lua, 1), &node_id);
    lua_pushstring(lua, ww_hash_format(&node_id, text));
    return 1;
}

static void push_base64(lua_State *lua, const void *data, size_t size)
{
    char text[BASE64_MAX];
    if (ww_base64_format(data, size, text, sizeof(text)))
        luaL_error(lua, "too long for base64");
    lua_pushstring(lua, text);
}

static int key_public_key(lua_State *lua)
{
    uint8_t spki[WW_PUBLIC_KEY_SIZE];
    ww_key_public(check_key(lua, 1), spki);
    push_base64(lua, spki, sizeof(spki));
    return 1;
}

static int key_sign(lua_State *lua)
{
    size_t size = 0;
    const char *context = luaL_checkstring(lua, 2);
    const char *message = luaL_checklstring(lua, 3, &size);
    uint8_t signature[WW_SIGNATURE_SIZE];
    int rc = ww_sign(check_key(lua, 1), context, message, size, signature);
    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    push_base64(lua, signature, sizeof(signature));
    return 1;
}

static int key_finalise(lua_State *lua)
{
    struct key_box *box = lua_touserdata(lua, 1);
    ww_key_destroy(box->key);
    box->key = NULL;
    return 0;
}

static int lua_verify(lua_State *lua)
{
    size_t key_text_size = 0, message_size = 0, signature_text_size = 0;
    const char *key_text = luaL_checklstring(lua, 1, &key_text_size);
    const char *context = luaL_checkstring(lua, 2);
    const char *message = luaL_checklstring(lua, 3, &message_size);
    const char *signature_text = luaL_checklstring(lua, 4, &signature_text_size);
    uint8_t spki[WW_PUBLIC_KEY_SIZE + 16], signature[WW_SIGNATURE_SIZE];
    size_t spki_size = 0, signature_size = 0;
    struct ww_public_key *key = NULL;
    struct ww_hash node_id;
    char text[WW_HASH_TEXT_SIZE];

    if (ww_base64_parse(key_text, key_text_size, spki, sizeof(spki), &spki_size) ||
        ww_base64_parse(signature_text, signature_text_size, signature, sizeof(signature),
                        &signature_size) ||
        signature_size != sizeof(signature))
        return ww_ops_push_error(lua, WW_EMALFORMED, "key or signature is not valid base64");
    int rc = ww_public_key_parse(spki, spki_size, &key);
    if (!rc)
        rc = ww_verify(key, context, message, message_size, signature);
    if (!rc)
        ww_public_key_node_id(key, &node_id);
    ww_public_key_destroy(key);
    if (rc)
        return ww_ops_push_error(lua, rc, NULL);
    lua_pushstring(lua, ww_hash_format(&node_id, text));
    return 1;
}

static int lua_authority(lua_State *lua)
{
    const char *folder = luaL_checkstring(lua, 1);
    const char *hosts[WW_CERTIFICATE_HOSTS_MAX + 1] = {0};
    struct ww_hash pin;
    char text[WW_HASH_TEXT_SIZE];

    luaL_checktype(lua, 2, LUA_TTABLE);
    size_t count = lua_objlen(lua, 2);
    luaL_argcheck(lua, count <= WW_CERTIFICATE_HOSTS_MAX, 2, "too many hosts");
    for (size_t index = 0; index < count; index++) {
        lua_rawgeti(lua, 2, (int)index + 1);
        hosts[index] = luaL_checkstring(lua, -1);
        lua_pop(lua, 1);
    }
    int rc = ww_certificate_authority(folder, hosts, &pin);
    if (rc)
        return ww_ops_push_error(lua, rc, folder);
    lua_pushstring(lua, ww_hash_format(&pin, text));
    return 1;
}

static int lua_certificate_pin(lua_State *lua)
{
    struct ww_hash pin;
    char text[WW_HASH_TEXT_SIZE];
    int rc = ww_certificate_pin(luaL_checkstring(lua, 1), &pin);
    if (rc)
        return ww_ops_push_error(lua, rc, lua_tostring(lua, 1));
    lua_pushstring(lua, ww_hash_format(&pin, text));
    return 1;
}

static int lua_hash_text(lua_State *lua)
{
    size_t size = 0;
    const char *data = luaL_checklstring(lua, 1, &size);
    struct ww_hash hash;
    char text[WW_HASH_TEXT_SIZE];
    ww_sha256(data, size, &hash);
    lua_pushstring(lua, ww_hash_format(&hash, text));
    return 1;
}

static int lua_random(lua_State *lua)
{
    uint8_t bytes[64];
    char text[2 * sizeof(bytes) + 1];
    lua_Integer size = luaL_checkinteger(lua, 1);
    luaL_argcheck(lua, size >= 1 && size <= (lua_Integer)sizeof(bytes), 1, "1 to 64 bytes");
    ww_random_bytes(bytes, (size_t)size);
    lua_pushstring(lua, ww_hex_format(bytes, (size_t)size, text));
    return 1;
}

static int lua_id(lua_State *lua)
{
    struct ww_id id = ww_id_make(ww_clock_wall_ms());
    char text[WW_ID_TEXT_SIZE];
    lua_pushstring(lua, ww_id_format(&id, text));
    return 1;
}

static int lua_from_hex(lua_State *lua)
{
    size_t size = 0;
    uint8_t bytes[256];
    const char *text = luaL_checklstring(lua, 1, &size);
    if (size % 2 || size / 2 > sizeof(bytes) || ww_hex_parse(text, bytes, size / 2))
        return ww_ops_push_error(lua, WW_EINVAL, "not hex digits");
    lua_pushlstring(lua, (const char *)bytes, size / 2);
    return 1;
}

static int lua_to_hex(lua_State *lua)
{
    size_t size = 0;
    char text[513];
    const char *bytes = luaL_checklstring(lua, 1, &size);
    luaL_argcheck(lua, size <= 256, 1, "at most 256 bytes");
    lua_pushstring(lua, ww_hex_format(bytes, size, text));
    return 1;
}

void ww_ops_open_crypto(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"key_load", lua_key_load},
        {"key_generate", lua_key_generate},
        {"verify", lua_verify},
        {"authority", lua_authority},
        {"hash_text", lua_hash_text},
        {"certificate_pin", lua_certificate_pin},
        {"random", lua_random},
        {"id", lua_id},
        {"from_hex", lua_from_hex},
        {"to_hex", lua_to_hex},
        {NULL, NULL},
    };
    static const luaL_Reg methods[] = {
        {"node_id", key_node_id}, {"public_key", key_public_key}, {"sign", key_sign}, {NULL, NULL}};

    ww_ops_class(lua, KEY_CLASS, methods, key_finalise);
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    lua_setfield(lua, -2, "crypto");
}
