/* What the user has blocked: hosts with all below them, addresses, applications. Relies on store.
 * Key: 'B' + text -> since_s(8). */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "flows_room.h"

#define KIND 'B'

const char *block_word(enum block_kind kind)
{
    static const char *words[] = {"host", "address", "application"};
    return words[kind];
}

/* A name has a dot, or it would be an application. */
static int read_block(const char *text, struct block *block)
{
    size_t size = strlen(text);

    memset(block, 0, sizeof(*block));
    if (size > 1 && text[size - 1] == '.')
        size--;
    if (size == 0 || size >= sizeof(block->text))
        return WW_EINVAL;
    if (ww_prefix_parse(text, &block->prefix) == 0) {
        block->kind = BLOCK_PREFIX;
        memcpy(block->text, text, size);
        return 0;
    }
    block->kind = memchr(text, '.', size) ? BLOCK_HOST : BLOCK_APPLICATION;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (!isalnum(byte) && !strchr("-_.", byte) && (block->kind == BLOCK_HOST || byte != '+'))
            return WW_EINVAL;
        block->text[i] = block->kind == BLOCK_HOST ? (char)tolower(byte) : (char)byte;
    }
    if (block->kind == BLOCK_HOST && (text[0] == '.' || strstr(block->text, "..")))
        return WW_EINVAL;
    return 0;
}

static struct block *find(struct flows *flows, const struct block *wanted)
{
    for (size_t i = 0; i < flows->blocks_count; i++) {
        struct block *block = &flows->blocks[i];
        if (block->kind == wanted->kind && strcasecmp(block->text, wanted->text) == 0)
            return block;
    }
    return NULL;
}

/* --- state ------------------------------------------------------------------------------------ */

static int recall(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                  size_t value_size)
{
    struct flows *flows = arg;
    char text[BLOCK_TEXT_SIZE];
    struct ww_cursor cursor;
    struct block block;

    if (key_size > sizeof(text) || flows->blocks_count >= WW_FLOW_BLOCKS_MAX)
        return 0;
    memcpy(text, key + 1, key_size - 1);
    text[key_size - 1] = '\0';
    ww_cursor_init(&cursor, value, value_size);
    if (read_block(text, &block))
        return 0;
    block.since_s = ww_cursor_u64(&cursor);
    flows->blocks[flows->blocks_count++] = block;
    return 0;
}

int blocks_load(struct edge *edge)
{
    static const char prefix[] = {KIND};

    edge->flows->blocks = ww_alloc(WW_FLOW_BLOCKS_MAX, sizeof(struct block));
    if (!edge->flows->blocks)
        return WW_ENOMEM;
    return ww_store_scan(edge->store, prefix, sizeof(prefix), recall, edge->flows);
}

static int write_block(struct edge *edge, const struct block *block, bool is_new, ww_commit_fn fn,
                       void *arg)
{
    char key[1 + BLOCK_TEXT_SIZE] = {KIND};
    struct ww_store_batch *batch = NULL;
    size_t size = strlen(block->text);
    uint8_t value[8];

    memcpy(key + 1, block->text, size);
    for (int i = 0; i < 8; i++)
        value[i] = (uint8_t)(block->since_s >> (56 - 8 * i));
    int rc = ww_store_batch_create(&batch);
    if (rc)
        return rc;
    if (is_new)
        ww_store_batch_put(batch, key, 1 + size, value, sizeof(value));
    else
        ww_store_batch_delete(batch, key, 1 + size);
    return ww_committer_submit(edge->committer, batch, fn, arg);
}

int blocks_add(struct edge *edge, const char *text, ww_commit_fn fn, void *arg)
{
    struct flows *flows = edge->flows;
    struct block block;
    int rc = read_block(text, &block);

    if (rc)
        return rc;
    if (find(flows, &block))
        return WW_EEXIST;
    if (flows->blocks_count >= WW_FLOW_BLOCKS_MAX)
        return WW_ELIMIT;
    block.since_s = ww_clock_wall_ms() / 1000;
    rc = write_block(edge, &block, true, fn, arg);
    if (!rc)
        flows->blocks[flows->blocks_count++] = block;
    return rc;
}

int blocks_remove(struct edge *edge, const char *text, ww_commit_fn fn, void *arg)
{
    struct flows *flows = edge->flows;
    struct block wanted, *block;
    int rc = read_block(text, &wanted);

    if (rc)
        return rc;
    block = find(flows, &wanted);
    if (!block)
        return WW_ENOTFOUND;
    rc = write_block(edge, block, false, fn, arg);
    if (!rc)
        *block = flows->blocks[--flows->blocks_count];
    return rc;
}

/* --- verdicts --------------------------------------------------------------------------------- */

/* The name itself, or one below it. */
static bool is_below(const char *name, const char *host)
{
    size_t name_size = strlen(name), host_size = strlen(host);

    return name_size >= host_size && strcmp(name + name_size - host_size, host) == 0 &&
           (name_size == host_size || name[name_size - host_size - 1] == '.');
}

bool flows_blocked(struct edge *edge, const struct verdict_about *about,
                   const struct ww_hook_flow_request *request)
{
    const struct ww_dest *dest = about->dest;
    uint8_t address[16] = {0};

    if (!edge->flows || edge->flows->blocks_count == 0)
        return false;
    if (dest->kind == WW_DEST_IPV4)
        ww_address_map(dest->address, address);
    else
        memcpy(address, dest->address, sizeof(address));
    for (size_t i = 0; i < edge->flows->blocks_count; i++) {
        const struct block *block = &edge->flows->blocks[i];
        bool is_it = false;
        switch (block->kind) {
        case BLOCK_HOST:
            is_it = is_below(request->name, block->text);
            break;
        case BLOCK_PREFIX:
            is_it = dest->kind != WW_DEST_NAME && ww_prefix_contains(&block->prefix, address);
            break;
        case BLOCK_APPLICATION:
            is_it = strcasecmp(request->application, block->text) == 0;
            break;
        }
        if (is_it)
            return true;
    }
    return false;
}
