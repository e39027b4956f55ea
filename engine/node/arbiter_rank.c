/* Order of providers for a client: policy `match.rank` over what the route knows of each. */
#include <stdio.h>
#include <string.h>

#include "arbiter.h"

/* {providers = {"<node id> <score_ppm> <relation>", …}} -> order: list of node ids, best first.
 * One text each keeps the call flat; more than WW_HOOK_PROVIDERS_MAX are left out. */
int arbiter_rank(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_hook_rank_request *request = ww_alloc(1, sizeof(*request));
    struct ww_hook_rank_decision *decision = ww_alloc(1, sizeof(*decision));
    struct ww_policy_context policy;
    const char *text = NULL;
    int rc = request && decision ? 0 : WW_ENOMEM;

    while (!rc && request->providers_count < WW_HOOK_PROVIDERS_MAX &&
           !ww_call_text_at(call, "providers", request->providers_count, &text)) {
        struct ww_hook_rank_provider *provider = &request->providers[request->providers_count];
        unsigned score_ppm = 0;
        char relation[8] = "";
        struct ww_hash node;
        if (sscanf(text, "%52s %u %7s", provider->node_id, &score_ppm, relation) != 3 ||
            ww_hash_parse(provider->node_id, &node)) {
            ww_call_reason(call, "a provider is \"<node id> <score_ppm> <relation>\"");
            rc = WW_EINVAL;
            break;
        }
        provider->score_ppm = WW_MIN(score_ppm, (unsigned)WW_PPM);
        provider->price_ppm = WW_PPM;
        provider->open_contracts = arbiter_count_of(arbiter, &node).as_provider;
        provider->relation = strcmp(relation, "own") == 0      ? WW_HOOK_RELATION_OWN
                             : strcmp(relation, "friend") == 0 ? WW_HOOK_RELATION_FRIEND
                                                               : WW_HOOK_RELATION_PUBLIC;
        request->providers_count++;
    }
    if (!rc) {
        arbiter_policy_context(arbiter, &policy);
        node_decide(&arbiter->policies, WW_HOOK_MATCH_RANK, request, &policy, decision, NULL);
        ww_call_begin(call, "order", true);
        for (size_t index = 0; index < decision->order_count; index++)
            ww_call_put_text(call, NULL, request->providers[decision->order[index]].node_id);
        ww_call_end(call);
    }
    ww_free(request);
    ww_free(decision);
    return rc;
}
