/* Addresses that a policy excludes from the tunnel: elements of the table's sets, added by nft(8)
 * as a child. One run at a time; what comes meanwhile waits for the next, all of it together. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uthash.h>

#include "host_room.h"

#define TABLE      "inet ww_tunnel"
#define TEXT_BYTES (WW_HOST_EXCLUDE_BATCH * 512 + 256)

struct element {
    UT_hash_handle hh;
    uint8_t address[16];
    uint64_t until_us;
    char name[WW_NAME_BYTES_MAX + 1];
};

struct batch {
    bool empties; /* the sets, first */
    size_t count, id_count;
    size_t void_count, void_id_count; /* so many, the first, are not excluded any more */
    struct element elements[WW_HOST_EXCLUDE_BATCH]; /* until_us: without what is added to it */
    uint64_t ids[WW_HOST_EXCLUDE_BATCH];
};

struct ww_host_excluder {
    struct ww_loop *loop;
    ww_host_excluded_fn fn;
    void *arg;
    struct element *table;
    struct ww_timer *timer; /* of the run, or to begin one */
    struct ww_child *child; /* NULL: none runs */
    int messages;
    bool is_late, is_failing;
    struct batch batches[2], *running, *next;
};

static void begin(struct ww_host_excluder *excluder);

/* --- what is excluded ----------------------------------------------------------------------------
 */

static void forget(struct ww_host_excluder *excluder, uint64_t until_us)
{
    struct element *element, *next;

    HASH_ITER(hh, excluder->table, element, next)
    {
        if (element->until_us > until_us)
            continue;
        HASH_DEL(excluder->table, element);
        ww_free(element);
    }
}

static const struct element *find(const struct ww_host_excluder *excluder,
                                  const uint8_t address[16])
{
    const struct element *element = NULL;

    HASH_FIND(hh, excluder->table, address, 16, element);
    return element;
}

/* Whether it is another name's, or new. One without memory is excluded all the same, and is added
 * again with the next answer. */
static bool remember(struct ww_host_excluder *excluder, const struct element *from)
{
    struct element *element = NULL;
    bool is_new = true;

    HASH_FIND(hh, excluder->table, from->address, 16, element);
    if (element) {
        is_new = strcmp(element->name, from->name) != 0;
        HASH_DEL(excluder->table, element);
    } else {
        element = ww_alloc(1, sizeof(*element));
    }
    if (!element)
        return false;
    *element = *from;
    HASH_ADD(hh, excluder->table, address, 16, element);
    if (!element->hh.tbl)
        ww_free(element);
    return is_new;
}

/* Each name once. */
static void remember_all(struct ww_host_excluder *excluder, const struct batch *batch)
{
    const char *logged = "";

    for (size_t index = batch->void_count; index < batch->count; index++) {
        const struct element *element = &batch->elements[index];
        if (!remember(excluder, element) || strcmp(element->name, logged) == 0)
            continue;
        logged = element->name;
        ww_log(WW_LOG_INFO, "dns", "a name is reached outside of the tunnel, by the policy",
               "name=%s", WW_Q(logged));
    }
}

size_t ww_host_excluded_each(const struct ww_host_excluder *excluder,
                             void (*each)(void *arg, const char *name, const uint8_t address[16],
                                          uint32_t seconds),
                             void *arg)
{
    uint64_t now_us = ww_loop_now_us(excluder->loop);
    size_t count = 0;

    for (const struct element *element = excluder->table; element; element = element->hh.next) {
        if (element->until_us <= now_us)
            continue;
        count++;
        if (each)
            each(arg, element->name, element->address,
                 (uint32_t)((element->until_us - now_us) / 1000000));
    }
    return count;
}

/* --- runs ----------------------------------------------------------------------------------------
 */

/* An element that is there keeps its time: so it is taken out before, and for that it must be
 * there. */
static void put_element(const struct element *element, uint64_t now_us, struct ww_buf *out)
{
    static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};
    bool is_v4 = memcmp(element->address, MAPPED, sizeof(MAPPED)) == 0;
    const char *set = is_v4 ? TABLE " excluded_v4" : TABLE " excluded_v6";
    unsigned seconds = (unsigned)((element->until_us - now_us + 999999) / 1000000);
    char text[INET6_ADDRSTRLEN];

    inet_ntop(is_v4 ? AF_INET : AF_INET6, element->address + (is_v4 ? 12 : 0), text, sizeof(text));
    ww_buf_printf(out,
                  "add element %s { %s timeout %us }\ndelete element %s { %s }\n"
                  "add element %s { %s timeout %us }\n",
                  set, text, seconds, set, text, set, text, seconds);
}

static void finish(struct ww_host_excluder *excluder, int rc, const char *reason)
{
    struct batch *batch = excluder->running;

    if (rc && !excluder->is_failing)
        ww_log(WW_LOG_WARN, "dns", "what the policy excludes can't be, so its names are not found",
               "code=%s reason=%s", ww_error_name(rc), WW_Q(reason));
    excluder->is_failing = rc != 0;
    excluder->next->empties = excluder->next->empties || (rc && batch->empties);
    if (!rc)
        remember_all(excluder, batch);
    size_t count = batch->id_count, void_count = batch->void_id_count;
    batch->count = batch->id_count = batch->void_count = batch->void_id_count = 0;
    batch->empties = false;
    for (size_t index = 0; index < count; index++)
        excluder->fn(excluder->arg, batch->ids[index], !rc && index < void_count ? WW_ESTATE : rc);
}

static void on_end(void *arg, int status)
{
    struct ww_host_excluder *excluder = arg;
    char reason[WW_HOST_REASON_SIZE] = "it took too long";
    int rc = 0;

    ww_timer_stop(excluder->timer);
    ww_child_destroy(excluder->child);
    excluder->child = NULL;
    if (excluder->is_late)
        rc = WW_ETIMEDOUT;
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        rc = host_nft_failure(excluder->messages, reason);
    close(excluder->messages);
    finish(excluder, rc, reason);
    begin(excluder);
}

static int start(struct ww_host_excluder *excluder, const char *text)
{
    static const char *const environment[] = {"LC_ALL=C", NULL};
    int commands = host_nft_file(text), rc = WW_ENOTFOUND;

    excluder->messages = host_nft_file("");
    if (commands < 0 || excluder->messages < 0)
        rc = WW_ESYSTEM;
    for (size_t index = 0; rc == WW_ENOTFOUND && host_nft_places[index]; index++) {
        const char *const argv[] = {host_nft_places[index], "-f", "-", NULL};
        const struct ww_child_options options = {.argv = argv,
                                                 .env = environment,
                                                 .stdin_fd = commands,
                                                 .stdout_fd = excluder->messages,
                                                 .stderr_fd = excluder->messages,
                                                 .die_with_parent = true,
                                                 .own_group = true};
        rc = ww_child_create(excluder->loop, &options, on_end, excluder, &excluder->child);
    }
    if (commands >= 0)
        close(commands);
    if (rc && excluder->messages >= 0)
        close(excluder->messages);
    return rc == WW_ENOTFOUND ? WW_EUNSUPPORTED : rc;
}

/* The next run, if there is something to do. */
static void begin(struct ww_host_excluder *excluder)
{
    struct batch *batch = excluder->next;
    uint64_t now_us = ww_loop_now_us(excluder->loop);
    struct ww_buf text;

    if (excluder->child || (!batch->count && (!batch->empties || excluder->is_failing)))
        return;
    excluder->next = excluder->running;
    excluder->running = batch;
    ww_buf_init(&text, TEXT_BYTES);
    if (batch->empties)
        ww_buf_put_text(&text,
                        "flush set " TABLE " excluded_v4\nflush set " TABLE " excluded_v6\n");
    for (size_t index = batch->void_count; index < batch->count; index++)
        put_element(&batch->elements[index], now_us, &text);
    excluder->is_late = false;
    int rc = text.error ? text.error : start(excluder, ww_buf_text(&text));
    ww_buf_deinit(&text);
    if (rc)
        finish(excluder, rc, "nft can't be started");
    else
        ww_timer_start(excluder->timer, WW_HOST_EXCLUDE_MS * 1000);
}

/* --- as a whole ----------------------------------------------------------------------------------
 */

/* There is something to do, or the run takes too long. */
static void on_timer(void *arg)
{
    struct ww_host_excluder *excluder = arg;

    if (!excluder->child) {
        begin(excluder);
        return;
    }
    excluder->is_late = true;
    ww_child_kill(excluder->child, SIGKILL);
}

int ww_host_excluder_create(struct ww_loop *loop, ww_host_excluded_fn fn, void *arg,
                            struct ww_host_excluder **excluder)
{
    struct ww_host_excluder *created = ww_alloc(1, sizeof(*created));

    if (!created)
        return WW_ENOMEM;
    created->loop = loop;
    created->fn = fn;
    created->arg = arg;
    created->running = &created->batches[0];
    created->next = &created->batches[1];
    int rc = ww_timer_create(loop, on_timer, created, &created->timer);
    if (rc) {
        ww_free(created);
        return rc;
    }
    *excluder = created;
    return 0;
}

void ww_host_excluder_destroy(struct ww_host_excluder *excluder)
{
    if (!excluder)
        return;
    if (excluder->child) {
        ww_child_kill(excluder->child, SIGKILL);
        ww_child_destroy(excluder->child);
        close(excluder->messages);
    }
    ww_timer_destroy(excluder->timer);
    forget(excluder, UINT64_MAX);
    ww_free(excluder);
}

int ww_host_exclude(struct ww_host_excluder *excluder, uint64_t id, const char *name,
                    const uint8_t (*addresses)[16], size_t count, uint32_t seconds)
{
    uint64_t now_us = ww_loop_now_us(excluder->loop);
    uint64_t needed_us = now_us + seconds * 1000000ULL;
    struct batch *batch = excluder->next;
    size_t before = batch->count;

    if (HASH_COUNT(excluder->table) + WW_HOST_EXCLUDE_BATCH * 2 > WW_HOST_EXCLUDED_MAX)
        forget(excluder, now_us);
    if (HASH_COUNT(excluder->table) + WW_HOST_EXCLUDE_BATCH * 2 > WW_HOST_EXCLUDED_MAX)
        return WW_ELIMIT;
    for (size_t index = 0; index < count; index++) {
        const struct element *known = find(excluder, addresses[index]);
        if (known && known->until_us > needed_us)
            continue;
        if (batch->count == WW_HOST_EXCLUDE_BATCH) {
            batch->count = before;
            return WW_ELIMIT;
        }
        struct element *element = &batch->elements[batch->count++];
        memset(element, 0, sizeof(*element));
        memcpy(element->address, addresses[index], 16);
        memcpy(element->name, name, strnlen(name, WW_NAME_BYTES_MAX));
        element->until_us = needed_us + WW_HOST_EXCLUDED_S * 1000000ULL;
    }
    if (batch->count == before)
        return 0;
    batch->ids[batch->id_count++] = id;
    if (!excluder->child)
        ww_timer_start(excluder->timer, 0);
    return WW_EAGAIN;
}

void ww_host_exclude_nothing(struct ww_host_excluder *excluder)
{
    forget(excluder, UINT64_MAX);
    excluder->next->empties = true;
    for (size_t index = 0; index < WW_ARRAY_COUNT(excluder->batches); index++) {
        struct batch *batch = &excluder->batches[index];
        batch->void_count = batch->count;
        batch->void_id_count = batch->id_count;
    }
    if (!excluder->child)
        ww_timer_start(excluder->timer, 0);
}
