/* uthash, set up for this room: our allocator, and no exit when memory runs out.
 *
 * After an add that failed, the element's hh.tbl is NULL and the table is as it was.
 */
#pragma once
#include "ww/base.h"

#define HASH_NONFATAL_OOM            1
#define uthash_malloc(size)          ww_alloc(1, (size))
#define uthash_free(pointer, size)   ww_free(pointer)
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>
