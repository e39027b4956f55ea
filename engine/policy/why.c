/* Explaining a decision. See policy_why.h.
 *
 * Each field of the input is changed alone: words to each other word, numbers by 1, 2, 4, … in both
 * directions as far as they may go, then halved back to the nearest value with another answer. It
 * supposes that between two values that were tried the answer changes once. Texts stay: nobody can
 * guess them. Relies on probe.c.
 */
#include "ww/policy_why.h"

#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "probe.h"
#include "ww/policy_replay.h"

#define ITEMS_MAX 8 /* of a list that are looked at */

struct trying {
    struct ww_policy_why *why;
    struct ww_policy_probe fast, tracing;
    const struct ww_policy_record *record;
    struct ww_policy_context context;
    struct ww_policy_memory_entry memory[WW_POLICY_MEMORY_MAX]; /* the context's */
    const atomic_bool *stop;
    uint64_t end_us;  /* of this thread's CPU time */
    const char *word; /* of the decision */
    union ww_hook_any input, result, was, other;
};

/* Asks with the input as it is now; true if the answer is another one. */
static bool flips(struct trying *trying)
{
    enum ww_hook hook = trying->record->hook;
    size_t size = ww_policy_hooks[hook].result()->size;
    struct ww_policy_answer answer;

    trying->why->tries++;
    ww_policy_probe_ask(&trying->fast, hook, &trying->input, &trying->context, &trying->result,
                        &answer);
    if (ww_policy_field_find(ww_policy_hooks[hook].result(), "decision"))
        return ww_policy_decision_word(hook, &trying->result) != trying->word;
    memcpy(&trying->other, &trying->result, size);
    return !ww_policy_same_decision(hook, &trying->was, &trying->other);
}

static bool is_over(struct trying *trying)
{
    if (ww_policy_meter_cpu_us() < trying->end_us && !(trying->stop && atomic_load(trying->stop)))
        return false;
    trying->why->all_tried = false;
    return true;
}

/* The input is one that flips: keeps it in order of distance. */
static void keep(struct trying *trying, const char *path, const char *was, const char *now,
                 uint64_t distance)
{
    struct ww_policy_why *why = trying->why;
    enum ww_hook hook = trying->record->hook;
    struct ww_policy_answer answer;
    size_t at = why->flip_count;

    while (at > 0 && why->flips[at - 1].distance > distance)
        at--;
    if (at == WW_POLICY_FLIPS_MAX)
        return;
    ww_policy_probe_ask(&trying->tracing, hook, &trying->input, &trying->context, &trying->result,
                        &answer);
    why->flip_count = WW_MIN(why->flip_count + 1, (size_t)WW_POLICY_FLIPS_MAX);
    memmove(&why->flips[at + 1], &why->flips[at],
            (why->flip_count - 1 - at) * sizeof(why->flips[0]));
    memset(&why->flips[at], 0, sizeof(why->flips[at]));
    snprintf(why->flips[at].path, sizeof(why->flips[at].path), "%s", path);
    snprintf(why->flips[at].was, sizeof(why->flips[at].was), "%s", was);
    snprintf(why->flips[at].now, sizeof(why->flips[at].now), "%s", now);
    snprintf(why->flips[at].file, sizeof(why->flips[at].file), "%s", answer.file);
    why->flips[at].line = answer.line;
    why->flips[at].decision = ww_policy_decision_word(hook, &trying->result);
    why->flips[at].distance = distance;
}

/* --- numbers ------------------------------------------------------------------------------ */

struct number {
    char *at; /* in the input, or in the context */
    uint64_t was, min, max;
};

static bool flips_at(struct trying *trying, const struct number *number, uint64_t value)
{
    memcpy(number->at, &value, sizeof(value));
    return flips(trying);
}

/* The value `step` away, within bounds. */
static uint64_t away(const struct number *number, uint64_t step, bool up)
{
    if (up)
        return step > number->max - number->was ? number->max : number->was + step;
    return step > number->was - number->min ? number->min : number->was - step;
}

/* Between `same`, which does not flip, and `flipped`, which does: the one nearest to `same`, or as
 * near as there was time. */
static uint64_t nearest(struct trying *trying, const struct number *number, uint64_t same,
                        uint64_t flipped)
{
    for (;;) {
        uint64_t middle =
            same < flipped ? same + (flipped - same) / 2 : flipped + (same - flipped) / 2;

        if (middle == same || middle == flipped || is_over(trying))
            return flipped;
        if (flips_at(trying, number, middle))
            flipped = middle;
        else
            same = middle;
    }
}

static void try_way(struct trying *trying, const char *path, const struct number *number, bool up)
{
    uint64_t same = number->was, value = number->was;
    char was[24], now[24];

    for (unsigned step = 0; step < 54 && !is_over(trying); step++, same = value) {
        value = away(number, 1ULL << step, up);
        if (value == same)
            break;
        if (!flips_at(trying, number, value))
            continue;
        value = nearest(trying, number, same, value);
        memcpy(number->at, &value, sizeof(value));
        snprintf(was, sizeof(was), "%llu", (unsigned long long)number->was);
        snprintf(now, sizeof(now), "%llu", (unsigned long long)value);
        keep(trying, path, was, now, step + 1);
        break;
    }
    memcpy(number->at, &number->was, sizeof(number->was));
}

static void try_number(struct trying *trying, const char *path, struct number *number)
{
    memcpy(&number->was, number->at, sizeof(number->was));
    if (number->was < number->min || number->was > number->max)
        return;
    try_way(trying, path, number, false);
    try_way(trying, path, number, true);
}

/* --- words -------------------------------------------------------------------------------- */

static void try_bool(struct trying *trying, const char *path, bool *at)
{
    *at = !*at;
    if (flips(trying))
        keep(trying, path, *at ? "false" : "true", *at ? "true" : "false", 1);
    *at = !*at;
}

static void try_enum(struct trying *trying, const char *path, const struct ww_policy_field *field,
                     char *at)
{
    uint32_t was;

    memcpy(&was, at, sizeof(was));
    for (uint32_t word = 0; word < field->choices->count && !is_over(trying); word++) {
        memcpy(at, &word, sizeof(word));
        if (word == was || !flips(trying))
            continue;
        keep(trying, path, field->choices->words[was], field->choices->words[word], 1);
        break;
    }
    memcpy(at, &was, sizeof(was));
}

/* --- structs ------------------------------------------------------------------------------ */

static void try_struct(struct trying *trying, const char *prefix,
                       const struct ww_policy_struct *type, char *data);

static void try_list(struct trying *trying, const char *path, const struct ww_policy_field *field,
                     char *data)
{
    const struct ww_policy_struct *item = field->type();
    char prefix[80];
    uint32_t count;

    memcpy(&count, data + field->count_offset, sizeof(count));
    for (uint32_t index = 0; index < WW_MIN(count, ITEMS_MAX); index++) {
        snprintf(prefix, sizeof(prefix), "%.60s[%u].", path, index + 1);
        try_struct(trying, prefix, item, data + field->offset + index * item->size);
    }
}

static void try_field(struct trying *trying, const char *path, const struct ww_policy_field *field,
                      char *data)
{
    struct number number = {.at = data + field->offset, .min = field->min, .max = field->max};
    char prefix[80];

    switch (field->kind) {
    case WW_FIELD_U64:
        try_number(trying, path, &number);
        break;
    case WW_FIELD_BOOL:
        try_bool(trying, path, (bool *)(void *)number.at);
        break;
    case WW_FIELD_ENUM:
        try_enum(trying, path, field, number.at);
        break;
    case WW_FIELD_INNER:
        snprintf(prefix, sizeof(prefix), "%.78s.", path);
        try_struct(trying, prefix, field->type(), number.at);
        break;
    case WW_FIELD_LIST:
        try_list(trying, path, field, data);
        break;
    case WW_FIELD_TEXT:
    case WW_FIELD_VALUE:
    case WW_FIELD_ORDER:
        break;
    }
}

static void try_struct(struct trying *trying, const char *prefix,
                       const struct ww_policy_struct *type, char *data)
{
    char path[80];

    for (size_t index = 0; index < type->field_count && !is_over(trying); index++) {
        snprintf(path, sizeof(path), "%.40s%.38s", prefix, type->fields[index].name);
        try_field(trying, path, &type->fields[index], data);
    }
}

static void try_memory(struct trying *trying)
{
    char path[80];

    for (size_t index = 0; index < trying->context.memory_count && !is_over(trying); index++) {
        struct ww_policy_memory_entry *entry = &trying->memory[index];
        struct number number = {.at = (char *)&entry->value.number, .max = WW_HOOK_NUMBER_MAX};

        snprintf(path, sizeof(path), "ctx.memory.%s", entry->key);
        if (!entry->value.is_text)
            try_number(trying, path, &number);
    }
}

/* --- one decision ------------------------------------------------------------------------- */

static void explain(struct trying *trying, const struct ww_policy_set *set)
{
    const struct ww_policy_record *record = trying->record;
    size_t size = ww_policy_hooks[record->hook].result()->size;
    struct ww_policy_why *why = trying->why;
    struct ww_policy_probe exact;
    struct ww_policy_answer answer;

    ww_policy_probe_init(&exact, set, true, false);
    ww_policy_probe_ask(&exact, record->hook, record->input, &trying->context, &trying->result,
                        &answer);
    ww_policy_probe_deinit(&exact);
    why->instructions = answer.instructions;
    ww_policy_probe_ask(&trying->tracing, record->hook, record->input, &trying->context,
                        &trying->result, &answer);
    why->fault = answer.fault;
    why->fallback = answer.fallback;
    why->line = answer.line;
    snprintf(why->file, sizeof(why->file), "%s", answer.file);
    why->same = memcmp(&trying->result, record->result, size) == 0;
    trying->word = ww_policy_decision_word(record->hook, &trying->result);
    memcpy(&trying->was, &trying->result, size);
}

int ww_policy_explain(const struct ww_policy_set *set, const struct ww_policy_record *record,
                      const atomic_bool *stop, struct ww_policy_why *why)
{
    const struct ww_policy_struct *type = ww_policy_hooks[record->hook].input();
    struct trying *trying = ww_alloc(1, sizeof(*trying));
    struct number now_s = {.max = WW_HOOK_NUMBER_MAX};

    memset(why, 0, sizeof(*why));
    if (!trying)
        return WW_ENOMEM;
    trying->why = why;
    trying->record = record;
    trying->stop = stop;
    trying->context = ww_policy_record_context(record);
    if (record->memory_count > 0)
        memcpy(trying->memory, record->memory, record->memory_count * sizeof(record->memory[0]));
    trying->context.memory = trying->memory;
    trying->end_us = ww_policy_meter_cpu_us() + WW_POLICY_WHY_MS_MAX * 1000ULL;
    why->all_tried = true;
    ww_policy_probe_init(&trying->fast, set, false, false);
    ww_policy_probe_init(&trying->tracing, set, false, true);
    memcpy(&trying->input, record->input, type->size);
    explain(trying, set);
    try_struct(trying, "", type, trying->input.bytes);
    now_s.at = (char *)&trying->context.now_s;
    try_number(trying, "ctx.now_s", &now_s);
    try_memory(trying);
    ww_policy_probe_deinit(&trying->fast);
    ww_policy_probe_deinit(&trying->tracing);
    ww_free(trying);
    return stop && atomic_load(stop) ? WW_ESHUTDOWN : 0;
}

unsigned ww_policy_line(const struct ww_policy_set *set, enum ww_hook hook, const void *input,
                        const struct ww_policy_context *context, char file[64])
{
    union ww_hook_any *result = ww_alloc(1, sizeof(*result));
    struct ww_policy_answer answer = {.line = 0};
    struct ww_policy_probe probe;

    ww_policy_probe_init(&probe, set, false, true);
    if (result)
        ww_policy_probe_ask(&probe, hook, input, context, result, &answer);
    ww_policy_probe_deinit(&probe);
    ww_free(result);
    snprintf(file, 64, "%s", answer.file);
    return answer.line;
}
