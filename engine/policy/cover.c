/* Coverage of a set: see policy_cover.h.
 *
 * Inputs are found by changing one field at a time: words to each other word, numbers to their
 * bounds, to powers of two and to what is beside a number that the file names. It is a search, no
 * proof: a rule that needs three fields at once may be missed. Relies on the meter's hook for what
 * ran.
 */
#include "ww/policy_cover.h"

#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "fields.h"
#include "marks.h"
#include "vm.h"

#define INPUTS_MAX  48 /* of one hook that got somewhere, and are changed further */
#define NUMBERS_MAX 48 /* that a file names */

void ww_policy_mark(struct ww_policy_marks *marks, lua_State *lua, lua_Debug *where)
{
    bool returned = where->event == LUA_HOOKRET;
    unsigned line;

    if (!lua_getinfo(lua, "Sl", where) || where->currentline <= 0)
        return;
    line = (unsigned)where->currentline;
    for (size_t index = 0; index < marks->sources->count; index++) {
        uint8_t *byte = &(returned ? marks->returned : marks->ran)[index][line / 8];
        uint8_t bit = (uint8_t)(1U << line % 8);

        if (line > WW_POLICY_FILE_BYTES_MAX ||
            strcmp(marks->sources->items[index].name, where->short_src) != 0)
            continue;
        marks->news = marks->news || !(*byte & bit);
        *byte |= bit;
        return;
    }
}

struct covering {
    const struct ww_policy_sources *sources;
    struct ww_policy_marks tested, tried;
    struct ww_policy_vm *vm;
    enum ww_hook hook;
    struct ww_policy_context context;
    uint64_t end_us;
    uint64_t tries;
    uint64_t numbers[NUMBERS_MAX];
    size_t number_count;
    union ww_hook_any input, result;
    union ww_hook_any found[INPUTS_MAX];
    size_t found_count;
};

static int ask(struct covering *covering)
{
    static const struct ww_policy_options options;
    struct ww_policy_fault fault;
    int rc = 0;

    covering->tries++;
    if (!covering->vm)
        rc = ww_policy_vm_create(covering->sources, &options, &covering->vm, &fault);
    if (rc)
        return rc;
    covering->vm->meter.marks = &covering->tried;
    covering->tried.news = false;
    ww_policy_answer_prepare(covering->hook, &covering->input, &covering->result);
    rc = ww_policy_vm_decide(covering->vm, covering->hook, &covering->input, &covering->context,
                             &covering->result, &fault);
    if (rc == WW_EPOLICY_BUDGET || rc == WW_EPOLICY_MEMORY) {
        ww_policy_vm_destroy(covering->vm);
        covering->vm = NULL;
    }
    if (covering->tried.news && covering->found_count < INPUTS_MAX)
        covering->found[covering->found_count++] = covering->input;
    return 0;
}

static bool is_over(const struct covering *covering)
{
    return ww_policy_meter_cpu_us() > covering->end_us;
}

/* --- changes ------------------------------------------------------------------------------ */

static void try_value(struct covering *covering, char *at, const struct ww_policy_field *field,
                      uint64_t value)
{
    if (value < field->min || value > field->max || is_over(covering))
        return;
    memcpy(at, &value, sizeof(value));
    ask(covering);
}

static void try_number(struct covering *covering, char *at, const struct ww_policy_field *field)
{
    uint64_t was;

    memcpy(&was, at, sizeof(was));
    try_value(covering, at, field, field->min);
    try_value(covering, at, field, field->max);
    for (unsigned shift = 0; shift < 48; shift += 3)
        try_value(covering, at, field, 1ULL << shift);
    for (size_t index = 0; index < covering->number_count; index++) {
        for (unsigned shift = 0; shift <= 30; shift += 10) {
            uint64_t number = covering->numbers[index] << shift;

            try_value(covering, at, field, number - (number > 0));
            try_value(covering, at, field, number);
            try_value(covering, at, field, number + 1);
        }
    }
    memcpy(at, &was, sizeof(was));
}

static void try_words(struct covering *covering, char *at, const struct ww_policy_field *field)
{
    uint32_t was;

    memcpy(&was, at, sizeof(was));
    for (uint32_t word = 0; word < field->choices->count && !is_over(covering); word++) {
        memcpy(at, &word, sizeof(word));
        ask(covering);
    }
    memcpy(at, &was, sizeof(was));
}

static void try_struct(struct covering *covering, const struct ww_policy_struct *type, char *data);

/* No items, one, and two of which the first is changed. */
static void try_list(struct covering *covering, const struct ww_policy_field *field, char *data)
{
    const struct ww_policy_struct *item = field->type();
    char *items = data + field->offset;
    uint32_t was;

    memcpy(&was, data + field->count_offset, sizeof(was));
    if (was > 0) {
        try_struct(covering, item, items);
        return;
    }
    for (uint32_t count = 1; count <= 2 && count <= field->max; count++) {
        ww_policy_struct_sample(item, items + (count - 1) * item->size);
        memcpy(data + field->count_offset, &count, sizeof(count));
        ask(covering);
        try_struct(covering, item, items);
    }
    memcpy(data + field->count_offset, &was, sizeof(was));
}

static void try_struct(struct covering *covering, const struct ww_policy_struct *type, char *data)
{
    for (size_t index = 0; index < type->field_count && !is_over(covering); index++) {
        const struct ww_policy_field *field = &type->fields[index];
        char *at = data + field->offset;

        if (field->kind == WW_FIELD_U64) {
            try_number(covering, at, field);
        } else if (field->kind == WW_FIELD_ENUM) {
            try_words(covering, at, field);
        } else if (field->kind == WW_FIELD_INNER) {
            try_struct(covering, field->type(), at);
        } else if (field->kind == WW_FIELD_LIST) {
            try_list(covering, field, data);
        } else if (field->kind == WW_FIELD_BOOL) {
            *(bool *)(void *)at = !*(bool *)(void *)at;
            ask(covering);
            *(bool *)(void *)at = !*(bool *)(void *)at;
        }
    }
}

/* --- a set -------------------------------------------------------------------------------- */

static void read_numbers(struct covering *covering, const char *text)
{
    covering->number_count = 0;
    while (*text && covering->number_count < NUMBERS_MAX) {
        char *end;

        if (*text < '0' || *text > '9') {
            text++;
            continue;
        }
        covering->numbers[covering->number_count++] = strtoull(text, &end, 10) & 0xffffffff;
        text = end;
    }
}

static void try_hook(struct covering *covering)
{
    const struct ww_policy_struct *type = ww_policy_hooks[covering->hook].input();

    covering->found_count = 0;
    covering->end_us = ww_policy_meter_cpu_us() + WW_POLICY_COVER_MS_MAX * 1000ULL / WW_HOOK_COUNT;
    ww_hook_sample(covering->hook, &covering->input);
    if (ask(covering))
        return;
    try_struct(covering, type, covering->input.bytes);
    for (unsigned hour = 1; hour < 24; hour++) {
        covering->context.now_s = WW_POLICY_GIVEN_NOW_S + hour * 3600;
        ask(covering);
    }
    covering->context.now_s = WW_POLICY_GIVEN_NOW_S;
    for (size_t index = 0; index < covering->found_count; index++) {
        covering->input = covering->found[index];
        try_struct(covering, type, covering->input.bytes);
    }
}

static void try_all(struct covering *covering)
{
    for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++) {
        for (size_t index = 0; index < covering->sources->count; index++) {
            const struct ww_policy_source *source = &covering->sources->items[index];
            size_t size = strlen(ww_policy_hooks[hook].file);

            if (strncmp(source->name, ww_policy_hooks[hook].file, size) != 0 ||
                strcmp(source->name + size, ".lua") != 0)
                continue;
            covering->hook = (enum ww_hook)hook;
            read_numbers(covering, source->text);
            try_hook(covering);
        }
    }
}

static int run_tests(struct covering *covering, struct ww_policy_fault *fault)
{
    static const struct ww_policy_options options;
    struct ww_policy_test_run run = {.sources = covering->sources};
    struct ww_policy_vm *vm = NULL;
    int rc = ww_policy_vm_create(covering->sources, &options, &vm, fault);

    if (rc)
        return rc;
    vm->meter.marks = &covering->tested;
    rc = ww_policy_vm_test(vm, &run, fault);
    ww_policy_vm_destroy(vm);
    return rc;
}

static bool has(uint8_t marks[][WW_POLICY_FILE_BYTES_MAX / 8 + 1], size_t file, unsigned line)
{
    return marks[file][line / 8] & 1U << line % 8;
}

static void tell(struct covering *covering, ww_policy_cover_fn fn, void *arg)
{
    for (size_t file = 0; file < covering->sources->count; file++) {
        const char *name = covering->sources->items[file].name;

        for (unsigned line = 1; line <= WW_POLICY_FILE_BYTES_MAX; line++) {
            bool ran = has(covering->tested.ran, file, line);
            bool returned = has(covering->tested.returned, file, line);
            bool tried = has(covering->tried.returned, file, line);

            if (ran)
                fn(arg, name, line, true, returned);
            if (ran ? !returned && tried : has(covering->tried.ran, file, line))
                fn(arg, name, line, false, tried);
        }
    }
}

int ww_policy_cover(const struct ww_policy_sources *sources, ww_policy_cover_fn fn, void *arg,
                    uint64_t *tries, struct ww_policy_fault *fault)
{
    struct covering *covering = ww_alloc(1, sizeof(*covering));

    memset(fault, 0, sizeof(*fault));
    if (!covering)
        return WW_ENOMEM;
    covering->sources = covering->tested.sources = covering->tried.sources = sources;
    covering->context.now_s = WW_POLICY_GIVEN_NOW_S;
    int rc = run_tests(covering, fault);
    if (!rc) {
        try_all(covering);
        tell(covering, fn, arg);
        *tries = covering->tries;
    }
    ww_policy_vm_destroy(covering->vm);
    ww_free(covering);
    return rc;
}
