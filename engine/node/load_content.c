/* The content of test traffic. Must stay the same for a seed and a position in every version: two
 * ends of a transfer compute it independently. Words are in the machine's byte order.
 */
#include <string.h>

#include "load.h"

/* Odd, so that every block gets another word: 2^64 divided by the golden ratio. */
#define BLOCK_STEP 0x9e3779b97f4a7c15ULL

struct load_content *load_content_create(uint64_t seed)
{
    struct load_content *content = ww_alloc(1, sizeof(*content));
    struct ww_prng prng;

    if (!content)
        return NULL;
    ww_prng_seed(&prng, seed);
    for (size_t index = 0; index < LOAD_BLOCK_WORDS; index++)
        content->block[index] = ww_prng_next(&prng);
    return content;
}

void load_content_destroy(struct load_content *content)
{
    ww_free(content);
}

/* One word at any position, in part: the edges of a piece that isn't aligned. */
static size_t fill_edge(const struct load_content *content, uint64_t position, uint8_t *out,
                        size_t size)
{
    size_t skip = position % sizeof(uint64_t);
    size_t part = WW_MIN(size, sizeof(uint64_t) - skip);
    uint64_t index = position / sizeof(uint64_t);
    uint64_t word =
        content->block[index % LOAD_BLOCK_WORDS] ^ (index / LOAD_BLOCK_WORDS * BLOCK_STEP);

    memcpy(out, (const uint8_t *)&word + skip, part);
    return part;
}

/* Whole words of one block. */
static void fill_words(const uint64_t *block, uint64_t mask, uint8_t *out, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        uint64_t word = block[index] ^ mask;
        memcpy(out + index * sizeof(word), &word, sizeof(word));
    }
}

void load_content_fill(const struct load_content *content, uint64_t position, uint8_t *out,
                       size_t size)
{
    while (size) {
        uint64_t index = position / sizeof(uint64_t);
        size_t first = index % LOAD_BLOCK_WORDS;
        size_t count = WW_MIN(size / sizeof(uint64_t), LOAD_BLOCK_WORDS - first);
        size_t part = count * sizeof(uint64_t);

        if (position % sizeof(uint64_t) || count == 0)
            part = fill_edge(content, position, out, size);
        else
            fill_words(content->block + first, index / LOAD_BLOCK_WORDS * BLOCK_STEP, out, count);
        position += part;
        out += part;
        size -= part;
    }
}

static ptrdiff_t source_read(void *arg, uint8_t *out, size_t capacity)
{
    struct load_source *source = arg;
    size_t size = (size_t)WW_MIN((uint64_t)capacity, source->end - source->position);

    load_content_fill(source->content, source->position, out, size);
    source->position += size;
    return (ptrdiff_t)size;
}

static void source_done(void *arg, int code)
{
    struct load_source *source = arg;

    (void)code; /* the connection's end is told by others */
    load_content_destroy(source->content);
    ww_free(source);
}

int load_source_create(uint64_t seed, uint64_t bytes, struct ww_http_source *out)
{
    struct load_source *source = ww_alloc(1, sizeof(*source));

    if (!source)
        return WW_ENOMEM;
    source->end = bytes;
    source->content = load_content_create(seed);
    if (!source->content) {
        ww_free(source);
        return WW_ENOMEM;
    }
    *out = (struct ww_http_source){.read = source_read, .done = source_done, .arg = source};
    return 0;
}
