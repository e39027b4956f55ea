/* How a contract is stored: one fixed layout, every field explicit, no padding.
 *
 * version(1) state(1) id(16) key_id(16) client_network(16) provider_network(16) client(32)
 * provider(32) generation(32) bytes(8) stat_id(8) price_ppm(4) list_version(4) window_bytes(8)
 * issued_s(8) open_by_s(8) expires_s(8) then for each party: present(1) reason(1) bytes_up(8)
 * bytes_down(8) epoch(16). Integers are big-endian.
 */
#include <string.h>

#include "ww/contract.h"
#include "ww/market.h"

#define RECORD_VERSION 1

static const struct ww_contract_close absent;

static void put_close(struct ww_buf *out, const struct ww_contract_close *close)
{
    const struct ww_contract_close *told = close->present ? close : &absent;

    ww_buf_put_u8(out, told->present);
    ww_buf_put_u8(out, (uint8_t)told->reason);
    ww_buf_put_u64(out, told->bytes_up);
    ww_buf_put_u64(out, told->bytes_down);
    ww_buf_put(out, told->epoch, sizeof(told->epoch));
}

void ww_contract_encode(const struct ww_contract *contract, uint8_t record[WW_CONTRACT_RECORD_SIZE])
{
    /* A buffer over the caller's storage: it never has to grow. */
    struct ww_buf out = {
        .data = record, .capacity = WW_CONTRACT_RECORD_SIZE, .limit = WW_CONTRACT_RECORD_SIZE};

    ww_buf_put_u8(&out, RECORD_VERSION);
    ww_buf_put_u8(&out, (uint8_t)contract->state);
    ww_buf_put(&out, contract->id.bytes, sizeof(contract->id.bytes));
    ww_buf_put(&out, contract->key_id.bytes, sizeof(contract->key_id.bytes));
    ww_buf_put(&out, contract->client_network.bytes, sizeof(contract->client_network.bytes));
    ww_buf_put(&out, contract->provider_network.bytes, sizeof(contract->provider_network.bytes));
    ww_buf_put(&out, contract->client.bytes, sizeof(contract->client.bytes));
    ww_buf_put(&out, contract->provider.bytes, sizeof(contract->provider.bytes));
    ww_buf_put(&out, contract->generation.bytes, sizeof(contract->generation.bytes));
    ww_buf_put_u64(&out, contract->bytes);
    ww_buf_put_u64(&out, contract->stat_id);
    ww_buf_put_u32(&out, contract->price_ppm);
    ww_buf_put_u32(&out, contract->list_version);
    ww_buf_put_u64(&out, contract->window_bytes);
    ww_buf_put_u64(&out, contract->issued_s);
    ww_buf_put_u64(&out, contract->open_by_s);
    ww_buf_put_u64(&out, contract->expires_s);
    put_close(&out, &contract->closes[WW_CONTRACT_CLIENT]);
    put_close(&out, &contract->closes[WW_CONTRACT_PROVIDER]);
    WW_REQUIRE(!out.error && out.size == WW_CONTRACT_RECORD_SIZE);
}

static bool take_close(struct ww_cursor *in, struct ww_contract_close *close)
{
    uint8_t present = ww_cursor_u8(in);
    uint8_t reason = ww_cursor_u8(in);

    close->present = present == 1;
    close->reason = (enum ww_close_reason)reason;
    close->bytes_up = ww_cursor_u64(in);
    close->bytes_down = ww_cursor_u64(in);
    ww_cursor_copy(in, close->epoch, sizeof(close->epoch));
    if (present == 1)
        return reason >= WW_CLOSE_DONE && reason <= WW_CLOSE_LOSSY;
    return present == 0 && reason == 0 && close->bytes_up == 0 && close->bytes_down == 0 &&
           memcmp(close->epoch, absent.epoch, sizeof(close->epoch)) == 0;
}

/* What ww_contract_step and a token rely on. */
static bool is_sane(const struct ww_contract *contract)
{
    return contract->state >= WW_CONTRACT_OFFERED && contract->state <= WW_CONTRACT_DISPUTED &&
           contract->bytes >= 1 && contract->bytes <= WW_CONTRACT_BYTES_MAX &&
           contract->price_ppm <= WW_PPM && contract->issued_s <= contract->open_by_s &&
           contract->open_by_s <= contract->expires_s &&
           contract->expires_s <= WW_CONTRACT_TIME_S_MAX;
}

int ww_contract_decode(const void *record, size_t size, uint64_t now_ms,
                       struct ww_contract *contract)
{
    struct ww_cursor in;

    memset(contract, 0, sizeof(*contract));
    ww_cursor_init(&in, record, size);
    uint8_t version = ww_cursor_u8(&in);
    uint8_t state = ww_cursor_u8(&in);
    ww_cursor_copy(&in, contract->id.bytes, sizeof(contract->id.bytes));
    ww_cursor_copy(&in, contract->key_id.bytes, sizeof(contract->key_id.bytes));
    ww_cursor_copy(&in, contract->client_network.bytes, sizeof(contract->client_network.bytes));
    ww_cursor_copy(&in, contract->provider_network.bytes, sizeof(contract->provider_network.bytes));
    ww_cursor_copy(&in, contract->client.bytes, sizeof(contract->client.bytes));
    ww_cursor_copy(&in, contract->provider.bytes, sizeof(contract->provider.bytes));
    ww_cursor_copy(&in, contract->generation.bytes, sizeof(contract->generation.bytes));
    contract->bytes = ww_cursor_u64(&in);
    contract->stat_id = ww_cursor_u64(&in);
    contract->price_ppm = ww_cursor_u32(&in);
    contract->list_version = ww_cursor_u32(&in);
    contract->window_bytes = ww_cursor_u64(&in);
    contract->issued_s = ww_cursor_u64(&in);
    contract->open_by_s = ww_cursor_u64(&in);
    contract->expires_s = ww_cursor_u64(&in);
    bool closes = take_close(&in, &contract->closes[WW_CONTRACT_CLIENT]) &&
                  take_close(&in, &contract->closes[WW_CONTRACT_PROVIDER]);
    contract->state = (enum ww_contract_state)state;
    contract->waiting_since_ms = now_ms;
    if (ww_cursor_end(&in) || !closes || version != RECORD_VERSION || !is_sane(contract))
        return WW_ECORRUPT;
    return 0;
}
