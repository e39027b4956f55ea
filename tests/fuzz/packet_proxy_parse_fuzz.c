/* The proxy's handshake: whatever comes, in one piece or byte by byte, gives the same steps, uses
 * no more than it was shown, and a target that is a target. The first byte picks the size of
 * pieces. */
#include <stdlib.h>
#include <string.h>

#include "proxy_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum ww_proxy_step step;
    unsigned answer;
    size_t consumed;
    struct ww_target target;
};

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void check_target(const struct ww_target *target)
{
    char text[WW_TARGET_TEXT_BYTES];
    struct ww_target again;

    ww_target_format(target, text);
    if (target->kind != WW_TARGET_NAME)
        return;
    check(ww_target_parse(target->name, strlen(target->name), target->port, &again) == 0);
    check(again.kind == WW_TARGET_NAME);
}

/* Shows the parser `piece` more bytes each time. */
static struct outcome run(const uint8_t *data, size_t size, size_t piece)
{
    struct ww_proxy_parser parser = {.dialect = WW_DIALECT_UNKNOWN};
    struct outcome outcome = {.step = WW_STEP_MORE};
    size_t shown = 0;

    while (shown < size || outcome.step == WW_STEP_GREETED) {
        size_t used;

        if (outcome.step != WW_STEP_GREETED)
            shown = WW_MIN(size, shown + piece);
        outcome.step = ww_proxy_parse(&parser, data + outcome.consumed, shown - outcome.consumed,
                                      &used, &outcome.answer);
        check(used <= shown - outcome.consumed && used <= WW_HTTP_HEAD_BYTES_MAX);
        check(outcome.step != WW_STEP_MORE || used == 0);
        outcome.consumed += used;
        if (outcome.step != WW_STEP_MORE && outcome.step != WW_STEP_GREETED)
            break;
    }
    outcome.target = parser.target;
    if (outcome.step == WW_STEP_CONNECT)
        check_target(&parser.target);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, pieces;

    if (size < 1)
        return 0;
    whole = run(data + 1, size - 1, SIZE_MAX / 2);
    pieces = run(data + 1, size - 1, 1 + data[0] % 7U);
    check(whole.step == pieces.step && whole.consumed == pieces.consumed &&
          whole.answer == pieces.answer);
    if (whole.step == WW_STEP_CONNECT)
        check(memcmp(whole.target.address, pieces.target.address, 16) == 0 &&
              strcmp(whole.target.name, pieces.target.name) == 0 &&
              whole.target.port == pieces.target.port);
    return 0;
}
