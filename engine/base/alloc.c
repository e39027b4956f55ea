/* Memory for every room, and for the libraries that let us choose their allocator. It counts
 * allocations so that a test can fail the n-th one; it must never abort when memory runs out. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_room.h"

static atomic_uint_fast64_t allocation_count;
/* The count at which allocations begin to fail; 0 while they don't. */
static atomic_uint_fast64_t failing_from;

bool ww_alloc_is_refused(void)
{
    uint64_t index = atomic_fetch_add_explicit(&allocation_count, 1, memory_order_relaxed) + 1;
    uint64_t from = atomic_load_explicit(&failing_from, memory_order_relaxed);

    return from != 0 && index >= from;
}

void *ww_alloc(size_t count, size_t size)
{
    size_t total;

    /* calloc checks too, but a sanitizer's aborts. */
    if (__builtin_mul_overflow(count, size, &total) || ww_alloc_is_refused())
        return NULL;
    return calloc(1, total ? total : 1);
}

void *ww_realloc(void *block, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total) || ww_alloc_is_refused())
        return NULL;
    return realloc(block, total ? total : 1);
}

char *ww_strndup(const char *text, size_t size)
{
    char *copy;

    if (size == SIZE_MAX)
        return NULL;
    copy = ww_realloc(NULL, size + 1, 1);
    if (!copy)
        return NULL;
    if (size)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *ww_strdup(const char *text)
{
    return ww_strndup(text, strlen(text));
}

void ww_free(void *block)
{
    free(block);
}

void ww_wipe(void *block, size_t size)
{
    if (size)
        explicit_bzero(block, size);
}

bool ww_equal_ct(const void *a, const void *b, size_t size)
{
    const volatile uint8_t *left = a;
    const volatile uint8_t *right = b;
    uint8_t difference = 0;

    for (size_t i = 0; i < size; i++)
        difference |= (uint8_t)(left[i] ^ right[i]);
    return difference == 0;
}

void ww_alloc_fail_after(uint64_t n)
{
    uint64_t now = atomic_load(&allocation_count);

    atomic_store(&failing_from, n ? now + n : 0);
}

uint64_t ww_alloc_count(void)
{
    return atomic_load(&allocation_count);
}
