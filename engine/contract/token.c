/* The token of a contract, and its states' names. Pure: see ww/contract.h. Relies on wire's layout.
 */
#include <string.h>

#include "ww/contract.h"

void ww_contract_token(const struct ww_contract *contract, struct ww_token *token)
{
    memset(token, 0, sizeof(*token));
    token->contract_id = contract->id;
    token->key_id = contract->key_id;
    token->client = contract->client;
    token->provider = contract->provider;
    token->bytes = contract->bytes;
    token->stat_id = contract->stat_id;
    token->price_ppm = contract->price_ppm;
    token->window_bytes = contract->window_bytes;
    token->list_version = contract->list_version;
    token->issued_s = contract->issued_s;
    token->open_by_s = contract->open_by_s;
    token->expires_s = contract->expires_s;
}

const char *ww_contract_state_name(enum ww_contract_state state)
{
    switch (state) {
    case WW_CONTRACT_OFFERED:
        return "offered";
    case WW_CONTRACT_ACTIVE:
        return "active";
    case WW_CONTRACT_OPEN:
        return "open";
    case WW_CONTRACT_DISPUTED:
        return "disputed";
    }
    return "unknown";
}
