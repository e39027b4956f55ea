/* Type stubs for LuaLS, from the descriptions of the hooks: what an editor needs to complete and
 * check policies and their tests. */
#include <ctype.h>
#include <string.h>

#include "fields.h"
#include "ww/buf.h"
#include "ww/policy.h"

static void write_words(const struct ww_policy_choices *choices, struct ww_buf *out)
{
    for (size_t word = 0; word < choices->count; word++)
        ww_buf_printf(out, "%s\"%s\"", word ? "|" : "", choices->words[word]);
}

static void write_type(const struct ww_policy_field *field, struct ww_buf *out)
{
    switch (field->kind) {
    case WW_FIELD_U64:
        ww_buf_put_text(out, "integer");
        break;
    case WW_FIELD_BOOL:
        ww_buf_put_text(out, "boolean");
        break;
    case WW_FIELD_TEXT:
        ww_buf_put_text(out, "string");
        break;
    case WW_FIELD_ENUM:
        write_words(field->choices, out);
        break;
    case WW_FIELD_VALUE:
        ww_buf_put_text(out, "integer|string");
        break;
    case WW_FIELD_INNER:
        ww_buf_put_text(out, field->type()->lua_name);
        break;
    case WW_FIELD_LIST:
        ww_buf_printf(out, "%s[]", field->type()->lua_name);
        break;
    case WW_FIELD_ORDER:
        ww_buf_put_text(out, "string[]");
        break;
    }
}

/* What a result may leave out has a question mark, as marshal.c has it. */
static void write_class(const struct ww_policy_struct *type, bool is_result, struct ww_buf *out)
{
    ww_buf_printf(out, "--- %s\n---@class %s\n", type->doc, type->lua_name);
    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_field *field = &type->fields[index];
        bool may_lack =
            is_result && field->kind != WW_FIELD_ORDER && strcmp(field->name, "decision") != 0;

        ww_buf_printf(out, "---@field %s%s ", field->name, may_lack ? "?" : "");
        write_type(field, out);
        ww_buf_printf(out, " %s\n", field->doc);
    }
    ww_buf_put_text(out, "\n");
}

struct written {
    const struct ww_policy_struct *types[64];
    size_t count;
};

/* The structs inside first, each once. */
static void write_classes(const struct ww_policy_struct *type, bool is_result,
                          struct written *written, struct ww_buf *out)
{
    for (size_t index = 0; index < written->count; index++) {
        if (written->types[index] == type)
            return;
    }
    WW_REQUIRE(written->count < WW_ARRAY_COUNT(written->types));
    written->types[written->count++] = type;
    for (size_t index = 0; index < type->field_count; index++) {
        if (type->fields[index].type)
            write_classes(type->fields[index].type(), false, written, out);
    }
    write_class(type, is_result, out);
}

/* A class for each file, named after it: ContractPolicy. */
static void write_files(struct ww_buf *out)
{
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++) {
        const struct ww_policy_hook *about = &ww_policy_hooks[hook];

        if (hook == 0 || strcmp(about->file, ww_policy_hooks[hook - 1].file) != 0)
            ww_buf_printf(out, "%s--- What %s.lua returns.\n---@class %c%sPolicy\n",
                          hook ? "\n" : "", about->file, toupper((unsigned char)about->file[0]),
                          about->file + 1);
        ww_buf_printf(out,
                      "---@field %s fun(request: %s, ctx: Context): %s %s; %llu instructions\n",
                      about->function, about->input()->lua_name, about->result()->lua_name,
                      about->decides, (unsigned long long)about->budget);
    }
    ww_buf_put_text(out, "\n");
}

static void write_builtin(struct ww_buf *out)
{
    ww_buf_put_text(out, "--- What a file of a built-in set returns, as a fresh table: to begin a "
                         "policy with. `set` is\n--- \"default\" (also when it is left out), "
                         "\"strict\" or \"generous\".\n");
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++) {
        const char *file = ww_policy_hooks[hook].file;

        if (hook == 0 || strcmp(file, ww_policy_hooks[hook - 1].file) != 0)
            ww_buf_printf(out, "---@overload fun(file: \"%s\", set?: string): %c%sPolicy\n", file,
                          toupper((unsigned char)*file), file + 1);
    }
    ww_buf_put_text(out, "function builtin(file, set) end\n\n");
}

/* Tests lay what they care about over a sample, so their input is any table. */
static void write_try(struct ww_buf *out)
{
    ww_buf_put_text(out, "--- Asks a hook: `input` is laid over its sample, `ctx` may hold now_s, "
                         "seed,\n--- thresholds and memory.\n");
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++) {
        const struct ww_policy_hook *about = &ww_policy_hooks[hook];

        ww_buf_printf(out, "---@overload fun(hook: \"%s\", input?: table, ctx?: table): %s\n",
                      about->name, about->result()->lua_name);
    }
    ww_buf_put_text(out, "function try(hook, input, ctx) end\n");
}

void ww_hook_stubs(struct ww_buf *out)
{
    struct written written = {.count = 0};

    ww_buf_put_text(
        out,
        "---@meta\n"
        "-- Types of policies for the Lua language server. Generated from include/ww/hooks.def "
        "by\n-- ww_hook_stubs(); the unit test policy_reference fails when it is stale.\n\n"
        "--- What a hook knows besides its input.\n---@class Context\n"
        "---@field now_s integer seconds since 1970\n"
        "---@field random fun(n: integer): integer a number from 1 to n, the same sequence for "
        "the same decision\n"
        "---@field thresholds table<string, integer> numbers by name\n"
        "---@field memory table<string, integer|string> what this hook was told to remember\n\n");
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++) {
        write_classes(ww_policy_hooks[hook].input(), false, &written, out);
        write_classes(ww_policy_hooks[hook].result(), true, &written, out);
    }
    write_files(out);
    ww_buf_put_text(out, "KiB = 1024\nMiB = 1048576\nGiB = 1073741824\nTiB = 1099511627776\n\n");
    write_builtin(out);
    ww_buf_put_text(out,
                    "--- In x.test.lua: adds a test.\n---@param name string what must hold\n"
                    "---@param run fun()\nfunction test(name, run) end\n\n"
                    "--- In x.test.lua: raises an error unless both are equal, tables by their "
                    "content.\nfunction same(got, wanted) end\n\n");
    write_try(out);
}
