/* The footprint: see footprint.h. Relies on store. Key: 'F' + 'h' or 'd' + number of the hour or
 * day(4)
 * -> of each row by(1) || size of the key(1) || key || bytes up(8) || bytes down(8), the largest of
 * each kind first. The present hour and day are held in memory and written about once a minute;
 * what a crash may cost is that. */
#include "footprint.h"

#include <stdlib.h>
#include <string.h>

#include "edge.h"

#define KIND           'F'
#define RECORD_MAX     (FOOTPRINT_BYS * (WW_FOOTPRINT_KEYS + 1) * (18 + 255))
#define KEY_BYTES      6
#define HOUR_S         3600
#define DAY_S          86400
#define KEY_TEXT_BYTES 255

struct entry {
    uint32_t hash;
    char *key; /* owned */
    uint64_t up, down;
};

struct column {
    struct entry entries[WW_FOOTPRINT_KEYS];
    size_t count;
    uint64_t up, down; /* of all that have no entry */
};

struct period {
    char unit; /* 'h' or 'd' */
    uint32_t seconds;
    uint32_t keep; /* so many of them */
    uint32_t number;
    bool is_changed;
    struct column columns[FOOTPRINT_BYS];
};

struct footprint {
    struct edge *edge;
    struct period periods[2];
};

/* --- a period --------------------------------------------------------------------------------- */

static uint32_t number_now(const struct period *period)
{
    return (uint32_t)(ww_clock_wall_ms() / 1000 / period->seconds);
}

static void clear(struct period *period)
{
    for (int by = 0; by < FOOTPRINT_BYS; by++) {
        struct column *column = &period->columns[by];
        for (size_t i = 0; i < column->count; i++)
            ww_free(column->entries[i].key);
        memset(column, 0, sizeof(*column));
    }
    period->is_changed = false;
}

static uint32_t hash_of(const char *text)
{
    uint32_t hash = 2166136261U;
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619U;
    return hash;
}

static uint64_t total_of(const struct entry *entry)
{
    return entry->up + entry->down;
}

/* A new entry, in the place of the smallest when there are too many, which joins the others. */
static struct entry *add_entry(struct column *column, const char *key, uint32_t hash)
{
    char *copy = ww_strdup(key);
    struct entry *entry = &column->entries[0];

    if (!copy)
        return NULL;
    if (column->count < WW_FOOTPRINT_KEYS) {
        entry = &column->entries[column->count++];
    } else {
        for (size_t i = 1; i < column->count; i++) {
            if (total_of(&column->entries[i]) < total_of(entry))
                entry = &column->entries[i];
        }
        column->up += entry->up;
        column->down += entry->down;
        ww_free(entry->key);
    }
    *entry = (struct entry){.hash = hash, .key = copy};
    return entry;
}

static void count(struct period *period, int by, const char *key, uint64_t up, uint64_t down)
{
    struct column *column = &period->columns[by];
    struct entry *entry = NULL;

    period->is_changed = true;
    if (key && *key) {
        uint32_t hash = hash_of(key);
        for (size_t i = 0; i < column->count && !entry; i++) {
            if (column->entries[i].hash == hash && strcmp(column->entries[i].key, key) == 0)
                entry = &column->entries[i];
        }
        if (!entry)
            entry = add_entry(column, key, hash);
    }
    *(entry ? &entry->up : &column->up) += up;
    *(entry ? &entry->down : &column->down) += down;
}

/* --- state ------------------------------------------------------------------------------------ */

static void put_key(const struct period *period, uint32_t number, uint8_t key[KEY_BYTES])
{
    key[0] = KIND;
    key[1] = (uint8_t)period->unit;
    for (int i = 0; i < 4; i++)
        key[2 + i] = (uint8_t)(number >> (24 - 8 * i));
}

static int larger_first(const void *a, const void *b)
{
    uint64_t left = total_of(a), right = total_of(b);
    return left < right ? 1 : left > right ? -1 : 0;
}

static void put_row(struct ww_buf *out, int by, const char *key, uint64_t up, uint64_t down)
{
    size_t size = WW_MIN(strlen(key), (size_t)KEY_TEXT_BYTES);

    ww_buf_put_u8(out, (uint8_t)by);
    ww_buf_put_u8(out, (uint8_t)size);
    ww_buf_put(out, key, size);
    ww_buf_put_u64(out, up);
    ww_buf_put_u64(out, down);
}

static void encode(struct period *period, struct ww_buf *out)
{
    for (int by = 0; by < FOOTPRINT_BYS; by++) {
        struct column *column = &period->columns[by];
        qsort(column->entries, column->count, sizeof(column->entries[0]), larger_first);
        for (size_t i = 0; i < column->count; i++)
            put_row(out, by, column->entries[i].key, column->entries[i].up,
                    column->entries[i].down);
        if (column->up || column->down)
            put_row(out, by, "", column->up, column->down);
    }
}

/* Each row of a record to fn, until it returns non-zero. WW_ECORRUPT. */
static int decode(const uint8_t *bytes, size_t size, uint64_t begin_s,
                  int (*fn)(void *arg, int by, const struct footprint_row *row), void *arg)
{
    char key[KEY_TEXT_BYTES + 1];
    struct ww_cursor cursor;
    int rc = 0;

    ww_cursor_init(&cursor, bytes, size);
    while (!rc && cursor.size > 0) {
        struct footprint_row row = {.begin_s = begin_s, .key = key};
        int by = ww_cursor_u8(&cursor);
        size_t length = ww_cursor_u8(&cursor);
        ww_cursor_copy(&cursor, key, length);
        key[cursor.failed ? 0 : length] = '\0';
        row.up = ww_cursor_u64(&cursor);
        row.down = ww_cursor_u64(&cursor);
        if (cursor.failed || by >= FOOTPRINT_BYS || strlen(key) != length)
            return WW_ECORRUPT;
        rc = fn(arg, by, &row);
    }
    return rc;
}

static int take_row(void *arg, int by, const struct footprint_row *row)
{
    count(arg, by, row->key, row->up, row->down);
    return 0;
}

/* The present number, with what the state has of it; what can't be read is begun anew. */
static void begin(struct footprint *footprint, struct period *period)
{
    uint8_t key[KEY_BYTES], *value = NULL;
    size_t size = 0;

    clear(period);
    period->number = number_now(period);
    put_key(period, period->number, key);
    if (ww_store_get(footprint->edge->store, key, sizeof(key), &value, &size) == 0) {
        if (decode(value, size, 0, take_row, period))
            clear(period);
        period->is_changed = false;
        ww_free(value);
    }
}

struct pruning {
    struct ww_store_batch *batch;
    const struct period *period;
    uint32_t oldest;
};

static uint32_t number_of(const uint8_t *key)
{
    return (uint32_t)key[2] << 24 | (uint32_t)key[3] << 16 | (uint32_t)key[4] << 8 | key[5];
}

static int prune_key(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                     size_t value_size)
{
    struct pruning *pruning = arg;

    (void)value;
    (void)value_size;
    if (key_size != KEY_BYTES || number_of(key) < pruning->oldest)
        ww_store_batch_delete(pruning->batch, key, key_size);
    return key_size == KEY_BYTES && number_of(key) >= pruning->oldest; /* they are in order */
}

static void prune(struct footprint *footprint, const struct period *period,
                  struct ww_store_batch *batch)
{
    char prefix[2] = {KIND, period->unit};
    uint32_t now = number_now(period);
    struct pruning pruning = {batch, period, now > period->keep ? now - period->keep : 0};

    ww_store_scan(footprint->edge->store, prefix, sizeof(prefix), prune_key, &pruning);
}

static void save(struct footprint *footprint, struct period *period)
{
    bool is_over = period->number != number_now(period);
    struct ww_store_batch *batch = NULL;
    uint8_t key[KEY_BYTES];
    struct ww_buf record;

    if (!period->is_changed && !is_over)
        return;
    ww_buf_init(&record, RECORD_MAX);
    int rc = ww_store_batch_create(&batch);
    if (!rc && period->is_changed) {
        encode(period, &record);
        put_key(period, period->number, key);
        ww_store_batch_put(batch, key, sizeof(key), record.data, record.size);
        rc = record.error;
    }
    if (!rc && is_over)
        prune(footprint, period, batch);
    if (!rc)
        rc = ww_committer_submit(footprint->edge->committer, batch, NULL, NULL);
    else
        ww_store_batch_destroy(batch);
    ww_buf_deinit(&record);
    if (rc)
        ww_log(WW_LOG_WARN, "node", "the footprint could not be stored", "code=%s",
               ww_error_name(rc));
    else
        period->is_changed = false;
    if (is_over)
        begin(footprint, period);
}

/* --- for others ------------------------------------------------------------------------------- */

int footprint_create(struct edge *edge, struct footprint **out)
{
    struct footprint *footprint = ww_alloc(1, sizeof(*footprint));

    if (!footprint)
        return WW_ENOMEM;
    footprint->edge = edge;
    footprint->periods[0] =
        (struct period){.unit = 'h', .seconds = HOUR_S, .keep = WW_FOOTPRINT_HOURS};
    footprint->periods[1] =
        (struct period){.unit = 'd', .seconds = DAY_S, .keep = WW_FOOTPRINT_DAYS};
    begin(footprint, &footprint->periods[0]);
    begin(footprint, &footprint->periods[1]);
    footprint_prune(footprint); /* it may have been off for long */
    *out = footprint;
    return 0;
}

void footprint_destroy(struct footprint *footprint)
{
    if (!footprint)
        return;
    footprint_save(footprint);
    clear(&footprint->periods[0]);
    clear(&footprint->periods[1]);
    ww_free(footprint);
}

void footprint_add(struct footprint *footprint, const char *const keys[FOOTPRINT_BYS], uint64_t up,
                   uint64_t down)
{
    for (int by = 0; by < FOOTPRINT_BYS; by++) {
        count(&footprint->periods[0], by, keys[by], up, down);
        count(&footprint->periods[1], by, keys[by], up, down);
    }
}

void footprint_save(struct footprint *footprint)
{
    save(footprint, &footprint->periods[0]);
    save(footprint, &footprint->periods[1]);
}

void footprint_prune(struct footprint *footprint)
{
    struct ww_store_batch *batch = NULL;

    if (ww_store_batch_create(&batch))
        return;
    prune(footprint, &footprint->periods[0], batch);
    prune(footprint, &footprint->periods[1], batch);
    ww_committer_submit(footprint->edge->committer, batch, NULL, NULL);
}

struct visit {
    enum footprint_by by;
    uint64_t from_s;
    uint32_t seconds;
    uint64_t present; /* number of the one that comes from memory */
    int (*fn)(void *arg, const struct footprint_row *row);
    void *arg;
};

static int visit_row(void *arg, int by, const struct footprint_row *row)
{
    const struct visit *visit = arg;
    return by == (int)visit->by ? visit->fn(visit->arg, row) : 0;
}

static int visit_record(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                        size_t value_size)
{
    const struct visit *visit = arg;
    if (key_size != KEY_BYTES || number_of(key) == visit->present)
        return 0;
    uint64_t begin_s = (uint64_t)number_of(key) * visit->seconds;
    if (begin_s + visit->seconds <= visit->from_s)
        return 0;
    int rc = decode(value, value_size, begin_s, visit_row, arg);
    return rc == WW_ECORRUPT ? 0 : rc; /* one that can't be read is left out */
}

static int visit_store(struct ww_store *store, char unit, struct visit *visit)
{
    char prefix[2] = {KIND, unit};
    return ww_store_scan(store, prefix, sizeof(prefix), visit_record, visit);
}

int footprint_visit_store(struct ww_store *store, enum footprint_by by, bool days, uint64_t from_s,
                          int (*fn)(void *arg, const struct footprint_row *row), void *arg)
{
    struct visit visit = {.by = by,
                          .from_s = from_s,
                          .seconds = days ? DAY_S : HOUR_S,
                          .present = UINT64_MAX,
                          .fn = fn,
                          .arg = arg};
    return visit_store(store, days ? 'd' : 'h', &visit);
}

int footprint_visit(struct footprint *footprint, enum footprint_by by, bool days, uint64_t from_s,
                    int (*fn)(void *arg, const struct footprint_row *row), void *arg)
{
    struct period *period = &footprint->periods[days];
    struct visit visit = {.by = by,
                          .from_s = from_s,
                          .seconds = period->seconds,
                          .present = period->number,
                          .fn = fn,
                          .arg = arg};
    struct ww_buf now;

    int rc = visit_store(footprint->edge->store, period->unit, &visit);
    if (rc)
        return rc;
    ww_buf_init(&now, RECORD_MAX);
    encode(period, &now);
    rc = now.error ? now.error
                   : decode(now.data, now.size, (uint64_t)period->number * period->seconds,
                            visit_row, &visit);
    ww_buf_deinit(&now);
    return rc;
}

static int delete_key(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                      size_t value_size)
{
    (void)value;
    (void)value_size;
    ww_store_batch_delete(arg, key, key_size);
    return 0;
}

int footprint_forget(struct footprint *footprint, ww_commit_fn fn, void *arg)
{
    static const char prefix[] = {KIND};
    struct ww_store_batch *batch = NULL;

    int rc = ww_store_batch_create(&batch);
    if (rc)
        return rc;
    rc = ww_store_scan(footprint->edge->store, prefix, sizeof(prefix), delete_key, batch);
    if (rc) {
        ww_store_batch_destroy(batch);
        return rc;
    }
    for (int i = 0; i < 2; i++) {
        uint8_t key[KEY_BYTES]; /* it may be on its way to the disk */
        put_key(&footprint->periods[i], footprint->periods[i].number, key);
        ww_store_batch_delete(batch, key, sizeof(key));
        clear(&footprint->periods[i]);
    }
    return ww_committer_submit(footprint->edge->committer, batch, fn, arg);
}
