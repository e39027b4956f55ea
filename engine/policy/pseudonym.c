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
    char *base; /* the input, as it is kept … */
    const char *end;
    size_t cut;         /* … without so much that comes before */
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

static bool is_identity(const struct ww_policy_field *field)
{
    return field->kind == WW_FIELD_TEXT && field->size == WW_HASH_TEXT_SIZE;
}

/* Where the byte at `place` of the whole input is. */
static char *kept_at(const struct applying *applying, size_t place)
{
    return applying->base + place - applying->cut;
}

static void rename_fields(struct applying *applying, const struct ww_policy_struct *type,
                          size_t place);

static void rename_items(struct applying *applying, const struct ww_policy_field *field,
                         size_t place)
{
    const struct ww_policy_struct *item = field->type();
    const char *at = kept_at(applying, place + field->count_offset);
    uint32_t count = 0;

    if (at < applying->end) /* else cut off: the list is empty */
        memcpy(&count, at, WW_MIN((size_t)(applying->end - at), sizeof(count)));
    count = WW_MIN(count, (uint32_t)field->max);
    for (uint32_t index = 0; index < count; index++)
        rename_fields(applying, item, place + field->offset + index * item->size);
    applying->cut += (field->max - count) * item->size;
}

/* In the order of their places. */
static void rename_fields(struct applying *applying, const struct ww_policy_struct *type,
                          size_t place)
{
    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_field *field = &type->fields[index];

        if (kept_at(applying, place + field->offset) >= applying->end)
            break; /* as is all that comes after it */
        if (is_identity(field))
            rename_text(applying, kept_at(applying, place + field->offset));
        else if (field->kind == WW_FIELD_INNER)
            rename_fields(applying, field->type(), place + field->offset);
        else if (field->kind == WW_FIELD_LIST)
            rename_items(applying, field, place);
    }
}

bool ww_policy_names_nodes(const struct ww_policy_struct *type)
{
    bool names = false;

    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_field *field = &type->fields[index];

        names = names || is_identity(field);
        if (field->kind == WW_FIELD_INNER || field->kind == WW_FIELD_LIST)
            names = names || ww_policy_names_nodes(field->type());
    }
    return names;
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

/* The items are the last of what is kept, and may be cut behind the zeros of their keys. `at`:
 * where they begin. */
static void rename_writes(struct ww_policy_pseudonyms *pseudonyms,
                          const struct ww_policy_kept_decision *kept, size_t at)
{
    size_t size = sizeof(struct ww_hook_memory_write);

    for (at += offsetof(struct ww_hook_memory_write, key); at < kept->result_size; at += size)
        rename_key(pseudonyms, kept->result + at, kept->result_size - at);
}

static size_t result_at(const struct ww_policy_kept_decision *kept, size_t place)
{
    return ww_policy_kept_at(kept->result_shape, kept->result, kept->result_size, place);
}

void ww_policy_pseudonyms_apply(struct ww_policy_pseudonyms *pseudonyms,
                                const struct ww_policy_kept_decision *kept)
{
    const struct ww_policy_struct *type = kept->hook->result();
    const struct ww_policy_field *reason =
        kept->names_nodes ? ww_policy_field_find(type, "reason") : NULL;
    struct applying applying = {
        .pseudonyms = pseudonyms, .base = kept->input, .end = kept->input + kept->input_size};
    size_t at = reason ? result_at(kept, reason->offset) : kept->result_size;

    if (at + TEXT_SIZE <= kept->result_size) {
        applying.reason = kept->result + at;
        applying.reason_size =
            strnlen(applying.reason, WW_MIN(reason->size, kept->result_size - at));
    }
    if (kept->names_nodes)
        rename_fields(&applying, kept->hook->input(), 0);
    rename_writes(pseudonyms, kept, result_at(kept, type->fields[type->field_count - 1].offset));
}
