/* Inside of the room: traffic for `ww demo` and benchmarks: content that can be computed anywhere,
 * an HTTP origin that gives and takes it, and transfers that measure.
 */
#pragma once
#include <sys/queue.h>

#include "ww/crypto.h"
#include "ww/http.h"
#include "ww/ops.h"

#define LOAD_BYTES_MAX     (1ULL << 40) /* one transfer: an hour at 2.4 Gbit/s */
#define LOAD_TRANSFERS_MAX 16           /* at once: each holds half a MiB of buffers */
#define LOAD_BLOCK_WORDS   ((size_t)128 * 1024)
#define LOAD_BLOCK_BYTES   (LOAD_BLOCK_WORDS * sizeof(uint64_t)) /* 1 MiB: stays in the L2 cache */
#define LOAD_SEED_MAX      ((1ULL << 53) - 1)                    /* exact as a Lua number */

/* --- load_content.c -------------------------------------------------------------------------- */

/* Pseudo-random bytes of a seed, by position: a block that is repeated, each time XORed with a word
 * of its own, so that no two places look alike. About as fast as memcpy. */
struct load_content {
    uint64_t block[LOAD_BLOCK_WORDS];
};
struct load_content *load_content_create(uint64_t seed); /* NULL: no memory */
void load_content_destroy(struct load_content *content);
void load_content_fill(const struct load_content *content, uint64_t position, uint8_t *out,
                       size_t size);

/* A stretch of content as the source of a body. */
struct load_source {
    struct load_content *content;
    uint64_t position, end;
};
/* Fills `source` with reader, state and its end; the state is freed by its done. WW_ENOMEM. */
int load_source_create(uint64_t seed, uint64_t bytes, struct ww_http_source *source);

/* --- load_origin.c --------------------------------------------------------------------------- */

struct load_origin;
/* Plaintext HTTP/1.1 on `listen`: GET /down?bytes=&seed=, GET /sha256?bytes=&seed= (the hash of the
 * same), POST /up (answers with size and hash of what came), GET /. */
int load_origin_create(struct ww_loop *loop, const char *listen, struct load_origin **origin);
uint16_t load_origin_port(const struct load_origin *origin);
void load_origin_destroy(struct load_origin *origin); /* NULL is fine */

/* --- load.c ---------------------------------------------------------------------------------- */

struct load_transfer;

struct load {
    struct ww_ops *ops;
    struct ww_loop *loop;
    struct load_origin *origin;
    LIST_HEAD(, load_transfer) transfers;
    size_t transfer_count;
    uint64_t last_id;
};
