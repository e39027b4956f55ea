/* The contract token: what the arbiter promises both parties, under the provider's secret.
 *
 * Relies on the caller to compute and compare the MAC. Must never accept a value that a later
 * calculation couldn't take: ranges are checked both ways.
 */
#include "internal.h"

#define MAC_SIZE     32
#define PPM_MAX      1000000
#define ADDRESS_SIZE 16

static bool subnet_valid(const struct ww_subnet *subnet)
{
    if (subnet->prefix_bits > 8 * ADDRESS_SIZE)
        return false;
    for (size_t bit = subnet->prefix_bits; bit < 8 * ADDRESS_SIZE; bit++) {
        if (subnet->address[bit / 8] & (0x80u >> bit % 8))
            return false; /* two spellings of one subnet */
    }
    return true;
}

static bool token_valid(const struct ww_token *token)
{
    if (token->bytes == 0 || token->bytes > WW_CONTRACT_BYTES_MAX)
        return false;
    if (token->stat_id > WW_WIRE_VARINT_MAX || token->window_bytes > WW_WIRE_VARINT_MAX)
        return false;
    if (token->price_ppm > PPM_MAX || token->extender_share_ppm > PPM_MAX)
        return false;
    if (token->issued_s > token->open_by_s || token->open_by_s > token->expires_s ||
        token->expires_s > WW_WIRE_VARINT_MAX)
        return false;
    if (token->extender_share_ppm > 0 && ww_hash_is_zero(&token->extender))
        return false;
    if (token->subnet_count > WW_EXPOSED_MAX)
        return false;
    for (size_t index = 0; index < token->subnet_count; index++) {
        if (!subnet_valid(&token->subnets[index]))
            return false;
    }
    return true;
}

int ww_wire_token_encode(const struct ww_token *token, struct ww_buf *out)
{
    size_t start = out->size;
    bool extended = !ww_hash_is_zero(&token->extender);

    if (out->error)
        return out->error;
    if (!token_valid(token))
        return WW_EINVAL;
    ww_buf_put_varint(out, WW_WIRE_VERSION);
    ww_buf_put(out, token->contract_id.bytes, sizeof(token->contract_id.bytes));
    ww_buf_put(out, token->key_id.bytes, sizeof(token->key_id.bytes));
    ww_buf_put(out, token->client.bytes, sizeof(token->client.bytes));
    ww_buf_put(out, token->provider.bytes, sizeof(token->provider.bytes));
    ww_buf_put_varint(out, token->bytes);
    ww_buf_put_varint(out, token->stat_id);
    ww_buf_put_varint(out, token->price_ppm);
    ww_buf_put_varint(out, token->window_bytes);
    ww_buf_put_varint(out, token->list_version);
    ww_buf_put_varint(out, token->issued_s);
    ww_buf_put_varint(out, token->open_by_s);
    ww_buf_put_varint(out, token->expires_s);
    ww_buf_put_varint(out, extended ? 1 : 0);
    if (extended) {
        ww_buf_put_varint(out, token->extender_share_ppm);
        ww_buf_put(out, token->extender.bytes, sizeof(token->extender.bytes));
    }
    ww_buf_put_varint(out, token->subnet_count);
    for (size_t index = 0; index < token->subnet_count; index++) {
        ww_buf_put_u8(out, token->subnets[index].prefix_bits);
        ww_buf_put(out, token->subnets[index].address, ADDRESS_SIZE);
    }
    ww_buf_put(out, token->mac, MAC_SIZE);
    return ww_wire_finish(out, start, 0);
}

static bool decode_u32(struct ww_cursor *cursor, uint32_t *out)
{
    uint64_t value = ww_cursor_varint(cursor);

    *out = (uint32_t)value;
    return value <= UINT32_MAX;
}

static bool decode_extender(struct ww_cursor *cursor, struct ww_token *token)
{
    uint64_t count = ww_cursor_varint(cursor);

    if (count == 0)
        return true;
    return count == 1 && decode_u32(cursor, &token->extender_share_ppm) &&
           ww_cursor_copy(cursor, token->extender.bytes, sizeof(token->extender.bytes)) &&
           !ww_hash_is_zero(&token->extender);
}

static bool decode_subnets(struct ww_cursor *cursor, struct ww_token *token)
{
    uint64_t count = ww_cursor_varint(cursor);

    if (count > WW_EXPOSED_MAX)
        return false;
    token->subnet_count = (uint8_t)count;
    for (size_t index = 0; index < count; index++) {
        token->subnets[index].prefix_bits = ww_cursor_u8(cursor);
        ww_cursor_copy(cursor, token->subnets[index].address, ADDRESS_SIZE);
    }
    return !cursor->failed;
}

int ww_wire_token_decode(const void *data, size_t size, struct ww_token *token, size_t *signed_size)
{
    struct ww_cursor cursor;
    uint64_t version;

    memset(token, 0, sizeof(*token));
    if (size > WW_TOKEN_BYTES_MAX)
        return WW_EMALFORMED;
    ww_cursor_init(&cursor, data, size);
    version = ww_cursor_varint(&cursor);
    if (cursor.failed)
        return WW_EMALFORMED;
    if (version != WW_WIRE_VERSION)
        return WW_EUNSUPPORTED;
    ww_cursor_copy(&cursor, token->contract_id.bytes, sizeof(token->contract_id.bytes));
    ww_cursor_copy(&cursor, token->key_id.bytes, sizeof(token->key_id.bytes));
    ww_cursor_copy(&cursor, token->client.bytes, sizeof(token->client.bytes));
    ww_cursor_copy(&cursor, token->provider.bytes, sizeof(token->provider.bytes));
    token->bytes = ww_cursor_varint(&cursor);
    token->stat_id = ww_cursor_varint(&cursor);
    if (!decode_u32(&cursor, &token->price_ppm))
        return WW_EMALFORMED;
    token->window_bytes = ww_cursor_varint(&cursor);
    if (!decode_u32(&cursor, &token->list_version))
        return WW_EMALFORMED;
    token->issued_s = ww_cursor_varint(&cursor);
    token->open_by_s = ww_cursor_varint(&cursor);
    token->expires_s = ww_cursor_varint(&cursor);
    if (!decode_extender(&cursor, token) || !decode_subnets(&cursor, token))
        return WW_EMALFORMED;
    ww_cursor_copy(&cursor, token->mac, MAC_SIZE);
    if (ww_cursor_end(&cursor) || !token_valid(token))
        return WW_EMALFORMED;
    if (signed_size)
        *signed_size = size - MAC_SIZE;
    return 0;
}
