/* Pseudonyms for the journal. See pseudonym.h.
 *
 * An identity is a text field that has the size of a node id's text: that is how hooks.def marks
 * it. The pseudonym is SHA-256 over a key of this process and the text, printed as such a text, so
 * that it has the same length and alphabet. The key never leaves this file.
 */
#include "pseudonym.h"

#include <string.h>

#include "ww/crypto.h"
#include "ww/policy.h"

#define KEY_SIZE  32
#define TEXT_SIZE (WW_HASH_TEXT_SIZE - 1)
#define KNOWN_COUNT                                                                                \
    1024 /* providers of a market; a hash costs 0.5 us, and a ranking has hundreds */

struct known {
    char text[WW_HASH_TEXT_SIZE];
    char other[WW_HASH_TEXT_SIZE];
};

struct ww_policy_pseudonyms {
    uint8_t key[KEY_SIZE];
    struct known known[KNOWN_COUNT]; /* a cache: each text has one place in it */
};

int ww_policy_pseudonyms_create(struct ww_policy_pseudonyms **pseudonyms)
{
    struct ww_policy_pseudonyms *made = ww_alloc(1, sizeof(*made));

    if (!made)
        return WW_ENOMEM;
    ww_random_bytes(made->key, sizeof(made->key));
    *pseudonyms = made;
    return 0;
}

void ww_policy_pseudonyms_destroy(struct ww_policy_pseudonyms *pseudonyms)
{
    if (!pseudonyms)
        return;
    ww_wipe(pseudonyms, sizeof(*pseudonyms));
    ww_free(pseudonyms);
}

struct applying {
    struct ww_policy_pseudonyms *pseudonyms;
    const char *end;    /* of the input, as it is kept */
    char *reason;       /* the result's text for people, in which a policy may name somebody … */
    size_t reason_size; /* … and its length; 0 when it is too short for that */
};

static void rename_in_reason(const struct applying *applying, const char *from, const char *to)
{
    char *at = applying->reason;
    size_t left = applying->reason_size;
    char *found;

    while (left >= TEXT_SIZE && (found = memmem(at, left, from, TEXT_SIZE))) {
        memcpy(found, to, TEXT_SIZE);
        left -= (size_t)(found - at) + TEXT_SIZE;
        at = found + TEXT_SIZE;
    }
}

/* The other name of a text that is padded with zeros. */
static const char *other_name(struct ww_policy_pseudonyms *pseudonyms,
                              const char text[WW_HASH_TEXT_SIZE])
{
    uint8_t message[KEY_SIZE + WW_HASH_TEXT_SIZE];
    struct ww_hash hash;
    struct known *known;
    uint64_t place;

    memcpy(&place, text, sizeof(place)); /* ids are hashes: any bytes of them will do */
    known = &pseudonyms->known[(place * 0x9e3779b97f4a7c15ULL) >> 54];
    _Static_assert(KNOWN_COUNT == 1 << 10, "the place has 10 bits");
    if (memcmp(known->text, text, WW_HASH_TEXT_SIZE) != 0) {
        memcpy(message, pseudonyms->key, KEY_SIZE);
        memcpy(message + KEY_SIZE, text, WW_HASH_TEXT_SIZE);
        ww_sha256(message, sizeof(message), &hash);
        ww_hash_format(&hash, known->other);
        memcpy(known->text, text, WW_HASH_TEXT_SIZE);
    }
    return known->other;
}

/* The text may be cut by the end of what is kept: behind that there are zeros. */
static void rename_text(const struct applying *applying, char *text)
{
    size_t size = WW_MIN((size_t)(applying->end - text), (size_t)WW_HASH_TEXT_SIZE);
    char whole[WW_HASH_TEXT_SIZE] = {0};
    const char *other;

    if (!text[0])
        return;
    memcpy(whole, text, size);
    other = other_name(applying->pseudonyms, whole);
    if (applying->reason_size > 0 && whole[TEXT_SIZE - 1])
        rename_in_reason(applying, whole, other);
    memcpy(text, other, WW_MIN(size, (size_t)TEXT_SIZE));
}

static void rename_fields(const struct applying *applying, const struct ww_policy_struct *type,
                          char *data);

static void rename_items(const struct applying *applying, const struct ww_policy_field *field,
                         char *data)
{
    const struct ww_policy_struct *item = field->type();
    uint32_t count = 0;

    if (data + field->count_offset + sizeof(count) > applying->end)
        return; /* cut off: the list is empty */
    memcpy(&count, data + field->count_offset, sizeof(count));
    for (uint32_t index = 0; index < count && index < field->max; index++)
        rename_fields(applying, item, data + field->offset + index * item->size);
}

static void rename_fields(const struct applying *applying, const struct ww_policy_struct *type,
                          char *data)
{
    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_field *field = &type->fields[index];
        char *at = data + field->offset;

        if (at >= applying->end)
            continue;
        if (field->kind == WW_FIELD_TEXT && field->size == WW_HASH_TEXT_SIZE)
            rename_text(applying, at);
        else if (field->kind == WW_FIELD_INNER)
            rename_fields(applying, field->type(), at);
        else if (field->kind == WW_FIELD_LIST)
            rename_items(applying, field, data);
    }
}

/* Each text in a key that may be an id: a policy builds its keys of what it likes. */
static void rename_key(struct ww_policy_pseudonyms *pseudonyms, char *key, size_t size_max)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    size_t size = strnlen(key, WW_MIN(size_max, (size_t)WW_HOOK_KEY_SIZE - 1));
    char whole[WW_HASH_TEXT_SIZE] = {0};

    for (size_t at = 0; at + TEXT_SIZE <= size;) {
        size_t run = strspn(key + at, alphabet);

        if (run < TEXT_SIZE) {
            at += run + 1;
            continue;
        }
        at += run - TEXT_SIZE; /* what is before an id may look like a part of it */
        memcpy(whole, key + at, TEXT_SIZE);
        memcpy(key + at, other_name(pseudonyms, whole), TEXT_SIZE);
        at += TEXT_SIZE;
    }
}

void ww_policy_pseudonyms_memory(struct ww_policy_pseudonyms *pseudonyms, char *entries,
                                 size_t count)
{
    for (size_t index = 0; index < count; index++)
        rename_key(pseudonyms,
                   entries + index * sizeof(struct ww_policy_memory_entry) +
                       offsetof(struct ww_policy_memory_entry, key),
                   WW_HOOK_KEY_SIZE);
}

/* The items are the last of what is kept, and may be cut behind the zeros of their keys. */
static void rename_writes(struct ww_policy_pseudonyms *pseudonyms,
                          const struct ww_policy_struct *type, char *result, size_t result_size)
{
    const struct ww_policy_field *remember = &type->fields[type->field_count - 1];
    uint32_t count;

    if (remember->offset > result_size)
        return; /* cut off: the list is empty */
    memcpy(&count, result + remember->count_offset, sizeof(count));
    for (uint32_t index = 0; index < count; index++) {
        size_t at = remember->offset + index * sizeof(struct ww_hook_memory_write) +
                    offsetof(struct ww_hook_memory_write, key);

        if (at < result_size)
            rename_key(pseudonyms, result + at, result_size - at);
    }
}

void ww_policy_pseudonyms_apply(struct ww_policy_pseudonyms *pseudonyms,
                                const struct ww_policy_hook *hook, char *input, size_t input_size,
                                char *result, size_t result_size)
{
    struct applying applying = {.pseudonyms = pseudonyms, .end = input + input_size};
    const struct ww_policy_field *reason = ww_policy_field_find(hook->result(), "reason");

    if (reason && reason->offset + TEXT_SIZE <= result_size) {
        applying.reason = result + reason->offset;
        applying.reason_size =
            strnlen(applying.reason, WW_MIN(reason->size, result_size - reason->offset));
    }
    rename_fields(&applying, hook->input(), input);
    rename_writes(pseudonyms, hook->result(), result, result_size);
}
