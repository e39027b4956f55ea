/* Any text as path.lua: it loads or is refused with a kind, and each call answers. */
#include "ww/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ww_policy_context context = {.now_s = 1, .seed = 1};
    struct ww_policy_sources sources;
    struct ww_policy_set *set = NULL;
    struct ww_policy_fault fault;
    struct ww_hook_path_request request = {.paths_count = 1};
    struct ww_hook_path_decision result;

    ww_log_set_level(WW_LOG_ERROR);
    if (size > 4096) /* long texts only repeat what short ones do */
        return 0;
    ww_policy_sources_init(&sources);
    WW_REQUIRE(ww_policy_sources_add(&sources, "path.lua", (const char *)data, size) == 0);
    if (ww_policy_set_create(&sources, NULL, &set, &fault) == 0) {
        ww_policy_call(set, WW_HOOK_PATH_CHOOSE, &request, &context, &result, NULL);
        WW_REQUIRE(result.decision == WW_HOOK_DIRECT);
    } else {
        WW_REQUIRE(fault.kind <= WW_EPOLICY_SYNTAX && fault.kind >= WW_EPOLICY_TEST);
    }
    ww_policy_set_release(set);
    ww_policy_sources_deinit(&sources);
    return 0;
}
