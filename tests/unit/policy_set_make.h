/* For the tests of policies: sets made from a few lines. */
#pragma once
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "ww/policy.h"

static const struct ww_policy_context NO_CONTEXT = {.now_s = 1767225600, .seed = 7};

/* A set of one file. Returns what ww_policy_set_create does; *set is NULL after an error. */
static inline int make_file_set(const char *name, const char *text, size_t size,
                                const struct ww_policy_options *options, struct ww_policy_set **set,
                                struct ww_policy_fault *fault)
{
    struct ww_policy_sources sources;
    int rc;

    *set = NULL;
    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add(&sources, name, text, size), 0);
    rc = ww_policy_set_create(&sources, options, set, fault);
    ww_policy_sources_deinit(&sources);
    return rc;
}

/* contract.lua with `before` at its top and `body` in M.offer. */
static inline int make_offer_set(const char *before, const char *body,
                                 const struct ww_policy_options *options,
                                 struct ww_policy_set **set, struct ww_policy_fault *fault)
{
    static char text[WW_POLICY_FILE_BYTES_MAX];
    int size = snprintf(text, sizeof(text),
                        "local M = {}\n%s\nfunction M.offer(request, ctx)\n%s\nend\n"
                        "function M.accept() return { decision = 'accept' } end\n"
                        "function M.renew() return { decision = 'ask' } end\n"
                        "function M.close() return { decision = 'settle' } end\nreturn M\n",
                        before, body);

    assert_true(size > 0 && (size_t)size < sizeof(text));
    return make_file_set("contract.lua", text, (size_t)size, options, set, fault);
}

/* Asks contract.offer with its sample. */
static inline int call_offer(struct ww_policy_set *set, struct ww_hook_offer_decision *result,
                             struct ww_policy_report *report)
{
    struct ww_hook_offer_request request;

    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    return ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, result, report);
}
