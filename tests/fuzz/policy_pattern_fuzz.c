/* 104 bytes of pattern (a NUL and what follows are left out), then the subject, through the four
 * functions that take patterns. */
#include <string.h>

#include "ww/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policy[] =
    "return { rank = function(request)\n"
    "local pattern, subject = '', ''\n"
    "for index, provider in ipairs(request.providers) do\n"
    "  if index <= 2 then pattern = pattern .. provider.node_id\n"
    "  else subject = subject .. provider.node_id end\n"
    "end\n"
    "subject:find(pattern) subject:match(pattern) subject:gsub(pattern, '%0')\n"
    "for _ in subject:gmatch(pattern) do subject = subject:lower() end\n"
    "return { order = {} } end }";

/* Spreads the text over providers, as their node ids; a NUL in it ends one. */
static void spread(struct ww_hook_rank_request *request, const uint8_t *data, size_t size)
{
    size_t piece = WW_HASH_TEXT_SIZE - 1;

    while (size > 0 && request->providers_count < WW_HOOK_PROVIDERS_MAX) {
        struct ww_hook_rank_provider *provider = &request->providers[request->providers_count++];
        size_t part = WW_MIN(size, piece);

        memcpy(provider->node_id, data, part);
        provider->node_id[part] = '\0';
        data += part;
        size -= part;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ww_policy_context context = {.now_s = 1, .seed = 1};
    static struct ww_hook_rank_request request;
    static struct ww_hook_rank_decision result;
    static struct ww_policy_set *set;
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;

    if (!set) {
        ww_log_set_level(WW_LOG_ERROR);
        ww_policy_sources_init(&sources);
        WW_REQUIRE(ww_policy_sources_add(&sources, "match.lua", policy, strlen(policy)) == 0);
        WW_REQUIRE(ww_policy_set_create(&sources, NULL, &set, &fault) == 0);
        ww_policy_sources_deinit(&sources);
    }
    memset(&request, 0, sizeof(request));
    spread(&request, data, size);
    ww_policy_call(set, WW_HOOK_MATCH_RANK, &request, &context, &result, NULL);
    return 0;
}
