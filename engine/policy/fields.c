/* The tables of fields.h, by inclusion of hooks.def, and what reads them without Lua.
 *
 * Each struct's table is inside a function, so that its lines can name the struct by one local
 * name. Never depends on the values of a field, only on its place.
 */
#include "fields.h"

#include <string.h>

#include "ww/policy.h"

_Static_assert(sizeof(enum ww_hook_answer) == sizeof(uint32_t), "a choice is read as 32 bits");

/* clang-format off: the macros make declarations that it takes for expressions */
#define WW_CHOICES_BEGIN(set, text)    static const char *const words_##set[] = {
#define WW_CHOICE(set, constant, word) [WW_HOOK_##constant] = (word),
#define WW_CHOICES_END(set)                                                                        \
    }                                                                                              \
    ;
#include "ww/hooks.def"

#define WW_CHOICES_BEGIN(set, text)                                                                \
    static const struct ww_policy_choices choices_##set = {                                        \
        .name = #set, .doc = (text), .words = words_##set, .count = WW_ARRAY_COUNT(words_##set)};
#define WW_CHOICE(set, constant, word)
#define WW_CHOICES_END(set)
#include "ww/hooks.def"

const struct ww_policy_choices *const ww_policy_choices_all[] = {
#define WW_CHOICES_BEGIN(set, text) &choices_##set,
#define WW_CHOICE(set, constant, word)
#define WW_CHOICES_END(set)
#include "ww/hooks.def"
};
const size_t ww_policy_choices_all_count = WW_ARRAY_COUNT(ww_policy_choices_all);

#define PLACE(id, text) .name = #id, .doc = (text), .offset = offsetof(here, id)

#define WW_STRUCT_BEGIN(id, shown, text)                                                           \
    static const char lua_name_##id[] = #shown;                                                    \
    static const char doc_##id[] = text;                                                           \
    static const struct ww_policy_struct *struct_##id(void)                                        \
    {                                                                                              \
        typedef struct ww_hook_##id here;                                                          \
        static const struct ww_policy_field table[] = {
#define WW_U64(id, low, high, example, text)                                                       \
    {.kind = WW_FIELD_U64, PLACE(id, text), .min = (low), .max = (high), .sample = (example)},
#define WW_BOOL(id, example, text) {.kind = WW_FIELD_BOOL, PLACE(id, text), .sample = (example)},
#define WW_TEXT(id, bytes, example, text)                                                          \
    {.kind = WW_FIELD_TEXT, PLACE(id, text), .size = (bytes), .sample_text = (example)},
#define WW_WORDS(id, bytes, example, text)                                                         \
    {.kind = WW_FIELD_TEXT,                                                                        \
     PLACE(id, text),                                                                              \
     .size = (bytes),                                                                              \
     .sample_text = (example),                                                                     \
     .is_for_anybody = true},
#define WW_ENUM(id, set, example, text)                                                            \
    {.kind = WW_FIELD_ENUM,                                                                        \
     PLACE(id, text),                                                                              \
     .choices = &choices_##set,                                                                    \
     .sample = WW_HOOK_##example},
#define WW_VALUE(id, text)        {.kind = WW_FIELD_VALUE, PLACE(id, text)},
#define WW_INNER(id, inner, text) {.kind = WW_FIELD_INNER, PLACE(id, text), .type = struct_##inner},
#define WW_LIST(id, item, most, text)                                                              \
    {.kind = WW_FIELD_LIST,                                                                        \
     PLACE(id, text),                                                                              \
     .count_offset = offsetof(here, id##_count),                                                   \
     .max = (most),                                                                                \
     .type = struct_##item},
#define WW_ORDER(id, of, named, most, text)                                                        \
    {.kind = WW_FIELD_ORDER,                                                                       \
     PLACE(id, text),                                                                              \
     .count_offset = offsetof(here, id##_count),                                                   \
     .max = (most),                                                                                \
     .list = #of,                                                                                  \
     .key = #named},
#define WW_STRUCT_END(id)                                                                          \
    }                                                                                              \
    ;                                                                                              \
    static const struct ww_policy_struct type = {.name = #id,                                      \
                                                 .lua_name = lua_name_##id,                        \
                                                 .doc = doc_##id,                                  \
                                                 .fields = table,                                  \
                                                 .field_count = WW_ARRAY_COUNT(table),             \
                                                 .size = sizeof(here)};                            \
    return &type;                                                                                  \
    }
#include "ww/hooks.def"

const struct ww_policy_hook ww_policy_hooks[WW_HOOK_COUNT] = {
#define WW_HOOK(id, in, called, where, instructions, from, to, does, otherwise)                    \
    [WW_HOOK_##id] = {.name = #in "." #called,                                                     \
                      .file = #in,                                                                 \
                      .function = #called,                                                         \
                      .side = WW_HOOK_SIDE_##where,                                                \
                      .budget = (instructions),                                                    \
                      .input = struct_##from,                                                      \
                      .result = struct_##to,                                                       \
                      .decides = (does),                                                           \
                      .fallback = (otherwise)},
#include "ww/hooks.def"
};
/* clang-format on */

const struct ww_policy_field *ww_policy_field_find(const struct ww_policy_struct *type,
                                                   const char *name)
{
    for (size_t index = 0; index < type->field_count; index++) {
        if (strcmp(type->fields[index].name, name) == 0)
            return &type->fields[index];
    }
    return NULL;
}

const struct ww_hook_memory_write *ww_policy_remembered(const struct ww_policy_struct *type,
                                                        const void *result, uint32_t *count)
{
    const struct ww_policy_field *last = &type->fields[type->field_count - 1];

    memcpy(count, (const char *)result + last->count_offset, sizeof(*count));
    return (const void *)((const char *)result + last->offset);
}

bool ww_policy_field_is_silent(const struct ww_policy_field *field, const void *data)
{
    uint32_t count;

    if (field->kind != WW_FIELD_LIST || field->type != struct_memory_write)
        return false;
    memcpy(&count, (const char *)data + field->count_offset, sizeof(count));
    return count == 0;
}

static void sample_field(const struct ww_policy_field *field, char *at)
{
    const uint32_t choice = (uint32_t)field->sample;

    switch (field->kind) {
    case WW_FIELD_U64:
        memcpy(at, &field->sample, sizeof(field->sample));
        break;
    case WW_FIELD_BOOL:
        *(bool *)at = field->sample != 0;
        break;
    case WW_FIELD_TEXT:
        memcpy(at, field->sample_text, strlen(field->sample_text) + 1);
        break;
    case WW_FIELD_ENUM:
        memcpy(at, &choice, sizeof(choice));
        break;
    case WW_FIELD_INNER:
        ww_policy_struct_sample(field->type(), at);
        break;
    case WW_FIELD_VALUE:
    case WW_FIELD_LIST:
    case WW_FIELD_ORDER:
        break;
    }
}

void ww_policy_struct_sample(const struct ww_policy_struct *type, void *data)
{
    memset(data, 0, type->size);
    for (size_t index = 0; index < type->field_count; index++)
        sample_field(&type->fields[index], (char *)data + type->fields[index].offset);
}

const struct ww_policy_field *ww_policy_order_list(const struct ww_policy_struct *input,
                                                   const struct ww_policy_field *order)
{
    const struct ww_policy_field *list = ww_policy_field_find(input, order->list);

    WW_REQUIRE(list && list->kind == WW_FIELD_LIST && list->max == order->max);
    return list;
}

const char *ww_policy_order_key(const struct ww_policy_field *list,
                                const struct ww_policy_field *order, const void *input,
                                size_t index)
{
    const struct ww_policy_struct *item = list->type();
    const struct ww_policy_field *key = ww_policy_field_find(item, order->key);

    WW_REQUIRE(key && key->kind == WW_FIELD_TEXT);
    return (const char *)input + list->offset + index * item->size + key->offset;
}

const char *ww_hook_name(enum ww_hook hook)
{
    WW_REQUIRE((unsigned)hook < WW_HOOK_COUNT);
    return ww_policy_hooks[hook].name;
}

int ww_hook_parse(const char *name, enum ww_hook *hook)
{
    for (unsigned index = 0; index < WW_HOOK_COUNT; index++) {
        if (strcmp(ww_policy_hooks[index].name, name) == 0) {
            *hook = (enum ww_hook)index;
            return 0;
        }
    }
    return WW_ENOTFOUND;
}

const char *ww_hook_word(const char *choices, unsigned value)
{
    for (size_t index = 0; index < ww_policy_choices_all_count; index++) {
        const struct ww_policy_choices *set = ww_policy_choices_all[index];

        if (strcmp(set->name, choices) == 0)
            return value < set->count ? set->words[value] : NULL;
    }
    return NULL;
}

uint64_t ww_hook_budget(enum ww_hook hook)
{
    WW_REQUIRE((unsigned)hook < WW_HOOK_COUNT);
    return ww_policy_hooks[hook].budget;
}

void ww_hook_sample(enum ww_hook hook, void *input)
{
    WW_REQUIRE((unsigned)hook < WW_HOOK_COUNT);
    ww_policy_struct_sample(ww_policy_hooks[hook].input(), input);
}

const char *ww_policy_kind(int code)
{
    static const char *const words[WW_POLICY_KINDS] = {
        "syntax", "load", "missing", "runtime", "budget", "memory", "result", "impure", "test",
    };
    unsigned kind = (unsigned)(WW_EPOLICY_SYNTAX - code);

    return kind < WW_POLICY_KINDS ? words[kind] : NULL;
}
