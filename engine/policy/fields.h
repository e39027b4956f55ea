/* Descriptions of the hooks' structs, made from hooks.def: what marshalling, validation, samples,
 * printing and the reference page work from. Constant; relies on hooks.h only.
 */
#pragma once
#include "ww/hooks.h"

enum ww_policy_field_kind {
    WW_FIELD_U64,
    WW_FIELD_BOOL,
    WW_FIELD_TEXT,
    WW_FIELD_ENUM,
    WW_FIELD_VALUE,
    WW_FIELD_INNER,
    WW_FIELD_LIST,
    WW_FIELD_ORDER,
};

struct ww_policy_choices {
    const char *name;
    const char *doc;
    const char *const *words;
    size_t count;
};

struct ww_policy_struct;

struct ww_policy_field {
    enum ww_policy_field_kind kind;
    const char *name;
    const char *doc;
    size_t offset;
    size_t count_offset; /* list, order: where the uint32_t count is */
    size_t size;         /* text: with its NUL */
    uint64_t min;        /* u64 */
    uint64_t max;        /* u64: largest value; list, order: most items */
    uint64_t sample;     /* u64, bool, enum */
    const char *sample_text;
    bool is_for_anybody; /* text: WW_WORDS */
    const struct ww_policy_choices *choices;
    const struct ww_policy_struct *(*type)(void); /* inner, list */
    const char *list;                             /* order: name of the input's list … */
    const char *key;                              /* … and of the text field that names an item */
};

struct ww_policy_struct {
    const char *name;
    const char *lua_name;
    const char *doc;
    const struct ww_policy_field *fields;
    size_t field_count;
    size_t size;
};

struct ww_policy_hook {
    const char *name;     /* "contract.offer" */
    const char *file;     /* "contract" */
    const char *function; /* "offer" */
    enum ww_hook_where side;
    uint64_t budget;
    const struct ww_policy_struct *(*input)(void);
    const struct ww_policy_struct *(*result)(void);
    const char *decides;
    const char *fallback;
};

extern const struct ww_policy_hook ww_policy_hooks[WW_HOOK_COUNT];
/* All sets of words; count of them. */
extern const struct ww_policy_choices *const ww_policy_choices_all[];
extern const size_t ww_policy_choices_all_count;

/* NULL if there is none. */
const struct ww_policy_field *ww_policy_field_find(const struct ww_policy_struct *type,
                                                   const char *name);
/* What a result has for the hook's memory: `count` items, borrowed. */
const struct ww_hook_memory_write *ww_policy_remembered(const struct ww_policy_struct *type,
                                                        const void *result, uint32_t *count);
/* True for a result's `remember` without items: nobody is shown that. */
bool ww_policy_field_is_silent(const struct ww_policy_field *field, const void *data);
/* Fills a struct of this type with its fields' samples; lists are empty. */
void ww_policy_struct_sample(const struct ww_policy_struct *type, void *data);
/* The input's list that an order field speaks of. */
const struct ww_policy_field *ww_policy_order_list(const struct ww_policy_struct *input,
                                                   const struct ww_policy_field *order);
/* The text that names item `index` of that list, in the input's struct. */
const char *ww_policy_order_key(const struct ww_policy_field *list,
                                const struct ww_policy_field *order, const void *input,
                                size_t index);
