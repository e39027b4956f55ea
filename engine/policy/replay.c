/* Asking a set again what another one decided. See policy_replay.h.
 *
 * Each decision is asked once without looking at lines; one that differs is asked a second time, in
 * a VM that notes them. Relies on probe.c and on journals keeping whatever a decision depends on.
 */
#include "ww/policy_replay.h"

#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "probe.h"

struct ww_policy_replay {
    struct ww_policy_probe fast, tracing;
    uint64_t last_id;
    struct ww_policy_difference difference;
    union ww_hook_any now, plain_was, plain_now; /* the last two without reasons */
};

int ww_policy_replay_create(const struct ww_policy_set *set, struct ww_policy_replay **replay)
{
    struct ww_policy_replay *made = ww_alloc(1, sizeof(*made));

    if (!made)
        return WW_ENOMEM;
    /* Counted in steps, as the live set is: what it would have decided, budget and all. */
    ww_policy_probe_init(&made->fast, set, false, false);
    ww_policy_probe_init(&made->tracing, set, false, true);
    *replay = made;
    return 0;
}

void ww_policy_replay_destroy(struct ww_policy_replay *replay)
{
    if (!replay)
        return;
    ww_policy_probe_deinit(&replay->fast);
    ww_policy_probe_deinit(&replay->tracing);
    ww_free(replay);
}

const struct ww_policy_difference *
ww_policy_replay_difference(const struct ww_policy_replay *replay)
{
    return &replay->difference;
}

uint64_t ww_policy_replay_last(const struct ww_policy_replay *replay)
{
    return replay->last_id;
}

static void add(struct ww_policy_effect *sum, const struct ww_policy_effect *more)
{
    sum->bytes += more->bytes;
    ww_amount_add(sum->nano_usd, more->nano_usd, &sum->nano_usd); /* 2^128 is never reached */
}

/* NULL when the table is full. */
static struct ww_policy_rule *rule_of(struct ww_policy_difference *difference,
                                      const struct ww_policy_rule *like)
{
    struct ww_policy_rule *rule = difference->rules;

    for (size_t index = 0; index < difference->rule_count; index++, rule++) {
        if (rule->hook == like->hook && rule->line == like->line && rule->kind == like->kind &&
            rule->was == like->was && rule->now == like->now && strcmp(rule->file, like->file) == 0)
            return rule;
    }
    if (difference->rule_count == WW_POLICY_RULES_MAX)
        return NULL;
    difference->rule_count++;
    *rule = *like;
    return rule;
}

static void note_change(struct ww_policy_replay *replay, const struct ww_policy_record *record,
                        const struct ww_policy_context *context,
                        const struct ww_policy_effect *before, const struct ww_policy_effect *after)
{
    struct ww_policy_rule like = {.hook = record->hook, .example = record->id};
    struct ww_policy_answer answer;
    struct ww_policy_rule *rule;

    ww_policy_probe_ask(&replay->tracing, record->hook, record->input, context, &replay->now,
                        &answer);
    like.was = ww_policy_decision_word(record->hook, record->result);
    like.now = ww_policy_decision_word(record->hook, &replay->now);
    like.kind = answer.fault.kind;
    like.line = answer.fault.kind ? answer.fault.line : answer.line;
    snprintf(like.file, sizeof(like.file), "%s",
             answer.fault.kind ? answer.fault.file : answer.file);
    rule = rule_of(&replay->difference, &like);
    if (!rule) {
        replay->difference.beyond++;
        return;
    }
    rule->count++;
    add(&rule->before, before);
    add(&rule->after, after);
}

static void ask_again(struct ww_policy_replay *replay, const struct ww_policy_record *record)
{
    const struct ww_policy_context context = ww_policy_record_context(record);
    size_t size = ww_policy_hooks[record->hook].result()->size;
    struct ww_policy_difference *difference = &replay->difference;
    struct ww_policy_effect before, after;
    struct ww_policy_answer answer;

    if (ww_policy_probe_ask(&replay->fast, record->hook, record->input, &context, &replay->now,
                            &answer))
        difference->faults++;
    difference->decisions++;
    ww_policy_effect(record->hook, record->input, record->result, &before);
    ww_policy_effect(record->hook, record->input, &replay->now, &after);
    add(&difference->before, &before);
    add(&difference->after, &after);
    if (memcmp(record->result, &replay->now, size) == 0)
        return;
    memcpy(&replay->plain_was, record->result, size);
    memcpy(&replay->plain_now, &replay->now, size);
    if (ww_policy_same_decision(record->hook, &replay->plain_was, &replay->plain_now)) {
        difference->reworded++;
        return;
    }
    difference->changed++;
    note_change(replay, record, &context, &before, &after);
}

int ww_policy_replay_run(struct ww_policy_replay *replay, struct ww_policy_view *view,
                         const struct ww_policy_replay_options *options)
{
    static const struct ww_policy_replay_options all;
    uint64_t start_us = ww_clock_mono_us();
    struct ww_policy_record record;
    bool over = false;

    options = options ? options : &all;
    ww_policy_view_end(view);
    for (uint64_t count = 0; ww_policy_view_previous(view, &record); count++) {
        if (record.id <= options->after_id || (options->newest_max && count == options->newest_max))
            break;
        if (options->stop && atomic_load(options->stop))
            return WW_ESHUTDOWN;
        over = over || (options->ms_max && ww_clock_mono_us() - start_us >= options->ms_max * 1000);
        if (over) {
            replay->difference.left++;
            continue;
        }
        replay->last_id = WW_MAX(replay->last_id, record.id);
        ask_again(replay, &record);
    }
    return 0;
}
