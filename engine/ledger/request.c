/* Request ids: what was done before is not done again. Relies on crypto's SHA-256: neither an id
 * nor what it stood for can be read from the hashes, since an id has 80 random bits. Must never
 * forget an id that could still be taken for a fresh one, whatever the clocks do: the horizon is
 * the newest time among the forgotten ids, and an unknown id up to it is gone. */
#include "internal.h"

#include <string.h>

/* Ids from further ahead would be forgotten (after 15 minutes) before they are old (10). */
#define AHEAD_MS_MAX      (WW_LEDGER_REQUEST_KEPT_MS - WW_LEDGER_REQUEST_FRESH_MS)
#define CONTENT_BYTES_MAX 4096

static int hash_request(const struct ww_id *id, const void *content, size_t content_size,
                        struct ww_ledger_request *request)
{
    struct ww_hash hash;
    int rc = ww_ledger_hash(id->bytes, sizeof(id->bytes), "", 0, &hash);

    if (rc)
        return rc;
    memcpy(request->name, hash.bytes, sizeof(request->name));
    rc = ww_ledger_hash(content_size > 0 ? content : "", content_size, "", 0, &hash);
    if (!rc)
        rc = ww_ledger_hash(id->bytes, sizeof(id->bytes), hash.bytes, sizeof(hash.bytes), &hash);
    if (!rc)
        memcpy(request->content, hash.bytes, sizeof(request->content));
    return rc;
}

int ww_ledger_request_item(const struct ww_ledger *ledger, const struct ww_id *id,
                           const void *content, size_t content_size, struct ww_ledger_item *item)
{
    struct ww_ledger_request *request = &item->request;
    const struct ww_request *known;
    uint64_t now_ms = ww_ledger_wall_ms(ledger);
    int rc;

    if (ww_ledger_id_zero(id) || content_size > CONTENT_BYTES_MAX || (!content && content_size > 0))
        return WW_EINVAL;
    memset(item, 0, sizeof(*item));
    item->kind = WW_ITEM_REQUEST;
    rc = hash_request(id, content, content_size, request);
    if (rc)
        return rc;
    request->wall_ms = ww_id_wall_ms(id);
    request->uptime_ms = ww_ledger_uptime_ms(ledger);

    known = ww_books_request(ledger->books, request->name);
    if (known)
        return memcmp(known->image.content, request->content, sizeof(request->content)) == 0
                   ? WW_EEXIST
                   : WW_ECONFLICT;
    if (request->wall_ms <= ledger->horizon_ms ||
        request->wall_ms + WW_LEDGER_REQUEST_FRESH_MS < now_ms)
        return WW_EGONE;
    if (request->wall_ms > now_ms + AHEAD_MS_MAX)
        return WW_ERANGE;
    return 0;
}

int ww_ledger_request_seen(const struct ww_ledger *ledger, const struct ww_id *id,
                           const void *content, size_t content_size)
{
    struct ww_ledger_item item;

    return ww_ledger_request_item(ledger, id, content, content_size, &item);
}

int ww_ledger_request_remember(struct ww_ledger *ledger, const struct ww_id *id,
                               const void *content, size_t content_size)
{
    struct ww_ledger_item item;
    int rc = ww_ledger_request_item(ledger, id, content, content_size, &item);

    if (rc)
        return rc;
    ww_ledger_forget_requests(ledger, WW_LEDGER_FORGET_AT_ONCE);
    return ww_ledger_run(ledger, &item, 1);
}

void ww_ledger_forget_requests(struct ww_ledger *ledger, size_t max)
{
    uint64_t uptime_ms = ww_ledger_uptime_ms(ledger);
    uint64_t wall_ms = ww_ledger_wall_ms(ledger);
    struct ww_request *oldest;

    while (max-- > 0 && (oldest = TAILQ_FIRST(&ledger->books->requests_oldest_first))) {
        if (oldest->image.uptime_ms + WW_LEDGER_REQUEST_KEPT_MS > uptime_ms ||
            oldest->image.wall_ms + WW_LEDGER_REQUEST_FRESH_MS >= wall_ms)
            return;
        ledger->horizon_ms = WW_MAX(ledger->horizon_ms, oldest->image.wall_ms);
        ww_books_remove_request(ledger->books, oldest);
    }
}
