/* What decisions are about, in bytes and money. Whole numbers; pure functions. */
#include <string.h>

#include "fields.h"
#include "ww/policy_replay.h"

#define GIB (1ULL << 30)
#define PPM 1000000ULL

/* bytes * price of a GiB * ppm, rounded down. */
static void price(uint64_t bytes, uint64_t nano_usd_per_gib, uint64_t price_ppm,
                  struct ww_policy_effect *effect)
{
    struct ww_amount exact;

    effect->bytes = bytes;
    if (ww_amount_scale_down(ww_amount_from_u64(nano_usd_per_gib), price_ppm, 1, &exact) ||
        ww_amount_scale_down(exact, bytes, GIB * PPM, &effect->nano_usd))
        effect->nano_usd = WW_AMOUNT_ZERO; /* no input is that large: hooks.def */
}

static void of_offer(const void *input, const void *result, struct ww_policy_effect *effect)
{
    const struct ww_hook_offer_request *request = input;
    const struct ww_hook_offer_decision *decision = result;

    if (decision->decision == WW_HOOK_ACCEPT)
        price(decision->bytes, request->price_nano_usd_per_gib, decision->price_ppm, effect);
}

static void of_accept(const void *input, const void *result, struct ww_policy_effect *effect)
{
    const struct ww_hook_accept_request *request = input;

    if (((const struct ww_hook_accept_decision *)result)->decision == WW_HOOK_ACCEPT)
        price(request->bytes, request->price_nano_usd_per_gib, request->price_ppm, effect);
}

static void of_renew(const void *input, const void *result, struct ww_policy_effect *effect)
{
    const struct ww_hook_renew_decision *decision = result;

    (void)input;
    if (decision->decision == WW_HOOK_ASK)
        effect->bytes = decision->bytes;
}

static void of_close(const void *input, const void *result, struct ww_policy_effect *effect)
{
    if (((const struct ww_hook_close_decision *)result)->decision == WW_HOOK_SETTLE)
        effect->bytes = ((const struct ww_hook_close_request *)input)->settled_bytes;
}

static void of_judge(const void *input, const void *result, struct ww_policy_effect *effect)
{
    if (((const struct ww_hook_judge_decision *)result)->decision != WW_HOOK_UNDECIDED)
        effect->bytes = ((const struct ww_hook_judge_request *)input)->disputed_bytes;
}

typedef void (*effect_fn)(const void *input, const void *result, struct ww_policy_effect *effect);

static const effect_fn effects[WW_HOOK_COUNT] = {
    [WW_HOOK_CONTRACT_OFFER] = of_offer, [WW_HOOK_CONTRACT_ACCEPT] = of_accept,
    [WW_HOOK_CONTRACT_RENEW] = of_renew, [WW_HOOK_CONTRACT_CLOSE] = of_close,
    [WW_HOOK_DISPUTE_JUDGE] = of_judge,
};

void ww_policy_effect(enum ww_hook hook, const void *input, const void *result,
                      struct ww_policy_effect *effect)
{
    memset(effect, 0, sizeof(*effect));
    if (effects[hook])
        effects[hook](input, result, effect);
}

const char *ww_policy_decision_word(enum ww_hook hook, const void *result)
{
    const struct ww_policy_field *field =
        ww_policy_field_find(ww_policy_hooks[hook].result(), "decision");
    uint32_t word;

    if (!field)
        return "order";
    memcpy(&word, (const char *)result + field->offset, sizeof(word));
    WW_REQUIRE(word < field->choices->count);
    return field->choices->words[word];
}
