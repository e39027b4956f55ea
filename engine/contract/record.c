/* How a contract is stored: every field explicit, no padding, one encoding for each contract.
 *
 * version(1) state(1) id(16) key_id(16) client_network(16) provider_network(16) client(32)
 * provider(32) generation(32) bytes(8) stat_id(8) price_ppm(4) list_version(4) window_bytes(8)
 * issued_s(8) open_by_s(8) expires_s(8) flags(1) ending(1) proofs(4) proven(8+8) settled_bytes(8)
 * disputed_bytes(8) waiting_since_ms(8), then for each party its close: present(1), and if so
 * reason(1) bytes_up(8) bytes_down(8) epoch(16) first_ms(8) last_ms(8) declaration_size(2)
 * receipt_size(1) receipt signature(64); then for each party what it holds: size(1) receipt.
 * Integers are big-endian.
 */
#include <string.h>

#include "ww/contract.h"
#include "ww/market.h"

#define RECORD_VERSION 2
#define FLAG_SILENT    1
#define FLAG_EXAMINED  2
#define FLAG_UNSEEN    4
#define FLAG_CLIENT    8 /* banned */
#define FLAG_PROVIDER  16
#define FLAG_BANNED    (FLAG_CLIENT | FLAG_PROVIDER)
#define FLAG_ALL       (FLAG_SILENT | FLAG_EXAMINED | FLAG_UNSEEN | FLAG_BANNED)

static void put_id(struct ww_buf *out, const struct ww_id *id)
{
    ww_buf_put(out, id->bytes, sizeof(id->bytes));
}

static void put_hash(struct ww_buf *out, const struct ww_hash *hash)
{
    ww_buf_put(out, hash->bytes, sizeof(hash->bytes));
}

static void put_receipt(struct ww_buf *out, const struct ww_contract_receipt *receipt)
{
    ww_buf_put_u8(out, receipt->size);
    ww_buf_put(out, receipt->bytes, receipt->size);
}

static void put_close(struct ww_buf *out, const struct ww_contract_close *close)
{
    ww_buf_put_u8(out, close->present);
    if (!close->present)
        return;
    ww_buf_put_u8(out, (uint8_t)close->reason);
    ww_buf_put_u64(out, close->bytes_up);
    ww_buf_put_u64(out, close->bytes_down);
    ww_buf_put(out, close->epoch, sizeof(close->epoch));
    ww_buf_put_u64(out, close->first_ms);
    ww_buf_put_u64(out, close->last_ms);
    ww_buf_put_u16(out, close->declaration_size);
    put_receipt(out, &close->receipt);
    ww_buf_put(out, close->signature, sizeof(close->signature));
}

static void put_terms(struct ww_buf *out, const struct ww_contract *contract)
{
    put_id(out, &contract->id);
    put_id(out, &contract->key_id);
    put_id(out, &contract->client_network);
    put_id(out, &contract->provider_network);
    put_hash(out, &contract->client);
    put_hash(out, &contract->provider);
    put_hash(out, &contract->generation);
    ww_buf_put_u64(out, contract->bytes);
    ww_buf_put_u64(out, contract->stat_id);
    ww_buf_put_u32(out, contract->price_ppm);
    ww_buf_put_u32(out, contract->list_version);
    ww_buf_put_u64(out, contract->window_bytes);
    ww_buf_put_u64(out, contract->issued_s);
    ww_buf_put_u64(out, contract->open_by_s);
    ww_buf_put_u64(out, contract->expires_s);
}

static uint8_t flags_of(const struct ww_contract *contract)
{
    return (uint8_t)((contract->silent ? FLAG_SILENT : 0) |
                     (contract->examined ? FLAG_EXAMINED : 0) |
                     (contract->unseen ? FLAG_UNSEEN : 0) |
                     (contract->banned[WW_CONTRACT_CLIENT] ? FLAG_CLIENT : 0) |
                     (contract->banned[WW_CONTRACT_PROVIDER] ? FLAG_PROVIDER : 0));
}

size_t ww_contract_encode(const struct ww_contract *contract,
                          uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX])
{
    /* A buffer over the caller's storage: it never has to grow. */
    struct ww_buf out = {.data = record,
                         .capacity = WW_CONTRACT_RECORD_BYTES_MAX,
                         .limit = WW_CONTRACT_RECORD_BYTES_MAX};

    ww_buf_put_u8(&out, RECORD_VERSION);
    ww_buf_put_u8(&out, (uint8_t)contract->state);
    put_terms(&out, contract);
    ww_buf_put_u8(&out, flags_of(contract));
    ww_buf_put_u8(&out, (uint8_t)contract->ending);
    ww_buf_put_u32(&out, contract->proofs);
    ww_buf_put_u64(&out, contract->proven[WW_CONTRACT_CLIENT]);
    ww_buf_put_u64(&out, contract->proven[WW_CONTRACT_PROVIDER]);
    ww_buf_put_u64(&out, contract->settled_bytes);
    ww_buf_put_u64(&out, contract->disputed_bytes);
    ww_buf_put_u64(&out, contract->waiting_since_ms);
    put_close(&out, &contract->closes[WW_CONTRACT_CLIENT]);
    put_close(&out, &contract->closes[WW_CONTRACT_PROVIDER]);
    put_receipt(&out, &contract->held[WW_CONTRACT_CLIENT]);
    put_receipt(&out, &contract->held[WW_CONTRACT_PROVIDER]);
    WW_REQUIRE(!out.error);
    return out.size;
}

static void take_id(struct ww_cursor *in, struct ww_id *id)
{
    ww_cursor_copy(in, id->bytes, sizeof(id->bytes));
}

static void take_hash(struct ww_cursor *in, struct ww_hash *hash)
{
    ww_cursor_copy(in, hash->bytes, sizeof(hash->bytes));
}

static bool take_receipt(struct ww_cursor *in, struct ww_contract_receipt *receipt)
{
    receipt->size = ww_cursor_u8(in);
    if (receipt->size > sizeof(receipt->bytes))
        return false;
    ww_cursor_copy(in, receipt->bytes, receipt->size);
    return true;
}

static bool take_close(struct ww_cursor *in, struct ww_contract_close *close)
{
    uint8_t present = ww_cursor_u8(in), reason;

    close->present = present == 1;
    if (!close->present)
        return present == 0;
    reason = ww_cursor_u8(in);
    close->reason = (enum ww_close_reason)reason;
    close->bytes_up = ww_cursor_u64(in);
    close->bytes_down = ww_cursor_u64(in);
    ww_cursor_copy(in, close->epoch, sizeof(close->epoch));
    close->first_ms = ww_cursor_u64(in);
    close->last_ms = ww_cursor_u64(in);
    close->declaration_size = ww_cursor_u16(in);
    if (!take_receipt(in, &close->receipt))
        return false;
    ww_cursor_copy(in, close->signature, sizeof(close->signature));
    return reason >= WW_CLOSE_DONE && reason <= WW_CLOSE_DENIED &&
           close->declaration_size <= WW_DECLARATION_BYTES_MAX;
}

/* What ww_contract_step and a token rely on. */
static bool is_sane(const struct ww_contract *contract, uint8_t flags)
{
    return contract->state >= WW_CONTRACT_OFFERED && contract->state <= WW_CONTRACT_DISPUTED &&
           contract->bytes >= 1 && contract->bytes <= WW_CONTRACT_BYTES_MAX &&
           contract->price_ppm <= WW_PPM && contract->issued_s <= contract->open_by_s &&
           contract->open_by_s <= contract->expires_s &&
           contract->expires_s <= WW_CONTRACT_TIME_S_MAX && flags <= FLAG_ALL &&
           contract->ending <= WW_CONTRACT_LIFELESS &&
           (!(flags & FLAG_BANNED) || contract->ending == WW_CONTRACT_CUT) &&
           (contract->proofs & ~WW_PROOF_ALL) == 0;
}

static bool is_tail_sane(const struct ww_contract *contract)
{
    if (contract->state != WW_CONTRACT_DISPUTED)
        return contract->settled_bytes == 0 && contract->disputed_bytes == 0;
    return contract->disputed_bytes >= 1 && contract->settled_bytes <= contract->bytes &&
           contract->disputed_bytes <= contract->bytes - contract->settled_bytes;
}

static void take_terms(struct ww_cursor *in, struct ww_contract *contract)
{
    take_id(in, &contract->id);
    take_id(in, &contract->key_id);
    take_id(in, &contract->client_network);
    take_id(in, &contract->provider_network);
    take_hash(in, &contract->client);
    take_hash(in, &contract->provider);
    take_hash(in, &contract->generation);
    contract->bytes = ww_cursor_u64(in);
    contract->stat_id = ww_cursor_u64(in);
    contract->price_ppm = ww_cursor_u32(in);
    contract->list_version = ww_cursor_u32(in);
    contract->window_bytes = ww_cursor_u64(in);
    contract->issued_s = ww_cursor_u64(in);
    contract->open_by_s = ww_cursor_u64(in);
    contract->expires_s = ww_cursor_u64(in);
}

int ww_contract_decode(const void *record, size_t size, uint64_t now_ms,
                       struct ww_contract *contract)
{
    struct ww_cursor in;

    memset(contract, 0, sizeof(*contract));
    ww_cursor_init(&in, record, size);
    uint8_t version = ww_cursor_u8(&in);
    contract->state = (enum ww_contract_state)ww_cursor_u8(&in);
    take_terms(&in, contract);
    uint8_t flags = ww_cursor_u8(&in);
    contract->silent = flags & FLAG_SILENT;
    contract->examined = flags & FLAG_EXAMINED;
    contract->unseen = flags & FLAG_UNSEEN;
    contract->banned[WW_CONTRACT_CLIENT] = flags & FLAG_CLIENT;
    contract->banned[WW_CONTRACT_PROVIDER] = flags & FLAG_PROVIDER;
    contract->ending = (enum ww_contract_ending)ww_cursor_u8(&in);
    contract->proofs = ww_cursor_u32(&in);
    contract->proven[WW_CONTRACT_CLIENT] = ww_cursor_u64(&in);
    contract->proven[WW_CONTRACT_PROVIDER] = ww_cursor_u64(&in);
    contract->settled_bytes = ww_cursor_u64(&in);
    contract->disputed_bytes = ww_cursor_u64(&in);
    uint64_t since_ms = ww_cursor_u64(&in);
    contract->waiting_since_ms = WW_MIN(since_ms, now_ms);
    contract->alive_ms = now_ms;
    if (!take_close(&in, &contract->closes[WW_CONTRACT_CLIENT]) ||
        !take_close(&in, &contract->closes[WW_CONTRACT_PROVIDER]) ||
        !take_receipt(&in, &contract->held[WW_CONTRACT_CLIENT]) ||
        !take_receipt(&in, &contract->held[WW_CONTRACT_PROVIDER]))
        return WW_ECORRUPT;
    if (ww_cursor_end(&in) || version != RECORD_VERSION || !is_sane(contract, flags) ||
        !is_tail_sane(contract))
        return WW_ECORRUPT;
    return 0;
}
