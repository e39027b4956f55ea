/* The ring of recent decisions. See policy_journal.h.
 *
 * A chunk is only ever appended to, and never moves, so that a view can be read on another thread
 * while the journal goes on: the view holds its chunks and knows how far each was filled. Records
 * hold no room that a struct's lists don't use: see compact.h.
 */
#include "ww/policy_journal.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compact.h"
#include "pseudonym.h"

#define AGE_CHUNKS  8 /* a chunk spans an eighth of the age at most: so late may it be freed */
#define CHUNKS_MIN  (2 * AGE_CHUNKS)
#define NUMBER_BITS 48

struct entry {
    uint64_t id, number, now_s, seed, instructions;
    const struct ww_policy_threshold *thresholds; /* borrowed */
    uint64_t threshold_count;
    int32_t kind;
    uint32_t input_size, result_size; /* as kept */
    uint16_t hook;
    uint8_t fallback;
    uint8_t memory_count;
};

struct chunk {
    unsigned references; /* by the journal and by views */
    size_t used;
    uint64_t records;
    uint64_t first_id;
    uint64_t first_s, last_s;
    alignas(uint64_t) char bytes[WW_POLICY_CHUNK_BYTES];
};

_Static_assert(WW_HOOK_COUNT <= 64, "leave_out has a bit for each hook");
/* Any record fits. */
_Static_assert(sizeof(struct entry) + 2 * sizeof(union ww_hook_any) +
                       WW_POLICY_MEMORY_MAX * sizeof(struct ww_policy_memory_entry) <=
                   WW_POLICY_CHUNK_BYTES,
               "WW_POLICY_CHUNK_BYTES");

/* Of a hook. */
struct shapes {
    struct ww_policy_shape input, result;
    bool names_nodes;
};

struct ww_policy_journal {
    struct ww_policy_journal_options options;
    struct ww_policy_pseudonyms *pseudonyms; /* NULL: none */
    size_t chunks_max;
    size_t first, count;
    uint64_t lost;
    struct shapes shapes[WW_HOOK_COUNT];
    struct chunk *chunks[]; /* a ring of chunks_max */
};

struct ww_policy_view {
    uint64_t since_s;
    size_t chunk, at; /* where the next record is */
    size_t count;
    size_t before_count; /* where records of this chunk are that come before `at`; 0: not known */
    uint32_t before[WW_POLICY_CHUNK_BYTES / sizeof(struct entry)];
    struct shapes shapes[WW_HOOK_COUNT];
    union ww_hook_any input, result;
    struct ww_policy_memory_entry memory[WW_POLICY_MEMORY_MAX];
    struct {
        struct chunk *chunk;
        size_t used;
    } chunks[];
};

static void release(struct chunk *chunk)
{
    if (--chunk->references == 0)
        ww_free(chunk);
}

int ww_policy_journal_create(const struct ww_policy_journal_options *options,
                             struct ww_policy_journal **journal)
{
    size_t chunks = (options->bytes_max + WW_POLICY_CHUNK_BYTES - 1) / WW_POLICY_CHUNK_BYTES;
    struct ww_policy_journal *made;

    chunks = WW_MAX(chunks, CHUNKS_MIN);
    made = ww_alloc(1, sizeof(*made) + chunks * sizeof(made->chunks[0]));
    if (!made)
        return WW_ENOMEM;
    made->options = *options;
    made->chunks_max = chunks;
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++) {
        ww_policy_shape_of(ww_policy_hooks[hook].input(), &made->shapes[hook].input);
        ww_policy_shape_of(ww_policy_hooks[hook].result(), &made->shapes[hook].result);
        made->shapes[hook].names_nodes = ww_policy_names_nodes(ww_policy_hooks[hook].input());
    }
    if (options->pseudonyms && ww_policy_pseudonyms_create(&made->pseudonyms)) {
        ww_free(made);
        return WW_ENOMEM;
    }
    *journal = made;
    return 0;
}

static struct chunk *chunk_at(const struct ww_policy_journal *journal, size_t index)
{
    return journal->chunks[(journal->first + index) % journal->chunks_max];
}

static void drop_first(struct ww_policy_journal *journal)
{
    release(chunk_at(journal, 0));
    journal->first = (journal->first + 1) % journal->chunks_max;
    journal->count--;
}

void ww_policy_journal_destroy(struct ww_policy_journal *journal)
{
    if (!journal)
        return;
    while (journal->count > 0)
        drop_first(journal);
    ww_policy_pseudonyms_destroy(journal->pseudonyms);
    ww_free(journal);
}

/* --- adding ------------------------------------------------------------------------------- */

/* The chunk that has room, at the ring's end; NULL without memory. */
static struct chunk *room_for(struct ww_policy_journal *journal, size_t size, uint64_t now_s)
{
    struct chunk *last = journal->count > 0 ? chunk_at(journal, journal->count - 1) : NULL;
    struct chunk *made;

    if (last && last->used + size <= sizeof(last->bytes) &&
        now_s <= last->first_s + journal->options.age_s_max / AGE_CHUNKS)
        return last;
    if (journal->count == journal->chunks_max)
        drop_first(journal);
    made = ww_alloc(1, sizeof(*made));
    if (!made)
        return NULL;
    made->references = 1;
    made->first_s = now_s;
    journal->chunks[(journal->first + journal->count) % journal->chunks_max] = made;
    journal->count++;
    return made;
}

static size_t memory_size(const struct entry *entry)
{
    return entry->memory_count * sizeof(struct ww_policy_memory_entry);
}

/* Of a record with its header. The memory comes last. */
static size_t entry_size(const struct entry *entry)
{
    return sizeof(*entry) + entry->input_size + entry->result_size + memory_size(entry);
}

static void rename_all(struct ww_policy_journal *journal, const struct entry *entry, char *at)
{
    char *input = at + sizeof(*entry), *result = input + entry->input_size;
    const struct ww_policy_kept_decision kept = {
        .hook = &ww_policy_hooks[entry->hook],
        .names_nodes = journal->shapes[entry->hook].names_nodes,
        .result_shape = &journal->shapes[entry->hook].result,
        .input = input,
        .input_size = entry->input_size,
        .result = result,
        .result_size = entry->result_size,
    };

    ww_policy_pseudonyms_apply(journal->pseudonyms, &kept);
    ww_policy_pseudonyms_memory(journal->pseudonyms, result + entry->result_size,
                                entry->memory_count);
}

void ww_policy_journal_add(struct ww_policy_journal *journal, const struct ww_policy_record *record)
{
    const struct shapes *shapes = &journal->shapes[record->hook];
    struct ww_policy_pieces input, result;
    struct entry entry = {
        .id = record->id,
        .number = record->number,
        .now_s = record->now_s,
        .seed = record->seed,
        .instructions = record->instructions,
        .thresholds = record->thresholds,
        .threshold_count = record->threshold_count,
        .kind = record->kind,
        .hook = (uint16_t)record->hook,
        .fallback = record->fallback,
        .memory_count = (uint8_t)record->memory_count,
    };
    struct chunk *chunk;
    size_t size;
    char *at;

    if (journal->options.leave_out >> record->hook & 1)
        return;
    ww_policy_compact(&shapes->input, record->input, &input);
    ww_policy_compact(&shapes->result, record->result, &result);
    entry.input_size = (uint32_t)input.size;
    entry.result_size = (uint32_t)result.size;
    size = entry_size(&entry);
    chunk = room_for(journal, size, record->now_s);
    if (!chunk) {
        journal->lost++;
        return;
    }
    at = chunk->bytes + chunk->used;
    memcpy(at, &entry, sizeof(entry));
    ww_policy_compact_copy(&input, record->input, at + sizeof(entry));
    ww_policy_compact_copy(&result, record->result, at + sizeof(entry) + entry.input_size);
    if (entry.memory_count > 0)
        memcpy(at + size - memory_size(&entry), record->memory, memory_size(&entry));
    if (journal->pseudonyms)
        rename_all(journal, &entry, at);
    if (chunk->records++ == 0)
        chunk->first_id = entry.id;
    chunk->last_s = WW_MAX(chunk->last_s, entry.now_s);
    chunk->used += size;
}

static uint64_t oldest_s(const struct ww_policy_journal *journal, uint64_t now_s)
{
    return now_s > journal->options.age_s_max ? now_s - journal->options.age_s_max : 0;
}

void ww_policy_journal_prune(struct ww_policy_journal *journal, uint64_t now_s)
{
    while (journal->count > 0 && chunk_at(journal, 0)->last_s < oldest_s(journal, now_s))
        drop_first(journal);
}

void ww_policy_journal_counters(const struct ww_policy_journal *journal,
                                struct ww_policy_journal_counters *counters)
{
    *counters = (struct ww_policy_journal_counters){.lost = journal->lost};
    for (size_t index = 0; index < journal->count; index++) {
        counters->records += chunk_at(journal, index)->records;
        counters->bytes += sizeof(struct chunk);
    }
}

/* --- reading ------------------------------------------------------------------------------ */

int ww_policy_view_create(struct ww_policy_journal *journal, uint64_t now_s, uint64_t since_s,
                          struct ww_policy_view **view)
{
    struct ww_policy_view *made =
        ww_alloc(1, sizeof(*made) + journal->count * sizeof(made->chunks[0]));

    if (!made)
        return WW_ENOMEM;
    made->since_s = WW_MAX(since_s, oldest_s(journal, now_s));
    memcpy(made->shapes, journal->shapes, sizeof(made->shapes));
    for (size_t index = 0; index < journal->count; index++) {
        struct chunk *chunk = chunk_at(journal, index);

        if (chunk->last_s < made->since_s)
            continue;
        chunk->references++;
        made->chunks[made->count].chunk = chunk;
        made->chunks[made->count].used = chunk->used;
        made->count++;
    }
    *view = made;
    return 0;
}

void ww_policy_view_destroy(struct ww_policy_view *view)
{
    if (!view)
        return;
    for (size_t index = 0; index < view->count; index++)
        release(view->chunks[index].chunk);
    ww_free(view);
}

void ww_policy_view_rewind(struct ww_policy_view *view)
{
    view->chunk = 0;
    view->at = 0;
    view->before_count = 0;
}

void ww_policy_view_end(struct ww_policy_view *view)
{
    view->chunk = view->count;
    view->at = 0;
    view->before_count = 0;
}

static void fill(struct ww_policy_view *view, const struct entry *entry, const char *kept,
                 struct ww_policy_record *record)
{
    const struct shapes *shapes = &view->shapes[entry->hook];

    ww_policy_expand(&shapes->input, kept, entry->input_size, &view->input);
    ww_policy_expand(&shapes->result, kept + entry->input_size, entry->result_size, &view->result);
    memcpy(view->memory, kept + entry->input_size + entry->result_size, memory_size(entry));
    *record = (struct ww_policy_record){
        .id = entry->id,
        .number = entry->number,
        .now_s = entry->now_s,
        .seed = entry->seed,
        .instructions = entry->instructions,
        .hook = (enum ww_hook)entry->hook,
        .kind = entry->kind,
        .fallback = entry->fallback,
        .input = &view->input,
        .result = &view->result,
        .memory = view->memory,
        .memory_count = entry->memory_count,
        .thresholds = entry->thresholds,
        .threshold_count = entry->threshold_count,
    };
}

bool ww_policy_view_next(struct ww_policy_view *view, struct ww_policy_record *record)
{
    view->before_count = 0;
    while (view->chunk < view->count) {
        const char *at = view->chunks[view->chunk].chunk->bytes + view->at;
        struct entry entry;

        if (view->at >= view->chunks[view->chunk].used) {
            view->chunk++;
            view->at = 0;
            continue;
        }
        memcpy(&entry, at, sizeof(entry));
        view->at += entry_size(&entry);
        if (entry.now_s < view->since_s)
            continue;
        fill(view, &entry, at + sizeof(entry), record);
        return true;
    }
    return false;
}

/* Notes where the records before `at` are, of the chunk before if there are none in this one: sizes
 * can only be read forwards. */
static bool look_before(struct ww_policy_view *view)
{
    const char *bytes;
    struct entry entry;

    if (view->at == 0) {
        if (view->chunk == 0)
            return false;
        view->chunk--;
        view->at = view->chunks[view->chunk].used;
    }
    bytes = view->chunks[view->chunk].chunk->bytes;
    for (size_t at = 0; at < view->at; at += entry_size(&entry)) {
        memcpy(&entry, bytes + at, sizeof(entry));
        view->before[view->before_count++] = (uint32_t)at;
    }
    return true;
}

bool ww_policy_view_previous(struct ww_policy_view *view, struct ww_policy_record *record)
{
    while (view->before_count > 0 || look_before(view)) {
        const char *at;
        struct entry entry;

        if (view->before_count == 0)
            continue;
        view->at = view->before[--view->before_count];
        at = view->chunks[view->chunk].chunk->bytes + view->at;
        memcpy(&entry, at, sizeof(entry));
        if (entry.now_s < view->since_s)
            continue;
        fill(view, &entry, at + sizeof(entry), record);
        return true;
    }
    return false;
}

/* The chunk that has the decision, if any has. */
static void go_to(struct ww_policy_view *view, uint64_t id)
{
    ww_policy_view_rewind(view);
    while (view->chunk + 1 < view->count && view->chunks[view->chunk + 1].chunk->first_id <= id)
        view->chunk++;
}

bool ww_policy_view_find(struct ww_policy_view *view, uint64_t id, struct ww_policy_record *record)
{
    go_to(view, id);
    while (ww_policy_view_next(view, record)) {
        if (record->id == id)
            return true;
    }
    return false;
}

struct ww_policy_context ww_policy_record_context(const struct ww_policy_record *record)
{
    return (struct ww_policy_context){.now_s = record->now_s,
                                      .seed = record->seed,
                                      .memory = record->memory,
                                      .memory_count = record->memory_count,
                                      .thresholds = record->thresholds,
                                      .threshold_count = record->threshold_count};
}

/* --- names -------------------------------------------------------------------------------- */

void ww_policy_decision_format(uint64_t id, char text[WW_POLICY_DECISION_TEXT_SIZE])
{
    snprintf(text, WW_POLICY_DECISION_TEXT_SIZE, "%04x-%llu", (unsigned)(id >> NUMBER_BITS),
             (unsigned long long)(id & ((1ULL << NUMBER_BITS) - 1)));
}

int ww_policy_decision_parse(const char *text, uint64_t *id)
{
    unsigned long long number;
    char *end = NULL;

    if (strspn(text, "0123456789abcdef") != 4 || text[4] != '-' || text[5] < '0' || text[5] > '9')
        return WW_EINVAL;
    number = strtoull(text + 5, &end, 10);
    if (*end || strlen(text + 5) > 15 || number >> NUMBER_BITS)
        return WW_EINVAL;
    *id = (uint64_t)strtoul(text, NULL, 16) << NUMBER_BITS | number;
    return 0;
}
