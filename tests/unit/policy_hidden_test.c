/* What a trace shows to who only looks: no text that hooks.def does not declare for anybody, of any
 * hook, also of one that is declared tomorrow. */
#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "test.h"
#include "ww/buf.h"
#include "ww/policy.h"

#define TEXT_BYTES_MAX 65536
#define PRIVATE        "qz" /* a country has no room for more */
#define WORDS          "wj"

/* Everything that holds a text gets one; lists and orders get one item. Returns how many private
 * ones there are. */
static size_t fill(const struct ww_policy_struct *type, char *data)
{
    size_t count = 0;
    uint32_t one = 1, zero = 0;
    struct ww_hook_value value = {.is_text = true, .text = PRIVATE};

    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_field *field = &type->fields[index];
        char *at = data + field->offset;

        if (field->kind == WW_FIELD_TEXT) {
            snprintf(at, field->size, "%s", field->is_for_anybody ? WORDS : PRIVATE);
            count += !field->is_for_anybody;
        } else if (field->kind == WW_FIELD_VALUE) {
            memcpy(at, &value, sizeof(value));
            count++;
        } else if (field->kind == WW_FIELD_INNER) {
            count += fill(field->type(), at);
        } else if (field->kind == WW_FIELD_LIST) {
            memcpy(data + field->count_offset, &one, sizeof(one));
            ww_policy_struct_sample(field->type(), at);
            count += fill(field->type(), at);
        } else if (field->kind == WW_FIELD_ORDER) {
            memcpy(data + field->count_offset, &one, sizeof(one));
            memcpy(at, &zero, sizeof(zero));
        }
    }
    return count;
}

static size_t occurrences(const struct ww_buf *buf, const char *word)
{
    size_t count = 0;

    assert_int_equal(buf->error, 0);
    for (const char *at = (const char *)buf->data; (at = strstr(at, word)); at++)
        count++;
    return count;
}

static void look_at(enum ww_hook hook)
{
    const struct ww_policy_struct *in = ww_policy_hooks[hook].input();
    const struct ww_policy_struct *out = ww_policy_hooks[hook].result();
    char *input = ww_alloc(1, in->size), *result = ww_alloc(1, out->size);
    struct ww_buf shown[2], hidden[2];

    assert_true(input && result);
    for (size_t index = 0; index < 2; index++) {
        ww_buf_init(&shown[index], TEXT_BYTES_MAX);
        ww_buf_init(&hidden[index], TEXT_BYTES_MAX);
    }
    ww_policy_struct_sample(in, input);
    ww_policy_struct_sample(out, result);
    size_t in_input = fill(in, input), in_result = fill(out, result);
    ww_hook_print_input(hook, input, &shown[0]);
    ww_hook_print_result(hook, input, result, &shown[1]);
    ww_hook_print_hidden(hook, input, result, &hidden[0], &hidden[1]);
    for (size_t index = 0; index < 2; index++) {
        ww_buf_put_u8(&shown[index], 0);
        ww_buf_put_u8(&hidden[index], 0);
        if (occurrences(&hidden[index], PRIVATE))
            fail_msg("%s: %s", ww_hook_name(hook), (const char *)hidden[index].data);
    }
    assert_int_equal(occurrences(&shown[0], PRIVATE), in_input);
    assert_true(occurrences(&shown[1], PRIVATE) >= in_result);
    assert_true(in_result >= 2); /* what is remembered */
    assert_int_equal(ww_hook_is_private(hook), in_input > 0);
    assert_int_equal(occurrences(&hidden[0], WORDS), occurrences(&shown[0], WORDS));
    assert_int_equal(occurrences(&hidden[1], WORDS), in_input ? 0 : occurrences(&shown[1], WORDS));
    assert_true(occurrences(&hidden[1], "\xe2\x80\xa6") >= in_result);
    for (size_t index = 0; index < 2; index++) {
        ww_buf_deinit(&shown[index]);
        ww_buf_deinit(&hidden[index]);
    }
    ww_free(input);
    ww_free(result);
}

static void test_every_hook(void **state)
{
    size_t private = 0;

    (void)state;
    for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++) {
        look_at((enum ww_hook)hook);
        private += ww_hook_is_private((enum ww_hook)hook);
    }
    assert_true(private >= 4);
    assert_true(ww_hook_is_private(WW_HOOK_FLOW_VERDICT));
    assert_true(ww_hook_is_private(WW_HOOK_MATCH_RANK));
    assert_false(ww_hook_is_private(WW_HOOK_CONTRACT_OFFER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_hook)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
