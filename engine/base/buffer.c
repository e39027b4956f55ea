/* Buffers on huge pages. Where a page is costs more to find than its bytes cost to copy, most of
 * all in a virtual machine, whose pages are looked up twice; a huge page is found once for 2 MiB.
 *
 * Up to 1 MiB they are cut from one arena, in whole pages, and go back to it; it never shrinks.
 * Larger ones are mappings of their own. Sanitizers see where each ends, and what is free.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "alloc_room.h"
#include "ww/limits.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

#define PAGE        4096
#define HUGE_PAGE   (2UL << 20)
#define LARGEST     (1UL << 20) /* of the arena's */
#define PAGES(size) (((size) + PAGE - 1) / PAGE)

struct free_block {
    struct free_block *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* over all that follows */
static uint8_t *arena, *arena_end, *arena_next;
static bool has_no_arena;                             /* it could not be had */
static struct free_block *blocks[PAGES(LARGEST) + 1]; /* by their pages */

/* Memory is taken as it is touched. NULL without address space. */
static uint8_t *map(size_t size)
{
    uint8_t *all = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)all % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0)
        munmap(all, before);
    munmap(all + before + size, HUGE_PAGE - before);
    madvise(all + before, size, MADV_HUGEPAGE); /* without them it does as well, slower */
    return all + before;
}

static bool is_of_arena(const void *buffer)
{
    return arena && (const uint8_t *)buffer >= arena && (const uint8_t *)buffer < arena_end;
}

static void *take(size_t pages)
{
    struct free_block *block = blocks[pages];
    if (block) {
        ASAN_UNPOISON_MEMORY_REGION(block, sizeof *block);
        blocks[pages] = block->next;
        return block;
    }
    if (!arena && !has_no_arena) {
        arena = arena_next = map(WW_BUFFER_ARENA_BYTES);
        arena_end = arena ? arena + WW_BUFFER_ARENA_BYTES : NULL;
        has_no_arena = !arena;
    }
    if (!arena || (size_t)(arena_end - arena_next) < pages * PAGE)
        return NULL;
    arena_next += pages * PAGE;
    return arena_next - pages * PAGE;
}

static size_t rounded(size_t size)
{
    return (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

void *ww_buffer_alloc(size_t size)
{
    void *buffer = NULL;
    if (size == 0 || size > SIZE_MAX / 2 || ww_alloc_is_refused())
        return NULL;
    if (size > LARGEST) {
        buffer = map(rounded(size));
        if (buffer)
            ASAN_POISON_MEMORY_REGION((uint8_t *)buffer + size, rounded(size) - size);
        return buffer;
    }
    pthread_mutex_lock(&mutex);
    buffer = take(PAGES(size));
    pthread_mutex_unlock(&mutex);
    if (!buffer)
        return ww_realloc(NULL, size, 1);
    ASAN_POISON_MEMORY_REGION(buffer, PAGES(size) * PAGE);
    ASAN_UNPOISON_MEMORY_REGION(buffer, size);
    return buffer;
}

void ww_buffer_free(void *buffer, size_t size)
{
    struct free_block *block = buffer;
    if (!buffer)
        return;
    if (size > LARGEST) {
        ASAN_UNPOISON_MEMORY_REGION(buffer, rounded(size));
        munmap(buffer, rounded(size));
        return;
    }
    pthread_mutex_lock(&mutex);
    bool is_own = is_of_arena(buffer);
    if (is_own) {
        if (size < sizeof *block)
            ASAN_UNPOISON_MEMORY_REGION(block, sizeof *block);
        block->next = blocks[PAGES(size)];
        blocks[PAGES(size)] = block;
        ASAN_POISON_MEMORY_REGION(block, PAGES(size) * PAGE);
    }
    pthread_mutex_unlock(&mutex);
    if (!is_own)
        ww_free(buffer);
}
