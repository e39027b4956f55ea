/* What an inspecting process may say, and what it is asked: whatever is taken is whole, in its
 * limits, and has one encoding. */
#include <stdlib.h>
#include <string.h>

#include "inspect_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_names(const uint8_t *data, size_t size)
{
    static struct inspect_names names;
    static uint8_t bytes[INSPECT_NAMES_BYTES];
    struct ww_buf buf = {.data = bytes, .capacity = sizeof(bytes), .limit = sizeof(bytes)};

    if (inspect_names_read(data, size, &names))
        return;
    check(names.count > 0 && names.count <= WW_INSPECT_APPLICATIONS);
    for (size_t i = 0; i < names.count; i++) {
        size_t length = strlen(names.text[i]);
        check(length > 0 && length <= INSPECT_NAME_MAX);
        check(strpbrk(names.text[i], " \n\x1b\x7f") == NULL);
    }
    inspect_names_write(&names, &buf);
    check(!buf.error && buf.size == size && memcmp(bytes, data, size) == 0);
}

static void check_answer(const uint8_t *data, size_t size)
{
    static const struct inspect_names names = {.count = 300};
    uint8_t bytes[INSPECT_ANSWER_BYTES];
    struct inspect_answer answer;

    if (inspect_answer_read(data, size, &names, &answer))
        return;
    check(answer.slot < INSPECT_SLOTS && answer.application < 300 && answer.protocol < 300);
    check(strspn(answer.host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(answer.host));
    check(inspect_answer_write(&answer, bytes) == size && memcmp(bytes, data, size) == 0);
}

static void check_head(const uint8_t *data, size_t size)
{
    uint8_t bytes[INSPECT_HEAD_BYTES];
    struct inspect_head head;

    if (inspect_head_read(data, size, &head))
        return;
    check(head.slot < INSPECT_SLOTS && size - sizeof(bytes) <= WW_INSPECT_PACKET_BYTES);
    inspect_head_write(&head, bytes);
    check(memcmp(bytes, data, sizeof(bytes)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A block of its own, so that a read past its end is seen. */
    uint8_t *bytes = ww_alloc(1, WW_MAX(size, (size_t)1));

    check(bytes != NULL);
    memcpy(bytes, data, size);
    check_names(bytes, size);
    check_answer(bytes, size);
    check_head(bytes, size);
    ww_free(bytes);
    return 0;
}
