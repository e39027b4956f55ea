/* Hook structs as Lua text, and the reference page of all hooks. Reads the descriptions only. */
#include <string.h>

#include "fields.h"
#include "ww/buf.h"
#include "ww/policy.h"

struct view {
    const struct ww_policy_hook *hook;
    const void *input; /* the hook's */
    bool hides;        /* private texts are "…" … */
    bool hides_words;  /* … and what a policy that was told some has written */
};

/* --- values ------------------------------------------------------------------------------- */

static void print_struct(const struct ww_policy_struct *type, const char *data,
                         const struct view *view, struct ww_buf *out);

static void print_text(const char *text, struct ww_buf *out)
{
    ww_buf_put_u8(out, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            ww_buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            ww_buf_printf(out, "\\%03u", c);
        else
            ww_buf_put_u8(out, c);
    }
    ww_buf_put_u8(out, '"');
}

#define HIDDEN "\xe2\x80\xa6" /* … */

static void print_value(const struct ww_hook_value *value, bool hides, struct ww_buf *out)
{
    if (value->is_text)
        print_text(hides ? HIDDEN : value->text, out);
    else
        ww_buf_printf(out, "%llu", (unsigned long long)value->number);
}

static bool has_private(const struct ww_policy_struct *type)
{
    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_field *field = &type->fields[index];

        if (field->kind == WW_FIELD_TEXT && !field->is_for_anybody)
            return true;
        if (field->type && has_private(field->type()))
            return true;
    }
    return false;
}

bool ww_hook_is_private(enum ww_hook hook)
{
    return has_private(ww_policy_hooks[hook].input());
}

static bool is_hidden(const struct ww_policy_field *field, const struct view *view)
{
    return view->hides_words || (view->hides && !field->is_for_anybody);
}

static void print_items(const struct ww_policy_field *field, const char *data,
                        const struct view *view, struct ww_buf *out)
{
    uint32_t count;

    memcpy(&count, data + field->count_offset, sizeof(count));
    WW_REQUIRE(count <= field->max);
    ww_buf_put_text(out, "{");
    for (uint32_t index = 0; index < count; index++) {
        ww_buf_put_text(out, index ? ", " : "");
        if (field->kind == WW_FIELD_LIST) {
            const struct ww_policy_struct *item = field->type();

            print_struct(item, data + field->offset + index * item->size, view, out);
        } else {
            const struct ww_policy_field *list = ww_policy_order_list(view->hook->input(), field);
            const struct ww_policy_field *key = ww_policy_field_find(list->type(), field->key);
            uint32_t place;

            memcpy(&place, data + field->offset + index * sizeof(place), sizeof(place));
            const char *text = ww_policy_order_key(list, field, view->input, place);
            print_text(is_hidden(key, view) ? HIDDEN : text, out);
        }
    }
    ww_buf_put_text(out, "}");
}

static void print_field(const struct ww_policy_field *field, const char *data,
                        const struct view *view, struct ww_buf *out)
{
    const char *at = data + field->offset;
    uint64_t number;
    uint32_t word;

    switch (field->kind) {
    case WW_FIELD_U64:
        memcpy(&number, at, sizeof(number));
        ww_buf_printf(out, "%llu", (unsigned long long)number);
        break;
    case WW_FIELD_BOOL:
        ww_buf_put_text(out, *(const bool *)at ? "true" : "false");
        break;
    case WW_FIELD_TEXT:
        print_text(*at && is_hidden(field, view) ? HIDDEN : at, out);
        break;
    case WW_FIELD_ENUM:
        memcpy(&word, at, sizeof(word));
        WW_REQUIRE(word < field->choices->count);
        print_text(field->choices->words[word], out);
        break;
    case WW_FIELD_VALUE:
        print_value((const void *)at, view->hides, out);
        break;
    case WW_FIELD_INNER:
        print_struct(field->type(), at, view, out);
        break;
    case WW_FIELD_LIST:
    case WW_FIELD_ORDER:
        print_items(field, data, view, out);
        break;
    }
}

static void print_struct(const struct ww_policy_struct *type, const char *data,
                         const struct view *view, struct ww_buf *out)
{
    ww_buf_put_text(out, "{ ");
    for (size_t index = 0; index < type->field_count; index++) {
        if (ww_policy_field_is_silent(&type->fields[index], data))
            continue;
        ww_buf_printf(out, "%s%s = ", index ? ", " : "", type->fields[index].name);
        print_field(&type->fields[index], data, view, out);
    }
    ww_buf_put_text(out, " }");
}

static void print_input(enum ww_hook hook, const void *input, bool hides, struct ww_buf *out)
{
    const struct view view = {.hook = &ww_policy_hooks[hook], .input = input, .hides = hides};

    print_struct(view.hook->input(), input, &view, out);
}

static void print_result(enum ww_hook hook, const void *input, const void *result, bool hides,
                         struct ww_buf *out)
{
    const struct view view = {.hook = &ww_policy_hooks[hook],
                              .input = input,
                              .hides = hides,
                              .hides_words = hides && ww_hook_is_private(hook)};

    print_struct(view.hook->result(), result, &view, out);
}

void ww_hook_print_input(enum ww_hook hook, const void *input, struct ww_buf *out)
{
    print_input(hook, input, false, out);
}

void ww_hook_print_result(enum ww_hook hook, const void *input, const void *result,
                          struct ww_buf *out)
{
    print_result(hook, input, result, false, out);
}

void ww_hook_print_hidden(enum ww_hook hook, const void *input, const void *result,
                          struct ww_buf *input_out, struct ww_buf *result_out)
{
    print_input(hook, input, true, input_out);
    print_result(hook, input, result, true, result_out);
}

void ww_policy_print_memory(const struct ww_policy_memory_entry *memory, size_t count,
                            struct ww_buf *out)
{
    ww_buf_put_text(out, "{");
    for (size_t index = 0; index < count; index++) {
        ww_buf_put_text(out, index ? ", [" : " [");
        print_text(memory[index].key, out);
        ww_buf_put_text(out, "] = ");
        print_value(&memory[index].value, false, out);
    }
    ww_buf_put_text(out, count ? " }" : "}");
}

/* --- the reference ------------------------------------------------------------------------ */

static void write_type(const struct ww_policy_field *field, struct ww_buf *out)
{
    switch (field->kind) {
    case WW_FIELD_U64:
        if (field->max == WW_HOOK_NUMBER_MAX)
            ww_buf_printf(out, "whole number from %llu", (unsigned long long)field->min);
        else
            ww_buf_printf(out, "whole number, %llu to %llu", (unsigned long long)field->min,
                          (unsigned long long)field->max);
        break;
    case WW_FIELD_BOOL:
        ww_buf_put_text(out, "`true` or `false`");
        break;
    case WW_FIELD_TEXT:
        ww_buf_printf(out, "string of at most %zu bytes", field->size - 1);
        break;
    case WW_FIELD_ENUM:
        for (size_t word = 0; word < field->choices->count; word++)
            ww_buf_printf(out, "%s`\"%s\"`", word ? ", " : "", field->choices->words[word]);
        break;
    case WW_FIELD_VALUE:
        ww_buf_printf(out, "whole number, or string of at most %d bytes", WW_HOOK_VALUE_SIZE - 1);
        break;
    case WW_FIELD_INNER:
        ww_buf_printf(out, "[%s](#%s)", field->type()->lua_name, field->type()->name);
        break;
    case WW_FIELD_LIST:
        ww_buf_printf(out, "list of at most %llu [%s](#%s)", (unsigned long long)field->max,
                      field->type()->lua_name, field->type()->name);
        break;
    case WW_FIELD_ORDER:
        ww_buf_printf(out, "list of `%s` of the input's `%s`", field->key, field->list);
        break;
    }
}

static void write_fields(const struct ww_policy_struct *type, struct ww_buf *out)
{
    ww_buf_put_text(out, "| field | type | meaning |\n|---|---|---|\n");
    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_field *field = &type->fields[index];

        ww_buf_printf(out, "| `%s` | ", field->name);
        write_type(field, out);
        ww_buf_printf(out, " | %s |\n", field->doc);
    }
    ww_buf_put_text(out, "\n");
}

/* The structs inside this one, each with a heading to link to. */
static void write_inner(const struct ww_policy_struct *type, struct ww_buf *out)
{
    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_struct *inner;

        if (!type->fields[index].type)
            continue;
        inner = type->fields[index].type();
        if (strcmp(type->fields[index].name, "remember") == 0)
            continue; /* in all of them: told once, at the top */
        if (index > 0 && type->fields[index - 1].type == type->fields[index].type)
            continue; /* two fields of one type in a row: once is enough */
        ww_buf_printf(out, "<a id=\"%s\"></a>%s: %s\n\n", inner->name, inner->lua_name, inner->doc);
        write_fields(inner, out);
        write_inner(inner, out);
    }
}

static void write_hook(const struct ww_policy_hook *hook, struct ww_buf *out)
{
    static const char *const sides[] = {
        [WW_HOOK_SIDE_ARBITER] = "arbiter",
        [WW_HOOK_SIDE_PROVIDER] = "provider",
        [WW_HOOK_SIDE_CLIENT] = "client",
        [WW_HOOK_SIDE_EDGE] = "provider and the client",
    };

    ww_buf_printf(out,
                  "## %s\n\nDecides %s. In `%s.lua`, called on the %s; budget %llu "
                  "instructions.\nWithout a policy, or when it fails: %s.\n\n",
                  hook->name, hook->decides, hook->file, sides[hook->side],
                  (unsigned long long)hook->budget, hook->fallback);
    ww_buf_printf(out, "Input (%s): %s.\n\n", hook->input()->lua_name, hook->input()->doc);
    write_fields(hook->input(), out);
    write_inner(hook->input(), out);
    ww_buf_printf(out, "Result (%s): %s.\n\n", hook->result()->lua_name, hook->result()->doc);
    write_fields(hook->result(), out);
}

void ww_hook_reference(struct ww_buf *out)
{
    ww_buf_put_text(
        out,
        "# Hooks\n\n"
        "<!-- Generated from include/ww/hooks.def by ww_hook_reference(); the unit test\n"
        "     policy_reference fails when it is stale, and says how to write it again. -->\n\n"
        "A policy file returns a table of functions, `function M.hook(input, ctx)`. Each hook gets "
        "a fresh\ntable, and returns one. Numbers are whole, from 0 to 2^53 - 1; shares are parts "
        "per million (ppm). An\nunknown field in a result, a wrong type or a number outside its "
        "range is a fault of kind `result`,\nand the fallback answers.\n\n"
        "In a result, `decision` and `order` must be given; every other field has a default. "
        "`reason` is\nfor people.\n\n"
        "`ctx.now_s` is the time (seconds since 1970), `ctx.random(n)` a number from 1 to n, the "
        "same sequence\nfor the same decision, `ctx.thresholds` the configuration's numbers by "
        "name\n(`policy.thresholds`), and `ctx.memory` what the hook's results told to remember: "
        "a whole\nnumber or a string by name.\n\n"
        "`builtin(\"contract\")`, while a file is loaded, is a fresh table of the functions of the "
        "built-in\n`contract.lua` (`builtin(\"contract\", \"strict\")`: of that set's): change "
        "what should differ, and return\nit. Its text is then part of the generation's hash. In "
        "a hook or a test there is no `builtin`.\n\n");
    ww_buf_printf(
        out,
        "<a id=\"memory_write\"></a>`remember` is the same in all results: a list of at most "
        "%d values for\nthe memory of this hook, which holds %d for at most %d days (see "
        "[policies](../concepts/policies.md)).\n\n",
        WW_HOOK_REMEMBER_MAX, WW_POLICY_MEMORY_MAX, WW_POLICY_MEMORY_S_MAX / 86400);
    write_fields(ww_policy_field_find(ww_policy_hooks[0].result(), "remember")->type(), out);
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++)
        write_hook(&ww_policy_hooks[hook], out);
}
